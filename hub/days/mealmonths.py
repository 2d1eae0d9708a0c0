"""The meal months: what a month's meals come to as counted now, and the records by which the school stated it.

A month is stated by a person's word, as records that go to the city. Whatever comes later - a late record of a counter,
a word, an answer to a complaint - makes nothing of it otherwise by itself: somebody states it anew, and the new version
says by how much it differs from the one before.
"""
"""Meal months: what a month's meals came to, pupil by pupil, stated as records; stated again, what changed and why."""

from __future__ import annotations

import calendar
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import date
from datetime import date, timedelta
from typing import TYPE_CHECKING, Any, Final

import msgspec

from hub.days.classbook import today_at
from hub.days.office import BY_CHARACTERS_MAX, REASON_CHARACTERS_MAX, EntryRefused
from hub.meals.mealdays import PupilMeal, evidence_digest, meals_of, month_of, restated
from hub.meals.portions import MEAL_RULES
from hub.meals.servings import Serving
from protocol.mealrecords import MealDays
from protocol.meals import MEALS, Meal

if TYPE_CHECKING:
    from hub.parts import Store
    from hub.store.sheetrows import MonthRow

PART_BYTES_MAX: Final = 12 * 1024
"""Of pupils in a record, which has 16 KiB."""


@dataclass(frozen=True, slots=True)
class CountedMonth:
    """Everything of a span: servings by time; of each meal that was planned or served its meal days."""

    first: date
    last: date
    servings: tuple[Serving, ...]
    meals: Mapping[Meal, tuple[PupilMeal, ...]]


@dataclass(frozen=True, slots=True)
class Stated:
    """A meal's month. `row`: as it was stated last, None where it never was. `differs`: counted now less stated.

    `due`: it must be stated, or stated anew: another number, or the same numbers of other records.
    """

    meal: Meal
    pupils: Mapping[str, MealDays]
    evidence: str
    row: MonthRow | None
    differs: Mapping[str, MealDays]

    @property
    def due(self) -> bool:
        """See the class."""
        return self.row is None or bool(self.differs) or self.row.evidence != self.evidence


def month_span(text: str, today: date) -> tuple[date, date]:
    """The days of a month as `2026-11`, to today at most. Raises EntryRefused."""
    try:
        first = date.fromisoformat(f"{text}-01")
    except ValueError:
        raise EntryRefused(f"month: {text[:20]!r} is no month such as 2026-11") from None
    if first > today or first.year < 2020:
        raise EntryRefused(f"month: {text} has no meals that were")
    return first, min(date(first.year, first.month, calendar.monthrange(first.year, first.month)[1]), today)


class MealMonths:
    """See the room."""

    def __init__(self, store: Store) -> None:
        """Of one hub."""
        self._store = store

    def span(self, month: str) -> tuple[date, date]:
        """The days of a month to today. Raises EntryRefused."""
        return month_span(month, today_at(self._store.clock.now_ms()))

    def counted(self, first: date, last: date) -> CountedMonth:
        """Every serving and meal day of a span, as everything that is held says it now."""
        store = self._store
        servings: list[Serving] = []
        meals: dict[Meal, list[PupilMeal]] = {}
        with store.database.lock:
            for said in store.mealbook.said_of(first, last):
                mine = store.mealbook.served(said.day).servings
                servings += mine
                for meal in MEALS:
                    if said.plan.of(meal) is not None or any(one.meal == meal for one in mine):
                        meals.setdefault(meal, []).extend(meals_of(said, meal, mine))
        return CountedMonth(first, last, tuple(servings), {meal: tuple(some) for meal, some in meals.items() if some})

    def stated(self, month: str) -> list[Stated]:
        """Each meal of a month as counted now, against what was stated last. Raises EntryRefused."""
        with self._store.database.lock:
            return list(self._stated(month, self.counted(*self.span(month))))

    def _stated(self, month: str, counted: CountedMonth) -> Iterator[Stated]:
        for meal in MEALS:
            some = counted.meals.get(meal, ())
            row = self._store.days.meals.sheets.month(month, meal)
            if some or row is not None:
                pupils = month_of(some)
                yield Stated(
                    meal, pupils, evidence_digest(some), row, restated({} if row is None else row.pupils, pupils)
                )

    def state(self, by: str, month: str, reason: str = "") -> list[Stated]:
        """State each meal of a month that counts otherwise than it was stated; what was stated now.

        A month that was stated before needs a reason. Raises EntryRefused.
        """
        store = self._store
        if not by or len(by) > BY_CHARACTERS_MAX or not by.isprintable():
            raise EntryRefused(f"by: who states it is a name of at most {BY_CHARACTERS_MAX} characters")
        if len(reason) > REASON_CHARACTERS_MAX or not reason.isprintable():
            raise EntryRefused(f"reason: at most {REASON_CHARACTERS_MAX} characters of one line")
        with store.database.transaction():
            due = [one for one in self.stated(month) if one.due]
            if any(one.row is not None for one in due) and not reason.strip():
                raise EntryRefused("reason: why the month is stated anew must be said")
            for one in due:
                self._enter(by, month, one, reason)
        if due:
            store.office.on_entered(False)
        return due

    def _enter(self, by: str, month: str, one: Stated, reason: str) -> None:
        version = 1 if one.row is None else one.row.version + 1
        differs = {} if one.row is None else one.differs
        parts = list(_parts(one.pupils, differs))
        for number, (pupils, otherwise) in enumerate(parts, 1):
            data: dict[str, Any] = {
                "month": month,
                "meal": one.meal,
                "version": version,
                "rules": MEAL_RULES,
                "part": number,
                "parts": len(parts),
                "pupils": pupils,
                "evidence": one.evidence,
                "by": by,
            }
            data |= {"differs": otherwise} if otherwise else {}
            data |= {"reason": reason} if reason else {}
            self._store.daybook.enter("meal.month", data)
