"""Portions: who is registered for a meal, who is cut from it, and what the kitchen cooks; frozen, then only adjusted.

| asked | what decides |
| --- | --- |
| enrolled | the newest enrolment that speaks of the day names the meal, and the weekday that the class is taught as |
| registered | enrolled, the class has lessons that day, and the school serves the meal |
| joined | registered by a word of that day that came when the meal was over: see hub.meals.mealdays |
| cut | a cut that stands names the day and the meal; or a leave that stands covers the half-day of the meal |
| what is cooked | the newest word on the day; without one regular |
| the frozen sheet | all of this by what had been said until its record, whatever was due |
| after it | adjustments: so much that frozen and adjusted together are what all words say, plus what people asked for |
"""

from __future__ import annotations

import hashlib
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Set
from dataclasses import dataclass, replace
from datetime import date
from typing import Final, TypeVar

import msgspec

from hub.attendance.evidence import Leave
from hub.meals.sittings import PlannedMeal, SchoolMeals, clock_ms
from hub.meals.wordorder import NOW, Until, in_word_order
from protocol.mealrecords import Portions
from protocol.meals import Meal, Portion

MEAL_RULES: Final = "m1"
"""The version of what docs/reference/meals.md says; another rule has another version."""
NOTHING: Final = Portions()
W = TypeVar("W", "Enrolment", "PortionWord")


class Enrolment(msgspec.Struct, frozen=True):
    """A pupil eats `meals` at school, on weekdays (0 is Monday), from a day to another (None: until further notice)."""

    id: str
    at_ms: int
    pupil: str
    first: date
    last: date | None
    weekdays: tuple[int, ...]
    meals: tuple[Meal, ...]
    by: str = ""

    def speaks_of(self, day: date) -> bool:
        """Whether the day lies in its span."""
        return self.first <= day and (self.last is None or day <= self.last)


class PortionWord(msgspec.Struct, frozen=True):
    """What is cooked for a pupil, from a day to another (None: until further notice)."""

    id: str
    at_ms: int
    pupil: str
    first: date
    last: date | None
    portion: Portion
    by: str = ""

    def speaks_of(self, day: date) -> bool:
        """Whether the day lies in its span."""
        return self.first <= day and (self.last is None or day <= self.last)


class Cut(msgspec.Struct, frozen=True):
    """A pupil doesn't eat; of `meals`, empty: of all. `gone_ms`, `gone`: when and by which record it was withdrawn."""

    id: str
    at_ms: int
    pupil: str
    first: date
    last: date
    meals: tuple[Meal, ...] = ()
    how: str = "page"
    by: str = ""
    reason: str = ""
    gone_ms: int | None = None
    gone: str | None = None

    def speaks_of(self, day: date, meal: Meal) -> bool:
        """Whether it cuts that meal of the day."""
        return self.first <= day <= self.last and (not self.meals or meal in self.meals)


class Excuse(msgspec.Struct, frozen=True):
    """A leave notice, and when and by which record it was withdrawn."""

    leave: Leave
    gone_ms: int | None = None
    gone: str | None = None


class Closure(msgspec.Struct, frozen=True):
    """The school serves no `meals` (empty: none at all) on a day; or, not `closed`, it does."""

    id: str
    at_ms: int
    day: date
    meals: tuple[Meal, ...]
    closed: bool
    by: str = ""
    reason: str = ""


@dataclass(frozen=True, slots=True)
class Said:
    """All that was said of meals of one day. `classes`: pupil -> class of that day.

    `taught`: class -> the weekday that the day is taught as (0 is Monday); a class without lessons isn't in it.
    """

    day: date
    plan: SchoolMeals
    classes: Mapping[str, str]
    taught: Mapping[str, int]
    enrolments: tuple[Enrolment, ...] = ()
    portions: tuple[PortionWord, ...] = ()
    cuts: tuple[Cut, ...] = ()
    excuses: tuple[Excuse, ...] = ()
    closures: tuple[Closure, ...] = ()


def said_of_pupils(said: Said, pupils: Set[str]) -> Said:
    """The same of some pupils alone."""
    return replace(
        said,
        classes={pupil: name for pupil, name in said.classes.items() if pupil in pupils},
        enrolments=tuple(one for one in said.enrolments if one.pupil in pupils),
        portions=tuple(one for one in said.portions if one.pupil in pupils),
        cuts=tuple(one for one in said.cuts if one.pupil in pupils),
        excuses=tuple(one for one in said.excuses if one.leave.pupil in pupils),
    )


