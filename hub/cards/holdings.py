"""Holdings: whose a card was from when to when, from everything that happened to cards; whatever order it came in."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Final, Literal, get_args

from hub.attendance.evidence import record_order
from hub.attendance.schoolday import Binding
from protocol.cardforms import PartialPlan
from protocol.cards import CardKey, parse_card

ChangeKind = Literal["issued", "temporary", "lost", "found", "returned", "replaced"]
CHANGE_KINDS: Final = get_args(ChangeKind)
STARTS: Final = ("issued", "temporary", "found")
SINCE_EVER_MS: Final = -(1 << 60)
NEVER_MS: Final = 1 << 60


@dataclass(frozen=True, slots=True)
class CardChange:
    """What happened to a card of a pupil, as protocol.records.CardChanged says; `card` is its canonical form.

    `from_ms` is SINCE_EVER_MS where the card was never anybody else's; `at_ms`: when it was said, `record`: where.
    """

    record: str
    at_ms: int
    card: str
    pupil: str
    change: ChangeKind
    from_ms: int
    by: str


@dataclass(frozen=True, slots=True)
class Holding:
    """A card was, or is, a pupil's from a moment on and until another (NEVER_MS: still), Unix ms.

    `ended`: by which change, None where it still is; `passed` where the card became another pupil's.
    """

    card: str
    pupil: str
    from_ms: int
    to_ms: int
    temporary: bool
    since: CardChange
    ended: ChangeKind | Literal["passed"] | None = None

    @property
    def open(self) -> bool:
        """Whether the card is still the pupil's."""
        return self.ended is None


def holdings(changes: Iterable[CardChange]) -> Iterator[Holding]:
    """Every holding, by card and time.

    A card is one pupil's at a time: an issue to another ends the one before. What ends a card for somebody who doesn't
    have it says nothing. Of two changes at one moment the one that was said later counts as the later.
    """
    by_card: dict[str, list[CardChange]] = defaultdict(list)
    for change in changes:
        by_card[change.card].append(change)
    for card in sorted(by_card):
        held: Holding | None = None
        for change in sorted(by_card[card], key=lambda one: (one.from_ms, one.at_ms, record_order(one.record))):
            if change.change in STARTS:
                temporary = change.change == "temporary"
                if held is not None and held.pupil == change.pupil:
                    held = replace(held, temporary=temporary)
                    continue
                if held is not None:
                    yield replace(held, to_ms=change.from_ms, ended="passed")
                held = Holding(card, change.pupil, change.from_ms, NEVER_MS, temporary, change)
            elif held is not None and held.pupil == change.pupil:
                yield replace(held, to_ms=change.from_ms, ended=change.change)
                held = None
        if held is not None:
            yield held


def texts_of(card: str, keys: Sequence[CardKey], partials: Sequence[PartialPlan]) -> set[str]:
    """Every text under which a tap of this card may be kept: its number, its ids under each key, its parts.

    Parts stand with their reader's plan: what a reader of one byte order shows is no reader's of the other.
    """
    number = parse_card(card)
    parts = {plan.listed(part) for plan in partials if (part := plan.of(number)) is not None}
    return {number.canonical, *(key.keyed(number) for key in keys), *parts}


def bindings(
    held: Iterable[Holding],
    keys: Sequence[CardKey],
    partials: Sequence[PartialPlan],
    texts: dict[str, set[str]] | None = None,
) -> Mapping[str, Sequence[Binding]]:
    """The holdings of each text of `texts_of`, as what attributes taps.

    `texts`: those that were worked out before for the same keys and partials; new ones are added.
    """
    found: dict[str, list[Binding]] = defaultdict(list)
    texts = {} if texts is None else texts
    for one in held:
        if one.card not in texts:
            texts[one.card] = texts_of(one.card, keys, partials)
        for text in texts[one.card]:
            found[text].append(Binding(text, one.pupil, one.from_ms, one.to_ms))
    return found
