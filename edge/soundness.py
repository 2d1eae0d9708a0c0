"""Whether the rows of a journal's file fit its records: a row that hides records counts as damage of the file."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator, Sequence
from typing import Final

import msgspec

from edge.journalrows import SEQUENCE_BITS, JournalRow, head_text
from protocol.envelope import Event, decode_event, is_digest, is_journal_id
from protocol.errors import BadMessage, JournalDamaged
from protocol.signing import SignatureRefused, verify

_SEQUENCE_MAX: Final = (1 << SEQUENCE_BITS) - 1


class _Opened(msgspec.Struct):
    """The key in the data of `journal.opened`."""

    key: str


class _Head(msgspec.Struct):
    """The data of `journal.head`."""

    through: int
    head: str
    sig: str


def check_rows(database: sqlite3.Connection, rows: Sequence[JournalRow], key: str) -> None:
    """Hold every row to its records; `key` is the device's. Raises JournalDamaged, sqlite3.Error.

    Some look-ups for each row, whatever the number of records. Only what would keep records of the file from being
    offered is looked for; that each record is the right one is proven by `k12edge verify`.
    """
    known = {row.number for row in rows}
    for number in _numbers(database):
        if number not in known:
            raise JournalDamaged(f"records of a journal numbered {number} are there, which the file doesn't list")
    ends = {row.number: _ends(database, row) for row in rows}
    signatures = dict(database.execute("SELECT number, pruned_sig FROM journal").fetchall())
    keys = list(dict.fromkeys([key, *_keys(ends)]))
    for row in rows:
        _check_row(row, ends[row.number], signatures.get(row.number), keys)


def _numbers(database: sqlite3.Connection) -> Iterator[int]:
    """The numbers of the journals that have records, each by one look-up."""
    found = database.execute("SELECT min(position) FROM event").fetchone()[0]
    while found is not None:
        number = int(found) >> SEQUENCE_BITS
        yield number
        found = database.execute(
            "SELECT min(position) FROM event WHERE position >= ?", (number + 1 << SEQUENCE_BITS,)
        ).fetchone()[0]
        if found is not None and int(found) >> SEQUENCE_BITS <= number:
            # Pages out of order answer with what wasn't asked for; following them would never end.
            raise JournalDamaged(f"position {found} stands behind journal {number}'s")


_Ends = tuple[int | None, Event | None, Event | None]
"""Of one journal: the first sequence held, the first and the last record, None where they can't be read."""


def _ends(database: sqlite3.Connection, row: JournalRow) -> _Ends:
    base = row.number << SEQUENCE_BITS
    found = []
    for order in ("ASC", "DESC"):
        found += database.execute(
            f"SELECT position, raw FROM event WHERE position BETWEEN ? AND ? ORDER BY position {order} LIMIT 1",
            (base, base + _SEQUENCE_MAX),
        ).fetchall()
    if not found:
        return None, None, None
    if len(found) < 2:
        raise JournalDamaged(f"journal {row.journal} has a first record and no last, or the other way round")
    return found[0][0] - base, _event(found[0][1]), _event(found[1][1])


def _event(raw: object) -> Event | None:
    try:
        return decode_event(raw) if isinstance(raw, bytes) else None
    except BadMessage:
        return None


def _keys(ends: dict[int, _Ends]) -> Iterator[str]:
    """The device's keys as the first records of runs name them."""
    for _, first, _ in ends.values():
        if first is not None and first.name == "journal.opened":
            try:
                yield msgspec.json.decode(first.data, type=_Opened).key
            except (msgspec.DecodeError, RecursionError, ValueError):
                continue


def _check_row(row: JournalRow, ends: _Ends, signature: object, keys: Sequence[str]) -> None:
    first, *records = ends
    through, name = row.pruned_through, row.journal
    if not is_journal_id(name):
        raise JournalDamaged(f"the row numbered {row.number} names no journal")
    theirs = {event.id.partition(".")[0] for event in records if event is not None}
    if theirs and name not in theirs:
        # One of two may have a damaged id; a row that another journal's records stand under has none of its own.
        raise JournalDamaged(f"records of journal {theirs.pop()} stand under journal {name}")
    if first is None and not through and not row.salvaged:
        raise JournalDamaged(f"journal {name} has no record, and none was pruned")
    # What a salvage could not bring back was named then; of any other journal nothing may be missing at its front.
    if first is not None and (first <= through or (first != through + 1 and not row.salvaged)):
        raise JournalDamaged(f"journal {name} is pruned through {through} and begins with record {first}")
    if through:
        _check_checkpoint(row, ends, signature, keys)


def _check_checkpoint(row: JournalRow, ends: _Ends, signature: object, keys: Sequence[str]) -> None:
    """What was pruned stands behind the device's signature.

    The key may have been another one, of which no record is left, unless this run's own last record proves its key.
    Then records that follow from the checkpoint are enough: the row hides none of them.
    """
    what = f"journal {row.journal} is pruned through {row.pruned_through}"
    head = row.pruned_head
    if not isinstance(head, str) or not is_digest(head) or not isinstance(signature, str):
        raise JournalDamaged(f"{what}, and no signed checkpoint is there")
    if _signed(keys, head_text(row.journal, row.pruned_through, head), signature):
        return
    held, first, last = ends
    if held is None:
        return
    follows = first is not None and held == row.pruned_through + 1 and first.prev == head
    if not follows or _signed_end(row.journal, last, keys):
        raise JournalDamaged(f"{what}, which the device's key didn't sign")


def _signed_end(journal: str, last: Event | None, keys: Sequence[str]) -> bool:
    """Whether a run ended with a head that one of the known keys signed."""
    if last is None or last.name != "journal.head":
        return False
    try:
        head = msgspec.json.decode(last.data, type=_Head)
        return _signed(keys, head_text(journal, head.through, head.head), head.sig)
    except (msgspec.DecodeError, RecursionError, ValueError):
        return False


def _signed(keys: Sequence[str], text: bytes, signature: str) -> bool:
    for key in keys:
        try:
            verify(key, text, signature)
        except (SignatureRefused, UnicodeEncodeError):
            continue
        return True
    return False
