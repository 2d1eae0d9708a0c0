"""The count: from a month's records and facts its servings, meal days and months, and what sheets should say. Pure.

The same rules as the hub's (hub.meals), over what the records themselves say; nothing of what the pack says was counted
is looked at here.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import date, timedelta
from typing import Final, get_args

import msgspec

from hub.attendance.bounds import bounds_of
from hub.meals.mealdays import PupilMeal, evidence_digest, meals_of, month_of
from hub.meals.portions import (
    NOTHING,
    Closure,
    Cut,
    Enrolment,
    Expected,
    PortionWord,
    Said,
    difference,
    registered,
    sheet_digest,
    sheet_of,
    together,
)
from hub.meals.servings import ClassList, Counters, CounterTap, Serving, ServingWord, Why, served
from hub.meals.sittings import DAY_MS, Moment, midnight_of, plan_on
from hub.meals.wordorder import NOW, Until
from hub.recount.facts import Facts
from protocol.anchors import Timeline
from protocol.envelope import Event, decode_data, unix_ms_of
from protocol.errors import BadMessage
from protocol.mealrecords import (
    MealAdjusted,
    MealClosed,
    MealCut,
    MealDays,
    MealEnrolled,
    MealMonth,
    MealPortion,
    MealService,
    Portions,
    SheetLocked,
)
from protocol.meals import MEALS, Meal
from protocol.records import TapCorrection
from protocol.taps import TapData
from protocol.time import Effective

HOUR_MS: Final = 3_600_000
WHYS: Final[tuple[Why, ...]] = get_args(Why)
DAY_TAPS_MAX: Final = 200_000
CLASSES_TOLD: Final = 12
"""Of a note on a sheet; the others are counted."""
"""Records of counters around one day; the largest school makes a twentieth of it."""


class Month(msgspec.Struct, frozen=True):
    """What a month's meal comes to: pupil by pupil, and the digest of what it rests on."""

    pupils: dict[str, MealDays]
    evidence: str


class Note(msgspec.Struct, frozen=True, omit_defaults=True):
    """What was stated or frozen otherwise than it counts now: `restate` a month, or a `sheet` after its lock.

    It is no fault of the records: late words come, pupils move. But a pack says it, and so must its recount; but for
    `classes`, those of a sheet that differ, which packs of before don't have.
    """

    what: str
    meal: Meal
    about: str
    detail: str
    classes: str = ""

    @property
    def told(self) -> str:
        """All of it in words."""
        return f"{self.detail}: {self.classes}" if self.classes else self.detail


@dataclass(frozen=True, slots=True)
class Count:
    """All that was counted; `refused`: records that can't be understood, and why."""

    servings: tuple[Serving, ...]
    meals: tuple[PupilMeal, ...]
    months: dict[Meal, Month]
    notes: tuple[Note, ...]
    refused: tuple[tuple[str, str], ...] = ()


@dataclass(slots=True)
class _Words:
    """The records taken apart."""

    taps: list[CounterTap] = field(default_factory=list)
    words: list[ServingWord] = field(default_factory=list)
    lists: list[ClassList] = field(default_factory=list)
    enrolments: list[Enrolment] = field(default_factory=list)
    portions: list[PortionWord] = field(default_factory=list)
    cuts: dict[str, Cut] = field(default_factory=dict)
    gone: dict[str, tuple[int, str]] = field(default_factory=dict)
    closures: list[Closure] = field(default_factory=list)
    locks: dict[tuple[date, Meal, int], list[tuple[str, int, SheetLocked]]] = field(default_factory=dict)
    adjusted: dict[tuple[date, Meal], list[MealAdjusted]] = field(default_factory=dict)
    months: dict[tuple[Meal, int], list[MealMonth]] = field(default_factory=dict)
    refused: list[tuple[str, str]] = field(default_factory=list)


