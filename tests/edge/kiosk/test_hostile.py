"""Programs of the counter's own machine that hold, flood and forge: all of it is bounded, and no tap notices it."""

from __future__ import annotations

import http.client
import json
import os
import socket
from collections.abc import Callable, Iterator
from contextlib import ExitStack, suppress
from pathlib import Path

import pytest

from edge.kiosk.lines import LINES_MAX, UNSEEN_MAX
from tests.browser.lunch import CLASSES, QUAY, Lunch, lunch
from tests.edge.running import until
from tests.patience import within

STREAMS = 300
HALF_OPEN = 100
POSTS, POSTS_EACH = 10_000, 200
"""Pipelined: so many on each connection."""
BESIDES_LINES = 60
"""Descriptors of a gateway beside its screens' connections, with room."""
HUGE = 10 * 2**30
KEY = json.dumps({"station": QUAY, "key": "*"}).encode()


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lunch]:
    with lunch(tmp_path_factory.mktemp("hostile")) as made:
        until(lambda: "http://127.0.0.1" in made.gateway.log.read_text(encoding="utf-8"), "the screens are served")
        yield made


class Hostile:
    """Somebody on this machine; everything that was opened stays open until the end."""

    def __init__(self, port: int, held: ExitStack) -> None:
        self.port, self._held, self.lines = port, held, list[socket.socket]()

    def send(self, octets: bytes) -> socket.socket:
        """Open one more connection and send; what is hung up on meanwhile was meant to be."""
        made = self._held.enter_context(socket.socket())
        made.settimeout(within(5))
        made.connect(("127.0.0.1", self.port))
        with suppress(OSError):
            made.sendall(octets)
        self.lines.append(made)
        return made

    def head(self, what: str, host: str | None = None, **headers: object) -> bytes:
        """A request without its body."""
        told = {"Host": host or f"127.0.0.1:{self.port}"} | {k.replace("_", "-"): v for k, v in headers.items()}
        return "\r\n".join([f"{what} HTTP/1.1", *(f"{k}: {v}" for k, v in told.items()), "", ""]).encode()

    def ask(self, octets: bytes) -> tuple[int, str]:
        """Status and code of the answer."""
        answer = http.client.HTTPResponse(self.send(octets))
        answer.begin()
        return answer.status, json.loads(answer.read())["code"]


def test_nothing_that_a_program_of_this_machine_does_to_the_screens_touches_a_tap(served: Lunch) -> None:
    pupils = iter([f"{name}-{of.replace('/', '-')}" for of in CLASSES for name in ("an", "binh", "chi")])
    served.tap(next(pupils))
    origin = f"http://127.0.0.1:{served.port}"
    with ExitStack() as held:
        hostile = Hostile(served.port, held)
        forged = hostile.head("POST /press", Origin=origin, X_Kiosk="guessed", Content_Length=len(KEY)) + KEY
        attacks: list[Callable[[], object]] = [
            # Opened, held and never read.
            lambda: [hostile.send(hostile.head(f"GET /events/staff?station={QUAY}")) for _ in range(STREAMS)],
            lambda: [hostile.send(hostile.head("GET /").rstrip()) for _ in range(HALF_OPEN)],
            lambda: [hostile.send(forged * POSTS_EACH) for _ in range(POSTS // POSTS_EACH)],
            lambda: [hostile.send(hostile.head(f"GET /staff?station={QUAY}") * 10) for _ in range(8)],
        ]
        for attack in attacks:
            attack()
            served.tap(next(pupils))
            assert len(os.listdir(f"/proc/{served.gateway.pid}/fd")) < LINES_MAX + UNSEEN_MAX + BESIDES_LINES
        _refused_in_words(hostile, origin)
        # A page of ours is served all the same, and its stream as well.
        fresh = http.client.HTTPConnection("127.0.0.1", served.port, timeout=within(5))
        fresh.request("GET", f"/events/staff?station={QUAY}")
        stream = fresh.getresponse()
        assert stream.status == 200 and stream.readline().startswith(b"retry")
        served.tap(next(pupils))
        last = f"Lê Chi</p>\\n    <p><b>{CLASSES[1]}</b>".encode()
        until(lambda: last in stream.readline(), "the tap is on the screen")
        fresh.close()
    signals = [one for one in served.gateway.shown() if one["card"] is not None]
    assert [one["signal"] for one in signals] == ["accepted"] * len(signals) and len(signals) == 6
    assert signals == sorted(signals, key=lambda one: int(one["tap"].partition(".")[2])), "each in its turn"
    assert served.gateway.promised() <= served.gateway.names()
    said = Path(served.gateway.log).read_text(encoding="utf-8")
    assert len(said.splitlines()) < 100 and "Traceback" not in said, said[-2000:]


def _refused_in_words(hostile: Hostile, origin: str) -> None:
    """Each forged request is answered with a status and a code of docs/reference/kiosk.md."""
    head = hostile.head
    for asked, answer in (
        (head("POST /press", Origin=origin, Content_Length=2) + b"{}", (403, "page-old")),
        (head("POST /press", Origin=origin, X_Kiosk="guessed", Content_Length=2) + b"{}", (403, "page-old")),
        (head("POST /press", Origin="http://evil.example", Content_Length=2) + b"{}", (403, "not-from-here")),
        (head("POST /press", Sec_Fetch_Site="cross-site", Origin=origin, Content_Length=0), (403, "not-from-here")),
        (head(f"GET /staff?station={QUAY}", host=f"evil.example:{hostile.port}"), (403, "not-here")),
        (head(f"GET /events/pupil?station={QUAY}", host="evil.example"), (403, "not-here")),
        (head("POST /rate", Origin=origin, X_Kiosk="guessed", Content_Length=HUGE) + bytes(2**20), (403, "page-old")),
    ):
        assert hostile.ask(asked) == answer, asked[:200]
    page = http.client.HTTPConnection("127.0.0.1", hostile.port, timeout=within(5))
    page.request("GET", f"/staff?station={QUAY}")
    secret = page.getresponse().read().decode().partition('data-secret="')[2].partition('"')[0]
    page.close()
    for more in ({"Content_Length": HUGE}, {"Transfer_Encoding": "chunked"}):
        huge = head("POST /press", Origin=origin, X_Kiosk=secret, **more)
        assert hostile.ask(huge) == (413, "too-large"), more
