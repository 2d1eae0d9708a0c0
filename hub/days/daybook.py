"""The daybook: reads the ledger's records in the order of their commits, and writes down what school days are made of.

A record was taken, receipted and owed to the city before it comes here. What people enter at the hub is read at once,
in the transaction that stores it; reading it again later changes nothing.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Final

from hub.cards.holders import whose
from hub.days.scribe import Scribe, name_of
from hub.store.dayrows import TapRow
from hub.worker import RowsWorker
from protocol.envelope import decode_event
from protocol.taps import JsonObject, TapId

if TYPE_CHECKING:
    from hub.parts import Store

log = logging.getLogger("k12edge.daybook")

GROUP: Final = 200
"""Records in one transaction: a gateway's batch waits for the ledger no longer than for another batch."""
BETWEEN_MS: Final = 10
"""After a whole group, for others who wait for the ledger."""
GATHER_MS: Final = 100
"""What comes is gathered for so long: a page shows a tap soon enough, and each transaction costs the disk a sync."""
IDLE_MS: Final = 5_000
FAILED_PAUSE_MS: Final = 1_000
UNREAD_MAX: Final = 2_000
"""More unread records than a hub leaves at its end: then what people said is among them, and is read again."""


class Daybook(RowsWorker):
    """See the room. `progress` grows with each turn; `on_change` hears after each commit that something is new."""

    def __init__(self, store: Store) -> None:
        """Nothing was read yet."""
        super().__init__(store.ledger.database, log, FAILED_PAUSE_MS)
        self._store, self._ledger, self._rows = store, store.ledger, store.days
        self._scribe = Scribe(store, store.days)
        self.on_change: Callable[[], None] = lambda: None
        self.rereading = self._rows.newest() - self._rows.cursor() > UNREAD_MAX
        """Whether words of people are still to be read again; else each is written down with its record."""

    def rest(self, wait_ms: int) -> None:
        """What comes within a pause is read with the next group."""
        if wait_ms in (BETWEEN_MS, GATHER_MS):
            self._stopping.wait(wait_ms / 1000)
        else:
            super().rest(wait_ms)

    def work(self) -> int:
        """Read one group; the ms to wait before the next turn, unless something new comes."""
        read = self.catch_up(GROUP) or self.attribute(GROUP)
        if read == 0:
            return IDLE_MS
        self.on_change()
        return BETWEEN_MS if read == GROUP else GATHER_MS

    def catch_up(self, limit: int) -> int:
        """Read up to `limit` records that were not read yet, in one transaction; how many."""
        with self._ledger.database.lock:
            if self._rows.newest() <= self._rows.cursor():
                self.rereading = False
                return 0
        with self._ledger.database.transaction():
            return self._scribe.read(limit)

    def attribute(self, limit: int) -> int:
        """See that the city knows whose the next `limit` records' taps are, once all was read; how many were seen to.

        Within a transaction of its own. Corrections that come back from the city aren't made again: they are awaited.
        What a gateway believed stands until its clock is known: then it comes again.
        """
        with self._ledger.database.lock:
            done, newest = self._rows.attributed_to(), self._rows.newest()
            if done >= newest or self._rows.cursor() < newest or self._store.regaining():
                return 0
        with self._ledger.database.transaction():
            last, taps = self._rows.taps_behind(done, limit)
            corrected = self.correct(taps)
            self._rows.move_attributed(last)
        return last - done + corrected

    def correct(self, taps: Iterable[TapRow]) -> int:
        """Append a correction for each tap that is somebody else's than the city was told; how many. In a transaction.

        Whose it is, the cards say as they were when it was made.
        """
        known = self._store.holders.bindings()
        names = {name_of(self._ledger, tap): tap for tap in taps if tap.kind in ("gate", "canteen")}
        told = self._rows.corrections(names)
        count = 0
        for name, tap in names.items():
            book = self._ledger.books.numbered(tap.journal)
            when = self._store.anchors.of(book.source).effective_at(book.journal, tap.reading())
            if when.quality == "estimated":
                continue
            was = told[name].student if name in told else tap.student
            student = whose(known, tap.card, when.best_ms, was)
            if student != was:
                self._append_correction(name, book.source, tap, was, student)
                count += 1
        return count

    def _append_correction(self, name: str, source: str, tap: TapRow, was: str | None, student: str | None) -> None:
        newest = self._store.secrets.card_keys()[-1]
        card = tap.card if tap.card.startswith("hk") else newest.keyed_text(tap.card)
        data = {
            "tap": name,
            "source": source,
            "was": was,
            "student": student,
            "card": card,
            "why": "holder",
            "detail": "",
            "by": "-",
        }
        kind = "meal.correction" if tap.kind == "canteen" else "attendance.correction"
        self.enter(kind, data, None if student is None else f"student/{student}")

    def anew(self) -> None:
        """Forget all that was read; the next turns read it again, from the first record on."""
        with self._ledger.database.transaction():
            self._rows.forget()
            self.rereading = True
        self.wake()

    def enter(self, kind: str, data: JsonObject, subject: str | None = None) -> TapId:
        """Append a record of the hub's own and write down what it says; within a transaction."""
        own = self._store.own or self._store.open_own_journal()
        tap = own.append(kind, data, subject)
        raw = self._ledger.raw_at(own.book, tap.sequence)
        assert raw is not None
        self._scribe.note(decode_event(raw))
        return tap