def count(facts: Facts, events: Mapping[str, Event]) -> Count:
    """Everything, from scratch. Raises BadMessage where there is more than any school has."""
    words = _words(facts, events)
    servings: list[Serving] = []
    meals: dict[Meal, list[PupilMeal]] = {}
    notes: list[Note] = []
    for number in range((facts.last - facts.first).days + 1):
        day = facts.first + timedelta(days=number)
        said = _said(facts, words, day)
        mine = served(_counters(facts, words, day)).servings
        mine = tuple(one for one in mine if one.day == day)
        servings += mine
        for meal in MEALS:
            if said.plan.of(meal) is not None or any(one.meal == meal for one in mine):
                meals.setdefault(meal, []).extend(meals_of(said, meal, mine))
        notes += _sheet_notes(words, said)
    months = {meal: Month(month_of(some), evidence_digest(some)) for meal, some in meals.items() if some}
    notes += _month_notes(words, months)
    in_order = sorted(
        (one for some in meals.values() for one in some),
        key=lambda one: (one.day, MEALS.index(one.meal), one.school_class, one.pupil),
    )
    return Count(tuple(servings), tuple(in_order), months, tuple(notes), tuple(words.refused))


# --- the records taken apart ----------------------------------------------------------------------------------------


def _words(facts: Facts, events: Mapping[str, Event]) -> _Words:
    found = _Words()
    timelines = {source: boots.timeline() for source, boots in facts.clocks.items()}
    for event in events.values():
        try:
            if event.source in facts.devices:
                _of_counter(found, facts, event, timelines.get(event.source) or Timeline())
            else:
                _of_hub(found, event, unix_ms_of(event.time))
        except BadMessage as problem:
            found.refused.append((event.id, str(problem)[:200]))
    for cut, (at_ms, record) in found.gone.items():
        if cut in found.cuts:
            found.cuts[cut] = msgspec.structs.replace(found.cuts[cut], gone_ms=at_ms, gone=record)
    return found


def _of_counter(found: _Words, facts: Facts, event: Event, timeline: Timeline) -> None:
    if event.name in ("meal.pickup", "meal.referred"):
        data = decode_data(event, TapData)
        when = timeline.effective(event)
        said = None if data.meal is msgspec.UNSET else data.meal
        if said is not None:
            try:
                date.fromisoformat(said.day)
            except ValueError:
                said = None
        tap = CounterTap(
            event.id,
            facts.devices[event.source],
            data.point,
            facts.cards.get(event.id, data.card),
            data.student,
            data.decision,
            data.reason,
            moment_of(when, facts.received.get(event.id)),
            said,
            None if data.hand is msgspec.UNSET else data.hand,
        )
        found.taps.append(tap)
    elif event.name == "meal.correction":
        told = decode_data(event, TapCorrection)
        if told.source == event.source:
            _say(found, event, told, timeline.effective(event).best_ms)


def moment_of(when: Effective, received_ms: int | None) -> Moment:
    """When a record was made, as servings are placed by."""
    first_ms, last_ms = bounds_of(when, received_ms)
    # A bound that reaches so far is none: no clock vouches for it.
    return Moment(when.best_ms, first_ms, last_ms, when.quality == "anchored" or last_ms - first_ms < DAY_MS)


def _say(found: _Words, event: Event, told: TapCorrection, at_ms: int) -> None:
    why = next((one for one in WHYS if one == told.why), None)
    if why is not None:
        found.words.append(ServingWord(told.tap, event.id, at_ms, why, told.by))