class Expected(msgspec.Struct, frozen=True):
    """A pupil who is registered for a meal. `cuts`: the records by which they are cut from it, oldest first."""

    pupil: str
    school_class: str
    portion: Portion
    cuts: tuple[tuple[str, int], ...] = ()

    @property
    def cut(self) -> bool:
        """Whether they don't eat, as far as anybody said."""
        return bool(self.cuts)


def is_closed(said: Said, meal: Meal, until: Until = NOW) -> bool:
    """Whether the school serves no such meal that day, by what had been said."""
    words = [one for one in said.closures if one.day == said.day and (not one.meals or meal in one.meals)]
    words = [one for one in words if until.has(one.id, one.at_ms)]
    ordered = in_word_order(words, lambda one: (one.id, one.at_ms))
    return bool(ordered) and ordered[-1].closed


def is_had(said: Said, meal: Meal) -> bool:
    """Whether the school meant to serve a meal that day: by the plan's weekdays, as classes are taught, not closed."""
    planned = said.plan.of(meal)
    if planned is None or is_closed(said, meal):
        return False
    return any(weekday in planned.weekdays for weekday in said.taught.values())


def registered(said: Said, meal: Meal, until: Until = NOW) -> list[Expected]:
    """Everybody who is registered for a meal, by class and pupil key, by what had been said; see the table above."""
    planned = said.plan.of(meal)
    if planned is None or is_closed(said, meal, until):
        return []
    enrolled = _newest((one for one in said.enrolments if one.speaks_of(said.day)), until)
    cooked = portions_of(said, until)
    cuts = cuts_of(said, planned, until)
    found = []
    for pupil, word in enrolled.items():
        school_class = said.classes.get(pupil)
        weekday = None if school_class is None else said.taught.get(school_class)
        if school_class is None or weekday is None or weekday not in word.weekdays or meal not in word.meals:
            continue
        if weekday not in planned.weekdays:
            continue
        portion = cooked.get(pupil, "regular")
        found.append(Expected(pupil, school_class, portion, tuple(cuts.get(pupil, ()))))
    return sorted(found, key=lambda one: (one.school_class, one.pupil))


def lapsed(said: Said, meal: Meal, lock_ms: int) -> list[Expected]:
    """Who was registered and expected at the money lock, and was enrolled no more by a word of later that day.

    Their meal was bought and is charged; `cuts` names the word. What is said of days that were corrects them instead.
    """
    ends_ms = clock_ms(said.day, "00:00", -1)
    words = [one for one in said.enrolments if one.speaks_of(said.day)]
    if not any(lock_ms < one.at_ms < ends_ms for one in words):
        # On nearly every day of a month, and what follows reads everybody's words twice more.
        return []
    now = {one.pupil for one in registered(said, meal)}
    newest = _newest(words, NOW)
    found = []
    for one in [] if is_closed(said, meal) else registered(said, meal, Until(lock_ms)):
        word = newest[one.pupil]
        if one.pupil not in now and not one.cut and lock_ms < word.at_ms < ends_ms:
            found.append(Expected(one.pupil, one.school_class, one.portion, ((word.id, word.at_ms),)))
    return found


def joined(said: Said, meal: Meal, lock_ms: int) -> frozenset[str]:
    """Who is registered by a word of that day that came when the meal was over, and wasn't before, nor at its lock.

    Nothing was cooked for them, nor could they be cut in time: the meal is charged only if they ate. What is said of
    days that were, with its reason, corrects them instead.
    """
    planned = said.plan.of(meal)
    after_ms = max(lock_ms, 0 if planned is None else over_ms(planned, said.day))
    ends_ms = clock_ms(said.day, "00:00", -1)
    words = [one for one in said.enrolments if one.speaks_of(said.day)]
    if planned is None or not any(after_ms < one.at_ms < ends_ms for one in words):
        return frozenset()
    # A meal that was called off, and given after all, is no word on who eats.
    open_ = replace(said, closures=())
    before = {one.pupil for at_ms in (lock_ms, after_ms) for one in registered(open_, meal, Until(at_ms))}
    late = {pupil for pupil, word in _newest(words, NOW).items() if after_ms < word.at_ms < ends_ms}
    return frozenset(one.pupil for one in registered(said, meal) if one.pupil in late - before)


def over_ms(planned: PlannedMeal, day: date) -> int:
    """When a day's meal is over by the plan, Unix ms."""
    return max(clock_ms(day, shift.closes) for shift in planned.shifts)


