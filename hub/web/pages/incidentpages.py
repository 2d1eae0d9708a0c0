"""The page of who ate: choose a meal, a lot or some hours, tick who is ill, make files; a second press sends them."""

from __future__ import annotations

import threading
from collections import defaultdict
from datetime import date
from typing import Annotated, Any, Final

from fastapi import Form, Query
from fastapi.responses import RedirectResponse, Response

from hub.attendance.knowndays import beyond
from hub.desks.incidentdesk import IncidentNotSent, zipped
from hub.incidents.asking import HOURS, IncidentRefused, Scope, scope_of
from hub.incidents.pack import LISTS, Diner, Pack
from hub.incidents.tables import how_text, note, whom
from hub.incidents.words import (
    LIST_WORDS,
    MEAL_WORDS,
    WORDS,
    bounds_text,
    clock_text,
    meal_text,
    origin_text,
    scope_text,
)
from hub.web.errors import Refusal
from hub.web.ground import Web
from hub.web.pages.cardpages import name_of
from hub.web.registry import N_
from hub.web.visits import Visit, Visitor
from protocol.meals import MEALS
from protocol.names import class_order, name_order

SHOWN: Final = 30
"""Versions on the page, the newest first."""
WAIT_S: Final = 20.0
ILL_MAX: Final = 1_000
SAID: Final = {
    "sent": N_("Đã gửi thành phố: chỉ khóa nội bộ, không có tên."),
    "recorded": N_(
        "Đã ghi, nhưng chưa đi đâu cả: chưa cấu hình máy chủ thành phố. Khi có, bản ghi tự đi. Hãy báo bằng cách khác."
    ),
    "not-sent": N_("Không gửi: bản này là diễn tập, đã gửi rồi, hoặc không có."),
}
_one = threading.Lock()
"""A pack of a whole school takes two seconds of a processor; two at once would be done no sooner."""

Text = Annotated[str, Query(max_length=80)]
Typed = Annotated[str, Form(max_length=80)]


def add_incident_pages(web: Web) -> None:
    """`/incident`, what it makes and sends."""

    @web.page("/incident")
    def incident(
        visit: Visitor, kind: Text = "", meal: Text = "lunch", day: Text = "", lot: Text = "", said: Text = ""
    ) -> Response:
        values: dict[str, Any] = {"pack": None, "problem": None, "scope": None}
        if kind:
            try:
                values["scope"] = scope = asked(visit, kind, meal, day, lot)
                visit.looked(scope.key)
                values["pack"] = web.store.incidentdesk.look(scope)
            except IncidentRefused as problem:
                values["problem"] = web.refused(visit, problem)
        return _shown(web, visit, said, kind or "meal", meal, day or visit.today.isoformat(), lot, values)

    @web.form("/incident/make", "incident", "incident pack made")
    def make(
        visit: Visitor,
        kind: Typed = "",
        meal: Typed = "",
        day: Typed = "",
        lot: Typed = "",
        drill: Annotated[str, Form(max_length=1)] = "",
        ill: Annotated[list[str] | None, Form(max_length=ILL_MAX)] = None,
    ) -> Response:
        try:
            scope = asked(visit, kind, meal, day, lot)
            if not _one.acquire(timeout=WAIT_S):
                raise Refusal(429, "reports-busy", "Another pack is being made.", {"retry-after": "30"})
            try:
                made = web.store.incidentdesk.make(
                    scope,
                    name_of(visit),
                    drill=bool(drill),
                    ill=dict.fromkeys(ill or (), True),
                    language=visit.language,
                )
            finally:
                _one.release()
        except IncidentRefused as problem:
            values = {"pack": None, "problem": web.refused(visit, problem), "scope": None}
            return _shown(web, visit, "", kind, meal, day or visit.today.isoformat(), lot, values, http=409)
        visit.note("incident pack made", f"{scope.key} {made.issue.number}")
        name = made.files[0].name.rpartition(".")[0]
        headers = {"content-disposition": f'attachment; filename="{name}.zip"'}
        return Response(zipped(made.files), media_type="application/zip", headers=headers)

    @web.form("/incident/send", "incident", "incident pack sent")
    def send(
        visit: Visitor,
        scope: Annotated[str, Form(max_length=200)] = "",
        number: Annotated[int, Form(ge=1, le=99_999)] = 1,
    ) -> Response:
        try:
            web.store.incidentdesk.send(scope, number, name_of(visit))
        except IncidentNotSent as problem:
            visit.failed(problem.code)
            return RedirectResponse("/incident?said=not-sent", 303)
        visit.note("incident pack sent", f"{scope} {number}")
        web.wake()
        return RedirectResponse(f"/incident?said={'sent' if web.store.incidentdesk.travels else 'recorded'}", 303)


