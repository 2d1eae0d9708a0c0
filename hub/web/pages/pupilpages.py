"""The page of a pupil's day: from a mark to its taps, from a tap to its receipts at gateway, hub and city."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from fastapi.responses import Response

from hub.dayview.pupilday import class_on, pupil_day
from hub.web.dayforms import AskedDay, day_words, shown_names
from hub.web.ground import Web
from hub.web.visits import Visitor
from protocol.envelope import unix_ms_of


def add_pupil_pages(web: Web) -> None:
    """`/pupil/{key}`."""

    @web.page("/pupil/{key}")
    def pupil(visit: Visitor, key: str, day: AskedDay = None) -> Response:
        day = day or visit.today
        with web.store.database.lock:
            school_class = class_on(web.store, key, day)
        # Of a day on which the pupil was of another class, its teachers are asked; of none, only who sees the school.
        visit.must(school_class, key)
        if school_class is None:
            return web.show_problem(visit, 404, "status-404")
        with web.store.database.lock:
            found = pupil_day(web.store, key, school_class, day)
        said = {one.by for one in found.changes} | {one.leave.by for one in found.notices}
        said |= {one.taken_back[1] for one in found.notices if one.taken_back is not None}
        said |= {one.judged.by for one in found.marks}
        return web.show(
            visit,
            "pupil.html",
            found=found,
            before=day - timedelta(days=1),
            after=day + timedelta(days=1) if day < visit.today else None,
            names=shown_names(web, said),
            reasons_too=visit.allows("see-reasons", school_class),
            ms=_ms,
            words=day_words(web, visit),
        )


def _ms(text: Any) -> int | None:
    """A trail's time as the pages show it."""
    return unix_ms_of(text) if isinstance(text, str) else None
