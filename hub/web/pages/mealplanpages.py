"""The page of the meal plan: which meals, on which weekdays, in which shifts and halls, and their locks; from a day on.

One meal is changed at a time; the others stay. The whole document goes by `k12edge hub meal-plan`.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from typing import Annotated, Final, Literal

import msgspec
from fastapi import Form
from fastapi.responses import RedirectResponse, Response

from hub.attendance.calendaredits import scope_from
from hub.attendance.timetable import CLOCK, SLUG, TimetableRefused
from hub.days.office import EntryRefused
from hub.meals.sittings import (
    WEEK,
    MealPlanRefused,
    PlannedMeal,
    PlannedShift,
    SchoolMeals,
    plan_faults,
    plan_on,
    shift_of,
)
from hub.web.dayforms import AskedDay
from hub.web.ground import Web
from hub.web.mealforms import AskedMeal, AskedSaid, FormMeal, FormWhy, MealDate, meal_asked, meal_words, meals_path
from hub.web.pages.cardpages import classes_of, name_of
from hub.web.registry import N_
from hub.web.visits import Visit, Visitor
from hub.web.words import WEEKDAYS
from protocol.meals import MEALS, SHIFTS_MAX, Meal
from protocol.names import spelled
from protocol.records import Half

SAID: Final = {"kept": N_("Đã ghi. Các quầy biết trong vài giây; phiếu bếp đã chốt thì giữ nguyên.")}
Typed = Annotated[list[Annotated[str, Form(max_length=400)]] | None, Form(max_length=SHIFTS_MAX + 1)]
Clock = Annotated[str, Form(max_length=5)]


@dataclass(frozen=True, slots=True)
class Row:
    """A shift as it is typed. Without a time it is none."""

    opens: str
    closes: str
    whom: str
    hall: str
    stations: str


@dataclass(frozen=True, slots=True)
class Asked:
    """A meal as it is typed, or as the plan has it; shown again where it is refused."""

    served: bool
    weekdays: Sequence[int]
    half: Half
    provisional: str
    final: str
    money: str
    money_days_before: int
    second: Literal["count", "ask"]
    rows: Sequence[Row]
    why: str = ""


def add_plan_pages(web: Web) -> None:
    """`/meals/plan`."""

    @web.page("/meals/plan")
    def plan(visit: Visitor, day: AskedDay = None, meal: AskedMeal = None, said: AskedSaid = "") -> Response:
        return _shown(web, visit, day or visit.today, meal, said=said)

    @web.form("/meals/plan", "calendar", "meal plan")
    def change(
        visit: Visitor,
        day: MealDate,
        meal: FormMeal,
        serves: Annotated[str, Form(max_length=1)] = "",
        weekdays: Annotated[list[int] | None, Form(max_length=7)] = None,
        half: Annotated[Half, Form()] = "am",
        provisional: Clock = "",
        final: Clock = "",
        money: Clock = "",
        money_days_before: Annotated[int, Form(ge=0, le=7)] = 0,
        second: Annotated[Literal["count", "ask"], Form()] = "count",
        opens: Typed = None,
        closes: Typed = None,
        whom: Typed = None,
        hall: Typed = None,
        stations: Typed = None,
        why: FormWhy = "",
    ) -> Response:
        """From `day` on this meal is so, or isn't served. Shifts are numbered as they stand; empty rows are none."""
        columns = [column or [] for column in (opens, closes, whom, hall, stations)]
        rows = [Row(*(text.strip() for text in row)) for row in zip(*columns, strict=False)]
        locks = provisional, final, money, money_days_before
        asked = Asked(bool(serves), weekdays or [], half, *locks, second, rows, why.strip())
        try:
            with web.store.database.transaction():
                before = plan_on(web.store.mealplans.plans(), day)
                planned = _planned(meal, asked, classes_of(web, visit)) if asked.served else None
                web.store.mealdesk.plan(name_of(visit), day, _document(before, meal, planned, asked))
        except (EntryRefused, MealPlanRefused) as problem:
            return _shown(web, visit, day, meal, problem=web.refused(visit, problem), asked=asked, http=409)
        except TimetableRefused as problem:
            visit.failed(problem.code)
            told = problem.vi if visit.language == "vi" else str(problem)
            return _shown(web, visit, day, meal, problem=told, asked=asked, http=409)
        return RedirectResponse(meals_path("/meals/plan", day=day, meal=meal, said="kept"), 303)


