"""Forms of meals: which meal an address means, the words of meals and portions, where a form goes back to."""

from __future__ import annotations

from datetime import date
from typing import TYPE_CHECKING, Annotated, Any, Final
from urllib.parse import urlencode

from fastapi import Form, Query

from hub.attendance.knowndays import FIRST_DAY, LAST_DAY
from hub.dayview.mealday import first_meal
from hub.meals.sittings import day_of, plan_on
from hub.web.dayforms import words
from hub.web.registry import N_
from protocol.meals import Meal, Portion
from protocol.taps import parse_tap_id

if TYPE_CHECKING:
    from collections.abc import Callable

    from hub.meals.forecast import Forecast
    from hub.web.ground import Web
    from hub.web.visits import Visit

AskedMeal = Annotated[Meal | None, Query(description="absent: lunch, or the plan's first meal")]
AskedSaid = Annotated[str, Query(max_length=20)]
FormMeal = Annotated[Meal, Form()]
MealDate = Annotated[date, Form(ge=FIRST_DAY, le=LAST_DAY)]
FormPortion = Annotated[Portion, Form()]
FormWhy = Annotated[str, Form(max_length=200)]
FormRecord = Annotated[str, Form(max_length=40)]

MEALS: Final = {
    "breakfast": N_("Bữa sáng"),
    "lunch": N_("Bữa trưa"),
    "snack": N_("Bữa xế"),
    "dinner": N_("Bữa tối"),
}
PORTIONS: Final = {
    "regular": N_("Mặn"),
    "vegetarian": N_("Chay"),
    "porridge": N_("Cháo"),
    "diet": N_("Suất riêng"),
}
LOCKS: Final = {
    "provisional": N_("Chốt tạm"),
    "final": N_("Chốt cho bếp"),
    "money": N_("Chốt tiền ăn"),
}


def meal_asked(web: Web, day: date, meal: Meal | None) -> Meal:
    """The meal that an address names, or the day's main one."""
    return first_meal(web.store, day) if meal is None else meal


def meals_of_day(web: Web, day: date) -> list[Meal]:
    """The meals that a day's plan has."""
    with web.store.database.lock:
        return [one.meal for one in plan_on(web.store.mealbook.plans(), day).meals]


def class_served(web: Web, tap: str) -> str | None:
    """The class that a counter's record is of, on the day of the record whatever day was asked; under the lock.

    None where it is nobody's, or no record: then it is the whole school's.
    """
    name = parse_tap_id(tap)
    book = None if name is None else web.store.ledger.books.find(name.journal)
    row = None if name is None or book is None else web.store.days.tap(book.number, name.sequence)
    return None if row is None or row.student is None else web.store.people.class_on(row.student, day_of(row.best_ms))


def newest_forecast(web: Web, day: date, meal: Meal) -> Forecast | None:
    """The forecast at the newest of the plan's clocks; None before the first, after the lock, where nobody eats."""
    found = web.store.forecasts.of(day, meal)
    return found[-1] if found and found[-1].expected else None


def meal_words(web: Web, visit: Visit) -> dict[str, Callable[..., Any] | dict[str, str]]:
    """The words of meals, portions and locks, for a template."""
    return {
        "meals": words(web, visit, MEALS),
        "portions": words(web, visit, PORTIONS),
        "locks": words(web, visit, LOCKS),
    }


def meals_path(path: str, **values: object) -> str:
    """An address of a page of meals, with what isn't empty."""
    told = {name.rstrip("_"): str(value) for name, value in values.items() if value not in (None, "")}
    return f"{path}?{urlencode(told)}" if told else path
