"""The kiosk's door: only this machine, only its own pages; every answer with the headers that keep a page by itself."""

from __future__ import annotations

import hmac
import json
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any, Final

Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]
App = Callable[[Scope, Receive, Send], Awaitable[None]]

BODY_BYTES_MAX: Final = 1_024
"""A key or a face with a station's name; nothing here sends more."""
HEADERS: Final = {
    "content-security-policy": "default-src 'none'; style-src 'self'; script-src 'self'; connect-src 'self';"
    " img-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
    "permissions-policy": "camera=(), geolocation=(), microphone=(), usb=()",
    "x-content-type-options": "nosniff",
    "referrer-policy": "same-origin",
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
    "cache-control": "no-store",
}
HOSTS: Final = ("127.0.0.1", "localhost", "[::1]")


class Door:
    """An ASGI application around another: who may come in, and what every answer bears."""

    def __init__(self, app: App, port: int, secret: str) -> None:
        """`port` is the one listened on; `secret` stands in this run's pages, and posts bring it."""
        self._app, self._secret = app, secret
        self._hosts = {f"{host}:{port}" for host in HOSTS} | ({*HOSTS} if port == 80 else set())

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Let a request through, or answer that it isn't of here."""
        if scope["type"] != "http":
            return

        async def headed(message: MutableMapping[str, Any]) -> None:
            if message["type"] == "http.response.start":
                kept = [(name, value) for name, value in message["headers"] if name.decode("latin-1") not in HEADERS]
                mine = [(name.encode(), value.encode()) for name, value in HEADERS.items()]
                message = {**message, "headers": [*kept, *mine]}
            await send(message)

        code = self._refused(scope)
        if code is None:
            await self._app(scope, receive, headed)
            return
        body = json.dumps({"code": code}).encode()
        # Closed, so that what is sent behind it is not even read: each refusal costs whoever asks a connection.
        headers = [
            (b"content-type", b"application/json"),
            (b"content-length", str(len(body)).encode()),
            (b"connection", b"close"),
        ]
        status = 413 if code == "too-large" else 403
        await headed({"type": "http.response.start", "status": status, "headers": headers})
        await headed({"type": "http.response.body", "body": body})

    def _refused(self, scope: Scope) -> str | None:
        """The code of why a request isn't let in; None where it is."""
        headers = {name.decode("latin-1").lower(): value.decode("latin-1") for name, value in scope["headers"]}
        host = headers.get("host", "")
        if host.lower() not in self._hosts:
            # A name that somebody else's server resolves to this machine (DNS rebinding), or a proxy.
            return "not-here"
        here = headers.get("sec-fetch-site", "same-origin") in ("same-origin", "none")
        if scope["method"] in ("GET", "HEAD"):
            # A link may lead here; but no page of somewhere else listens unseen, which would end the stream of ours.
            return None if here or headers.get("sec-fetch-mode") == "navigate" else "not-from-here"
        if not here:
            return "not-from-here"
        if headers.get("origin") != f"http://{host}":
            return "not-from-here"
        if not hmac.compare_digest(headers.get("x-kiosk", "").encode(), self._secret.encode()):
            return "page-old"
        size = headers.get("content-length", "")
        if "transfer-encoding" in headers or not size.isdigit() or int(size) > BODY_BYTES_MAX:
            return "too-large"
        return None
