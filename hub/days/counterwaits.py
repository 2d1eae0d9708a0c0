"""Counter waits: of a span of days, which counters' records aren't all here up to its last meal that is over."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from typing import TYPE_CHECKING

from hub.days.classbook import days_between, today_at
from hub.days.incidentbook import IncidentBook
from hub.meals.portions import is_had
from hub.meals.sittings import GRACE_AFTER_MS, midnight_of, sittings_of

if TYPE_CHECKING:
    from hub.parts import Store
    from protocol.meals import Meal


@dataclass(frozen=True, slots=True)
class CounterWaits:
    """`until_ms`: when the last meal of the span that is over was over, with its grace; None where none is.

    `waits`: the counters whose records to then aren't all here; `known`: every counter that there is.
    """

    until_ms: int | None
    waits: tuple[str, ...] = ()
    known: tuple[str, ...] = ()


def counter_waits(store: Store, first: date, last: date) -> CounterWaits:
    """Of the days from `first` to `last`. What is still served, or lies ahead, isn't waited for."""
    now_ms = store.clock.now_ms()
    last = min(last, today_at(now_ms))
    for day in reversed(list(days_between(first, last))) if first <= last else ():
        said = store.mealbook.said(day)
        ends: dict[Meal, int] = {}
        for one in sittings_of(said.plan, day):
            if is_had(said, one.meal):
                ends[one.meal] = max(ends.get(one.meal, 0), one.closes_ms + GRACE_AFTER_MS)
        over = [at_ms for at_ms in ends.values() if at_ms <= now_ms]
        if over:
            # Words of before that day say nothing of its end: a month of them isn't read.
            origins = IncidentBook(store).origins(midnight_of(first), max(over), now_ms, said_from_ms=midnight_of(day))
            waits = tuple(one.name for one in origins if not one.complete)
            return CounterWaits(max(over), waits, tuple(one.name for one in origins))
    return CounterWaits(None)
