"""Pages of who was served: the counters live, what people settle of it, the public sheet, what doesn't go together."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Final, Literal

from fastapi import Form, Request
from fastapi.responses import Response

from hub.days.office import EntryRefused
from hub.dayview.mealevents import MealEvents, at_school, counters_now, meal_events, shown_sheet
from hub.dayview.namesakes import called
from hub.incidents.words import origin_text
from hub.meals.conflicts import CONFLICT_KINDS, conflicts
from hub.meals.publicsheet import counter_lines
from hub.meals.sittings import shift_of
from hub.web.dayforms import AskedDay, done, shown_names, words
from hub.web.ground import Web
from hub.web.mealforms import (
    AskedMeal,
    FormRecord,
    MealDate,
    class_served,
    meal_asked,
    meal_words,
    meals_of_day,
    meals_path,
)
from hub.web.pages.cardpages import classes_of, name_of
from hub.web.registry import N_
from hub.web.visits import Visit, Visitor
from protocol.names import class_order, name_order

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import date

    from hub.attendance.schoolday import Pupil
    from hub.meals.servings import Aside, Serving

ROWS_MAX: Final = 100
"""Of each list of the live page; more are counted."""
FLAGS: Final = {
    "apart": N_("hai quầy cùng ghi, lúc đó không nghe nhau"),
    "clock": N_("giờ chưa chắc, có thể là bữa khác"),
    "holder": N_("thẻ đang đổi chủ lúc đó"),
    "outside": N_("ngoài giờ ăn"),
    "said-otherwise": N_("quầy ghi bữa khác"),
}
HOWS: Final = {
    "card": N_("thẻ"),
    "name": N_("gọi tên"),
    "stranger": N_("thẻ lạ"),
    "list": N_("danh sách lớp"),
}
REASONS: Final = {
    "unknown": N_("thẻ chưa biết"),
    "lost": N_("thẻ đã báo mất"),
    "not-enrolled": N_("không có trong danh sách ăn"),
    "no-roster": N_("quầy chưa có danh sách"),
    "no-card-key": N_("quầy chưa có khóa thẻ"),
    "ambiguous": N_("thẻ của hai học sinh"),
    "random": N_("thẻ đổi số mỗi lần quẹt"),
    "misread": N_("đọc lỗi"),
    "repeat": N_("quẹt lại"),
}
WHYS: Final = {
    "second": N_("Suất thêm"),
    "repeat": N_("Cùng một khay"),
    "undone": N_("Không phát suất"),
    "done": N_("Đúng, đã phục vụ"),
}
KINDS: Final = {
    "ate-absent": N_("Có ăn nhưng ghi vắng"),
    "present-not-eaten": N_("Có mặt nhưng chưa ăn"),
    "cut-but-ate": N_("Đã cắt suất nhưng có ăn"),
    "unregistered": N_("Có ăn nhưng không đăng ký"),
    "unconfirmed": N_("Chưa chắc chắn"),
    "outside": N_("Ngoài giờ ăn"),
}
SETTLED: Final = N_("Đã ghi.")
Why = Annotated[Literal["second", "repeat", "undone", "done"], Form()]


@dataclass(frozen=True, slots=True)
class Line:
    """A record of a counter. `who`: a name, empty where nobody knows it; `offers`: what staff may say of it."""

    tap: str
    at_ms: int
    place: str
    who: str
    school_class: str
    how: str
    nth: int
    flags: tuple[str, ...]
    offers: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class ShiftLine:
    """A shift in numbers: who is expected, who of these was served, who is left."""

    shift: int
    expected: int
    served: int

    @property
    def left(self) -> int:
        """Who is expected and wasn't served."""
        return self.expected - self.served


def add_serving_pages(web: Web) -> None:
    """`/meals/live`, `/meals/settle`, `/meals/public`, `/meals/conflicts`."""
    _add_live(web)
    _add_public(web)
    _add_conflicts(web)


def _add_live(web: Web) -> None:
    @web.page("/meals/live")
    def live(visit: Visitor, day: AskedDay = None, meal: AskedMeal = None) -> Response:
        when = day or visit.today
        found = meal_events(web.store, when, meal_asked(web, when, meal))
        people = _people(web, when)
        doubts = [_line(one, people, _offers(one)) for one in found.servings if not one.confirmed]
        aside = {what: [one for one in found.aside if one.what == what] for what in ("referred", "repeat", "undone")}
        return web.show(
            visit,
            "mealslive.html",
            found=found,
            shifts=_shifts(web, found),
            counters=counter_lines(when, found.meal, found.servings),
            devices=counters_now(web.store, web.status.fleet, found),
            sheet=shown_sheet(found, None),
            doubts=doubts[:ROWS_MAX],
            doubts_all=len(doubts),
            referred=[_aside(one, people, ("undone",)) for one in aside["referred"]][:ROWS_MAX],
            repeats=[_aside(one, people, ("second",)) for one in reversed(aside["repeat"])][:ROWS_MAX],
            undone=[_aside(one, people, ("done",)) for one in reversed(aside["undone"])][:ROWS_MAX],
            may_settle=visit.allows("settle-servings", None),
            flags=words(web, visit, FLAGS),
            hows=words(web, visit, HOWS | REASONS),
            whys=words(web, visit, WHYS),
            words=meal_words(web, visit),
        )

    @web.form("/meals/settle", "settle-servings", "serving settled", of="object")
    def settle(visit: Visitor, request: Request, day: MealDate, tap: FormRecord = "", why: Why = "undone") -> Response:
        with web.store.database.lock:
            school_class = class_served(web, tap)
        visit.must(school_class, tap)
        try:
            web.store.mealoffice.settle(name_of(visit), tap, why)
        except EntryRefused as problem:
            return web.show_refused(visit, problem)
        return done(request, web.say(visit, SETTLED), None, meals_path("/meals/live", day=day))


