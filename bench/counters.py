"""Row 18: from what one counter served to the others' knowing it, directly, through the hub's broker, and with loss."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable, Iterable, Sequence
from contextlib import ExitStack
from random import Random
from typing import Final

from bench.brokers import Broker
from bench.figure import Broken, Figure, percentile
from bench.taps import SCHOOL
from bench.workshop import Workshop
from edge.canteen.addresses import Address
from edge.canteen.exchange import Exchange
from edge.canteen.lan import Lan
from edge.canteen.talk import Talk
from edge.mqtt import MqttLink
from host.machine import Machine
from protocol.served import Told
from protocol.signing import Identity
from protocol.topics import device_topic

ROW: Final = 18
COUNTERS: Final = 4
A_SECOND: Final = 12
"""Servings over all counters: ten times those of the reference school."""
LOSS: Final = 0.3
WAIT_S: Final = 20.0


class _LossyLan(Lan):
    """Loses a share of what it sends."""

    rng = Random(5)

    def send(self, octets: bytes, addresses: Iterable[Address]) -> int:
        return super().send(octets, [address for address in addresses if self.rng.random() >= LOSS])


class _Quay:
    """One counter: its exchange, its link where it has one, and when it heard which record."""

    def __init__(
        self, at: int, identities: Sequence[Identity], peers: Sequence[Address], lan: type[Lan] | None
    ) -> None:
        self.name = f"quay-{at}"
        self._keys = {f"quay-{n}": one.key for n, one in enumerate(identities) if n != at}
        self.heard_s: dict[str, list[float]] = {}
        self.link: MqttLink | None = None
        talk = Talk(SCHOOL, self.name, os.urandom(8).hex(), identities[at], peers)
        machine = Machine()
        self.exchange = Exchange(
            talk,
            self,
            lambda: machine.boottime_ns() // 1_000_000,
            listen=None if lan is None else ("127.0.0.1", 0),
            lan=lan or Lan,
        )
        self._thread = threading.Thread(target=self.exchange.run, name=self.name)

    def start(self) -> None:
        self._thread.start()

    def connect(self, url: str) -> None:
        self.link = MqttLink(url, self.name, Random(self.name), [device_topic(SCHOOL, "+", "served")])
        self.exchange.publish = self.link.publish
        self.link.start(lambda topic, payload, _: self.exchange.by_broker(topic, payload) and None, lambda _: None)

    def heard(self, device: str, told: Sequence[Told]) -> None:
        now_s = time.monotonic()
        for one in told:
            self.heard_s.setdefault(one.tap, []).append(now_s)

    def keys(self) -> dict[str, str]:
        return self._keys

    def stop(self) -> None:
        self.exchange.stop()
        self._thread.join(WAIT_S)
        if self.link is not None:
            self.link.stop()


def _until(holds: Callable[[], bool], what: str) -> None:
    end_s = time.monotonic() + WAIT_S
    while not holds():
        if time.monotonic() > end_s:
            raise Broken(what)
        time.sleep(0.005)


def _measured(lan: type[Lan] | None, url: str | None, servings: int) -> list[float]:
    """Milliseconds from each `said` until the last counter had heard it."""
    identities = [Identity(os.urandom(32), os.urandom(32)) for _ in range(COUNTERS)]
    rng = Random(11)
    quays: list[_Quay] = []
    with ExitStack() as parts:
        peers: list[Address] = []
        for at in range(COUNTERS):
            one = _Quay(at, identities, list(peers), lan)
            parts.callback(one.stop)
            one.start()
            quays.append(one)
            if lan is not None:
                _until(lambda one=one: one.exchange.address() is not None, "a counter's port doesn't open")  # type: ignore[misc]
                peers.append(one.exchange.address() or ("", 0))
            if url is not None:
                one.connect(url)
        _until(lambda: not any(one.exchange.unheard() for one in quays), "counters don't hear each other")
        said_s: dict[str, float] = {}
        for number in range(servings):
            time.sleep((0.5 + rng.random()) / A_SECOND)
            tap = f"0b6f5c9e7d2a4f18.{number}"
            said_s[tap] = time.monotonic()
            told = Told(1, tap, "hk1:sNZBLYvYFfc", "st-5f0c2b7e", "2026-11-23", "lunch", shift=1)
            quays[number % COUNTERS].exchange.said(told)
        _until(
            lambda: all(sum(tap in one.heard_s for one in quays) == COUNTERS - 1 for tap in said_s),
            "a serving is not known everywhere",
        )
    times = {tap: [at for one in quays for at in one.heard_s.get(tap, [])] for tap in said_s}
    if any(len(found) != COUNTERS - 1 for found in times.values()):
        raise Broken("a serving was heard twice")
    return [(max(found) - said_s[tap]) * 1000 for tap, found in times.items()]


def measure_counters(shop: Workshop) -> list[Figure]:
    """Three figures: directly, through the broker alone, and directly over a network that loses packets."""
    servings = 60 if shop.quick else 240
    figures = []
    how = f"{COUNTERS} counters in one process, {A_SECOND} servings a second, until the last counter has it"
    shop.say("counters: directly")
    direct = _measured(Lan, None, servings)
    shop.say(f"counters: with a loss of {LOSS:.0%}")
    lossy = _measured(_LossyLan, None, servings)
    shop.say("counters: through the broker")
    broker = Broker("nats-server", shop.folder)
    try:
        through = _measured(None, broker.url, servings)
    finally:
        broker.stop()
    for name, reach, found, note in (
        ("serving known at the other counters, directly, p95", 1000, direct, ""),
        (f"the same, of the packets {LOSS:.0%} lost, p95", 1000, lossy, "each datagram is lost by itself"),
        ("serving known at the other counters, through the hub's broker alone, p95", 300, through, "nats-server"),
    ):
        note = f"{how}{'; ' if note else ''}{note}; median {percentile(found, 0.5):.1f} ms, worst {max(found):.1f} ms"
        figures.append(Figure(ROW, name, percentile(found, 0.95), "ms", reach, note=note))
    return figures
