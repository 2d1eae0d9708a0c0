"""Golden meals: the meals of a golden day's files, from which sheets, servings and meal days are made again.

They lie beside the files of hub.attendance.goldenday; see docs/reference/cli.md. A tap at a station that menus.csv
names is at a counter, and says nothing at a gate.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import date
from typing import Final, TypeVar, cast

import msgspec

from hub.attendance.csvcells import Cells, DayRefused, csv_rows, csv_text
from hub.attendance.goldenday import ERRORS_SHOWN, FILES
from hub.attendance.schoolday import SchoolDay
from hub.attendance.timetable import minute_of
from hub.meals.goldencounters import as_counted, detail_from, detailed
from hub.meals.goldenfaults import disagreements, unserved
from hub.meals.mealdays import PupilMeal, meals_of
from hub.meals.portions import Closure, Cut, Enrolment, Excuse, PortionWord, Said, registered, sheet_of
from hub.meals.servings import ClassList, Counters, CounterTap, Served, ServingWord, Why, served
from hub.meals.sittings import MealPlans, Moment, PlannedMeal, PlannedShift, SchoolMeals, plan_on
from hub.meals.wordorder import NOW, Until
from protocol.envelope import rfc3339
from protocol.meals import MEALS, PORTIONS, Meal, Portion

MEAL_FILES: Final[Mapping[str, tuple[str, ...]]] = {
    "menus.csv": ("date", "meal", "shift", "opens", "closes", "classes", "stations", "menu", "lot"),
    "enrolment.csv": ("id", "at", "by", "pupil_key", "from", "to", "weekdays", "meals", "portion"),
    "cuts.csv": ("id", "at", "by", "pupil_key", "from", "to", "meals", "withdraws"),
    "closures.csv": ("id", "at", "by", "date", "meals", "closed"),
    "locks.csv": ("date", "meal", "lock", "at"),
    "counters.csv": ("id", "decision", "nth", "hand", "by", "of", "pupil_key"),
    "corrections.csv": ("id", "at", "by", "tap", "why"),
    "class-lists.csv": ("id", "at", "by", "class", "date", "meal", "seen", "served"),
}
"""Each file and its columns; one that isn't there is empty."""
SHEET_HEADER: Final = (
    *("date", "meal", "lock", "at", "class", "registered", "cut"),
    *("regular", "vegetarian", "porridge", "diet", "total"),
)
SERVINGS_HEADER: Final = (
    *("date", "meal", "shift", "class", "pupil_key", "nth", "how", "confirmed", "flags", "time", "not_before"),
    *("not_after", "device", "point", "by", "adult", "card", "id", "menu", "lot"),
)
MEAL_DAYS_HEADER: Final = (
    *("date", "meal", "class", "pupil_key", "registered", "cut", "eaten", "seconds", "chargeable", "servings", "cuts"),
)
LOCKS: Final = ("provisional", "final", "money")
WHYS: Final = ("undone", "done", "second", "repeat")
EVERY_DAY: Final = (0, 1, 2, 3, 4, 5, 6)
T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Menu:
    """A shift of a meal on a day, its menu and lot."""

    day: date
    meal: Meal
    shift: PlannedShift
    menu: str
    lot: str


@dataclass(frozen=True, slots=True)
class GoldenMeals:
    """All of it, read. `locks` by day, meal and lock, Unix ms; `gates`: the day without the taps at counters."""

    menus: tuple[Menu, ...]
    said: tuple[Said, ...]
    locks: Mapping[tuple[date, Meal, str], int]
    counters: Counters
    gates: SchoolDay


