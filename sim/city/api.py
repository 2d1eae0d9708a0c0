"""The city's HTTP contract: events in with an answer each, audit and digests out. Errors are RFC 9457."""

from __future__ import annotations

import asyncio
import email.utils
import hmac
import secrets
import time
import zlib
from pathlib import Path
from typing import Annotated, Any, Final
from urllib.parse import parse_qs

import msgspec
from fastapi import FastAPI, Query, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import HTMLResponse, JSONResponse, Response
from fastapi.staticfiles import StaticFiles
from jinja2 import Environment, FileSystemLoader, StrictUndefined
from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException

from protocol.audit import PAGE_DEFAULT, PAGE_MAX, RANGE_MAX, cursor_of, encode_page, range_digest
from protocol.envelope import decode_event
from protocol.errors import BadMessage
from protocol.taps import SEQUENCE_MAX
from sim.city.rosterapi import RosterApi
from sim.city.store import PROBLEM, CityStore

HERE: Final = Path(__file__).parent
EVENTS_MAX: Final = 1_000
BODY_BYTES_MAX: Final = 4 * 1024 * 1024
TOKEN_S: Final = 3_600
TOKENS_MAX: Final = 1_000
HEADERS: Final = {
    "content-security-policy": "default-src 'none'; style-src 'self'; base-uri 'none'; form-action 'none';"
    " frame-ancestors 'none'",
    "x-content-type-options": "nosniff",
    "referrer-policy": "no-referrer",
    "cache-control": "no-store",
}


def make_app(store: CityStore, clients: dict[str, str] | None, roster: RosterApi | None = None) -> FastAPI:
    """The service on a store; `clients` (id -> secret) log in where given; `roster` is served where there is one."""
    app = FastAPI(title="K12 records, reference service", version="1", docs_url=None, redoc_url=None)
    gate = Gate(clients)
    _add_errors(app)
    _add_events(app, store, gate)
    _add_page(app, store)
    if roster is not None:
        _add_roster(app, roster, gate)
    if clients is not None:
        _add_token(app, gate)
    app.mount("/static", StaticFiles(directory=HERE / "static"))
    return app


def _problem(status: int, kind: str, title: str, headers: dict[str, str] | None = None) -> JSONResponse:
    body = {"type": f"{PROBLEM}{kind}", "title": title, "status": status}
    return JSONResponse(body, status, headers, media_type="application/problem+json")


class Gate:
    """OAuth2 client credentials (RFC 6749, 4.4); without clients everybody may pass."""

    def __init__(self, clients: dict[str, str] | None) -> None:
        """No token was given out yet."""
        self._clients = clients
        self._tokens: dict[str, float] = {}

    def token(self, client: str, secret: str) -> str | None:
        """A token for a client whose secret is right."""
        wanted = (self._clients or {}).get(client)
        if wanted is None or not hmac.compare_digest(wanted.encode(), secret.encode()):
            return None
        token = secrets.token_urlsafe(24)
        while len(self._tokens) >= TOKENS_MAX:
            del self._tokens[next(iter(self._tokens))]
        self._tokens[token] = time.monotonic() + TOKEN_S
        return token

    def check(self, request: Request) -> None:
        """Return if the call may pass; raises HTTPException 401."""
        if self._clients is None:
            return
        token = request.headers.get("authorization", "").removeprefix("Bearer ")
        if self._tokens.get(token, 0) < time.monotonic():
            raise HTTPException(401, "A valid bearer token is needed.", {"www-authenticate": "Bearer"})


def _add_errors(app: FastAPI) -> None:
    @app.exception_handler(HTTPException)
    async def refused(_request: Request, problem: HTTPException) -> Response:
        return _problem(problem.status_code, f"status-{problem.status_code}", str(problem.detail), problem.headers)  # type: ignore[arg-type]  # Starlette's mapping is a dict here.

    @app.exception_handler(RequestValidationError)
    async def invalid(_request: Request, problem: RequestValidationError) -> Response:
        return _problem(422, "invalid-request", "; ".join(str(error["msg"]) for error in problem.errors()[:5]))

    @app.exception_handler(BadMessage)
    async def bad(_request: Request, problem: BadMessage) -> Response:
        return _problem(400, problem.code, str(problem))

    @app.middleware("http")
    async def headed(request: Request, call_next: Any) -> Response:
        response: Response = await call_next(request)
        for name, value in HEADERS.items():
            response.headers.setdefault(name, value)
        # The server beneath adds none: a roster's answer may have a wrong one.
        if "k12edge-no-date" in response.headers:
            del response.headers["k12edge-no-date"]
        else:
            response.headers.setdefault("date", email.utils.formatdate(usegmt=True))
        return response


