"""Paper: lists to print for a day without machines, and the page on which a paper roll call is entered afterwards."""

from __future__ import annotations

from dataclasses import replace
from datetime import date
from typing import TYPE_CHECKING, Annotated, Final, Literal

from fastapi import Form, Query
from fastapi.responses import RedirectResponse, Response

from hub.days.office import EntryRefused, HalfDayOf
from hub.dayview.namesakes import called
from hub.web.dayforms import AskedDay
from hub.web.ground import Web
from hub.web.pages.cardpages import classes_of, name_of
from hub.web.registry import N_
from hub.web.visits import Visit, Visitor
from protocol.names import spelled

if TYPE_CHECKING:
    from hub.attendance.evidence import Statement
    from hub.store.peoplerows import Person

CODES: Final = {
    "c": "present",
    "m": "late",
    "s": "left-early",
    "p": "excused",
    "k": "unexcused",
    "v": "absent",
}
"""What is typed for a pupil: có mặt, muộn, về sớm, có phép, không phép, vắng."""
REST: Final = "c"
Half = Literal["am", "pm"]
FILLED_BY_MAX: Final = 60
FILLED_AT_MAX: Final = 20
WRONG: Final = {
    "who": N_("Hãy ghi ai đã điền tờ giấy và lúc nào."),
    "code": N_("Chỉ dùng các chữ C, M, S, P, K, V, hoặc để trống."),
    "nothing": N_("Chưa ghi gì về em nào."),
    "refused": N_("Không ghi được: lớp không có học sinh này trong ngày đó, hoặc ngày quá xa."),
}


def add_paper_pages(web: Web) -> None:
    """`/paper` and what hangs on it."""

    @web.page("/paper")
    def paper(visit: Visitor, day: AskedDay = None, half: Half = "am") -> Response:
        when = _sound(visit, day, ahead=True)
        people = _members(web, visit, when)
        return web.show(visit, "paper.html", day=when, half=half, people=people, classes=_choice(web, visit))

    @web.page("/paper/gate")
    def gate(visit: Visitor) -> Response:
        with web.store.database.lock:
            classes = [(name, web.store.cardbook.members(name, visit.today)) for name in classes_of(web, visit)]
        return web.show(visit, "papergate.html", classes=classes)

    _add_entry(web)


def _add_entry(web: Web) -> None:
    @web.page("/paper/entry")
    def entry(
        visit: Visitor,
        day: AskedDay = None,
        half: Half = "am",
        said: Annotated[str, Query(max_length=20)] = "",
    ) -> Response:
        return _entry(web, visit, _sound(visit, day), half, {}, said=said)

    @web.form("/paper/entry", "mark-class", "paper roll call", of="class")
    def enter(
        visit: Visitor,
        day: Annotated[date, Form()],
        half: Annotated[Half, Form()] = "am",
        pupil: Annotated[list[str] | None, Form(max_length=200)] = None,
        code: Annotated[list[str] | None, Form(max_length=200)] = None,
        rest: Annotated[str, Form(max_length=1)] = "",
        filled_by: Annotated[str, Form(max_length=FILLED_BY_MAX)] = "",
        filled_at: Annotated[str, Form(max_length=FILLED_AT_MAX)] = "",
    ) -> Response:
        typed = dict(zip(pupil or [], (one.strip().casefold() for one in code or []), strict=False))
        kept = {"filled_by": filled_by, "filled_at": filled_at, "rest": rest}

        def again(problem: str) -> Response:
            visit.failed(EntryRefused.code)
            return _entry(web, visit, day, half, typed, problem=problem, http=400, **kept)

        if not spelled(filled_by) or not spelled(filled_at):
            return again("who")
        if rest:
            typed = {key: word or REST for key, word in typed.items()}
        words = {key: word for key, word in typed.items() if word}
        if any(word not in CODES for word in words.values()):
            return again("code")
        if not words or not visit.school_class:
            return again("nothing")
        states = {key: CODES[word] for key, word in words.items()}
        reason = f"giấy: {spelled(filled_by)}, {spelled(filled_at)}"
        try:
            web.store.office.roll_call(
                name_of(visit), HalfDayOf(visit.school_class, day, half), states, how="paper", reason=reason
            )
        except EntryRefused:
            return again("refused")
        path = f"/paper/entry?class={_quoted(visit.school_class)}&day={day}&half={half}&said=kept"
        return RedirectResponse(path, 303)


def _entry(
    web: Web,
    visit: Visit,
    day: date,
    half: Half,
    typed: dict[str, str],
    *,
    said: str = "",
    problem: str | None = None,
    http: int = 200,
    filled_by: str = "",
    filled_at: str = "",
    rest: str = "",
) -> Response:
    people = _members(web, visit, day)
    keys = {person.key for person in people}
    last: dict[str, Statement] = {}
    with web.store.database.lock:
        for one, _, seen_ms in web.store.days.statements(day, day):
            if one.half == half and one.pupil in keys and seen_ms is None:
                last[one.pupil] = one
    return web.show(
        visit, "paperentry.html", http, day=day, half=half, people=people, classes=_choice(web, visit), typed=typed,
        said=said, problem=None if problem is None else web.say(visit, WRONG[problem]), last=last,
        filled_by=filled_by, filled_at=filled_at, rest=rest,
    )  # fmt: skip


def _members(web: Web, visit: Visit, day: date) -> list[Person]:
    if not visit.school_class:
        return []
    with web.store.database.lock:
        members = web.store.cardbook.members(visit.school_class, day)
        names = called(members, web.store.people.find, births=True)
    return [replace(one, name=names[one.key]) for one in members]


def _choice(web: Web, visit: Visit) -> list[str]:
    """The classes to choose from: none for who is bound to one."""
    own = visit.person is not None and visit.person.school_class
    return [] if own else classes_of(web, visit)


def _sound(visit: Visit, day: date | None, *, ahead: bool = False) -> date:
    """The day that was asked for, or today; not farther away than people write papers for."""
    if day is None or abs((day - visit.today).days) > 400 or (day > visit.today and not ahead):
        return visit.today
    return day


def _quoted(text: str) -> str:
    from urllib.parse import quote

    return quote(text, safe="")
