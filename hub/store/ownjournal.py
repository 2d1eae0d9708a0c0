"""The hub's own journal: what the hub and its people say, chained and forwarded like a gateway's records."""

from __future__ import annotations

import secrets
from typing import Final

from hub.clock import HubClock
from hub.store.anchorrows import AnchorRows
from hub.store.books import Book
from hub.store.ledger import Ledger, Row
from protocol.envelope import clock_data, decode_event, digest_bytes, encode_event, text_of
from protocol.signing import Identity
from protocol.taps import ClockReading, JsonObject, TapId

HEAD_EVERY_RECORDS: Final = 1_000
HEAD_EVERY_MS: Final = 600_000

RUNNING: Final = "own_journal"
"""The setting that names the journal of the run under way: what is regained from the city later comes behind it."""


def _before(ledger: Ledger) -> Book | None:
    """The journal of the run before this one."""
    noted = ledger.database.connection.execute("SELECT value FROM settings WHERE name = ?", (RUNNING,)).fetchone()
    book = None if noted is None else ledger.books.find(bytes(noted[0]).decode("ascii", "replace"))
    if book is not None and book.device is None and book.held:
        return book
    return next((one for one in reversed(ledger.books.all()) if one.device is None and one.held), None)


class OwnJournal:
    """One run of the hub. Records are stored in the transaction of what they speak of."""

    def __init__(
        self,
        ledger: Ledger,
        anchors: AnchorRows,
        identity: Identity,
        source: str,
        clock: HubClock,
        boot: str,
        version: str,
    ) -> None:
        """Commit `journal.opened`, which names the hub's journal before this one. Raises LedgerFull, LedgerFailed."""
        self._ledger, self._anchors, self._identity = ledger, anchors, identity
        self._source, self._clock, self._boot = source, clock, boot
        self._last, self._head = 0, ""
        self._heads_at = (0, clock.mono_ms())
        with ledger.database.transaction():
            before = _before(ledger)
            previous = None
            if before is not None:
                last = before.held.last
                digest = ledger.digest_at(before, last)
                previous = {
                    "journal": before.journal,
                    "last": last,
                    "head": None if digest is None else text_of(digest),
                }
            self.book: Book = ledger.books.add(secrets.token_hex(8), source, None)
            ledger.database.connection.execute(
                "INSERT OR REPLACE INTO settings (name, value) VALUES (?, ?)",
                (RUNNING, self.book.journal.encode("ascii")),
            )
            opened = {"journal": self.book.journal, "previous": previous, "key": identity.key, "version": version}
            self.append("journal.opened", opened)

    def append(self, kind: str, data: JsonObject, subject: str | None = None) -> TapId:
        """Store one record; within a transaction. The hub's clock reading is added to `data`."""
        mono_ms, now_ms, err_ms = self._clock.reading()
        sync = "ntp" if self._clock.synchronised() else "declared" if err_ms is not None else "none"
        reading = ClockReading(self._boot, mono_ms, now_ms, now_ms, sync, err_ms)  # type: ignore[arg-type]  # One of SYNCS by construction.
        tap = TapId(self.book.journal, self._last + 1)
        raw = encode_event(
            tap,
            source=self._source,
            kind=kind,
            time_ms=now_ms,
            recorded_ms=now_ms,
            prev=self._head or None,
            data={**data, "clock": clock_data(reading)},
            subject=subject,
        )
        last, head, heads_at = self._last, self._head, self._heads_at

        def undo() -> None:
            self._last, self._head, self._heads_at = last, head, heads_at

        self._ledger.database.on_rollback(undo)
        digest = digest_bytes(raw)
        self._ledger.store(self.book, [Row(tap.sequence, raw, digest)], now_ms)
        self._anchors.learn(self._source, [decode_event(raw)])
        self._last, self._head = tap.sequence, text_of(digest)
        return tap

    def head_due(self) -> bool:
        """Whether a signed head should be appended."""
        through, at_ms = self._heads_at
        fresh = self._last - through
        return fresh >= HEAD_EVERY_RECORDS or (fresh > 0 and self._clock.mono_ms() - at_ms >= HEAD_EVERY_MS)

    def sign_head(self) -> None:
        """Append a record that signs the chain so far; within a transaction."""
        if self._last == self._heads_at[0]:
            return
        through, head = self._last, self._head
        text = f"k12edge.head.v1\n{self.book.journal}\n{through}\n{head}".encode("ascii")
        self.append("journal.head", {"through": through, "head": head, "sig": self._identity.sign(text)})
        self._heads_at = (self._last, self._clock.mono_ms())
