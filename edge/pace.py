"""The pace of a backlog: as many records under way as fill the line, and no more than a live tap can stand behind."""

from __future__ import annotations

from typing import Final

from protocol.batch import BATCH_EVENTS_MAX

BATCHES: Final = 8
"""Batches that share the window, so that a receipt for one lets the next one follow."""
WINDOW_MAX: Final = BATCHES * BATCH_EVENTS_MAX
"""Records under way at once: about 3 MB, a second of a 20 Mbit/s line."""
WINDOW_FIRST: Final = 32
WINDOW_MIN: Final = 16
"""About 13 kB: what TCP keeps under way anyway on a line that loses packets, half a second of one of 256 kbit/s."""
FAST_MS: Final = 100
"""A round trip that shows a line, a broker and a hub with nothing to wait for: the window grows eightfold a trip."""
ROOM_MS: Final = 300
"""So much over the shortest trip and the line isn't full yet: the window doubles in a trip."""
FULL_MS: Final = 1_200
"""More than that over the shortest trip (and over twice that trip), and a live tap would stand behind too much."""
AGAIN_MS: Final = 300_000
"""The shortest trip is measured anew after this time, with little under way: lines change."""


class Pace:
    """The window of one connection, from how long receipts take. Pure; times in ms of a clock that only grows.

    What is under way stands in the kernel's and the line's queues, before whatever is sent next. The time that a
    receipt takes beyond the shortest one is the time in those queues, so that is held between ROOM_MS and FULL_MS.
    """

    def __init__(self) -> None:
        """A line nobody knows."""
        self.window = WINDOW_FIRST
        self.trip_ms = 0
        self._shortest_ms: int | None = None
        self._measured_ms = 0
        self._cut_ms = 0

    def begin(self, now_ms: int) -> None:
        """A connection began, or the line is measured anew."""
        self.window = WINDOW_FIRST
        self.trip_ms = 0
        self._shortest_ms = None
        self._measured_ms = self._cut_ms = now_ms

    @property
    def batch(self) -> int:
        """Records in one batch of the backlog."""
        return max(WINDOW_MIN, self.window // BATCHES)

    @property
    def fast(self) -> bool:
        """Whether receipts came as fast as they can of late."""
        return 0 < self.trip_ms <= FAST_MS

    def receipted(self, records: int, sent_ms: int, now_ms: int, *, live: bool, filled: bool) -> None:
        """A receipt covers records that were offered once, at `sent_ms`; `filled`: the window was in use since.

        A second offer must not be told here: its receipt may be for the first.
        """
        if now_ms - self._measured_ms >= AGAIN_MS:
            self.begin(now_ms)
        trip_ms = now_ms - sent_ms
        self.trip_ms = max(trip_ms, self.trip_ms * 7 // 8)
        if self._shortest_ms is None or trip_ms < self._shortest_ms:
            self._shortest_ms = trip_ms
        over_ms = trip_ms - self._shortest_ms
        if live:
            return
        if over_ms > max(FULL_MS, self._shortest_ms):
            # Once a trip: what was sent before the last cut says nothing about it.
            if sent_ms >= self._cut_ms:
                self.window = max(WINDOW_MIN, self.window * FULL_MS // (2 * over_ms))
                self._cut_ms = now_ms
        elif filled and over_ms <= ROOM_MS:
            self.window = min(WINDOW_MAX, self.window + records * (7 if trip_ms <= FAST_MS else 1))
