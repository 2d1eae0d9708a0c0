"""The wall clock and who vouches for it: of one moment, whatever a time daemon or another thread does meanwhile."""

from __future__ import annotations

import threading

from host.machine import Machine
from host.wallclock import KERNEL_LOOK_NS, WallClock

HOUR_NS = 3_600 * 10**9
TRUE_NS = 1_800_000_000 * 10**9


class Late(Machine):
    """A machine that is an hour behind until its time daemon sets the clock and vouches for it, in one step."""

    def __init__(self) -> None:
        self.behind_ns = HOUR_NS
        self.passed_ns = 0
        self.asked = 0
        self.set_at = 0
        self.steps_for_ever = False

    def boottime_ns(self) -> int:
        return 10**12 + self.passed_ns

    def wall_ns(self) -> int:
        return TRUE_NS + self.passed_ns - self.behind_ns

    def error_ms(self) -> int | None:
        self.asked += 1
        if self.asked == self.set_at:
            self.behind_ns = 0
        if self.steps_for_ever:
            self.behind_ns += HOUR_NS
            return 3
        return None if self.behind_ns else 3


def test_a_clock_that_is_set_between_the_look_and_the_question_is_looked_at_again() -> None:
    machine = Late()
    machine.set_at = 2
    clock = WallClock(machine)
    before = clock.look()
    assert before.kernel_ms is None and before.offset_ns == TRUE_NS - HOUR_NS - 10**12
    machine.passed_ns = KERNEL_LOOK_NS
    after = clock.look()
    assert after.kernel_ms == 3 and after.offset_ns == TRUE_NS - 10**12


def test_another_threads_word_does_not_vouch_for_a_clock_read_before_it() -> None:
    machine = Late()
    clock = WallClock(machine)
    clock.look()
    both = clock.both

    def held() -> object:
        """Between this thread's look at the clocks and what it does with it another thread looks."""
        found = both()
        if machine.behind_ns:
            machine.behind_ns = 0
            clock.both = both  # type: ignore[method-assign]
            other = threading.Thread(target=clock.look)
            other.start()
            other.join()
        return found

    clock.both = held  # type: ignore[method-assign,assignment]
    look = clock.look()
    assert look.kernel_ms == 3 and look.offset_ns == TRUE_NS - 10**12


def test_a_clock_that_is_set_at_each_look_is_vouched_for_by_nobody() -> None:
    machine = Late()
    machine.steps_for_ever = True
    assert WallClock(machine).look().kernel_ms is None
