"""The kiosk's routes: pages, streams and what pages send, for browsers on this machine. See keeper.py."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Coroutine, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, Literal, TypeVar, cast

import msgspec
import uvicorn
from fastapi import FastAPI, Request
from fastapi.responses import HTMLResponse, JSONResponse, Response, StreamingResponse
from fastapi.staticfiles import StaticFiles
from starlette.exceptions import HTTPException

from edge.kiosk.door import Door
from edge.kiosk.keypad import KEY_CHARACTERS_MAX
from edge.kiosk.lines import BACKLOG, HEAD_BYTES_MAX, BoundedLine
from edge.kiosk.pages import HERE, PAGES, Page, Theme, Visit, page_html, rate_html, start_html
from edge.kiosk.screens import StationScreens
from edge.kiosk.streams import Streams

log = logging.getLogger("k12edge.kiosk")

Made = TypeVar("Made")


class Press(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The body of `POST /press`: a key or token of edge/kiosk/keypad.py."""

    station: str
    key: str
    lang: Literal["vi", "en"] = "vi"


class Rating(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The body of `POST /rate`."""

    station: str
    face: Literal["good", "fair", "bad"]
    lang: Literal["vi", "en"] = "vi"


@dataclass(frozen=True, slots=True)
class Site:
    """What the routes need: screens by station, their streams, what this run's pages bring back and are called.

    `looks`, `acts`: the threads on which screens are made and keys are taken; who asks much waits for one.
    """

    screens: Mapping[str, StationScreens]
    streams: Streams
    secret: str
    run: str
    pupil: str = "con"
    looks: ThreadPoolExecutor | None = None
    acts: ThreadPoolExecutor | None = None

    async def look(self, work: Callable[..., Made], *arguments: object) -> Made:
        """Have a screen made."""
        return await asyncio.get_running_loop().run_in_executor(self.looks, work, *arguments)

    async def act(self, work: Callable[..., Made], *arguments: object) -> Made:
        """Have something done, which may wait for a commit."""
        return await asyncio.get_running_loop().run_in_executor(self.acts, work, *arguments)

    def visit(self, request: Request) -> Visit:
        """How the asker wants a page to be."""
        asked = request.query_params
        theme = asked.get("theme")
        shown = cast(Theme, theme) if theme in ("light", "dark") else "auto"
        return Visit("en" if asked.get("lang") == "en" else "vi", shown, self.secret, self.run)

    def start(self, request: Request, status: int = 200, code: str | None = None) -> Response:
        """The page that leads to all screens; with a code, instead of one that can't be shown."""
        return HTMLResponse(start_html(sorted(self.screens), self.visit(request), code), status)


def make_server(site: Site, port: int) -> uvicorn.Server:
    """The server of a site; the caller gives it its socket."""
    app = make_app(site)
    config = uvicorn.Config(
        Door(app, port, site.secret),
        http=BoundedLine,
        # So many are accepted at once; see UNSEEN_MAX.
        backlog=BACKLOG,
        h11_max_incomplete_event_size=HEAD_BYTES_MAX,
        ws="none",
        loop="asyncio",
        lifespan="off",
        log_config=None,
        # Whoever sends what is no HTTP fills no log.
        log_level="error",
        access_log=False,
        server_header=False,
        timeout_graceful_shutdown=1,
    )
    return uvicorn.Server(config)


def make_app(site: Site) -> FastAPI:
    """The application of a site, without its door."""
    app = FastAPI(title="k12edge kiosk", docs_url=None, redoc_url=None, openapi_url=None)
    app.mount("/static", StaticFiles(directory=HERE / "static"))
    _add_errors(app, site)
    for page in PAGES:
        app.add_api_route(f"/{page}", _page(site, page), methods=["GET"], response_class=HTMLResponse)

    @app.get("/")
    async def front(request: Request) -> Response:
        return site.start(request)

    @app.get("/events/{page}")
    async def events(request: Request, page: Literal["pupil", "staff"]) -> Response:
        station = request.query_params.get("station", "")
        if station not in site.screens:
            return _answer("station-unknown", 404)
        stream = site.streams.stream(station, page, site.visit(request).language)
        return StreamingResponse(stream, media_type="text/event-stream")

    @app.post("/press")
    async def press(request: Request) -> Response:
        asked: Press | None = await _decoded(request, Press)
        if asked is None or not 0 < len(asked.key) <= KEY_CHARACTERS_MAX:
            return _answer("asked-wrongly", 400)
        if asked.station not in site.screens:
            return _answer("station-unknown", 404)
        screens = site.screens[asked.station]
        await site.act(screens.press, asked.key)
        site.streams.changed(asked.station)
        frames, _ = await site.look(screens.frames, [("staff", asked.lang)])
        frame = frames["staff", asked.lang]
        return JSONResponse({"code": None, "number": frame.number, "html": frame.html})

    @app.post("/rate")
    async def rate(request: Request) -> Response:
        asked: Rating | None = await _decoded(request, Rating)
        if asked is None:
            return _answer("asked-wrongly", 400)
        if asked.station not in site.screens:
            return _answer("station-unknown", 404)
        done = await site.act(site.screens[asked.station].rate, asked.face)
        return _answer(done.code)

    return app


def _page(site: Site, page: Page) -> Callable[[Request], Coroutine[Any, Any, Response]]:
    async def shown(request: Request) -> Response:
        station, visit = request.query_params.get("station", ""), site.visit(request)
        if station not in site.screens:
            return site.start(request, 404, "station-unknown")
        if page == "rate":
            inner = rate_html(visit.language, site.pupil)
        else:
            frames, _ = await site.look(site.screens[station].frames, [(page, visit.language)])
            inner = frames[page, visit.language].html
        return HTMLResponse(page_html(page, station, inner, visit, site.pupil))

    return shown


def _add_errors(app: FastAPI, site: Site) -> None:
    @app.exception_handler(HTTPException)
    async def refused(request: Request, problem: HTTPException) -> Response:
        return site.start(request, problem.status_code, "page-unknown")

    @app.exception_handler(Exception)
    async def failed(request: Request, problem: Exception) -> Response:
        log.error("kiosk-failed: %s %s", request.method, request.url.path, exc_info=problem)
        if request.method == "POST":
            return _answer("kiosk-failed", 500)
        return site.start(request, 500, "kiosk-failed")


def _answer(code: str | None, status: int = 200) -> Response:
    return JSONResponse({"code": code}, status)


async def _decoded(request: Request, kind: type[Any]) -> Any:
    """A body as its struct, or None where it is none."""
    with suppress(msgspec.DecodeError, RecursionError, ValueError):
        return msgspec.json.decode(await request.body(), type=kind)
    return None
