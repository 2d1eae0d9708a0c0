"""Reading the journal's file beside its writer: the records of an offer, the digest that a receipt names."""

from __future__ import annotations

from pathlib import Path

from edge.journalfile import STORAGE_ERRORS, explained, open_for_reading
from edge.journalrows import SEQUENCE_BITS, JournalRow, read_journals
from protocol.batch import BATCH_BYTES_MAX
from protocol.envelope import EVENT_BYTES_MAX, digest
from protocol.errors import JournalDamaged


def is_line(raw: bytes) -> bool:
    """Whether a record's bytes can be one line of a batch (protocol.batch.decode_batch)."""
    return 0 < len(raw) <= EVENT_BYTES_MAX and b"\n" not in raw


class RecordMissing(JournalDamaged):
    """The file can be read, but this record isn't in it."""


class RecordUnsendable(RecordMissing):
    """The record is in the file, and its bytes can't be a line of a batch, which the hub would refuse whole."""


class BookReader:
    """One thread's read-only view. Raises JournalDamaged, JournalFailed."""

    def __init__(self, path: Path) -> None:
        """Open beside the writer."""
        try:
            self._database = open_for_reading(path)
        except STORAGE_ERRORS as problem:
            raise explained(problem, f"{path} can't be read") from problem
        self._path = path
        self._pruned: dict[str, tuple[int, str | None]] = {}
        self._numbers: dict[str, int] = {}

    def journals(self) -> list[JournalRow]:
        """Every journal of the file, oldest first."""
        try:
            rows = read_journals(self._database)
        except STORAGE_ERRORS as problem:
            raise explained(problem, f"{self._path} can't be read") from problem
        for row in rows:
            self._numbers[row.journal] = row.number
            self._pruned[row.journal] = (row.pruned_through, row.pruned_head)
        return rows

    def lines(
        self, journal: str, first: int, last: int, bytes_max: int = BATCH_BYTES_MAX, *, sendable: bool = True
    ) -> list[bytes]:
        """The records from `first` on, to `last` or to where `bytes_max` are reached; at least one.

        Raises JournalDamaged when record `first` isn't there, or is to be `sendable` and can't be a line of a batch.
        """
        base = self._numbers[journal] << SEQUENCE_BITS
        found: list[bytes] = []
        size = 0
        bad = False
        try:
            for position, raw in self._database.execute(
                "SELECT position, raw FROM event WHERE position BETWEEN ? AND ? ORDER BY position",
                (base + first, base + last),
            ):
                if not isinstance(raw, bytes) or (sendable and not is_line(raw)):
                    bad = position == base + first
                    break
                size += len(raw) + 1
                if position != base + first + len(found) or (found and size > bytes_max):
                    break
                found.append(raw)
        except STORAGE_ERRORS as problem:
            if not found:
                raise explained(problem, f"record {journal}.{first} can't be read") from problem
        if bad:
            raise RecordUnsendable(
                f"record {journal}.{first} is damaged in {self._path.name}: it is no line of a batch"
            )
        if not found:
            raise RecordMissing(f"record {journal}.{first} is not in {self._path.name}")
        return found

    def digest_at(self, journal: str, sequence: int) -> str | None:
        """The digest of a record held, or of the last one pruned; None where there is neither."""
        pruned = self._pruned.get(journal)
        if pruned is not None and pruned[0] == sequence:
            return pruned[1]
        number = self._numbers.get(journal)
        if number is None:
            return None
        try:
            found = self._database.execute(
                "SELECT raw FROM event WHERE position = ?", (number << SEQUENCE_BITS | sequence,)
            ).fetchone()
        except STORAGE_ERRORS as problem:
            raise explained(problem, f"record {journal}.{sequence} can't be read") from problem
        return digest(found[0]) if found is not None and isinstance(found[0], bytes) else None

    def next_held(self, journal: str, after: int) -> int | None:
        """The first record after `after` that is in the file, None where there is none."""
        base = self._numbers[journal] << SEQUENCE_BITS
        try:
            found = self._database.execute(
                "SELECT min(position) FROM event WHERE position > ? AND position < ?",
                (base + after, base + (1 << SEQUENCE_BITS)),
            ).fetchone()[0]
        except STORAGE_ERRORS:
            return None
        return None if found is None else int(found) - base

    def newest(self, count: int) -> list[bytes]:
        """The last records of the file, oldest first; what can't be read is left out."""
        found: list[bytes] = []
        try:
            for (raw,) in self._database.execute("SELECT raw FROM event ORDER BY position DESC LIMIT ?", (count,)):
                if isinstance(raw, bytes):
                    found.append(raw)
        except STORAGE_ERRORS:
            return found[::-1]
        return found[::-1]

    def boot_offsets(self) -> dict[str, int]:
        """Boot id -> Unix ms at which its CLOCK_BOOTTIME was 0, for boots that met an anchor."""
        try:
            return dict(self._database.execute("SELECT boot, offset_ms FROM boot").fetchall())
        except STORAGE_ERRORS as problem:
            raise explained(problem, f"{self._path} can't be read") from problem

    def close(self) -> None:
        """Give the file back."""
        self._database.close()
