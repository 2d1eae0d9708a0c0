"""One journal as the delivery owes it: what is settled, what is under way, what to offer next, whose word fits."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from protocol.ranges import RangeSet
from protocol.receipts import JournalMarks, Mark

DigestAt = Callable[[str, int], str | None]
"""The digest of a record that this gateway holds or has pruned through, None where it has neither."""


@dataclass(frozen=True, slots=True)
class Offer:
    """Records `first` to `last` of a journal to be sent now, at most; `live` ones go before all others."""

    journal: str
    first: int
    last: int
    live: bool


@dataclass(slots=True)
class Flight:
    """An offer on its way: when it is offered again unless a receipt covers it; `first`: none of it was before."""

    offer: Offer
    due_ms: int
    sent_ms: int
    first: bool


@dataclass(slots=True)
class Book:
    """One journal as the uplink sees it.

    `epoch`: of the last receipt that named it; `asked`: states that listed it in the hub's present epoch; `news`: it
    was pruned, and the hub hasn't heard. A `salvaged` journal may lack records that the hub holds.
    """

    journal: str
    last: int
    held_from: int
    settled: RangeSet
    city: RangeSet
    salvaged: bool = False
    epoch: str | None = None
    asked: int = 0
    news: bool = False
    contested: bool = False
    marks: JournalMarks | None = None
    unreadable: RangeSet = field(default_factory=RangeSet)
    attempts: int = 0
    flights: list[Flight] = field(default_factory=list)

    def unoffered(self, first: int, last: int, room: int, size: int) -> list[tuple[int, int]]:
        """Up to `room` ranges of at most `size` records that are neither settled nor under way, oldest first."""
        if room <= 0 or first > last or self.settled.covers(first, last):
            return []
        taken = self.settled.copy()
        for low, high in self.unreadable:
            taken.add(low, high)
        for flight in self.flights:
            taken.add(flight.offer.first, flight.offer.last)
        pieces: list[tuple[int, int]] = []
        for low, high in taken.gaps(first, last):
            while low <= high and len(pieces) < room:
                end = min(high, low + size - 1)
                pieces.append((low, end))
                low = end + 1
            if len(pieces) >= room:
                break
        return pieces

    def believes(self, marks: JournalMarks, digest_at: DigestAt) -> bool:
        """Whether hub and city speak of our own records."""
        return all(
            mark is None or mark.through == 0 or self._matches(mark, digest_at) for mark in (marks.hub, marks.city)
        )

    def _matches(self, mark: Mark, digest_at: DigestAt) -> bool:
        """Whether the mark's head is ours; a record that a damaged file lost can't be compared, and is believed."""
        if mark.through > self.last:
            return self.salvaged
        if mark.through < self.held_from - 1:
            return True
        mine = digest_at(self.journal, mark.through)
        if mine is None:
            return self.salvaged or mark.through in self.unreadable
        return mine == mark.head


def contains(larger: RangeSet, smaller: RangeSet) -> bool:
    """Whether the larger set holds all of the smaller one."""
    return all(larger.covers(first, last) for first, last in smaller)
