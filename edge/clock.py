"""The gateway's clock: CLOCK_BOOTTIME as the ruler, and what vouches for the wall clock's place on it."""

from __future__ import annotations

import logging
import threading
from typing import Final

from edge.config import TimeSource
from host.machine import Machine
from host.wallclock import WallClock
from protocol.taps import ClockReading
from protocol.time import Anchor, error_at

log = logging.getLogger("k12edge.clock")

STALE_MS: Final = 250
"""A recorded anchor whose bound has grown to this calls for another: after 40 minutes, by the drift allowed for."""


class SystemClock:
    """See ports.Clock. `source` says what may vouch for the time; `declared_error_ms` goes with `declared`."""

    def __init__(self, source: TimeSource = "auto", declared_error_ms: int = 0, machine: Machine | None = None) -> None:
        """Start without an anchor."""
        self._source = source
        self._declared_error_ms = declared_error_ms
        self._machine = machine or Machine()
        self._boot = self._machine.boot()
        self._anchor: Anchor | None = None
        self._told: Anchor | None = None
        self._wall = WallClock(self._machine)
        self._lock = threading.Lock()

    @property
    def boot(self) -> str:
        """The boot id in every reading."""
        return self._boot

    @property
    def anchor(self) -> Anchor | None:
        """The anchor in force."""
        return self._anchor

    def mono_ns(self) -> int:
        """See Clock.mono_ns."""
        return self._machine.boottime_ns()

    def read(self) -> ClockReading:
        """See Clock.read."""
        return self.reading_at(self.mono_ns())

    def reading_at(self, mono_ns: int) -> ClockReading:
        """See Clock.reading_at."""
        look = self._wall.look() if self._source in ("auto", "ntp") else self._wall.both()
        mono_ms = mono_ns // 1_000_000
        wall_ms = (look.offset_ns + mono_ns) // 1_000_000
        apart_ms = look.apart_ms
        if look.kernel_ms is not None:
            return ClockReading(self._boot, mono_ms, wall_ms, wall_ms, "ntp", look.kernel_ms + apart_ms)
        anchor = self._anchor
        if anchor is not None:
            best_ms = anchor.wall_ms + mono_ms - anchor.mono
            return ClockReading(self._boot, mono_ms, wall_ms, best_ms, "hub", error_at(anchor, mono_ms))
        if self._source == "declared":
            return ClockReading(self._boot, mono_ms, wall_ms, wall_ms, "declared", self._declared_error_ms + apart_ms)
        return ClockReading(self._boot, mono_ms, wall_ms, wall_ms, "none", None)

    def hear_hub(self, asked_mono_ms: int, hub_wall_ms: int, hub_error_ms: int) -> Anchor | None:
        """Take the hub's answer to a question asked at `asked_mono_ms`; the new anchor when it is better.

        The hub read its clock at some moment of the round trip: the middle is right within half of it. An anchor
        that halves the bound in force is kept; one that contradicts it by more than both bounds is kept as well: the
        hub's clock was set right since, or this boot would never be. Given back, to be recorded, is the first one, a
        contradicting one, and others that say more than the last recorded one: every tap says its own bound anyway.
        """
        if self._source not in ("auto", "hub"):
            return None
        now_ms = self.mono_ns() // 1_000_000
        if not 0 <= asked_mono_ms <= now_ms:
            return None
        trip_ms = now_ms - asked_mono_ms
        heard = Anchor(
            self._boot, asked_mono_ms + trip_ms // 2, hub_wall_ms, hub_error_ms + (trip_ms + 1) // 2 + 1, "hub"
        )
        with self._lock:
            known, contradicts = self._anchor, False
            if known is not None:
                apart_ms = abs((heard.wall_ms - heard.mono) - (known.wall_ms - known.mono))
                contradicts = apart_ms > error_at(heard, now_ms) + error_at(known, now_ms)
                if not contradicts and error_at(heard, now_ms) * 2 > error_at(known, now_ms):
                    return None
                if contradicts:
                    log.warning("the hub's clock contradicts what it said before by %d ms", apart_ms)
            self._anchor = heard
            told = self._told
            if told is not None and not contradicts and not _worth_recording(heard, told, now_ms):
                return None
            self._told = heard
        return heard

    def kernel_anchor(self) -> Anchor | None:
        """An anchor from the NTP-synchronised kernel now, None when it isn't."""
        reading = self.read()
        if reading.sync != "ntp" or reading.err_ms is None:
            return None
        return Anchor(self._boot, reading.mono_ms, reading.wall_ms, reading.err_ms, "ntp")

    def declared_anchor(self) -> Anchor | None:
        """An anchor from a person's word that the wall clock is right, None unless it was configured."""
        if self._source != "declared":
            return None
        reading = self.read()
        if reading.err_ms is None:
            return None
        return Anchor(self._boot, reading.mono_ms, reading.wall_ms, reading.err_ms, "declared")


def _worth_recording(heard: Anchor, told: Anchor, now_ms: int) -> bool:
    """Whether an anchor dates the boot better than the recorded one: there, by half, or here, where that is stale."""
    return error_at(heard, told.mono) * 2 <= told.err or error_at(told, now_ms) >= STALE_MS
