"""The edits of a timetable that people make often, and what each changes: free days, bells, weekdays. Pure."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from itertools import islice
from typing import Final, TypeVar

import msgspec

from hub.attendance.evidence import HALVES, Direction, Session
from hub.attendance.schoolday import VIETNAM
from hub.attendance.timetable import (
    GRADES,
    MINUTE_MS,
    Bell,
    Bells,
    Grade,
    Holiday,
    MakeUp,
    Scope,
    Timetable,
    TimetableRefused,
    Week,
    Weekday,
    grade_of,
    minute_of,
    sessions_of,
    weekday_of,
)
from protocol.names import class_order, spelled
from protocol.records import Half

Edit = Callable[[Timetable], Timetable]
E = TypeVar("E", Bells, Week)
DAYS_MAX: Final = 400
"""Days that are compared: a school year and its holidays."""
DAY_MINUTES: Final = 1_440
SHIFTS: Final = tuple(range(-60, 61, 15))
"""Streets stagger by a quarter of an hour; more than one hour is another shift, which is bells."""


@dataclass(frozen=True, slots=True)
class Hours:
    """All of a half-day that a mark depends on: its times as minutes of the day, and who stays over noon."""

    opens: int
    starts: int
    late_after: int
    final: int
    ends: int
    stays: bool = False


@dataclass(frozen=True, slots=True)
class Difference:
    """What changes for classes on days: a half-day's hours before and after, None where there are no lessons."""

    half: Half
    before: Hours | None
    after: Hours | None
    classes: tuple[str, ...]
    days: tuple[date, ...]


Open = tuple[int, int, Direction]
"""When a gate leads which way on a day: from and until which minute of it."""


@dataclass(frozen=True, slots=True)
class GateDifference:
    """What changes at a gate on days: its windows before and after, None where it goes by its own direction.

    `point` empty: every station of the device that no window names.
    """

    device: str
    point: str
    before: tuple[Open, ...] | None
    after: tuple[Open, ...] | None
    days: tuple[date, ...]


# --- edits ------------------------------------------------------------------------------------------------------------


def scope_from(text: str, classes: Collection[str]) -> Scope:
    """Whom an entry is for, as people type it: `1, 2, 3/2`; a bare number is a grade. Raises TimetableRefused."""
    grades: list[Grade] = []
    named: list[str] = []
    for word in (spelled(part) for part in text.replace(";", ",").split(",")):
        if word in GRADES and word not in classes:
            grades.append(word)
        elif word in classes:
            named.append(word)
        elif word:
            raise TimetableRefused(
                f"{word[:40]!r} is neither a grade nor a class of the school",
                vi=f"{word[:40]!r} không phải khối hay lớp nào của trường",
            )
    return Scope(grades=tuple(dict.fromkeys(grades)), classes=tuple(dict.fromkeys(named)))


def add_holiday(holiday: Holiday) -> Edit:
    """Days, or half-days, without lessons."""

    def edit(document: Timetable) -> Timetable:
        known = tuple(one for one in document.holidays if one != holiday)
        return msgspec.structs.replace(document, holidays=_sorted(*known, holiday))

    return edit


def remove_holiday(holiday: Holiday) -> Edit:
    """There are lessons after all."""

    def edit(document: Timetable) -> Timetable:
        left = tuple(one for one in document.holidays if one != holiday)
        return msgspec.structs.replace(document, holidays=left)

    return edit


def add_make_up(made: MakeUp) -> Edit:
    """A day that is taught as another weekday; it goes before what was said of that day for the same classes."""

    def edit(document: Timetable) -> Timetable:
        def same(one: MakeUp) -> bool:
            return (one.day, one.grades, one.classes) == (made.day, made.grades, made.classes)

        left = [one for one in document.make_up if not same(one)]
        return msgspec.structs.replace(document, make_up=tuple(sorted([*left, made], key=lambda one: one.day)))

    return edit


def set_bell(scope: Scope, half: Half, bell: Bell) -> Edit:
    """The bell of a half-day, for every weekday that has no bells of its own."""

    def change(bells: Bells) -> Bells:
        return msgspec.structs.replace(bells, **{half: bell})

    def edit(document: Timetable) -> Timetable:
        am, pm = (bell, None) if half == "am" else (None, bell)
        fresh = Bells(grades=scope.grades, classes=scope.classes, am=am, pm=pm)
        rings = [not one.weekdays and one.of(half) is not None for one in document.bells]
        if not scope.grades and not scope.classes:
            return msgspec.structs.replace(document, bells=_whole(document.bells, rings, change, fresh))
        bells = _split(document.bells, scope, lambda one: not one.weekdays, change, fresh)
        return msgspec.structs.replace(document, bells=bells)

    return edit


