"""Live taps: made while something else goes on, and looked for at the hub."""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from typing import Any

from sim.emulators.pupils import Shown, SignalTail
from sim.reckoning import ANSWERS


@dataclass(slots=True)
class LiveTaps:
    """Taps that a gateway signalled from `since_ms` on: when, and how much later the hub was seen to hold them."""

    tail: SignalTail
    since_ms: int
    shown: dict[str, Shown] = field(default_factory=dict)
    late_s: dict[str, float] = field(default_factory=dict)

    def look(self, held: Any) -> None:
        """One look at the gateway's signals, and at what the hub holds (Road.held)."""
        for signal in self.tail.read():
            if signal.signal in ANSWERS and signal.tap is not None and signal.mono_ms >= self.since_ms:
                self.shown[signal.tap] = signal
        if held is None:
            return
        seen_ms = now_ms()
        for name in self.waiting():
            journal, _, sequence = name.partition(".")
            if _holds(held["journals"].get(journal), int(sequence)):
                self.late_s[name] = (seen_ms - self.shown[name].mono_ms) / 1000

    def waiting(self) -> list[str]:
        """Those that the hub wasn't seen to hold yet."""
        return [name for name in self.shown if name not in self.late_s]


def now_ms() -> int:
    """The clock of signals: CLOCK_BOOTTIME."""
    return time.clock_gettime_ns(time.CLOCK_BOOTTIME) // 1_000_000


def _holds(book: Any, sequence: int) -> bool:
    if book is None or book["through"] < sequence:
        return False
    return not any(first <= sequence <= last for first, last in book["missing"])
