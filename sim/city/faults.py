"""The city's faults: what a real service does to its callers on a bad day, played from a file. For tests only."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Awaitable, Callable
from pathlib import Path
from random import Random
from typing import Any

import msgspec

from protocol.errors import ConfigError

Scope = dict[str, Any]
Receive = Callable[[], Awaitable[dict[str, Any]]]
Send = Callable[[dict[str, Any]], Awaitable[None]]


class Plan(msgspec.Struct, forbid_unknown_fields=True):
    """Probabilities (0 to 1) a POST of events; `lost_reply`: the events are stored, the answer isn't sent.

    `accepted`: 202 without storing; `partial`: half of the results are left out; `wrong_body`: 200 that is no JSON.
    """

    seed: int = 1
    lost_reply: float = 0
    accepted: float = 0
    partial: float = 0
    wrong_body: float = 0
    too_many: float = 0
    unavailable: float = 0
    redirect: float = 0
    too_large_over: int = 0
    delay_ms: int = 0


def read_plan(path: Path) -> Plan:
    """Read a JSON file; raises ConfigError."""
    try:
        return msgspec.json.decode(path.read_bytes(), type=Plan)
    except (OSError, msgspec.DecodeError) as problem:
        raise ConfigError(f"{path} is not a plan of faults: {problem}") from problem


class Faults:
    """ASGI middleware around the service."""

    def __init__(self, app: Any, plan: Plan) -> None:
        """Draw from the plan's seed."""
        self._app, self._plan = app, plan
        self._rng = Random(plan.seed)
        self._lock = threading.Lock()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Play a fault, or pass the call on."""
        if scope["type"] != "http" or scope["method"] != "POST" or not scope["path"].endswith("/events"):
            await self._app(scope, receive, send)
            return
        plan = self._plan
        if plan.delay_ms:
            await asyncio.sleep(plan.delay_ms / 1000)
        size = int(dict(scope["headers"]).get(b"content-length", b"0"))
        if plan.too_large_over and size > plan.too_large_over:
            await _answer(send, 413, b"{}")
        elif self._drawn(plan.accepted):
            await _answer(send, 202, b"")
        elif self._drawn(plan.wrong_body):
            await _answer(send, 200, b"<html>maintenance</html>")
        elif self._drawn(plan.too_many):
            await _answer(send, 429, b"{}", (b"retry-after", b"0"))
        elif self._drawn(plan.unavailable):
            await _answer(send, 503, b"{}")
        elif self._drawn(plan.redirect):
            await _answer(send, 307, b"", (b"location", b"http://127.0.0.1:9/elsewhere"))
        else:
            await self._altered(scope, receive, send)

    def _drawn(self, probability: float) -> bool:
        with self._lock:
            return self._rng.random() < probability

    async def _altered(self, scope: Scope, receive: Receive, send: Send) -> None:
        lost, partial = self._drawn(self._plan.lost_reply), self._drawn(self._plan.partial)
        gathered: list[dict[str, Any]] = []

        async def keep(message: dict[str, Any]) -> None:
            gathered.append(message)

        await self._app(scope, receive, keep)
        if lost:
            # No answer at all: the server closes the connection.
            return
        body = b"".join(message.get("body", b"") for message in gathered)
        if partial and gathered[0]["status"] == 200:
            results = msgspec.json.decode(body)["results"]
            body = msgspec.json.encode({"results": results[::2]})
        await _answer(send, gathered[0]["status"], body)


async def _answer(send: Send, status: int, body: bytes, *more: tuple[bytes, bytes]) -> None:
    headers = [(b"content-type", b"application/json"), (b"content-length", str(len(body)).encode()), *more]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body})
