"""The pages of a class: the teacher's roll call at 07:10, the class sheet, its corrections in red ink."""

from __future__ import annotations

from datetime import date
from typing import TYPE_CHECKING, Annotated, Final, Literal

from fastapi import Query
from fastapi.responses import Response

from hub.dayview.gatesline import gates_line
from hub.dayview.redink import red_ink
from hub.dayview.sheet import Sheet, sheet_of
from hub.web.dayforms import AskedDay, AskedHalf, Half, day_words, shown_names
from hub.web.ground import Web
from hub.web.visits import Visit, Visitor
from protocol.names import class_order

if TYPE_CHECKING:
    from hub.dayview.sheet import Row

Shown = Literal["", "present", "late", "left-early", "absent", "excused", "unexcused", "not-known", "there", "flags"]
AskedShown = Annotated[Shown, Query()]
KEYS: Final = {"present": "c", "excused": "p", "unexcused": "k", "late": "m", "left-early": "s", "absent": "v"}
"""One key a state: có mặt, phép, không phép, muộn, về sớm, vắng."""


def add_class_pages(web: Web) -> None:
    """`/roll`, `/class`, `/class/red`."""

    @web.page("/roll")
    def roll(visit: Visitor, day: AskedDay = None, half: AskedHalf = None) -> Response:
        if visit.school_class is None:
            return _choice(web, visit, "/roll", day or visit.today)
        return _sheet(web, visit, "roll.html", day or visit.today, half, "")

    @web.page("/class")
    def sheet(visit: Visitor, day: AskedDay = None, half: AskedHalf = None, show: AskedShown = "") -> Response:
        if visit.school_class is None and not show:
            return _choice(web, visit, "/class", day or visit.today)
        return _sheet(web, visit, "class.html", day or visit.today, half, show)

    @web.page("/class/red")
    def red(visit: Visitor, day: AskedDay = None) -> Response:
        day = day or visit.today
        if visit.school_class is None:
            return _choice(web, visit, "/class/red", day)
        with web.store.database.lock:
            changes = red_ink(web.store, day, visit.school_class)
        return web.show(
            visit,
            "red.html",
            day=day,
            changes=changes,
            names=shown_names(web, {one.by for one in changes}),
            reasons_too=visit.allows("see-reasons", visit.school_class),
            pupil_too=visit.allows("see-pupil", visit.school_class),
            words=day_words(web, visit),
        )


def _choice(web: Web, visit: Visit, path: str, day: date) -> Response:
    """Who isn't bound to a class chooses one."""
    with web.store.database.lock:
        classes = sorted(web.store.people.classes(day), key=class_order)
    return web.show(visit, "classes.html", path=path, classes=classes, day=day)


def _sheet(web: Web, visit: Visit, template: str, day: date, half: Half | None, show: Shown) -> Response:
    store = web.store
    sheet = sheet_of(store, day, visit.school_class, half, visit.now_ms)
    mine = [sheet.sessions[sheet.half]] if sheet.half is not None else []
    with store.database.lock:
        line = gates_line(store, day, mine, visit.now_ms)
    said = {cell.by for row in sheet.rows for cell in row.cells.values()}
    said |= {one.by for one in sheet.signed.values()}
    return web.show(
        visit,
        template,
        sheet=sheet,
        rows=_shown(sheet, show),
        show=show,
        line=line,
        gates=line.said(visit.language),
        names=shown_names(web, said),
        keys=KEYS,
        may_mark=visit.school_class is not None and visit.allows("mark-class", visit.school_class),
        may_leave=visit.school_class is not None and visit.allows("leave", visit.school_class),
        pupil_too=visit.allows("see-pupil", visit.school_class),
        reasons_too=visit.allows("see-reasons", visit.school_class),
        past=day < visit.today,
        words=day_words(web, visit),
    )


def _shown(sheet: Sheet, show: Shown) -> list[Row]:
    """The rows that a number stands for."""
    if not show or sheet.half is None:
        return list(sheet.rows)
    found = []
    for row in sheet.rows:
        cell = row.cells.get(sheet.half)
        if cell is not None and (
            cell.mark == show or (show == "there" and cell.there) or (show == "flags" and cell.flags)
        ):
            found.append(row)
    return found
