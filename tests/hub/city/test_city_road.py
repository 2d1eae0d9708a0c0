"""The road to the city by a real hub: exactly once through every bad answer, lost replies, and kill -9."""

from __future__ import annotations

import gzip
import json
import resource
import shutil
import threading
import tracemalloc
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from hub.city.k12records import ANSWER_BYTES_MAX, CityClient
from hub.forwarding.owing import Unreachable
from tests.hub.city.hostile import HostileCity
from tests.hub.handmade import Gateway, Run
from tests.hub.running import HubProcess, Wire, until
from tests.patience import within


@pytest.fixture
def city() -> Iterator[HostileCity]:
    with HostileCity() as made:
        yield made


@pytest.fixture
def hub(tmp_path: Path, city: HostileCity) -> Iterator[HubProcess]:
    running = HubProcess(tmp_path, city_url=city.url)
    yield running
    running.end()


def delivered(hub: HubProcess, taps: int) -> tuple[Wire, Run]:
    """A gateway accepted, its records in the ledger."""
    gateway = Gateway()
    assert hub.ask("devices", "accept", gateway.device).returncode == 0
    wire = Wire(gateway, hub.broker_url)
    wire.state()
    run = gateway.run(taps)
    wire.deliver(run)
    return wire, run


def of_gateways(city: HostileCity) -> dict[str, bytes]:
    return {name: raw for name, raw in city.stored.items() if b'"urn:k12edge:dev:' in raw}


def names(run: Run) -> dict[str, bytes]:
    return {f"{run.journal}.{number}": raw for number, raw in enumerate(run.lines, 1)}


def city_holds(wire: Wire, run: Run) -> Any:
    """Wait until the gateway is told that the city has everything."""

    def told() -> Any:
        mark = wire.mark(run)
        city = None if mark is None else mark.city
        return city is not None and city.through == len(run.lines) and not city.missing and city

    return until(told, "the city's receipt", within_s=40)


def test_every_bad_answer_and_every_record_once(hub: HubProcess, city: HostileCity) -> None:
    hub.start()
    wire, run = delivered(hub, 20)
    moods = [
        "202",
        "204",
        "wrong-body",
        "no-results",
        "huge",
        "not-gzip",
        "lost-reply",
        "cut-reply",
        "reordered",
        "one",
    ]
    moods += ["429", "401", "500", "503", "busy-until"]
    for mood in moods:
        # A bad answer, then a sound one: what is asked again after it must not be taken twice, nor forgotten.
        city_holds(wire, run)
        city.moods.append(mood)
        run.taps(7)
        wire.deliver(run)
    mark = city_holds(wire, run)
    assert not mark.dead and set(moods) <= set(city.played) and not city.moods
    assert of_gateways(city) == names(run)
    status = until(lambda: (s := hub.status())["city"]["backlog"] == 0 and s, "nothing is owed")
    assert status["city"]["dead"] == 0 and not status["troubles"]
    before = city.seen.copy()
    run.taps(1)
    wire.deliver(run)
    city_holds(wire, run)
    again = {name for name in names(run) if city.seen[name] > before[name]}
    assert again == {f"{run.journal}.{len(run.lines)}"}, "what the city answered for is never sent again"
    wire.close()


