"""The hub's clock: wall time with an error bound, which devices without a clock of their own rest on."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from host.machine import Machine
from host.wallclock import Look, WallClock
from hub.config import HubTimeSource
from protocol.time import Anchor, error_at

BORN_MS: Final = 1_767_225_600_000
"""2026-01-01 UTC: a clock before it was never set."""


class HubClock:
    """See the room. Where the kernel isn't synchronised, the last time that it was still bounds the wall clock.

    Where it never was in this boot, the bound is `assumed_error_ms`, a person's word.
    """

    def __init__(self, source: HubTimeSource, assumed_error_ms: int, machine: Machine | None = None) -> None:
        """Ask the kernel at most once a second."""
        self._source, self._assumed_error_ms = source, assumed_error_ms
        self._machine = machine or Machine()
        self._wall = WallClock(self._machine)
        self._boot = self._machine.boot()
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
        return self._boot

    def synchronised(self) -> bool:
        """Whether the kernel's clock follows NTP."""
        return self._look().kernel_ms is not None

    def error_ms(self) -> int | None:
        """The bound of `now_ms`; None where the clock can't be right, or only NTP may vouch and doesn't."""
        return self._bound_ms(self._look())

    def reading(self) -> tuple[int, int, int | None]:
        """CLOCK_BOOTTIME and the wall clock of one moment in ms, and the latter's bound; see error_ms."""
        look = self._look()
        err_ms = self._bound_ms(look)
        mono_ms, wall_ms = look.mono_ns // 1_000_000, look.wall_ns // 1_000_000
        return mono_ms, wall_ms, None if err_ms is None else err_ms + look.apart_ms

    def _look(self) -> Look:
        look, said = self._wall.look(), self._wall.said
        if said is not None and said.kernel_ms is not None:
            mono_ms, wall_ms = said.mono_ns // 1_000_000, said.wall_ns // 1_000_000
            self._certain = Anchor(self._boot, mono_ms, wall_ms, said.kernel_ms + said.apart_ms, "ntp")
        return look

    def _bound_ms(self, look: Look) -> int | None:
        mono_ms, wall_ms = look.mono_ns // 1_000_000, look.wall_ns // 1_000_000
        if wall_ms < BORN_MS:
            return None
        if self._source != "declared" and look.kernel_ms is not None:
            return look.kernel_ms
        if self._source == "ntp":
            return None
        certain = self._certain
        if self._source == "auto" and certain is not None:
            # A step since then is a part of the bound.
            off_ms = abs(wall_ms - mono_ms - (certain.wall_ms - certain.mono))
            return error_at(certain, mono_ms) + off_ms + look.apart_ms + 1
        return self._assumed_error_ms
