"""The forwarder: one thread that submits what the city is owed and writes each answer before the next step."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import TYPE_CHECKING, Final

from hub.forwarding.owing import BATCH_MAX, Forwarding
from hub.worker import Worker
from protocol.errors import K12EdgeError

if TYPE_CHECKING:
    from hub.clock import HubClock
    from hub.ports import City
    from hub.store.forwardrows import ForwardRows
    from hub.store.ledger import Ledger

log = logging.getLogger("k12edge.forwarder")

IDLE_MS: Final = 5_000
GATHER_MS: Final = 2_000
"""After an answer what comes next is gathered for so long, unless a whole batch waits: in a crowd a request for every
tap would cost the hub's disk a sync each, and the city as many requests as pupils."""
FAILED_PAUSE_MS: Final = 1_000


class Forwarder(Worker):
    """See the room. `told(device, journal)` hears which journals the city answered about."""

    def __init__(
        self,
        ledger: Ledger,
        rows: ForwardRows,
        forwarding: Forwarding,
        client: City,
        clock: HubClock,
        told: Callable[[str, str], None],
    ) -> None:
        """Nothing is submitted yet."""
        super().__init__()
        self._ledger, self._rows, self._forwarding = ledger, rows, forwarding
        self._client, self._clock, self._told = client, clock, told
        self._failed_until_ms = self._gather_until_ms = 0
        self.trouble: str | None = None

    def end(self) -> None:
        """Give the connections back."""
        self._client.close()

    def turn(self) -> int:
        """Submit one batch; the ms to wait before the next turn, unless something new comes."""
        self.progress += 1
        now_ms = self._clock.mono_ms()
        # While the city is left alone nothing is read: in an outage every tap would read the whole window again.
        until_ms = max(self._failed_until_ms, self._forwarding.paused_until_ms)
        if now_ms < until_ms:
            return min(IDLE_MS, until_ms - now_ms)
        try:
            if now_ms < self._gather_until_ms and not self._plenty():
                return self._gather_until_ms - now_ms
            return 0 if self._owing() and self._step() else self._idle_ms()
        except K12EdgeError as problem:
            log.error("the ledger can't be used: %s", problem)
        except Exception as problem:
            # A fault of ours mustn't end the road to the city for good; what is owed stands in its rows.
            log.exception("forwarding failed")
            self._ledger.database.met(problem)
        self._failed_until_ms = self._clock.mono_ms() + FAILED_PAUSE_MS
        return FAILED_PAUSE_MS

    def _idle_ms(self) -> int:
        wait_ms = self._forwarding.paused_until_ms - self._clock.mono_ms()
        if wait_ms <= 0:
            with self._ledger.database.lock:
                due_ms = self._rows.next_due_ms()
            if due_ms is None:
                return IDLE_MS
            wait_ms = due_ms - self._clock.now_ms()
        return max(20, min(IDLE_MS, wait_ms))

    def _plenty(self) -> bool:
        with self._ledger.database.lock:
            return self._rows.new() >= BATCH_MAX

    def _owing(self) -> bool:
        """Whether anything waits at all; most looks find nothing, and need no transaction for it."""
        with self._ledger.database.lock:
            return self._rows.new() > 0 or self._rows.put_off()

    def _step(self) -> bool:
        """Submit one batch; False when nothing else is due."""
        now_ms = self._clock.now_ms()
        database = self._ledger.database
        with database.lock:
            if self._rows.put_off():
                with database.transaction():
                    self._rows.release_anchored()
                    self._rows.bring_near(now_ms)
            window = self._rows.window(now_ms, self._forwarding.size)
            if window.through > window.cursor and not window.owed:
                with database.transaction():
                    self._rows.write(window, [], [], now_ms)
                return window.full
        batch = self._forwarding.next_batch(self._clock.mono_ms(), window.owed)
        if not batch:
            return False
        answer = self._client.submit([owed.raw for owed in batch])
        now_ms = self._clock.now_ms()
        verdict = self._forwarding.apply(self._clock.mono_ms(), batch, answer)
        touched: set[tuple[str, str]] = set()
        if verdict.changes:
            with database.transaction():
                touched = self._rows.write(window, batch, verdict.changes, now_ms)
        if verdict.alarm is not None:
            with database.transaction():
                self._ledger.alarm(verdict.alarm, "city", self._forwarding.pause_reason or "", now_ms)
        self._note(self._forwarding.pause_reason)
        for device, journal in touched:
            self._told(device, journal)
        # What came meanwhile has woken us; what waits has its due time.
        more = window.full or len(verdict.changes) < len(window.owed)
        if not more:
            self._gather_until_ms = self._clock.mono_ms() + GATHER_MS
        return more

    def _note(self, reason: str | None) -> None:
        if reason != self.trouble:
            if reason is None:
                log.info("the city answers")
            else:
                log.warning("the city can't be used now: %s", reason)
        self.trouble = reason
