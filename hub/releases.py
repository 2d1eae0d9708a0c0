"""Releases: what the stations are told of the pupils of now and their cards."""

from __future__ import annotations

from typing import TYPE_CHECKING

from hub.roster import RosterRow

if TYPE_CHECKING:
    from hub.cards.holders import Holders
    from hub.store.peoplerows import PeopleRows


class Releases:
    """See the room. Asked under the ledger's lock."""

    def __init__(self, people: PeopleRows, holders: Holders) -> None:
        """What is told follows from these."""
        self._people, self._holders = people, holders

    def rows(self) -> list[RosterRow]:
        """Every pupil who hasn't left, once for each of their cards, or once without one; by key and card."""
        cards: dict[str, list[str | None]] = {}
        for holding in self._holders.holdings():
            if holding.open:
                cards.setdefault(holding.pupil, []).append(holding.card)
        return [
            RosterRow(person.key, person.name, person.school_class, card)
            for person in self._people.all()
            if person.state != "left"
            for card in cards.get(person.key, [None])
        ]

    def lost(self) -> list[str]:
        """The cards that are refused: reported lost, and nobody has them since."""
        last = {holding.card: holding for holding in self._holders.holdings()}
        return [card for card, holding in last.items() if holding.ended == "lost"]
