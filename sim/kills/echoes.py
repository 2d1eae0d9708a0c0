"""Echoes: what was once on the wire comes again, under its own name and under others'; nothing changes by it."""

from __future__ import annotations

import threading
import time
from collections import Counter
from pathlib import Path
from random import Random
from typing import Any, Final

import paho.mqtt.client as paho
from paho.mqtt.enums import CallbackAPIVersion

from protocol.topics import parse_device_topic
from sim.kills.campaign import BrokerKind
from sim.kills.outcome import Outcome
from sim.kills.queues import Queues
from sim.parts import PartFailed, free_ports, mosquitto, until
from sim.road import SCHOOL, Road

GATEWAYS: Final = ("cong", "bep")
KEPT_MAX: Final = 2_000
"""Messages remembered; later ones take the place of random earlier ones."""
LIVE_GAP_MS: Final = 100
ECHO_EVERY_S: Final = 0.01


class Recorder:
    """Hears everything on a broker and says it again: as it was, as another gateway's, kept by the broker or not."""

    def __init__(self, port: int, rng: Random) -> None:
        """Connect and listen. Raises PartFailed."""
        self._rng = rng
        self._heard: list[tuple[str, bytes]] = []
        self._count = 0
        self.said: Counter[str] = Counter()
        self._mine: Counter[tuple[str, bytes]] = Counter()
        self._lock = threading.Lock()
        ready = threading.Event()
        client = paho.Client(CallbackAPIVersion.VERSION2, "recorder", protocol=paho.MQTTv311)
        client.on_connect = lambda client, *_: client.subscribe(f"k12/1/{SCHOOL}/#", 1)
        client.on_subscribe = lambda *_: ready.set()
        client.on_message = self._take
        client.reconnect_delay_set(1, 2)
        client.connect("127.0.0.1", port)
        client.loop_start()
        self._client = client
        if not ready.wait(10):
            raise PartFailed("the broker takes no recorder")

    def _take(self, _client: paho.Client, _data: Any, message: paho.MQTTMessage) -> None:
        said = (message.topic, bytes(message.payload))
        with self._lock:
            if self._mine[said]:
                # An echo of our own needn't be remembered twice.
                self._mine[said] -= 1
                return
            self._count += 1
            if len(self._heard) < KEPT_MAX:
                self._heard.append(said)
            else:
                self._heard[self._rng.randrange(KEPT_MAX)] = said

    def echo(self) -> None:
        """Say one of the messages again."""
        with self._lock:
            if not self._heard:
                return
            topic, payload = self._rng.choice(self._heard)
            found = parse_device_topic(topic)
            kind = "hub" if found is None else found.leaf
            if found is not None and self._rng.random() < 0.3:
                other = next(name for name in GATEWAYS if name != found.device)
                topic, kind = topic.replace(f"/{found.device}/", f"/{other}/"), f"{found.leaf} as another's"
            self._mine[topic, payload] += 1
        # A broker keeps the last of them as the truth of that topic, as it would a forger's.
        self._client.publish(topic, payload, qos=1, retain=self._rng.random() < 0.5)
        self.said[kind] += 1

    def close(self) -> None:
        """Disconnect."""
        self._client.disconnect()
        self._client.loop_stop()


def echoes(folder: Path, *, seed: int, broker: BrokerKind, taps: int, echoes: int) -> Outcome:
    """Two gateways' taps, `echoes` of what was said; the hub and a gateway are killed once. Raises PartFailed."""
    outcome = Outcome(f"echoes over {broker}", seed)
    began_s = time.monotonic()
    rng = Random(seed)
    own = mosquitto(folder, free_ports(1)[0]) if broker == "mosquitto" else None
    road = Road(folder, broker_url=None if own is None else f"mqtt://127.0.0.1:{own.port}")
    queues = {name: Queues(folder, name, 2, rng) for name in GATEWAYS}
    recorder: Recorder | None = None
    try:
        if own is not None:
            own.start()
        road.city.start()
        road.hub.start()
        road.accept()
        recorder = Recorder(int(road.broker_url.rpartition(":")[2]), rng)
        for name, queue in queues.items():
            road.add_gateway(name, queue.stations)
            queue.line_up(taps, then=taps // 20, then_gap_ms=LIVE_GAP_MS)
        road.accept()
        for gateway in road.gateways.values():
            gateway.start()
        for number in range(echoes):
            recorder.echo()
            time.sleep(ECHO_EVERY_S)
            if number == echoes // 3:
                road.hub.kill()
                road.hub.start()
            if number == echoes * 2 // 3:
                until(lambda: queues["cong"].served(road.signals_of("cong")), "not everybody was signalled")
                queues["cong"].line_up(0)
                road.gateways["cong"].kill()
                road.gateways["cong"].start()
        until(
            lambda: all(queue.served(road.signals_of(name)) for name, queue in queues.items()) and road.drained(),
            "not everything arrived",
            also=road.check,
            within_s=120,
            moving=road.progress,
        )
        state = road.status()
        outcome.figures |= {f"said again, {kind}": count for kind, count in sorted(recorder.said.items())}
        outcome.figures |= {"parked": state["parked"], "forks": state["forks"]}
        if state["forks"]:
            outcome.problems.append(f"{state['forks']} records were taken for forks")
        outcome.compared(road.reckon(2))
    except PartFailed as problem:
        raise PartFailed(f"{problem}; status {road.status()}") from None
    finally:
        if recorder is not None:
            recorder.close()
        outcome.ended(road.stop())
        if own is not None:
            own.stop()
    outcome.seconds = time.monotonic() - began_s
    return outcome