def set_halves(scope: Scope, weekday: Weekday, halves: Sequence[Half]) -> Edit:
    """The half-days with lessons on a weekday."""

    def change(week: Week) -> Week:
        return msgspec.structs.replace(week, days={**week.days, weekday: tuple(halves)})

    def edit(document: Timetable) -> Timetable:
        fresh = Week(grades=scope.grades, classes=scope.classes, days={weekday: tuple(halves)})
        if not scope.grades and not scope.classes:
            named = [weekday in one.days for one in document.weeks]
            return msgspec.structs.replace(document, weeks=_whole(document.weeks, named, change, fresh))
        weeks = _split(document.weeks, scope, lambda _: True, change, fresh)
        return msgspec.structs.replace(document, weeks=weeks)

    return edit


def set_shift(shift_min: int) -> Edit:
    """The school's place among those of its street."""
    if shift_min not in SHIFTS:
        known = ", ".join(map(str, SHIFTS))
        raise TimetableRefused(f"{shift_min} is not one of {known}", vi=f"{shift_min} không phải một trong {known}")
    return lambda document: msgspec.structs.replace(document, shift_min=shift_min)


def noted(edit: Edit, note: str) -> Edit:
    """The same, with why it was made."""
    return lambda document: msgspec.structs.replace(edit(document), note=note)


def _sorted(*holidays: Holiday) -> tuple[Holiday, ...]:
    return tuple(sorted(holidays, key=lambda one: (one.first, one.last, one.why)))


def _whole(entries: Sequence[E], speak: Sequence[bool], change: Callable[[E], E], fresh: E) -> tuple[E, ...]:
    """Every entry that speaks of it is changed: the whole school, also who has an entry of their own."""
    made: list[E] = [change(entry) if speaks else entry for entry, speaks in zip(entries, speak, strict=True)]
    if not any(speak):
        made.append(fresh)
    return tuple(made)


def _split(
    entries: Sequence[E], scope: Scope, touches: Callable[[E], bool], change: Callable[[E], E], fresh: E
) -> tuple[E, ...]:
    """Entries in which those of the scope are changed, and of shared ones only the scope's part.

    Whom no entry named yet gets `fresh`; the closest entry speaks, so what it leaves out stays as it was.
    """
    grades, classes = dict.fromkeys(scope.grades), dict.fromkeys(scope.classes)
    made: list[E] = []
    for entry in entries:
        mine = [grade for grade in entry.grades if grade in grades], [one for one in entry.classes if one in classes]
        if not touches(entry) or not any(mine):
            made.append(entry)
            continue
        rest = (
            tuple(grade for grade in entry.grades if grade not in grades),
            tuple(one for one in entry.classes if one not in classes),
        )
        if any(rest):
            other: E = msgspec.structs.replace(entry, grades=rest[0], classes=rest[1])
            made.append(other)
        part: E = msgspec.structs.replace(entry, grades=tuple(mine[0]), classes=tuple(mine[1]))
        made.append(change(part))
        for grade in mine[0]:
            grades.pop(grade, None)
        for one in mine[1]:
            classes.pop(one, None)
    if grades or classes:
        made.append(msgspec.structs.replace(fresh, grades=tuple(grades), classes=tuple(classes)))
    return tuple(made)


# --- what an edit changes ---------------------------------------------------------------------------------------------


def differences(
    before: Mapping[date, Timetable], after: Mapping[date, Timetable], days: Iterable[date], classes: Iterable[str]
) -> list[Difference]:
    """What changes on these days, at most DAYS_MAX of them; classes and days that change alike stand together.

    `before`, `after`: documents by the day from which on each holds.
    """
    alike = _alike([*before.values(), *after.values()], classes)
    by_class: dict[tuple[date, Half, Hours | None, Hours | None], list[str]] = {}
    for day in list(days)[:DAYS_MAX]:
        old, new = _at(before, day), _at(after, day)
        if old is new:
            continue
        for school_class, names in alike.items():
            was, now = _hours(old, day, school_class), _hours(new, day, school_class)
            for half in HALVES:
                if was.get(half) != now.get(half):
                    by_class.setdefault((day, half, was.get(half), now.get(half)), []).extend(names)
    found: dict[tuple[Half, Hours | None, Hours | None, tuple[str, ...]], list[date]] = {}
    for (day, half, was_at, now_at), names in by_class.items():
        found.setdefault((half, was_at, now_at, tuple(sorted(names, key=class_order))), []).append(day)
    return [Difference(half, was_at, now_at, names, tuple(on)) for (half, was_at, now_at, names), on in found.items()]