def _document(before: SchoolMeals, meal: Meal, planned: PlannedMeal | None, asked: Asked) -> SchoolMeals:
    """The plan with one meal as it is said, or without it. Raises EntryRefused, MealPlanRefused."""
    meals = [one for one in before.meals if one.meal != meal] + ([] if planned is None else [planned])
    if not meals:
        raise EntryRefused("a plan has at least one meal; where there is none on a day, say that there is no meal")
    meals.sort(key=lambda one: MEALS.index(one.meal))
    document = msgspec.structs.replace(before, meals=tuple(meals), second=asked.second, note=asked.why)
    for fault in plan_faults(document):
        raise fault
    return document


def _planned(meal: Meal, asked: Asked, classes: Sequence[str]) -> PlannedMeal:
    """The meal that is typed. Raises EntryRefused, TimetableRefused."""
    for clock in (asked.provisional, asked.final, asked.money):
        _clock(clock)
    return PlannedMeal(
        meal=meal,
        shifts=_shifts(asked.rows, classes),
        half=asked.half,
        weekdays=_weekdays(asked.weekdays),
        provisional=asked.provisional,
        final=asked.final,
        money=asked.money,
        money_days_before=asked.money_days_before,
    )


def _shifts(rows: Sequence[Row], classes: Sequence[str]) -> tuple[PlannedShift, ...]:
    """The shifts that are typed. Raises EntryRefused, TimetableRefused."""
    found: list[PlannedShift] = []
    for row in rows:
        if not row.opens and not row.closes:
            continue
        _clock(row.opens)
        _clock(row.closes)
        stations = tuple(word for part in row.stations.replace(";", ",").split(",") if (word := spelled(part)))
        for name in stations:
            if not re.match(SLUG, name):
                raise EntryRefused("{station!r} is no counter's name such as quay-1", station=name[:40])
        if len(row.hall) > 80 or not row.hall.isprintable():
            raise EntryRefused("hall: one line of at most 80 characters")
        scope = scope_from(row.whom, classes)
        found.append(
            PlannedShift(
                number=len(found) + 1,
                opens=row.opens,
                closes=row.closes,
                hall=row.hall,
                stations=stations,
                grades=scope.grades,
                classes=scope.classes,
            )
        )
    if not 0 < len(found) <= SHIFTS_MAX:
        raise EntryRefused("a meal has 1 to {most} shifts", most=SHIFTS_MAX)
    return tuple(found)


def _weekdays(ticked: Sequence[int]) -> tuple[int, ...]:
    days = tuple(sorted({day for day in ticked if 0 <= day < 7}))
    if not days:
        raise EntryRefused("weekdays: on which days there is this meal must be said")
    return days


def _clock(text: str) -> None:
    if not re.match(CLOCK, text):
        raise EntryRefused("{clock!r} is no time such as 10:30", clock=text[:20])


def _shown(
    web: Web,
    visit: Visit,
    day: date,
    meal: Meal | None,
    *,
    said: str = "",
    problem: str = "",
    asked: Asked | None = None,
    http: int = 200,
) -> Response:
    name = meal_asked(web, day, meal)
    with web.store.database.lock:
        plans = web.store.mealplans.plans()
        classes = classes_of(web, visit)
    document = plan_on(plans, day)
    form = asked or _asked(document, name)
    empty = Row("", "", "", "", "")
    told = SAID.get(said)
    return web.show(
        visit,
        "mealsplan.html",
        http,
        day=day,
        meal=name,
        every=MEALS,
        document=document,
        form=form,
        since=max((first for first in plans if first <= day), default=None),
        later=sorted(first for first in plans if first > day),
        first_day=max(day, visit.today),
        eaters={one.meal: _eaters(one, classes) for one in document.meals},
        rows=[*(row for row in form.rows if row != empty), empty, empty][:SHIFTS_MAX],
        weekdays=WEEKDAYS[visit.language],
        told=None if told is None else web.say(visit, told),
        problem=problem,
        words=meal_words(web, visit),
    )


def _asked(document: SchoolMeals, meal: Meal) -> Asked:
    """The form of a meal as the plan has it; of one that isn't planned as most schools would."""
    planned = document.of(meal)
    if planned is None:
        return Asked(False, WEEK, "am", "07:00", "08:00", "08:00", 0, document.second, ())
    locks = planned.provisional, planned.final, planned.money, planned.money_days_before
    rows = [_row(one) for one in planned.shifts]
    return Asked(True, planned.weekdays, planned.half, *locks, document.second, rows)


def _row(shift: PlannedShift) -> Row:
    return Row(
        shift.opens, shift.closes, ", ".join([*shift.grades, *shift.classes]), shift.hall, ", ".join(shift.stations)
    )


def _eaters(planned: PlannedMeal, classes: Sequence[str]) -> dict[int, list[str]]:
    """Shift -> the school's classes that eat in it."""
    found: dict[int, list[str]] = {one.number: [] for one in planned.shifts}
    for school_class in classes:
        found[shift_of(planned, school_class).number].append(school_class)
    return found
