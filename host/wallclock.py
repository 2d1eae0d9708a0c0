"""The wall clock beside CLOCK_BOOTTIME, both of one moment, and how far the kernel vouches for it at that moment.

A time daemon sets the clock and vouches for it in one step. So a bound asked for after the clock was read may be that
of another clock; and a thread that has to wait between two readings reads two moments.
"""

from __future__ import annotations

from typing import Final, NamedTuple

from host.machine import Machine

SET_NS: Final = 1_000_000
"""Between a look and the question that follows it the kernel slews by nothing; more than this was set."""
STEP_NS: Final = 10_000_000
"""The kernel slews by at most 0.5 ms a second; more than this within one is a step."""
TOGETHER_NS: Final = 200_000
LOOKS_MAX: Final = 4
"""Two clocks are read within TOGETHER_NS, or as near as LOOKS_MAX tries bring it; a bound is asked for as often."""
KERNEL_LOOK_NS: Final = 1_000_000_000


class Look(NamedTuple):
    """CLOCK_BOOTTIME and the wall clock (Unix) of one moment, in ns.

    `apart_ms`: how far apart the two may have been read, 0 within TOGETHER_NS; it belongs into any bound.
    `kernel_ms`: the kernel's bound on that wall clock, None where it vouches for none, or wasn't asked.
    """

    mono_ns: int
    wall_ns: int
    apart_ms: int
    kernel_ms: int | None = None

    @property
    def offset_ns(self) -> int:
        """What is to be added to CLOCK_BOOTTIME: it changes when the wall clock is stepped."""
        return self.wall_ns - self.mono_ns


class WallClock:
    """See the room. Threads may look at once: what is kept between looks is one value."""

    def __init__(self, machine: Machine) -> None:
        """The kernel wasn't asked yet."""
        self._machine = machine
        self.said: Look | None = None
        """The last look at which the kernel was asked."""

    def both(self) -> Look:
        """The two clocks; nobody is asked to vouch."""
        found, nearest_ns = (0, 0), 1 << 62
        for _ in range(LOOKS_MAX):
            before_ns = self._machine.boottime_ns()
            wall_ns = self._machine.wall_ns()
            apart_ns = self._machine.boottime_ns() - before_ns
            if apart_ns < nearest_ns:
                found, nearest_ns = (before_ns, wall_ns), apart_ns
            if nearest_ns <= TOGETHER_NS:
                return Look(*found, 0)
        return Look(*found, -(-nearest_ns // 1_000_000))

    def look(self) -> Look:
        """The two clocks with the kernel's bound, asked once a second, and at once when the clock was stepped."""
        for _ in range(LOOKS_MAX):
            now, said = self.both(), self.said
            if said is not None and now.mono_ns - said.mono_ns < KERNEL_LOOK_NS and not stepped(said, now):
                return now._replace(kernel_ms=said.kernel_ms)
            now = now._replace(kernel_ms=self._machine.error_ms())
            if not stepped(now, self.both(), SET_NS):
                self.said = now
                return now
        # Stepped at each look: nothing is certain of a clock like that.
        return self.both()


def stepped(before: Look, after: Look, by_ns: int = STEP_NS) -> bool:
    """Whether the wall clock was set between two looks, by more than `by_ns`."""
    apart_ns = (before.apart_ms + after.apart_ms) * 1_000_000
    return abs(after.offset_ns - before.offset_ns) > by_ns + apart_ns
