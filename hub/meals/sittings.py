"""Sittings: the school's meals as one document - which, on which weekdays, in which shifts and halls, and their locks.

| asked | what decides, the first that speaks |
| --- | --- |
| which shift a class eats in | the shift that names the class, then its grade, then one for all; else the last one |
| which meal a serving is of | the meal that its time lies in, with some grace; of several the counter's, the nearest |
| and out of all hours | what the counter named where the clock is unsure; else the nearest meal of its day |
| whether a leave cuts a meal | it covers the half-day that the meal belongs to |
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from functools import lru_cache
from typing import Annotated, Final, Literal

import msgspec

from hub.attendance.schoolday import VIETNAM
from hub.attendance.timetable import Clock, Scope, Slug, minute_of
from protocol.errors import Refused
from protocol.meals import SHIFTS_MAX, Meal, MealTap
from protocol.records import Half

DOCUMENT_BYTES_MAX: Final = 64 * 1024
MEALS_MAX: Final = 4
MINUTE_MS: Final = 60_000
DAY_MS: Final = 1_440 * MINUTE_MS
GRACE_BEFORE_MS: Final = 30 * MINUTE_MS
GRACE_AFTER_MS: Final = 60 * MINUTE_MS
"""A counter opens early when the food is there, and serves until the last tray: then it is still that meal."""
MONEY_DAYS_MAX: Final = 7
"""A money lock falls at most so many days before its meal."""
SPAN_DAYS_MAX: Final = 3
"""A time that may lie anywhere in more days than these says nothing of the meal."""
SAID_MS: Final = 5 * MINUTE_MS
"""Where bounds lie no further apart than this the counter's clock was sure, and the meal that it named stands."""
WEEK: Final = (0, 1, 2, 3, 4)
"""Monday to Friday, in Python's numbers."""

Weekday = Annotated[int, msgspec.Meta(ge=0, le=6)]
Hall = Annotated[str, msgspec.Meta(max_length=80)]


class MealPlanRefused(Refused):
    """The document is no meal plan, or contradicts itself; nothing was changed."""

    code = "meal-plan-refused"
    hint = "Correct what is named; docs/reference/meals.md shows a whole document."


