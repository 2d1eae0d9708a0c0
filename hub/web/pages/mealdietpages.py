"""Pages that few may see: what is cooked for a pupil and must not be eaten; who may take a shift at counters."""

from __future__ import annotations

from datetime import date
from typing import Annotated, Final

from fastapi import Form
from fastapi.responses import RedirectResponse, Response

from hub.days.office import EntryRefused
from hub.dayview.mealclass import members_named
from hub.meals.portions import portions_of
from hub.store.notes import BackedUp
from hub.web.dayforms import AskedDay, shown_names
from hub.web.ground import Web
from hub.web.mealforms import AskedSaid, FormPortion, FormWhy, MealDate, meal_words, meals_path
from hub.web.pages.cardpages import classes_of, name_of
from hub.web.registry import N_
from hub.web.visits import Visit, Visitor

ALERTS_CHARACTERS_MAX: Final = 1_200
SAID: Final = {
    "kept": N_("Đã ghi. Các quầy biết trong vòng một phút, hoặc hiện danh sách cũ đến đâu."),
    "looked": N_("Đã xác nhận. Từ giờ quầy chỉ theo danh sách này."),
    "admitted": N_("Đã cho phép đứng quầy."),
    "dismissed": N_("Từ giờ người này không mở được ca ở quầy."),
}
Pupil = Annotated[str, Form(max_length=64)]
Tick = Annotated[str, Form(max_length=1)]


def add_diet_pages(web: Web) -> None:
    """`/meals/diets`, `/meals/counters`, and what their forms are sent to."""
    _add_diets(web)
    _add_counters(web)


def _add_diets(web: Web) -> None:
    @web.page("/meals/diets")
    def diets(visit: Visitor, day: AskedDay = None, said: AskedSaid = "") -> Response:
        return _diets(web, visit, day or visit.today, said=said)

    @web.form("/meals/diets/confirm", "diets", "diets confirmed")
    def confirm(visit: Visitor) -> Response:
        """What came back after a loss was looked at: counters go by it alone from now on."""
        with web.store.database.transaction():
            web.store.notes.confirm_diets(visit.now_ms, name_of(visit))
        return RedirectResponse("/meals/diets?said=looked", 303)

    @web.form("/meals/diet", "diets", "diet entered", of="class")
    def diet(
        visit: Visitor,
        day: MealDate,
        pupil: Pupil = "",
        portion: FormPortion = "regular",
        alerts: Annotated[str, Form(max_length=ALERTS_CHARACTERS_MAX)] = "",
        confirmed: Tick = "",
        why: FormWhy = "",
    ) -> Response:
        """Only what is otherwise than before is entered: the portion as a record, what must not be eaten here alone."""
        with web.store.database.lock:
            asked = web.store.people.class_on(pupil, min(day, visit.today))
            cooked = portions_of(web.store.mealbook.said(day)).get(pupil, "regular")
            known = web.store.counters.diets([pupil]).get(pupil)
        if visit.school_class is None or asked != visit.school_class:
            visit.deny(pupil)
        told = tuple(line.strip() for line in alerts.splitlines() if line.strip())
        before = ((), False) if known is None else (known.alerts, known.confirmed)
        by = name_of(visit)
        try:
            with web.store.database.transaction():
                if portion != cooked:
                    web.store.mealoffice.portion(by, pupil, portion, day, None, why.strip())
                if (told, bool(confirmed)) != before and (told or known is not None):
                    web.store.mealdesk.diet(by, pupil, told, confirmed=bool(confirmed))
        except EntryRefused as problem:
            return _diets(web, visit, day, problem=web.refused(visit, problem), http=409)
        visit.note("diet entered", pupil)
        return RedirectResponse(meals_path("/meals/diets", class_=visit.school_class, day=day, said="kept"), 303)


def _diets(web: Web, visit: Visit, day: date, *, said: str = "", problem: str = "", http: int = 200) -> Response:
    people, cooked, known = [], {}, {}
    if visit.school_class is not None:
        people = members_named(web.store, visit.school_class, day, births=visit.may("see-class"))
        with web.store.database.lock:
            cooked = portions_of(web.store.mealbook.said(day))
            known = web.store.counters.diets([one.key for one in people]) if people else {}
    with web.store.database.lock:
        backup = web.store.notes.read(BackedUp)
    own = visit.person is not None and visit.person.school_class
    told = SAID.get(said)
    return web.show(
        visit,
        "mealsdiets.html",
        http,
        day=day,
        people=people,
        cooked=cooked,
        known=known,
        names=shown_names(web, {one.by for one in known.values()}),
        classes=[] if own else classes_of(web, visit),
        back=web.store.diets_in_doubt(),
        backup_ms=0 if backup is None else backup.at_ms,
        told=None if told is None else web.say(visit, told),
        problem=problem,
        words=meal_words(web, visit),
    )


def _add_counters(web: Web) -> None:
    @web.page("/meals/counters")
    def counters(visit: Visitor, said: AskedSaid = "") -> Response:
        return _counters(web, visit, said=said)

    @web.form("/meals/counters/admit", "counter-staff", "counter staff")
    def admit(
        visit: Visitor,
        id: Annotated[str, Form(max_length=64)] = "",
        shown: Annotated[str, Form(max_length=64)] = "",
        pin: Annotated[str, Form(max_length=12)] = "",
        card: Annotated[str, Form(max_length=64)] = "",
    ) -> Response:
        """A PIN or card that is left empty stays as it was. The desk writes the audit's row of it."""
        try:
            web.store.mealdesk.admit_staff(name_of(visit), id.strip(), shown, pin or None, card.strip() or None)
        except EntryRefused as problem:
            return _counters(web, visit, problem=web.refused(visit, problem), id=id, shown=shown, http=409)
        visit.noted = True
        return RedirectResponse("/meals/counters?said=admitted", 303)

    @web.form("/meals/counters/dismiss", "counter-staff", "counter staff gone")
    def dismiss(visit: Visitor, id: Annotated[str, Form(max_length=64)] = "") -> Response:
        try:
            web.store.mealdesk.dismiss_staff(name_of(visit), id)
        except EntryRefused as problem:
            return _counters(web, visit, problem=web.refused(visit, problem), http=409)
        visit.noted = True
        return RedirectResponse("/meals/counters?said=dismissed", 303)


def _counters(
    web: Web, visit: Visit, *, said: str = "", problem: str = "", id: str = "", shown: str = "", http: int = 200
) -> Response:
    with web.store.database.lock:
        staff = list(web.store.counters.staff())
    told = SAID.get(said)
    return web.show(
        visit,
        "mealscounters.html",
        http,
        staff=[one for one in staff if one.gone_ms is None],
        gone=[one for one in staff if one.gone_ms is not None],
        id=id,
        shown=shown,
        told=None if told is None else web.say(visit, told),
        problem=problem,
    )
