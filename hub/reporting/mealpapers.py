"""The meal papers of a store: each gathered from what is held now, and handed over as a file under a number."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import date
from typing import TYPE_CHECKING, Final, Literal, cast

from hub.days.classbook import days_between, today_at
from hub.days.counterwaits import counter_waits
from hub.days.mealmonths import month_days
from hub.days.office import EntryRefused
from hub.dayview.mealevents import at_school, meal_events, shown_sheet
from hub.mealpapers.daily import FoodLine, food_paper, public_paper, ratings_paper
from hub.mealpapers.kitchen import Adjusted, Frozen, kitchen_paper
from hub.mealpapers.monthly import MonthLine, month_paper
from hub.mealpapers.paper import Paper, PaperForm, paper_bytes
from hub.mealpapers.slip import SlipDay, slip_days, slip_paper
from hub.meals.mealdays import PupilMeal, meals_of, month_of
from hub.meals.portions import said_of_pupils
from hub.meals.publicsheet import counter_lines
from hub.meals.servings import Serving
from hub.meals.sittings import clock_ms
from hub.reporting.making import Reporting
from hub.reports.monthsheet import Stamp, Standing
from hub.reports.words import Language
from protocol.meals import MEALS, Meal

if TYPE_CHECKING:
    from hub.parts import Store

SPAN_DAYS_MAX: Final = 62
"""Of ratings and food links in one paper."""


class MealPapers:
    """See the room. Nothing is kept; who asks is the caller's to note."""

    def __init__(self, store: Store, language: Language = "vi") -> None:
        """Of one hub."""
        self._store, self._language = store, language

    # --- of a day -----------------------------------------------------------------------------------------------------

    def kitchen(self, day: date, meal: Meal) -> Paper:
        """The kitchen's sheet as it stands: frozen with its version and adjustments, else a draft. No names."""
        sheet, adjustments, numbers = self._store.kitchen.sheet(day, meal)
        frozen = None
        if sheet is not None:
            lock = cast(Literal["provisional", "final"], sheet.lock)
            frozen = Frozen(lock, sheet.version, sheet.due_ms, sheet.frozen_ms, sheet.by, sheet.closed, sheet.classes)
        since = [Adjusted(one.number, one.at_ms, one.by, one.reason, one.classes) for one in adjustments]
        return kitchen_paper(day, meal, numbers, frozen, since, self._language)

    def public(self, day: date, meal: Meal) -> Paper:
        """The day's numbers as a paper to post, with what each counter served: the same as on the page."""
        events = meal_events(self._store, day, meal)
        sheet = shown_sheet(events, at_school(self._store, events).present)
        paper = public_paper(sheet, counter_lines(day, meal, events.servings), self._language, events.dark)
        reaches = events.ends_ms if events.complete(self._store.clock.now_ms()) else None
        return replace(paper, standing=Standing(reaches, events.waits))

    def ratings(self, first: date, last: date) -> Paper:
        """How many touched each face, by meal, day and tray return. Raises EntryRefused."""
        _hold(first, last)
        with self._store.database.lock:
            found = {day: self._store.days.meals.ratings(day) for day in days_between(first, last)}
        paper = ratings_paper({day: some for day, some in found.items() if some}, self._language)
        return self._rests_on(paper, first, last)

    def food(self, first: date, last: date) -> Paper:
        """Menu ids, lots, sample labels and ends of serving. Raises EntryRefused."""
        _hold(first, last)
        with self._store.database.lock:
            dishes = list(self._store.mealplans.menu(first, last))
        lines = [
            FoodLine(one.day, one.meal, one.portion, one.menu, one.dish, one.lot, one.supplier, one.sample)
            for one in dishes
        ]
        paper = food_paper(lines, self._servings(sorted({one.day for one in dishes})), self._language)
        return self._rests_on(paper, first, last)

    def _servings(self, days: list[date]) -> Iterator[Serving]:
        for day in days:
            with self._store.database.lock:
                yield from self._store.mealbook.served(day).servings

    # --- of a month ---------------------------------------------------------------------------------------------------

    def month(self, month: str, meal: Meal, *, names: bool = False, school_class: str | None = None) -> Paper:
        """Every pupil's counts, or a class's, and what of them differs from what was stated last.

        Raises EntryRefused.
        """
        store = self._store
        members = store.mealmonths.members(month, school_class)
        now = month_of(store.mealmonths.meals(month, meal, None if school_class is None else members.keys()))
        with store.database.lock:
            row = store.days.meals.sheets.month(month, meal)
        lines = []
        for pupil, days in now.items():
            one = members.get(pupil)
            name, mine = ("", "") if one is None else (one.name if names else "", one.school_class)
            lines.append(MonthLine(pupil, name, mine, days, None if row is None else row.pupils.get(pupil)))
        paper = month_paper(month, meal, lines, None if row is None else row.version, self._language)
        return self._rests_on(paper, *month_days(month))

    def slip_days(self, student: str, month: str) -> list[SlipDay]:
        """A child's meals of a month, to today, with hours and records. Raises EntryRefused."""
        store = self._store
        first, last = month_days(month)
        last = min(last, today_at(store.clock.now_ms()))
        meals: list[PupilMeal] = []
        servings: list[Serving] = []
        said_ms: dict[str, int] = {}
        locks: dict[tuple[date, Meal], int] = {}
        for whole in store.mealbook.said_of(first, last) if first <= last else ():
            said = said_of_pupils(whole, {student})
            with store.database.lock:
                mine = store.mealbook.served(said.day, {student}).servings
            servings += mine
            said_ms |= {one.id: one.at_ms for one in said.cuts} | {one.id: one.at_ms for one in said.enrolments}
            said_ms |= {one.leave.id: one.leave.at_ms for one in said.excuses}
            for planned in said.plan.meals:
                locks[said.day, planned.meal] = clock_ms(said.day, planned.money, planned.money_days_before)
            for meal in MEALS:
                meals += meals_of(said, meal, mine)
        return slip_days(meals, servings, said_ms, locks)

    def slip(self, student: str, month: str) -> Paper:
        """A parent's slip, of their own child alone, with complaints and answers. Raises EntryRefused."""
        store = self._store
        with store.database.lock:
            person = store.people.find(student)
        if person is None:
            raise EntryRefused("{student!r} is no pupil of this school", student=student[:70])
        complaints = [one for _, one in store.complaints.of(month, student)]
        days = self.slip_days(student, month)
        paper = slip_paper(person.name, person.school_class, month, days, complaints, self._language)
        return self._rests_on(paper, *month_days(month))

    # --- as files -----------------------------------------------------------------------------------------------------

    def file(self, paper: Paper, form: PaperForm, by: str) -> bytes:
        """A paper as a file under a number of its own."""
        number, school = Reporting(self._store).next_number(), self._store.config.school
        # How far counters' records reach is the paper's own to say, where it rests on any.
        stamp = Stamp(number, school, self._store.clock.now_ms(), by.strip() or "-", Standing(None))
        return paper_bytes(paper, form, stamp, self._language)

    def _rests_on(self, paper: Paper, first: date, last: date) -> Paper:
        """A paper that rests on counters' records of some days, with who is waited for of the meals that are over."""
        found = counter_waits(self._store, first, last)
        if found.until_ms is None:
            return paper
        reaches = None if found.waits or not found.known else found.until_ms
        return replace(paper, standing=Standing(reaches, found.waits))


def _hold(first: date, last: date) -> None:
    if last < first or (last - first).days >= SPAN_DAYS_MAX:
        raise EntryRefused(
            "{first} to {last} is no span of at most {most} days", first=first, last=last, most=SPAN_DAYS_MAX
        )
