"""A draining backlog: from the journal to the hub's durable record and the receipt back, beside a plain loop."""

from __future__ import annotations

import sqlite3
import subprocess
import sys
import threading
import time
from contextlib import ExitStack
from pathlib import Path
from statistics import median
from typing import Any

import paho.mqtt.client as paho
from paho.mqtt.enums import CallbackAPIVersion

from bench.brokers import KINDS, Broker
from bench.chain import GatewayProcess, School
from bench.figure import Broken, Figure, ratio
from bench.footprint import peak_mib
from bench.taps import DEVICE, SCHOOL
from bench.workshop import Workshop
from edge.journalfile import FILE_NAME
from protocol.errors import BadMessage
from protocol.receipts import decode_receipt
from protocol.signing import split_message
from protocol.topics import device_topic

ROUNDS = 3
DRAIN_S = 180.0


class Observer:
    """Listens on the broker beside the hub: when the gateway said that it is there, when its last receipt came."""

    def __init__(self, port: int, journal: str, last: int) -> None:
        """Connect and subscribe; `last` is the sequence that the receipt must reach, with nothing missing below."""
        self._journal, self._last = journal, last
        self.began_s: float | None = None
        self.ended_s: float | None = None
        self.done = threading.Event()
        ready = threading.Event()
        self._state = device_topic(SCHOOL, DEVICE, "state")
        self._receipt = device_topic(SCHOOL, DEVICE, "receipt")
        self._client = paho.Client(CallbackAPIVersion.VERSION2, "bench-observer", protocol=paho.MQTTv311)
        self._client.on_connect = lambda client, *_: client.subscribe([(self._state, 1), (self._receipt, 1)])
        self._client.on_subscribe = lambda *_: ready.set()
        self._client.on_message = self._heard
        self._client.connect("127.0.0.1", port)
        self._client.loop_start()
        if not ready.wait(10):
            raise Broken("the broker doesn't take the observer")

    def _heard(self, _client: paho.Client, _data: Any, message: paho.MQTTMessage) -> None:
        now_s = time.perf_counter()
        if message.topic == self._state:
            self.began_s = self.began_s or now_s
            return
        try:
            _, _, body = split_message(message.topic, message.payload)
            mark = decode_receipt(body).journals.get(self._journal)
        except BadMessage:
            return
        if mark is not None and mark.hub.through == self._last and not mark.hub.missing and not self.done.is_set():
            self.ended_s = now_s
            self.done.set()

    def seconds(self) -> float:
        """From the gateway's first word to its last receipt."""
        if self.began_s is None or self.ended_s is None:
            raise Broken("the observer missed the gateway's beginning or end")
        return self.ended_s - self.began_s

    def close(self) -> None:
        """Disconnect."""
        self._client.disconnect()
        self._client.loop_stop()


def measure_drain(shop: Workshop) -> list[Figure]:
    """Row 5 of the table, and the gateway's peak memory meanwhile for row 7."""
    figures: list[Figure] = []
    peaks: list[float] = []
    for kind in KINDS:
        shop.say(f"5 a backlog of {shop.backlog:,} taps drains over {kind}, beside a plain publish loop")
        mine: list[float] = []
        theirs: list[float] = []
        for number in range(shop.rounds(ROUNDS)):
            theirs.append(_publish(shop, kind))
            rate, peak = _deliver(shop, kind)
            mine.append(rate)
            peaks.append(peak)
            shop.say(f"round {number + 1}: product {mine[-1]:,.0f}/s, plain loop {theirs[-1]:,.0f}/s")
        figures.append(
            ratio(
                5,
                f"backlog to hub and receipt / plain loop, {kind}",
                mine,
                theirs,
                1.5,
                at_least=True,
                aim=3,
                beside=f"{median(mine):,.0f}/s / {median(theirs):,.0f}/s",
                note=f"{len(mine)} rounds of {shop.backlog:,} taps, all fresh each time; 0 lost, 0 double, 0 changed",
            )
        )
    figures.append(Figure(7, "RSS while a backlog drains, peak", max(peaks), "MiB", 50, note="the drains of row 5"))
    return figures


def _publish(shop: Workshop, kind: str) -> float:
    """The peer: events a second."""
    room = shop.room("peer")
    source = shop.owing_gateway(room / "owing")
    broker = Broker(kind, room)
    try:
        done = subprocess.run(
            [sys.executable, "-m", "bench.publisher", str(source / FILE_NAME), str(broker.port), "bench/events"],
            capture_output=True,
            text=True,
            check=False,
        )
        if done.returncode:
            raise Broken(f"the plain loop failed on {kind}: {done.stderr[-300:]}")
        count, seconds = done.stdout.split()
        return int(count) / float(seconds)
    finally:
        broker.stop()


def _deliver(shop: Workshop, kind: str) -> tuple[float, float]:
    """The product: events a second, and the gateway's peak memory in MiB."""
    room = shop.room("product")
    with ExitStack() as stack:
        broker = Broker(kind, room)
        stack.callback(broker.stop)
        school = School(room, broker_url=broker.url)
        stack.callback(school.stop)
        gateway = GatewayProcess(room, DEVICE, readers=[], sink=room / "signals", url=broker.url)
        shop.owing_gateway(gateway.data_dir)
        journal, last = _owed(gateway.data_dir / FILE_NAME)
        school.start()
        school.command("devices", "accept", DEVICE)
        observer = Observer(broker.port, journal, last)
        stack.callback(observer.close)
        stack.callback(gateway.stop)
        gateway.start()
        deadline_s = time.monotonic() + DRAIN_S
        while not observer.done.wait(0.5):
            gateway.check()
            if time.monotonic() > deadline_s:
                raise Broken(f"over {kind} the backlog didn't drain in {DRAIN_S:g} s: {school.status()}")
        peak = peak_mib(gateway.pid)
        _compare(gateway.data_dir / FILE_NAME, school.ledger(), journal, last)
        return last / observer.seconds(), peak


def _owed(path: Path) -> tuple[str, int]:
    """The prepared journal and its last sequence."""
    database = sqlite3.connect(f"file:{path}?mode=ro", uri=True)
    try:
        journal = database.execute("SELECT journal FROM journal WHERE number = 1").fetchone()[0]
        return str(journal), int(database.execute("SELECT count(*) FROM event").fetchone()[0])
    finally:
        database.close()


def _compare(book: Path, ledger: Path, journal: str, last: int) -> None:
    """Every record of the journal stands in the ledger once, with the same bytes."""
    database = sqlite3.connect(f"file:{ledger}?mode=ro", uri=True)
    try:
        held = database.execute(
            "SELECT e.sequence, e.raw FROM events e JOIN journals j ON j.number = e.journal WHERE j.journal = ?",
            (journal,),
        ).fetchall()
    finally:
        database.close()
    database = sqlite3.connect(f"file:{book}?mode=ro", uri=True)
    try:
        sent = [row[0] for row in database.execute("SELECT raw FROM event ORDER BY position LIMIT ?", (last,))]
    finally:
        database.close()
    kept = dict(held)
    lost = [sequence for sequence in range(1, last + 1) if sequence not in kept]
    changed = [sequence for sequence, raw in enumerate(sent, 1) if sequence in kept and kept[sequence] != raw]
    if lost or changed or len(held) != last:
        raise Broken(f"{len(lost)} lost, {len(held) - len(kept)} double, {len(changed)} changed of {last}")