def test_poison_is_found_named_and_blocks_nothing(hub: HubProcess, city: HostileCity) -> None:
    hub.start()
    gateway = Gateway()
    run = gateway.run(90)
    poison = {f"{run.journal}.{number}" for number in (5, 40, 41)}
    city.poison, city.most, city.unknown = poison, 37, {f"{run.journal}.60"}
    hub.ask("devices", "accept", gateway.device)
    wire = Wire(gateway, hub.broker_url)
    wire.state()
    wire.deliver(run)
    until(lambda: hub.status()["city"] == {"kind": "k12records", "backlog": 1, "held_back": 0, "dead": 3}, "drained")
    expected = [(5, 5), (40, 41)]
    mark = until(lambda: (m := wire.mark(run)) and m.city and m.city.dead == expected and m.city, "they are told")
    with urllib.request.urlopen(f"{hub.url}/v1/dead-letters") as answer:
        dead = json.load(answer)["items"]
    assert [one["name"] for one in dead] == sorted(poison, key=lambda name: int(name.partition(".")[2]))
    assert all(one["detail"] == "urn:x:cannot-read" for one in dead)
    assert mark.missing == [(60, 60)] and mark.through == 91
    assert set(of_gateways(city)) == set(names(run)) - poison - city.unknown

    city.poison = set()
    assert post(hub, f"/v1/dead-letters/{dead[0]['number']}/resend", {}) == 200
    until(lambda: dead[0]["name"] in city.stored, "a dead letter is resent")
    assert post(hub, f"/v1/dead-letters/{dead[1]['number']}/close", {"note": "trùng"}) == 200
    assert hub.status()["city"]["dead"] == 1
    wire.close()


def post(hub: HubProcess, path: str, body: Any, **headers: str) -> int:
    data = body if isinstance(body, bytes) else json.dumps(body).encode()
    request = urllib.request.Request(f"{hub.url}{path}", data, {"content-type": "application/json", **headers})
    try:
        with urllib.request.urlopen(request) as answer:
            return int(answer.status)
    except urllib.error.HTTPError as problem:
        problem.close()
        return problem.code


def test_a_redirect_is_never_followed_and_seen_by_people(hub: HubProcess, city: HostileCity) -> None:
    city.moods = ["redirect"] * 3
    hub.start()
    wire, run = delivered(hub, 5)
    status = until(lambda: (s := hub.status())["troubles"] and s, "the trouble is told")
    assert status["troubles"] == {"city": "status 307"} and city.elsewhere == 0
    assert "city-misrouted" in {alarm["code"] for alarm in status["alarms"]}
    assert status["city"]["dead"] == 0 and status["city"]["backlog"] >= 6
    # Taps are taken all the same.
    run.taps(3)
    wire.deliver(run)
    assert not of_gateways(city)
    wire.close()


def test_killed_between_store_and_forward_and_between_reply_and_note(hub: HubProcess, city: HostileCity) -> None:
    city.moods = ["lost-reply"] * 2
    hub.start()
    wire, run = delivered(hub, 200)
    for _ in range(3):
        # The city may have stored, the hub hasn't noted it; nor has it forwarded what it took a moment ago.
        killed_and_back(hub, wire, lambda: run.taps(40))
        wire.deliver(run)
    city_holds(wire, run)
    assert of_gateways(city) == names(run)
    assert hub.events() == [(name, raw) for name, raw in names(run).items()]
    wire.close()


def test_restored_from_last_nights_backup(hub: HubProcess, city: HostileCity) -> None:
    hub.start()
    wire, run = delivered(hub, 30)
    city_holds(wire, run)
    backup = hub.folder / "backup"
    sockets = shutil.ignore_patterns("hub.sock")
    killed_and_back(hub, wire, lambda: shutil.copytree(hub.data_dir, backup, ignore=sockets))
    run.taps(30)
    wire.deliver(run)
    city_holds(wire, run)

    def restore() -> None:
        shutil.rmtree(hub.data_dir)
        shutil.copytree(backup, hub.data_dir)

    killed_and_back(hub, wire, restore)
    told = until(lambda: (m := wire.mark(run)) and m.hub.through == 31 and m, "under a new epoch the receipt goes back")
    assert told.hub.missing == []
    run.taps(5)
    wire.deliver(run)
    city_holds(wire, run)
    assert hub.events() == list(names(run).items())
    assert of_gateways(city) == names(run)
    wire.close()


def killed_and_back(hub: HubProcess, wire: Wire, between: Callable[[], object] = lambda: None) -> None:
    """Kill -9 the hub, do something, start it; then say our state at its word, as a gateway does."""
    epoch = wire.hub["epoch"]
    hub.kill()
    between()
    hub.start()
    until(lambda: wire.hub.get("state") == "ready" and wire.hub["epoch"] != epoch, "the hub is ready", within_s=30)
    until(lambda: not hub.status()["troubles"].get("broker"), "it is at its broker")
    wire.state()