def _add_events(app: FastAPI, store: CityStore, gate: Gate) -> None:
    @app.post("/k12edge/v1/events")
    async def push(request: Request) -> Response:
        """Take a batch (or one event): stored, duplicate or rejected, each by itself, committed before the answer."""
        gate.check(request)
        kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
        if kind not in ("application/cloudevents-batch+json", "application/cloudevents+json"):
            raise HTTPException(415, "Send application/cloudevents-batch+json.")
        body = _unpacked(await _bounded(request), request.headers.get("content-encoding", "identity"))
        raws = _events(body, batch=kind.endswith("batch+json"))
        answers = await run_in_threadpool(store.take, raws)
        results = [answer.told() for answer in answers]
        return Response(msgspec.json.encode({"results": results}), media_type="application/json")

    @app.get("/k12edge/v1/events")
    def events(
        request: Request, after: str | None = None, limit: Annotated[int, Query(ge=1, le=PAGE_MAX)] = PAGE_DEFAULT
    ) -> Response:
        """What the city holds, in the order of commits, each with its effective time."""
        gate.check(request)
        rows = store.page(cursor_of(after), limit + 1)
        with store.lock:
            page = [(position, raw, _effective(store, raw)) for position, raw in rows[:limit]]
        return Response(encode_page(page, more=len(rows) > limit), media_type="application/json")

    @app.get("/k12edge/v1/events/digest")
    def digest(
        request: Request,
        journal: Annotated[str, Query(pattern="^[0-9a-f]{16}$")],
        first: Annotated[int, Query(alias="from", ge=1, le=SEQUENCE_MAX)],
        last: Annotated[int, Query(alias="to", ge=1, le=SEQUENCE_MAX)],
    ) -> Response:
        """How many events of a range are held, and the hash over their digests."""
        gate.check(request)
        if last < first or last - first >= RANGE_MAX:
            raise BadMessage(f"from={first} to={last} is not a range of at most {RANGE_MAX} records")
        return Response(
            msgspec.json.encode(range_digest(store.digests(journal, first, last))), media_type="application/json"
        )

    @app.get("/healthz")
    def healthz() -> Any:
        """200 while the service runs."""
        return {"status": "ok"}


def _add_roster(app: FastAPI, roster: RosterApi, gate: Gate) -> None:
    @app.get("/ims/oneroster/rostering/v1p2/{collection}")
    async def rows(request: Request, collection: str) -> Response:
        """A page of the city's roster, by OneRoster 1.2: limit, offset, sort, orderBy, filter."""
        gate.check(request)
        if roster.manners.slow_ms:
            await asyncio.sleep(roster.manners.slow_ms / 1000)
        told = roster.answer(collection, request.query_params)
        headers = told.headers if "date" in told.headers else {**told.headers, "k12edge-no-date": "1"}
        return Response(told.body, told.status, headers)


def _effective(store: CityStore, raw: bytes) -> Any:
    event = decode_event(raw)
    return store.timeline(event.source).effective(event)


async def _bounded(request: Request) -> bytes:
    gathered = bytearray()
    async for piece in request.stream():
        gathered += piece
        if len(gathered) > BODY_BYTES_MAX:
            raise HTTPException(413, f"A body has at most {BODY_BYTES_MAX} bytes.")
    return bytes(gathered)


def _unpacked(body: bytes, encoding: str) -> bytes:
    if encoding == "identity":
        return body
    if encoding != "gzip":
        raise HTTPException(415, "Content-Encoding must be gzip or identity.")
    try:
        unpacker = zlib.decompressobj(wbits=31)
        text = unpacker.decompress(body, BODY_BYTES_MAX + 1)
    except zlib.error as problem:
        raise HTTPException(400, "The body is not gzip.") from problem
    if len(text) > BODY_BYTES_MAX:
        raise HTTPException(413, f"A body has at most {BODY_BYTES_MAX} bytes unpacked.")
    if not unpacker.eof:
        raise HTTPException(400, "The body is cut.")
    return text


def _events(body: bytes, *, batch: bool) -> list[bytes]:
    try:
        raws = msgspec.json.decode(body, type=list[msgspec.Raw]) if batch else [msgspec.Raw(body)]
        if not batch:
            msgspec.json.decode(body)
    except (msgspec.DecodeError, RecursionError, ValueError) as problem:
        raise HTTPException(400, f"The body is not JSON: {problem}") from problem
    if len(raws) > EVENTS_MAX:
        raise HTTPException(413, f"A batch has at most {EVENTS_MAX} events.")
    return [bytes(raw) for raw in raws]


def _add_token(app: FastAPI, gate: Gate) -> None:
    @app.post("/oauth/token")
    async def token(request: Request) -> Response:
        """Change client credentials for a bearer token."""
        form = parse_qs((await _bounded(request)).decode("utf-8", "replace"))
        given = gate.token(form.get("client_id", [""])[0], form.get("client_secret", [""])[0])
        if form.get("grant_type") != ["client_credentials"] or given is None:
            return JSONResponse({"error": "invalid_client"}, 401)
        return JSONResponse({"access_token": given, "token_type": "Bearer", "expires_in": TOKEN_S})


def _add_page(app: FastAPI, store: CityStore) -> None:
    pages = Environment(
        loader=FileSystemLoader(HERE / "templates"), autoescape=True, undefined=StrictUndefined, trim_blocks=True
    )

    @app.get("/", response_class=HTMLResponse, include_in_schema=False)
    def page() -> str:
        return pages.get_template("city.html").render(city=store.overview())
