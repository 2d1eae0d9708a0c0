"""The hub's HTTP side: health, status page, JSON API, audit of the ledger. Errors are problem details (RFC 9457)."""

from __future__ import annotations

import pathlib
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Annotated, Any, Final

import msgspec
from fastapi import FastAPI, Path, Query, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import HTMLResponse, JSONResponse, Response
from fastapi.staticfiles import StaticFiles
from jinja2 import Environment, FileSystemLoader, StrictUndefined
from pydantic import BaseModel, Field
from starlette.exceptions import HTTPException

from hub.store.database import open_for_reading
from protocol.audit import PAGE_DEFAULT, PAGE_MAX, RANGE_MAX, cursor_of, encode_page, range_digest
from protocol.envelope import decode_event
from protocol.errors import BadMessage, K12EdgeError
from protocol.taps import SEQUENCE_MAX

if TYPE_CHECKING:
    from hub.parts import Store
    from hub.web.status import Status

HERE: Final = pathlib.Path(__file__).parent
HEADERS: Final = {
    "content-security-policy": "default-src 'none'; style-src 'self'; script-src 'self'; connect-src 'self';"
    " img-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
    "x-content-type-options": "nosniff",
    "referrer-policy": "no-referrer",
    "cache-control": "no-store",
}
BESIDE: Final = ("parked", "forks", "dead-letters")
NUMBER_MAX: Final = (1 << 63) - 1
"""The greatest number of a row that SQLite can have."""
BODY_BYTES_MAX: Final = 64 * 1024
Position = Annotated[int, Path(ge=1, le=NUMBER_MAX)]


class Note(BaseModel):
    """Why a dead letter is closed, in a person's words."""

    note: str = Field(min_length=1, max_length=500)


def make_app(store: Store, status: Status, wake: Callable[[], None] = lambda: None) -> FastAPI:
    """The application of one hub; `wake` hears that the city is owed something again."""
    app = FastAPI(title="k12edge hub", version="1", docs_url=None, redoc_url=None, openapi_url="/v1/openapi.json")
    _add_errors(app)
    _add_pages(app, status)
    _add_status(app, status)
    _add_audit(app, store)
    _add_dead_letters(app, store, wake)
    add_journals(app, status)
    app.mount("/static", StaticFiles(directory=HERE / "static"))
    return app


def _problem(status: int, code: str, title: str, detail: str = "") -> JSONResponse:
    body = {"type": f"urn:k12edge:problem:{code}", "title": title, "status": status, "detail": detail}
    return JSONResponse(body, status, media_type="application/problem+json")


def _add_errors(app: FastAPI) -> None:
    @app.exception_handler(HTTPException)
    async def refused(_request: Request, problem: HTTPException) -> Response:
        return _problem(problem.status_code, f"status-{problem.status_code}", str(problem.detail))

    @app.exception_handler(RequestValidationError)
    async def invalid(_request: Request, problem: RequestValidationError) -> Response:
        detail = "; ".join(f"{'.'.join(map(str, e['loc']))}: {e['msg']}" for e in problem.errors()[:5])
        return _problem(422, "invalid-request", "The request is not as documented.", detail)

    @app.exception_handler(BadMessage)
    async def bad(_request: Request, problem: BadMessage) -> Response:
        return _problem(400, problem.code, str(problem), problem.hint)

    @app.exception_handler(K12EdgeError)
    async def failed(_request: Request, problem: K12EdgeError) -> Response:
        return _problem(503, problem.code, str(problem), problem.hint)

    @app.middleware("http")
    async def headed(request: Request, call_next: Any) -> Response:
        size = request.headers.get("content-length", "0")
        if "transfer-encoding" in request.headers or not size.isdigit() or int(size) > BODY_BYTES_MAX:
            # Nothing that is asked here takes more; a body that doesn't say its length could be any.
            response: Response = _problem(413, "too-large", f"A body says its length, at most {BODY_BYTES_MAX} bytes.")
        else:
            response = await call_next(request)
        for name, value in HEADERS.items():
            response.headers.setdefault(name, value)
        return response


def _add_pages(app: FastAPI, status: Status) -> None:
    pages = Environment(
        loader=FileSystemLoader(HERE / "templates"), autoescape=True, undefined=StrictUndefined, trim_blocks=True
    )

    @app.get("/", response_class=HTMLResponse, include_in_schema=False)
    def page() -> str:
        return pages.get_template("status.html").render(status=status.whole())