def parse_meals(folder: str, files: Mapping[str, bytes], day: SchoolDay) -> GoldenMeals:
    """The meals that `files` say (MEAL_FILES and taps.csv, by name); raises DayRefused with every wrong line."""
    errors: list[str] = []

    def rows(name: str, made: Callable[[Cells], T]) -> list[T]:
        if name not in files:
            return []
        columns = MEAL_FILES[name] if name in MEAL_FILES else FILES[name]
        return list(csv_rows(f"{folder}/{name}", name, columns, files[name], made, errors))

    menus = tuple(rows("menus.csv", _menu))
    plans = _plans(menus, errors)
    stations = {station for one in menus for station in one.shift.stations}
    enrolled = rows("enrolment.csv", _enrolment)
    cut_lines = rows("cuts.csv", _cut)
    cuts = _with_withdrawals(cut_lines, errors)
    detail_lines = rows("counters.csv", detail_from)
    details = dict(detail_lines)
    taps = [one for one in rows("taps.csv", _tap) if one.point in stations]
    known = {one.id for one in taps}
    words = tuple(rows("corrections.csv", _word))
    locks: dict[tuple[date, Meal, str], int] = {}
    for place, at_ms in rows("locks.csv", _lock):
        if place in locks:
            errors.append(f"locks.csv: {place[0]} {place[1]} {place[2]} stands on two lines")
        locks[place] = at_ms
    lists = tuple(rows("class-lists.csv", _class_list))
    closures = rows("closures.csv", _closure)
    errors += disagreements(day, known, [one for one, _ in enrolled], cut_lines, detail_lines, words, lists)
    planned = {(one.day, one.meal) for one in menus}
    days = {on for on, _ in planned} | {on for on, _, _ in day.sessions}
    errors += unserved(planned, days, locks, cut_lines, closures, lists)
    if errors:
        more = f"\n  and {len(errors) - ERRORS_SHOWN} more" if len(errors) > ERRORS_SHOWN else ""
        raise DayRefused(f"{folder}: {len(errors)} faults\n  " + "\n  ".join(errors[:ERRORS_SHOWN]) + more)
    said_of = [detailed(plans, one, details.get(one.id), known=one.card in day.bindings) for one in taps]
    decided = {name for name, detail in details.items() if detail.decision}
    counters = Counters(
        plans,
        tuple(as_counted(plans, said_of, decided, words, day.bindings)),
        words,
        lists,
        day.bindings,
    )
    gates = SchoolDay(
        day.pupils,
        day.bindings,
        day.sessions,
        tuple(one for one in day.taps if one[1].id not in known),
        day.statements,
        day.leaves,
        day.watermarks,
        day.now_ms,
    )
    said = tuple(_said(day, plans, one, enrolled, cuts, closures) for one in sorted({one.day for one in menus}))
    return GoldenMeals(menus, said, locks, counters, gates)


# --- what follows -----------------------------------------------------------------------------------------------------


def sheet_csv(known: GoldenMeals) -> str:
    """sheet.csv: the frozen sheets, and the numbers as all words say them (`now`), class by class."""
    rows: list[tuple[object, ...]] = []
    for said in known.said:
        for planned in said.plan.meals:
            moments = [(lock, known.locks.get((said.day, planned.meal, lock))) for lock in LOCKS[:2]]
            untils = [(lock, at_ms, Until(at_ms)) for lock, at_ms in moments if at_ms is not None]
            for lock, at_ms, until in (*untils, ("now", None, NOW)):
                sheet = sheet_of(registered(said, planned.meal, until))
                for school_class, one in sheet.items():
                    numbers = (one.registered, one.cut, one.regular, one.vegetarian, one.porridge, one.diet, one.total)
                    rows.append((said.day, planned.meal, lock, _time(at_ms), school_class, *numbers))
    return csv_text(SHEET_HEADER, rows)


def servings_csv(known: GoldenMeals, found: Served | None = None) -> str:
    """servings.csv: one line for each serving, by time."""
    menus = {(one.day, one.meal, one.shift.number): one for one in known.menus}
    classes = {said.day: said.classes for said in known.said}
    rows = []
    for one in (served(known.counters) if found is None else found).servings:
        menu = menus.get((one.day, one.meal, one.shift))
        rows.append(
            (
                one.day,
                one.meal,
                one.shift,
                classes.get(one.day, {}).get(one.pupil or "", ""),
                one.pupil or "",
                one.nth,
                one.how,
                "yes" if one.confirmed else "no",
                " ".join(one.flags),
                *map(_time, (one.when.best_ms, one.when.not_before_ms, one.when.not_after_ms)),
                one.device,
                one.point,
                one.by,
                one.adult or "",
                one.card,
                one.tap,
                "" if menu is None else menu.menu,
                "" if menu is None else menu.lot,
            )
        )
    return csv_text(SERVINGS_HEADER, rows)


