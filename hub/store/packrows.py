"""What a pack of a month's meals is gathered from: exact records by name, their journals, and what proves them."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Iterator
from datetime import date
from typing import Final

IN_QUERY_MAX: Final = 500


class PackRows:
    """See the room. Reads only, under the ledger's lock."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        """The tables are the state."""
        self._run = connection.execute

    def frozen(self, first: date, last: date) -> list[str]:
        """The records of sheets and adjustments of a span's days, every part."""
        span = first.isoformat(), last.isoformat()
        found: set[str] = set()
        for table in ("meal_locks", "meal_adjustments"):
            found |= {row[0] for row in self._run(f"SELECT record FROM {table} WHERE day BETWEEN ? AND ?", span)}
        return sorted(found)

    def months(self, month: str) -> list[str]:
        """The records by which a month was stated, every version and part."""
        return [row[0] for row in self._run("SELECT DISTINCT record FROM meal_months WHERE month = ?", (month,))]

    def withdrawals(self, cuts: Iterable[str]) -> list[str]:
        """The records by which any of these cuts was withdrawn."""
        asked, found = sorted(cuts), []
        for begin in range(0, len(asked), IN_QUERY_MAX):
            some = asked[begin : begin + IN_QUERY_MAX]
            marks = ", ".join("?" * len(some))
            found += [
                row[0] for row in self._run(f"SELECT record FROM meal_cuts_withdrawn WHERE cut IN ({marks})", some)
            ]
        return found

    def raws(self, journal: int, first: int, last: int) -> Iterator[tuple[int, bytes]]:
        """Sequence and exact bytes of what is held of a journal, in order."""
        for sequence, raw in self._run(
            "SELECT sequence, raw FROM events WHERE journal = ? AND sequence BETWEEN ? AND ? ORDER BY sequence",
            (journal, first, last),
        ):
            yield sequence, bytes(raw)

    def headers(self, journal: int, first: int, last: int) -> Iterator[tuple[int, int, str, str]]:
        """First, last, key and signature of every batch that reaches into a span of a journal."""
        yield from self._run(
            "SELECT first, last, key, sig FROM headers WHERE journal = ? AND last >= ? AND first <= ?"
            " ORDER BY first, last",
            (journal, first, last),
        )
