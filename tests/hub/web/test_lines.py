"""Connections of a hostile client: silent, slow, many; the pages go on, and streams and slow answers stay open."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator

import pytest

from tests.hub.web.pagehub import PageHub, page_hub

LOOK_S = 0.25


@pytest.fixture
def hub(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> Iterator[PageHub]:
    monkeypatch.setattr("hub.web.lines.LOOK_S", LOOK_S)
    with page_hub(tmp_path_factory.mktemp("pages") / "hub") as made:
        yield made


def line(hub: PageHub, sent: bytes = b"") -> socket.socket:
    made = socket.create_connection(("127.0.0.1", hub.port), timeout=10)
    made.sendall(sent)
    return made


def ended(one: socket.socket) -> bool:
    """Whether the other side hangs up without a word."""
    try:
        return one.recv(65536) == b""
    except ConnectionResetError:
        return True


@pytest.mark.parametrize(
    "sent",
    [
        b"",
        b"GET /login HT",
        b"POST /login HTTP/1.1\r\nHost: x\r\nOrigin: http://x\r\n"
        b"Content-Type: application/x-www-form-urlencoded\r\nContent-Length: 9\r\n\r\na=",
    ],
    ids=["silent", "half a head", "half a body"],
)
def test_a_line_on_which_nothing_whole_arrives_is_hung_up_on(hub: PageHub, sent: bytes) -> None:
    with line(hub, sent) as slow:
        assert ended(slow)
    assert hub.client().get("/login").status_code == 200


def test_half_a_second_request_is_hung_up_on_too(hub: PageHub) -> None:
    with line(hub, b"GET /ca HTTP/1.1\r\nHost: x\r\n\r\n") as slow:
        whole = b""
        while b"</html>" not in whole:
            whole += slow.recv(65536)
        slow.sendall(b"GET /ca HT")
        assert ended(slow)


def test_a_slow_answer_is_waited_for(hub: PageHub, monkeypatch: pytest.MonkeyPatch) -> None:
    go_on = threading.Event()
    monkeypatch.setattr(hub.status, "troubles", lambda: {"slow": str(go_on.wait(10))})
    with line(hub, b"GET /healthz HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n") as slow:
        threading.Timer(LOOK_S * 5, go_on.set).start()
        assert b"503" in slow.recv(65536).partition(b"\r\n")[0]


def test_one_machine_takes_not_every_line(hub: PageHub, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("hub.web.lines.LOOK_S", 60.0)
    monkeypatch.setattr("hub.web.lines.LINES_EACH_MAX", 3)
    lines = [line(hub) for _ in range(5)]
    assert hub.client().get("/login").status_code == 200, "programs of this machine have no such bound"
    monkeypatch.setattr("hub.web.lines.is_loopback", lambda _: False)
    late = line(hub)
    assert ended(late)
    for one in (*lines, late):
        one.close()
    monkeypatch.setattr("hub.web.lines.LINES_MAX", 0)
    none = line(hub)
    assert ended(none)
    none.close()
