"""Salvage: a journal opened whatever its file looks like; what a damaged file still holds comes back under its ids."""

from __future__ import annotations

import logging
import os
import secrets
import sqlite3
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from edge.carving import WAL_HEADER_BYTES, carve, transactions
from edge.journal import SqliteJournal
from edge.journalfile import FILE_NAME, PAGE_BYTES, open_for_writing, set_aside
from edge.journalrows import SEQUENCE_BITS, JournalRow, read_journals
from host.durable import out_of_the_way, sync_folder, write_durably
from protocol.envelope import decode_event, digest
from protocol.errors import BadMessage, JournalDamaged
from protocol.ranges import RangeSet

log = logging.getLogger("k12edge.salvage")

DAMAGED: Final = "journal-damaged-*.db"
DAMAGE_MARK: Final = "journal-suspect"
"""A file of this name says that the journal broke under the last run."""
FILE_BYTES_MAX: Final = 512 * 1024 * 1024
"""A file of more than a school year's taps; it is read whole, once."""
ROWS_A_STEP: Final = 500
SALVAGED_FILES_MAX: Final = 8


def mark_damaged(data_dir: Path) -> None:
    """Have the next start set the journal's file aside without building upon it."""
    (data_dir / DAMAGE_MARK).touch()


def set_suspect_aside(data_dir: Path) -> list[str]:
    """Set a file aside that broke under the last run; the names set aside."""
    mark, path = data_dir / DAMAGE_MARK, data_dir / FILE_NAME
    if not mark.exists():
        return []
    if (name := out_of_the_way(mark)) is not None:
        return [name]
    names = [set_aside(path, secrets.token_hex(4)).name] if path.exists() else []
    mark.unlink()
    return names


def open_journal(data_dir: Path, **parts: Any) -> tuple[SqliteJournal, list[str]]:
    """The journal of a data directory; a file that can't be used is set aside and a fresh one begun.

    `parts` go to SqliteJournal. Returns the names of what was set aside. Raises what SqliteJournal raises for a fresh
    file, and SchemaTooNew.
    """
    path = data_dir / FILE_NAME
    places = (path, *(path.with_name(path.name + suffix) for suffix in ("-wal", "-shm")))
    aside = [name for place in places if (name := out_of_the_way(place)) is not None]
    aside += _set_orphan_aside(path)

    def recovered(database: sqlite3.Connection) -> None:
        name = _keep_log(path, database)
        if name is not None:
            aside.append(name)
            raise JournalDamaged(f"{path}: a frame of the log is damaged; the records behind it are kept in {name}")

    def opener(file: Path) -> sqlite3.Connection:
        return open_for_writing(file, recovered)

    try:
        return SqliteJournal(path, opener=opener, **parts), aside
    except JournalDamaged as problem:
        log.error("%s", problem)
        aside.append(set_aside(path, secrets.token_hex(4)).name)
        return SqliteJournal(path, opener=opener, **parts), aside


def _set_orphan_aside(path: Path) -> list[str]:
    """Set a log aside that has lost its database, which SQLite would delete without a word; the names.

    Its records count. The database is missing after a power cut between the two renames of an earlier setting aside,
    or is less than its first page, which is synced before there is a log.
    """
    orphan = path.with_name(path.name + "-wal")
    logged = orphan.exists() and orphan.stat().st_size > WAL_HEADER_BYTES
    if path.exists():
        size = path.stat().st_size
        # A single byte SQLite takes for a new file, whatever it is.
        return [set_aside(path, secrets.token_hex(4)).name] if size == 1 or (size < PAGE_BYTES and logged) else []
    if not orphan.exists():
        return []
    target = path.with_name(f"journal-damaged-{secrets.token_hex(4)}.db-wal")
    os.rename(orphan, target)
    sync_folder(path.parent)
    return [target.name]


