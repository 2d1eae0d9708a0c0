"""The principal's page: this morning in numbers, class by class, with how complete they are."""

from __future__ import annotations

import threading
from datetime import date
from typing import TYPE_CHECKING, Annotated, Final

from fastapi import Form, Request
from fastapi.responses import Response

from hub.attendance.marks import THERE
from hub.days.office import EntryRefused
from hub.dayview.morning import HalfDay, Morning, morning_of
from hub.web.dayforms import AskedDay, AskedHalf, day_words, done, shown_names
from hub.web.doorman import person_of
from hub.web.ground import Web
from hub.web.registry import N_
from hub.web.visits import Visit, Visitor
from hub.web.words import moment, shown_day

if TYPE_CHECKING:
    from hub.parts import Store

FRESH_MS: Final = 1_500
"""The whole school is worked out at most so often, however many look: it takes about 100 ms."""
KEPT_MAX: Final = 4


class Mornings:
    """The mornings that were worked out last, for whoever asks next."""

    def __init__(self) -> None:
        """Nothing yet."""
        self._kept: dict[date, Morning] = {}
        self._lock = threading.Lock()

    def of(self, store: Store, day: date, now_ms: int) -> Morning:
        """The morning of a day, at most FRESH_MS old."""
        with self._lock:
            kept = self._kept.get(day)
            if kept is None or not 0 <= now_ms - kept.made_ms < FRESH_MS:
                kept = morning_of(store, day, now_ms)
                self._kept.pop(day, None)
                self._kept[day] = kept
                while len(self._kept) > KEPT_MAX:
                    self._kept.pop(next(iter(self._kept)))
            return kept


def add_today_pages(web: Web) -> None:
    """`/today`."""
    mornings = Mornings()

    @web.page("/today")
    def today(visit: Visitor, day: AskedDay = None, half: AskedHalf = None) -> Response:
        day = day or visit.today
        morning = mornings.of(web.store, day, visit.now_ms)
        mine = morning.halves.get(half or morning.half or "am")
        return web.show(
            visit,
            "today.html",
            morning=morning,
            mine=mine,
            gates=None if mine is None else mine.gates.said(visit.language),
            may_waive=visit.allows("waive", None),
            there=THERE,
            text=None if mine is None else zalo_text(web, visit, morning, mine),
            names=shown_names(web, set() if mine is None else {one.by for one in mine.signed.values()}),
            names_too=visit.allows("see-class", None),
            words=day_words(web, visit),
        )

    @web.form("/today/waive", "waive", "waive device")
    def waive(
        visit: Visitor,
        request: Request,
        device: Annotated[str, Form(max_length=64)] = "",
        through_ms: Annotated[int, Form(ge=0, le=1 << 44)] = 0,
        reason: Annotated[str, Form(max_length=200)] = "",
    ) -> Response:
        if not reason.strip():
            return web.show_problem(visit, 409, "reason-needed")
        try:
            web.store.office.waive(person_of(visit).name, device, through_ms, reason.strip())
        except EntryRefused as problem:
            return web.show_refused(visit, problem)
        visit.note("device waived", device)
        return done(request, web.say(visit, N_("Không chờ thiết bị này nữa.")), None, "/today")


def zalo_text(web: Web, visit: Visit, morning: Morning, mine: HalfDay) -> str:
    """The numbers as plain text, to be pasted into a message: no name, and how complete they are."""

    def said(text: str, **values: object) -> str:
        return web.say(visit, text).format(**values)

    school, line = mine.school, mine.gates
    half = web.say(visit, N_("Sáng") if mine.half == "am" else N_("Chiều"))
    at = f"{moment(morning.made_ms):%H:%M}"
    lines = [
        f"{web.store.config.school} – {half}, {shown_day(morning.day, visit.language)}, {at}",
        said(
            N_("Có mặt {there}/{pupils}, trong đó muộn {late}"),
            there=school.there,
            pupils=school.pupils,
            late=school.late,
        ),
        said(
            N_("Có phép {excused}, không phép {unexcused}, vắng chưa rõ {absent}, chưa biết {unknown}"),
            excused=school.marks["excused"],
            unexcused=school.marks["unexcused"],
            absent=school.marks["absent"],
            unknown=school.marks["not-known"],
        ),
    ]
    if school.portions is not None:
        lines.append(said(N_("Suất ăn dự kiến {portions}"), portions=school.portions))
    lines.append(f"{line.said(visit.language).total}, {moment(line.at_ms):%H:%M}")
    return "\n".join(lines)
