"""The ledger: every record that the hub holds, once, in the order of its commits; what can't be taken stands beside."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Final

import msgspec

from hub.store.books import Book, Books
from hub.store.database import Database
from protocol.batch import Header
from protocol.envelope import digest_bytes, text_of
from protocol.receipts import Mark, mark_of

PARKED_BYTES_MAX: Final = 32 * 1024 * 1024
PARKED_DEVICE_BYTES_MAX: Final = 4 * 1024 * 1024
"""Whole messages kept, of all and under one device's name; of a flood the newest stay, and alarms count them all."""
PARKED_ROW_BYTES: Final = 512
"""What a parked message takes beside its bytes."""
PARKED_VERSIONS_MAX: Final = 8
FORKS_DEVICE_MAX: Final = 1_000
"""Forks kept and carried to the city under one device's name; a copied memory card makes a handful."""
ALARMS_MAX: Final = 2_000
ALARM_DETAILS_MAX: Final = 20
"""Alarms kept, and details of one code and device; what goes beyond is counted in one row, `...`."""
ALARM_KEPT_MS: Final = 30 * 86_400_000
"""Older alarms make room when ALARMS_MAX is reached."""
DETAIL_CHARACTERS_MAX: Final = 300
OTHERS: Final = "..."


class Row(msgspec.Struct, frozen=True, gc=False):
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
        self._parked_bytes: dict[str, int] = dict(
            database.connection.execute(
                "SELECT device, sum(length(raw) + ?) FROM parked WHERE journal IS NULL GROUP BY device",
                (PARKED_ROW_BYTES,),
            )
        )
        self._alarms: int | None = None

    # --- records --------------------------------------------------------------------------------------------------

    def store(self, book: Book, rows: Sequence[Row], received_ms: int) -> None:
        """Add records of one journal that the ledger doesn't hold; what was set aside there stays evidence."""
        number = book.number
        self.books.change(book)
        if book.parked.overlaps(rows[0].sequence, rows[-1].sequence):
            for row in rows:
                book.parked.remove(row.sequence, row.sequence)
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

    def received_ms(self, book: Book, sequence: int) -> int | None:
        """When a record came here, Unix ms of the hub's clock then; None where it isn't here."""
        row = self.database.connection.execute(
            "SELECT received_ms FROM events WHERE journal = ? AND sequence = ?", (book.number, sequence)
        ).fetchone()
        return None if row is None else int(row[0])

    def own_records(self, kind: str) -> Iterator[bytes]:
        """The hub's own records of all its runs in which this stands, such as a type; it looks into each of them."""
        for (raw,) in self.database.connection.execute(
            "SELECT raw FROM journals CROSS JOIN events ON events.journal = journals.number"
            " WHERE device IS NULL AND instr(raw, ?) ORDER BY position",
            (kind.encode("utf-8"),),
        ):
            yield bytes(raw)

    def opened_after(self, book: Book, previous: str) -> list[tuple[str, bytes]]:
        """Other journals of the source whose first record may name `previous` as the one before: journal and record."""
        return self.database.connection.execute(
            "SELECT journals.journal, events.raw FROM journals JOIN events ON events.journal = journals.number"
            " WHERE events.sequence = 1 AND source = ? AND number <> ? AND instr(events.raw, ?) ORDER BY number",
            (book.source, book.number, previous.encode("utf-8")),
        ).fetchall()

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
        """Set one record of a journal aside with its bytes; it counts as settled.

        Of one place PARKED_VERSIONS_MAX different ones are kept, each once.
        """
        self.books.change(book)
        book.parked.add(sequence)
        kept = self.database.connection.execute(
            "SELECT digest FROM parked WHERE journal = ? AND sequence = ?", (book.journal, sequence)
        ).fetchall()
        if len(kept) >= PARKED_VERSIONS_MAX or (digest_bytes(raw),) in kept:
            return
        self._park(device, book.journal, sequence, raw, reason, detail, received_ms)

    def park_message(self, device: str, raw: bytes, reason: str, detail: str, received_ms: int) -> bool:
        """Set a whole message aside that belongs to no journal; False when the same one stands there already.

        Of one device's the newest PARKED_DEVICE_BYTES_MAX stay, of all together PARKED_BYTES_MAX.
        """
        known = self.database.connection.execute(
            "SELECT 1 FROM parked WHERE device = ? AND digest = ? AND journal IS NULL", (device, digest_bytes(raw))
        ).fetchone()
        if known is not None:
            return False
        self._park(device, None, None, raw, reason, detail, received_ms)
        self._count_parked(device, len(raw) + PARKED_ROW_BYTES)
        if self._parked_bytes[device] > PARKED_DEVICE_BYTES_MAX:
            self._drop_parked("device = ? AND journal IS NULL", (device,), PARKED_DEVICE_BYTES_MAX)
        if sum(self._parked_bytes.values()) > PARKED_BYTES_MAX:
            self._drop_parked("journal IS NULL", (), PARKED_BYTES_MAX)
        return True

    def _count_parked(self, device: str, size: int) -> None:
        before = self._parked_bytes.get(device, 0)
        self._parked_bytes[device] = before + size

        def undo() -> None:
            self._parked_bytes[device] = before

        self.database.on_rollback(undo)

    def _drop_parked(self, which: str, values: tuple[str, ...], most: int) -> None:
        """Drop the oldest until three quarters of `most` are left, so that it isn't done again for each message."""
        rows = self.database.connection.execute(
            f"SELECT number, device, length(raw) + {PARKED_ROW_BYTES} FROM parked WHERE {which} ORDER BY number DESC",
            values,
        ).fetchall()
        kept = 0
        for place, (number, device, size) in enumerate(rows):
            kept += size
            if place and kept > most * 3 // 4:
                self.database.connection.execute("DELETE FROM parked WHERE number = ?", (number,))
                self._count_parked(device, -size)

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

    def fork(self, book: Book, device: str, sequence: int, raw: bytes, received_ms: int) -> bool | None:
        """Keep other bytes under a name that is taken; False when they were kept before, None over FORKS_DEVICE_MAX."""
        run = self.database.connection.execute
        digest = digest_bytes(raw)
        if run(
            "SELECT 1 FROM forks WHERE journal = ? AND sequence = ? AND digest = ?", (book.journal, sequence, digest)
        ).fetchone():
            return False
        if run("SELECT count(*) FROM forks WHERE device = ?", (device,)).fetchone()[0] >= FORKS_DEVICE_MAX:
            return None
        run(
            "INSERT INTO forks (journal, sequence, digest, raw, device, received_ms) VALUES (?, ?, ?, ?, ?, ?)",
            (book.journal, sequence, digest, raw, device, received_ms),
        )
        return True

    def alarm(self, code: str, device: str, detail: str, now_ms: int) -> None:
        """Note what a person should know; the same thing again is counted, and what is too much is counted together."""
        detail = detail[:DETAIL_CHARACTERS_MAX]
        if self._count_alarm(code, device, detail, now_ms):
            return
        run = self.database.connection.execute
        if self._alarms_kept() >= ALARMS_MAX:
            run("DELETE FROM alarms WHERE last_ms < ?", (now_ms - ALARM_KEPT_MS,))
            self._alarms = None
        alike = run("SELECT count(*) FROM alarms WHERE code = ? AND device = ?", (code, device)).fetchone()[0]
        if alike >= ALARM_DETAILS_MAX:
            detail = OTHERS
        elif self._alarms_kept() >= ALARMS_MAX:
            device, detail = "-", OTHERS
        if not self._count_alarm(code, device, detail, now_ms):
            run(
                "INSERT INTO alarms (code, device, detail, first_ms, last_ms, count) VALUES (?1, ?2, ?3, ?4, ?4, 1)",
                (code, device, detail, now_ms),
            )
            self._alarms = None

    def _count_alarm(self, code: str, device: str, detail: str, now_ms: int) -> bool:
        changed = self.database.connection.execute(
            "UPDATE alarms SET last_ms = ?, count = count + 1 WHERE code = ? AND device = ? AND detail = ?",
            (now_ms, code, device, detail),
        ).rowcount
        return changed > 0

    def _alarms_kept(self) -> int:
        if self._alarms is None:
            self._alarms = int(self.database.connection.execute("SELECT count(*) FROM alarms").fetchone()[0])
            self.database.on_rollback(self._recount)
        return self._alarms

    def _recount(self) -> None:
        self._alarms = None
