"""Pages of who eats: cuts of a class by pupil, by phone too, taken back; and enrolments, many pupils at once."""

from __future__ import annotations

from datetime import date
from typing import TYPE_CHECKING, Annotated, Final, Literal

from fastapi import Form
from fastapi.responses import RedirectResponse, Response

from hub.attendance.knowndays import FIRST_DAY, LAST_DAY
from hub.days.office import EntryRefused
from hub.dayview.mealclass import class_meals
from hub.web.dayforms import AskedDay, shown_names
from hub.web.ground import Web
from hub.web.mealforms import (
    AskedMeal,
    AskedSaid,
    FormRecord,
    FormWhy,
    MealDate,
    meal_asked,
    meal_words,
    meals_of_day,
    meals_path,
)
from hub.web.pages.cardpages import classes_of, name_of
from hub.web.registry import N_
from hub.web.standing import standing_cut, standing_enrolments
from hub.web.visits import Visit, Visitor
from hub.web.words import WEEKDAYS
from protocol.meals import Meal

if TYPE_CHECKING:
    from collections.abc import Sequence

SAID: Final = {
    "cut": N_("Đã cắt suất."),
    "late": N_("Đã ghi, nhưng sau giờ chốt của bếp: bếp nhận một điều chỉnh."),
    "charged": N_("Đã ghi, nhưng sau giờ chốt tiền ăn: bữa này vẫn tính tiền."),
    "back": N_("Đã rút lại."),
    "enrolled": N_("Đã ghi đăng ký."),
    "late-enrolled": N_("Đã ghi đăng ký, nhưng sau giờ chốt tiền ăn: bữa này vẫn tính tiền."),
    "over": N_("Đã ghi đăng ký từ bữa sau. Bữa này đã hết giờ ăn: chỉ tính tiền nếu em đã ăn."),
    "ended": N_("Đã ghi thôi ăn."),
    "nobody": N_("Chưa chọn em nào."),
}
How = Annotated[Literal["page", "phone", "paper"], Form()]
Pupil = Annotated[str, Form(max_length=64)]
Pupils = Annotated[list[str] | None, Form(max_length=200)]
Meals = Annotated[list[Meal] | None, Form(max_length=4)]
Weekdays = Annotated[list[int] | None, Form(max_length=7)]
LastDay = Annotated[str, Form(max_length=10)]


def add_cut_pages(web: Web) -> None:
    """`/meals/cuts`, `/meals/enrolments`, and what their forms are sent to."""
    _add_cuts(web)
    _add_cut_forms(web)
    _add_enrolments(web)


def _add_cuts(web: Web) -> None:
    @web.page("/meals/cuts")
    def cuts(visit: Visitor, day: AskedDay = None, meal: AskedMeal = None, said: AskedSaid = "") -> Response:
        return _cuts(web, visit, day or visit.today, meal, said=said)


def _cuts(
    web: Web, visit: Visit, day: date, meal: Meal | None, *, said: str = "", problem: str = "", http: int = 200
) -> Response:
    name = meal_asked(web, day, meal)
    found = None
    if visit.school_class is not None:
        found = class_meals(web.store, visit.school_class, day, name, births=visit.may("see-class"))
    by = set() if found is None else {cut.by for one in found.eaters for cut in one.cuts}
    told = SAID.get(said)
    return web.show(
        visit,
        "mealscuts.html",
        http,
        day=day,
        meal=name,
        found=found,
        meals=meals_of_day(web, day),
        classes=_choice(web, visit),
        names=shown_names(web, by),
        may_cut=visit.school_class is not None and visit.allows("cut-meals", visit.school_class),
        told=None if told is None else web.say(visit, told),
        good=said in ("cut", "back"),
        problem=problem,
        words=meal_words(web, visit),
    )


def _add_cut_forms(web: Web) -> None:
    @web.form("/meals/cut", "cut-meals", "meal cut", of="class")
    def cut(
        visit: Visitor,
        day: MealDate,
        pupil: Pupil = "",
        last: LastDay = "",
        meals: Meals = None,
        meal: Annotated[Meal | None, Form()] = None,
        how: How = "page",
        why: FormWhy = "",
    ) -> Response:
        """`day` to `last` (empty: that day alone); `meals` empty: all of the day."""
        _member(web, visit, pupil, day)
        try:
            until = _day(last) or day
            # Whose pupil it was once may not say it of the days since.
            _member(web, visit, pupil, max(day, until))
            with web.store.database.transaction():
                same = standing_cut(web, pupil, day, until, meals or [])
                if same is not None:
                    done = web.store.mealoffice.taken(same)
                else:
                    done = web.store.mealoffice.cut(name_of(visit), pupil, day, until, meals or [], how, why.strip())
        except EntryRefused as problem:
            return _cuts(web, visit, day, meal, problem=web.refused(visit, problem), http=409)
        if same is None:
            visit.note("meal cut", pupil)
        said = "charged" if done.charged else "late" if done.late else "cut"
        return RedirectResponse(_path(visit, "/meals/cuts", day, meal, said), 303)

    @web.form("/meals/cut/back", "cut-meals", "meal cut taken back", of="class")
    def back(
        visit: Visitor,
        day: MealDate,
        act: FormRecord = "",
        meal: Annotated[Meal | None, Form()] = None,
        why: FormWhy = "",
    ) -> Response:
        with web.store.database.lock:
            found = web.store.days.meals.cut_of(act)
        if found is None:
            return web.show_problem(visit, 409, EntryRefused.code)
        _member(web, visit, found.pupil, found.last)
        try:
            web.store.mealoffice.withdraw_cut(name_of(visit), act, why.strip())
        except EntryRefused as problem:
            return _cuts(web, visit, day, meal, problem=web.refused(visit, problem), http=409)
        visit.note("meal cut taken back", found.pupil)
        return RedirectResponse(_path(visit, "/meals/cuts", day, meal, "back"), 303)


