"""The hub's clock: wall time with an error bound, which devices without a clock of their own rest on."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from host.machine import Machine
from hub.config import HubTimeSource
from protocol.time import Anchor, error_at

BORN_MS: Final = 1_767_225_600_000
"""2026-01-01 UTC: a clock before it was never set."""
LOOK_NS: Final = 1_000_000_000
STEP_MS: Final = 10
"""The kernel slews by at most 0.5 ms a second; more than this within one is a step."""
TOGETHER_NS: Final = 200_000
LOOKS_MAX: Final = 4
"""Two clocks are read within TOGETHER_NS, or as near as LOOKS_MAX tries bring it: a thread may have to wait between."""


class HubClock:
    """See the room. Where the kernel isn't synchronised, the last time that it was still bounds the wall clock.

    Where it never was in this boot, the bound is `assumed_error_ms`, a person's word.
    """

    def __init__(self, source: HubTimeSource, assumed_error_ms: int, machine: Machine | None = None) -> None:
        """Ask the kernel at most once a second."""
        self._source, self._assumed_error_ms = source, assumed_error_ms
        self._machine = machine or Machine()
        self._kernel_ms: int | None = None
        self._looked_ns: int | None = None
        self._offset_ms = 0
        self._certain: Anchor | None = None

    def rest_on(self, anchors: Iterable[Anchor]) -> None:
        """Take over what NTP vouched for earlier in this boot, by the records of runs before this one."""
        boot, now_ms = self.boot(), self.mono_ms()
        mine = [anchor for anchor in anchors if anchor.source == "ntp" and anchor.boot == boot]
        self._certain = min(mine, key=lambda anchor: error_at(anchor, now_ms), default=None)

    def now_ms(self) -> int:
        """The wall clock, Unix ms."""
        return self._machine.wall_ns() // 1_000_000

    def mono_ms(self) -> int:
        """A clock that only grows, in ms."""
        return self._machine.boottime_ns() // 1_000_000

    def mono_ns(self) -> int:
        """CLOCK_BOOTTIME in ns, for the hub's own records."""
        return self._machine.boottime_ns()

    def boot(self) -> str:
        """The id of this boot, for the hub's own records."""
        return self._machine.boot()

    def synchronised(self) -> bool:
        """Whether the kernel's clock follows NTP."""
        return self._kernel_error_ms() is not None

    def error_ms(self) -> int | None:
        """The bound of `now_ms`; None where the clock can't be right, or only NTP may vouch and doesn't."""
        if self.now_ms() < BORN_MS:
            return None
        kernel_ms = None if self._source == "declared" else self._kernel_error_ms()
        if kernel_ms is not None:
            return kernel_ms
        if self._source == "ntp":
            return None
        if self._source == "auto" and self._certain is not None:
            return self._error_since(self._certain)
        return self._assumed_error_ms

    def reading(self) -> tuple[int, int, int | None]:
        """CLOCK_BOOTTIME and the wall clock of one moment in ms, and the latter's bound; see error_ms."""
        mono_ms, wall_ms, apart_ms = self._both()
        err_ms = self.error_ms()
        return mono_ms, wall_ms, None if err_ms is None else err_ms + apart_ms

    def _error_since(self, certain: Anchor) -> int:
        """The bound of the wall clock by a certain moment of this boot; a step since then is a part of it."""
        mono_ms, wall_ms, apart_ms = self._both()
        off_ms = abs(wall_ms - mono_ms - (certain.wall_ms - certain.mono))
        return error_at(certain, mono_ms) + off_ms + apart_ms + 1

    def _both(self) -> tuple[int, int, int]:
        """CLOCK_BOOTTIME and the wall clock of one moment, and how far apart they may have been read, all in ms."""
        found = (0, 0, 1 << 62)
        for _ in range(LOOKS_MAX):
            before_ns, wall_ns, after_ns = self.mono_ns(), self._machine.wall_ns(), self.mono_ns()
            if after_ns - before_ns < found[2]:
                found = before_ns, wall_ns, after_ns - before_ns
            if found[2] <= TOGETHER_NS:
                return found[0] // 1_000_000, found[1] // 1_000_000, 0
        return found[0] // 1_000_000, found[1] // 1_000_000, -(-found[2] // 1_000_000)

    def _kernel_error_ms(self) -> int | None:
        """The kernel's bound, asked once a second, and at once when the wall clock was stepped meanwhile."""
        mono_ms, wall_ms, apart_ms = self._both()
        now_ns = self._machine.boottime_ns()
        stepped = abs(wall_ms - mono_ms - self._offset_ms) > STEP_MS + apart_ms
        if stepped or self._looked_ns is None or now_ns - self._looked_ns >= LOOK_NS:
            self._looked_ns, self._kernel_ms, self._offset_ms = now_ns, self._machine.error_ms(), wall_ms - mono_ms
            if self._kernel_ms is not None:
                self._certain = Anchor(self.boot(), mono_ms, wall_ms, self._kernel_ms + apart_ms, "ntp")
        return self._kernel_ms
