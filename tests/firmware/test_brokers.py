"""External brokers with exactly the files that are shipped: real mosquitto, real nats-server, taps end to end."""

from __future__ import annotations

import re
import shutil
import socket
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from random import Random

import pytest

from hub.broker import EmbeddedBroker, free_port, server_path
from protocol.batch import MESSAGE_BYTES_MAX
from protocol.roster import PACKED_BYTES_MAX
from sim.demo.chain import COUNTERS, GATES, Chain
from sim.emulators.pupils import Crowd, SignalTail
from sim.parts import audit, until
from sim.reckoning import journal_taps, only_taps, reckon, running_journals, signalled_taps
from sim.school import make_school, write_roster
from tests.firmware.unitfiles import FIRMWARE

MOSQUITTO_CONF = FIRMWARE / "hub" / "mosquitto.conf"
NATS_CONF = FIRMWARE / "hub" / "nats-server.conf"
DEBIAN_CONF = Path("/etc/mosquitto/mosquitto.conf")
IN_FLIGHT_MAX = max(len(GATES), len(COUNTERS))


class Broker:
    """A broker's process; `words` start it, `port` is its MQTT port."""

    def __init__(self, words: list[str], port: int, log: Path) -> None:
        self.words, self.port, self.log = words, port, log
        self.start()

    def start(self) -> None:
        with self.log.open("ab") as output:
            self.process = subprocess.Popen(self.words, stdout=output, stderr=output, stdin=subprocess.DEVNULL)
        until(self.answers, f"{self.words[0]} does not start: {self.log.read_text()[-600:]}", also=self.check)

    def check(self) -> None:
        assert self.process.poll() is None, self.log.read_text()[-600:]

    def answers(self) -> bool:
        try:
            socket.create_connection(("127.0.0.1", self.port), 1).close()
        except OSError:
            return False
        return True

    def kill(self) -> None:
        self.process.kill()
        self.process.wait(10)


def substituted(text: str, changes: dict[str, str]) -> str:
    """The file with other places and ports, and nothing else changed."""
    for old, new in changes.items():
        assert text.count(old) == 1, f"{old!r} stands {text.count(old)} times"
        text = text.replace(old, new)
    return text


def empty(store: Path) -> None:
    shutil.rmtree(store, ignore_errors=True)
    store.mkdir()
    store.chmod(0o777)


def mosquitto(folder: Path) -> Broker:
    """Debian's own configuration with ours beside it, as on a hub."""
    program = shutil.which("mosquitto") or "/usr/sbin/mosquitto"
    port = free_port("127.0.0.1")
    store = folder / "store"
    empty(store)
    parts = folder / "conf.d"
    parts.mkdir()
    ours = substituted(MOSQUITTO_CONF.read_text(), {"listener 1883 0.0.0.0": f"listener {port} 127.0.0.1"})
    (parts / "k12edge.conf").write_text(ours)
    main = folder / "mosquitto.conf"
    main.write_text(
        substituted(
            DEBIAN_CONF.read_text(),
            {
                "pid_file /run/mosquitto/mosquitto.pid": f"pid_file {folder}/mosquitto.pid",
                "persistence_location /var/lib/mosquitto/": f"persistence_location {store}/",
                "log_dest file /var/log/mosquitto/mosquitto.log": f"log_dest file {folder}/mosquitto.log",
                "include_dir /etc/mosquitto/conf.d": f"include_dir {parts}",
            },
        )
    )
    return Broker([program, "-c", str(main)], port, folder / "broker.log")


def nats(folder: Path) -> Broker:
    port = free_port("127.0.0.1")
    text = substituted(
        NATS_CONF.read_text(), {"/var/lib/k12edge-nats": f"{folder}/store", "0.0.0.0:1883": f"127.0.0.1:{port}"}
    )
    path = folder / "nats-server.conf"
    path.write_text(text)
    return Broker([server_path(), "-c", str(path)], port, folder / "broker.log")


BROKERS: dict[str, Callable[[Path], Broker]] = {"mosquitto": mosquitto, "nats-server": nats}


