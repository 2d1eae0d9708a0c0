"""A hub's leave notices as its pages and its API are asked for them."""

from __future__ import annotations

from datetime import date
from typing import Any

import httpx2 as httpx

from hub.attendance.evidence import Leave
from tests.hub.web.dayhub import DayHub
from tests.hub.web.pagehub import CLASS, csrf_in


def send(client: httpx.Client, path: str, **fields: str) -> httpx.Response:
    """As a page's script does: with the session's field, asking for JSON."""
    csrf = csrf_in(client.get("/me"))
    return client.post(path, data={"csrf": csrf, **fields}, headers={"accept": "application/json"})


def notice_of(pupil: str, first: date, last: date, **more: str) -> dict[str, Any]:
    """A notice as programs send it, from a morning to an afternoon."""
    ends = ({"day": first.isoformat(), "half": "am"}, {"day": last.isoformat(), "half": "pm"})
    return {"student": pupil, "first": ends[0], "last": ends[1], **more}


def standing(hub: DayHub, pupil: str, day: date) -> list[Leave]:
    """A pupil's notices that count on a day."""
    found = hub.store.days.leaves(day, day)
    return [leave for leave, gone_ms in found if gone_ms is None and leave.pupil == pupil]


def mark_on(hub: DayHub, pupil: str, day: date, school_class: str = CLASS) -> str:
    """The morning's mark."""
    found = hub.store.classbook.marks(day, school_class)
    return next(one.judged.mark for one in found if one.session.half == "am" and one.pupil.key == pupil)
