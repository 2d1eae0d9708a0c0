"""Pruning: records that the city holds leave the gateway's file when they are old, behind a signed checkpoint."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import msgspec

from edge.journalrows import SEQUENCE_BITS, JournalRow, head_text
from protocol.envelope import Event, decode_event, unix_ms_of
from protocol.errors import BadMessage
from protocol.ranges import RangeSet
from protocol.taps import ClockData

if TYPE_CHECKING:
    from edge.bookreader import BookReader
    from edge.journal import SqliteJournal
    from edge.uplink import Uplink
    from protocol.signing import Identity

KEEP_MS_MIN: Final = 7 * 86_400_000
"""A week at the gateway, whatever the city holds."""
ROWS_A_STEP: Final = 500
"""Records removed in one transaction; a tap waits for no more than that."""
JOURNAL_ROWS_MAX: Final = 256
"""Journals of which nothing is left keep their row (for the chain of journals) up to this many, newest first."""


class _Clocked(msgspec.Struct):
    """The part of a record's data that dates it."""

    clock: ClockData | None = None


@dataclass(frozen=True, slots=True)
class Cut:
    """Records to `through` of a journal may go."""

    row: JournalRow
    through: int


def keep_ms(backup_interval_s: int) -> int:
    """How long records stay at least: a week, or twice the hub's backup interval where that is longer."""
    return max(KEEP_MS_MIN, 2 * backup_interval_s * 1000)


def certain_ms(event: Event, offsets: Mapping[str, int]) -> int | None:
    """When a record was made, in Unix ms, where its own clock or an anchor of its boot vouches for it."""
    try:
        clock = msgspec.json.decode(event.data, type=_Clocked).clock
    except (msgspec.DecodeError, RecursionError, ValueError):
        return None
    if clock is None:
        return None
    if clock.err is not None:
        return unix_ms_of(event.time)
    offset_ms = offsets.get(clock.boot)
    return None if offset_ms is None else offset_ms + clock.mono


def plan(reader: BookReader, uplink: Uplink, running: str, cutoff_ms: int) -> list[Cut]:
    """What may go now: in each journal the prefix that the city holds and that is older than `cutoff_ms`.

    A record without a certain time is older than a later one of the same gateway that has one. Salvaged journals
    stand in the file out of their order, so each is judged by itself.
    """
    rows = reader.journals()
    groups = [[row for row in rows if not row.salvaged], *([row] for row in rows if row.salvaged)]
    offsets = reader.boot_offsets()
    return [cut for group in groups for cut in _old(reader, uplink, group, running, cutoff_ms, offsets)]


def _old(
    reader: BookReader,
    uplink: Uplink,
    rows: list[JournalRow],
    running: str,
    cutoff_ms: int,
    offsets: Mapping[str, int],
) -> list[Cut]:
    cuts: dict[str, Cut] = {}
    doubtful: dict[str, Cut] = {}
    for row in rows:
        # The running journal keeps its last record: the next one's `prev` and every receipt rest on it.
        end = min(held_through(uplink.prunable(row.journal), row), row.last - (row.journal == running))
        for sequence, raw in _records(reader, row, end):
            try:
                moment_ms = certain_ms(decode_event(raw), offsets)
            except BadMessage:
                moment_ms = None
            if moment_ms is None:
                doubtful[row.journal] = Cut(row, sequence)
            elif moment_ms > cutoff_ms:
                return list(cuts.values())
            else:
                cuts |= doubtful
                doubtful.clear()
                cuts[row.journal] = Cut(row, sequence)
    return list(cuts.values())


def held_through(city: RangeSet, row: JournalRow) -> int:
    """The last sequence of the unbroken run, from the first record still here, that the city holds."""
    for first, _ in city.gaps(row.pruned_through + 1, row.last):
        return first - 1
    return row.last


def _records(reader: BookReader, row: JournalRow, end: int) -> Iterator[tuple[int, bytes]]:
    sequence = row.pruned_through + 1
    while sequence <= end:
        for raw in reader.lines(row.journal, sequence, min(end, sequence + ROWS_A_STEP - 1), sendable=False):
            yield sequence, raw
            sequence += 1


def prune(journal: SqliteJournal, identity: Identity, uplink: Uplink, cuts: list[Cut], reader: BookReader) -> int:
    """Remove what was planned, oldest first, in small transactions; returns how many records went.

    The city's marks are durable before: `maintain` writes them in the same transaction. Raises like append.
    """
    removed = 0
    for cut in cuts:
        first = cut.row.pruned_through + 1
        while first <= cut.through:
            through = min(cut.through, first + ROWS_A_STEP - 1)
            head = reader.digest_at(cut.row.journal, through)
            if head is None:
                break
            _step(journal, identity, cut.row, through, head)
            uplink.pruned(cut.row.journal, through)
            removed += through - first + 1
            first = through + 1
    if removed:
        journal.maintain(_drop_empty_rows)
        reader.journals()
    return removed


def _step(journal: SqliteJournal, identity: Identity, row: JournalRow, through: int, head: str) -> None:
    base = row.number << SEQUENCE_BITS
    signature = identity.sign(head_text(row.journal, through, head))

    def work(database: sqlite3.Connection) -> None:
        database.execute(
            "UPDATE journal SET pruned_through = ?, pruned_head = ?, pruned_sig = ? WHERE number = ?",
            (through, head, signature, row.number),
        )
        database.execute("DELETE FROM event WHERE position BETWEEN ? AND ?", (base, base + through))

    journal.maintain(work)


def _drop_empty_rows(database: sqlite3.Connection) -> None:
    """Forget the oldest journals of which nothing is left; the newest ones keep the chain of journals whole."""
    rows = database.execute("SELECT number, salvaged FROM journal ORDER BY number").fetchall()
    runs_end = False
    for number, salvaged in rows[:-JOURNAL_ROWS_MAX]:
        base = number << SEQUENCE_BITS
        left = database.execute(
            "SELECT 1 FROM event WHERE position BETWEEN ? AND ? LIMIT 1", (base, base + (1 << SEQUENCE_BITS) - 1)
        ).fetchone()
        # Runs name the one before, so only the oldest may go, up to the first that still holds something.
        runs_end = runs_end or (left is not None and not salvaged)
        if left is None and (salvaged or not runs_end):
            database.execute("DELETE FROM journal WHERE number = ?", (number,))
