"""A meal's day as the kitchen's page shows it: the locks, the sheet class by class, what was adjusted, no names."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from typing import TYPE_CHECKING, Literal

from hub.meals.portions import NOTHING, is_closed, total
from hub.meals.sittings import PlannedMeal, clock_ms, day_of, plan_on
from protocol.names import class_order

if TYPE_CHECKING:
    from hub.parts import Store
    from hub.store.sheetrows import AdjustmentRow, LockRow
    from protocol.mealrecords import Portions
    from protocol.meals import Meal

LockName = Literal["provisional", "final", "money"]


@dataclass(frozen=True, slots=True)
class LockLine:
    """A lock of the day: when it falls, whether that has passed, and the sheet that it froze (the money lock: none)."""

    lock: LockName
    due_ms: int
    past: bool
    sheet: LockRow | None

    @property
    def on_its_day(self) -> bool:
        """Whether the sheet froze on the day that it is of; else its date is shown with the time."""
        return self.sheet is not None and day_of(self.sheet.frozen_ms) == self.sheet.day


@dataclass(frozen=True, slots=True)
class ClassLine:
    """A class's numbers now, and as they were frozen; None while nothing is."""

    school_class: str
    now: Portions
    frozen: Portions | None


@dataclass(frozen=True, slots=True)
class MealDay:
    """See the room. `meals`: those that the school's plan has; `planned` None where this one isn't among them.

    `sheet`: the newest frozen one. `final`: nothing but adjustments can change the numbers.
    """

    day: date
    meal: Meal
    meals: tuple[Meal, ...]
    planned: PlannedMeal | None
    closed: bool
    why_closed: str
    locks: tuple[LockLine, ...]
    sheet: LockRow | None
    adjustments: tuple[AdjustmentRow, ...]
    classes: tuple[ClassLine, ...]
    whole: Portions
    made_ms: int

    @property
    def final(self) -> bool:
        """Whether the final lock has fallen."""
        return self.sheet is not None and self.sheet.lock == "final"


def first_meal(store: Store, day: date) -> Meal:
    """The meal that people mean who name none: lunch, or the first one of the plan."""
    with store.database.lock:
        plan = plan_on(store.mealbook.plans(), day)
    return "lunch" if plan.of("lunch") is not None else plan.meals[0].meal


def meal_day(store: Store, day: date, meal: Meal, now_ms: int) -> MealDay:
    """The day of a meal as it stands."""
    with store.database.lock:
        plan = plan_on(store.mealbook.plans(), day)
        sheets = [one for one in store.days.meals.sheets.locks(day) if one.meal == meal]
        closures = [one for one in store.days.meals.closures(day, day) if not one.meals or meal in one.meals]
        said = store.mealbook.said(day)
        sheet, adjustments, now = store.kitchen.sheet(day, meal)
    planned = plan.of(meal)
    closed = is_closed(said, meal)
    frozen: Mapping[str, Portions] = {} if sheet is None else sheet.classes
    names = sorted({*now, *frozen}, key=class_order)
    lines = tuple(
        ClassLine(name, now.get(name, NOTHING), None if sheet is None else frozen.get(name, NOTHING)) for name in names
    )
    why = max(closures, key=lambda one: one.at_ms).reason if closed and closures else ""
    return MealDay(
        day, meal, tuple(one.meal for one in plan.meals), planned, closed, why, _locks(planned, day, sheets, now_ms),
        sheet, tuple(adjustments), lines, total(now), now_ms,
    )  # fmt: skip


def _locks(planned: PlannedMeal | None, day: date, sheets: list[LockRow], now_ms: int) -> tuple[LockLine, ...]:
    if planned is None:
        return ()
    due = {
        "provisional": clock_ms(day, planned.provisional),
        "final": clock_ms(day, planned.final),
        "money": clock_ms(day, planned.money, planned.money_days_before),
    }
    names: tuple[LockName, ...] = ("provisional", "final", "money")
    return tuple(
        LockLine(
            name, due[name], now_ms >= due[name], next((one for one in reversed(sheets) if one.lock == name), None)
        )
        for name in names
    )