def _of_hub(found: _Words, event: Event, at_ms: int) -> None:
    match event.name:
        case "meal.correction":
            _say(found, event, decode_data(event, TapCorrection), at_ms)
        case "meal.enrolled":
            one = decode_data(event, MealEnrolled)
            days, meals = tuple(one.weekdays), tuple(one.meals)
            span = _day(one.first), None if one.last is None else _day(one.last)
            found.enrolments.append(Enrolment(event.id, at_ms, one.student, *span, days, meals, one.by))
        case "meal.portion":
            kept = decode_data(event, MealPortion)
            span = _day(kept.first), None if kept.last is None else _day(kept.last)
            found.portions.append(PortionWord(event.id, at_ms, kept.student, *span, kept.portion, kept.by))
        case "meal.cut":
            cut = decode_data(event, MealCut)
            if cut.withdraws is not None:
                before = found.gone.get(cut.withdraws)
                found.gone[cut.withdraws] = min(before or (at_ms, event.id), (at_ms, event.id))
                return
            whole = _day(cut.first), _day(cut.last)
            found.cuts[event.id] = Cut(
                event.id, at_ms, cut.student, *whole, tuple(cut.meals), cut.how, cut.by, cut.reason
            )
        case "meal.closed":
            shut = decode_data(event, MealClosed)
            closure = Closure(event.id, at_ms, _day(shut.day), tuple(shut.meals), shut.closed, shut.by, shut.reason)
            found.closures.append(closure)
        case "meal.service":
            told = decode_data(event, MealService)
            day, seen_ms = _day(told.day), unix_ms_of(told.seen)
            found.lists.append(
                ClassList(event.id, told.school_class, day, told.meal, tuple(told.served), told.by, at_ms, seen_ms)
            )
        case _:
            _of_office(found, event, at_ms)


def _of_office(found: _Words, event: Event, at_ms: int) -> None:
    """What was frozen, adjusted and stated."""
    match event.name:
        case "meal.sheet.locked":
            sheet = decode_data(event, SheetLocked)
            found.locks.setdefault((_day(sheet.day), sheet.meal, sheet.version), []).append((event.id, at_ms, sheet))
        case "meal.adjusted":
            other = decode_data(event, MealAdjusted)
            found.adjusted.setdefault((_day(other.day), other.meal), []).append(other)
        case "meal.month":
            month = decode_data(event, MealMonth)
            found.months.setdefault((month.meal, month.version), []).append(month)


def _day(text: str) -> date:
    try:
        return date.fromisoformat(text)
    except ValueError as problem:
        raise BadMessage(f"{text[:40]!r} is no day") from problem


# --- a day ------------------------------------------------------------------------------------------------------------


def _counters(facts: Facts, words: _Words, day: date) -> Counters:
    """All that counters, and people about them, said around a day; see hub.days.mealbook."""
    first_ms, until_ms = midnight_of(day) - HOUR_MS, midnight_of(day) + DAY_MS + HOUR_MS
    taps = tuple(tap for tap in words.taps if not tap.when.anchored or first_ms <= tap.when.best_ms < until_ms)
    if len(taps) > DAY_TAPS_MAX:
        raise BadMessage(f"{len(taps)} records of counters around {day}, at most {DAY_TAPS_MAX} are counted")
    names = {tap.id for tap in taps}
    return Counters(
        facts.meal_plans(),
        taps,
        tuple(word for word in words.words if word.tap in names),
        tuple(one for one in words.lists if one.day == day),
        facts.of_cards(facts.bindings),
        facts.of_cards(facts.staff),
    )


def _said(facts: Facts, words: _Words, day: date) -> Said:
    return Said(
        day,
        plan_on(facts.meal_plans(), day),
        facts.classes(day),
        facts.taught.get(day.isoformat(), {}),
        tuple(one for one in words.enrolments if one.speaks_of(day)),
        tuple(one for one in words.portions if one.speaks_of(day)),
        tuple(one for one in words.cuts.values() if one.first <= day <= one.last),
        tuple(one.excuse() for one in facts.notices if one.first <= day <= one.last),
        tuple(one for one in words.closures if one.day == day),
    )


# --- what was stated and frozen ---------------------------------------------------------------------------------------


