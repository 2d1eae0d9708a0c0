"""The meal months: what a month's meals come to as counted now, and the records by which the school stated it.

A month is stated by a person's word, as records that go to the city. Whatever comes later - a late record of a counter,
a word, an answer to a complaint - makes nothing of it otherwise by itself: somebody states it anew, and the new version
says by how much it differs from the one before.
"""

from __future__ import annotations

import calendar
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import date
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
