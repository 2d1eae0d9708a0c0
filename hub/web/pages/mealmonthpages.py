"""Pages of a month's meals: what is charged and claimed, stated anew too; a parent's slip; papers as files."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Final, Literal

from fastapi import Form, Query
from fastapi.responses import RedirectResponse, Response

from hub.days.mealmonths import month_days
from hub.days.office import EntryRefused
from hub.reporting.mealpapers import MealPapers
from hub.reporting.monthpack import MonthPack
from hub.web.dayforms import AskedDay, shown_names
from hub.web.errors import Refusal
from hub.web.ground import Web
from hub.web.handing import MEDIA, maker_of, one_at_a_time
from hub.web.mealforms import (
    AskedMeal,
    AskedSaid,
    FormMeal,
    FormRecord,
    FormWhy,
    meal_asked,
    meal_words,
    meals_of_day,
    meals_path,
)
from hub.web.pages.cardpages import classes_of, name_of
from hub.web.registry import N_
from hub.web.standing import standing_complaint
from hub.web.visits import Visit, Visitor

if TYPE_CHECKING:
    from hub.mealpapers.paper import Paper
    from hub.store.peoplerows import Person
    from protocol.meals import Meal

AskedMonth = Annotated[str | None, Query(pattern=r"^\d{4}-\d{2}$")]
FormMonth = Annotated[str, Form(pattern=r"^\d{4}-\d{2}$")]
AskedForm = Annotated[Literal["xlsx", "pdf", "csv"], Query(alias="format")]
AskedPupil = Annotated[str, Query(max_length=64)]
FormPupil = Annotated[str, Form(max_length=64)]
SAYS_MAX: Final = 400
Says = Annotated[str, Form(max_length=SAYS_MAX)]
TYPES: Final = {**MEDIA, "pdf": "application/pdf"}
SAID: Final = {
    "stated": N_("Đã chốt tháng. Phiên bản trước vẫn giữ nguyên."),
    "complained": N_("Đã ghi khiếu nại."),
    "answered": N_("Đã ghi trả lời."),
}


def add_meal_month_pages(web: Web) -> None:
    """`/meals/month`, `/meals/slip`, the papers of meals as files."""
    _add_month(web)
    _add_slip(web)
    _add_complaints(web)
    _add_files(web)


def _papers(web: Web, visit: Visit) -> MealPapers:
    return MealPapers(web.store, visit.language)


def _month_paper(web: Web, visit: Visit, month: str, meal: Meal) -> Paper:
    """A class's month; the whole school's is heavy, and made one at a time. Raises Refusal."""
    papers = _papers(web, visit)
    if visit.school_class is not None:
        return papers.month(month, meal, names=True, school_class=visit.school_class)
    with one_at_a_time():
        return papers.month(month, meal, names=True)


def _add_month(web: Web) -> None:
    @web.page("/meals/month")
    def month_page(visit: Visitor, month: AskedMonth = None, meal: AskedMeal = None, said: AskedSaid = "") -> Response:
        return _month(web, visit, month or f"{visit.today:%Y-%m}", meal, said=said)

    @web.form("/meals/month/state", "meal-months", "meal month stated")
    def state(visit: Visitor, month: FormMonth, meal: FormMeal, why: FormWhy = "") -> Response:
        try:
            web.store.mealmonths.state(name_of(visit), month, meal, why.strip())
        except EntryRefused as problem:
            return _month(web, visit, month, meal, problem=web.refused(visit, problem), http=409)
        return RedirectResponse(meals_path("/meals/month", month=month, meal=meal, said="stated"), 303)


def _month(
    web: Web, visit: Visit, month: str, meal: Meal | None, *, said: str = "", problem: str = "", http: int = 200
) -> Response:
    _, last = month_days(month)
    name = meal_asked(web, min(last, visit.today), meal)
    paper = _month_paper(web, visit, month, name)
    with web.store.database.lock:
        row = web.store.days.meals.sheets.month(month, name)
        members = {one.key for one in web.store.people.of(*month_days(month), visit.school_class)}
    told = SAID.get(said)
    own = visit.person is not None and visit.person.school_class
    complaints = [(pupil, one) for pupil, one in web.store.complaints.of(month) if pupil in members]
    return web.show(
        visit,
        "mealsmonth.html",
        http,
        month=month,
        meal=name,
        meals=meals_of_day(web, min(last, visit.today)),
        table=paper.tables[0],
        lines=paper.lines,
        signs=paper.signs,
        waits=() if paper.standing is None else paper.standing.waiting,
        row=row,
        complaints=complaints,
        over=last < visit.today,
        classes=[] if own else classes_of(web, visit),
        may_state=visit.allows("meal-months", None),
        may_pack=visit.allows("audit-meals", None),
        names=shown_names(web, set() if row is None else {row.by}),
        told=None if told is None else web.say(visit, told),
        problem=problem,
        words=meal_words(web, visit),
    )


def _add_slip(web: Web) -> None:
    @web.page("/meals/slip")
    def slip(visit: Visitor, pupil: AskedPupil = "", month: AskedMonth = None, said: AskedSaid = "") -> Response:
        return _slip(web, visit, pupil, month or f"{visit.today:%Y-%m}", said=said)


def _slip(
    web: Web, visit: Visit, pupil: str, month: str, *, said: str = "", problem: str = "", http: int = 200
) -> Response:
    person = _of_month(web, visit, pupil, month)
    paper = _papers(web, visit).slip(person.key, month)
    told = SAID.get(said)
    return web.show(
        visit,
        "mealslip.html",
        http,
        pupil=person,
        month=month,
        paper=paper,
        complaints=[one for _, one in web.store.complaints.of(month, person.key)],
        may_complain=visit.allows("meal-complaints", person.school_class),
        may_answer=visit.allows("meal-months", None),
        told=None if told is None else web.say(visit, told),
        problem=problem,
    )


def _of_month(web: Web, visit: Visit, pupil: str, month: str) -> Person:
    """A pupil whom the visitor may ask about in a month: by the class of its last day, or of today. Raises Refusal."""
    _, last = month_days(month)
    with web.store.database.lock:
        day = min(last, visit.today)
        school_class = web.store.people.class_on(pupil, day)
        person = web.store.people.find(pupil, day)
    visit.must(school_class, pupil)
    if person is None:
        raise Refusal(404, "no-student", "There is no such pupil.")
    return person


def _add_complaints(web: Web) -> None:
    @web.form("/meals/slip/complain", "meal-complaints", "meal complaint", of="object")
    def complain(visit: Visitor, month: FormMonth, pupil: FormPupil = "", says: Says = "") -> Response:
        person = _of_month(web, visit, pupil, month)
        try:
            with web.store.database.transaction():
                if standing_complaint(web, person.key, month, says.strip()) is None:
                    web.store.complaints.complain(name_of(visit), person.key, month, says.strip())
        except EntryRefused as problem:
            return _slip(web, visit, pupil, month, problem=web.refused(visit, problem), http=409)
        return RedirectResponse(meals_path("/meals/slip", pupil=pupil, month=month, said="complained"), 303)

    @web.form("/meals/slip/answer", "meal-months", "meal complaint answered", of="object")
    def answer(
        visit: Visitor, month: FormMonth, pupil: FormPupil = "", complaint: FormRecord = "", says: Says = ""
    ) -> Response:
        person = _of_month(web, visit, pupil, month)
        try:
            if complaint not in {one.record for _, one in web.store.complaints.of(month, person.key)}:
                raise EntryRefused("complaint: there is none of this pupil's month by that name")
            with web.store.database.transaction():
                if standing_complaint(web, person.key, month, says.strip(), complaint) is None:
                    web.store.complaints.answer(name_of(visit), complaint, says.strip())
        except EntryRefused as problem:
            return _slip(web, visit, pupil, month, problem=web.refused(visit, problem), http=409)
        return RedirectResponse(meals_path("/meals/slip", pupil=pupil, month=month, said="answered"), 303)


def _add_files(web: Web) -> None:
    def handed(visit: Visit, paper: Paper, form: str, name: str) -> Response:
        octets = _papers(web, visit).file(paper, form, maker_of(visit))  # type: ignore[arg-type]
        return _download(octets, TYPES[form], f"{name}.{form}")

    @web.file("/meals/sheet/file", "see-cooking", "kitchen sheet taken")
    def kitchen(visit: Visitor, day: AskedDay = None, meal: AskedMeal = None, form: AskedForm = "xlsx") -> Response:
        when = day or visit.today
        name = meal_asked(web, when, meal)
        return handed(visit, _papers(web, visit).kitchen(when, name), form, f"bep-{when}-{name}")

    @web.file("/meals/public/file", "see-portions", "public meal sheet taken")
    def public(visit: Visitor, day: AskedDay = None, meal: AskedMeal = None, form: AskedForm = "xlsx") -> Response:
        when = day or visit.today
        name = meal_asked(web, when, meal)
        return handed(visit, _papers(web, visit).public(when, name), form, f"cong-khai-{when}-{name}")

    @web.file("/meals/month/file", "reports", "meal month taken", of="class")
    def month_file(
        visit: Visitor, month: AskedMonth = None, meal: AskedMeal = None, form: AskedForm = "xlsx"
    ) -> Response:
        asked = month or f"{visit.today:%Y-%m}"
        _, last = month_days(asked)
        name = meal_asked(web, min(last, visit.today), meal)
        return handed(visit, _month_paper(web, visit, asked, name), form, f"thang-an-{asked}-{name}")

    @web.file("/meals/slip/file", "reports", "meal slip taken", of="object")
    def slip_file(
        visit: Visitor, pupil: AskedPupil = "", month: AskedMonth = None, form: AskedForm = "pdf"
    ) -> Response:
        asked = month or f"{visit.today:%Y-%m}"
        person = _of_month(web, visit, pupil, asked)
        return handed(visit, _papers(web, visit).slip(person.key, asked), form, f"phieu-an-{asked}")

    @web.file("/meals/month/pack", "audit-meals", "meal audit pack taken", of="object")
    def pack(visit: Visitor, month: AskedMonth = None) -> Response:
        asked = month or f"{visit.today:%Y-%m}"
        # It holds the whole school; what is cooked for each pupil stands in its records, and may be about health.
        visit.must(None, asked)
        month_days(asked)
        with one_at_a_time():
            made = MonthPack(web.store).make(maker_of(visit), asked)
        return _download(made.octets, "application/zip", f"kiem-toan-{asked}.zip")


def _download(octets: bytes, kind: str, name: str) -> Response:
    headers = {"content-disposition": f'attachment; filename="{name}"'}
    return Response(octets, media_type=kind, headers=headers)
