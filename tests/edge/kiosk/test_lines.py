"""Connections to a counter's screens that are silent, slow or many; whoever holds them, the next page is served."""

from __future__ import annotations

import json
import socket
from collections.abc import Iterator
from contextlib import ExitStack

import pytest

from tests.edge.kiosk.counters import STATION, Asker, counter, kiosk_of
from tests.edge.running import until

LOOK_S = 0.2


@pytest.fixture(scope="module")
def ask() -> Iterator[Asker]:
    with pytest.MonkeyPatch.context() as shorter, kiosk_of(counter()) as kiosk:
        shorter.setattr("edge.kiosk.lines.LOOK_S", LOOK_S)
        yield Asker(kiosk)


def line(ask: Asker, sent: bytes = b"", receives: int | None = None) -> socket.socket:
    made = socket.socket()
    if receives is not None:
        made.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receives)
    made.settimeout(20)
    made.connect(("127.0.0.1", ask.port))
    made.sendall(sent)
    return made


def request(ask: Asker, what: str, *headers: str) -> bytes:
    return "\r\n".join([f"{what} HTTP/1.1", f"Host: {ask.host}", *headers, "", ""]).encode()


def ended(one: socket.socket) -> bool:
    """Whether the other side hangs up without a word."""
    try:
        return one.recv(65536) == b""
    except ConnectionResetError:
        return True


@pytest.mark.parametrize("sent", ["", "GET / HT", "body"])
def test_a_line_on_which_nothing_whole_arrives_is_hung_up_on(ask: Asker, sent: str) -> None:
    secret = ask.secret()
    begun = ("Content-Length: 9", f"X-Kiosk: {secret}", f"Origin: http://{ask.host}")
    with line(ask, request(ask, "POST /press", *begun) + b"{" if sent == "body" else sent.encode()) as slow:
        assert ended(slow)
    assert ask.get("/")[0] == 200


def test_an_answer_that_nobody_reads_is_hung_up_on_and_a_stream_that_is_read_stays(ask: Asker) -> None:
    with ask.stream("pupil") as events, line(ask, receives=2048) as slow:
        assert next(events)[0] == "hello"
        for _ in range(400):
            # More than the kernel and the server keep for it.
            try:
                slow.sendall(request(ask, "GET /static/kiosk.css"))
            except OSError:
                break
        until(lambda: _reset(slow), "the line that isn't read is hung up on")
        assert {next(events)[0] for _ in range(2)} <= {"message", "beat"}


def _reset(one: socket.socket) -> bool:
    try:
        one.send(b"x")
    except OSError:
        return True
    return False


def test_the_newest_gets_in_and_who_asks_is_not_ended_for_who_is_silent(
    ask: Asker, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("edge.kiosk.lines.LOOK_S", 60.0)
    monkeypatch.setattr("edge.kiosk.lines.LINES_MAX", 8)
    with ExitStack() as held, ask.stream("pupil") as events:
        assert next(events)[0] == "hello"
        silent = [held.enter_context(line(ask)) for _ in range(20)]
        assert all(ended(one) for one in silent[:13])
        assert next(events)[0] in ("message", "beat"), "the page that listens stays"
        assert ask.get(f"/staff?station={STATION}")[0] == 200
        assert ended(silent[13])


def test_a_head_without_end_is_refused_in_words(ask: Asker) -> None:
    with line(ask, request(ask, "GET /", "X-Much: " + "x" * 40_000).rstrip()) as much:
        assert much.recv(65536).startswith(b"HTTP/1.1 400 ")


def test_what_is_sent_behind_a_refusal_is_not_answered(ask: Asker) -> None:
    asked = request(ask, "POST /press", "Content-Length: 2", f"Origin: http://{ask.host}", "X-Kiosk: guessed") + b"{}"
    with line(ask, asked * 200) as many:
        answer = b""
        try:
            while part := many.recv(65536):
                answer += part
        except ConnectionResetError:
            pass
    assert answer.count(b"HTTP/1.1 403 ") == 1 and b"connection: close" in answer
    assert json.loads(answer.partition(b"\r\n\r\n")[2]) == {"code": "page-old"}