def _add_public(web: Web) -> None:
    @web.page("/meals/public")
    def public(visit: Visitor, day: AskedDay = None, meal: AskedMeal = None) -> Response:
        when = day or visit.today
        found = meal_events(web.store, when, meal_asked(web, when, meal))
        present = at_school(web.store, found).present
        with web.store.database.lock:
            dishes = [one for one in web.store.mealplans.menu(when, when) if one.meal == found.meal]
        kinds = visit.allows("see-cooking", None)
        return web.show(
            visit,
            "mealspublic.html",
            found=found,
            sheet=shown_sheet(found, present),
            counters=counter_lines(when, found.meal, found.servings),
            dishes=[one for one in dishes if kinds or one.portion == "regular"],
            complete=found.complete(visit.now_ms),
            dark=_dark(visit, found),
            meals=meals_of_day(web, when),
            words=meal_words(web, visit),
        )


def _dark(visit: Visit, events: MealEvents) -> list[tuple[str, str]]:
    return [(counter, origin_text(words, visit.language)) for counter, words in events.dark.items()]


def _add_conflicts(web: Web) -> None:
    @web.page("/meals/conflicts")
    def conflicting(visit: Visitor, day: AskedDay = None, meal: AskedMeal = None) -> Response:
        when = day or visit.today
        events = meal_events(web.store, when, meal_asked(web, when, meal))
        there = at_school(web.store, events, visit.school_class)
        complete = events.complete(visit.now_ms)
        mine = [one for one in events.meals if visit.school_class in (None, one.school_class)]
        found = conflicts(mine, events.servings, there.present, there.absent, complete=complete)
        people = _people(web, when)
        keys = {one.pupil for one in found}
        with web.store.database.lock:
            names = called([one for key, one in people.items() if key in keys], web.store.people.find, births=False)
        by_kind = {
            kind: sorted(
                (one for one in found if one.kind == kind),
                key=lambda one: (class_order(one.school_class), name_order(names.get(one.pupil, ""))),
            )
            for kind in CONFLICT_KINDS
        }
        own = visit.person is not None and visit.person.school_class
        times = {one.tap: one for one in events.servings}
        return web.show(
            visit,
            "mealsconflicts.html",
            found=events,
            by_kind=by_kind,
            names=names,
            times=times,
            by=shown_names(web, {one.by for one in events.servings}),
            complete=complete,
            dark=_dark(visit, events),
            kinds=words(web, visit, KINDS),
            hows=words(web, visit, HOWS),
            classes=[] if own else classes_of(web, visit),
            meals=meals_of_day(web, when),
            pupil_too=visit.may("see-pupil"),
            words=meal_words(web, visit),
        )


def _people(web: Web, day: date) -> Mapping[str, Pupil]:
    with web.store.database.lock:
        return {one.key: one for one in web.store.people.of(day, day)}


def _shifts(web: Web, found: MealEvents) -> list[ShiftLine]:
    """Each shift of the plan in numbers; who ate in another shift than the class's is served all the same."""
    if found.planned is None:
        return []
    eaters = {one.pupil for one in found.servings if one.pupil is not None}
    counts = {shift.number: [0, 0] for shift in found.planned.shifts}
    for one in found.registered:
        if not one.cut:
            mine = counts[shift_of(found.planned, one.school_class).number]
            mine[0] += 1
            mine[1] += one.pupil in eaters
    return [ShiftLine(number, expected, served) for number, (expected, served) in counts.items()]


def _offers(one: Serving) -> tuple[str, ...]:
    """What staff may say of a serving that isn't confirmed: what it was, that it was as shown, or that it is none."""
    found = ["second", "repeat"] if "apart" in one.flags else []
    if "clock" in one.flags or ("holder" in one.flags and one.pupil is not None):
        found.append("done")
    return (*found, "undone")


def _line(one: Serving, people: Mapping[str, Pupil], offers: tuple[str, ...]) -> Line:
    pupil = None if one.pupil is None else people.get(one.pupil)
    name, school_class = ("", "") if pupil is None else (pupil.name, pupil.school_class)
    return Line(
        one.tap, one.when.best_ms, one.point, name or one.adult or "", school_class, one.how, one.nth, one.flags, offers
    )


def _aside(one: Aside, people: Mapping[str, Pupil], offers: tuple[str, ...]) -> Line:
    pupil = None if one.pupil is None else people.get(one.pupil)
    name, school_class = ("", "") if pupil is None else (pupil.name, pupil.school_class)
    return Line(one.tap, one.when.best_ms, one.point, name, school_class, one.reason or "", 0, (), offers)
