"""Eight taps at once: from the sightings to the last signal, beside a lone tap, through the gateway's own lanes."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from pathlib import Path
from statistics import median

from bench.durable import WARM_TAPS
from bench.figure import Broken, Figure, ratio
from bench.taps import KEY, fill, open_book, uid_of
from bench.workshop import Workshop
from edge.config import StationPlan
from edge.lane import Lane
from edge.ports import CardSeen, Recorded, Signal, Warning_
from edge.signals import LineSignals
from edge.station import Station
from protocol.taps import Draft, JsonObject, TapId
from sim.school import make_school

STATIONS = 8
PAIRS_A_ROUND = 30
PATIENCE_S = 10.0


class TimedSignals:
    """The gateway's jsonl sink; remembers when each station's signal had been written."""

    def __init__(self, path: Path, mono_ns: Callable[[], int]) -> None:
        """Write to `path`."""
        self._inner = LineSignals([f"jsonl:{path}"], mono_ns)
        self._shown: dict[str, float] = {}
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
        self._shown[recorded.station] = time.perf_counter()
        if len(self._shown) == self._count:
            self._done.set()

    def warn(self, warning: Warning_) -> None:
        """See Signals.warn."""
        self.warnings += 1
        self._inner.warn(warning)

    def shown_s(self) -> dict[str, float]:
        """When each of them had been written; waits for the last."""
        if not self._done.wait(PATIENCE_S):
            raise Broken("8 taps at once: a signal didn't come")
        return dict(self._shown)

    def close(self) -> None:
        """Close the sink."""
        self._inner.close()


class NoJournal:
    """Records nothing: what is left of a tap's time is threads, Python and the sink."""

    def append(
        self, _draft: Draft, station: str, card: str, signal: Signal, show: Callable[[Recorded], None] | None = None
    ) -> Recorded:
        """See Journal.append, but for the promise."""
        recorded = Recorded(TapId("0" * 16, 1), station, card, signal)
        if show is not None:
            show(recorded)
        return recorded

    def note(self, _kind: str, _data: JsonObject) -> TapId:
        """See Journal.note."""
        return TapId("0" * 16, 1)


class Lobby:
    """Eight lanes with their stations and threads on one journal, as the gateway has them."""

    def __init__(self, room: Path, *, warm: Workshop | None = None, recording: bool = True) -> None:
        """Open the journal; `warm` takes its log through the first checkpoint, without `recording` it isn't used."""
        self._recording = recording
        self.journal, _, self._clock = open_book(room)
        if warm is not None:
            fill(self.journal, self._clock, WARM_TAPS, warm.cards)
        self.signals = TimedSignals(room / "signals.jsonl", self._clock.mono_ns)
        self._cards = [uid_of(pupil) for pupil in make_school(STATIONS, 7)]
        busy = threading.Event()
        self._lanes = [
            Lane(self._station(number), self.signals, self._clock.mono_ns, busy) for number in range(STATIONS)
        ]
        self._threads = [threading.Thread(target=lane.run, daemon=True) for lane in self._lanes]
        for thread in self._threads:
            thread.start()

    def _station(self, number: int) -> Station:
        plan = StationPlan(f"cong-{number}", "gate", "in", 0)
        return Station(
            plan,
            clock=self._clock,
            journal=self.journal if self._recording else NoJournal(),
            signals=self.signals,
            card_key=lambda _: KEY,
            roster=lambda _: None,
        )

    def tap(self, count: int) -> float:
        """So many cards at once, each at its own station; the longest wait of them, from its sighting to its signal."""
        self.signals.expect(count)
        seen_s = {}
        for lane, card in zip(self._lanes[:count], self._cards, strict=False):
            seen_s[lane.station.plan.name] = time.perf_counter()
            lane.put(CardSeen(card, self._clock.mono_ns()))
        shown_s = self.signals.shown_s()
        return max(shown_s[name] - began_s for name, began_s in seen_s.items())

    def alternate(self, rounds: int) -> tuple[list[float], list[float]]:
        """Medians of each round: lone taps, eight at once."""
        lone: list[float] = []
        eight: list[float] = []
        for _ in range(rounds):
            ones, eights = [], []
            for _ in range(PAIRS_A_ROUND):
                ones.append(self.tap(1))
                eights.append(self.tap(STATIONS))
            lone.append(median(ones))
            eight.append(median(eights))
        return lone, eight

    def close(self) -> None:
        """End the lanes."""
        for lane, thread in zip(self._lanes, self._threads, strict=True):
            lane.end()
            thread.join(PATIENCE_S)
        self.journal.close()
        self.signals.close()
        if self.signals.warnings:
            raise Broken(f"8 taps at once: {self.signals.warnings} warnings")


def measure_burst(shop: Workshop) -> list[Figure]:
    """Row 2 of the table."""
    shop.say("2 eight taps at once, beside a lone one")
    fresh = Lobby(shop.room("burst"))
    lone, eight = fresh.alternate(shop.rounds(30))
    fresh.close()
    warm = Lobby(shop.room("burst-warm"), warm=shop)
    warm_lone, warm_eight = warm.alternate(shop.rounds(15))
    warm.close()
    idle = Lobby(shop.room("burst-idle"), recording=False)
    _, without = idle.alternate(shop.rounds(15))
    idle.close()
    reused = f"{median(warm_eight) * 1e3:.2f} ms / {median(warm_lone) * 1e3:.2f} ms"
    return [
        ratio(
            2,
            "8 taps at once, last signal / lone tap",
            eight,
            lone,
            2.2,
            beside=f"{median(eight) * 1e3:.2f} ms / {median(lone) * 1e3:.2f} ms",
            note=f"{len(lone)} rounds of {PAIRS_A_ROUND} pairs through 8 lanes and stations to the jsonl sink, medians;"
            f" a fresh journal; where its log is reused, and a sync takes less, {reused}"
            f" = {median(warm_eight) / median(warm_lone):.2f} x; threads and sink alone, nothing recorded,"
            f" {median(without) * 1e3:.2f} ms",
        )
    ]
