"""Eight taps at once: from the sightings to the last signal, beside a lone tap, through the gateway's own lanes."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from pathlib import Path
from statistics import median

from bench.figure import Broken, Figure, ratio
from bench.taps import KEY, open_book, uid_of
from bench.workshop import Workshop
from edge.config import StationPlan
from edge.lane import Lane
from edge.ports import CardSeen, Recorded, Warning_
from edge.signals import LineSignals
from edge.station import Station
from sim.school import make_school

STATIONS = 8
PAIRS_A_ROUND = 30
PATIENCE_S = 10.0


class TimedSignals:
    """The gateway's jsonl sink; remembers when each signal had been written."""

    def __init__(self, path: Path, mono_ns: Callable[[], int]) -> None:
        """Write to `path`."""
        self._inner = LineSignals([f"jsonl:{path}"], mono_ns)
        self._shown: list[float] = []
        self._count = 0
        self._done = threading.Event()
        self.warnings = 0

    def expect(self, count: int) -> None:
        """So many signals are to come."""
        self._count = count
        self._shown.clear()
        self._done.clear()

    def show(self, recorded: Recorded) -> None:
        """See Signals.show."""
        self._inner.show(recorded)
        self._shown.append(time.perf_counter())
        if len(self._shown) == self._count:
            self._done.set()

    def warn(self, warning: Warning_) -> None:
        """See Signals.warn."""
        self.warnings += 1
        self._inner.warn(warning)

    def last_s(self) -> float:
        """When the last of them had been written; waits for it."""
        if not self._done.wait(PATIENCE_S):
            raise Broken("8 taps at once: a signal didn't come")
        return max(self._shown)

    def close(self) -> None:
        """Close the sink."""
        self._inner.close()


def measure_burst(shop: Workshop) -> list[Figure]:
    """Row 2 of the table."""
    shop.say("2 eight taps at once, beside a lone one")
    room = shop.room("burst")
    journal, _, clock = open_book(room)
    signals = TimedSignals(room / "signals.jsonl", clock.mono_ns)
    busy = threading.Event()
    lanes = []
    for number in range(STATIONS):
        plan = StationPlan(f"cong-{number}", "gate", "in", 0)
        station = Station(
            plan, clock=clock, journal=journal, signals=signals, card_key=lambda _: KEY, roster=lambda _: None
        )
        lanes.append(Lane(station, signals, clock.mono_ns, busy))
    threads = [threading.Thread(target=lane.run, daemon=True) for lane in lanes]
    for thread in threads:
        thread.start()
    cards = [uid_of(pupil) for pupil in make_school(STATIONS, 7)]

    def tap(count: int) -> float:
        signals.expect(count)
        began_s = time.perf_counter()
        seen_ns = clock.mono_ns()
        for lane, card in zip(lanes[:count], cards, strict=False):
            lane.put(CardSeen(card, seen_ns))
        return signals.last_s() - began_s

    lone: list[float] = []
    eight: list[float] = []
    for _ in range(shop.rounds(30)):
        ones, eights = [], []
        for _ in range(PAIRS_A_ROUND):
            ones.append(tap(1))
            eights.append(tap(STATIONS))
        lone.append(median(ones))
        eight.append(median(eights))
    for lane, thread in zip(lanes, threads, strict=True):
        lane.end()
        thread.join(PATIENCE_S)
    journal.close()
    signals.close()
    if signals.warnings:
        raise Broken(f"8 taps at once: {signals.warnings} warnings")
    return [
        ratio(
            2,
            "8 taps at once, last signal / lone tap",
            eight,
            lone,
            2.2,
            beside=f"{median(eight) * 1e3:.2f} ms / {median(lone) * 1e3:.2f} ms",
            note=f"{len(lone)} rounds of {PAIRS_A_ROUND} pairs through 8 lanes and stations to the jsonl sink, medians",
        )
    ]
