"""The page of lists on paper: who of a class ate, in the classroom or by a counter's paper list, entered afterwards."""

from __future__ import annotations

from datetime import date, datetime
from typing import Annotated, Final, Literal

from fastapi import Form
from fastapi.responses import RedirectResponse, Response

from hub.attendance.schoolday import VIETNAM
from hub.days.office import BY_CHARACTERS_MAX, EntryRefused
from hub.dayview.mealclass import members_named
from hub.meals.servings import newest_lists
from hub.web.dayforms import AskedDay, shown_names
from hub.web.ground import Web
from hub.web.mealforms import (
    AskedMeal,
    AskedSaid,
    FormMeal,
    FormWhy,
    MealDate,
    meal_asked,
    meal_words,
    meals_of_day,
    meals_path,
)
from hub.web.pages.cardpages import classes_of, name_of
from hub.web.registry import N_
from hub.web.visits import Visit, Visitor
from protocol.meals import Meal
from protocol.names import spelled

SAID: Final = {
    "kept": N_("Đã ghi danh sách ăn của lớp."),
    "added": N_("Đã thêm các em trên giấy vào danh sách của lớp."),
}
FILLED_BY_MAX: Final = 40
Pupils = Annotated[list[str] | None, Form(max_length=200)]


def add_meal_paper_pages(web: Web) -> None:
    """`/meals/paper`."""

    @web.page("/meals/paper")
    def paper(visit: Visitor, day: AskedDay = None, meal: AskedMeal = None, said: AskedSaid = "") -> Response:
        return _paper(web, visit, min(day or visit.today, visit.today), meal, said=said)

    @web.form("/meals/paper", "settle-servings", "meal class list", of="class")
    def enter(
        visit: Visitor,
        day: MealDate,
        meal: FormMeal,
        served: Pupils = None,
        mode: Annotated[Literal["class", "counter"], Form()] = "class",
        filled_by: Annotated[str, Form(max_length=FILLED_BY_MAX)] = "",
        seen: Annotated[str, Form(max_length=5)] = "",
        why: FormWhy = "",
    ) -> Response:
        """A class's list is the whole of it; a counter's paper list adds to what was entered of the class before."""
        chosen = set(served or [])
        try:
            if visit.school_class is None:
                raise EntryRefused("class: whose list it is must be said")
            if mode == "counter":
                if not chosen:
                    raise EntryRefused("served: nobody is ticked")
                chosen |= _listed(web, visit.school_class, day, meal)
            by = _by(filled_by, name_of(visit))
            seen_ms = _seen_ms(day, seen)
            web.store.mealoffice.serve_class(by, visit.school_class, day, meal, sorted(chosen), seen_ms, why.strip())
        except EntryRefused as problem:
            return _paper(
                web, visit, day, meal, problem=web.refused(visit, problem), typed=frozenset(served or []), http=409
            )
        said = "added" if mode == "counter" else "kept"
        return RedirectResponse(
            meals_path("/meals/paper", class_=visit.school_class, day=day, meal=meal, said=said), 303
        )


def _paper(
    web: Web,
    visit: Visit,
    day: date,
    meal: Meal | None,
    *,
    said: str = "",
    problem: str = "",
    typed: frozenset[str] = frozenset(),
    http: int = 200,
) -> Response:
    name = meal_asked(web, day, meal)
    people, counters, before = [], {}, None
    if visit.school_class is not None:
        people = members_named(web.store, visit.school_class, day, births=visit.may("see-class"))
        with web.store.database.lock:
            lists = newest_lists(web.store.days.meals.lists(day, day))
            servings = web.store.mealbook.served(day).servings
        before = next((one for one in lists if (one.school_class, one.meal) == (visit.school_class, name)), None)
        keys = {one.key for one in people}
        counters = {
            one.pupil: one for one in reversed(servings) if one.meal == name and one.how != "list" and one.pupil in keys
        }
    own = visit.person is not None and visit.person.school_class
    told = SAID.get(said)
    return web.show(
        visit,
        "mealspaper.html",
        http,
        day=day,
        meal=name,
        people=people,
        counters=counters,
        before=before,
        reason="" if before is None else web.store.mealoffice.reason_of_list(before.id),
        past=day < visit.today,
        ticked=typed or frozenset(() if before is None else before.served),
        meals=meals_of_day(web, day),
        classes=[] if own else classes_of(web, visit),
        names=shown_names(web, set() if before is None else {before.by}),
        told=None if told is None else web.say(visit, told),
        problem=problem,
        words=meal_words(web, visit),
    )


def _listed(web: Web, school_class: str, day: date, meal: Meal) -> set[str]:
    """Who stands on the newest list of the class already."""
    with web.store.database.lock:
        lists = newest_lists(web.store.days.meals.lists(day, day))
    return {pupil for one in lists if (one.school_class, one.meal) == (school_class, meal) for pupil in one.served}


def _by(filled_by: str, name: str) -> str:
    """By whom the list is: whoever filled the paper, and who typed it in."""
    filler = spelled(filled_by)
    return f"{filler} ({name})"[:BY_CHARACTERS_MAX] if filler else name


def _seen_ms(day: date, clock: str) -> int | None:
    """About when they ate, by an HH:MM of the day; None: as the plan says. Raises EntryRefused."""
    if not clock:
        return None
    try:
        moment = datetime.strptime(f"{day.isoformat()} {clock}", "%Y-%m-%d %H:%M").replace(tzinfo=VIETNAM)
    except ValueError as problem:
        raise EntryRefused("seen: {clock!r} is no time such as 11:20", clock=clock) from problem
    return int(moment.timestamp() * 1000)