def portions_of(said: Said, until: Until = NOW) -> dict[str, Portion]:
    """Pupil -> what is cooked for them that day, where anybody said so."""
    cooked = _newest((one for one in said.portions if one.speaks_of(said.day)), until)
    return {pupil: one.portion for pupil, one in cooked.items()}


def _newest(words: Iterable[W], until: Until) -> dict[str, W]:
    """Pupil -> the newest word."""
    known = (one for one in words if until.has(one.id, one.at_ms))
    return {one.pupil: one for one in in_word_order(known, lambda one: (one.id, one.at_ms))}


def cuts_of(said: Said, planned: PlannedMeal, until: Until = NOW) -> dict[str, list[tuple[str, int]]]:
    """Pupil -> records that cut them from a meal, registered or not, and when these were said, oldest first."""
    found: dict[str, list[tuple[str, int]]] = defaultdict(list)
    for cut in said.cuts:
        if cut.speaks_of(said.day, planned.meal) and _stands(until, cut.id, cut.at_ms, cut.gone, cut.gone_ms):
            found[cut.pupil].append((cut.id, cut.at_ms))
    for one in said.excuses:
        leave = one.leave
        if leave.covers(said.day, planned.half) and _stands(until, leave.id, leave.at_ms, one.gone, one.gone_ms):
            found[leave.pupil].append((leave.id, leave.at_ms))
    return {pupil: in_word_order(records, lambda one: one) for pupil, records in found.items()}


def _stands(until: Until, record: str, at_ms: int, gone: str | None, gone_ms: int | None) -> bool:
    """Whether a word had been said, and not been taken back."""
    return until.has(record, at_ms) and not (gone_ms is not None and until.has(gone or "", gone_ms))


# --- the sheet --------------------------------------------------------------------------------------------------------


def sheet_of(expected: Iterable[Expected]) -> dict[str, Portions]:
    """Class -> its numbers, of every class that has somebody who is registered."""
    found: dict[str, dict[str, int]] = defaultdict(lambda: defaultdict(int))
    for one in expected:
        mine = found[one.school_class]
        mine["registered"] += 1
        mine["cut" if one.cut else one.portion] += 1
    return {name: Portions(**counts) for name, counts in sorted(found.items())}


def sheet_digest(expected: Iterable[Expected]) -> str:
    """The digest of a frozen sheet; see protocol.mealrecords.SheetLocked."""
    lines = sorted(f"{one.school_class} {one.pupil} {'-' if one.cut else one.portion}\n".encode() for one in expected)
    return hashlib.sha256(b"".join(lines)).hexdigest()


def together(*sheets: Mapping[str, Portions]) -> dict[str, Portions]:
    """The sum of sheets and adjustments, class by class; a class that comes to nothing isn't in it."""
    found: dict[str, Portions] = {}
    for sheet in sheets:
        for name, numbers in sheet.items():
            found[name] = found.get(name, NOTHING).plus(numbers)
    return {name: numbers for name, numbers in sorted(found.items()) if numbers != NOTHING}


def difference(now: Mapping[str, Portions], before: Mapping[str, Portions]) -> dict[str, Portions]:
    """What must be added to `before` so that it is `now`; empty where it is."""
    minus = {name: NOTHING.plus(numbers, -1) for name, numbers in before.items()}
    return together(now, minus)


def changed(before: Iterable[Expected], now: Iterable[Expected]) -> list[str]:
    """The pupils of whom two counts say otherwise, by key."""
    then = {one.pupil: (one.school_class, one.cut or one.portion) for one in before}
    since = {one.pupil: (one.school_class, one.cut or one.portion) for one in now}
    return sorted(pupil for pupil in then.keys() | since.keys() if then.get(pupil) != since.get(pupil))


def total(sheet: Mapping[str, Portions]) -> Portions:
    """The whole school's numbers."""
    found = NOTHING
    for numbers in sheet.values():
        found = found.plus(numbers)
    return found


def in_parts(sheet: Mapping[str, Portions], octets_max: int) -> Iterator[dict[str, Portions]]:
    """A sheet as records carry it: parts of at most so many bytes each, at least one, classes in order."""
    part: dict[str, Portions] = {}
    size = 0
    for name, numbers in sheet.items():
        more = len(msgspec.json.encode({name: numbers}))
        if part and size + more > octets_max:
            yield part
            part, size = {}, 0
        part[name] = numbers
        size += more
    yield part