def golden_meal_days(known: GoldenMeals, found: Served) -> Iterator[PupilMeal]:
    """Every pupil's meal of every day."""
    for said in known.said:
        for planned in said.plan.meals:
            yield from meals_of(said, planned.meal, found.servings, known.locks.get((said.day, planned.meal, "money")))


def meal_days_csv(meals: Iterable[PupilMeal]) -> str:
    """meal-days.csv: one line for each pupil and meal."""
    return csv_text(
        MEAL_DAYS_HEADER,
        (
            (
                one.day,
                one.meal,
                one.school_class,
                one.pupil,
                "yes" if one.registered else "no",
                one.cut or "",
                one.eaten or "",
                one.seconds,
                "yes" if one.chargeable else "no",
                " ".join(one.servings),
                " ".join(one.cuts),
            )
            for one in meals
        ),
    )


# --- lines ------------------------------------------------------------------------------------------------------------


def _menu(row: Cells) -> Menu:
    opens, closes = row.text("opens"), row.text("closes")
    number = row.number("shift") or 1
    try:
        shift = msgspec.convert(
            {
                "number": number,
                "opens": opens,
                "closes": closes,
                "classes": _words(row, "classes"),
                "stations": _words(row, "stations"),
            },
            PlannedShift,
        )
    except msgspec.ValidationError as problem:
        raise ValueError(f"no shift of a meal: {problem}") from problem
    if minute_of(opens) >= minute_of(closes):
        raise ValueError("opens and closes don't follow each other")
    return Menu(row.day("date"), _meal(row, "meal"), shift, row.maybe("menu"), row.maybe("lot"))


def _words(row: Cells, column: str) -> list[str]:
    return [word for part in row.maybe(column).split(";") if (word := part.strip())]


def _meal(row: Cells, column: str) -> Meal:
    return cast("Meal", row.one_of(column, MEALS))


def _meals(row: Cells) -> tuple[Meal, ...]:
    found = _words(row, "meals")
    for word in found:
        if word not in MEALS:
            raise ValueError(f"meals {word!r} is not one of {', '.join(MEALS)}")
    return cast("tuple[Meal, ...]", tuple(found))


def _plans(menus: Iterable[Menu], errors: list[str]) -> MealPlans:
    """Each day's plan as its menus say. A school that serves a meal by its menu does so whatever weekday it is."""
    shifts: dict[date, dict[Meal, dict[int, PlannedShift]]] = defaultdict(lambda: defaultdict(dict))
    for one in menus:
        mine = shifts[one.day][one.meal]
        if one.shift.number in mine:
            errors.append(f"menus.csv: {one.day} {one.meal} has shift {one.shift.number} on two lines")
        mine[one.shift.number] = one.shift
    return {
        day: SchoolMeals(
            meals=tuple(
                PlannedMeal(
                    meal=meal,
                    shifts=tuple(shift for _, shift in sorted(numbered.items())),
                    half="am" if meal in ("breakfast", "lunch") else "pm",
                    weekdays=EVERY_DAY,
                )
                for meal, numbered in meals.items()
            )
        )
        for day, meals in sorted(shifts.items())
    }


