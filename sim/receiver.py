"""The receiver of messages to parents: a webhook as the city's application would have one, honest, or in a mood.

It takes each message once, by its name; what isn't signed with the secret, or long ago, it turns away.
"""

from __future__ import annotations

import hmac
import json
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Final

AGE_MAX_S: Final = 300
BODY_BYTES_MAX: Final = 64 * 1024


class Receiver:
    """A server on a free port of this machine. `moods`: what the next requests meet, first one first.

    A mood is a status to answer without taking the message, `lost` (taken, and the line cut before the answer), or
    `trickle` (taken, and an answer that comes a byte at a time without an end).
    """

    def __init__(self, secret: bytes, now_s: Callable[[], float] = time.time) -> None:
        """Serve at once."""
        self.secret, self._now_s = secret, now_s
        self.moods: list[int | str] = []
        self.headers: dict[str, str] = {}
        """Sent with each answer to a mood."""
        self.taken: dict[str, dict[str, Any]] = {}
        """Each message once, by its name."""
        self.asked: list[str] = []
        """The name of every request, in order."""
        self.turned_away = 0
        self._closed = threading.Event()
        receiver = self

        class Handler(BaseHTTPRequestHandler):
            """One request."""

            protocol_version = "HTTP/1.1"

            def do_POST(self) -> None:
                """Take a message."""
                receiver.answer(self)

            def log_message(self, format: str, *args: Any) -> None:
                """Say nothing."""

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
        self._thread.start()

    @property
    def url(self) -> str:
        """Where messages are posted."""
        return f"http://127.0.0.1:{self._server.server_address[1]}/messages"

    def close(self) -> None:
        """Stop serving."""
        self._closed.set()
        self._server.shutdown()
        self._server.server_close()
        self._thread.join(5)

    def answer(self, request: BaseHTTPRequestHandler) -> None:
        """What happens to one request."""
        body = request.rfile.read(min(int(request.headers.get("content-length", "0")), BODY_BYTES_MAX))
        key = request.headers.get("idempotency-key", "")
        self.asked.append(key)
        mood = self.moods.pop(0) if self.moods else 200
        if isinstance(mood, int) and mood != 200:
            self._say(request, mood, self.headers)
            return
        if not self._signed(request, body):
            self.turned_away += 1
            self._say(request, 401, {})
            return
        status = 409 if key in self.taken else 200
        self.taken.setdefault(key, json.loads(body))
        if mood == "trickle":
            self._trickle(request)
            return
        if mood == "lost":
            request.close_connection = True
            request.connection.close()
            return
        self._say(request, status, {})

    def _trickle(self, request: BaseHTTPRequestHandler) -> None:
        request.send_response(200)
        request.send_header("content-length", "1000000")
        request.end_headers()
        request.close_connection = True
        with suppress(OSError):
            while not self._closed.wait(0.02):
                request.wfile.write(b" ")
                request.wfile.flush()

    def _signed(self, request: BaseHTTPRequestHandler, body: bytes) -> bool:
        timestamp = request.headers.get("k12edge-timestamp", "")
        if not timestamp.isdigit() or abs(self._now_s() - int(timestamp)) > AGE_MAX_S:
            return False
        whole = timestamp.encode("ascii") + b"." + body
        expected = "v1=" + hmac.new(self.secret, whole, "sha256").hexdigest()
        return hmac.compare_digest(expected, request.headers.get("k12edge-signature", ""))

    def _say(self, request: BaseHTTPRequestHandler, status: int, headers: dict[str, str]) -> None:
        request.send_response(status)
        for name, value in {**headers, "content-length": "0"}.items():
            request.send_header(name, value)
        request.end_headers()
