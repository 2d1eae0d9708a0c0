"""Golden faults: what no single line of a golden day's meals tells: whether it fits others and the roster. Pure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Sequence
from datetime import date

from hub.attendance.schoolday import SchoolDay
from hub.meals.goldencounters import Detail
from hub.meals.portions import Closure, Cut, Enrolment
from hub.meals.servings import ClassList, ServingWord
from protocol.meals import Meal


def disagreements(
    day: SchoolDay,
    taps: Collection[str],
    enrolled: Sequence[Enrolment],
    cuts: Sequence[tuple[Cut, str]],
    details: Sequence[tuple[str, Detail]],
    words: Sequence[ServingWord],
    lists: Sequence[ClassList],
) -> Iterator[str]:
    """Each fault, by its file and the name that stands there. `taps`: the ids of those at counters.

    A line that stands twice would lose what the other one says, and with it a cut, or somebody's lunch.
    """
    yield from _twice("enrolment.csv", (one.id for one in enrolled))
    yield from _twice("cuts.csv", (one.id for one, _ in cuts))
    yield from _twice("counters.csv", (tap for tap, _ in details))
    yield from _twice("corrections.csv", (one.record for one in words))
    yield from _twice("class-lists.csv", (one.id for one in lists))
    pupils = {one.key for one in day.pupils}
    named = (
        ("enrolment.csv", {one.pupil for one in enrolled}),
        ("cuts.csv", {one.pupil for one, withdraws in cuts if not withdraws}),
        ("counters.csv", {one.pupil for _, one in details if one.pupil is not None}),
    )
    for name, keys in named:
        for key in sorted(keys - pupils):
            yield f"{name}: pupil {key} is not in roster.csv"
    for tap, detail in details:
        if tap not in taps:
            yield f"counters.csv: {tap} is no tap at a counter"
        if detail.hand is not None and detail.hand.of is not None and detail.hand.of not in taps:
            yield f"counters.csv: {tap} is of {detail.hand.of}, which is no tap at a counter"
        if detail.hand is not None and detail.hand.how == "name" and detail.pupil is None:
            yield f"counters.csv: {tap} is by name, and names no pupil_key"
    for word in words:
        if word.tap not in taps:
            yield f"corrections.csv: {word.tap} is no tap at a counter"
    for one in lists:
        mine = {p.key for p in day.pupils if p.school_class == one.school_class and p.first <= one.day <= p.last}
        for key in sorted(set(one.served) - mine):
            yield f"class-lists.csv: {one.id}: {key} is not of class {one.school_class} on {one.day}"


def unserved(
    menus: Collection[tuple[date, Meal]],
    days: Collection[date],
    locks: Iterable[tuple[date, Meal, str]],
    cuts: Iterable[tuple[Cut, str]],
    closures: Sequence[Closure],
    lists: Iterable[ClassList],
) -> Iterator[str]:
    """What speaks of a meal that no line of menus.csv names; `days`: those of which the files tell.

    Without its line nothing says at which counters its trays are: they would be another meal's, or pass a gate.
    """
    missing = sorted({(day, meal) for day, meal, _ in locks} - set(menus))
    for day, meal in missing:
        yield f"locks.csv: {day} {meal} is not in menus.csv; where the school serves none, closures.csv says so"
    for cut, withdraws in cuts:
        mine = [] if withdraws else [day for day in days if cut.first <= day <= cut.last]
        for meal in cut.meals:
            if mine and not any((day, meal) in menus for day in mine):
                yield f"cuts.csv: {cut.id}: {meal} is not in menus.csv on any day from {cut.first} to {cut.last}"
    for listed in lists:
        if (listed.day, listed.meal) not in menus:
            yield f"class-lists.csv: {listed.id}: {listed.day} {listed.meal} is not in menus.csv"
    yield from _twice("closures.csv", (one.id for one in closures))
    for one in closures:
        if not any(day == one.day for day, _ in menus):
            yield f"closures.csv: {one.id}: {one.day} is not in menus.csv"
            continue
        for meal in one.meals:
            if (one.day, meal) not in menus:
                told = f"closures.csv: {one.id}: {one.day} {meal} is not in menus.csv"
                yield f"{told}; its line there names its counters"


def _twice(name: str, ids: Iterable[str]) -> Iterator[str]:
    for one, lines in sorted(Counter(ids).items()):
        if lines > 1:
            yield f"{name}: {one} stands on {lines} lines"