def _add_status(app: FastAPI, status: Status) -> None:
    @app.get("/healthz")
    def healthz() -> Response:
        """200 while everything works, else 503 and what doesn't."""
        troubles = status.troubles()
        return JSONResponse({"status": "degraded" if troubles else "ok", **troubles}, 503 if troubles else 200)

    @app.get("/v1/status")
    def whole() -> Any:
        """Everything that the status page shows."""
        return status.whole()

    @app.get("/v1/devices")
    def devices() -> Any:
        """Every gateway: standing, fingerprints, link, what it owes."""
        return {"devices": status.whole()["devices"]}

    for kind in BESIDE:
        _add_beside(app, status, kind)


def _add_beside(app: FastAPI, status: Status, kind: str) -> None:
    def listing(
        after: Annotated[int, Query(ge=0, le=NUMBER_MAX)] = 0,
        limit: Annotated[int, Query(ge=1, le=PAGE_MAX)] = PAGE_DEFAULT,
    ) -> Any:
        items = status.beside(kind, after, limit)
        return {"items": items, "next": items[-1]["number"] if len(items) == limit else None}

    app.add_api_route(f"/v1/{kind}", listing, methods=["GET"], name=kind, summary=f"{kind}, in the order of arrival")


def _add_audit(app: FastAPI, store: Store) -> None:
    @app.get("/v1/ledger/events")
    def events(after: str | None = None, limit: Annotated[int, Query(ge=1, le=PAGE_MAX)] = PAGE_DEFAULT) -> Response:
        """The ledger's records in the order of commits, each with its effective time."""
        position = cursor_of(after)
        reader = open_for_reading(store.path)
        try:
            rows = reader.execute(
                "SELECT position, raw FROM events WHERE position > ? ORDER BY position LIMIT ?", (position, limit + 1)
            ).fetchall()
        finally:
            reader.close()
        with store.database.lock:
            page = [(row["position"], bytes(row["raw"]), _effective(store, bytes(row["raw"]))) for row in rows[:limit]]
        return Response(encode_page(page, more=len(rows) > limit), media_type="application/json")

    @app.get("/v1/ledger/events/digest")
    def digest(
        journal: Annotated[str, Query(pattern="^[0-9a-f]{16}$")],
        first: Annotated[int, Query(alias="from", ge=1, le=SEQUENCE_MAX)],
        last: Annotated[int, Query(alias="to", ge=1, le=SEQUENCE_MAX)],
    ) -> Response:
        """How many records of a range are held, and the hash over their digests."""
        if last < first or last - first >= RANGE_MAX:
            raise BadMessage(f"from={first} to={last} is not a range of at most {RANGE_MAX} records")
        reader = open_for_reading(store.path)
        try:
            found = range_digest(_digests(reader, journal, first, last))
        finally:
            reader.close()
        return Response(msgspec.json.encode(found), media_type="application/json")


def _digests(reader: Any, journal: str, first: int, last: int) -> Iterator[bytes]:
    for (digest,) in reader.execute(
        "SELECT e.digest FROM events e JOIN journals j ON j.number = e.journal WHERE j.journal = ?"
        " AND e.sequence BETWEEN ? AND ? ORDER BY e.sequence",
        (journal, first, last),
    ):
        yield bytes(digest)


def _effective(store: Store, raw: bytes) -> Any:
    event = decode_event(raw)
    return store.anchors.of(event.source).effective(event)


def _add_dead_letters(app: FastAPI, store: Store, wake: Callable[[], None]) -> None:
    @app.post("/v1/dead-letters/{position}/resend")
    def resend(position: Position, request: Request) -> Any:
        """Submit a dead letter to the city again."""
        _from_here(request)
        with store.database.transaction():
            found = store.forward.resend(position)
        wake()
        return {"resent": position} if found else _problem(404, "no-dead-letter", "There is no such dead letter.")

    @app.post("/v1/dead-letters/{position}/close")
    def close(position: Position, note: Note, request: Request) -> Any:
        """Close a dead letter, saying why."""
        _from_here(request)
        with store.database.transaction():
            found = store.forward.close(position, note.note)
        return {"closed": position} if found else _problem(404, "no-dead-letter", "There is no such dead letter.")


def _from_here(request: Request) -> None:
    """A page of another site must not act through a person's browser: JSON only, and no foreign origin."""
    origin = request.headers.get("origin")
    if origin is not None and origin != f"{request.url.scheme}://{request.headers.get('host')}":
        raise HTTPException(403, "Requests from other sites are refused.")
    if not request.headers.get("content-type", "").startswith("application/json"):
        raise HTTPException(415, "Send application/json.")


def add_journals(app: FastAPI, status: Status) -> None:
    """The witness for `k12edge verify`."""

    @app.get("/v1/ledger/journals")
    def journals() -> Any:
        """What the hub holds of every journal: last record, head digest, holes."""
        return status.journals()
