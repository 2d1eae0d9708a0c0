"""Pages of the food itself: the menu with lots and sample labels for the food check book, and how pupils liked it."""

from __future__ import annotations

from datetime import date, timedelta
from typing import Annotated, Final

from fastapi import Form
from fastapi.responses import RedirectResponse, Response

from hub.days.office import EntryRefused
from hub.meals.servings import serving_spans
from hub.store.mealplanrows import Dish
from hub.web.dayforms import AskedDay
from hub.web.ground import Web
from hub.web.mealforms import (
    AskedMeal,
    AskedSaid,
    FormMeal,
    FormPortion,
    MealDate,
    meal_asked,
    meal_words,
    meals_of_day,
    meals_path,
)
from hub.web.pages.cardpages import name_of
from hub.web.registry import N_
from hub.web.visits import Visit, Visitor
from protocol.meals import FACES, Meal

TEXT_MAX: Final = 120
DISHES_MAX: Final = 40
"""Of a meal of a day."""
SAID: Final = {"kept": N_("Đã ghi thực đơn.")}
FACE_NAMES: Final = {"good": N_("Ngon"), "fair": N_("Tạm được"), "bad": N_("Không ngon")}
DAYS: Final = 10
Text = Annotated[str, Form(max_length=TEXT_MAX)]


def add_menu_pages(web: Web) -> None:
    """`/meals/menu`, `/meals/ratings`."""

    @web.page("/meals/menu")
    def menu(visit: Visitor, day: AskedDay = None, meal: AskedMeal = None, said: AskedSaid = "") -> Response:
        return _menu(web, visit, day or visit.today, meal, said=said)

    @web.form("/meals/menu", "kitchen-sheet", "menu entered")
    def enter(
        visit: Visitor,
        day: MealDate,
        meal: FormMeal,
        dish: Text = "",
        portion: FormPortion = "regular",
        lot: Text = "",
        supplier: Text = "",
        sample: Text = "",
        gone: Annotated[str, Form(max_length=1)] = "",
    ) -> Response:
        """One dish of a meal: new, anew, or `gone`; the others stay."""
        name = dish.strip()
        try:
            if not name or not all(one.isprintable() for one in (dish, lot, supplier, sample)):
                raise EntryRefused("dish: its name, one line")
            with web.store.database.transaction():
                before = [one for one in web.store.mealplans.menu(day, day) if one.meal == meal]
                known = next((one for one in before if (one.dish, one.portion) == (name, portion)), None)
                others = [one for one in before if one is not known]
                allergens = () if known is None else known.allergens
                mine = Dish(day, meal, portion, name, allergens, lot.strip(), supplier.strip(), sample.strip())
                if len(others) >= DISHES_MAX:
                    raise EntryRefused("{count} dishes, at most {most} of a meal", count=len(others), most=DISHES_MAX)
                if gone and not others:
                    raise EntryRefused("dish: the last one of a meal is changed, not taken away")
                web.store.mealdesk.cook(name_of(visit), others if gone else [*others, mine])
        except EntryRefused as problem:
            return _menu(web, visit, day, meal, problem=web.refused(visit, problem), http=409)
        return RedirectResponse(meals_path("/meals/menu", day=day, meal=meal, said="kept"), 303)

    @web.page("/meals/ratings")
    def ratings(visit: Visitor, day: AskedDay = None) -> Response:
        last = day or visit.today
        rows = []
        with web.store.database.lock:
            for back in range(DAYS):
                when = last - timedelta(days=back)
                for (meal, point), faces in sorted(web.store.days.meals.ratings(when).items()):
                    rows.append((when, meal, point, [faces.get(face, 0) for face in FACES]))
        names = [web.say(visit, FACE_NAMES[face]) for face in FACES]
        return web.show(
            visit, "mealsratings.html", day=last, rows=rows, faces=names, days=DAYS, words=meal_words(web, visit)
        )


def _menu(
    web: Web, visit: Visit, day: date, meal: Meal | None, *, said: str = "", problem: str = "", http: int = 200
) -> Response:
    name = meal_asked(web, day, meal)
    with web.store.database.lock:
        dishes = [one for one in web.store.mealplans.menu(day, day) if one.meal == name]
        spans = serving_spans(web.store.mealbook.served(day).servings)
    told = SAID.get(said)
    return web.show(
        visit,
        "mealsmenu.html",
        http,
        day=day,
        meal=name,
        meals=meals_of_day(web, day),
        dishes=dishes,
        served_ms=spans.get((day, name)),
        may=visit.allows("kitchen-sheet", None),
        told=None if told is None else web.say(visit, told),
        problem=problem,
        words=meal_words(web, visit),
    )
