"""Readers: from a card in the field to its sighting, short taps on one and on four readers, lines, a look's cost."""

from __future__ import annotations

import threading
import time
from contextlib import ExitStack
from pathlib import Path
from random import Random
from statistics import median

from bench.chain import GatewayProcess, until
from bench.figure import Broken, Figure, percentile
from bench.footprint import cpu_s
from bench.gate import HOLD_S
from bench.workshop import Workshop
from edge.clock import SystemClock
from edge.ports import CardRead, CardSeen
from edge.readers.lines import QUIET_S
from edge.readers.opening import make_reader
from edge.readers.presence import Presence
from edge.readers.supervisor import ReaderSupervisor
from protocol.cardforms import number_plan
from protocol.cards import CardUid
from sim.emulators.bench import Bench
from sim.emulators.lines import Printer
from sim.emulators.pn532 import CHIP_MS, EMPTY_MS, FieldCard, Pn532Emulator
from sim.reckoning import answers_in

RATE = 5.0
"""Taps a second: a pupil every 200 ms, each card in the field for HOLD_S."""
TAPS_S = 30.0
LINES = 400
STEPS = 20_000
READERS = 4


def measure_readers(shop: Workshop) -> list[Figure]:
    """Row 9 of the table."""
    shop.say("9 readers: card to sighting, short taps, lines, a look's cost")
    room = shop.room("readers")
    seconds = TAPS_S / 3 if shop.quick else TAPS_S
    with ExitStack() as stack:
        bench = stack.enter_context(Bench())
        return [
            *_one_reader(room, bench, seconds),
            *_four_readers(room, bench, seconds),
            _line(room, LINES // 4 if shop.quick else LINES),
            _look(),
        ]


class _Seen:
    """A supervised reader on a thread of its own, and when it saw what."""

    def __init__(self, url: str) -> None:
        """Begin to read."""
        self.when: dict[str, float] = {}
        self._came = threading.Event()
        self._stop = threading.Event()
        self.keeper = ReaderSupervisor("r", make_reader(url), self._see, SystemClock().mono_ns, Random(1))
        self._thread = threading.Thread(target=self.keeper.run, args=(self._stop,))
        self._thread.start()
        if not self.keeper.ready.wait(10):
            raise Broken(f"{url} doesn't open")

    def _see(self, seen: CardSeen) -> None:
        self.when.setdefault(seen.card.hex, time.monotonic())
        self._came.set()

    def wait(self, uid: str, within_s: float) -> float | None:
        """When a card was seen, waiting for it at most so long."""
        deadline = time.monotonic() + within_s
        while uid not in self.when and time.monotonic() < deadline:
            self._came.wait(max(0.0, deadline - time.monotonic()))
            self._came.clear()
        return self.when.get(uid)

    def close(self) -> None:
        """End."""
        self._stop.set()
        self._thread.join(3)


def _one_reader(room: Path, bench: Bench, seconds: float) -> list[Figure]:
    chip = bench.add(room / "one")
    seen = _Seen(f"pn532://{room / 'one'}")
    rng, waits_ms, taps = Random(7), [], 0
    began_s = next_s = time.monotonic()
    while next_s < began_s + seconds:
        time.sleep(max(0.0, next_s - time.monotonic()))
        taps += 1
        uid = bytes((4,)) + taps.to_bytes(6, "big")
        placed_s = time.monotonic()
        chip.place(FieldCard(uid))
        found_s = seen.wait(uid.hex().upper(), HOLD_S)
        time.sleep(max(0.0, placed_s + HOLD_S - time.monotonic()))
        chip.remove()
        if found_s is None:
            found_s = seen.wait(uid.hex().upper(), 0.2)
        if found_s is not None:
            waits_ms.append((found_s - placed_s) * 1000)
        next_s = max(next_s + (0.8 + 0.4 * rng.random()) / RATE, time.monotonic())
    seen.close()
    about = (
        f"{taps} taps of {HOLD_S * 1000:.0f} ms at {RATE:g}/s; the emulated chip takes {CHIP_MS:g} ms with a card,"
        f" {EMPTY_MS:g} ms without"
    )
    return [
        Figure(
            9,
            "card in the field to sighting, p95",
            percentile(waits_ms, 0.95),
            "ms",
            45,
            low=min(waits_ms),
            high=max(waits_ms),
            beside=f"p50 {median(waits_ms):.1f} ms",
            note=about,
        ),
        Figure(9, "short taps caught, one reader", 100 * len(waits_ms) / taps, "%", 100, at_least=True, note=about),
    ]


def _four_readers(room: Path, bench: Bench, seconds: float) -> list[Figure]:
    chips = [bench.add(room / f"four-{number}") for number in range(READERS)]
    sink = room / "four.jsonl"
    readers = [f"pn532://{chip.link}" for chip in chips]
    gateway = GatewayProcess(room, "bon", readers=readers, sink=sink, url=None)
    gateway.start()
    try:
        until(lambda: all(chip.looks > 3 for chip in chips), "the gateway doesn't poll", also=gateway.check)
        used_s, began_s = cpu_s(gateway.pid), time.monotonic()
        counts: list[int] = []
        threads = [
            threading.Thread(target=lambda n=n, c=c: counts.append(_crowd(c, n, seconds)))  # type: ignore[misc]
            for n, c in enumerate(chips)
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        share = 100 * (cpu_s(gateway.pid) - used_s) / (time.monotonic() - began_s)
        taps = sum(counts)
        until(lambda: answers_in(sink) >= taps, "not every tap got its signal", also=gateway.check, within_s=5)
        caught = answers_in(sink)
    finally:
        gateway.stop()
    about = f"{taps} taps of {HOLD_S * 1000:.0f} ms, {RATE:g}/s at each of {READERS} readers, recorded and signalled"
    return [
        Figure(9, "short taps caught, four readers", 100 * caught / taps, "%", 100, at_least=True, note=about),
        Figure(9, "CPU of a gateway with four readers, tapped at", share, "% of a core", 12, note=about),
    ]


def _crowd(chip: Pn532Emulator, lane: int, seconds: float) -> int:
    """Short taps at one reader; how many."""
    rng, taps = Random(lane), 0
    began_s = next_s = time.monotonic()
    while next_s < began_s + seconds:
        time.sleep(max(0.0, next_s - time.monotonic()))
        taps += 1
        chip.place(FieldCard(bytes((4, lane)) + taps.to_bytes(5, "big")))
        time.sleep(HOLD_S)
        chip.remove()
        next_s = max(next_s + (0.8 + 0.4 * rng.random()) / RATE, time.monotonic())
    return taps


def _line(room: Path, count: int) -> Figure:
    printer = Printer(room / "line")
    seen = _Seen(f"lines://{printer.link}?format=hex")
    printer.await_listener()
    time.sleep(2 * QUIET_S)
    rng, waits_ms = Random(5), []
    for number in range(count):
        time.sleep(rng.uniform(0.002, 0.02))
        uid = f"04{number:012X}"
        said_s = time.monotonic()
        printer.say(f"{uid}\r\n")
        found_s = seen.wait(uid, 1.0)
        if found_s is None:
            raise Broken(f"number {number} of {count} was not seen")
        waits_ms.append((found_s - said_s) * 1000)
    seen.close()
    printer.unplug()
    return Figure(
        9,
        "serial line complete to sighting, p99",
        percentile(waits_ms, 0.99),
        "ms",
        2,
        low=min(waits_ms),
        high=max(waits_ms),
        beside=f"p50 {median(waits_ms):.2f} ms",
        note=f"{count} numbers of 14 hex digits",
    )


def _look() -> Figure:
    presence, plan = Presence(), number_plan("8h10d")
    cards = [CardRead(CardUid.from_bytes("a", bytes((4,)) + number.to_bytes(6, "big"))) for number in range(50)]
    began_s = time.perf_counter()
    for number in range(STEPS):
        presence.step(number * 20_000_000, (cards[number // 40 % 50],))
        plan.read("0169552957")
    each_us = (time.perf_counter() - began_s) / STEPS * 1e6
    return Figure(
        9, "presence and a number read, a look", each_us, "µs", 20, note=f"{STEPS:,} looks, a card in each, 8H10D"
    )