def test_it_ends_in_time_while_the_city_hangs(hub: HubProcess, city: HostileCity) -> None:
    city.moods = ["hang"] * 5
    hub.start()
    wire, run = delivered(hub, 10)
    until(lambda: city.played, "the hub waits for the city")
    # What is going on with the city holds up no gateway.
    run.taps(10)
    wire.deliver(run)
    code, took_s = hub.stop()
    assert code == 0 and took_s < within(3)
    wire.close()


def test_a_full_disk_is_told_and_passes(hub: HubProcess, city: HostileCity) -> None:
    hub.start()
    wire, run = delivered(hub, 10)
    city_holds(wire, run)
    assert hub.process is not None
    size = (hub.data_dir / "ledger.db-wal").stat().st_size
    # No file of the hub may grow any further: what its kernel says of a full disk, SQLite says of this.
    unlimited = resource.prlimit(hub.process.pid, resource.RLIMIT_FSIZE, (size + 4096, resource.RLIM_INFINITY))
    run.taps(400)
    wire.offer(run)
    trouble = until(lambda: (s := hub.status())["troubles"].get("ledger") and s["troubles"], "the trouble is told")
    assert trouble["ledger"] == "ledger-full"
    mark = wire.mark(run)
    assert mark is not None and mark.hub.through == 11, "nothing is receipted that isn't stored"
    resource.prlimit(hub.process.pid, resource.RLIMIT_FSIZE, unlimited)
    wire.deliver(run)
    city_holds(wire, run)
    assert hub.events() == list(names(run).items()) and not hub.status()["troubles"]
    wire.close()


def test_a_token_is_fetched_and_fetched_again_once(tmp_path: Path, city: HostileCity) -> None:
    hub = HubProcess(tmp_path, city_url=city.url)
    secret = tmp_path / "secret"
    secret.write_text("s3cret\n", encoding="utf-8")
    with hub.config.open("a", encoding="utf-8") as file:
        file.write(f'token_url = "{city.url}/token"\nclient_id = "tram"\nclient_secret_file = "{secret}"\n')
    city.moods = ["401", "sound", "401", "401"]
    hub.start()
    try:
        wire, run = delivered(hub, 3)
        city_holds(wire, run)
        assert None not in city.authorisations
        assert len(set(city.authorisations[:2])) == 2, "a refused token is changed for a new one"
        wire.close()
    finally:
        hub.end()


def test_keys_moved_to_a_new_hub_and_nothing_twice(tmp_path: Path, city: HostileCity) -> None:
    old = HubProcess(tmp_path, city_url=city.url, name="old").start()
    try:
        wire, run = delivered(old, 50)
        city_holds(wire, run)
        done = old.ask("keys", "export", str(tmp_path / "keys.json"))
        assert done.returncode == 0, done.stderr
        assert old.ask("keys", "export", str(tmp_path / "keys.json")).returncode == 1, "never over a file"
        shown = old.ask("keys", "show").stdout
        gateway, epoch = wire.gateway, wire.hub["epoch"]
        wire.close()
    finally:
        old.end()
    assert old.ask("keys", "show").stdout == shown, "also where no hub runs"

    new = HubProcess(tmp_path, city_url=city.url, name="new")
    assert new.ask("keys", "import", str(tmp_path / "keys.json")).returncode == 0
    new.start()
    try:
        assert new.ask("keys", "show").stdout == shown
        wire = Wire(gateway, new.broker_url)
        assert wire.hub["epoch"] != epoch
        before = city.seen.copy()
        wire.state()
        assert wire.receipted(run, 0).hub.through == 0, "the new hub says that it holds nothing"
        run.taps(5)
        wire.deliver(run)
        city_holds(wire, run)
        assert of_gateways(city) == names(run) and sum((city.seen - before).values()) >= len(run.lines)
        assert [raw for _, raw in new.events()] == run.lines
        wire.close()
    finally:
        new.end()


