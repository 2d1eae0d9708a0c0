"""Listed cards: what a roster with cards does to the cards that are held, before it is taken. Pure.

- A list never makes a card good that was lost or replaced: it can't know. Its pupil is taken, the card stays as it is.
- Neither does it give a pupil the card by which counter staff take their shift; a pupil who has it already keeps it.
- A card that isn't listed goes with a pupil who isn't listed, or where the list names another good card of its pupil;
  else it stays: it may have been bound at a desk since the list was written.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, Literal, get_args

from hub.cards.holdings import Holding

if TYPE_CHECKING:
    from hub.roster import RosterRow

CardEffect = Literal["new", "passed", "gone", "kept", "lost", "replaced", "staff", "same"]
"""`passed`: it was another pupil's until now; `gone`: taken from its pupil; `kept`: it stays, although it isn't listed;
`lost`, `replaced` and counter `staff`'s: listed, and left as that."""
CARD_EFFECTS: Final = get_args(CardEffect)
LEFT_AS_IT_IS: Final = ("lost", "replaced", "staff")
"""No list makes such a card its pupil's, only a person at a desk."""
WRITES: Final = ("new", "passed", "gone")
CARDS_PASSED: Final = "cards-passed"
"""The guard that asks before a list gives a card that somebody has to somebody else: an old list does so, too."""
QUIET: Final = ("new", "same")
"""Cards that are only counted."""


@dataclass(frozen=True, slots=True)
class ListedCard:
    """What becomes of a card; `pupil`: of whom it is then, or was where it is `gone`; `line` of the file, 0: none."""

    card: str
    pupil: str
    effect: CardEffect
    line: int = 0


@dataclass(frozen=True, slots=True)
class CardPlan:
    """Every card that a list names, or that is held."""

    cards: tuple[ListedCard, ...]

    @property
    def counts(self) -> Mapping[str, int]:
        """How many cards of each effect."""
        effects = [one.effect for one in self.cards]
        return {effect: effects.count(effect) for effect in CARD_EFFECTS}

    @property
    def empty(self) -> bool:
        """Whether taking the list would change no card."""
        return not any(one.effect in WRITES for one in self.cards)

    @property
    def guards(self) -> tuple[str, ...]:
        """What a person is to confirm, by name."""
        return (CARDS_PASSED,) if any(one.effect == "passed" for one in self.cards) else ()

    def told(self) -> dict[str, Any]:
        """For programs: `counts`, and of what is neither new nor as before `lines`: `effect`, and `row` of the file."""
        cards = sorted(self.cards, key=lambda one: (CARD_EFFECTS.index(one.effect), one.line))
        lines = [{"effect": one.effect, "row": one.line} for one in cards if one.effect not in QUIET and one.line]
        return {"counts": dict(self.counts), "lines": lines}


def card_plan(held: Iterable[Holding], rows: Sequence[RosterRow], staff: Collection[str] = ()) -> CardPlan:
    """What a roster does to cards; `held`: every holding, by card and time; `staff`: cards of counter staff."""
    last = {one.card: one for one in held}
    named = [
        ListedCard(row.card, row.pupil_key, _effect(last.get(row.card), row, row.card in staff), row.line)
        for row in rows
        if row.card
    ]
    cards = {one.card for one in named}
    first: dict[str, int] = {}
    for row in rows:
        first.setdefault(row.pupil_key, row.line)
    good = {one.pupil: one.line for one in named if one.effect not in LEFT_AS_IT_IS}
    unnamed = [
        ListedCard(
            card,
            one.pupil,
            "gone" if one.pupil in good or one.pupil not in first else "kept",
            good.get(one.pupil, first.get(one.pupil, 0)),
        )
        for card, one in sorted(last.items())
        if one.open and card not in cards
    ]
    return CardPlan((*named, *unnamed))


def _effect(last: Holding | None, row: RosterRow, is_staffs: bool) -> CardEffect:
    if is_staffs and (last is None or not last.open or last.pupil != row.pupil_key):
        return "staff"
    if last is None:
        return "new"
    if last.open:
        return "same" if last.pupil == row.pupil_key else "passed"
    if last.ended == "lost":
        return "lost"
    return "replaced" if last.ended == "replaced" else "new"