def _sheet_notes(words: _Words, said: Said) -> Iterator[Note]:
    """Sheets that were frozen otherwise than what had been said comes to, and that adjustments don't bring there."""
    for (day, meal, version), parts in sorted(words.locks.items(), key=lambda one: (one[0][0], one[0][1], one[0][2])):
        if day != said.day:
            continue
        parts = sorted(parts, key=lambda one: one[2].part)
        record, at_ms, first = parts[0]
        about = f"{day.isoformat()} {meal} {first.lock} sheet, version {version}"
        stated = together(*(part.classes for _, _, part in parts))
        then: list[Expected] = registered(said, meal, Until(at_ms, record))
        if {part.part for _, _, part in parts} != set(range(1, first.parts + 1)):
            yield Note("sheet", meal, about, "a part of it is missing")
        if sheet_digest(then) != first.digest or together(sheet_of(then)) != stated:
            counted = together(sheet_of(then))
            told = f"frozen, {_told(stated)}; what had been said comes to {_told(counted)}"
            yield Note("sheet", meal, about, told, _otherwise(stated, counted))
        if first.lock == "final":
            mine = words.adjusted.get((day, meal), [])
            now = together(sheet_of(registered(said, meal, NOW)), *(one.classes for one in mine if one.why == "asked"))
            owed = difference(now, together(stated, *(one.classes for one in mine)))
            if owed:
                more = _classes([f"{name} {_numbers(numbers, '+')}" for name, numbers in owed.items()])
                yield Note("sheet", meal, about, f"frozen and adjusted, {_told(owed)} more are said now", more)


def _told(sheet: Mapping[str, Portions]) -> str:
    whole = Portions()
    for numbers in sheet.values():
        whole = whole.plus(numbers)
    return f"{whole.registered} registered, {whole.cut} cut, {whole.total} cooked in {len(sheet)} classes"


def _otherwise(stated: Mapping[str, Portions], counted: Mapping[str, Portions]) -> str:
    """The classes that differ: the whole school's numbers are the same where a pupil moved from one to another."""
    names = [name for name in sorted({*stated, *counted}) if stated.get(name) != counted.get(name)]
    if not names:
        return "of each class the same numbers, of other pupils"
    before, now = ([_numbers(sheet.get(name, NOTHING)) for name in names] for sheet in (stated, counted))
    return _classes([f"{name} frozen {old}, said {new}" for name, old, new in zip(names, before, now, strict=True)])


def _classes(told: list[str]) -> str:
    more = len(told) - CLASSES_TOLD
    return "; ".join([*told[:CLASSES_TOLD], f"and {more} more classes"] if more > 0 else told)


def _numbers(one: Portions, sign: str = "") -> str:
    """What of a class isn't nothing, in words; `sign` before what is more."""
    told = [(name, getattr(one, name)) for name in Portions.__struct_fields__]
    return ", ".join(f"{sign if count > 0 else ''}{count} {name}" for name, count in told if count) or "nothing"


def _month_notes(words: _Words, months: Mapping[Meal, Month]) -> Iterator[Note]:
    """Months whose newest version says otherwise than the records; and versions that don't follow from each other."""
    versions: dict[Meal, list[int]] = defaultdict(list)
    for meal, version in sorted(words.months):
        versions[meal].append(version)
    for meal in MEALS:
        before: dict[str, MealDays] = {}
        for version in versions.get(meal, []):
            parts = sorted(words.months[meal, version], key=lambda one: one.part)
            stated = {pupil: days for part in parts for pupil, days in part.pupils.items()}
            differs = {pupil: days for part in parts for pupil, days in part.differs.items()}
            about = f"{meal}, version {version}"
            if {part.part for part in parts} != set(range(1, parts[0].parts + 1)):
                yield Note("restate", meal, about, "a part of it is missing")
            elif version > 1 and version - 1 in versions[meal] and differs != _less(stated, before):
                yield Note("restate", meal, about, "its difference isn't that to the version before")
            before = stated
        known = months.get(meal)
        if versions.get(meal) and (known.pupils if known else {}) != before:
            others = _less(known.pupils if known else {}, before)
            yield Note(
                "restate", meal, f"{meal}, version {versions[meal][-1]}", f"{len(others)} pupils count otherwise now"
            )


def _less(now: Mapping[str, MealDays], before: Mapping[str, MealDays]) -> dict[str, MealDays]:
    nothing = MealDays()
    found = {one: now.get(one, nothing).plus(before.get(one, nothing), -1) for one in sorted({*now, *before})}
    return {one: days for one, days in found.items() if days != nothing}
