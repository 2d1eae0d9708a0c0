"""The hub's API under fuzz: cursors, ranges, kinds and places of every route, asked without a socket."""

from __future__ import annotations

import asyncio
from collections.abc import MutableMapping
from pathlib import Path
from random import Random
from typing import Any, Final
from urllib.parse import quote, unquote

from hub.road.fleet import Fleet
from hub.web.site import make_app
from hub.web.status import Status
from protocol.errors import BadMessage
from sim.fuzz.ledger import LedgerRoom
from sim.fuzz.messages import JOURNALS, lines
from sim.fuzz.mutator import NUMBERS, TEXTS, Mutator, sound_text
from sim.fuzz.parser import Parser, must

ROUTES: Final = (
    b"/v1/ledger/events?after=3&limit=10",
    b"/v1/ledger/events/digest?journal=0b6f5c9e7d2a4f18&from=1&to=9",
    b"/v1/parked?after=1&limit=5",
    b"/v1/forks?after=0",
    b"/v1/dead-letters?after=2&limit=1",
    b"/v1/dead-letters/3/resend",
    b"/v1/dead-letters/3/close",
)

PRINTABLE: Final = "".join(map(chr, range(0x21, 0x7F)))


class Queries(Parser):
    """`query`: path and query of a request; whatever is asked, the answer is no fault of the hub's."""

    name = "query"
    share = 50
    cpu_ms_max = 500.0

    def __init__(self, folder: Path) -> None:
        """See Parser."""
        super().__init__(folder)
        self._ledger = LedgerRoom(folder)
        self._ledger.take_lines(JOURNALS[0], 1, list(lines(JOURNALS[0])))
        store = self._ledger.opened
        self._app: Any = make_app(store, Status(store, Fleet()))
        self._loop = asyncio.new_event_loop()
        self._mutator = Mutator([sound_text(route) for route in ROUTES], (*NUMBERS, *(text.encode() for text in TEXTS)))

    def made(self, rng: Random) -> bytes:
        """See Parser."""
        return self._mutator.mutated(rng)

    def take(self, octets: bytes) -> int:
        """See Parser."""
        # Of other bytes the server's HTTP reader (h11) says 400 before anybody is asked.
        path, _, query = quote(octets, PRINTABLE).encode("ascii").partition(b"?")
        method = "POST" if path.endswith((b"resend", b"close")) else "GET"
        status = self._loop.run_until_complete(self._asked(method, path, query))
        must(status < 500, f"status {status}")
        if status >= 400:
            raise BadMessage(f"status {status}")
        return status

    async def _asked(self, method: str, path: bytes, query: bytes) -> int:
        answered: list[int] = []

        async def receive() -> MutableMapping[str, Any]:
            return {"type": "http.request", "body": b'{"note":"x"}', "more_body": False}

        async def send(message: MutableMapping[str, Any]) -> None:
            if message["type"] == "http.response.start":
                answered.append(message["status"])

        scope = {
            "type": "http", "asgi": {"version": "3.0"}, "http_version": "1.1", "method": method, "scheme": "http",
            "path": unquote(path.decode("utf-8", "replace")), "raw_path": path, "query_string": query, "root_path": "",
            "headers": [(b"host", b"h"), (b"content-type", b"application/json"), (b"content-length", b"12")],
            "server": ("h", 80), "client": ("c", 1),
        }  # fmt: skip
        await self._app(scope, receive, send)
        return answered[0]

    def close(self) -> None:
        """See Parser."""
        self._loop.run_until_complete(self._loop.shutdown_default_executor())
        self._loop.close()
        self._ledger.close()
