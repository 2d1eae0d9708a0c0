"""The told rows: what the city was told of pupils' half-days, and how far that was seen to."""

from __future__ import annotations

import sqlite3
from collections.abc import Collection, Iterable, Iterator, Mapping
from datetime import date
from typing import NamedTuple, cast

from hub.attendance.daymarks import Told
from protocol.records import AttendanceMark, Category, Half


class Seen(NamedTuple):
    """A record behind the cursor: its position, its journal's number, its sequence and bytes."""

    position: int
    journal: int
    sequence: int
    raw: bytes


class ToldRows:
    """See the room. Changes run within a transaction; whoever reads holds the database's lock."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        """The tables are the state."""
        self._run, self._many = connection.execute, connection.executemany

    # --- what was told, written by the scribe from the records themselves -------------------------------------------

    def tell(self, record: str, said: AttendanceMark, at_ms: int) -> None:
        """Write down what a record says. Read again, or behind a later one, it changes nothing."""
        rows: dict[str, tuple[str | None, int, bool]] = {pupil: (None, 0, False) for pupil in said.retracts}
        rows |= {pupil: (mark.category, mark.minutes, not mark.by) for pupil, mark in said.marks.items()}
        self._many(
            "INSERT INTO marks_told (day, half, pupil_key, class, category, minutes, derived, number, record, at_ms)"
            " VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT (day, half, pupil_key) DO UPDATE SET"
            " class = excluded.class, category = excluded.category, minutes = excluded.minutes,"
            " derived = excluded.derived, number = excluded.number, record = excluded.record, at_ms = excluded.at_ms"
            " WHERE (excluded.number, excluded.at_ms, excluded.record) > (number, at_ms, record)",
            [
                (said.day, said.half, pupil, said.school_class, *told, said.number, record, at_ms)
                for pupil, told in rows.items()
            ],
        )

    # --- what is asked ------------------------------------------------------------------------------------------------

    def of(self, day: date, school_class: str, pupils: Collection[str]) -> Mapping[Half, Mapping[str, Told]]:
        """What stands told of a day of these pupils, and for this class, by half and pupil."""
        found: dict[Half, dict[str, Told]] = {"am": {}, "pm": {}}
        for half, pupil, told_for, category, minutes, derived in self._run(
            "SELECT half, pupil_key, class, category, minutes, derived FROM marks_told WHERE day = ?"
            f" AND category IS NOT NULL AND (class = ? OR pupil_key IN ({', '.join('?' * len(pupils))}))",
            (day.isoformat(), school_class, *pupils),
        ):
            found[cast(Half, half)][pupil] = Told(cast(Category, category), minutes, told_for, bool(derived))
        return found

    def classes(self, day: date) -> list[str]:
        """The classes for which something stands told of a day; in no order."""
        rows = self._run(
            "SELECT DISTINCT class FROM marks_told WHERE day = ? AND category IS NOT NULL", (day.isoformat(),)
        )
        return [name for (name,) in rows.fetchall()]

    def last_number(self, day: date, half: Half) -> int:
        """The highest number of a half-day's records."""
        row = self._run(
            "SELECT coalesce(max(number), 0) FROM marks_told WHERE day = ? AND half = ?", (day.isoformat(), half)
        ).fetchone()
        return int(row[0])

    # --- how far it was seen to ---------------------------------------------------------------------------------------

    def cursor(self) -> tuple[int, date | None]:
        """Every record to the position, and every day to the day, was seen to."""
        position, last = self._run("SELECT position, last_day FROM marks_cursor").fetchone()
        return int(position), None if last is None else date.fromisoformat(last)

    def move(self, position: int, last: date) -> None:
        """To here everything was seen to, or stands among the open days."""
        self._run("UPDATE marks_cursor SET position = ?, last_day = ?", (position, last.isoformat()))

    def open_days(self) -> list[date]:
        """Days of which something is still to come."""
        return [date.fromisoformat(day) for (day,) in self._run("SELECT day FROM marks_open ORDER BY day").fetchall()]

    def open(self, days: Iterable[date]) -> None:
        """Look at these again."""
        self._many("INSERT OR IGNORE INTO marks_open (day) VALUES (?)", [(day.isoformat(),) for day in days])

    def close(self, day: date) -> None:
        """Nothing more is to come of it by itself."""
        self._run("DELETE FROM marks_open WHERE day = ?", (day.isoformat(),))

    def behind(self, position: int, until: int, limit: int) -> Iterator[Seen]:
        """Records behind a position and up to another."""
        rows = self._run(
            "SELECT position, journal, sequence, raw FROM events WHERE position > ? AND position <= ?"
            " ORDER BY position LIMIT ?",
            (position, until, limit),
        ).fetchall()
        return (Seen(row[0], row[1], row[2], bytes(row[3])) for row in rows)
