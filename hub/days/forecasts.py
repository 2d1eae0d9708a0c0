"""Forecasts of a hub: from who came through its gates how many will eat, learned from the meals of days that were."""

from __future__ import annotations

from datetime import date, timedelta
from typing import TYPE_CHECKING, Final

from hub.attendance.schoolday import SchoolDay, attributed
from hub.days.classbook import midnight_ms, today_at
from hub.meals.forecast import DAYS, Forecast, PastDay, forecast
from hub.meals.portions import registered
from hub.meals.sittings import DAY_MS, clock_ms, plan_on
from protocol.meals import Meal

if TYPE_CHECKING:
    from hub.parts import Store

BACK_DAYS: Final = 28
"""How far back past days of a meal are looked for: ten school days, also over a holiday's week."""


class Forecasts:
    """See the room. What was of past days is remembered: each is read once, a day in a turn of the kitchen's."""

    def __init__(self, store: Store) -> None:
        """Nothing was looked at yet."""
        self._store = store
        self._past: dict[tuple[date, Meal], PastDay | None] = {}

    def of(self, day: date, meal: Meal) -> list[Forecast]:
        """The forecast at each of the plan's clocks that has come; none once the final sheet is frozen."""
        store, now_ms = self._store, self._store.clock.now_ms()
        with store.database.lock:
            if any((one.meal, one.lock) == (meal, "final") for one in store.days.meals.sheets.locks(day)):
                return []
            said = store.mealbook.said(day)
            known = store.classbook.evidence(day)
        expected = {one.pupil for one in registered(said, meal) if not one.cut}
        past = [one for (_, of), one in list(self._past.items()) if of == meal and one is not None and one.day < day]
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
