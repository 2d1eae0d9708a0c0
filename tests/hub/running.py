"""A real hub as a process, a real broker beside it, and a real MQTT client that speaks for a gateway made by hand."""

from __future__ import annotations

import json
import os
import queue
import re
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import paho.mqtt.client as paho
from paho.mqtt.enums import CallbackAPIVersion

from protocol.receipts import JournalMarks, Receipt, decode_receipt
from protocol.signing import open_message
from protocol.topics import hub_state_topic
from sim.parts import Process, audit, free_ports, get_json
from tests import nursery
from tests.hub.handmade import SCHOOL, Gateway, Run
from tests.patience import within

WAIT_S = 20.0
MOSQUITTO = shutil.which("mosquitto", path=f"{os.environ.get('PATH', '')}:/usr/sbin")


def until(true: Callable[[], Any], what: str, within_s: float = WAIT_S) -> Any:
    """Wait for a condition that another process makes true, and give it back."""
    deadline = time.monotonic() + within(within_s)
    while not (found := true()):
        assert time.monotonic() < deadline, f"{what}: not within {within_s} s"
        time.sleep(0.02)
    return found


class HubProcess:
    """`k12edge hub` on a folder of its own; started again it has the same configuration."""

    def __init__(
        self, folder: Path, *, broker_url: str | None = None, city_url: str | None = None, name: str = "hub"
    ) -> None:
        self.folder, self.data_dir = folder, folder / name
        self.config = folder / f"{name}.toml"
        self.log = folder / f"{name}.log"
        broker = 'listen = "127.0.0.1:0"' if broker_url is None else f'embedded = false\nurl = "{broker_url}"'
        city = 'kind = "none"' if city_url is None else f'kind = "k12records"\nurl = "{city_url}"\ncity_hold_s = 0'
        self.config.write_text(
            f'[hub]\nid = "tram"\nschool = "{SCHOOL}"\ndata_dir = "{self.data_dir}"\nlisten = "127.0.0.1:0"\n'
            f"[broker]\n{broker}\n[city]\n{city}\n",
            encoding="utf-8",
        )
        self.process: Process | None = None
        self.url = self.broker_url = ""
        self._offset = 0
        self.wrapper: list[str] = []
        self.environment: dict[str, str] | None = None

    def start(self) -> HubProcess:
        self.launch()
        return self.await_start()

    def launch(self) -> None:
        with self.log.open("ab") as log:
            self._offset = log.tell()
            if not self.wrapper and self.environment is None:
                self.process = nursery.begin(["hub", "--config", str(self.config)], log, log)
                return
            self.process = subprocess.Popen(
                [*self.wrapper, sys.executable, "-m", "k12edge", "hub", "--config", str(self.config)],
                stdout=log,
                stderr=log,
                stdin=subprocess.DEVNULL,
                env=self.environment,
            )

    def await_start(self) -> HubProcess:
        def listening() -> dict[str, str]:
            assert self.process is not None
            said = self.log.read_bytes()[self._offset :].decode("utf-8", "replace")
            assert self.process.poll() is None, said
            return dict(re.findall(r"^listening (\w+)(://\S+)$", said, re.M))

        embedded = "embedded = false" not in self.config.read_text(encoding="utf-8")
        found = until(lambda: (said := listening()) and len(said) == 1 + embedded and said, "the hub listens")
        self.url = f"http{found['http']}"
        if embedded:
            self.broker_url = f"mqtt{found['mqtt']}"
        until(lambda: get_json(f"{self.url}/v1/status"), "the hub answers")
        return self

    def status(self) -> Any:
        return until(lambda: get_json(f"{self.url}/v1/status"), "the hub answers")

    def kill(self) -> None:
        assert self.process is not None
        self.process.send_signal(signal.SIGKILL)
        self.process.wait(10)

    def stop(self) -> tuple[int, float]:
        """SIGTERM; exit code and seconds."""
        assert self.process is not None
        before = time.monotonic()
        self.process.terminate()
        return self.process.wait(10), time.monotonic() - before

    def end(self) -> None:
        if self.process is not None and self.process.poll() is None:
            if self.wrapper:
                # Whoever wraps it would leave it running; the lock names it.
                os.kill(int((self.data_dir / "lock").read_text(encoding="ascii")), signal.SIGKILL)
                self.process.wait(10)
                return
            self.kill()

    def ask(self, *words: str, stdin: str | None = None) -> subprocess.CompletedProcess[str]:
        """`k12edge hub WORDS --config F`."""
        return nursery.run(["hub", *words, "--config", str(self.config)], stdin, within(40))

    def events(self) -> list[tuple[str, bytes]]:
        """Every record of a gateway in the ledger, by the audit: id and exact bytes."""
        return [(name, raw) for name, raw in audit(f"{self.url}/v1/ledger/events") if b'"urn:k12edge:dev:' in raw]