def _add_enrolments(web: Web) -> None:
    @web.page("/meals/enrolments")
    def enrolments(visit: Visitor, day: AskedDay = None, said: AskedSaid = "") -> Response:
        return _enrolments(web, visit, day or visit.today, said=said)

    @web.form("/meals/enrol", "enrol-meals", "meal enrolled", of="class")
    def enrol(
        visit: Visitor,
        day: MealDate,
        pupils: Pupils = None,
        last: LastDay = "",
        meals: Meals = None,
        weekdays: Weekdays = None,
        ends: Annotated[str, Form(max_length=1)] = "",
        why: FormWhy = "",
    ) -> Response:
        """The same for every pupil that is ticked, in one transaction; `ends`: they don't eat here any more."""
        if not pupils:
            visit.failed(EntryRefused.code)
            return _enrolments(web, visit, day, said="nobody", http=409)
        for pupil in pupils:
            _member(web, visit, pupil, day)
        chosen: Sequence[Meal] = () if ends else (meals or ())
        try:
            if not ends and not chosen:
                raise EntryRefused("meals: which meals they eat must be said")
            until = _day(last)
            with web.store.database.transaction():
                stand = standing_enrolments(web, pupils, day, until, weekdays or [], chosen)
                for pupil in dict.fromkeys(pupils):
                    if pupil not in stand:
                        by = name_of(visit)
                        web.store.mealoffice.enrol(by, pupil, day, until, weekdays or [], chosen, why.strip())
                words = standing_enrolments(web, pupils, day, until, weekdays or [], chosen)
        except EntryRefused as problem:
            return _enrolments(web, visit, day, problem=web.refused(visit, problem), http=409)
        done = [web.store.mealoffice.joined(one) for one in words.values()]
        late, over = any(one.late for one in done), any(one.over for one in done)
        told = "late-enrolled" if late else "over" if over else "enrolled"
        return RedirectResponse(_path(visit, "/meals/enrolments", day, None, "ended" if ends else told), 303)


def _enrolments(web: Web, visit: Visit, day: date, *, said: str = "", problem: str = "", http: int = 200) -> Response:
    found = None
    if visit.school_class is not None:
        meal = meal_asked(web, day, None)
        found = class_meals(web.store, visit.school_class, day, meal, births=visit.may("see-class"))
    told = SAID.get(said)
    return web.show(
        visit,
        "mealsenrolments.html",
        http,
        day=day,
        found=found,
        meals=meals_of_day(web, day),
        weekdays=WEEKDAYS[visit.language],
        classes=_choice(web, visit),
        may_enrol=visit.school_class is not None and visit.allows("enrol-meals", visit.school_class),
        told=None if told is None else web.say(visit, told),
        good=said in ("enrolled", "ended"),
        problem=problem,
        words=meal_words(web, visit),
    )


def _day(text: str) -> date | None:
    """A day that may be left empty. Raises EntryRefused."""
    if not text:
        return None
    try:
        found = date.fromisoformat(text)
    except ValueError as problem:
        raise EntryRefused("last: {text!r} is no day such as 2026-11-26", text=text) from problem
    if not FIRST_DAY <= found <= LAST_DAY:
        raise EntryRefused("last: {text} lies too far back, or ahead", text=text)
    return found


def _member(web: Web, visit: Visit, pupil: str, day: date) -> None:
    """A pupil who is of the page's class on that day, of a day to come today; any other is refused."""
    with web.store.database.lock:
        asked = web.store.people.class_on(pupil, min(day, visit.today))
    if visit.school_class is None or asked != visit.school_class:
        visit.deny(pupil)


def _choice(web: Web, visit: Visit) -> list[str]:
    """The classes to choose from: none for who is bound to one."""
    own = visit.person is not None and visit.person.school_class
    return [] if own else classes_of(web, visit)


def _path(visit: Visit, path: str, day: date, meal: Meal | None, said: str) -> str:
    return meals_path(path, class_=visit.school_class, day=day, meal=meal, said=said)
