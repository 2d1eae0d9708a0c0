"""The lane from a reader to its station: a bounded queue, so that a slow write never stops the reader's polling."""

from __future__ import annotations

import logging
import queue
import threading
from collections.abc import Callable
from contextlib import suppress
from typing import Final

from edge.ports import CardSeen, HandSeen, Signals, Warning_
from edge.station import Station

log = logging.getLogger("k12edge.lane")

WAITING_MAX: Final = 64
"""Cards seen and not yet written down; more than pass a gate while a failing card's fsync takes its 5 s."""
WAIT_AFTER_MS: Final = 180
"""A sighting that is not recorded by then says `wait`, so that nobody walks on; people sense a pause from 200 ms."""


class Lane:
    """One station's lane. The reader's thread puts, the lane's own thread takes; `patience` is asked by a third."""

    def __init__(self, station: Station, signals: Signals, mono_ns: Callable[[], int], busy: threading.Event) -> None:
        """`busy` is set whenever a sighting comes in."""
        self.station = station
        self._signals, self._mono_ns, self._busy = signals, mono_ns, busy
        self._queue: queue.Queue[tuple[int, CardSeen | HandSeen] | None] = queue.Queue(WAITING_MAX)
        self._lock = threading.Lock()
        self._open: dict[int, CardSeen | HandSeen] = {}
        self._warned: set[int] = set()
        self._numbers = 0
        self.done = 0
        self.overflowed = 0

    def put(self, seen: CardSeen | HandSeen) -> None:
        """Take a sighting in; never blocks. When the lane is full the card gets an alarm, not silence."""
        with self._lock:
            self._numbers += 1
            number = self._numbers
            self._open[number] = seen
        try:
            self._queue.put_nowait((number, seen))
        except queue.Full:
            self._closed(number)
            self.overflowed += 1
            self._signals.warn(Warning_("alarm", self.station.plan.name, None, "lane-full"))
            if isinstance(seen, HandSeen):
                seen.answered("lane-full", None, "served")
            return
        self._busy.set()

    def run(self) -> None:
        """Take sightings to the station until `end`."""
        while (item := self._queue.get()) is not None:
            self._take(*item)

    def turn(self) -> bool:
        """Take the one that waits longest, on the caller's thread; False when none waits."""
        with suppress(queue.Empty):
            item = self._queue.get_nowait()
            if item is not None:
                self._take(*item)
                return True
        return False

    def _take(self, number: int, seen: CardSeen | HandSeen) -> None:
        try:
            self.station.take(seen)
        except Exception:
            # A fault of ours must not close the lane for the next pupil; this one gets an alarm.
            log.exception("station %s: a sighting could not be handled", self.station.plan.name)
            self._signals.warn(Warning_("alarm", self.station.plan.name, None, "internal-fault"))
            if isinstance(seen, HandSeen):
                seen.answered("internal-fault", None, "served")
        finally:
            self._closed(number)
            self.done += 1

    def _closed(self, number: int) -> None:
        with self._lock:
            self._open.pop(number, None)
            self._warned.discard(number)

    def end(self) -> None:
        """Let `run` return when what is waiting has been taken; a full lane is stuck, and ends with the process."""
        with suppress(queue.Full):
            self._queue.put_nowait(None)

    def oldest_ns(self) -> int | None:
        """When the card was seen that waits longest for its record; None where none waits. From any thread."""
        with self._lock:
            return min((seen.seen_mono_ns for seen in self._open.values()), default=None)

    def progress(self) -> int | None:
        """A number that grows with each sighting taken; None while none waits."""
        return self.done if self._open else None

    def patience(self) -> bool:
        """Say `wait` once for each sighting that takes too long; False when nothing is under way."""
        now_ns = self._mono_ns()
        with self._lock:
            waiting = bool(self._open)
            late = [
                (number, seen)
                for number, seen in self._open.items()
                if number not in self._warned and now_ns - seen.seen_mono_ns > WAIT_AFTER_MS * 1_000_000
            ]
            self._warned.update(number for number, _ in late)
        for _, seen in late:
            card = self.station.keyed(seen.card) if isinstance(seen, CardSeen) else self.station.keyed_by_hand(seen)
            self._signals.warn(Warning_("wait", self.station.plan.name, card, "slow-storage"))
        return waiting
