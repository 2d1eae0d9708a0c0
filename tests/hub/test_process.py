"""A real hub against real brokers: hostile messages, killed parts, brokers that come late or forget."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from hub.broker import BrokerFailed, EmbeddedBroker
from hub.control import _short
from protocol.batch import MESSAGE_BYTES_MAX
from protocol.envelope import digest
from protocol.signing import fingerprint
from sim.emulators.forgetful import ForgetfulBroker
from sim.parts import PartFailed, free_ports
from tests.hub.handmade import SCHOOL, Gateway, Run
from tests.hub.running import HubProcess, Wire, mosquitto, until
from tests.patience import within


@pytest.fixture(scope="module", params=["embedded", "mosquitto"])
def hub(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[HubProcess]:
    """One hub for the tests that leave it running, over each broker."""
    folder = tmp_path_factory.mktemp("hub")
    if request.param == "embedded":
        running = HubProcess(folder).start()
        yield running
        running.end()
        return
    with mosquitto(folder) as (url, _):
        running = HubProcess(folder, broker_url=url)
        running.broker_url = url
        running.start()
        yield running
        running.end()


def accepted(hub: HubProcess, device: str) -> tuple[Gateway, Wire]:
    gateway = Gateway(device)
    done = hub.ask("devices", "accept", device, "--fingerprint", fingerprint(gateway.identity.key))
    assert done.returncode == 0, done.stderr
    wire = Wire(gateway, hub.broker_url)
    wire.state()
    return gateway, wire


def test_hostile_messages_are_parked_and_hinder_nobody(hub: HubProcess) -> None:
    gateway, wire = accepted(hub, "cong")
    honest, honest_wire = accepted(hub, "bep")
    bad, good = gateway.run(5), honest.run(5)
    foreign = Run("urn:k12edge:dev:79000701-khac").open().taps(3)
    newer = [bad.lines[0].replace(b".v1", b".v9")]
    before = hub.status()["parked"]
    batches = {
        "bad-batch": [b"", b"{", b"\x00" * 100, b'{"journal":"x"}\n{}', b"[" * 100_000, b"x" * (MESSAGE_BYTES_MAX + 9)],
        "signature-refused": [gateway.impostor().batch(bad), Gateway("bep").batch(bad)],
        "foreign-source": [gateway.batch(foreign)],
        "unknown-version": [gateway.batch(Run(gateway.source), lines=newer)],
    }
    for payloads in batches.values():
        for payload in payloads:
            wire.publish("ev", payload)
    # Signed for another device's topic, and topics that no device can have.
    wire.send(honest.topic("state"), gateway.state())
    wire.send(f"k12/1/{SCHOOL}/dev/CONG_A/ev", b"a topic outside the rules")
    honest_wire.deliver(good)
    wire.deliver(bad)

    parked = until(
        lambda: (
            (found := json.load(urllib.request.urlopen(f"{hub.url}/v1/parked?limit=1000"))["items"])
            and len(found) >= before + 15
            and found
        ),
        "all are parked",
    )[before:]
    reasons = [one["reason"] for one in parked]
    for reason, payloads in batches.items():
        assert reasons.count(reason) >= len(payloads), (reason, reasons)
    assert "bad-topic" in reasons and "bad-message" in reasons
    texts = [one["raw"].get("text", "") for one in parked]
    assert "a topic outside the rules" in texts and "[" * 100_000 in texts, "with their bytes"
    oversize = [one for one in parked if str(MESSAGE_BYTES_MAX + 9) in one["detail"]]
    assert len(oversize) == 1
    status = hub.status()
    assert status["parked"] == before + len(parked)
    assert {alarm["code"] for alarm in status["alarms"]} >= {*batches, "bad-topic"}
    assert {name for name, _ in hub.events()} >= {f"{run.journal}.{n}" for run in (bad, good) for n in range(1, 7)}
    for one in (wire, honest_wire):
        one.close()


def test_a_gateway_nobody_accepted_is_pending_then_counted_and_configured(hub: HubProcess) -> None:
    gateway = Gateway("cho")
    run = gateway.run(7)
    wire = Wire(gateway, hub.broker_url)
    wire.state()
    wire.deliver(run)
    assert hub.status()["pending"] >= 1 and wire.configs.empty()
    listed = hub.ask("devices", "list").stdout
    assert "cho" in listed and fingerprint(gateway.identity.key) in listed
    wrong = hub.ask("devices", "accept", "cho", "--fingerprint", "zzz")
    assert wrong.returncode == 1 and "device-refused" in wrong.stderr
    other = hub.ask("devices", "accept", "cho", "--fingerprint", "0000-0000-0000-0000-0000")
    assert other.returncode == 0 and fingerprint(gateway.identity.key) in other.stdout
    assert hub.status()["pending"] >= 1 and wire.configs.empty()
    assert hub.ask("devices", "accept", "cho").returncode == 0
    config = json.loads(wire.configs.get(timeout=20))
    assert len(gateway.identity.open(config["keys"][0][1])) == 32
    until(lambda: len([n for n, _ in hub.events() if n.startswith(run.journal)]) == 8, "what was kept is counted")
    assert hub.ask("devices", "retire", "cho").returncode == 0
    assert hub.ask("devices", "retire", "nobody").returncode == 1
    wire.close()


def test_page_and_health_tell_what_stands(hub: HubProcess) -> None:
    gateway, wire = accepted(hub, "trang")
    run = gateway.run(9)
    wire.state(alarms=["<script>alert(1)</script>"], oldest_age_s=77, owed=5)
    wire.offer(run, 1, 3)
    wire.offer(run, 6)
    wire.receipted(run, 10)
    until(lambda: hub.status()["oldest_age_s"] == 77, "the state is taken")
    with urllib.request.urlopen(f"{hub.url}/devices") as answer:
        page = answer.read().decode("utf-8")
        assert "frame-ancestors 'none'" in answer.headers["content-security-policy"]
    for words in ("Thiết bị", "Còn nợ", "Lâu nhất", "Thiếu", "Để riêng", "Chờ duyệt", "Trùng tên", "Thành phố"):
        assert words in page
    assert f"{run.journal} 4–5" in page, "the hole is named"
    assert "<script>alert" not in page and '<html lang="vi"' in page
    english = urllib.request.Request(f"{hub.url}/devices", headers={"cookie": "lang=en"})
    with urllib.request.urlopen(english) as answer:
        assert "Records" in answer.read().decode("utf-8")
    with urllib.request.urlopen(f"{hub.url}/healthz") as answer:
        assert answer.status == 200 and json.load(answer) == {"status": "ok"}
    wire.deliver(run)
    assert not [hole for hole in hub.status()["devices"] if hole["device"] == "trang" and hole["holes"]]
    wire.close()


def test_signed_nonsense_breaks_no_page(hub: HubProcess) -> None:
    gateway, wire = accepted(hub, "la")
    run = Run(gateway.source, boot="<b>boot")
    clocks = [
        {"boot": "x" * 3000, "mono": 10**30, "err": 10**30, "sync": "ntp", "wall": "never"},
        {"boot": 7, "mono": -1},
        {"boot": "<script>", "mono": -(10**18), "err": -5, "wall": "0001-01-01T00:00:00+00:00"},
        None,
        [[[]]],
    ]
    run.add("journal.opened", lambda clock: {"previous": {"journal": 7, "last": "x"}, "clock": clock})
    for wrong in clocks:
        run.add("device.alarm", lambda clock, wrong=wrong: {"code": {"deep": [1] * 50}, "clock": wrong})
        run.add(
            "boot.anchored", lambda clock, wrong=wrong: {"clock": wrong, **(wrong if isinstance(wrong, dict) else {})}
        )
        run.add("journal.head", lambda clock, wrong=wrong: {"through": wrong, "head": 7, "sig": None, "clock": clock})
    run.lines[-1] = run.lines[-1].replace(b'"time":"2026', b'"time":"9999')
    wire.deliver(run)
    run.taps(1)
    wire.deliver(run)
    assert {name for name, _ in hub.events()} >= {f"{run.journal}.{number}" for number in range(1, len(run.lines) + 1)}
    for path in (
        "/devices",
        "/v1/status",
        "/v1/devices",
        "/v1/parked",
        "/v1/forks",
        "/v1/dead-letters",
        "/v1/ledger/journals",
    ):
        with urllib.request.urlopen(f"{hub.url}{path}") as answer:
            assert answer.status == 200
    with urllib.request.urlopen(f"{hub.url}/v1/ledger/events?limit=1000") as answer:
        json.load(answer)
    wire.close()


@pytest.mark.parametrize("side", ["gateway", "hub"])
def test_a_broker_that_acknowledges_and_forgets(tmp_path: Path, side: str) -> None:
    with mosquitto(tmp_path) as (url, _):
        port = int(url.rpartition(":")[2])
        forgotten: dict[str, int] = {}

        def forgets(topic: str) -> bool:
            """The first three messages on each topic of receipts and records."""
            if topic.rpartition("/")[2] not in ("ev", "receipt"):
                return False
            forgotten[topic] = forgotten.get(topic, 0) + 1
            return forgotten[topic] <= 3

        with ForgetfulBroker("127.0.0.1", port, forgets) as broker:
            hub = HubProcess(tmp_path, broker_url=broker.url if side == "hub" else url).start()
            hub.broker_url = broker.url if side == "gateway" else url
            gateway, wire = accepted(hub, "cong")
            run = gateway.run(200)
            wire.deliver(run)
            assert broker.forgotten >= 3
            assert hub.events() == [(f"{run.journal}.{n}", raw) for n, raw in enumerate(run.lines, 1)]
            wire.close()
            hub.end()


def test_an_external_broker_may_come_late_and_die(tmp_path: Path) -> None:
    (port,) = free_ports(1)
    hub = HubProcess(tmp_path, broker_url=f"mqtt://127.0.0.1:{port}").start()
    hub.broker_url = f"mqtt://127.0.0.1:{port}"
    try:
        assert hub.status()["troubles"] == {"broker": "broker-lost"}
        with pytest.raises(urllib.error.HTTPError) as refused:
            urllib.request.urlopen(f"{hub.url}/healthz")
        assert refused.value.code == 503 and json.load(refused.value)["broker"] == "broker-lost"
        gateway = Gateway()
        with mosquitto(tmp_path, port) as (_, process):
            until(lambda: not hub.status()["troubles"], "the hub finds the broker")
            gateway, wire = accepted(hub, "cong")
            run = gateway.run(20)
            wire.deliver(run)
            process.kill()
            process.wait(10)
        run.taps(20)
        with mosquitto(tmp_path, port):
            until(lambda: wire.hub.get("state") == "ready" and not hub.status()["troubles"], "all are back")
            wire.state()
            wire.deliver(run)
        assert [raw for _, raw in hub.events()] == run.lines
        wire.close()
    finally:
        hub.end()


def broker_pids(data_dir: Path) -> list[int]:
    """Processes that run on this hub's broker configuration."""
    found = []
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            words = (folder / "cmdline").read_bytes().split(b"\0")
        except OSError:
            continue
        if str(data_dir / "broker" / "server.conf").encode() in words:
            found.append(int(folder.name))
    return found


