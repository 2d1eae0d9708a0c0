"""A simulated machine's time: a boot, a crystal that runs a little wrong, a wall clock that may never have been set."""

from __future__ import annotations

from random import Random
from typing import Final

from sim.world.loop import MS, Loop

DRIFT_PPM_MAX: Final = 90
"""Within what protocol.time.DRIFT_PPM allows for; a worse crystal would break the promise, and is no board's."""
NTP_ERROR_MS_MAX: Final = 40


class SimMachine:
    """What edge.clock.Machine and hub.clock.Machine ask, answered from true time. Times in ns, errors in ms."""

    def __init__(self, loop: Loop, rng: Random) -> None:
        """Just booted, its wall clock at 1970, nothing synchronised."""
        self._loop, self._rng = loop, rng
        self._ppm = rng.uniform(-DRIFT_PPM_MAX, DRIFT_PPM_MAX)
        self.synchronised = False
        self.reboot(battery=False)

    def reboot(self, *, battery: bool) -> None:
        """The power came back: a new boot; only a clock with a `battery` still knows the wall time."""
        wall_ns = self.wall_ns() if battery else 0
        self._booted_ns = self._loop.now_ns - self._rng.randrange(5_000, 40_000) * MS
        self._boot = f"{self._rng.getrandbits(32):08x}"
        self._offset_ns = 0
        self._error_ms: int | None = None
        self._true_error_ns = 0
        self.set_wall(wall_ns if battery else self.boottime_ns())

    def boot(self) -> str:
        """The id of this boot."""
        return self._boot

    def boottime_ns(self) -> int:
        """CLOCK_BOOTTIME, as the crystal counts it."""
        passed_ns = self._loop.now_ns - self._booted_ns
        return passed_ns + int(passed_ns * self._ppm / 1_000_000)

    def wall_ns(self) -> int:
        """The wall clock."""
        if self._error_ms is not None:
            return self._loop.now_ns + self._true_error_ns
        return self.boottime_ns() + self._offset_ns

    def error_ms(self) -> int | None:
        """The kernel's bound, None while nothing synchronises it."""
        return self._error_ms

    def set_wall(self, wall_ns: int) -> None:
        """Somebody sets the wall clock, or it jumps; nothing vouches for it then."""
        self._error_ms = None
        self._offset_ns = wall_ns - self.boottime_ns()

    def step_wall(self, by_ns: int) -> None:
        """The wall clock jumps by `by_ns`, and no longer follows NTP."""
        self.set_wall(self.wall_ns() + by_ns)

    def synchronise(self) -> None:
        """NTP takes hold: the wall clock is right within the bound that the kernel tells."""
        self._error_ms = self._rng.randrange(2, NTP_ERROR_MS_MAX)
        bound_ns = (self._error_ms - 1) * MS
        self._true_error_ns = self._rng.randrange(-bound_ns, bound_ns + 1)

    def lose_time(self) -> None:
        """NTP is gone: the wall clock runs on from where it is."""
        self.set_wall(self.wall_ns())
