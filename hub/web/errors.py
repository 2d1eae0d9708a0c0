"""Errors of pages and API: problem details (RFC 9457) for programs, a page in words for people; and the headers."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, Final

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse, RedirectResponse, Response
from starlette.datastructures import MutableHeaders
from starlette.exceptions import HTTPException

from hub.access.sessions import SESSION_COOKIES
from hub.days.office import EntryRefused
from protocol.errors import BadMessage, K12EdgeError, Refused

if TYPE_CHECKING:
    from starlette.types import ASGIApp, Message, Receive, Scope, Send

HEADERS: Final = {
    "content-security-policy": "default-src 'none'; style-src 'self'; script-src 'self'; connect-src 'self';"
    " img-src 'self'; font-src 'self'; manifest-src 'self'; base-uri 'none'; form-action 'self';"
    " frame-ancestors 'none'",
    "permissions-policy": "accelerometer=(), camera=(), display-capture=(), geolocation=(), gyroscope=(),"
    " magnetometer=(), microphone=(), midi=(), payment=(), usb=()",
    "x-content-type-options": "nosniff",
    # Not `no-referrer`: with it browsers send forms from an origin `null`.
    "referrer-policy": "same-origin",
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
    "cache-control": "no-store",
}
WRITTEN_SO: Final = (
    "Correct the request. A moment is written 2026-11-23T07:30:00+07:00 (in an address %2B for the +), a day"
    " 2026-11-23; docs/reference/messages.md has the rest."
)
MACHINES: Final = ("/v1/", "/healthz", "/static/")
"""Where programs ask."""
HSTS: Final = "max-age=31536000"


class Refusal(HTTPException):
    """A request that is not let in: a problem type for programs, words for people."""

    def __init__(self, status: int, code: str, title: str, headers: Mapping[str, str] | None = None) -> None:
        """`title` is for programs; people's words hang on the code."""
        super().__init__(status, title, dict(headers or {}))
        self.code = code


class LoginNeeded(Refusal):
    """Nobody is logged in."""

    def __init__(self) -> None:
        """A token is what programs bring."""
        super().__init__(401, "login-needed", "Log in, or send a token.", {"www-authenticate": "Bearer"})


class Problem(JSONResponse):
    """Problem details."""

    media_type = "application/problem+json"

    def __init__(self, status: int, code: str, title: str, detail: str) -> None:
        """`code` stands in the type, and beside the answer for the audit."""
        self.code = code
        super().__init__(
            {"type": f"urn:k12edge:problem:{code}", "title": title, "status": status, "detail": detail}, status
        )


def problem(status: int, code: str, title: str, detail: str = "") -> Problem:
    """Problem details."""
    return Problem(status, code, title, detail)


def ended(met: Exception) -> tuple[int, str]:
    """Status and code of the answer to a request that failed so."""
    if isinstance(met, HTTPException):
        return met.status_code, met.code if isinstance(met, Refusal) else f"status-{met.status_code}"
    if isinstance(met, RequestValidationError):
        return 422, "invalid-request"
    if isinstance(met, BadMessage | EntryRefused):
        return 400 if isinstance(met, BadMessage) else 422, met.code
    return (503, met.code) if isinstance(met, K12EdgeError) else (500, "status-500")


def add_errors(app: FastAPI, show: Callable[[Request, int, str, Refused | None], Response]) -> None:
    """What is answered where a request fails; `show` makes the page for people out of status, code, and reason."""

    def told(request: Request, status: int, code: str, title: str, detail: str = "") -> Response:
        return show(request, status, code, None) if for_people(request) else problem(status, code, title, detail)

    @app.exception_handler(HTTPException)
    async def refused(request: Request, met: HTTPException) -> Response:
        if isinstance(met, LoginNeeded) and for_people(request):
            return _to_login(request)
        answer = told(request, *ended(met), str(met.detail))
        answer.headers.update(met.headers or {})
        return answer

    @app.exception_handler(RequestValidationError)
    async def invalid(request: Request, met: RequestValidationError) -> Response:
        detail = "; ".join(f"{'.'.join(map(str, e['loc']))}: {e['msg']}" for e in met.errors()[:5])
        return told(request, *ended(met), "The request is not as documented.", detail)

    @app.exception_handler(BadMessage)
    async def bad(request: Request, met: BadMessage) -> Response:
        # Its own hint is for whoever runs a gateway or a city; here somebody wrote an address.
        return told(request, *ended(met), str(met), WRITTEN_SO)

    @app.exception_handler(EntryRefused)
    async def not_taken(request: Request, met: EntryRefused) -> Response:
        if for_people(request):
            return show(request, *ended(met), met)
        return problem(*ended(met), str(met), met.hint)

    @app.exception_handler(K12EdgeError)
    async def failed(request: Request, met: K12EdgeError) -> Response:
        return told(request, *ended(met), str(met), met.hint)


def for_people(request: Request) -> bool:
    """Whether a page is asked for, not an answer for a program."""
    path = request.url.path
    browser = "text/html" in request.headers.get("accept", "*/*")
    if request.scope.get("route") is None:
        # An address that nobody made: what asks for a page, or brings a session, is a person's browser.
        return browser or (bool(request.cookies.keys() & SESSION_COOKIES) and not path.startswith(MACHINES))
    return not path.startswith(MACHINES)


def _to_login(request: Request) -> Response:
    if request.method != "GET":
        return RedirectResponse("/login", 303)
    if request.headers.get("sec-fetch-site") == "cross-site":
        # Followed from another site (a message, a mail) the cookie stays at home; asked again from here it comes along.
        return Response(
            '<!doctype html><html lang="vi"><title>k12edge</title><meta http-equiv="refresh" content="0">',
            media_type="text/html; charset=utf-8",
        )
    query = f"?{request.url.query}" if request.url.query else ""
    return RedirectResponse(f"/login?next={_quoted(request.url.path + query)}", 303)


def _quoted(text: str) -> str:
    from urllib.parse import quote

    return quote(text[:400], safe="/")


class Headed:
    """The headers that every answer carries; plain ASGI, so that streams pass untouched."""

    def __init__(self, app: ASGIApp) -> None:
        """Around the whole application."""
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass on, with headers added."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return

        async def headed(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers: Any = MutableHeaders(scope=message)
                for name, value in HEADERS.items():
                    headers.setdefault(name, value)
                if scope["path"].startswith("/static/"):
                    # Kept by the browser, and asked for anew by its digest: a phone loads it once.
                    headers["cache-control"] = "no-cache"
                if scope.get("scheme") == "https":
                    headers.setdefault("strict-transport-security", HSTS)
            await send(message)

        await self._app(scope, receive, headed)
