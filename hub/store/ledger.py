"""The ledger: every record that the hub holds, once, in the order of its commits; what can't be taken stands beside."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from hub.store.books import Book, Books
from hub.store.database import Database
from protocol.batch import Header
from protocol.envelope import digest_bytes, text_of
from protocol.receipts import Mark, mark_of

PARKED_BYTES_MAX: Final = 32 * 1024 * 1024
"""Whole messages kept; of a flood the newest stay, and the alarm counts them all."""
DETAIL_CHARACTERS_MAX: Final = 300


@dataclass(frozen=True, slots=True)
class Row:
    """A record to be stored: its sequence, its exact bytes and their SHA-256."""

    sequence: int
    raw: bytes
    digest: bytes


class Ledger:
    """See the room. Every method that changes something runs within `database.transaction()`."""

    def __init__(self, database: Database) -> None:
        """Load what is needed to know a record from its duplicate without a look into the file."""
        self.database = database
        self.books = Books(database)

    # --- records --------------------------------------------------------------------------------------------------

    def store(self, book: Book, rows: Sequence[Row], received_ms: int) -> None:
        """Add records of one journal that the ledger doesn't hold."""
        number = book.number
        self.books.change(book)
        self.database.connection.executemany(
            "INSERT INTO events (journal, sequence, digest, raw, received_ms) VALUES (?, ?, ?, ?, ?)",
            [(number, row.sequence, row.digest, row.raw, received_ms) for row in rows],
        )
        first = last = rows[0].sequence
        for row in rows:
            if row.sequence > last + 1:
                book.held.add(first, last)
                first = row.sequence
            last = row.sequence
        book.held.add(first, last)

    def digests(self, book: Book, first: int, last: int) -> dict[int, bytes]:
        """The digests of what is held, parked records included, from `first` to `last`."""
        found = dict(
            self.database.connection.execute(
                "SELECT sequence, digest FROM events WHERE journal = ? AND sequence BETWEEN ? AND ?",
                (book.number, first, last),
            ).fetchall()
        )
        if book.parked.overlaps(first, last):
            for sequence, digest in self.database.connection.execute(
                "SELECT sequence, digest FROM parked WHERE journal = ? AND sequence BETWEEN ? AND ? ORDER BY number",
                (book.journal, first, last),
            ):
                found.setdefault(sequence, digest)
        return found

    def digest_at(self, book: Book, sequence: int) -> bytes | None:
        """The digest of one record, None where it isn't here."""
        return self.digests(book, sequence, sequence).get(sequence)

    def raw_at(self, book: Book, sequence: int) -> bytes | None:
        """The bytes of one record held."""
        found = self.database.connection.execute(
            "SELECT raw FROM events WHERE journal = ? AND sequence = ?", (book.number, sequence)
        ).fetchone()
        return None if found is None else bytes(found[0])

    def keep_header(self, book: Book, header: Header, key: str) -> None:
        """Remember a batch's signature, which proves its records to others."""
        self.database.connection.execute(
            "INSERT OR IGNORE INTO headers (journal, first, last, key, sig) VALUES (?, ?, ?, ?, ?)",
            (book.number, header.first, header.last, key, header.sig),
        )

    def mark(self, book: Book) -> Mark:
        """What the hub says that it holds."""
        through, missing, parked = mark_of(book.durable(), book.parked)
        return Mark(through, self._head(book, through), missing, parked=parked)

    def city_mark(self, book: Book) -> Mark:
        """What the city is known to hold."""
        through, missing, dead = mark_of(book.city(), book.city_dead)
        return Mark(through, self._head(book, through), missing, dead=dead)

    def _head(self, book: Book, through: int) -> str | None:
        if through == 0:
            return None
        digest = self.digest_at(book, through)
        assert digest is not None, (book.journal, through)
        return text_of(digest)

    # --- what stands beside ------------------------------------------------------------------------------------------

    def park_record(
        self, book: Book, device: str, sequence: int, raw: bytes, reason: str, detail: str, received_ms: int
    ) -> None:
        """Set one record of a journal aside with its bytes; it counts as settled."""
        self.books.change(book)
        book.parked.add(sequence)
        self._park(device, book.journal, sequence, raw, reason, detail, received_ms)

    def park_message(self, device: str, raw: bytes, reason: str, detail: str, received_ms: int) -> None:
        """Set a whole message aside that belongs to no journal; the newest PARKED_BYTES_MAX of all of them stay."""
        self._park(device, None, None, raw, reason, detail, received_ms)
        self.database.connection.execute(
            "DELETE FROM parked WHERE journal IS NULL AND number < (SELECT min(number) FROM (SELECT number,"
            " sum(length(raw) + 512) OVER (ORDER BY number DESC) AS size FROM parked WHERE journal IS NULL)"
            " WHERE size <= ?)",
            (PARKED_BYTES_MAX,),
        )

    def _park(
        self,
        device: str,
        journal: str | None,
        sequence: int | None,
        raw: bytes,
        reason: str,
        detail: str,
        received_ms: int,
    ) -> None:
        self.database.connection.execute(
            "INSERT INTO parked (device, journal, sequence, reason, detail, digest, raw, received_ms)"
            " VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
            (device, journal, sequence, reason, detail[:DETAIL_CHARACTERS_MAX], digest_bytes(raw), raw, received_ms),
        )

    def fork(self, book: Book, device: str, sequence: int, raw: bytes, received_ms: int) -> bool:
        """Keep other bytes under a name that is taken; False when they were kept before."""
        changed = self.database.connection.execute(
            "INSERT OR IGNORE INTO forks (journal, sequence, digest, raw, device, received_ms)"
            " VALUES (?, ?, ?, ?, ?, ?)",
            (book.journal, sequence, digest_bytes(raw), raw, device, received_ms),
        ).rowcount
        return changed > 0

    def alarm(self, code: str, device: str, detail: str, now_ms: int) -> None:
        """Note what a person should know; the same thing again is counted."""
        self.database.connection.execute(
            "INSERT INTO alarms (code, device, detail, first_ms, last_ms, count) VALUES (?1, ?2, ?3, ?4, ?4, 1)"
            " ON CONFLICT (code, device, detail) DO UPDATE SET last_ms = ?4, count = count + 1",
            (code, device, detail[:DETAIL_CHARACTERS_MAX], now_ms),
        )
