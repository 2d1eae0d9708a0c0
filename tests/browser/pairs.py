"""Pairs: few combinations in which each value meets each value of every other factor at least once."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import combinations
from typing import TypeVar

Row = TypeVar("Row", bound=tuple[str, ...])
Pair = tuple[int, str, int, str]
"""Place and value, twice."""


def covering(rows: Sequence[Row], needed: Callable[[Pair], bool]) -> list[Row]:
    """A short choice of the rows in which every pair that is needed, and that any row has, is met.

    Greedy, and the same each time.
    """

    met: dict[Row, set[Pair]] = {}
    for row in rows:
        pairs = ((a, row[a], b, row[b]) for a, b in combinations(range(len(row)), 2))
        met[row] = {pair for pair in pairs if needed(pair)}
    waiting = set().union(*met.values())
    chosen: list[Row] = []
    while waiting:
        best = max(met, key=lambda row: len(met[row] & waiting))
        waiting -= met[best]
        chosen.append(best)
    return chosen
