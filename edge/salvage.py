"""Salvage: a journal opened whatever its file looks like; what a damaged file still holds comes back under its ids."""

from __future__ import annotations

import logging
import os
import secrets
import sqlite3
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from edge.carving import carve
from edge.journal import SqliteJournal
from edge.journalfile import FILE_NAME, set_aside, sync_folder
from edge.journalrows import SEQUENCE_BITS, JournalRow, read_journals
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


def mark_damaged(data_dir: Path) -> None:
    """Have the next start set the journal's file aside without building upon it."""
    (data_dir / DAMAGE_MARK).touch()


def set_suspect_aside(data_dir: Path) -> list[str]:
    """Set a file aside that broke under the last run; the names set aside."""
    mark, path = data_dir / DAMAGE_MARK, data_dir / FILE_NAME
    if not mark.exists():
        return []
    names = [set_aside(path, secrets.token_hex(4)).name] if path.exists() else []
    mark.unlink()
    return names


def open_journal(data_dir: Path, **parts: Any) -> tuple[SqliteJournal, list[str]]:
    """The journal of a data directory; a file that can't be used is set aside and a fresh one begun.

    `parts` go to SqliteJournal. Returns the names of what was set aside. Raises what SqliteJournal raises for a fresh
    file, and SchemaTooNew.
    """
    path = data_dir / FILE_NAME
    aside: list[str] = []
    orphan = path.with_name(path.name + "-wal")
    if orphan.exists() and not path.exists():
        # A power cut between the two renames of an earlier setting aside: the log's records count as well.
        target = data_dir / f"journal-damaged-{secrets.token_hex(4)}.db-wal"
        os.rename(orphan, target)
        sync_folder(data_dir)
    try:
        return SqliteJournal(path, **parts), aside
    except JournalDamaged as problem:
        log.error("%s", problem)
        aside.append(set_aside(path, secrets.token_hex(4)).name)
        return SqliteJournal(path, **parts), aside


@dataclass(frozen=True, slots=True)
class Found:
    """The records of one journal found in a damaged file: sequence -> exact bytes."""

    journal: str
    boot: str
    records: dict[int, bytes]


def salvage(data_dir: Path, journal: SqliteJournal) -> list[JournalRow]:
    """Bring back the records of every damaged file into the journal's file; the journals that became available.

    A kill in the middle repeats it; a record that is in the file already stays as it is. Raises like append.
    """
    names = sorted({path.name.removesuffix("-wal") for path in data_dir.glob(DAMAGED + "*")})
    came_back: list[JournalRow] = []
    for name in names:
        path = data_dir / name
        found = read_damaged(path)
        for part in found:
            came_back += _bring_back(journal, part)
        _note_gaps(journal, found)
        for suffix in ("-wal", ""):
            source = path.with_name(path.name + suffix)
            if source.exists():
                os.rename(source, source.with_name(source.name.replace("journal-damaged-", "salvaged-", 1)))
        sync_folder(data_dir)
        log.warning("%s: %d records came back", name, sum(len(part.records) for part in found))
    return came_back


def read_damaged(path: Path) -> list[Found]:
    """Every record that can be read in a damaged file and its log, by journal, in the order of their numbers."""
    parts = []
    for part in (path, path.with_name(path.name + "-wal")):
        if part.exists() and part.stat().st_size > FILE_BYTES_MAX:
            raise JournalDamaged(f"{part} is larger than {FILE_BYTES_MAX} bytes; nothing of it was brought back")
        parts.append(part.read_bytes() if part.exists() else b"")
    numbers: dict[str, int] = {}
    versions: dict[str, dict[int, list[bytes]]] = {}
    for position, raw in carve(*parts):
        try:
            tap = decode_event(raw).tap
        except BadMessage:
            continue
        if tap.sequence != position & ((1 << SEQUENCE_BITS) - 1):
            continue
        numbers[tap.journal] = position >> SEQUENCE_BITS
        known = versions.setdefault(tap.journal, {}).setdefault(tap.sequence, [])
        if raw not in known:
            known.append(raw)
    return [
        Found(journal, "00000000", _chosen(versions[journal])) for journal in sorted(numbers, key=lambda j: numbers[j])
    ]


def _chosen(versions: dict[int, list[bytes]]) -> dict[int, bytes]:
    """Of several readable versions of one record the one that its successor names; else the last written."""
    chosen: dict[int, bytes] = {}
    for sequence in sorted(versions, reverse=True):
        after = chosen.get(sequence + 1)
        named = None if after is None else decode_event(after).prev
        fitting = [raw for raw in versions[sequence] if digest(raw) == named]
        chosen[sequence] = (fitting or versions[sequence])[-1]
    return dict(sorted(chosen.items()))


def _bring_back(journal: SqliteJournal, part: Found) -> list[JournalRow]:
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
    available: list[JournalRow] = []

    def look(database: sqlite3.Connection) -> None:
        available.extend(row for row in read_journals(database) if row.journal == part.journal)

    journal.maintain(look)
    return available


def _note_gaps(journal: SqliteJournal, found: list[Found]) -> None:
    """Say by name which records below the last one known could not be read."""
    for part in found:
        held = RangeSet((sequence, sequence) for sequence in part.records)
        for first, last in list(held.gaps(1, held.last))[:64]:
            journal.note(
                "log.gap", {"journal": part.journal, "first": first, "last": last, "reason": "journal-damaged"}
            )
