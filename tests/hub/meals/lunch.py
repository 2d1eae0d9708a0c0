"""A lunch in few words: records of counters at a clock time of one day, as values."""

from __future__ import annotations

from datetime import date
from typing import Any

from hub.attendance.schoolday import Binding, by_card
from hub.meals.servings import Counters, CounterTap, Served, ServingWord, Why, served
from hub.meals.sittings import FIRST_PLAN, Moment, clock_ms
from protocol.meals import ByHand, MealTap

DAY = date(2026, 11, 23)
"""A Monday."""
PLANS = {date.min: FIRST_PLAN}
EVER = 1 << 60
JOURNALS = {"quay-1": "a" * 16, "quay-2": "b" * 16, "quay-3": "c" * 16}


def at(clock: str, seconds: int = 0, day: date = DAY) -> int:
    return clock_ms(day, clock) + seconds * 1000


def moment(clock: str, seconds: int = 0, *, err_s: int = 0, anchored: bool = True, day: date = DAY) -> Moment:
    best = at(clock, seconds, day)
    return Moment(best, best - err_s * 1000, best + err_s * 1000, anchored)


def lunch(nth: int = 1, *, alone: bool = False, meal: Any = "lunch", day: date = DAY) -> MealTap:
    return MealTap(day.isoformat(), meal, 1, nth, alone)


def tap(
    number: int,
    card: str,
    clock: str,
    seconds: int = 0,
    *,
    point: str = "quay-1",
    decision: Any = "accepted",
    said: MealTap | None = None,
    hand: ByHand | None = None,
    believed: str | None = None,
    when: Moment | None = None,
) -> CounterTap:
    return CounterTap(
        f"{JOURNALS[point]}.{number}",
        f"dev-{point}",
        point,
        card,
        believed,
        decision,
        None if decision == "accepted" else "unknown" if decision == "refused" else "repeat",
        moment(clock, seconds) if when is None else when,
        lunch() if said is None else said,
        hand,
    )


def word(about: CounterTap, number: int, why: Why, clock: str = "12:00") -> ServingWord:
    return ServingWord(about.id, f"{'d' * 16}.{number}", at(clock), why, "co-hoa")


CARDS = by_card(
    [
        Binding("c-an", "st-an", -EVER, EVER),
        Binding("c-be", "st-be", -EVER, EVER),
        Binding("c-chi", "st-chi", -EVER, EVER),
    ]
)
STAFF = by_card([Binding("c-thay", "thay-minh", -EVER, EVER)])


def count(*taps: CounterTap, words: Any = (), lists: Any = (), bindings: Any = CARDS, plans: Any = PLANS) -> Served:
    return served(Counters(plans, taps, tuple(words), tuple(lists), bindings, STAFF))


def told(found: Served) -> list[tuple[Any, ...]]:
    """Whose, which helping, how, unconfirmed flags."""
    return [(one.pupil or one.adult, one.nth, one.how, one.flags) for one in found.servings]
