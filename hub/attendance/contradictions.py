"""The contradictions of a timetable: what it says twice, or leaves unsaid, by name, and what to do. Pure.

A change is judged by what it makes worse: what stood before may stay, so that a school gets rid of one after another.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from itertools import combinations
from typing import Final

from hub.attendance.evidence import HALVES
from hub.attendance.timetable import (
    WEEKDAYS,
    Scope,
    Timetable,
    Weekday,
    bell_of,
    halves_of,
    minute_of,
)
from hub.fitting import PROBLEMS, unfit
from protocol.names import spelled
from protocol.records import Half

SHOWN_MAX: Final = 50
ANY_CLASS: Final = "?"
"""Stands for a class that no entry names, where the school's classes aren't known."""


@dataclass(frozen=True, slots=True)
class Problem:
    """Something that a person must decide: where it stands in the document, what it is, what to do."""

    where: str
    what: str
    do: str
    matter: str = ""

    @property
    def key(self) -> str:
        """What it is about, wherever it stands in the document; two with one `matter` are steps of the same."""
        return self.matter or re.sub(r"\[\d+\]", "[]", f"{self.where}: {self.what}")

    def __str__(self) -> str:
        """One line for people."""
        return f"{self.where}: {self.what}; {self.do}"


def problems(document: Timetable, classes: Collection[str] = ()) -> list[Problem]:
    """Everything that contradicts itself, at most SHOWN_MAX. With the school's `classes` also who is left out."""
    return _all(document, classes)[:SHOWN_MAX]


def judged(before: Timetable, after: Timetable, classes: Collection[str] = ()) -> tuple[list[Problem], list[Problem]]:
    """What a change makes worse, which is refused, and what stood before and still does; each at most SHOWN_MAX."""
    stood = Counter(problem.key for problem in _all(before, classes))
    worse: list[Problem] = []
    stands: list[Problem] = []
    for problem in _all(after, classes):
        (stands if stood[problem.key] > 0 else worse).append(problem)
        stood[problem.key] -= 1
    return worse[:SHOWN_MAX], stands[:SHOWN_MAX]


def _all(document: Timetable, classes: Collection[str]) -> list[Problem]:
    found: list[Problem] = []
    for part in (_texts, _terms, _make_ups, _doubles, _windows, _shifted):
        found += part(document)
    found += _lessons(document, classes)
    if classes:
        found += _strangers(document, classes)
    return found


def _texts(document: Timetable) -> Iterator[Problem]:
    """What people wrote is shown on pages and in files, so it is held to the rule of every other text."""
    texts = {"name": document.name, "note": document.note}
    texts |= {f"terms[{number}].name": term.name for number, term in enumerate(document.terms)}
    texts |= {f"holidays[{number}].why": holiday.why for number, holiday in enumerate(document.holidays)}
    texts |= {f"make_up[{number}].why": made.why for number, made in enumerate(document.make_up)}
    for where, text in texts.items():
        problem = unfit(spelled(text), symbols=True)
        if problem is not None:
            yield Problem(where, f"the text {PROBLEMS[problem][1]}", "type it again")


def _terms(document: Timetable) -> Iterator[Problem]:
    for number, term in enumerate(document.terms):
        if term.first < document.first or term.last > document.last:
            yield Problem(f"terms[{number}]", f"{term.name} reaches beyond the school year", "correct one of the two")
    for one, other in combinations(document.terms, 2):
        if one.first <= other.last and other.first <= one.last:
            yield Problem("terms", f"{one.name} and {other.name} have days in common", "let the one end before")
    for number, holiday in enumerate(document.holidays):
        if holiday.last < document.first or holiday.first > document.last:
            yield Problem(f"holidays[{number}]", f"{holiday.why} lies outside the school year", "correct its days")


def _make_ups(document: Timetable) -> Iterator[Problem]:
    for number, made in enumerate(document.make_up):
        where = f"make_up[{number}]"
        if not document.first <= made.day <= document.last:
            yield Problem(where, f"{made.day} lies outside the school year", "correct the day")
        for holiday in document.holidays:
            whole = set(holiday.halves) == set(HALVES)
            if whole and holiday.first <= made.day <= holiday.last and _same_scope(made, holiday):
                yield Problem(where, f"{made.day} is a holiday ({holiday.why})", "remove the one that isn't meant")
    for (first, one), (second, other) in combinations(enumerate(document.make_up), 2):
        if one.day == other.day and one.taught_as != other.taught_as and _overlap(one, other):
            yield Problem(f"make_up[{second}]", f"{one.day} is taught as another day in make_up[{first}]", "keep one")


