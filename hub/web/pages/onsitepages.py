"""The page of who is on site, and the evacuation list by class; a copy of it stays in the browser."""

from __future__ import annotations

from typing import Final

from fastapi.responses import FileResponse, Response

from hub.dayview.whereabouts import whereabouts
from hub.web.ground import HERE, Web
from hub.web.registry import N_
from hub.web.visits import Visitor

WHERE: Final = {
    "in": N_("đang ở trường"),
    "out": N_("đã ra cổng"),
    "maybe-home": N_("chưa rõ đã về nhà chưa"),
    "away": N_("vắng, có người báo"),
    "not-seen": N_("chưa thấy"),
}


def add_onsite_pages(web: Web) -> None:
    """`/onsite`, and the script that keeps its copy."""

    @web.page("/onsite")
    def onsite(visit: Visitor) -> Response:
        found = whereabouts(web.store, visit.school_class, visit.now_ms)
        where = {key: web.say(visit, text) for key, text in WHERE.items()}
        return web.show(visit, "onsite.html", found=found, counts=found.counts(), where=where)

    # At the root, so that it may answer for `/onsite`; it holds no name.
    @web.file("/onsite.js", "open", "offline script", of="own")
    def script() -> Response:
        return FileResponse(HERE / "static" / "onsite.js", media_type="text/javascript")
