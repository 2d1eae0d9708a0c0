"""The desk of the meal plan: which document holds on a day, and a new one from a day on, as a file of the school's."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import date
from typing import TYPE_CHECKING, Final

from hub.days.classbook import today_at
from hub.days.office import EntryRefused
from hub.desks.desk import Outcome
from hub.meals.sittings import plan_bytes, plan_from, plan_on
from hub.papers import unwrapped

if TYPE_CHECKING:
    from hub.parts import Store

Words = Mapping[str, str | None]


class PlanDesk:
    """See the room."""

    def __init__(self, store: Store) -> None:
        """Of one hub."""
        self._store = store

    def carry_out(self, action: str, words: Words) -> Outcome:
        """Do one of PLAN_ACTIONS. Raises EntryRefused, MealPlanRefused."""
        return ACTIONS[action](self, words)

    def _show(self, words: Words) -> Outcome:
        with self._store.database.lock:
            document = plan_on(self._store.mealplans.plans(), self._day(words))
        return Outcome(plan_bytes(document).decode("utf-8").rstrip("\n"))

    def _take(self, words: Words) -> Outcome:
        """A plan is no record: the sheets that were frozen by it, and servings, name what they rest on."""
        name = words.get("file") or "the plan"
        document, day = plan_from(name, unwrapped(words.get("paper") or "")), self._day(words)
        self._store.mealdesk.plan(words.get("by") or "-", day, document)
        shifts = sum(len(one.shifts) for one in document.meals)
        return Outcome(f"từ / from {day.isoformat()}: {len(document.meals)} bữa / meals, {shifts} ca / shifts")

    def _day(self, words: Words) -> date:
        text = words.get("first")
        if text is None:
            return today_at(self._store.clock.now_ms())
        try:
            return date.fromisoformat(text)
        except ValueError as problem:
            raise EntryRefused("from: {text!r} is no day such as 2026-11-23", text=text[:20]) from problem


ACTIONS: Final[dict[str, Callable[[PlanDesk, Words], Outcome]]] = {
    "meal-plan-show": PlanDesk._show,
    "meal-plan-set": PlanDesk._take,
}
PLAN_ACTIONS: Final = frozenset(ACTIONS)
