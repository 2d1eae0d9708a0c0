"""The rows of complaints about meals and of their answers; each is named by its record. See schema 013."""

from __future__ import annotations

import sqlite3
from datetime import date
from typing import Final, NamedTuple

from protocol.meals import Meal

READ_MAX: Final = 2_000
"""Complaints of a month that are read at once."""


class ComplaintRow(NamedTuple):
    """What was said of a pupil's meals in a month, of a day or meal of it; `answers` names what it answers, if any."""

    record: str
    at_ms: int
    pupil: str
    month: str
    day: date | None
    meal: Meal | None
    says: str
    answers: str | None
    by: str


class ComplaintRows:
    """See the room. Changes run within a transaction."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        """The table is the state."""
        self._run = connection.execute

    def say(self, row: ComplaintRow) -> None:
        """A complaint, or an answer."""
        day = None if row.day is None else row.day.isoformat()
        values = (row.record, row.at_ms, row.pupil, row.month, day, row.meal, row.says, row.answers, row.by)
        self._run("INSERT OR REPLACE INTO meal_complaints VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)", values)

    def of(self, month: str, pupil: str | None = None) -> list[ComplaintRow]:
        """Complaints and answers of a month, of one pupil or of all, oldest first."""
        which, values = ("", ()) if pupil is None else (" AND pupil_key = ?", (pupil,))
        rows = self._run(
            f"SELECT * FROM meal_complaints WHERE month = ?{which} ORDER BY at_ms, record LIMIT {READ_MAX}",
            (month, *values),
        )
        return [_row(row) for row in rows]

    def find(self, record: str) -> ComplaintRow | None:
        """One by its record."""
        row = self._run("SELECT * FROM meal_complaints WHERE record = ?", (record,)).fetchone()
        return None if row is None else _row(row)


def _row(row: tuple[str, int, str, str, str | None, Meal | None, str, str | None, str]) -> ComplaintRow:
    day = None if row[4] is None else date.fromisoformat(row[4])
    return ComplaintRow(*row[:4], day, *row[5:])