def _doubles(document: Timetable) -> Iterator[Problem]:
    for (first, one), (second, other) in combinations(enumerate(document.bells), 2):
        twice = [half for half in HALVES if one.of(half) and other.of(half) and one.of(half) != other.of(half)]
        days = set(one.weekdays) & set(other.weekdays) or (not one.weekdays and not other.weekdays)
        if twice and days and _overlap(one, other):
            yield Problem(f"bells[{second}]", f"bells[{first}] has other times for the same ({twice[0]})", "keep one")
    for (first, here), (second, there) in combinations(enumerate(document.weeks), 2):
        if not _overlap(here, there):
            continue
        for weekday in WEEKDAYS:
            if weekday in here.days and weekday in there.days and {*here.days[weekday]} != {*there.days[weekday]}:
                yield Problem(f"weeks[{second}]", f"weeks[{first}] has another {weekday} for the same", "keep one")
                break
        if here.stays is not None and there.stays is not None and here.stays != there.stays:
            yield Problem(f"weeks[{second}]", f"weeks[{first}] says otherwise who stays over noon", "keep one")


def _windows(document: Timetable) -> Iterator[Problem]:
    for (first, one), (second, other) in combinations(enumerate(document.windows), 2):
        if one.device != other.device or (one.point and other.point and one.point != other.point):
            continue
        days = not one.weekdays or not other.weekdays or set(one.weekdays) & set(other.weekdays)
        if days and one.way != other.way and one.begins < other.ends and other.begins < one.ends:
            what = f"windows[{first}] says {one.way} at {one.device} where this says {other.way}"
            yield Problem(f"windows[{second}]", what, "let the one end where the other begins")


def _shifted(document: Timetable) -> Iterator[Problem]:
    for number, bells in enumerate(document.bells):
        for half in HALVES:
            bell = bells.of(half)
            if bell is not None:
                early, late = (minute_of(clock) + document.shift_min for clock in (bell.opens, bell.ends))
                if early < 0 or late >= 24 * 60:
                    where = f"bells[{number}].{half}"
                    yield Problem(where, f"moved by {document.shift_min} minutes it leaves the day", "correct either")


def _lessons(document: Timetable, classes: Collection[str]) -> Iterator[Problem]:
    """Half-days without a bell, mornings that end behind the afternoon's opening, classes without any lesson."""
    for school_class in _sample(document, classes):
        told = f"class {school_class}" if school_class != ANY_CLASS else "the default"
        week = {weekday: halves_of(document, weekday, school_class) for weekday in WEEKDAYS}
        if not any(week.values()) and school_class != ANY_CLASS:
            what, do = f"{told} has no lesson in the whole week", "add half-days and bells for it, its grade or all"
            yield Problem("weeks", what, do, f"lessons of {told}")
        for problem in _days_of(document, school_class, told, week):
            yield problem
            break
        for number, made in enumerate(document.make_up):
            if not any(week.values()) or school_class == ANY_CLASS:
                break
            if made.rank(school_class) is not None and not week[made.taught_as]:
                what = f"{told} has no lessons on a {made.taught_as}, which {made.day} is taught as"
                yield Problem(f"make_up[{number}]", what, "name another weekday, or the classes that have some")


def _days_of(
    document: Timetable, school_class: str, told: str, week: dict[Weekday, tuple[Half, ...]]
) -> Iterator[Problem]:
    for weekday, halves in week.items():
        bells = {half: bell_of(document, weekday, half, school_class) for half in HALVES if half in halves}
        for half, bell in bells.items():
            if bell is None:
                what = f"{told} has lessons on {weekday} ({half}) and no bell"
                yield Problem("bells", what, "add bells for it", f"lessons of {told}")
        morning, afternoon = bells.get("am"), bells.get("pm")
        if morning is not None and afternoon is not None and morning.ends > afternoon.opens:
            what = f"{told}, {weekday}: the afternoon opens at {afternoon.opens}, the morning ends at {morning.ends}"
            yield Problem("bells", what, "let the afternoon open later: a tap belongs to one half-day")


def _sample(document: Timetable, classes: Collection[str]) -> list[str]:
    """The school's classes; where they aren't known every class and grade that is named, and one that isn't."""
    if classes:
        return list(classes)
    named: dict[str, None] = {ANY_CLASS: None}
    for scope in _scopes(document).values():
        named.update(dict.fromkeys((*scope.classes, *scope.grades)))
    return list(named)


def _strangers(document: Timetable, classes: Collection[str]) -> Iterator[Problem]:
    for where, scope in _scopes(document).items():
        strange = [name for name in scope.classes if name not in classes]
        if strange:
            yield Problem(where, f"the school has no class {', '.join(strange[:5])}", "correct the name")


def _scopes(document: Timetable) -> dict[str, Scope]:
    lists = {
        "holidays": document.holidays,
        "make_up": document.make_up,
        "bells": document.bells,
        "weeks": document.weeks,
    }
    return {f"{name}[{number}]": scope for name, found in lists.items() for number, scope in enumerate(found)}


def _overlap(one: Scope, other: Scope) -> bool:
    """Whether two entries speak of the same class with the same closeness, so that neither goes before."""
    if not one.classes and not one.grades and not other.classes and not other.grades:
        return True
    return bool({*one.classes} & {*other.classes} or {*one.grades} & {*other.grades})


def _same_scope(made: Scope, holiday: Scope) -> bool:
    """Whether a holiday is for all that a make-up day is for."""
    if not holiday.classes and not holiday.grades:
        return True
    named = (*made.classes, *made.grades)
    return bool(named) and all(holiday.rank(name) is not None for name in named)