def test_the_embedded_broker_comes_back_on_its_port_and_dies_with_its_hub(tmp_path: Path) -> None:
    hub = HubProcess(tmp_path).start()
    try:
        gateway, wire = accepted(hub, "cong")
        run = gateway.run(20)
        wire.deliver(run)
        (pid,) = broker_pids(hub.data_dir)
        os.kill(pid, signal.SIGKILL)
        until(lambda: broker_pids(hub.data_dir) not in ([pid], []), "the broker is started again")
        run.taps(5)
        until(lambda: not hub.status()["troubles"], "the hub is back at its broker")
        wire.state()
        wire.deliver(run)
        url, epoch = hub.broker_url, wire.hub["epoch"]
        hub.kill()
        until(lambda: not broker_pids(hub.data_dir), "the broker ends with its hub", within_s=5)
        hub.start()
        assert hub.broker_url == url
        run.taps(5)
        until(lambda: wire.hub["epoch"] != epoch, "a new epoch is announced")
        wire.state()
        wire.deliver(run)
        assert [raw for _, raw in hub.events()] == run.lines
        wire.close()
        code, took_s = hub.stop()
        assert code == 0 and took_s < within(3) and not broker_pids(hub.data_dir)
    finally:
        hub.end()


def test_the_terminals_signals_reach_the_hub_alone(tmp_path: Path) -> None:
    hub = HubProcess(tmp_path).start()
    try:
        (pid,) = broker_pids(hub.data_dir)
        assert hub.process is not None
        assert os.getpgid(pid) != os.getpgid(hub.process.pid) and os.getsid(pid) != os.getsid(hub.process.pid)
    finally:
        hub.end()
    until(lambda: not broker_pids(hub.data_dir), "the broker ends with its hub", within_s=5)


