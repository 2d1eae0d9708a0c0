"""The hub's clock: wall time with an error bound, which devices without a clock of their own rest on."""

from __future__ import annotations

import ctypes
import time
from pathlib import Path
from typing import Final

from hub.config import HubTimeSource

STA_UNSYNC: Final = 0x0040
"""adjtimex(2): the kernel's clock is not synchronised."""
BORN_MS: Final = 1_767_225_600_000
"""2026-01-01 UTC: a clock before it was never set."""
LOOK_NS: Final = 1_000_000_000


class _Timex(ctypes.Structure):
    """struct timex of adjtimex(2) on 64-bit Linux; only the first fields are read."""

    _fields_ = [
        ("modes", ctypes.c_uint),
        ("offset", ctypes.c_long),
        ("freq", ctypes.c_long),
        ("maxerror", ctypes.c_long),
        ("esterror", ctypes.c_long),
        ("status", ctypes.c_int),
        ("rest", ctypes.c_byte * 256),
    ]


class Machine:
    """The machine under the clock."""

    def boot(self) -> str:
        """The first 8 hex digits of the kernel's id of this boot; zeros where it has none."""
        try:
            return Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii").replace("-", "")[:8]
        except OSError:
            return "00000000"

    def boottime_ns(self) -> int:
        """CLOCK_BOOTTIME in nanoseconds: it never steps, and counts through sleep."""
        return time.clock_gettime_ns(time.CLOCK_BOOTTIME)

    def wall_ns(self) -> int:
        """The wall clock, Unix nanoseconds."""
        return time.time_ns()

    def error_ms(self) -> int | None:
        """The kernel's bound on its wall clock's error, None when it isn't synchronised."""
        return _kernel_error_ms()


class HubClock:
    """See the room. Where the kernel isn't synchronised the bound is `assumed_error_ms`, a person's word."""

    def __init__(self, source: HubTimeSource, assumed_error_ms: int, machine: Machine | None = None) -> None:
        """Ask the kernel at most once a second."""
        self._source, self._assumed_error_ms = source, assumed_error_ms
        self._machine = machine or Machine()
        self._kernel_ms: int | None = None
        self._looked_ns: int | None = None

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
        return None if self._source == "ntp" else self._assumed_error_ms

    def _kernel_error_ms(self) -> int | None:
        now_ns = self._machine.boottime_ns()
        if self._looked_ns is None or now_ns - self._looked_ns >= LOOK_NS:
            self._looked_ns, self._kernel_ms = now_ns, self._machine.error_ms()
        return self._kernel_ms


def _kernel_error_ms() -> int | None:
    timex = _Timex()
    try:
        state = ctypes.CDLL(None, use_errno=True).adjtimex(ctypes.byref(timex))
    except (OSError, AttributeError):
        return None
    if state < 0 or state == 5 or timex.status & STA_UNSYNC:
        return None
    return int(timex.maxerror // 1000) + 1
