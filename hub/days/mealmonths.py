"""Meal months: what a month's meals came to, pupil by pupil, stated as records; stated again, what changed and why."""

from __future__ import annotations

import calendar
from collections.abc import Iterator, Mapping, Set
from datetime import date
from typing import TYPE_CHECKING, Any, Final

import msgspec

from hub.attendance.knowndays import beyond
from hub.days.classbook import today_at
from hub.days.counterwaits import counter_waits
from hub.days.mealchecks import MealChecks
from hub.days.office import EntryRefused
from hub.meals.mealdays import PupilMeal, evidence_digest, meals_of, month_of, restated
from hub.meals.portions import MEAL_RULES, said_of_pupils
from protocol.mealrecords import MealDays
from protocol.meals import MEALS, Meal
from protocol.names import class_order

if TYPE_CHECKING:
    from hub.attendance.schoolday import Pupil
    from hub.parts import Store

PART_BYTES_MAX: Final = 11 * 1024
"""Of pupils in a record, which has 16 KiB."""


class MealMonths(MealChecks):
    """See the room. A month is read day by day; the ledger is free for others in between."""

    def meals(self, month: str, meal: Meal, pupils: Set[str] | None = None) -> list[PupilMeal]:
        """Every pupil's meal of every day of a month that was, today included; or of some pupils.

        Raises EntryRefused.
        """
        first, last = month_days(month)
        last = min(last, today_at(self._store.clock.now_ms()))
        if first > last:
            return []
        book, found = self._store.mealbook, []
        for said in book.said_of(first, last):
            known = said if pupils is None else said_of_pupils(said, pupils)
            with self._store.database.lock:
                servings = book.served(said.day, pupils).servings
            found += meals_of(known, meal, servings)
        return found

    def members(self, month: str, school_class: str | None = None) -> dict[str, Pupil]:
        """Who belonged to the school on a day of a month, each of the newest class; of one class or of all.

        Raises EntryRefused.
        """
        with self._store.database.lock:
            found = sorted(self._store.people.of(*month_days(month)), key=lambda one: one.first)
        newest = {one.key: one for one in found}
        return {key: one for key, one in newest.items() if school_class in (None, one.school_class)}

    def state(self, by: str, month: str, meal: str, reason: str = "") -> int:
        """State what a month came to; where it was stated before, as its next version, for a reason.

        The version; the one before where nothing changed: then nothing is recorded. Raises EntryRefused.
        """
        self._check(by, reason)
        [name] = self._meals([meal])
        _, last = month_days(month)
        if last >= self._today():
            raise EntryRefused("the month {month} isn't over", month=month)
        meals = self.meals(month, name)
        now, evidence = month_of(meals), evidence_digest(meals)
        with self._store.database.transaction():
            before = self._store.days.meals.sheets.month(month, name)
            if before is not None and (before.pupils, before.evidence) == (now, evidence):
                return before.version
            if before is None and not now:
                raise EntryRefused(
                    "{meal}: nobody was registered or ate in {month}: there is nothing to state", meal=name, month=month
                )
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

    def told(
        self, month: str, meals: tuple[Meal, ...] = MEALS, school_class: str | None = None
    ) -> list[dict[str, Any]]:
        """A month of each pupil and meal as JSON shows it: the counts as they stand now, and the version stated.

        Of a class that alone is counted. Raises EntryRefused.
        """
        found = []
        members = self.members(month, school_class)
        classes = {key: one.school_class for key, one in members.items()}
        for meal in meals:
            days = self.meals(month, meal, None if school_class is None else members.keys())
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

    def stated(self, month: str, meal: Meal) -> Mapping[str, MealDays]:
        """What the newest version says of each pupil; nobody where none was stated."""
        return self._stated(month, meal)[1]

    def _stated(self, month: str, meal: Meal) -> tuple[int, Mapping[str, MealDays]]:
        with self._store.database.lock:
            row = self._store.days.meals.sheets.month(month, meal)
        return (0, {}) if row is None else (row.version, row.pupils)


def month_days(month: str) -> tuple[date, date]:
    """First and last day of a month such as 2026-11. Raises EntryRefused."""
    try:
        first = date.fromisoformat(f"{month}-01")
    except ValueError as problem:
        raise EntryRefused("{month!r} is no month such as 2026-11", month=month[:20]) from problem
    if len(month) != 7:
        raise EntryRefused("{month!r} is no month such as 2026-11", month=month[:20])
    if (unknown := beyond(first)) is not None:
        raise EntryRefused("{unknown}", unknown=unknown)
    return first, first.replace(day=calendar.monthrange(first.year, first.month)[1])


def _parts(
    pupils: Mapping[str, MealDays], differs: Mapping[str, MealDays]
) -> Iterator[tuple[dict[str, MealDays], dict[str, MealDays]]]:
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
        raise EntryRefused("meal {asked!r} is not one of {meals}", asked=asked[:20], meals=", ".join(MEALS))
    meals = MEALS if asked is None else (asked,)
    if words.get("state") == "True":
        meal: Meal = meals[0] if asked is not None else "lunch"
        version = months.state(words.get("by") or "-", month, meal, words.get("reason") or "")
        stated = months.stated(month, meal).values()
        registered, ate = sum(one.registered > 0 for one in stated), sum(one.eaten > 0 for one in stated)
        told = f"{registered} học sinh đăng ký / pupils registered, {ate} có ăn / ate"
        return "\n".join((f"{month}: phiên bản / version {version}: {told}", *_waits_told(store, month)))
    found = months.told(month, meals)
    if words.get("json") == "True":
        return msgspec.json.encode(found).decode("utf-8")
    shown = ("registered", "cut", "late", "card", "hand", "list", "unconfirmed", "seconds", "chargeable")
    lines = []
    for one in found:
        counts = ", ".join(f"{one[name]} {name}" for name in shown if one[name])
        lines.append(f"{one['meal']} {one['class']} {one['student']}: {counts}")
    lines = lines or [f"{month}: không có bữa ăn / no meals"]
    return "\n".join((*lines, *_waits_told(store, month)))


def _waits_told(store: Store, month: str) -> Iterator[str]:
    """A line where counters' records of the month aren't all here: it may be stated all the same."""
    waits = counter_waits(store, *month_days(month)).waits
    if waits:
        yield f"CHƯA ĐỦ, còn chờ quầy / INCOMPLETE, waiting for counters: {', '.join(waits)}"
