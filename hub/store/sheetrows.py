"""The rows of frozen sheets, of what was adjusted since, and of months that were stated; see schema 011.

Each is named by its record. Changes run within a transaction.
"""

from __future__ import annotations

import sqlite3
from datetime import date
from typing import NamedTuple

import msgspec

from protocol.mealrecords import MealDays, Portions
from protocol.meals import Meal

_portions = msgspec.json.Decoder(Portions)
_days = msgspec.json.Decoder(MealDays)


class LockRow(NamedTuple):
    """A frozen sheet as a record has it, one part; `classes` as in the record."""

    record: str
    at_ms: int
    day: date
    meal: Meal
    lock: str
    version: int
    due_ms: int
    frozen_ms: int
    rules: str
    digest: str
    closed: bool
    by: str
    classes: dict[str, Portions]


class AdjustmentRow(NamedTuple):
    """What the kitchen's numbers are other by since the sheet froze."""

    record: str
    at_ms: int
    day: date
    meal: Meal
    version: int
    number: int
    why: str
    students: tuple[str, ...]
    by: str
    reason: str
    classes: dict[str, Portions]


class MonthRow(NamedTuple):
    """What a month came to, as one record has it."""

    record: str
    at_ms: int
    month: str
    meal: Meal
    version: int
    rules: str
    evidence: str
    by: str
    reason: str
    pupils: dict[str, MealDays]


class SheetRows:
    """See the room."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        """The tables are the state."""
        self._run, self._many = connection.execute, connection.executemany

    # --- frozen sheets ------------------------------------------------------------------------------------------------

    def lock(self, row: LockRow) -> None:
        """A sheet was frozen."""
        self._many(
            "INSERT OR REPLACE INTO meal_locks VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
            [
                (
                    row.record,
                    school_class,
                    row.at_ms,
                    row.day.isoformat(),
                    row.meal,
                    row.lock,
                    row.version,
                    row.due_ms,
                    row.frozen_ms,
                    row.rules,
                    row.digest,
                    int(row.closed),
                    row.by,
                    msgspec.json.encode(numbers).decode(),
                )
                for school_class, numbers in (row.classes or {"": Portions()}).items()
            ],
        )

    def locks(self, day: date) -> list[LockRow]:
        """The frozen sheets of a day, by meal and version; of each its parts together."""
        found: dict[tuple[str, int], LockRow] = {}
        for row in self._run(
            "SELECT record, class, at_ms, meal, lock, version, due_ms, frozen_ms, rules, digest, closed, by, numbers"
            " FROM meal_locks WHERE day = ? ORDER BY meal, version, at_ms, record",
            (day.isoformat(),),
        ):
            record, school_class, at_ms, meal, lock, version, due_ms, frozen_ms, rules, digest, closed, by, text = row
            one = found.setdefault(
                (meal, version),
                LockRow(
                    record, at_ms, day, meal, lock, version, due_ms, frozen_ms, rules, digest, bool(closed), by, {}
                ),
            )
            if school_class:
                one.classes[school_class] = _portions.decode(text)
        return list(found.values())

    def adjust(self, row: AdjustmentRow) -> None:
        """The kitchen's numbers are others since a sheet froze."""
        self._many(
            "INSERT OR REPLACE INTO meal_adjustments VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
            [
                (
                    row.record,
                    school_class,
                    row.at_ms,
                    row.day.isoformat(),
                    row.meal,
                    row.version,
                    row.number,
                    row.why,
                    " ".join(row.students),
                    row.by,
                    row.reason,
                    msgspec.json.encode(numbers).decode(),
                )
                for school_class, numbers in row.classes.items()
            ],
        )

    def adjustments(self, day: date) -> list[AdjustmentRow]:
        """What was adjusted of a day's sheets, by meal and number."""
        found: dict[str, AdjustmentRow] = {}
        for record, school_class, at_ms, meal, version, number, why, students, by, reason, text in self._run(
            "SELECT record, class, at_ms, meal, version, number, why, students, by, reason, numbers"
            " FROM meal_adjustments WHERE day = ? ORDER BY meal, number, at_ms, record",
            (day.isoformat(),),
        ):
            one = found.setdefault(
                record,
                AdjustmentRow(record, at_ms, day, meal, version, number, why, tuple(students.split()), by, reason, {}),
            )
            one.classes[school_class] = _portions.decode(text)
        return list(found.values())

    # --- months -------------------------------------------------------------------------------------------------------

    def state_month(self, row: MonthRow) -> None:
        """What a month came to."""
        self._many(
            "INSERT OR REPLACE INTO meal_months VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
            [
                (
                    row.record,
                    pupil,
                    row.at_ms,
                    row.month,
                    row.meal,
                    row.version,
                    row.rules,
                    row.evidence,
                    row.by,
                    row.reason,
                    msgspec.json.encode(days).decode(),
                )
                for pupil, days in (row.pupils or {"": MealDays()}).items()
            ],
        )

    def month(self, month: str, meal: Meal, version: int | None = None) -> MonthRow | None:
        """A month as it was stated, its parts together: one version, or the newest; None where nobody stated it."""
        if version is None:
            version = self._run(
                "SELECT max(version) FROM meal_months WHERE month = ? AND meal = ?", (month, meal)
            ).fetchone()[0]
        found: MonthRow | None = None
        for record, pupil, at_ms, rules, evidence, by, reason, text in self._run(
            "SELECT record, pupil_key, at_ms, rules, evidence, by, reason, numbers FROM meal_months"
            " WHERE month = ? AND meal = ? AND version = ? ORDER BY at_ms, record",
            (month, meal, version),
        ):
            if found is None:
                found = MonthRow(record, at_ms, month, meal, version or 0, rules, evidence, by, reason, {})
            if pupil:
                found.pupils[pupil] = _days.decode(text)
        return found
