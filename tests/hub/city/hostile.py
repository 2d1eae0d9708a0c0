"""A city that answers badly in every way a real one does: a real HTTP server that stores, and says what it likes."""

from __future__ import annotations

import email.utils
import gzip
import json
import socket
import threading
import time
from collections import Counter
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Any

import msgspec

Events = list[dict[str, Any]]
Mood = Callable[["_Handler", Events], None]


class HostileCity:
    """`moods` are played one a request, then it is sound. What it stored is counted by id and kept with its bytes."""

    def __init__(self) -> None:
        self.stored: dict[str, bytes] = {}
        self.seen: Counter[str] = Counter()
        self.moods: list[str] = []
        self.played: list[str] = []
        self.poison: set[str] = set()
        self.unknown: set[str] = set()
        self.most = 10_000
        self.authorisations: list[str | None] = []
        self.elsewhere = 0
        self.lock = threading.Lock()
        self.ended = threading.Event()
        city = self

        class Handler(_Handler):
            hub_city = city

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}"
        threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True).start()

    def __enter__(self) -> HostileCity:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.ended.set()
        self._server.shutdown()
        self._server.server_close()


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    hub_city: HostileCity

    def log_message(self, *_: Any) -> None:
        """Quiet."""

    def do_GET(self) -> None:
        self.hub_city.elsewhere += 1
        self.send(200, b"{}")

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["content-length"]))
        city = self.hub_city
        if self.path == "/elsewhere":
            city.elsewhere += 1
            self.send(200, b'{"results":[]}')
            return
        if self.path == "/token":
            self.send(200, json.dumps({"access_token": f"token-{len(city.authorisations)}"}).encode())
            return
        city.authorisations.append(self.headers.get("authorization"))
        raws = msgspec.json.decode(gzip.decompress(body), type=list[msgspec.Raw])
        events = [{**json.loads(bytes(raw)), "raw": bytes(raw)} for raw in raws]
        with city.lock:
            mood = city.moods.pop(0) if city.moods else "sound"
            city.played.append(mood)
            city.seen.update(event["id"] for event in events)
        MOODS[mood](self, events)

    def send(self, status: int, body: bytes, **headers: str) -> None:
        self.send_response(status)
        self.send_header("content-length", str(len(body)))
        for name, value in headers.items():
            self.send_header(name.replace("_", "-"), value)
        self.end_headers()
        self.wfile.write(body)

    def store(self, events: Events) -> list[dict[str, Any]]:
        """Take events as a sound city does; the results."""
        city, results = self.hub_city, []
        for event in events:
            told: dict[str, Any] = {"source": event["source"], "id": event["id"]}
            if event["id"] in city.unknown:
                problem = {"type": "urn:k12edge:problem:unknown-student", "title": "?"}
                results.append({**told, "status": "rejected", "problem": problem})
                continue
            held = city.stored.setdefault(event["id"], event["raw"])
            assert held == event["raw"], "the bytes never change"
            first = city.seen[event["id"]] == 1
            results.append({**told, "status": "stored" if first else "duplicate"})
        return results


def _sound(handler: _Handler, events: Events) -> None:
    city = handler.hub_city
    if len(events) > city.most:
        handler.send(413, b"")
    elif any(event["id"] in city.poison for event in events):
        handler.send(422, b'{"type":"urn:x:cannot-read","title":"?"}', content_type="application/problem+json")
    else:
        handler.send(200, json.dumps({"results": handler.store(events)}).encode())


def _one(handler: _Handler, events: Events) -> None:
    """Only the first is answered about, although all are stored."""
    handler.send(200, json.dumps({"results": handler.store(events)[:1]}).encode())


def _reordered(handler: _Handler, events: Events) -> None:
    results = handler.store(events)[::-2]
    strange = {"source": "urn:k12edge:dev:other", "id": "ffffffffffffffff.1", "status": "stored"}
    handler.send(200, json.dumps({"results": [strange, *results], "more": "than expected"}).encode())


def _lost_reply(handler: _Handler, events: Events) -> None:
    handler.store(events)
    handler.close_connection = True
    handler.connection.shutdown(socket.SHUT_RDWR)


def _cut_reply(handler: _Handler, events: Events) -> None:
    body = json.dumps({"results": handler.store(events)}).encode()
    handler.send_response(200)
    handler.send_header("content-length", str(len(body)))
    handler.end_headers()
    handler.wfile.write(body[: len(body) // 2])
    handler.close_connection = True
    handler.connection.shutdown(socket.SHUT_RDWR)


def _busy_until(handler: _Handler, _events: Events) -> None:
    handler.send(503, b"", retry_after=email.utils.formatdate(time.time() + 1, usegmt=True))


def _hang(handler: _Handler, _events: Events) -> None:
    """No answer until the caller gives up or the test ends."""
    handler.hub_city.ended.wait(30)
    handler.close_connection = True


MOODS: dict[str, Mood] = {
    "hang": _hang,
    "sound": _sound,
    "one": _one,
    "reordered": _reordered,
    "lost-reply": _lost_reply,
    "cut-reply": _cut_reply,
    "busy-until": _busy_until,
    "202": lambda handler, events: handler.send(202, json.dumps({"results": []}).encode()),
    "204": lambda handler, events: handler.send(204, b""),
    "wrong-body": lambda handler, events: handler.send(200, b"<html>b\xe1\xba\xa3o tr\xc3\xac</html>"),
    "no-results": lambda handler, events: handler.send(200, b'{"results":[]}'),
    "huge": lambda handler, events: handler.send(200, b"[" * (5 * 1024 * 1024)),
    "not-gzip": lambda handler, events: handler.send(200, b"plain", content_encoding="gzip"),
    "429": lambda handler, events: handler.send(429, b"", retry_after="0"),
    "500": lambda handler, events: handler.send(500, b"\xff\xff"),
    "503": lambda handler, events: handler.send(503, b""),
    "401": lambda handler, events: handler.send(401, b""),
    "redirect": lambda handler, events: handler.send(307, b"", location=f"{handler.hub_city.url}/elsewhere"),
}