@pytest.fixture(params=BROKERS)
def broker(request: pytest.FixtureRequest) -> Iterator[Broker]:
    # Started by root, mosquitto goes on as a user of its own, who has no way into pytest's folders.
    with tempfile.TemporaryDirectory(prefix="k12b-") as name:
        folder = Path(name)
        folder.chmod(0o777)
        started = BROKERS[request.param](folder)
        yield started
        started.kill()


def test_taps_arrive_exactly_once_though_the_broker_is_killed_and_emptied(broker: Broker, tmp_path: Path) -> None:
    """Half of the pupils, then kill -9 and an empty store, then the other half while it is away for a moment."""
    folder = tmp_path / "chain"
    folder.mkdir()
    pupils = make_school(60, 7)
    write_roster(folder / "roster.csv", pupils)
    chain = Chain(folder, f"mqtt://127.0.0.1:{broker.port}")
    rng = Random(7)
    try:
        chain.start(folder / "roster.csv")
        tails = [SignalTail(chain.signals_of(name)) for name in chain.gateways]
        for stations, group in ((GATES, pupils[:30]), (COUNTERS, pupils[30:])):
            if stations == COUNTERS:
                broker.kill()
                empty(broker.log.parent / "store")
            crowd = Crowd({name: chain.readers[name] for name in stations}, rng, 0.01)
            crowd.line_up(stations, [pupil.uid for pupil in group])
            assert crowd.run(tails, lambda: None, time.monotonic() + 30)
            if stations == COUNTERS:
                broker.start()
        until(chain.drained, "not everything arrived", within_s=60, moving=chain.progress)
        found = reckon(
            signalled_taps(chain.signals_of(name) for name in chain.gateways),
            journal_taps(chain.data_dirs()),
            only_taps(audit(f"{chain.hub_url}/v1/ledger/events")),
            only_taps(audit(f"{chain.city_url}/k12edge/v1/events")),
            IN_FLIGHT_MAX,
            running_journals(chain.data_dirs()),
        )
    finally:
        codes = chain.stop()
    assert found.kept, found.as_json()
    assert found.signals == len(pupils)
    assert not any(codes.values())


@pytest.mark.parametrize("name", BROKERS)
def test_the_largest_batch_and_the_largest_roster_pass(name: str) -> None:
    text = {"mosquitto": MOSQUITTO_CONF, "nats-server": NATS_CONF}[name].read_text()
    limit = re.search(r"^(?:max_packet_size|max_payload:) (\d+)$", text, re.M)
    assert limit is not None
    # Bounded, but not so near that a later header would not fit.
    largest = max(MESSAGE_BYTES_MAX, PACKED_BYTES_MAX)
    assert largest + 1024 <= int(limit[1]) <= 2 * largest


def test_the_external_nats_server_has_the_embedded_ones_limits(tmp_path: Path) -> None:
    EmbeddedBroker(tmp_path, "127.0.0.1", 1883)
    embedded = (tmp_path / "server.conf").read_text()
    ours = NATS_CONF.read_text()
    limits = ("max_payload", "write_deadline", "ack_wait", "max_ack_pending", "max_memory_store", "max_file_store")
    for limit in limits:
        found = [re.findall(rf"\b{limit}: \"?([0-9A-Za-z]+)", text) for text in (embedded, ours)]
        assert len(found[0]) == 1, limit
        assert found[0] == found[1], limit
    # Every setting of the embedded broker is decided here too, and vice versa but for the number of connections.
    names = [set(re.findall(r"\b([a-z_]+):? [\"{0-9k]", re.sub(r"#.*", "", text))) for text in (embedded, ours)]
    assert names[1] - {"max_connections"} == names[0]


def test_mosquitto_answers_at_once_and_saves_more_often_than_it_would() -> None:
    text = MOSQUITTO_CONF.read_text()
    assert re.search(r"^set_tcp_nodelay true$", text, re.M)
    interval = re.search(r"^autosave_interval (\d+)$", text, re.M)
    assert interval is not None
    assert 0 < int(interval[1]) < 1800
