"""The kiosk on real sockets: who may ask, what is pushed, and that nothing of it ends the gateway."""

from __future__ import annotations

import json
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from itertools import islice

import pytest

from edge.kiosk import keeper
from edge.kiosk.keeper import Kiosk
from edge.kiosk.screens import StationScreens
from edge.kiosk.streams import LISTENERS_MAX
from protocol.errors import ConfigError
from sim.counter import SimulatedCounter
from tests.edge.kiosk.counters import STATION, Asker, counter, kiosk_of
from tests.edge.running import until
from tests.patience import within

PRESS = {"station": STATION, "key": "*"}


@pytest.fixture(scope="module")
def of() -> SimulatedCounter:
    return counter()


@pytest.fixture(scope="module")
def ask(of: SimulatedCounter) -> Iterator[Asker]:
    with kiosk_of(of) as kiosk:
        yield Asker(kiosk)


def test_pages_come_whole_with_headers_that_keep_them_by_themselves(ask: Asker) -> None:
    for path in ("/", f"/pupil?station={STATION}", f"/staff?station={STATION}&lang=en", f"/rate?station={STATION}"):
        status, headers, page = ask.get(path)
        assert status == 200
        assert f'<html lang="{"en" if "lang=en" in path else "vi"}"' in page
        policy = headers["content-security-policy"]
        assert "default-src 'none'" in policy
        assert "frame-ancestors 'none'" in policy
        assert "unsafe" not in policy
        assert headers["cache-control"] == "no-store"
        assert "server" not in headers


@pytest.mark.parametrize(
    "path", ["/pupil", "/staff?station=x", "/nothing", "/static/../view.py", "/press", "/openapi.json"]
)
def test_what_there_is_not_is_answered_kindly(ask: Asker, path: str) -> None:
    status, _, page = ask.get(path)
    assert status in (404, 405)
    assert "Không mất gì cả" in page
    assert "-unknown]" in page


@pytest.mark.parametrize("host", ["example.com", "127.0.0.1", "127.0.0.1:1", "localhost.example.com:80"])
def test_a_name_of_somewhere_else_is_not_answered(ask: Asker, host: str) -> None:
    status, _, text = ask.get(f"/staff?station={STATION}", host=host)
    assert (status, json.loads(text)["code"]) == (403, "not-here")
    assert ask.get("/", host=f"localhost:{ask.port}")[0] == 200


@pytest.mark.parametrize(
    ("headers", "code"),
    [
        ({"origin": "http://example.com"}, "not-from-here"),
        ({"origin": ""}, "not-from-here"),
        ({"sec_fetch_site": "cross-site"}, "not-from-here"),
        ({"x_kiosk": "another run's"}, "page-old"),
        ({"x_kiosk": ""}, "page-old"),
    ],
)
def test_only_this_runs_own_pages_may_press(ask: Asker, headers: dict[str, str], code: str) -> None:
    status, _, text = ask.post("/press", PRESS, **headers)
    assert (status, json.loads(text)["code"]) == (403, code)


@pytest.mark.parametrize("site", ["cross-site", "same-site"])
def test_a_page_of_somewhere_else_listens_to_nothing(ask: Asker, site: str) -> None:
    for path in (f"/events/pupil?station={STATION}", f"/staff?station={STATION}", "/static/kiosk.js"):
        status, _, text = ask.get(path, **{"sec-fetch-site": site})
        assert (status, json.loads(text)["code"]) == (403, "not-from-here")
    assert ask.get("/", **{"sec-fetch-site": "none"})[0] == 200, "an address that somebody typed"
    link = {"sec-fetch-site": site, "sec-fetch-mode": "navigate"}
    assert ask.get(f"/staff?station={STATION}", **link)[0] == 200, "a link that somebody touched"
    assert ask.post("/press", PRESS, **link)[0] == 403


@pytest.mark.parametrize(
    ("path", "body", "status", "code"),
    [
        ("/press", {"station": "x", "key": "*"}, 404, "station-unknown"),
        ("/press", {"station": STATION, "key": ""}, 400, "asked-wrongly"),
        ("/press", {"station": STATION, "key": "x" * 97}, 400, "asked-wrongly"),
        ("/press", {"station": STATION, "key": "*", "more": 1}, 400, "asked-wrongly"),
        ("/press", b"[" * 900, 400, "asked-wrongly"),
        ("/press", b"\xff", 400, "asked-wrongly"),
        ("/press", b" " * 2000, 413, "too-large"),
        ("/rate", {"station": STATION, "face": "angry"}, 400, "asked-wrongly"),
        ("/rate", {"station": "x", "face": "good"}, 404, "station-unknown"),
        ("/rate", {"station": "quay-2", "face": "good"}, 200, None),
    ],
)
def test_bodies_are_held_to_what_there_is(ask: Asker, path: str, body: object, status: int, code: str | None) -> None:
    found, _, text = ask.post(path, body)
    assert (found, json.loads(text)["code"]) == (status, code)