@contextmanager
def mosquitto(folder: Path, port: int | None = None) -> Iterator[tuple[str, subprocess.Popen[bytes]]]:
    """A stock mosquitto with default settings but for its port: its address and process."""
    assert MOSQUITTO is not None, "mosquitto is not installed (tests/install-system-packages)"
    port = port or free_ports(1)[0]
    config = folder / "mosquitto.conf"
    config.write_text(f"listener {port} 127.0.0.1\nallow_anonymous true\n", encoding="utf-8")
    with (folder / "mosquitto.log").open("ab") as log:
        process = subprocess.Popen([MOSQUITTO, "-c", str(config)], stdout=log, stderr=log, stdin=subprocess.DEVNULL)
    try:
        until(lambda: _takes(port), "mosquitto listens")
        yield f"mqtt://127.0.0.1:{port}", process
    finally:
        process.kill()
        process.wait(10)


def _takes(port: int) -> bool:
    try:
        socket.create_connection(("127.0.0.1", port), timeout=1).close()
    except OSError:
        return False
    return True


class Wire:
    """A gateway's connection: publishes what it is told, gathers receipts; reconnects by itself."""

    def __init__(self, gateway: Gateway, broker_url: str) -> None:
        self.gateway = gateway
        host, _, port = broker_url.removeprefix("mqtt://").rpartition(":")
        self.hub: dict[str, Any] = {}
        self._marks: dict[str, JournalMarks] = {}
        self.receipts: queue.Queue[Receipt] = queue.Queue()
        self.configs: queue.Queue[bytes] = queue.Queue()
        self._listening: dict[str, Callable[[bytes], None]] = {}
        self._client = paho.Client(CallbackAPIVersion.VERSION2, protocol=paho.MQTTv311, clean_session=True)
        self._client.on_connect = self._connected
        self._client.on_message = self._message
        self._client.reconnect_delay_set(1, 1)
        self._client.connect_async(host, int(port), keepalive=10)
        self._client.loop_start()
        until(lambda: self.hub.get("state") == "ready", "the hub is ready")

    def _connected(self, client: paho.Client, *_: Any) -> None:
        topics = [self.gateway.topic("receipt"), self.gateway.topic("cfg"), hub_state_topic(SCHOOL)]
        client.subscribe([(topic, 1) for topic in topics])

    def _message(self, _client: paho.Client, _data: Any, message: paho.MQTTMessage) -> None:
        if message.topic == hub_state_topic(SCHOOL):
            self.hub = json.loads(message.payload)
        elif not self.hub:
            # Kept by the broker from before: who signed it isn't known yet.
            return
        elif message.topic in self._listening:
            self._listening[message.topic](open_message(self.hub["key"], message.topic, message.payload))
        elif message.topic == self.gateway.topic("cfg"):
            self.configs.put(open_message(self.hub["key"], message.topic, message.payload))
        else:
            receipt = decode_receipt(open_message(self.hub["key"], message.topic, message.payload))
            self._marks.update(receipt.journals)
            self.receipts.put(receipt)

    def listen(self, topic: str, take: Callable[[bytes], None]) -> None:
        """Hear what the hub signs and the broker keeps on another topic."""
        self._listening[topic] = take
        self._client.subscribe(topic, 1)

    def publish(self, leaf: str, payload: bytes, *, retain: bool = False) -> None:
        self.send(self.gateway.topic(leaf), payload, retain=retain)

    def send(self, topic: str, payload: bytes, *, retain: bool = False) -> None:
        until(lambda: self._sent(topic, payload, retain), f"a message on {topic} is acknowledged")

    def try_to_send(self, leaf: str, payload: bytes) -> None:
        """Say something once, to a broker that may take nothing now."""
        self._client.publish(self.gateway.topic(leaf), payload, qos=1)

    def _sent(self, topic: str, payload: bytes, retain: bool) -> bool:
        if not self._client.is_connected():
            return False
        info = self._client.publish(topic, payload, qos=1, retain=retain)
        with suppress(RuntimeError):
            info.wait_for_publish(WAIT_S)
        return info.is_published()

    def state(self, **changes: Any) -> None:
        self.publish("state", self.gateway.state(**changes), retain=True)

    def offer(self, run: Run, first: int = 1, last: int | None = None) -> None:
        self.publish("ev", self.gateway.batch(run, first, last))

    def mark(self, run: Run) -> JournalMarks | None:
        return self._marks.get(run.journal)

    def receipted(self, run: Run, through: int, *, within_s: float = WAIT_S) -> JournalMarks:
        """Wait for the hub's word on a journal."""

        def told() -> JournalMarks | None:
            mark = self.mark(run)
            return mark if mark is not None and mark.hub.through >= through else None

        found: JournalMarks = until(told, f"a receipt through {through}", within_s)
        return found

    def deliver(self, run: Run) -> None:
        """Offer until it is receipted whole, as a gateway does."""
        until(lambda: self._offered(run), "everything is receipted")

    def _offered(self, run: Run) -> bool:
        self.offer(run)
        deadline = time.monotonic() + 1.0
        while time.monotonic() < deadline:
            mark = self.mark(run)
            if mark is not None and mark.hub.through == len(run.lines) and not mark.hub.missing:
                return True
            time.sleep(0.01)
        return False

    def close(self) -> None:
        self._client.disconnect()
        self._client.loop_stop()