def lost_behind(path: Path, database: sqlite3.Connection) -> list[int]:
    """Sequences of the newest journal that stand in the log behind a damaged frame, where SQLite doesn't look.

    SQLite stops at the first frame whose checksum is wrong. A power cut may tear the last transaction, which nobody
    was told of; two that are whole and not reached were committed one after the other, so a frame was damaged since.
    `database` has recovered the file and nothing was written yet. Raises sqlite3.Error, OSError.

    Only the log is opened beside SQLite: closing the file or its -shm would drop the locks that it holds there.
    """
    wal = path.with_name(path.name + "-wal")
    if not wal.exists() or not WAL_HEADER_BYTES < wal.stat().st_size <= FILE_BYTES_MAX:
        return []
    number, last = 0, 0
    if database.execute("SELECT count(*) FROM sqlite_master WHERE name = 'journal'").fetchone()[0]:
        number = database.execute("SELECT coalesce(max(number), 0) FROM journal WHERE NOT salvaged").fetchone()[0]
        last = database.execute(
            "SELECT coalesce(max(position), 0) FROM event WHERE position BETWEEN ? AND ?",
            (number << SEQUENCE_BITS, (number + 1 << SEQUENCE_BITS) - 1),
        ).fetchone()[0]
    missed: set[int] = set()
    count = 0
    for records in transactions(wal.read_bytes()):
        mine = {position for position, _ in records if not number or position >> SEQUENCE_BITS == number}
        later = {position for position in mine if position > last}
        if mine and not later:
            break
        count += bool(later)
        missed |= later
    return sorted(position & (1 << SEQUENCE_BITS) - 1 for position in missed) if count > 1 else []


def _keep_log(path: Path, database: sqlite3.Connection) -> str | None:
    """Copy a log that holds more than SQLite reaches, before it is written over; the copy's name, None where none is.

    The file itself may be between two states then (later pages moved, earlier ones lost), so it isn't built upon.
    """
    if not lost_behind(path, database):
        return None
    name = f"journal-damaged-{secrets.token_hex(4)}.db-wal"
    write_durably(path.with_name(name), path.with_name(path.name + "-wal").read_bytes())
    return name


@dataclass(frozen=True, slots=True)
class Found:
    """The records of one journal found in a damaged file: sequence -> exact bytes; `last` is the last one seen."""

    journal: str
    boot: str
    records: dict[int, bytes]
    last: int


def salvage(data_dir: Path, journal: SqliteJournal, moved: Callable[[], None] = lambda: None) -> list[JournalRow]:
    """Bring back the records of every damaged file into the journal's file; the journals that became available.

    A kill in the middle repeats it; a record that is in the file already stays as it is. `moved` is told of progress.
    A file that can't be taken is kept under another name, so that it stands in nobody's way. Raises like append.
    """
    names = sorted({path.name.removesuffix("-wal") for path in data_dir.glob(DAMAGED + "*")})
    came_back: list[JournalRow] = []
    for name in names:
        path = data_dir / name
        try:
            found = read_damaged(path, moved)
        except (JournalDamaged, OSError) as problem:
            log.error("%s: nothing was brought back: %s", name, problem)
            _rename(path, "refused-")
            continue
        for part in found:
            came_back += _bring_back(journal, part, moved)
        _note_gaps(journal, found)
        _rename(path, "salvaged-")
        log.warning("%s: %d records came back", name, sum(len(part.records) for part in found))
    if names:
        _drop_oldest(data_dir)
    return came_back


def _rename(path: Path, prefix: str) -> None:
    for suffix in ("-wal", ""):
        source = path.with_name(path.name + suffix)
        if source.exists():
            os.rename(source, source.with_name(source.name.replace("journal-damaged-", prefix, 1)))
    sync_folder(path.parent)


def _drop_oldest(data_dir: Path) -> None:
    """Of files whose records came back keep the newest few, for those who look for the cause."""
    kept = sorted(data_dir.glob("salvaged-*"), key=lambda path: path.stat().st_mtime_ns, reverse=True)
    for path in kept[SALVAGED_FILES_MAX:]:
        path.unlink()


