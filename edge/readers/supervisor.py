"""A reader's keeper: one thread that opens, polls, and reopens whatever a driver throws."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from dataclasses import dataclass, replace
from random import Random
from typing import Final

from edge.ports import CardSeen, Reader, ReaderGone
from edge.readers.presence import Presence
from protocol.errors import K12EdgeError, ReaderRefused

log = logging.getLogger("k12edge.reader")

BACKOFF_FIRST_S: Final = 0.2
BACKOFF_MAX_S: Final = 5.0
FAULTS_IN_ROW_MAX: Final = 5
"""Polls that fail in a row before the reader is reopened; a single lost frame isn't worth it."""


@dataclass(slots=True)
class ReaderCounts:
    """What happened since the start; `error` is the code of the last fault, None while all is well."""

    opens: int = 0
    losses: int = 0
    polls: int = 0
    faults: int = 0
    sightings: int = 0
    error: str | None = None


class ReaderSupervisor:
    """See the room. `on_seen` must not block: it puts the sighting into a bounded queue."""

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
        self._reader, self._on_seen, self._mono_ns, self._rng = reader, on_seen, mono_ns, rng
        self._presence = Presence(moments=reader.moments)
        self.counts = ReaderCounts()
        self.ready = threading.Event()
        self.progress_mono_ns = mono_ns()
        self._told = ""

    def run(self, stop: threading.Event) -> None:
        """Read until `stop`; never raises."""
        backoff_s = BACKOFF_FIRST_S
        while not stop.is_set():
            self.progress_mono_ns = self._mono_ns()
            polls = self.counts.polls
            self._serve(stop)
            self.ready.clear()
            if stop.is_set():
                break
            if self.counts.polls > polls:
                backoff_s = BACKOFF_FIRST_S
            self.progress_mono_ns = self._mono_ns()
            stop.wait(backoff_s * (0.75 + self._rng.random() / 2))
            backoff_s = min(BACKOFF_MAX_S, backoff_s * 2)
        self._close()

    def _serve(self, stop: threading.Event) -> None:
        """Open and poll until the reader is lost."""
        faults, pause_s = 0, self._reader.pause_s
        try:
            self._reader.open()
            self.counts.opens += 1
            self._presence.reopened(self._mono_ns())
            self.ready.set()
            while not stop.is_set():
                try:
                    reads = self._reader.poll()
                except Exception as problem:
                    faults += 1
                    self.counts.faults += 1
                    if faults >= FAULTS_IN_ROW_MAX or isinstance(problem, ReaderGone):
                        raise
                    continue
                faults = 0
                self.counts.polls += 1
                self.counts.error = None
                now_ns = self.progress_mono_ns = self._mono_ns()
                for seen in self._presence.step(now_ns, reads):
                    self.counts.sightings += 1
                    self._on_seen(self._as_listed(seen))
                if pause_s:
                    stop.wait(pause_s)
        except Exception as problem:
            self._note(problem)
            self._presence.lost(self._mono_ns())
        finally:
            self._close()

    def _as_listed(self, seen: CardSeen) -> CardSeen:
        card = seen.card
        plan = next((plan for plan in self.partials if card.partial and 2 * plan.octets == len(card.hex)), None)
        return seen if plan is None else replace(seen, listed=plan.listed(card))

    def _note(self, problem: Exception) -> None:
        code = problem.code if isinstance(problem, K12EdgeError) else "reader-lost"
        refused = isinstance(problem, ReaderRefused)
        if self.counts.error is None:
            self.counts.losses += 1
        # Told once, not with each try; whoever mends a refusal is told what else is wrong.
        if self.counts.error != code or (refused and str(problem) != self._told):
            log.log(logging.ERROR if refused else logging.WARNING, "reader %s: %s", self.name, problem)
            self._on_error(code, str(problem))
        self.counts.error, self._told = code, str(problem)

    def _close(self) -> None:
        try:
            self._reader.close()
        except Exception as problem:
            log.warning("reader %s: closing failed: %s", self.name, problem)
