"""A worker: one thread that does its work turn by turn, sleeps in between, and is woken when there is something new."""

from __future__ import annotations

import logging
import threading
from typing import TYPE_CHECKING

from protocol.errors import K12EdgeError

if TYPE_CHECKING:
    from hub.store.database import Database


class Worker:
    """See the room. `turn` is the implementer's: it does a piece of work, and never raises."""

    def __init__(self) -> None:
        """Nothing was done yet. `progress` grows with each turn: the watchdog looks at it."""
        self._wake = threading.Event()
        self._stopping = threading.Event()
        self.progress = 0

    def turn(self) -> int:
        """Do one piece; the ms to wait before the next turn, unless something new comes."""
        raise NotImplementedError

    def wake(self) -> None:
        """There is something new."""
        self._wake.set()

    def stop(self) -> None:
        """End `run` after the turn under way."""
        self._stopping.set()
        self._wake.set()

    def run(self) -> None:
        """Work until stopped."""
        while not self._stopping.is_set():
            self.rest(self.turn())
        self.end()

    def rest(self, wait_ms: int) -> None:
        """Wait between two turns."""
        if wait_ms:
            self._wake.wait(wait_ms / 1000)
            self._wake.clear()

    def end(self) -> None:
        """What is to be done once `run` has ended."""


class RowsWorker(Worker):
    """A worker on the ledger's file, which may be full or failing: its thread goes on whatever it meets.

    `work` is the implementer's; where it raises, nothing of the turn counts, and the next one comes after a pause.
    """

    def __init__(self, database: Database, log: logging.Logger, failed_pause_ms: int) -> None:
        """`log` names the worker."""
        super().__init__()
        self._database, self._log, self._failed_pause_ms = database, log, failed_pause_ms
        self._failing = False
        self.fault: Exception | None = None
        """The last fault of ours that it met, for whoever looks for such."""

    def work(self) -> int:
        """Do one piece; the ms to wait before the next turn. May raise."""
        raise NotImplementedError

    def failed(self) -> None:
        """What is to be forgotten of a turn that raised."""

    def turn(self) -> int:
        """See Worker.turn."""
        self.progress += 1
        try:
            wait_ms = self.work()
        except K12EdgeError as problem:
            if not self._failing:
                self._log.error("the ledger can't be used: %s", problem)
            self._failing = True
        except Exception as problem:
            self._log.exception("a fault of ours")
            self.fault = problem
            self._database.met(problem)
        else:
            self._failing = False
            return wait_ms
        self.failed()
        return self._failed_pause_ms
