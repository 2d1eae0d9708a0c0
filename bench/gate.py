"""A gate with pupils: an emulated PN532, a gateway's signals read from a pipe, and cards held to the reader."""

from __future__ import annotations

import os
import select
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import cycle
from pathlib import Path
from random import Random

import msgspec

from bench.figure import Broken
from sim.emulators.bench import Bench
from sim.emulators.pn532 import FieldCard, Pn532Emulator
from sim.school import make_school

HOLD_S = 0.15
"""A short tap: the card is taken away at the signal, at the latest after so long."""
LATE_S = 1.0


class _Shown(msgspec.Struct):
    signal: str
    tap: str | None


@dataclass(slots=True)
class TimedPn532(Pn532Emulator):
    """The emulated chip; remembers when a look of its first met the card now in its field."""

    seen_s: float | None = None

    def _list(self, data: bytes) -> tuple[float, bytes | None]:
        if self._cards and self.seen_s is None:
            self.seen_s = time.monotonic()
        return Pn532Emulator._list(self, data)


@dataclass(slots=True)
class Gate:
    """One reader. `seen_ms`: from the chip's look that met the card to the signal; `placed_ms`: from the placing."""

    folder: Path
    name: str
    bench: Bench
    seen_ms: list[float] = field(default_factory=list)
    placed_ms: list[float] = field(default_factory=list)
    taps: int = 0
    caught: int = 0
    missed: list[str] = field(default_factory=list)
    _chip: TimedPn532 | None = None
    _pipe: int = -1
    _cards: Iterator[bytes] | None = None
    _rng: Random = field(default_factory=lambda: Random(3))

    def __post_init__(self) -> None:
        """Plug the chip in and open the pipe."""
        os.mkfifo(self.sink)
        self._pipe = os.open(self.sink, os.O_RDWR | os.O_NONBLOCK)
        self._cards = cycle([pupil.uid for pupil in make_school(1763, 5)])

        def plug() -> None:
            self._chip = TimedPn532(self.folder / f"reader-{self.name}")
            self.bench.emulators.append(self._chip)

        self.bench.do(plug)

    @property
    def sink(self) -> Path:
        """Where the gateway's signals go."""
        return self.folder / f"signals-{self.name}"

    @property
    def reader(self) -> str:
        """The reader's address."""
        return f"pn532://{self.folder / f'reader-{self.name}'}"

    @property
    def chip(self) -> TimedPn532:
        """The emulated chip."""
        assert self._chip is not None
        return self._chip

    def polled(self) -> bool:
        """Whether the gateway looks at the field."""
        return self.chip.looks > 2

    def signals(self, within_s: float) -> list[_Shown]:
        """The signals that come within a time; returns at once with the first ones."""
        readable, _, _ = select.select([self._pipe], [], [], within_s)
        if not readable:
            return []
        return [msgspec.json.decode(line, type=_Shown) for line in os.read(self._pipe, 65536).splitlines()]

    def tap(self) -> bool:
        """Hold the next card to the reader; whether it was signalled."""
        assert self._cards is not None
        uid = next(self._cards)
        self.signals(0)
        self.taps += 1
        self.chip.seen_s = None
        placed_s = time.monotonic()
        self.chip.place(FieldCard(uid))
        held_until_s, late_s = placed_s + HOLD_S, placed_s + LATE_S
        held = True
        while (now_s := time.monotonic()) < late_s:
            found = self.signals((held_until_s if held else late_s) - now_s if now_s < held_until_s or not held else 0)
            shown_s = time.monotonic()
            if held and (found or shown_s >= held_until_s):
                self.chip.remove()
                held = False
            if any(shown.signal in ("accepted", "repeated") for shown in found):
                if self.chip.seen_s is None:
                    raise Broken("a signal came before the chip saw a card")
                self.caught += 1
                self.seen_ms.append((shown_s - self.chip.seen_s) * 1000)
                self.placed_ms.append((shown_s - placed_s) * 1000)
                return True
        self.chip.remove()
        seen = "not seen by the chip" if self.chip.seen_s is None else f"seen after {self.chip.seen_s - placed_s:.3f} s"
        self.missed.append(f"tap {self.taps}, card {uid.hex()}, {seen}")
        return False

    def tap_for(self, seconds: float, rate: float) -> tuple[float, float]:
        """Taps at `rate` a second, unevenly; returns when it began and ended on the monotonic clock."""
        began_s = time.monotonic()
        next_s = began_s
        while next_s < began_s + seconds:
            time.sleep(max(0.0, next_s - time.monotonic()))
            self.tap()
            next_s = max(next_s + (0.7 + 0.6 * self._rng.random()) / rate, time.monotonic())
        return began_s, time.monotonic()

    def close(self) -> None:
        """Close the pipe; the chip belongs to the bench of readers."""
        os.close(self._pipe)
