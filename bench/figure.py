"""A figure: one number that the project promises, how it was measured, and whether it was reached."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from statistics import median
from typing import Any

MISS_MAX = 1.5
"""A figure missed by more than this factor is a fault of the product, not a matter of taste."""


@dataclass(frozen=True, slots=True)
class Figure:
    """One line of the table.

    `value` is in `unit` (`x` for a ratio). It must be at most or at least `reach`; `aim` is better still. `low` and
    `high` are the spread over the rounds. `beside` says what the floor or peer did, `note` what else should be known.
    """

    row: int
    name: str
    value: float
    unit: str
    reach: float
    at_least: bool = False
    aim: float | None = None
    low: float | None = None
    high: float | None = None
    beside: str = ""
    note: str = ""

    @property
    def reached(self) -> bool:
        """Whether the promise holds."""
        return self.value >= self.reach if self.at_least else self.value <= self.reach

    @property
    def missed_by(self) -> float:
        """The factor to the promise; 1 where it is reached."""
        if self.reached:
            return 1.0
        if self.at_least:
            return self.reach / self.value if self.value else float("inf")
        return self.value / self.reach if self.reach else float("inf")

    def as_json(self) -> dict[str, Any]:
        """For programs."""
        return {
            "row": self.row,
            "name": self.name,
            "value": self.value,
            "unit": self.unit,
            "reach": self.reach,
            "at_least": self.at_least,
            "aim": self.aim,
            "low": self.low,
            "high": self.high,
            "reached": self.reached,
            "missed_by": self.missed_by,
            "beside": self.beside,
            "note": self.note,
        }


class Broken(Exception):
    """A figure can't be trusted: something was lost, doubled or didn't run. The bench fails."""


def percentile(values: Sequence[float], share: float) -> float:
    """The smallest value that `share` (0 to 1) of all values don't exceed."""
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, max(0, -int(-share * len(ordered) // 1) - 1))]


def ratio(
    row: int,
    name: str,
    product: Sequence[float],
    floor: Sequence[float],
    reach: float,
    *,
    at_least: bool = False,
    aim: float | None = None,
    beside: str = "",
    note: str = "",
) -> Figure:
    """The figure of rounds in which product and floor alternated: the median of their ratios, with the extremes."""
    if len(product) != len(floor) or not product:
        raise Broken(f"{name}: {len(product)} rounds of the product, {len(floor)} of the floor")
    ratios = [one / other for one, other in zip(product, floor, strict=True)]
    return Figure(row, name, median(ratios), "x", reach, at_least, aim, min(ratios), max(ratios), beside, note)
