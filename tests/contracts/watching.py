"""A supervised reader on its own thread, and what it saw: for every test that holds a card to a driver."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from random import Random

from edge.clock import SystemClock
from edge.ports import CardSeen, Reader
from edge.readers.opening import make_reader
from edge.readers.supervisor import ReaderSupervisor
from protocol.cards import CardUid
from protocol.errors import ReaderLost
from tests.patience import within

CLOCK = SystemClock()


def opened(reader: Reader, within_s: float = 30) -> None:
    """Opens as the supervisor does, again where the reader didn't answer in time; any other refusal is raised."""
    deadline_s = time.monotonic() + within(within_s)
    while True:
        try:
            return reader.open()
        except ReaderLost as problem:
            if type(problem) is not ReaderLost or time.monotonic() > deadline_s:
                raise


class Watch:
    """A supervised reader on its own thread, and what it saw. `reader`: one ready-made, or an address."""

    def __init__(self, reader: str | Reader) -> None:
        made = make_reader(reader) if isinstance(reader, str) else reader
        self.seen: list[CardSeen] = []
        self._changed = threading.Condition()
        self._stop = threading.Event()
        self.keeper = ReaderSupervisor("r", made, self._see, CLOCK.mono_ns, Random(1))
        self._thread = threading.Thread(target=self.keeper.run, args=(self._stop,))

    def start(self) -> None:
        self._thread.start()

    def _see(self, seen: CardSeen) -> None:
        with self._changed:
            self.seen.append(seen)
            self._changed.notify_all()

    def cards(self) -> list[CardUid]:
        return [seen.card for seen in self.seen]

    def await_ready(self, within_s: float = 5) -> None:
        """Until the reader is open."""
        assert self.keeper.ready.wait(within(within_s)), self.keeper.counts

    def await_that(self, what: Callable[[], bool], within_s: float = 10) -> None:
        """Until `what` holds, which is asked anew with each sighting."""
        with self._changed:
            assert self._changed.wait_for(what, within(within_s)), (self.cards(), self.keeper.counts)

    def await_count(self, count: int, within_s: float = 10) -> None:
        """Until there are so many sightings, or more."""
        self.await_that(lambda: len(self.seen) >= count, within_s)

    def await_cards(self, *cards: CardUid, within_s: float = 5) -> None:
        """Until as many sightings as these are there; they are these, in this order, and no others."""
        with self._changed:
            self._changed.wait_for(lambda: len(self.seen) >= len(cards), within(within_s))
        assert self.cards() == list(cards), self.keeper.counts

    def await_error(self, code: str | None, within_s: float = 10) -> None:
        """Until this is what is wrong with the reader; None: until nothing is, and it is open."""
        deadline = time.monotonic() + within(within_s)
        while self.keeper.counts.error != code or (code is None and not self.keeper.ready.is_set()):
            assert time.monotonic() < deadline, self.keeper.counts
            time.sleep(0.005)

    def close(self) -> None:
        self._stop.set()
        self._thread.join(5)
        assert not self._thread.is_alive(), "a reader's thread ends when it is told to"


@contextmanager
def watching(reader: str | Reader) -> Iterator[Watch]:
    """Watch it until the block ends."""
    watch = Watch(reader)
    watch.start()
    try:
        yield watch
    finally:
        watch.close()