from hub.attendance.knowndays import beyond
from hub.days.classbook import days_between, today_at
from hub.days.mealchecks import MealChecks
from hub.days.office import EntryRefused
from hub.meals.mealdays import PupilMeal, evidence_digest, meals_of, month_of, restated
from hub.meals.portions import MEAL_RULES
from protocol.mealrecords import MealDays
from protocol.meals import MEALS, Meal
from protocol.names import class_order

if TYPE_CHECKING:
    from hub.parts import Store

PART_BYTES_MAX: Final = 11 * 1024
"""Of pupils in a record, which has 16 KiB."""


class MealMonths(MealChecks):
    """See the room. A month is read day by day; the ledger is free for others in between."""

    def meals(self, month: str, meal: Meal) -> list[PupilMeal]:
        """Every pupil's meal of every day of a month that was, today included. Raises EntryRefused."""
        first, last = month_days(month)
        last = min(last, today_at(self._store.clock.now_ms()))
        return [one for day in days_between(first, last) for one in self.day(day, meal)] if first <= last else []

    def day(self, day: date, meal: Meal) -> list[PupilMeal]:
        """A meal of one day, of everybody who was registered or ate; by class and pupil."""
        with self._store.database.lock:
            return meals_of(self._store.mealbook.said(day), meal, self._store.mealbook.served(day).servings)

    def state(self, by: str, month: str, meal: str, reason: str = "") -> int:
        """State what a month came to; where it was stated before, as its next version, for a reason.

        The version; the one before where nothing changed: then nothing is recorded. Raises EntryRefused.
        """
        self._check(by, reason)
        [name] = self._meals([meal])
        _, last = month_days(month)
        if last >= self._today():
            raise EntryRefused(f"the month {month} isn't over")
        meals = self.meals(month, name)
        now, evidence = month_of(meals), evidence_digest(meals)
        with self._store.database.transaction():
            before = self._store.days.meals.sheets.month(month, name)
            if before is not None and (before.pupils, before.evidence) == (now, evidence):
                return before.version
            if before is not None and not reason.strip():
                raise EntryRefused("reason: why a month that was stated changes must be said")
            version = 1 if before is None else before.version + 1
            differs = {} if before is None else restated(before.pupils, now)
            parts = list(_parts(now, differs))
            for number, (pupils, mine) in enumerate(parts, 1):
                data: dict[str, Any] = {
                    "month": month,
                    "meal": name,
                    "version": version,
                    "rules": MEAL_RULES,
                    "part": number,
                    "parts": len(parts),
                    "pupils": pupils,
                    "evidence": evidence,
                    "by": by,
                }
                data |= {"differs": mine} if mine else {}
                data |= {"reason": reason} if reason else {}
                self._store.daybook.enter("meal.month", data)
        self._entered()
        return version

    def told(self, month: str, meals: tuple[Meal, ...] = MEALS) -> list[dict[str, Any]]:
        """A month of each pupil and meal as JSON shows it: the counts as they stand now, and the version stated."""
        found = []
        classes = self._classes(month_days(month)[1])
        for meal in meals:
            days = self.meals(month, meal)
            stated = self._stated(month, meal)
            for pupil, counts in month_of(days).items():
                found.append(
                    {
                        "month": month,
                        "meal": meal,
                        "class": classes.get(pupil, ""),
                        "student": pupil,
                        **{name: getattr(counts, name) for name in MealDays.__struct_fields__},
                        "eaten": counts.eaten,
                        "version": stated[0],
                        "stated": stated[1].get(pupil) == counts,
                        "rules": MEAL_RULES,
                    }
                )
        return sorted(found, key=lambda one: (str(one["meal"]), class_order(str(one["class"])), str(one["student"])))

    def _stated(self, month: str, meal: Meal) -> tuple[int, Mapping[str, MealDays]]:
        with self._store.database.lock:
            row = self._store.days.meals.sheets.month(month, meal)
        return (0, {}) if row is None else (row.version, row.pupils)

    def _classes(self, last: date) -> dict[str, str]:
        """Pupil -> the newest class by a day."""
        with self._store.database.lock:
            found = sorted(self._store.people.of(last - timedelta(days=31), last), key=lambda one: one.first)
        return {one.key: one.school_class for one in found}


