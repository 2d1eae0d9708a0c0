"""A card's name at the hub: one for each card, under whatever key or part of its number a tap came."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from hub.roster import RosterRow, by_number
from protocol.cardforms import PartialPlan
from protocol.cards import CardKey, CardUid, parse_card


class CardNames:
    """The keyed id of a card's whole number under the newest key; what can't be brought to it keeps its own id.

    Where the roster has one card that a part may be of, the part is that card.
    """

    def __init__(self, keys: Sequence[CardKey], rows: Iterable[RosterRow], partials: Sequence[PartialPlan]) -> None:
        """Names by the roster in force, the school's card keys (oldest first), the parts that its readers hand over."""
        self._newest = keys[-1]
        self._whole = {
            number: cards.pop()
            for number, owners in by_number(rows, partials).items()
            if len(cards := {owner.card for owner in owners if owner.card is not None}) == 1
        }
        self._names: dict[str, str] = {}
        for key in keys:
            self._names |= self._under(key)
        self._own: dict[bytes, dict[str, str]] = {}

    def _under(self, key: CardKey) -> dict[str, str]:
        return {key.keyed(parse_card(number)): self._name(whole) for number, whole in self._whole.items()}

    def _name(self, canonical: str) -> str:
        return self._newest.keyed(parse_card(canonical))

    def of(self, keyed: str, number: CardUid | None, own: bytes | None) -> str:
        """The name of a card that came as `keyed`; `number` where it is known, `own`: the gateway's own key (hk0)."""
        if number is not None:
            return self._name(self._whole.get(number.canonical, number.canonical))
        if own is not None:
            if own not in self._own:
                self._own[own] = self._under(CardKey(0, own))
            return self._own[own].get(keyed, keyed)
        return self._names.get(keyed, keyed)