def test_an_address_of_another_machine_fails_the_start(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("hub.broker.START_S", 0.5)
    refusal = r"192\.0\.2\.99.* can't be taken"
    with pytest.raises(BrokerFailed, match=refusal):
        EmbeddedBroker(tmp_path, "192.0.2.99", 0)
    broker = EmbeddedBroker(tmp_path, "192.0.2.99", 18_883)
    try:
        with pytest.raises(BrokerFailed, match=refusal):
            broker.start(lambda: False)
    finally:
        broker.stop()


def test_silent_connections_keep_no_command_waiting(tmp_path: Path) -> None:
    hub = HubProcess(tmp_path).start()
    try:
        with ExitStack() as others:
            for _ in range(10):
                other = others.enter_context(socket.socket(socket.AF_UNIX))
                with _short(hub.data_dir / "hub.sock") as name:
                    other.connect(name)
            before = time.monotonic()
            assert hub.ask("devices", "list").returncode == 0 and time.monotonic() - before < within(10)
    finally:
        hub.end()


def test_an_orphaned_broker_is_ended_even_without_its_pid_file(tmp_path: Path) -> None:
    hub = HubProcess(tmp_path)
    # Without setpriv nothing ends the broker when its hub is killed: it keeps store and port.
    hub.environment = {**os.environ, "PATH": str(tmp_path)}
    hub.start()
    try:
        (pid,) = broker_pids(hub.data_dir)
        hub.kill()
        assert broker_pids(hub.data_dir) == [pid]
        (hub.data_dir / "broker" / "pid").unlink()
        hub.environment = None
        hub.start()
        assert broker_pids(hub.data_dir) != [pid] and len(broker_pids(hub.data_dir)) == 1
    finally:
        hub.end()


def test_it_ends_in_time_although_its_broker_can_not_start(tmp_path: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen(1)
        hub = HubProcess(tmp_path)
        # Taken by a program that doesn't speak MQTT: it is looked at again and again.
        port = taken.getsockname()[1]
        config = hub.config.read_text(encoding="utf-8")
        hub.config.write_text(
            config.replace('[broker]\nlisten = "127.0.0.1:0"', f'[broker]\nlisten = "127.0.0.1:{port}"')
        )
        with hub.log.open("ab") as log:
            command = [sys.executable, "-m", "k12edge", "hub", "--config", str(hub.config)]
            hub.process = subprocess.Popen(command, stdout=log, stderr=log)
        until(lambda: "can't be taken" in hub.log.read_text(encoding="utf-8"), "the port is named")
        code, took_s = hub.stop()
        assert code == 0 and took_s < within(3)


@pytest.mark.parametrize("taken", [1, 64])
def test_it_ends_in_time_at_a_broker_that_never_answers(tmp_path: Path, taken: int) -> None:
    """It takes the connection and says nothing; or its queue is full, so that not even the connection comes about."""
    with socket.socket() as silent, ExitStack() as others:
        silent.bind(("127.0.0.1", 0))
        silent.listen(0 if taken == 64 else 8)
        for _ in range(taken):
            other = others.enter_context(socket.socket())
            other.setblocking(False)
            other.connect_ex(silent.getsockname())
        hub = HubProcess(tmp_path, broker_url=f"mqtt://127.0.0.1:{silent.getsockname()[1]}").start()
        try:
            assert hub.status()["troubles"] == {"broker": "broker-lost"}
            code, took_s = hub.stop()
            assert code == 0 and took_s < within(3)
        finally:
            hub.end()


def test_two_hubs_and_a_new_epoch(tmp_path: Path) -> None:
    hub = HubProcess(tmp_path).start()
    try:
        second = hub.ask()
        assert second.returncode == 3 and "already-running" in second.stderr
        gateway, wire = accepted(hub, "cong")
        run = gateway.run(3)
        wire.deliver(run)
        mark = wire.mark(run)
        assert mark is not None and mark.hub.head == digest(run.lines[-1])
        code, took_s = hub.stop()
        assert code == 0 and took_s < within(3)
        wire.close()
    finally:
        hub.end()


def test_a_disk_that_fails_to_sync_once_in_a_while(tmp_path: Path) -> None:
    with mosquitto(tmp_path) as (url, _):
        hub = HubProcess(tmp_path, broker_url=url)
        hub.broker_url = url
        # Each thread's twelfth fdatasync fails: that commit is not called good, the file is opened anew.
        hub.wrapper = ["strace", "-f", "-qq", "-o", "/dev/null", "-e", "inject=fdatasync:error=EIO:when=12"]
        hub.start()
        try:
            gateway, wire = accepted(hub, "cong")
            run = gateway.run(0)
            address = hub.url
            for _ in range(30):
                run.taps(1)
                wire.deliver(run)
            assert hub.log.read_text(encoding="utf-8").count("the hub begins anew") >= 1
            assert hub.url == address
            # After a beginning anew the broker is met again a moment later; another may be on its way.
            until(lambda: hub.status()["troubles"] == {}, "a hub without troubles")
            until(lambda: _held(hub) == run.lines, "every record once")
            wire.close()
        finally:
            hub.end()


def _held(hub: HubProcess) -> list[bytes] | None:
    """The gateways' records that a hub holds; None while it begins anew."""
    try:
        return [raw for _, raw in hub.events()]
    except PartFailed:
        return None
