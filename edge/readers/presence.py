"""Which cards are in a reader's field: one sighting for each time that a card comes, however the coupling flickers."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from edge.ports import CardRead, CardSeen
from protocol.cards import suspicion

FIELD_PAUSE_S: Final = 0.015
"""Between two looks at a field: short taps of 150 ms are seen several times, at a few per cent of a core."""
GONE_NS: Final = 500_000_000
"""Unseen for so long, a card has left. A card at the edge of the field answers only every few polls."""
HELD_OVER_NS: Final = 2_000_000_000
"""After a reader was reopened, cards that were in its field may take so long to be seen again."""
STALLED_NS: Final = 2_000_000_000
"""Not looked for so long (a stopped process, a machine that swaps): nobody can say which cards left meanwhile."""
CARDS_MAX: Final = 64
"""Cards followed at once; a field holds two or three, noise could invent more."""


class Presence:
    """Pure. Time is CLOCK_BOOTTIME in ns. All random numbers (telephones) are one card: they change at each look."""

    def __init__(self, *, moments: bool = False) -> None:
        """Nothing is in the field. Where a reader tells of `moments`, a card told of again later is another tap."""
        self._moments = moments
        self._until_ns: dict[str, int] = {}
        self._looked_ns: int | None = None

    def step(self, now_ns: int, reads: Sequence[CardRead]) -> tuple[CardSeen, ...]:
        """What came with this look at the field: a sighting for each card that was not there before."""
        still_ns = 0 if self._looked_ns is None else now_ns - self._looked_ns
        self._looked_ns = now_ns
        if still_ns > STALLED_NS and not self._moments:
            # A card that is there now is taken to have been there all along: the same tap.
            for name in self._until_ns:
                self._until_ns[name] += still_ns
        for name in [name for name, until_ns in self._until_ns.items() if until_ns <= now_ns]:
            del self._until_ns[name]
        seen: list[CardSeen] = []
        for read in reads:
            card = read.card
            name = "random" if suspicion(card) == "random" else card.canonical
            if name not in self._until_ns:
                if len(self._until_ns) >= CARDS_MAX:
                    # Forget the card unseen for longest rather than the one just held to the reader.
                    del self._until_ns[min(self._until_ns, key=self._until_ns.__getitem__)]
                since_ns = now_ns if read.since_mono_ns is None else min(read.since_mono_ns, now_ns)
                seen.append(CardSeen(card, since_ns, read))
            self._until_ns[name] = max(self._until_ns.get(name, 0), now_ns + GONE_NS)
        return tuple(seen)

    def reopened(self, now_ns: int) -> None:
        """The reader was away for a moment: who was there is taken to be there still."""
        if self._moments:
            return
        self._looked_ns = now_ns
        for name in self._until_ns:
            self._until_ns[name] = now_ns + HELD_OVER_NS

    def lost(self, now_ns: int) -> None:
        """The reader went away: cards in its field aren't taken for gone while it is."""
        if self._moments:
            return
        self._looked_ns = now_ns
        for name, until_ns in list(self._until_ns.items()):
            if until_ns <= now_ns:
                del self._until_ns[name]
            else:
                self._until_ns[name] = now_ns + HELD_OVER_NS