def gate_differences(
    before: Mapping[date, Timetable], after: Mapping[date, Timetable], days: Iterable[date]
) -> list[GateDifference]:
    """At which gates taps mean another way on these days, at most DAYS_MAX of them; see `differences`."""
    stations = sorted(
        {
            (window.device, point)
            for document in (*before.values(), *after.values())
            for window in document.windows
            for point in ("", window.point)
        }
    )
    found: dict[tuple[str, str, tuple[Open, ...] | None, tuple[Open, ...] | None], list[date]] = {}
    for day in list(days)[:DAYS_MAX]:
        old, new = _at(before, day), _at(after, day)
        if old is new:
            continue
        for device, point in stations:
            was, now = _open(old, day, device, point), _open(new, day, device, point)
            if was != now:
                found.setdefault((device, point, was, now), []).append(day)
    return [GateDifference(*place, tuple(on)) for place, on in found.items()]


def _open(document: Timetable | None, day: date, device: str, point: str) -> tuple[Open, ...] | None:
    """A station's windows on a day, moved by the shift, within the day."""
    mine = [] if document is None else [window for window in document.windows if window.at(device, point)]
    if document is None or not mine:
        return None
    found = set[Open]()
    for window in mine:
        begins, ends = (minute_of(clock) + document.shift_min for clock in (window.begins, window.ends))
        if (not window.weekdays or weekday_of(day) in window.weekdays) and begins < DAY_MINUTES and ends > 0:
            found.add((max(begins, 0), min(ends, DAY_MINUTES), window.way))
    return tuple(sorted(found))


def days_touched(
    first_day: date, before: Mapping[date, Timetable], after: Mapping[date, Timetable]
) -> tuple[list[date], bool]:
    """The days of school years from one on for which another document holds; whether there are more than DAYS_MAX."""
    years = [(document.first, document.last) for document in (*before.values(), *after.values())]
    first = max(first_day, min(begin for begin, _ in years))
    last = max(end for _, end in years)
    days = (first + timedelta(days=number) for number in range((last - first).days + 1))
    other = (day for day in days if any(begin <= day <= end for begin, end in years))
    found = list(islice((day for day in other if _at(before, day) is not _at(after, day)), DAYS_MAX + 1))
    return found[:DAYS_MAX], len(found) > DAYS_MAX


def _alike(documents: Iterable[Timetable], classes: Iterable[str]) -> dict[str, list[str]]:
    """One class for all that every document treats alike: those of a grade that none names."""
    named = {name for document in documents for scope in _scopes(document) for name in scope.classes}
    groups: dict[str, list[str]] = {}
    for name in classes:
        groups.setdefault(name if name in named else f"grade {grade_of(name)}", []).append(name)
    return {names[0]: names for names in groups.values()}


def _scopes(document: Timetable) -> Iterator[Scope]:
    yield from document.holidays
    yield from document.make_up
    yield from document.bells
    yield from document.weeks


def _at(versions: Mapping[date, Timetable], day: date) -> Timetable | None:
    since = max((first for first in versions if first <= day), default=None)
    return None if since is None else versions[since]


def _hours(document: Timetable | None, day: date, school_class: str) -> dict[Half, Hours]:
    if document is None:
        return {}
    return {session.half: _of(session) for session in sessions_of(document, day, school_class)}


def _of(session: Session) -> Hours:
    midnight_ms = int(datetime.combine(session.day, datetime.min.time(), VIETNAM).timestamp() * 1000)
    clocks = (session.opens_ms, session.starts_ms, session.late_after_ms, session.final_ms, session.ends_ms)
    opens, starts, late_after, final, ends = ((at_ms - midnight_ms) // MINUTE_MS for at_ms in clocks)
    return Hours(opens, starts, late_after, final, ends, session.stays)
