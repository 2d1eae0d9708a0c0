"""The machine under a clock: CLOCK_BOOTTIME, the wall clock, what the kernel knows of its error, the boot's id."""

from __future__ import annotations

import ctypes
import time
from pathlib import Path
from typing import Final

STA_UNSYNC: Final = 0x0040
"""adjtimex(2): the kernel's clock is not synchronised."""
TIME_ERROR: Final = 5
"""adjtimex(2): what it returns where its clock is not synchronised."""
RESOLUTION_MS: Final = 1
"""Readings are cut to whole milliseconds."""
AGED_US: Final = 500
"""How much a kernel's bound grows in the second until it is asked again."""


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


def kernel_error_ms() -> int | None:
    """The kernel's own bound on its clock's error in ms, None when it isn't synchronised or can't say."""
    timex = _Timex()
    try:
        state = ctypes.CDLL(None, use_errno=True).adjtimex(ctypes.byref(timex))
    except (OSError, AttributeError):
        return None
    if state < 0 or state == TIME_ERROR or timex.status & STA_UNSYNC:
        return None
    return -(-int(timex.maxerror + AGED_US) // 1000) + RESOLUTION_MS


def boot_id() -> str:
    """The first 8 hex digits of the kernel's id of this boot; zeros where it has none."""
    try:
        return Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii").replace("-", "")[:8]
    except OSError:
        return "00000000"


class Machine:
    """The only words about time that don't come from another machine or a person; a simulation has its own."""

    def boot(self) -> str:
        """The id of this boot, 8 hex digits."""
        return boot_id()

    def boottime_ns(self) -> int:
        """CLOCK_BOOTTIME in nanoseconds: it never steps, and counts through sleep."""
        return time.clock_gettime_ns(time.CLOCK_BOOTTIME)

    def wall_ns(self) -> int:
        """The wall clock, Unix nanoseconds."""
        return time.time_ns()

    def error_ms(self) -> int | None:
        """The kernel's bound on its wall clock's error, None when it isn't synchronised."""
        return kernel_error_ms()
