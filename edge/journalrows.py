"""The rows of a journal's file: which journals it holds, how far each goes, and what is known to be held elsewhere."""

from __future__ import annotations

import sqlite3
from dataclasses import dataclass, field
from typing import Final

import msgspec

from protocol.envelope import digest
from protocol.ranges import RangeSet

SEQUENCE_BITS: Final = 40
"""A record's position is journal.number << 40 | sequence: 10^12 sequences fit, and 8 million process starts."""
NUMBER_MAX: Final = 1 << 22


@dataclass(frozen=True, slots=True)
class JournalRow:
    """One journal of the file: its number, id, boot, last sequence, what was pruned, and the marks."""

    number: int
    journal: str
    boot: str
    last: int
    pruned_through: int
    pruned_head: str | None
    salvaged: bool
    hub: RangeSet
    city: RangeSet


@dataclass(slots=True)
class Marks:
    """What is known to be held elsewhere of one journal."""

    hub: RangeSet = field(default_factory=RangeSet)
    city: RangeSet = field(default_factory=RangeSet)


def head_of(database: sqlite3.Connection, row: JournalRow) -> str | None:
    """The digest of a journal's last record; None where it can't be read. Raises sqlite3.Error."""
    if row.last == row.pruned_through:
        return row.pruned_head
    found = database.execute(
        "SELECT raw FROM event WHERE position = ?", (row.number << SEQUENCE_BITS | row.last,)
    ).fetchone()
    return digest(found[0]) if found is not None and isinstance(found[0], bytes) else None


def head_text(journal: str, through: int, head: str) -> bytes:
    """The ASCII text that a journal's head or a prune checkpoint signs."""
    return f"k12edge.head.v1\n{journal}\n{through}\n{head}".encode("ascii")


def ranges_text(ranges: RangeSet) -> str:
    """Ranges as the JSON that the file keeps."""
    return msgspec.json.encode(list(ranges)).decode("ascii")


def _ranges_of(text: str) -> RangeSet:
    """Ranges as the file keeps them; damaged ones count for nothing: what is owed is offered again, and receipted."""
    try:
        ranges = msgspec.json.decode(text, type=list[tuple[int, int]])
    except (msgspec.DecodeError, TypeError):
        return RangeSet()
    return RangeSet(ranges) if all(0 < first <= last for first, last in ranges) else RangeSet()


def read_journals(database: sqlite3.Connection) -> list[JournalRow]:
    """Every journal of the file, oldest first. Raises sqlite3.Error."""
    rows = []
    for number, journal, boot, salvaged, pruned_through, pruned_head, hub, city in database.execute(
        "SELECT number, journal, boot, salvaged, pruned_through, pruned_head, hub_held, city_held FROM journal"
        " ORDER BY number"
    ).fetchall():
        if not (isinstance(number, int) and 0 < number < NUMBER_MAX and isinstance(journal, str)):
            raise sqlite3.DatabaseError(f"journal number {str(number)[:20]} is none of ours")
        if not isinstance(pruned_through, int) or not 0 <= pruned_through < 1 << SEQUENCE_BITS:
            raise sqlite3.DatabaseError(f"journal {journal[:20]} is pruned through {str(pruned_through)[:20]}")
        base = number << SEQUENCE_BITS
        last = database.execute(
            "SELECT max(position) FROM event WHERE position BETWEEN ? AND ?", (base, base + (1 << SEQUENCE_BITS) - 1)
        ).fetchone()[0]
        rows.append(
            JournalRow(
                number,
                journal,
                boot,
                pruned_through if last is None else last - base,
                pruned_through,
                pruned_head,
                bool(salvaged),
                _ranges_of(hub),
                _ranges_of(city),
            )
        )
    return rows
