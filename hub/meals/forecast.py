"""The forecast: from who has come through the gates, how many will eat; until the final lock, never after. Pure.

| known | the forecast |
| --- | --- |
| nothing of past weeks | everybody who is expected: registered and not cut |
| DAYS_MIN to DAYS past days of this meal | those who came by now, times the median of (ate / had come by then) |
| bounds | not below those expected who came, not above those expected |

The error is what the same rule would have missed on those days, each forecast from the others: the mean of
|forecast - ate| / ate.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from statistics import fmean, median
from typing import Final

DAYS: Final = 10
"""Two school weeks: the season's colds are in them, and a holiday's emptiness soon leaves them."""
DAYS_MIN: Final = 3
"""Fewer past days say nothing; then everybody who is expected is cooked for."""


@dataclass(frozen=True, slots=True)
class PastDay:
    """A day that was: who of those expected had come by each clock (HH:MM), how many were expected, how many ate."""

    day: date
    expected: int
    arrived: Mapping[str, int]
    ate: int


@dataclass(frozen=True, slots=True)
class Forecast:
    """How many will eat, as seen at a clock. `error`: of past days, a share of 1, None where nothing is known of it."""

    clock: str
    expected: int
    arrived: int
    portions: int
    days: int
    error: float | None


def forecast(clock: str, expected: int, arrived: int, past: Sequence[PastDay]) -> Forecast:
    """The forecast at a clock; see the table above."""
    assert 0 <= arrived <= expected, "only who is expected is looked at"
    known = _telling(clock, past)
    errors = []
    for number, one in enumerate(known):
        others = [*known[:number], *known[number + 1 :]]
        if len(others) >= DAYS_MIN and one.ate:
            guess = _portions(clock, one.expected, one.arrived[clock], others)
            errors.append(abs(guess - one.ate) / one.ate)
    used = len(known) if len(known) >= DAYS_MIN else 0
    portions = _portions(clock, expected, arrived, known)
    return Forecast(clock, expected, arrived, portions, used, fmean(errors) if errors else None)


def _telling(clock: str, past: Sequence[PastDay]) -> list[PastDay]:
    """The newest past days that say something at this clock."""
    told = [one for one in past if one.arrived.get(clock, 0) > 0]
    return sorted(told, key=lambda one: one.day)[-DAYS:]


def _portions(clock: str, expected: int, arrived: int, known: Sequence[PastDay]) -> int:
    if len(known) < DAYS_MIN:
        return expected
    share = median(one.ate / one.arrived[clock] for one in known)
    return min(expected, max(arrived, round(arrived * share)))