def _enrolment(row: Cells) -> tuple[Enrolment, PortionWord | None]:
    first, last = row.day("from"), row.day("to", date.max)
    if last < first:
        raise ValueError("from and to don't follow each other")
    weekdays = []
    for word in _words(row, "weekdays") or ["0", "1", "2", "3", "4"]:
        if word not in map(str, EVERY_DAY):
            raise ValueError(f"weekdays {word!r} is no number from 0 (Monday) to 6")
        weekdays.append(int(word))
    ends = None if last == date.max else last
    name, at_ms, pupil, by = row.text("id"), row.moment("at"), row.text("pupil_key"), row.text("by")
    said = Enrolment(name, at_ms, pupil, first, ends, tuple(weekdays), _meals(row), by)
    if not row.maybe("portion"):
        return said, None
    portion = cast("Portion", row.one_of("portion", PORTIONS))
    return said, PortionWord(name, at_ms, pupil, first, ends, portion, by)


def _cut(row: Cells) -> tuple[Cut, str]:
    """A cut; or a withdrawal, which needs no more than its own id, when, by whom, and the cut's."""
    if row.maybe("withdraws"):
        word = Cut(row.text("id"), row.moment("at"), "", date.min, date.max, by=row.text("by"))
        return word, row.maybe("withdraws")
    first = row.day("from")
    last = row.day("to", first)
    if last < first:
        raise ValueError("from and to don't follow each other")
    name, at_ms, by = row.text("id"), row.moment("at"), row.text("by")
    return Cut(name, at_ms, row.text("pupil_key"), first, last, _meals(row), by=by), ""


def _closure(row: Cells) -> Closure:
    closed = not row.maybe("closed") or row.one_of("closed", ("yes", "no")) == "yes"
    return Closure(row.text("id"), row.moment("at"), row.day("date"), _meals(row), closed, row.text("by"))


def _with_withdrawals(rows: Iterable[tuple[Cut, str]], errors: list[str]) -> list[Cut]:
    lines = list(rows)
    found = {cut.id: cut for cut, withdraws in lines if not withdraws}
    for word, withdraws in sorted(lines, key=lambda one: one[0].at_ms):
        if withdraws and withdraws not in found:
            errors.append(f"cuts.csv: there is no cut {withdraws} that {word.id} withdraws")
        elif withdraws and found[withdraws].gone is None:
            found[withdraws] = msgspec.structs.replace(found[withdraws], gone_ms=word.at_ms, gone=word.id)
    return list(found.values())


def _lock(row: Cells) -> tuple[tuple[date, Meal, str], int]:
    return (row.day("date"), _meal(row, "meal"), row.one_of("lock", LOCKS)), row.moment("at")


def _tap(row: Cells) -> CounterTap:
    best_ms = row.moment("time")
    when = Moment(best_ms, row.moment("not_before", best_ms), row.moment("not_after", best_ms))
    return CounterTap(
        row.text("id"), row.text("device"), row.text("point"), row.text("card"), None, "accepted", None, when
    )


def _word(row: Cells) -> ServingWord:
    why = cast("Why", row.one_of("why", WHYS))
    return ServingWord(row.text("tap"), row.text("id"), row.moment("at"), why, row.text("by"))


def _class_list(row: Cells) -> ClassList:
    day, meal, seen_ms = row.day("date"), _meal(row, "meal"), row.moment("seen")
    pupils = tuple(_words(row, "served"))
    return ClassList(row.text("id"), row.text("class"), day, meal, pupils, row.text("by"), row.moment("at"), seen_ms)


def _said(
    day: SchoolDay,
    plans: MealPlans,
    at: date,
    enrolled: Iterable[tuple[Enrolment, PortionWord | None]],
    cuts: Iterable[Cut],
    closures: Iterable[Closure],
) -> Said:
    words = list(enrolled)
    return Said(
        at,
        plan_on(plans, at),
        {one.key: one.school_class for one in day.pupils if one.first <= at <= one.last},
        {name: at.weekday() for on, name, _ in day.sessions if on == at},
        tuple(one for one, _ in words),
        tuple(portion for _, portion in words if portion is not None),
        tuple(cuts),
        tuple(Excuse(one) for one in day.leaves),
        tuple(closures),
    )


def _time(at_ms: int | None) -> str:
    return "" if at_ms is None else rfc3339(at_ms)
