"""Which cards are in a reader's field: one sighting for each time that a card comes, however the coupling flickers."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from edge.ports import CardRead, CardSeen
from protocol.cards import suspicion

FIELD_PAUSE_S: Final = 0.015
"""Between two looks at a field: short taps of 150 ms are seen several times, at a few per cent of a core."""
GONE_NS: Final = 500_000_000
"""Looked for and unseen for so long, a card has left. One at the edge of the field answers only every few looks."""
HELD_OVER_NS: Final = 2_000_000_000
"""The same after the reader was reopened: a card that stayed may take so long to be seen again."""
LOOK_NS: Final = 150_000_000
"""A look that shows a card missing vouches for so much of the time before it, not for more: where looks are rare or
fail (a reader may take 300 ms for one), a card that flickers would be gone by a single one."""
UNSEEN_NS_MAX: Final = 10_000_000_000
"""Unseen for so long, for whatever reason (a reader away, a process stopped, looks that fail), whoever comes now comes
anew: a card that stayed would be another tap, but a pupil would find a reader that says nothing."""
CARDS_MAX: Final = 64
"""Cards followed at once; a field holds two or three, noise could invent more."""


@dataclass(slots=True)
class _There:
    """A card that is there: when it was last seen, for how long looks have missed it since, how long they may."""

    seen_ns: int
    missed_ns: int = 0
    may_miss_ns: int = GONE_NS


class Presence:
    """Pure. Time is CLOCK_BOOTTIME in ns. All random numbers (telephones) are one card: they change at each look.

    Only looks tell that a card left, and only up to a bound does it matter that nobody looked: a card that every look
    shows is one sighting, however far apart they are, up to UNSEEN_NS_MAX. A look that failed is none. Reopening gives
    a card more time, once until it is seen again, and takes back nothing of what looks have missed.
    """

    def __init__(self, *, moments: bool = False) -> None:
        """Nothing is in the field. Where a reader tells of `moments`, a card told of again later is another tap."""
        self._moments = moments
        self._there: dict[str, _There] = {}
        self._looked_ns: int | None = None

    def step(self, now_ns: int, reads: Sequence[CardRead]) -> tuple[CardSeen, ...]:
        """What came with this look at the field: a sighting for each card that was not there before."""
        before_ns, self._looked_ns = self._looked_ns, now_ns
        self._forget(now_ns)
        seen: list[CardSeen] = []
        told: set[str] = set()
        for read in reads:
            card = read.card
            name = "random" if suspicion(card) == "random" else card.canonical
            at_ns = now_ns if read.since_mono_ns is None else min(read.since_mono_ns, now_ns)
            there = self._there.get(name)
            if there is None or (self._moments and at_ns - there.seen_ns >= GONE_NS):
                if there is None and len(self._there) >= CARDS_MAX:
                    # Forget the card unseen for longest rather than the one just held to the reader.
                    del self._there[min(self._there, key=lambda other: self._there[other].seen_ns)]
                seen.append(CardSeen(card, at_ns, read))
            # Of a moment its date counts; of a card that lies there, that it does so now.
            self._there[name] = _There(at_ns if self._moments else now_ns)
            told.add(name)
        missed_ns = 0 if before_ns is None else min(LOOK_NS, now_ns - before_ns)
        for name, there in list(self._there.items()):
            if name not in told and not self._moments:
                there.missed_ns += missed_ns
                if there.missed_ns >= there.may_miss_ns:
                    del self._there[name]
        return tuple(seen)

    def _forget(self, now_ns: int) -> None:
        for name in [name for name, there in self._there.items() if now_ns - there.seen_ns > UNSEEN_NS_MAX]:
            del self._there[name]

    def reopened(self, now_ns: int) -> None:
        """The reader was away for a moment: who was there is taken to be there still, and has time to be seen again."""
        self._looked_ns = now_ns
        for there in self._there.values():
            there.may_miss_ns = HELD_OVER_NS
