"""Sets of sequence numbers as sorted, disjoint, closed ranges: what is held, what is missing."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Iterator

Range = tuple[int, int]


class RangeSet:
    """A growing set of whole numbers; memory goes with the number of holes, not of members."""

    __slots__ = ("_firsts", "_lasts")

    def __init__(self, ranges: Iterable[Range] = ()) -> None:
        """Start with these closed ranges, in any order, overlapping or not."""
        self._firsts: list[int] = []
        self._lasts: list[int] = []
        for first, last in ranges:
            self.add(first, last)

    def add(self, first: int, last: int | None = None) -> None:
        """Put in `first` to `last`, both included (`last` is `first` when not given)."""
        last = first if last is None else last
        assert first <= last, (first, last)
        if self._lasts and self._lasts[-1] == first - 1:
            self._lasts[-1] = last
            return
        low = bisect_left(self._lasts, first - 1)
        high = bisect_right(self._firsts, last + 1)
        if low < high:
            first = min(first, self._firsts[low])
            last = max(last, self._lasts[high - 1])
        self._firsts[low:high] = [first]
        self._lasts[low:high] = [last]

    def remove(self, first: int, last: int) -> None:
        """Take out `first` to `last`, members or not."""
        kept = [
            part
            for low, high in self
            for part in ((low, min(high, first - 1)), (max(low, last + 1), high))
            if part[0] <= part[1]
        ]
        self._firsts = [low for low, _ in kept]
        self._lasts = [high for _, high in kept]

    def __contains__(self, number: int) -> bool:
        """Whether the number is a member."""
        place = bisect_right(self._firsts, number) - 1
        return place >= 0 and number <= self._lasts[place]

    def covers(self, first: int, last: int) -> bool:
        """Whether every number from `first` to `last` is a member."""
        place = bisect_right(self._firsts, first) - 1
        return place >= 0 and last <= self._lasts[place]

    def overlaps(self, first: int, last: int) -> bool:
        """Whether any number from `first` to `last` is a member."""
        place = bisect_left(self._lasts, first)
        return place < len(self._firsts) and self._firsts[place] <= last

    def __iter__(self) -> Iterator[Range]:
        """The ranges in order."""
        return iter(list(zip(self._firsts, self._lasts, strict=True)))

    def __len__(self) -> int:
        """How many numbers are members."""
        return sum(self._lasts) - sum(self._firsts) + len(self._firsts)

    def __bool__(self) -> bool:
        """Whether anything is in."""
        return bool(self._firsts)

    def __eq__(self, other: object) -> bool:
        """Same members."""
        return isinstance(other, RangeSet) and self._firsts == other._firsts and self._lasts == other._lasts

    __hash__ = None  # type: ignore[assignment]  # It changes, so it can't be a key.

    @property
    def last(self) -> int:
        """The greatest member, 0 when empty."""
        return self._lasts[-1] if self._lasts else 0

    @property
    def pieces(self) -> int:
        """How many separate ranges."""
        return len(self._firsts)

    def gaps(self, first: int, last: int) -> Iterator[Range]:
        """The ranges from `first` to `last` that are not members, in order."""
        at = first
        place = bisect_left(self._lasts, first)
        while at <= last and place < len(self._firsts):
            low, high = self._firsts[place], self._lasts[place]
            if low > last:
                break
            if at < low:
                yield (at, low - 1)
            at = max(at, high + 1)
            place += 1
        if at <= last:
            yield (at, last)

    def copy(self) -> RangeSet:
        """Another set with the same members."""
        twin = RangeSet()
        twin._firsts, twin._lasts = list(self._firsts), list(self._lasts)
        return twin

    def __repr__(self) -> str:
        """The ranges, for people."""
        return f"RangeSet({list(self)})"
