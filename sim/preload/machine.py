"""A machine's clocks as a test sets them, and the truth beside them, which only the test knows."""

from __future__ import annotations

import time
from dataclasses import dataclass
from pathlib import Path
from random import Random
from typing import Final

from sim.preload.control import Control

DAY_NS: Final = 86_400 * 10**9
BORN_1970_NS: Final = 3 * 10**9
"""What a clock without a battery says some seconds after its start."""


class World:
    """The true time, which goes on with the real one and can be moved on; machines follow as they are told."""

    def __init__(self, true_ms: int) -> None:
        """It is `true_ms` (Unix ms) now."""
        self._ahead_ns = true_ms * 1_000_000 - time.monotonic_ns()

    def now_ns(self) -> int:
        """The true time in ns."""
        return time.monotonic_ns() + self._ahead_ns

    def forward(self, by_ns: int, machines: dict[Machine, int]) -> None:
        """Let time pass at once; each machine's crystal is off by so many ppm meanwhile."""
        self._ahead_ns += by_ns
        for machine, ppm in machines.items():
            machine.pass_time(by_ns + by_ns * ppm // 1_000_000)


@dataclass(frozen=True, slots=True)
class _Stretch:
    """From `mono_ns` on CLOCK_BOOTTIME ran beside the truth, which was `true_ns` there."""

    mono_ns: int
    true_ns: int


class Machine:
    """One box: CLOCK_BOOTTIME, wall clock, NTP, boot id; and how each boot's CLOCK_BOOTTIME stood to the truth."""

    def __init__(self, world: World, control: Control, seed: int = 0) -> None:
        """Off; `boot` comes first."""
        self._world, self._control, self._rng = world, control, Random(seed)
        self._wall_ns = self._boot_ns = 0
        self._maxerror_us: int | None = None
        self._boot_file = ""
        self.boot_id = ""
        self._stretches: dict[str, list[_Stretch]] = {}

    @property
    def control(self) -> Control:
        """The control file."""
        return self._control

    def boot(self, wall_ms: int | None = None) -> None:
        """A fresh boot: CLOCK_BOOTTIME from some seconds on, no NTP; the wall clock at `wall_ms`, 1970 without it."""
        name = bytes(self._rng.randbytes(16)).hex()
        file = Path(f"{self._control.path}.boot-{len(self._stretches)}")
        file.write_text(f"{name[:8]}-{name[8:12]}-{name[12:16]}-{name[16:20]}-{name[20:]}\n", encoding="ascii")
        self.boot_id, self._boot_file, self._maxerror_us = name[:8], str(file), None
        mono_ns = self._rng.randrange(5, 40) * 10**9
        self._boot_ns = mono_ns - time.clock_gettime_ns(time.CLOCK_BOOTTIME)
        self._stretches[self.boot_id] = []
        self._stretch()
        self._set_wall(BORN_1970_NS if wall_ms is None else wall_ms * 1_000_000)

    def _stretch(self) -> None:
        mono_ns = time.clock_gettime_ns(time.CLOCK_BOOTTIME) + self._boot_ns
        self._stretches[self.boot_id].append(_Stretch(mono_ns, self._world.now_ns()))

    def _set_wall(self, wall_ns: int) -> None:
        self._wall_ns = wall_ns - time.time_ns()
        self._tell()

    def _tell(self) -> None:
        self._control.clocks(self._wall_ns, self._boot_ns, self._maxerror_us, self._boot_file)

    def synchronise(self, maxerror_us: int = 4_000, off_us: int = 1_000) -> None:
        """NTP: the wall clock is right but for `off_us`, and the kernel vouches for `maxerror_us`."""
        assert abs(off_us) <= maxerror_us
        self._maxerror_us = maxerror_us
        self._set_wall(self._world.now_ns() + off_us * 1000)

    def step(self, by_s: float) -> None:
        """Somebody sets the wall clock: the kernel vouches for nothing any more (ntp_clear of the kernel)."""
        self._wall_ns += int(by_s * 1e9)
        self._maxerror_us = None
        self._tell()

    def set_right(self, off_ms: int = 0) -> None:
        """Somebody sets the wall clock to the truth, give or take; NTP vouches for nothing."""
        self._maxerror_us = None
        self._set_wall(self._world.now_ns() + off_ms * 1_000_000)

    def lose_ntp(self) -> None:
        """The kernel gives up its bound; the wall clock runs on."""
        self._maxerror_us = None
        self._tell()

    def pass_time(self, by_ns: int) -> None:
        """By this machine's crystal `by_ns` have passed at once."""
        self._boot_ns += by_ns
        self._wall_ns += by_ns
        self._stretch()
        self._tell()

    def truth_ms(self, boot_id: str, mono_ms: int) -> float:
        """When it truly was `mono_ms` of a boot."""
        mono_ns = mono_ms * 1_000_000
        stretches = self._stretches[boot_id]
        at = next((one for one in reversed(stretches) if one.mono_ns - 2_000_000 <= mono_ns), stretches[0])
        return (at.true_ns + mono_ns - at.mono_ns) / 1e6
