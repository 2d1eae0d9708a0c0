"""The loop: true time, and what is to happen when. One thread, no waiting; the same plan gives the same order."""

from __future__ import annotations

import heapq
from collections.abc import Callable
from typing import Final

MS: Final = 1_000_000
"""Nanoseconds in a millisecond: true time is counted in Unix nanoseconds."""
SECOND: Final = 1_000 * MS
MINUTE: Final = 60 * SECOND
HOUR: Final = 60 * MINUTE
DAY: Final = 24 * HOUR


class Timer:
    """Something that is to happen; `cancel` it, and it doesn't."""

    __slots__ = ("at_ns", "work")

    def __init__(self, at_ns: int, work: Callable[[], None]) -> None:
        """Not yet."""
        self.at_ns = at_ns
        self.work: Callable[[], None] | None = work

    def cancel(self) -> None:
        """Never mind."""
        self.work = None


class Loop:
    """See the room."""

    def __init__(self, now_ns: int) -> None:
        """Begin at a true time in Unix nanoseconds."""
        self.now_ns = now_ns
        self.steps = 0
        self._heap: list[tuple[int, int, Timer]] = []
        self._number = 0

    def at(self, at_ns: int, work: Callable[[], None]) -> Timer:
        """Do `work` at a true time, at once if it has passed; things of one time happen in the order of asking."""
        timer = Timer(max(at_ns, self.now_ns), work)
        self._number += 1
        heapq.heappush(self._heap, (timer.at_ns, self._number, timer))
        return timer

    def after(self, wait_ns: int, work: Callable[[], None]) -> Timer:
        """Do `work` in `wait_ns` from now."""
        return self.at(self.now_ns + wait_ns, work)

    def run(self, until_ns: int, done: Callable[[], bool] | None = None) -> bool:
        """Let time pass to `until_ns`, or until `done`, which is asked after each step; whether it was."""
        while self._heap and self._heap[0][0] <= until_ns:
            at_ns, _, timer = heapq.heappop(self._heap)
            if timer.work is None:
                continue
            self.now_ns = at_ns
            self.steps += 1
            timer.work()
            if done is not None and done():
                return True
        self.now_ns = max(self.now_ns, until_ns)
        return False


class Turn:
    """A part's next turn: once, and as early as anybody has asked for since the last one."""

    def __init__(self, loop: Loop, work: Callable[[], None]) -> None:
        """None is planned."""
        self._loop, self._work = loop, work
        self._timer: Timer | None = None

    def plan(self, after_ns: int) -> None:
        """In `after_ns` from now, unless it is to be earlier already."""
        at_ns = self._loop.now_ns + after_ns
        if self._timer is not None:
            if self._timer.at_ns <= at_ns:
                return
            self._timer.cancel()
        self._timer = self._loop.at(at_ns, self._come)

    def _come(self) -> None:
        self._timer = None
        self._work()

    def cancel(self) -> None:
        """None, until it is planned again."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