def test_a_screen_is_pushed_after_the_tap_and_goes_back_by_itself(of: SimulatedCounter, ask: Asker) -> None:
    with ask.stream("pupil") as events:
        name, run = next(events)
        assert name == "hello"
        assert len(run) == 16
        frames = (json.loads(data) for name, data in events if name == "message")
        assert "Mời con chạm thẻ" in next(frames)["html"]
        of.tap(STATION, "st-1")
        shown = next(frames)
        assert "An</p>" in shown["html"]
        of.tap(STATION, "st-3")
        at_once = next(frames)
        assert "Châu</p>" in at_once["html"]
        assert at_once["number"] > shown["number"]
        assert "Mời con chạm thẻ" in next(frames)["html"]


def test_a_page_that_does_not_read_gets_the_newest_and_stops_nobody(of: SimulatedCounter, ask: Asker) -> None:
    with ask.stream("staff", "quay-2") as events:
        assert next(events)[0] == "hello"
        for _ in range(500):
            of.tap("quay-2", "st-1")
        last = of.tap("quay-2", "st-2")
        pages = (json.loads(data)["html"] for name, data in events if name == "message")
        seen = next(number for number, page in enumerate(pages, 1) if f"undo:{last}" in page)
        assert seen < 400


def test_the_answer_to_a_key_is_the_screen(ask: Asker) -> None:
    answer = json.loads(ask.post("/press", PRESS)[2])
    assert 'data-mode="menu"' in answer["html"]
    assert 'data-mode="home"' in json.loads(ask.post("/press", PRESS)[2])["html"]


def test_a_fresh_page_is_served_however_many_are_open(ask: Asker) -> None:
    with ask.stream("pupil") as oldest:
        assert next(oldest)[0] == "hello"
        others = [ask.stream("pupil") for _ in range(LISTENERS_MAX)]
        events = [other.__enter__() for other in others]
        assert all(next(one)[0] == "hello" for one in events)
        # The one that has listened longest is told nothing more: its stream has ended.
        assert len(list(islice(oldest, 50))) < 50
        assert next(events[-1])[0] == "message"
        for other in others:
            other.__exit__(None, None, None)


def test_a_look_that_fails_unforeseen_leaves_no_old_screen_on_a_page(
    of: SimulatedCounter, ask: Asker, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fails(*_: object) -> None:
        raise RuntimeError("unforeseen")

    with ask.stream("pupil", "quay-2") as events:
        assert next(events)[0] == "hello" and next(events)[0] == "message"
        with monkeypatch.context() as broken:
            broken.setattr(StationScreens, "frames", fails)
            of.tap("quay-2", "st-1")
            assert len(list(islice(events, 4))) < 4, "the stream ends"
    with ask.stream("pupil", "quay-2") as events:
        assert next(events)[0] == "hello" and next(events)[0] == "message", "and is there again"


def test_a_server_that_wants_the_process_to_end_is_begun_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(keeper, "AGAIN_S", 0.05)
    kiosk = Kiosk(counter(), "127.0.0.1:0", lambda: 0)
    serve, tries = kiosk._serve, iter((SystemExit(1),))

    def once() -> None:
        for problem in tries:
            raise problem
        serve()

    monkeypatch.setattr(kiosk, "_serve", once)
    thread = threading.Thread(target=kiosk.run, daemon=True)
    thread.start()
    assert kiosk.ready.wait(within(20))
    kiosk.stop()
    thread.join(within(5))
    assert not thread.is_alive()


def test_a_port_that_another_program_has_is_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(keeper, "AGAIN_S", 0.05)
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        kiosk = Kiosk(counter(), f"127.0.0.1:{other.getsockname()[1]}", lambda: 0)
        thread = threading.Thread(target=kiosk.run, daemon=True)
        thread.start()
        assert not kiosk.ready.wait(0.3)
    assert kiosk.ready.wait(within(20))
    kiosk.stop()
    thread.join(within(5))
    assert not thread.is_alive()


def test_a_kiosk_that_ended_itself_comes_back(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(keeper, "AGAIN_S", 0.05)
    with kiosk_of(counter()) as kiosk:
        first = kiosk._server
        first.should_exit = True
        until(lambda: kiosk._server is not first and kiosk.ready.is_set(), "the kiosk serves again")
        assert Asker(kiosk).get("/")[0] == 200


@pytest.mark.parametrize("listen", ["0.0.0.0:8090", "192.168.1.5:80", "quay.example:80", "[::]:80"])
def test_no_address_that_others_reach(listen: str) -> None:
    with pytest.raises(ConfigError, match="this machine alone"):
        Kiosk(counter(), listen, lambda: 0)


def test_a_gateway_without_screens_loads_no_web_framework() -> None:
    done = subprocess.run(
        [
            sys.executable,
            "-c",
            "import sys, edge.app, edge.kiosk.keeper\n"
            "print([name for name in sys.modules if name.startswith(('fastapi', 'starlette', 'uvicorn', 'jinja2'))])",
        ],
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout == "[]\n"
