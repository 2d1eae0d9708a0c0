"""The year's plan from lists: holidays, make-up days and bells laid into the school's timetable. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from typing import Any, Final

import msgspec

from hub.attendance.timetable import GRADES, WEEKDAYS, Bell, Bells, Holiday, MakeUp, Timetable, Week
from hub.lists.lines import CalendarLine, TimetableLine
from protocol.records import Half

_GRADE: Final = re.compile(r"(?:khối|grade)?\s*([1-9]|1[0-2])", re.IGNORECASE)


def with_calendar(document: Timetable, lines: Sequence[CalendarLine]) -> Timetable:
    """With the list's holidays and make-up days in the place of all that it had."""
    holidays: list[Holiday] = []
    make_up: list[MakeUp] = []
    for line in lines:
        scope = scope_of(line.classes)
        if line.as_weekday is None:
            halves: tuple[Half, ...] = ("am", "pm") if line.half is None else (line.half,)
            holidays.append(Holiday(first=line.first, last=line.last, why=line.name, halves=halves, **scope))
        else:
            taught_as = WEEKDAYS[line.as_weekday]
            make_up.append(MakeUp(day=line.first, taught_as=taught_as, why=line.name, **scope))
    return msgspec.structs.replace(document, holidays=tuple(holidays), make_up=tuple(make_up))


def with_bells(document: Timetable, lines: Sequence[TimetableLine]) -> Timetable:
    """With the list's bells and half-days in the place of all that it had."""
    bells: list[Bells] = []
    weeks: list[Week] = []
    scopes = list(dict.fromkeys(line.of for line in lines))
    for of in scopes:
        mine = [line for line in lines if line.of == of]
        scope = scope_of(of)
        for weekdays in dict.fromkeys(line.weekdays for line in mine):
            times = {line.half: _bell(line) for line in mine if line.weekdays == weekdays}
            days = () if len(weekdays) == len(WEEKDAYS) else tuple(WEEKDAYS[day] for day in weekdays)
            bells.append(Bells(am=times.get("am"), pm=times.get("pm"), weekdays=days, **scope))
        halves: dict[Any, tuple[Half, ...]] = {}
        for line in mine:
            for day in line.weekdays:
                halves[WEEKDAYS[day]] = tuple(sorted({*halves.get(WEEKDAYS[day], ()), line.half}))
        stays = any(line.stays for line in mine) if any(line.half == "pm" for line in mine) else None
        weeks.append(Week(days=halves, stays=stays, **scope))
    return msgspec.structs.replace(document, bells=tuple(bells), weeks=tuple(weeks))


def scope_of(names: Iterable[str]) -> dict[str, Any]:
    """`grades` and `classes` of what a cell names: `3` and `Khối 3` are grades, `3/2` is a class."""
    grades: list[str] = []
    classes: list[str] = []
    for name in names:
        found = _GRADE.fullmatch(name)
        if found is not None and found[1] in GRADES:
            grades.append(found[1])
        else:
            classes.append(name)
    return {"grades": tuple(grades), "classes": tuple(classes)}


def _bell(line: TimetableLine) -> Bell:
    return Bell(*(f"{at:%H:%M}" for at in (line.opens, line.starts, line.late_after, line.final, line.ends)))