def asked(visit: Visit, kind: str, meal: str, day: str, lot: str) -> Scope:
    """What the page's form asks. Raises IncidentRefused."""
    words: dict[str, dict[str, str | None]] = {
        "meal": {"meal": meal, "date": day or None},
        "lot": {"lot": lot},
        "hours": {"last_hours": str(HOURS)},
    }
    scope = scope_of(words.get(kind, {}), visit.today)
    if beyond(scope.day) is not None or scope.day > visit.today:
        raise IncidentRefused("{day} is no day that was", day=scope.day)
    return scope


def _shown(
    web: Web,
    visit: Visit,
    said: str,
    kind: str,
    meal: str,
    day: str,
    lot: str,
    values: dict[str, Any],
    *,
    http: int = 200,
) -> Response:
    with web.store.database.lock:
        rows = web.store.incidents.latest(SHOWN)
        lots = sorted({dish.lot for dish in web.store.mealplans.menu(date.min, date.max) if dish.lot})
    pack: Pack | None = values["pack"]
    told = SAID.get(said)
    return web.show(
        visit,
        "incident.html",
        http,
        **values,
        kind=kind,
        meal=meal,
        day=day,
        lot=lot,
        lots=lots,
        travels=web.store.incidentdesk.travels,
        meals=[(name, MEAL_WORDS[visit.language][name]) for name in MEALS],
        hours=HOURS,
        rows=[(row, scope_text(visit.language, row.scope)) for row in rows],
        said=said,
        told=None if told is None else web.say(visit, told),
        lists=[] if pack is None else _lists(visit, pack),
        classes=[] if pack is None else _classes(pack),
        origins=[] if pack is None else _origins(visit, pack),
        served=[] if pack is None else [meal_text(visit.language, name, when) for when, name in pack.known.asked],
        counts={} if pack is None else pack.counts(),
        list_words=LIST_WORDS[visit.language],
        words=WORDS[visit.language],
    )


def _lists(visit: Visit, pack: Pack) -> list[tuple[str, list[tuple[str, ...]]]]:
    """Each list that has lines: class, whom, time, error, counter, how, note."""
    language = visit.language
    found: list[tuple[str, list[tuple[str, ...]]]] = []
    for name in LISTS:
        rows: list[tuple[str, ...]] = [
            (
                "" if line.who is None else line.who.school_class,
                whom(line),
                "" if line.when is None else f"{line.day:%d/%m} {clock_text(line.when.best_ms)}",
                "" if line.when is None else bounds_text(line.when, language),
                line.counter,
                how_text(line, language),
                note(line, language),
            )
            for line in pack.of(name)
        ]
        if rows:
            found.append((name, rows))
    return found


def _classes(pack: Pack) -> list[tuple[str, list[Diner]]]:
    """The roll by class and name, for the ticks."""
    found: dict[str, list[Diner]] = defaultdict(list)
    for diner in pack.known.roll.values():
        found[diner.school_class].append(diner)
    return [
        (name, sorted(found[name], key=lambda one: (name_order(one.name), one.key)))
        for name in sorted(found, key=class_order)
    ]


def _origins(visit: Visit, pack: Pack) -> list[tuple[str, bool, str]]:
    return [(one.name, one.complete, origin_text(one.words, visit.language)) for one in pack.known.origins]
