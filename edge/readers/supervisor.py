"""A reader's keeper: one thread that opens, polls, and reopens whatever a driver throws."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from random import Random
from typing import TypeVar

from edge.ports import CardSeen, Reader
from edge.readers.keeping import Keeping, ReaderCounts
from edge.watermark import Sight
from protocol.status import ReaderCounters

T = TypeVar("T")

log = logging.getLogger("k12edge.reader")


class ReaderSupervisor:
    """The thread and the calls; what follows from them is `keeping`'s. `on_seen` must not block: it puts into a queue.

    `progress_mono_ns` changes as long as the thread moves. `ready` is set while the reader is open.
    """

    def __init__(
        self,
        name: str,
        reader: Reader,
        on_seen: Callable[[CardSeen], None],
        mono_ns: Callable[[], int],
        rng: Random,
        on_error: Callable[[str, str], None] = lambda *_: None,
    ) -> None:
        """Nothing is opened yet. `on_error` is told the code of each new error, and what happened."""
        self._on_error = on_error
        self.name, self.partials = name, reader.partials
        self._reader, self._on_seen, self._mono_ns = reader, on_seen, mono_ns
        self.keeping = Keeping(reader, rng, mono_ns())
        self.ready = threading.Event()
        self.progress_mono_ns = mono_ns()

    @property
    def counts(self) -> ReaderCounts:
        """What happened since the start."""
        return self.keeping.counts

    @property
    def state(self) -> str:
        """`ready`, or the code of what is wrong; `opening` while nothing is known."""
        if self.is_stuck:
            return "reader-stuck"
        return self.counts.error or ("ready" if self.counts.polls else "opening")

    @property
    def is_stuck(self) -> bool:
        """Whether the driver has not returned for longer than it may take; from any thread."""
        return self.keeping.is_stuck(self._mono_ns())

    def counters(self) -> ReaderCounters:
        """What is told of the reader; from any thread."""
        counts = self.counts
        return ReaderCounters(
            counts.opens, counts.losses, counts.polls, counts.faults, counts.sightings, self._reader.unread
        )

    def sight(self) -> Sight:
        """What the watermark asks of the reader; from any thread."""
        keeping = self.keeping
        return Sight(self.name, self.state, keeping.looked_ns, keeping.open_ns, keeping.away)

    def run(self, stop: threading.Event) -> None:
        """Read until `stop`; never raises."""
        while not stop.wait(self.keeping.wait_s()):
            try:
                self._serve(stop)
            except Exception as problem:
                news = self.keeping.given_up(problem)
                if news is not None:
                    log.log(logging.ERROR if news.refused else logging.WARNING, "reader %s: %s", self.name, news.text)
                    self._on_error(news.code, news.text)
            self.ready.clear()
            self._close()

    def _serve(self, stop: threading.Event) -> None:
        """Open and poll until `stop`; raises what ended it."""
        keeping, pause_s = self.keeping, self._reader.pause_s
        self._call(self._reader.open)
        keeping.opened(self._mono_ns())
        self.ready.set()
        while not stop.is_set():
            try:
                reads = self._call(self._reader.poll)
            except Exception as problem:
                if keeping.missed(problem):
                    raise
                stop.wait(pause_s)
                continue
            for seen in keeping.looked(self.progress_mono_ns, reads):
                self._on_seen(seen)
            keeping.handed(self.progress_mono_ns)
            if pause_s:
                stop.wait(pause_s)

    def _call(self, work: Callable[[], T]) -> T:
        """Have the driver do something, watched."""
        self.progress_mono_ns = self._mono_ns()
        self.keeping.calling(self.progress_mono_ns)
        try:
            return work()
        finally:
            self.keeping.returned()
            self.progress_mono_ns = self._mono_ns()

    def _close(self) -> None:
        try:
            self._call(self._reader.close)
        except Exception as problem:
            log.warning("reader %s: closing failed: %s", self.name, problem)
        self.keeping.closed()