def test_keys_imported_into_a_running_hub_make_it_that_hub(tmp_path: Path) -> None:
    old, new = HubProcess(tmp_path, name="old"), HubProcess(tmp_path, name="new")
    assert old.ask("keys", "export", str(tmp_path / "keys.json")).returncode == 0
    new.start()
    try:
        before = new.ask("keys", "show").stdout
        assert new.ask("keys", "import", str(tmp_path / "keys.json")).returncode == 0
        shown = until(lambda: (s := new.ask("keys", "show").stdout) != before and s, "the hub begins anew")
        assert shown == old.ask("keys", "show").stdout
        wire = Wire(Gateway(), new.broker_url)
        assert wire.hub["key"] in shown
        wire.close()
        assert new.stop()[0] == 0
    finally:
        new.end()


def test_the_api_takes_hostile_requests_without_a_fault_of_its_own(hub: HubProcess) -> None:
    hub.start()
    gets = {
        "/v1/parked?after=99999999999999999999999": 422,
        "/v1/parked?limit=0": 422,
        "/v1/parked?limit=x": 422,
        "/v1/ledger/events?after=%00": 400,
        "/v1/ledger/events?after=1e9": 400,
        "/v1/ledger/events?limit=1001": 422,
        "/v1/ledger/events/digest?journal=zz&from=1&to=2": 422,
        "/v1/ledger/events/digest?journal=0123456789abcdef&from=9&to=2": 400,
        "/v1/ledger/events/digest?journal=0123456789abcdef&from=1&to=99999999999999999999": 422,
        "/v1/ledger/events/digest?journal=0123456789abcdef&from=1&to=2": 200,
        "/static/../app.py": 404,
        "/nothing": 404,
    }
    for path, status in gets.items():
        try:
            with urllib.request.urlopen(f"{hub.url}{path}") as answer:
                found, kind = answer.status, "json"
        except urllib.error.HTTPError as problem:
            found, kind = problem.code, problem.headers["content-type"]
            problem.close()
        assert found == status and "json" in kind, path
    assert post(hub, "/v1/dead-letters/1/resend", {}) == 404
    assert post(hub, "/v1/dead-letters/99999999999999999999999/resend", {}) == 422
    assert post(hub, "/v1/dead-letters/1/close", {"note": ""}) == 422
    for body in (b"[" * 50_000, b"\xff", b"", b'{"note":"\\ud800"}', b'{"note":' + b"9" * 5000 + b"}"):
        assert post(hub, "/v1/dead-letters/1/close", body) in (400, 404, 422), body[:20]
    assert post(hub, "/v1/dead-letters/1/close", b"x" * 70_000) == 413
    assert post(hub, "/v1/dead-letters/1/resend", {}, origin="http://evil.example") == 403
    assert post(hub, "/v1/dead-letters/1/resend", {}, **{"content-type": "text/plain"}) == 415
    assert post(hub, "/v1/status", {}) == 405


class _Bomb(BaseHTTPRequestHandler):
    """Answers each push with little that unpacks to much."""

    BODY = gzip.compress(bytes(200_000_000), 9)

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers["content-length"]))
        self.send_response(200)
        self.send_header("content-encoding", "gzip")
        self.send_header("content-length", str(len(self.BODY)))
        self.end_headers()
        with suppress(OSError):
            self.wfile.write(self.BODY)

    def log_message(self, *_: object) -> None:
        pass


def test_an_answer_that_unpacks_without_end_is_no_answer_and_fills_no_memory() -> None:
    server = ThreadingHTTPServer(("127.0.0.1", 0), _Bomb)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    client = CityClient(f"http://127.0.0.1:{server.server_port}")
    tracemalloc.start()
    try:
        answer = client.submit([b"{}"])
        peak_bytes = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
        client.close()
        server.shutdown()
        server.server_close()
    assert isinstance(answer, Unreachable) and answer.answered
    assert peak_bytes < 8 * ANSWER_BYTES_MAX
