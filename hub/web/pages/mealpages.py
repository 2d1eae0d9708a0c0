"""The kitchen's page: forecast, locks, portions class by class; on A4 with room for three signatures."""

from __future__ import annotations

from datetime import date
from typing import TYPE_CHECKING, Annotated, Final, Literal

from fastapi import Form
from fastapi.responses import RedirectResponse, Response

from hub.days.office import EntryRefused
from hub.dayview.mealday import meal_day
from hub.web.dayforms import AskedDay, shown_names
from hub.web.ground import Web
from hub.web.mealforms import (
    AskedMeal,
    AskedSaid,
    FormMeal,
    FormPortion,
    FormWhy,
    MealDate,
    meal_asked,
    meal_words,
    meals_path,
    newest_forecast,
)
from hub.web.pages.cardpages import name_of
from hub.web.registry import N_
from hub.web.standing import standing_closure, standing_servings
from hub.web.visits import Visit, Visitor
from protocol.mealrecords import Portions

if TYPE_CHECKING:
    from protocol.meals import Meal

COUNT_MAX: Final = 200
SAID: Final = {
    "locked": N_("Đã chốt phiếu. Từ giờ chỉ có thể điều chỉnh, kèm lý do."),
    "ahead": N_("Đã chốt phiếu của một ngày sắp tới. Từ giờ chỉ có thể điều chỉnh, kèm lý do."),
    "past": N_("Đã chốt phiếu của ngày đã qua. Phiếu ghi rõ được chốt lúc nào."),
    "provisional": N_("Đã chốt tạm."),
    "adjusted": N_("Đã ghi điều chỉnh. Phiếu đã chốt giữ nguyên, điều chỉnh đứng bên cạnh."),
    "closed": N_("Đã ghi: không có bữa này. Em nào vẫn đến quầy vẫn được phục vụ."),
    "open": N_("Đã ghi: vẫn có bữa này."),
}
LockKind = Annotated[Literal["provisional", "final"], Form()]


def add_meal_pages(web: Web) -> None:
    """`/meals` and what its forms are sent to."""

    @web.page("/meals")
    def meals(visit: Visitor, day: AskedDay = None, meal: AskedMeal = None, said: AskedSaid = "") -> Response:
        return _meals(web, visit, day or visit.today, meal, said=said)

    @web.form("/meals/lock", "kitchen-sheet", "meal sheet locked")
    def lock(visit: Visitor, day: MealDate, meal: FormMeal, lock: LockKind = "final") -> Response:
        try:
            web.store.mealoffice.lock(name_of(visit), day, meal, lock)
        except EntryRefused as problem:
            return _again(web, visit, day, meal, problem)
        when = "ahead" if day > visit.today else "past" if day < visit.today else "locked"
        return RedirectResponse(_path(day, meal, when if lock == "final" else "provisional"), 303)

    @web.form("/meals/adjust", "kitchen-sheet", "meal sheet adjusted")
    def adjust(
        visit: Visitor,
        day: MealDate,
        meal: FormMeal,
        of: Annotated[str, Form(max_length=40)] = "",
        portion: FormPortion = "regular",
        count: Annotated[int, Form(ge=-COUNT_MAX, le=COUNT_MAX)] = 0,
        why: FormWhy = "",
    ) -> Response:
        try:
            more = {of: Portions(**{portion: count})}
            web.store.mealoffice.adjust(name_of(visit), day, meal, more, why.strip())
        except EntryRefused as problem:
            return _again(web, visit, day, meal, problem)
        return RedirectResponse(_path(day, meal, "adjusted"), 303)

    @web.form("/meals/close", "stop-meals", "meal closed")
    def close(
        visit: Visitor,
        day: MealDate,
        meal: FormMeal,
        closed: Annotated[Literal["1", "0"], Form()] = "1",
        all_: Annotated[str, Form(alias="all", max_length=1)] = "",
        why: FormWhy = "",
    ) -> Response:
        try:
            names: list[Meal] = [] if all_ else [meal]
            with web.store.database.transaction():
                if standing_closure(web, day, names, closed=closed == "1") is None:
                    web.store.mealoffice.close(name_of(visit), day, names, why.strip(), closed=closed == "1")
        except EntryRefused as problem:
            return _again(web, visit, day, meal, problem)
        return RedirectResponse(_path(day, meal, "closed" if closed == "1" else "open"), 303)


def _path(day: date, meal: Meal, said: str) -> str:
    return meals_path("/meals", day=day, meal=meal, said=said)


def _again(web: Web, visit: Visit, day: date, meal: Meal, problem: EntryRefused) -> Response:
    """The page again with what is wrong; nothing was changed."""
    return _meals(web, visit, day, meal, problem=web.refused(visit, problem), http=409)


def _meals(
    web: Web,
    visit: Visit,
    day: date,
    meal: Meal | None,
    *,
    said: str = "",
    problem: str = "",
    http: int = 200,
) -> Response:
    name = meal_asked(web, day, meal)
    view = meal_day(web.store, day, name, visit.now_ms)
    told = SAID.get(said)
    by = {one.by for one in view.adjustments} | {one.sheet.by for one in view.locks if one.sheet is not None}
    with web.store.database.lock:
        position = web.store.board.read_to()
    return web.show(
        visit,
        "meals.html",
        http,
        view=view,
        position=position,
        stand=standing_servings(web, day, [name]) if view.closed else 0,
        forecast=None if view.closed else newest_forecast(web, day, name),
        kinds=visit.allows("see-cooking", None),
        may_lock=visit.allows("kitchen-sheet", None),
        may_stop=visit.allows("stop-meals", None),
        names=shown_names(web, by),
        told=None if told is None else web.say(visit, told),
        problem=problem,
        words=meal_words(web, visit),
    )