def read_damaged(path: Path, moved: Callable[[], None] = lambda: None) -> list[Found]:
    """Every record that can be read in a damaged file and its log, by journal, in the order of their numbers."""
    parts = []
    for part in (path, path.with_name(path.name + "-wal")):
        if part.exists() and part.stat().st_size > FILE_BYTES_MAX:
            raise JournalDamaged(f"{part} is larger than {FILE_BYTES_MAX} bytes; nothing of it was brought back")
        parts.append(part.read_bytes() if part.exists() else b"")
    numbers: dict[str, int] = {}
    versions: dict[str, dict[int, dict[bytes, bool]]] = {}
    for count, found in enumerate(carve(*parts)):
        if count % ROWS_A_STEP == 0:
            moved()
        try:
            tap = decode_event(found.raw).tap
        except BadMessage:
            continue
        if tap.sequence != found.position & ((1 << SEQUENCE_BITS) - 1):
            continue
        numbers[tap.journal] = found.position >> SEQUENCE_BITS
        known = versions.setdefault(tap.journal, {}).setdefault(tap.sequence, {})
        known[found.raw] = known.get(found.raw, False) or found.sound
    return [
        Found(journal, "00000000", _chosen(versions[journal]), max(versions[journal]))
        for journal in sorted(numbers, key=lambda journal: numbers[journal])
    ]


def _chosen(versions: dict[int, dict[bytes, bool]]) -> dict[int, bytes]:
    """Which of the readable versions of each record is the one that was written; none where none can be.

    What a successor names by its digest is true, whatever else that successor is. Where a true successor names none,
    all are false. Beyond that the last sound one is believed; half a record (see Carved) never is.
    """
    chosen: dict[int, bytes] = {}
    true: set[int] = set()
    for sequence in sorted(versions, reverse=True):
        named = {decode_event(raw).prev for raw in versions.get(sequence + 1, ())}
        fitting = [raw for raw in versions[sequence] if digest(raw) in named]
        if fitting:
            true.add(sequence)
            after = chosen.get(sequence + 1)
            fitting.sort(key=lambda raw: after is not None and decode_event(after).prev == digest(raw))
        elif sequence + 1 not in true:
            fitting = [raw for raw, sound in versions[sequence].items() if sound]
        if fitting:
            chosen[sequence] = fitting[-1]
    return dict(sorted(chosen.items()))


def _bring_back(journal: SqliteJournal, part: Found, moved: Callable[[], None]) -> list[JournalRow]:
    number: int | None = None
    rows = list(part.records.items())
    for at in range(0, len(rows), ROWS_A_STEP):
        step = rows[at : at + ROWS_A_STEP]

        def work(database: sqlite3.Connection, step: Iterable[tuple[int, bytes]] = step) -> None:
            nonlocal number
            known = database.execute("SELECT number FROM journal WHERE journal = ?", (part.journal,)).fetchone()
            if known is None:
                number = 1 + database.execute("SELECT max(number) FROM journal").fetchone()[0]
                database.execute(
                    "INSERT INTO journal (number, journal, boot, salvaged) VALUES (?, ?, ?, 1)",
                    (number, part.journal, part.boot),
                )
            else:
                number = known[0]
            database.executemany(
                "INSERT OR IGNORE INTO event (position, raw) VALUES (?, ?)",
                [(number << SEQUENCE_BITS | sequence, raw) for sequence, raw in step],
            )

        journal.maintain(work)
        moved()
    available: list[JournalRow] = []

    def look(database: sqlite3.Connection) -> None:
        available.extend(row for row in read_journals(database) if row.journal == part.journal)

    journal.maintain(look)
    return available


def _note_gaps(journal: SqliteJournal, found: list[Found]) -> None:
    """Say by name which records up to the last one seen could not be read."""
    for part in found:
        held = RangeSet((sequence, sequence) for sequence in part.records)
        for first, last in list(held.gaps(1, part.last))[:64]:
            journal.note(
                "log.gap", {"journal": part.journal, "first": first, "last": last, "reason": "journal-damaged"}
            )
