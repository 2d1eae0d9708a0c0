"""The meal forecast: who has come through the gates against past school days, gathered for the page; until the lock."""

from __future__ import annotations

import threading
from collections.abc import Collection, Mapping
from datetime import date, timedelta
from typing import TYPE_CHECKING, Final

from hub.meals.forecast import DAYS, Forecast, PastDay, forecast
from hub.meals.sittings import DAY_MS, clock_ms, midnight_of, plan_on

if TYPE_CHECKING:
    from hub.parts import Store
    from protocol.meals import Meal

BACK_DAYS: Final = 28
"""How far past days are looked for: the DAYS newest of them count."""
KEPT_MAX: Final = 64


class MealForecasts:
    """See the room. Past days are counted once and kept: what corrects one since moves a median by little."""

    def __init__(self, store: Store) -> None:
        """Nothing was counted yet."""
        self._store = store
        self._kept: dict[tuple[date, Meal], PastDay | None] = {}
        self._lock = threading.Lock()

    def of(self, day: date, meal: Meal, now_ms: int) -> Forecast | None:
        """The forecast at the newest clock of the plan that has struck; None before, after the final lock, and of days
        on which nobody eats.
        """
        with self._store.database.lock:
            plan = plan_on(self._store.mealbook.plans(), day)
            locks = self._store.days.meals.sheets.locks(day)
        planned = plan.of(meal)
        struck = [clock for clock in plan.arrivals if clock_ms(day, clock) <= now_ms]
        if planned is None or not struck or now_ms >= clock_ms(day, planned.final):
            return None
        if any((one.meal, one.lock) == (meal, "final") for one in locks):
            return None
        expected = self._expected(day, meal)
        if not expected:
            return None
        clock = max(struck)
        arrived = self._arrived(day, [clock], expected)[clock]
        return forecast(clock, len(expected), arrived, self._past(day, meal, plan.arrivals))

    def _expected(self, day: date, meal: Meal) -> frozenset[str]:
        return frozenset(one.pupil for one in self._store.mealbook.registered(day, meal) if not one.cut)

    def _arrived(self, day: date, clocks: Collection[str], expected: Collection[str]) -> Mapping[str, int]:
        """Clock -> how many of these pupils had come through a gate by then."""
        with self._store.database.lock:
            first = self._store.board.arrivals(midnight_of(day), midnight_of(day) + DAY_MS)
        mine = [at_ms for pupil, at_ms in first.items() if pupil in expected]
        return {clock: sum(at_ms <= clock_ms(day, clock) for at_ms in mine) for clock in clocks}

    def _past(self, day: date, meal: Meal, clocks: Collection[str]) -> list[PastDay]:
        """The newest past days on which the meal was locked and eaten."""
        found: list[PastDay] = []
        with self._lock:
            for back in range(1, BACK_DAYS + 1):
                then = day - timedelta(days=back)
                if (then, meal) not in self._kept:
                    self._kept[then, meal] = self._count(then, meal, clocks)
                    while len(self._kept) > KEPT_MAX:
                        self._kept.pop(next(iter(self._kept)))
                known = self._kept[then, meal]
                if known is not None:
                    found.append(known)
                if len(found) == DAYS:
                    break
        return found

    def _count(self, day: date, meal: Meal, clocks: Collection[str]) -> PastDay | None:
        store = self._store
        with store.database.lock:
            locked = any(one.meal == meal and one.lock == "final" for one in store.days.meals.sheets.locks(day))
        expected = self._expected(day, meal) if locked else frozenset()
        if not expected:
            return None
        eaters = {one.pupil for one in store.mealbook.served(day).servings if one.meal == meal and one.pupil}
        ate = len(expected & eaters)
        return PastDay(day, len(expected), self._arrived(day, clocks, expected), ate) if ate else None
