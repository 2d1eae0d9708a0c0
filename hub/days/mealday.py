"""A meal's day as people look at it: the public sheet, each counter, conflicts, the forecast before the final lock."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from datetime import date, timedelta
from typing import TYPE_CHECKING, Final

from hub.attendance.schoolday import SchoolDay, attributed
from hub.days.classbook import midnight_ms, today_at
from hub.days.incidentbook import IncidentBook
from hub.incidents.pack import Origin
from hub.meals.conflicts import Conflict, conflicts
from hub.meals.forecast import DAYS, Forecast, PastDay, forecast
from hub.meals.mealdays import meals_of
from hub.meals.portions import is_closed, registered
from hub.meals.publicsheet import CounterLine, PublicSheet, counter_lines, public_sheet
from hub.meals.sittings import DAY_MS, GRACE_AFTER_MS, GRACE_BEFORE_MS, clock_ms, plan_on, sittings_of
from protocol.meals import Meal

if TYPE_CHECKING:
    from hub.attendance.marks import Mark
    from hub.parts import Store

BACK_DAYS: Final = 28
"""How far back past days of a meal are looked for: ten school days, also over a holiday's week."""
THERE: Final[frozenset[Mark]] = frozenset({"present", "late", "left-early"})
AWAY: Final[frozenset[Mark]] = frozenset({"absent", "excused", "unexcused"})


@dataclass(frozen=True, slots=True)
class MealLook:
    """A meal of a day. `waiting`: gateways with counters of which records may still come; none: it is complete."""

    sheet: PublicSheet
    counters: list[CounterLine]
    conflicts: list[Conflict]
    waiting: list[Origin]


class MealDay:
    """See the room. What was of past days is remembered: each is read once, a day in a turn of the kitchen's."""

    def __init__(self, store: Store) -> None:
        """Nothing was looked at yet."""
        self._store = store
        self._past: dict[tuple[date, Meal], PastDay | None] = {}

    def look(self, day: date, meal: Meal) -> MealLook:
        """All numbers of a meal as they are known now."""
        store = self._store
        # Each takes the lock for itself: gateways' batches come in between.
        said, found = store.mealbook.said(day), store.mealbook.served(day)
        present, absent = self._there(day)
        with store.database.lock:
            waiting = self._waiting(day, meal)
        expected = registered(said, meal)
        sheet = public_sheet(day, meal, expected, found.servings, found.aside, present, closed=is_closed(said, meal))
        meals = meals_of(said, meal, found.servings)
        named = conflicts(meals, found.servings, present, absent, complete=not waiting)
        mine = [one for one in named if (one.day, one.meal) == (day, meal)]
        return MealLook(sheet, counter_lines(day, meal, found.servings), mine, waiting)

    def _there(self, day: date) -> tuple[set[str], set[str]]:
        """Who is at school that day by marks, in any half-day; and who is away in each that they have."""
        marks: dict[str, set[Mark]] = defaultdict(set)
        for marked in self._store.classbook.marks(day):
            marks[marked.pupil.key].add(marked.judged.mark)
        return {key for key, mine in marks.items() if mine & THERE}, {
            key for key, mine in marks.items() if mine <= AWAY
        }

    def _waiting(self, day: date, meal: Meal) -> list[Origin]:
        store = self._store
        sittings = [one for one in sittings_of(plan_on(store.mealbook.plans(), day), day) if one.meal == meal]
        if not sittings:
            return []
        first_ms = min(one.opens_ms for one in sittings) - GRACE_BEFORE_MS
        last_ms = max(one.closes_ms for one in sittings) + GRACE_AFTER_MS
        origins = IncidentBook(store).origins(first_ms, last_ms, store.clock.now_ms())
        return [one for one in origins if not one.complete]

    # --- the forecast -------------------------------------------------------------------------------------------------

    def forecasts(self, day: date, meal: Meal) -> list[Forecast]:
        """The forecast at each of the plan's clocks that has come; none once the final sheet is frozen."""
        store, now_ms = self._store, self._store.clock.now_ms()
        with store.database.lock:
            if any((one.meal, one.lock) == (meal, "final") for one in store.days.meals.sheets.locks(day)):
                return []
            said = store.mealbook.said(day)
            known = store.classbook.evidence(day)
        expected = {one.pupil for one in registered(said, meal) if not one.cut}
        past = [one for (_, of), one in self._past.items() if of == meal and one is not None and one.day < day]
        first = _arrivals(known)
        return [
            forecast(clock, len(expected), _come(first, expected, clock_ms(day, clock)), past)
            for clock in said.plan.arrivals
            if clock_ms(day, clock) <= now_ms
        ]

    def learn(self) -> bool:
        """Read one past day that wasn't read yet; False where all were that are needed."""
        store, today = self._store, today_at(self._store.clock.now_ms())
        with store.database.lock:
            meals = [one.meal for one in plan_on(store.mealbook.plans(), today).meals]
        for place in [one for one in self._past if one[0] < today - timedelta(days=BACK_DAYS)]:
            del self._past[place]
        for meal in meals:
            told = sum(1 for (_, of), one in self._past.items() if of == meal and one is not None)
            for back in range(1, BACK_DAYS + 1):
                day = today - timedelta(days=back)
                if told < DAYS and (day, meal) not in self._past:
                    self._past[day, meal] = self._read(day, meal)
                    return True
        return False

    def _read(self, day: date, meal: Meal) -> PastDay | None:
        """What a past day tells; None of one without that meal."""
        store = self._store
        said = store.mealbook.said(day)
        expected = {one.pupil for one in registered(said, meal) if not one.cut}
        if not expected:
            return None
        found, known = store.mealbook.served(day), store.classbook.evidence(day)
        ate = {one.pupil for one in found.servings if one.meal == meal} & expected
        if not ate:
            # A day on which nobody's serving is here tells of records that are missing, not of appetite.
            return None
        first = _arrivals(known)
        arrived = {clock: _come(first, expected, clock_ms(day, clock)) for clock in said.plan.arrivals}
        return PastDay(day, len(expected), arrived, len(ate))


def _arrivals(known: SchoolDay) -> dict[str, int]:
    """Pupil -> when they came by a gate first that day, Unix ms; who goes out comes not by that."""
    found: dict[str, int] = {}
    days = {session.day for session in known.sessions.values()}
    begin_ms = min((midnight_ms(day) for day in days), default=0)
    for tap in attributed(known.taps, known.bindings):
        if tap.direction != "out" and begin_ms <= tap.best_ms < begin_ms + DAY_MS:
            found[tap.pupil] = min(tap.best_ms, found.get(tap.pupil, tap.best_ms))
    return found


def _come(first: dict[str, int], expected: set[str], until_ms: int) -> int:
    return sum(1 for pupil in expected if pupil in first and first[pupil] <= until_ms)