class PlannedShift(Scope, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """A shift: from `opens` to `closes`, for those of its scope. `stations`: its counters; empty: all."""

    number: Annotated[int, msgspec.Meta(ge=1, le=SHIFTS_MAX)]
    opens: Clock
    closes: Clock
    hall: Hall = ""
    stations: Annotated[tuple[Slug, ...], msgspec.Meta(max_length=64)] = ()


class PlannedMeal(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """A meal and its locks, local HH:MM of its own day.

    `half`: the half-day whose leave cuts it. `provisional` and `final` freeze the kitchen's sheet; a cut that came by
    `money`, `money_days_before` days before, isn't charged.
    """

    meal: Meal
    shifts: Annotated[tuple[PlannedShift, ...], msgspec.Meta(min_length=1, max_length=SHIFTS_MAX)]
    half: Half = "am"
    weekdays: Annotated[tuple[Weekday, ...], msgspec.Meta(min_length=1, max_length=7)] = WEEK
    provisional: Clock = "07:00"
    final: Clock = "08:00"
    money: Clock = "08:00"
    money_days_before: Annotated[int, msgspec.Meta(ge=0, le=MONEY_DAYS_MAX)] = 0


class SchoolMeals(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """The whole document. `second`: a second helping is counted apart, or asks staff. `arrivals`: when to forecast."""

    meals: Annotated[tuple[PlannedMeal, ...], msgspec.Meta(min_length=1, max_length=MEALS_MAX)]
    second: Literal["count", "ask"] = "count"
    arrivals: Annotated[tuple[Clock, ...], msgspec.Meta(max_length=8)] = ("07:00", "07:15", "07:30")
    note: Annotated[str, msgspec.Meta(max_length=400)] = ""

    def of(self, meal: Meal) -> PlannedMeal | None:
        """The plan of one meal, None where the school doesn't serve it."""
        return next((one for one in self.meals if one.meal == meal), None)


MealPlans = Mapping[date, SchoolMeals]
"""Every version of the document by the day from which on it holds."""

FIRST_PLAN: Final = SchoolMeals(
    meals=(
        PlannedMeal(
            meal="lunch",
            shifts=(
                PlannedShift(number=1, opens="10:30", closes="11:10", grades=("1", "2")),
                PlannedShift(number=2, opens="11:10", closes="11:50", grades=("3", "4", "5")),
            ),
        ),
    )
)
"""What holds where nobody planned anything: lunch in two shifts, as primary schools of the city eat it."""


@dataclass(frozen=True, slots=True)
class Sitting:
    """A shift of a meal on a day, Unix ms; `stations` empty: every counter."""

    day: date
    meal: Meal
    shift: int
    opens_ms: int
    closes_ms: int
    hall: str
    stations: tuple[str, ...]

    @property
    def of(self) -> tuple[date, Meal]:
        """The day's meal that it is a shift of."""
        return self.day, self.meal

    def serves(self, point: str | None) -> bool:
        """Whether this counter is one of it; None: at no counter, in the classroom."""
        return point is None or not self.stations or point in self.stations


@dataclass(frozen=True, slots=True)
class Moment:
    """When something was: the best estimate and its bounds, Unix ms; `anchored`: some clock vouches for them."""

    best_ms: int
    not_before_ms: int
    not_after_ms: int
    anchored: bool = True


@dataclass(frozen=True, slots=True)
class Place:
    """Which meal a serving is of, and how that is known: by its `time`, as the counter `said`, or only `outside`.

    `sure`: wherever its time lies within the bounds, it is of this meal.
    """

    day: date
    meal: Meal
    shift: int
    by: Literal["time", "said", "outside"]
    sure: bool


def plan_on(plans: MealPlans, day: date) -> SchoolMeals:
    """The document that holds on a day."""
    since = max((first for first in plans if first <= day), default=None)
    return FIRST_PLAN if since is None else plans[since]


def plan_from(name: str, octets: bytes) -> SchoolMeals:
    """The document of a file or row; raises MealPlanRefused, which names what is wrong."""
    if len(octets) > DOCUMENT_BYTES_MAX:
        raise MealPlanRefused(
            "{name} has {count:,} bytes, at most {most:,} are read",
            name=name,
            count=len(octets),
            most=DOCUMENT_BYTES_MAX,
        )
    try:
        document = msgspec.json.decode(octets, type=SchoolMeals)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError, ValueError) as problem:
        raise MealPlanRefused("{name}: {problem}", name=name, problem=problem) from problem
    faults = list(plan_faults(document))
    if faults:
        raise MealPlanRefused("{name}: {problem}", name=name, problem="; ".join(map(str, faults)))
    return document


def plan_bytes(document: SchoolMeals) -> bytes:
    """The document as JSON for people and machines; `plan_from` gives the same value again."""
    return msgspec.json.format(msgspec.json.encode(document), indent=1) + b"\n"


def plan_faults(document: SchoolMeals) -> Iterator[MealPlanRefused]:
    """What of a document contradicts itself."""
    names = [one.meal for one in document.meals]
    for name in sorted(set(names)):
        if names.count(name) > 1:
            yield MealPlanRefused("{meal} is planned twice", meal=name)
    for planned in document.meals:
        meal, numbers = planned.meal, [shift.number for shift in planned.shifts]
        if numbers != list(range(1, len(numbers) + 1)):
            yield MealPlanRefused("{meal}: shifts must be numbered from 1 in their order", meal=meal)
        for shift in planned.shifts:
            if not shift.opens < shift.closes:
                yield MealPlanRefused(
                    "{meal}, shift {number}: it must open before it closes", meal=meal, number=shift.number
                )
        if planned.provisional > planned.final:
            yield MealPlanRefused("{meal}: the provisional lock comes after the final one", meal=meal)
        if planned.final > min(shift.opens for shift in planned.shifts):
            yield MealPlanRefused("{meal}: the final lock comes after the meal has begun", meal=meal)


def sittings_of(document: SchoolMeals, day: date) -> list[Sitting]:
    """Every shift of every meal on a day, by time."""
    return list(_sittings(document, day))


@lru_cache(maxsize=64)
def _sittings(document: SchoolMeals, day: date) -> tuple[Sitting, ...]:
    midnight = midnight_of(day)
    found = [
        Sitting(
            day,
            planned.meal,
            shift.number,
            midnight + minute_of(shift.opens) * MINUTE_MS,
            midnight + minute_of(shift.closes) * MINUTE_MS,
            shift.hall,
            shift.stations,
        )
        for planned in document.meals
        for shift in planned.shifts
    ]
    return tuple(sorted(found, key=lambda one: (one.opens_ms, one.meal, one.shift)))


def shift_of(planned: PlannedMeal, school_class: str) -> PlannedShift:
    """The shift in which a class eats: the closest that speaks of it, else the last one."""
    ranked = [(rank, -shift.number) for shift in planned.shifts if (rank := shift.rank(school_class)) is not None]
    if not ranked:
        return planned.shifts[-1]
    _, number = max(ranked)
    return next(shift for shift in planned.shifts if shift.number == -number)


def placed(plans: MealPlans, when: Moment, point: str | None, said: MealTap | None) -> Place:
    """The meal that a serving at `point` (None: in the classroom) is of; see the table above."""
    within = _possible(plans, when, point)
    named = None if said is None else (date.fromisoformat(said.day), said.meal)
    if not within:
        if said is not None and named is not None and not when.anchored:
            return Place(*named, said.shift, "said", sure=False)
        near = _nearest_of_day(plans, when.best_ms)
        ends = {_nearest_of_day(plans, at_ms).of for at_ms in (when.not_before_ms, when.not_after_ms)}
        return Place(near.day, near.meal, near.shift, "outside", sure=when.anchored and ends == {near.of})
    # Where only one meal is possible at all, a moment out of all hours is of it, too.
    meals = {one.of for one in within}
    certain = meals if len(meals) == 1 else _nearest_all_along(within, when) if when.anchored else set()
    if named in meals and len(meals) > 1:
        near = _nearest((one for one in within if one.of == named), when.best_ms)
        shown = when.anchored and when.not_after_ms - when.not_before_ms <= SAID_MS
        return Place(near.day, near.meal, near.shift, "said", sure=shown or certain == {named})
    near = _nearest(within, when.best_ms)
    return Place(near.day, near.meal, near.shift, "time", sure=certain == {near.of})


def _nearest_all_along(sittings: Sequence[Sitting], when: Moment) -> set[tuple[date, Meal]]:
    """Every meal that some moment within the bounds is nearest to: at their ends, or where a sitting ends."""
    ends = (min(max(one.closes_ms - 1, when.not_before_ms), when.not_after_ms) for one in sittings)
    return {_nearest(sittings, at_ms).of for at_ms in {when.not_before_ms, when.not_after_ms, *ends}}


def _nearest_of_day(plans: MealPlans, at_ms: int) -> Sitting:
    """The sitting of a moment's own day that it is nearest to."""
    return _nearest(sittings_of(plan_on(plans, day_of(at_ms)), day_of(at_ms)), at_ms)


def _possible(plans: MealPlans, when: Moment, point: str | None) -> list[Sitting]:
    """The sittings of this counter that the bounds of a time reach; none where they reach too far."""
    first, last = day_of(when.not_before_ms), day_of(when.not_after_ms)
    if (last - first).days >= SPAN_DAYS_MAX:
        return []
    days = [first + timedelta(days=number) for number in range((last - first).days + 1)]
    return [
        one
        for day in days
        for one in sittings_of(plan_on(plans, day), day)
        if one.serves(point)
        and one.opens_ms - GRACE_BEFORE_MS <= when.not_after_ms
        and when.not_before_ms < one.closes_ms + GRACE_AFTER_MS
    ]


def _nearest(sittings: Iterable[Sitting], at_ms: int) -> Sitting:
    """The sitting that a moment lies in, or nearest to; the earlier one of equals."""
    return min(sittings, key=lambda one: (max(one.opens_ms - at_ms, at_ms + 1 - one.closes_ms, 0), one.opens_ms))


def midnight_of(day: date) -> int:
    """When a day begins at the school, Unix ms."""
    return int(datetime.combine(day, time(), VIETNAM).timestamp() * 1000)


def day_of(at_ms: int) -> date:
    """The school's date at a moment, of the years that a calendar has."""
    bounded = min(max(at_ms, _FIRST_MS), _LAST_MS)
    return datetime.fromtimestamp(bounded / 1000, VIETNAM).date()


def clock_ms(day: date, clock: str, days_before: int = 0) -> int:
    """The moment of a local HH:MM on a day, or some days before."""
    return midnight_of(day) - days_before * DAY_MS + minute_of(clock) * MINUTE_MS


_FIRST_MS: Final = midnight_of(date(1971, 1, 1))
_LAST_MS: Final = midnight_of(date(2199, 12, 31))
