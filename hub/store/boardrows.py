"""The board's rows: the newest taps at gates, what is new behind a position, who took a leave notice back."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from hub.store.database import Database
from hub.store.dayrows import IN_QUERY_MAX, TapRow

COLUMNS: Final = ", ".join(f"t.{name}" for name in TapRow._fields)


@dataclass(frozen=True, slots=True)
class News:
    """What the ledger's records behind a position, up to `position`, are about.

    `pupils`: those whom people spoke of. `classes`: those that were signed. `more`: something that may concern every
    page, such as a card that changed hands or a device's word; also where more came than was looked at.
    """

    position: int
    taps: tuple[TapRow, ...] = ()
    pupils: frozenset[str] = frozenset()
    classes: frozenset[str] = frozenset()
    more: bool = False


class BoardRows:
    """See the room. Asked under the ledger's lock."""

    def __init__(self, database: Database) -> None:
        """Nothing is kept."""
        self._database = database

    def newest(self, first_ms: int, until_ms: int, limit: int) -> list[TapRow]:
        """The last taps at gates within a span, the newest first."""
        rows = self._database.connection.execute(
            f"SELECT {COLUMNS} FROM taps AS t WHERE best_ms >= ? AND best_ms < ? AND kind = 'gate'"
            " ORDER BY best_ms DESC, journal, sequence DESC LIMIT ?",
            (first_ms, until_ms, limit),
        )
        return [TapRow._make(tuple(row)) for row in rows]

    def read_to(self) -> int:
        """The position up to which the daybook has read."""
        return int(self._database.connection.execute("SELECT position FROM day_cursor").fetchone()[0])

    def behind(self, position: int, limit: int = IN_QUERY_MAX) -> News:
        """What is new behind a position, as far as the daybook has read."""
        run = self._database.connection.execute
        last = self.read_to()
        if last <= position:
            return News(last, more=last < position)
        if last - position > limit:
            return News(last, more=True)
        taps: list[TapRow] = []
        own: list[str] = []
        strange = 0
        for name, device, *row in run(
            f"SELECT j.journal || '.' || e.sequence, j.device, {COLUMNS} FROM events AS e"
            " JOIN journals AS j ON j.number = e.journal"
            " LEFT JOIN taps AS t ON t.journal = e.journal AND t.sequence = e.sequence"
            " WHERE e.position > ? AND e.position <= ?",
            (position, last),
        ):
            if row[0] is not None:
                taps.append(TapRow._make(row))
            elif device is None:
                own.append(name)
            else:
                strange += 1
        pupils, classes, told = self._said(own)
        return News(last, tuple(taps), pupils, classes, strange > 0 or told < len(own))

    def _said(self, records: Sequence[str]) -> tuple[frozenset[str], frozenset[str], int]:
        """Pupils and classes that these records speak of, and how many of the records do."""
        marks = ", ".join("?" * len(records))
        run = self._database.connection.execute
        told: set[str] = set()
        pupils: set[str] = set()
        for statement in (
            f"SELECT record, pupil_key FROM statements WHERE record IN ({marks})",
            f"SELECT record, pupil_key FROM leaves WHERE record IN ({marks})",
            "SELECT w.record, l.pupil_key FROM leaves_withdrawn AS w JOIN leaves AS l ON l.record = w.leave"
            f" WHERE w.record IN ({marks})",
        ):
            for record, pupil in run(statement, records):
                told.add(record)
                pupils.add(pupil)
        classes: set[str] = set()
        for record, school_class in run(f"SELECT record, class FROM confirmations WHERE record IN ({marks})", records):
            told.add(record)
            classes.add(school_class)
        return frozenset(pupils), frozenset(classes), len(told)

    def taken_back(self, leaves: Sequence[str]) -> dict[str, tuple[str, int, str]]:
        """Of these leave notices those that don't count any more: by which record, when, by whom."""
        found: dict[str, tuple[str, int, str]] = {}
        for begin in range(0, len(leaves), IN_QUERY_MAX):
            some = leaves[begin : begin + IN_QUERY_MAX]
            for leave, record, at_ms, by in self._database.connection.execute(
                "SELECT leave, record, at_ms, by FROM leaves_withdrawn"
                f" WHERE leave IN ({', '.join('?' * len(some))}) ORDER BY at_ms DESC",
                some,
            ):
                found[leave] = record, at_ms, by
        return found
