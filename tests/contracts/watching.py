"""A supervised reader on its own thread, and what it saw: for every test that holds a card to a driver."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from random import Random

from edge.clock import SystemClock
from edge.ports import CardSeen
from edge.readers.opening import make_reader
from edge.readers.supervisor import ReaderSupervisor
from protocol.cards import CardUid

CLOCK = SystemClock()


class Watch:
    """A supervised reader on its own thread, and what it saw."""

    def __init__(self, url: str) -> None:
        self.seen: list[CardSeen] = []
        self._changed = threading.Condition()
        self._stop = threading.Event()
        self.keeper = ReaderSupervisor("r", make_reader(url), self._see, CLOCK.mono_ns, Random(1))
        self._thread = threading.Thread(target=self.keeper.run, args=(self._stop,))

    def start(self) -> None:
        self._thread.start()

    def _see(self, seen: CardSeen) -> None:
        with self._changed:
            self.seen.append(seen)
            self._changed.notify_all()

    def await_count(self, count: int, within_s: float = 10) -> None:
        with self._changed:
            assert self._changed.wait_for(lambda: len(self.seen) >= count, within_s), (self.cards(), self.keeper.counts)

    def cards(self) -> list[CardUid]:
        return [seen.card for seen in self.seen]

    def close(self) -> None:
        self._stop.set()
        self._thread.join(3)
        assert not self._thread.is_alive(), "a reader's thread ends when it is told to"


@contextmanager
def watching(url: str) -> Iterator[Watch]:
    watch = Watch(url)
    watch.start()
    try:
        yield watch
    finally:
        watch.close()