def month_days(month: str) -> tuple[date, date]:
    """First and last day of a month such as 2026-11. Raises EntryRefused."""
    try:
        first = date.fromisoformat(f"{month}-01")
    except ValueError as problem:
        raise EntryRefused(f"{month[:20]!r} is no month such as 2026-11") from problem
    if (unknown := beyond(first)) is not None or len(month) != 7:
        raise EntryRefused(unknown or f"{month[:20]!r} is no month such as 2026-11")
    return first, first.replace(day=calendar.monthrange(first.year, first.month)[1])


def _parts(
    pupils: Mapping[str, MealDays], differs: Mapping[str, MealDays]
) -> Iterator[tuple[dict[str, MealDays], dict[str, MealDays]]]:
    """Pupils and their differences, so many that a record has room for; at least one part."""
    some: dict[str, MealDays] = {}
    otherwise: dict[str, MealDays] = {}
    size = 0
    for pupil in sorted({*pupils, *differs}):
        mine = {name: held[pupil] for name, held in (("pupils", pupils), ("differs", differs)) if pupil in held}
        more = len(msgspec.json.encode(mine)) + 2 * len(pupil)
        if size and size + more > PART_BYTES_MAX:
            yield some, otherwise
            some, otherwise, size = {}, {}, 0
        if pupil in pupils:
            some[pupil] = pupils[pupil]
        if pupil in differs:
            otherwise[pupil] = differs[pupil]
        size += more
    yield some, otherwise
    """What records carry: pupils, and what differs of these, within PART_BYTES_MAX; at least one part."""
    mine: dict[str, MealDays] = {}
    other: dict[str, MealDays] = {}
    size = 0
    for pupil in sorted({*pupils, *differs}):
        counts, change = pupils.get(pupil), differs.get(pupil)
        more = len(msgspec.json.encode([{pupil: counts}, {pupil: change}]))
        if size + more > PART_BYTES_MAX and (mine or other):
            yield mine, other
            mine, other, size = {}, {}, 0
        size += more
        mine |= {} if counts is None else {pupil: counts}
        other |= {} if change is None else {pupil: change}
    yield mine, other


def meal_days_told(store: Store, words: Mapping[str, str | None]) -> str:
    """What `k12edge hub meal-days` prints. Raises EntryRefused."""
    months = MealMonths(store)
    month = words.get("month") or ""
    asked = words.get("meal")
    if asked is not None and asked not in MEALS:
        raise EntryRefused(f"meal {asked[:20]!r} is not one of {', '.join(MEALS)}")
    meals = MEALS if asked is None else (asked,)
    if words.get("state") == "True":
        version = months.state(words.get("by") or "-", month, meals[0] if asked else "lunch", words.get("reason") or "")
        return f"{month}: phiên bản / version {version}"
    found = months.told(month, meals)
    if words.get("json") == "True":
        return msgspec.json.encode(found).decode("utf-8")
    shown = ("registered", "cut", "late", "card", "hand", "list", "unconfirmed", "seconds", "chargeable")
    lines = []
    for one in found:
        counts = ", ".join(f"{one[name]} {name}" for name in shown if one[name])
        lines.append(f"{one['meal']} {one['class']} {one['student']}: {counts}")
    return "\n".join(lines) or f"{month}: không có bữa ăn / no meals"
