"""The page of a desk at which a class gets its cards: who is next, in large letters, and what came of each tap."""

from __future__ import annotations

import re
from typing import Annotated, Final

from fastapi import Form, Query
from fastapi.responses import RedirectResponse, Response

from hub.days.office import EntryRefused
from hub.dayview.namesakes import called
from hub.web.ground import Web
from hub.web.pages.cardpages import classes_of, name_of, reached
from hub.web.visits import Visit, Visitor

DESK: Final = re.compile(r"[a-z0-9-]{1,64}/[a-z0-9-]{1,64}")
Desk = Annotated[str, Form(max_length=130)]


def add_desk_pages(web: Web) -> None:
    """`/cards/desk`."""

    @web.page("/cards/desk")
    def desk(visit: Visitor, desk: Annotated[str, Query(max_length=130)] = "") -> Response:
        # What was held to the desk is taken when its page looks: so somebody sees what comes of it.
        for entry in web.store.issuing.advance(desk) if DESK.fullmatch(desk) else ():
            if entry.what == "bound":
                visit.note("card issued", entry.pupil)
        view = web.store.issuing.view(desk) if desk else None
        names, callings, stations = {}, {}, web.store.issuing.stations() if view is None else []
        if view is not None:
            with web.store.database.lock:
                callings = dict(called((line.pupil for line in view.lines), web.store.people.find, births=True))
                for entry in view.session.log:
                    person = web.store.people.find(entry.pupil, visit.today)
                    if person is not None:
                        names[person.key] = person
        return web.show(
            visit, "desk.html", desk=desk, view=view, names=names, called=callings, stations=stations,
            sessions=web.store.issuing.sessions(), classes=classes_of(web, visit), reach=reached(web),
        )  # fmt: skip

    @web.form("/cards/desk/open", "cards", "desk opened")
    def opened(visit: Visitor, desk: Desk = "", school_class: Annotated[str, Form(max_length=40)] = "") -> Response:
        if not DESK.fullmatch(desk) or desk not in web.store.issuing.stations():
            return web.show_problem(visit, 409, "no-desk")
        try:
            web.store.issuing.open(name_of(visit), desk, school_class)
        except EntryRefused:
            return web.show_problem(visit, 409, "empty-class")
        return _to(desk)

    _add_acts(web)


def _add_acts(web: Web) -> None:
    @web.form("/cards/desk/close", "cards", "desk closed")
    def closed(desk: Desk = "") -> Response:
        web.store.issuing.close(desk)
        return RedirectResponse("/cards/desk", 303)

    @web.form("/cards/desk/skip", "cards", "pupil passed over at a desk")
    def skipped(desk: Desk = "") -> Response:
        web.store.issuing.skip(desk)
        return _to(desk)

    @web.form("/cards/desk/resume", "cards", "desk resumed")
    def resumed(visit: Visitor, desk: Desk = "") -> Response:
        web.store.issuing.go_on(name_of(visit), desk)
        return _to(desk)

    @web.form("/cards/desk/choose", "cards", "pupil chosen at a desk")
    def chosen(visit: Visitor, desk: Desk = "", pupil: Annotated[str, Form(max_length=64)] = "") -> Response:
        try:
            web.store.issuing.choose(desk, pupil)
        except EntryRefused:
            return web.show_problem(visit, 409, "no-student")
        return _to(desk)

    @web.form("/cards/desk/undo", "cards", "desk undone")
    def undone(visit: Visitor, desk: Desk = "") -> Response:
        return _undone(web, visit, desk)


def _undone(web: Web, visit: Visit, desk: str) -> Response:
    try:
        key = web.store.issuing.undo(name_of(visit), desk)
    except EntryRefused as problem:
        return web.show_refused(visit, problem)
    if key is not None:
        visit.note("card taken back", key)
    else:
        visit.failed(EntryRefused.code)
    return _to(desk)


def _to(desk: str) -> Response:
    return RedirectResponse(f"/cards/desk?desk={desk}" if DESK.fullmatch(desk) else "/cards/desk", 303)
