"""The month sheet: a class's page of the school's book (sổ điểm danh), as values. Pure.

Rows are pupils in Vietnamese name order, columns the half-days that the class had. What isn't known yet is shown so.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, fields
from datetime import date
from typing import Final

from hub.attendance.marks import Judged, Mark
from hub.attendance.redink import Correction, Place
from hub.attendance.schoolday import Marked, Pupil
from protocol.names import class_order, name_order
from protocol.records import Half

Column = tuple[date, Half]
FIELD_OF: Final[Mapping[Mark, str]] = {
    "present": "present",
    "late": "late",
    "left-early": "left_early",
    "absent": "absent",
    "excused": "excused",
    "unexcused": "unexcused",
    "not-known": "not_known",
}

TOTALS: Final = ("excused", "unexcused", "late", "left_early", "absent", "not_known", "there", "days")
"""The totals of a row in the order in which every form of a month shows them; fields of Totals."""


@dataclass(frozen=True, slots=True)
class Totals:
    """Half-days by mark. `excused` is P, `unexcused` K; `absent` is neither, that is for people."""

    present: int = 0
    late: int = 0
    left_early: int = 0
    absent: int = 0
    excused: int = 0
    unexcused: int = 0
    not_known: int = 0

    @property
    def there(self) -> int:
        """Half-days of being there, late or not to the end."""
        return self.present + self.late + self.left_early

    @property
    def days(self) -> float:
        """Days of being there, a half-day as half of one."""
        return self.there / 2

    def shown(self) -> tuple[int | float, ...]:
        """The numbers of TOTALS."""
        return tuple(getattr(self, name) for name in TOTALS)

    @property
    def all(self) -> int:
        """Half-days that the pupil should have been there."""
        return sum(getattr(self, field.name) for field in fields(self))


def totals_of(marks: Iterable[Mark]) -> Totals:
    """How many of each."""
    counts = dict.fromkeys(FIELD_OF.values(), 0)
    for mark in marks:
        counts[FIELD_OF[mark]] += 1
    return Totals(**counts)


@dataclass(frozen=True, slots=True)
class Cell:
    """A pupil's mark in a half-day, and what red ink says of it."""

    judged: Judged
    correction: Correction | None = None


@dataclass(frozen=True, slots=True)
class Row:
    """A pupil. `code` is the school's code for them, a text; a cell is None where they didn't belong to the class."""

    number: int
    key: str
    code: str
    name: str
    cells: tuple[Cell | None, ...]
    totals: Totals


@dataclass(frozen=True, slots=True)
class MonthSheet:
    """A class's page. `totals` stand under the columns; `rules`: the versions that its marks were made by."""

    school_class: str
    first: date
    last: date
    columns: tuple[Column, ...]
    rows: tuple[Row, ...]
    totals: tuple[Totals, ...]
    rules: tuple[str, ...]

    @property
    def not_known(self) -> int:
        """How many marks are still open."""
        return sum(totals.not_known for totals in self.totals)


@dataclass(frozen=True, slots=True)
class Standing:
    """How far the data reaches: complete to a moment, None where never; whose records are waited for or waived."""

    complete_to_ms: int | None
    waiting: tuple[str, ...] = ()
    waived: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True, slots=True)
class Stamp:
    """What a report says of itself: its number, for which school, made when and by whom, on which data."""

    number: int
    school: str
    made_ms: int
    by: str
    standing: Standing


def month_sheets(
    marked: Iterable[Marked],
    pupils: Iterable[Pupil],
    first: date,
    last: date,
    corrections: Mapping[Place, Correction] | None = None,
    codes: Mapping[str, str] | None = None,
) -> list[MonthSheet]:
    """A page for each class, in order, of the days from `first` to `last`; marks of other days are passed over.

    `pupils` is the class list: whoever belonged to a class on one of the days has a row, also without any mark.
    """
    corrections, codes = corrections or {}, codes or {}
    cells: dict[str, dict[tuple[str, Column], Cell]] = defaultdict(dict)
    names: dict[str, dict[str, str]] = defaultdict(dict)
    columns: dict[str, set[Column]] = defaultdict(set)
    seen: dict[Column, Column] = {}
    for pupil in pupils:
        if pupil.first <= last and first <= pupil.last:
            names[pupil.school_class][pupil.key] = pupil.name
    for mark in marked:
        day, half, pupil = mark.session.day, mark.session.half, mark.pupil
        if first <= day <= last:
            names[pupil.school_class].setdefault(pupil.key, pupil.name)
            # One for all of a half-day's cells, of which there are many.
            column = seen.setdefault((day, half), (day, half))
            columns[pupil.school_class].add(column)
            red = corrections.get((pupil.key, day, half))
            cells[pupil.school_class][pupil.key, column] = Cell(mark.judged, red)
    return [
        _sheet(name, first, last, tuple(sorted(columns[name])), names[name], cells[name], codes)
        for name in sorted(names, key=class_order)
    ]


def _sheet(
    school_class: str,
    first: date,
    last: date,
    columns: Sequence[Column],
    names: Mapping[str, str],
    cells: Mapping[tuple[str, Column], Cell],
    codes: Mapping[str, str],
) -> MonthSheet:
    rows = []
    for number, key in enumerate(sorted(names, key=lambda key: (name_order(names[key]), key)), 1):
        mine = tuple(cells.get((key, column)) for column in columns)
        totals = totals_of(cell.judged.mark for cell in mine if cell is not None)
        rows.append(Row(number, key, codes.get(key, ""), names[key], mine, totals))
    below = tuple(
        totals_of(cell.judged.mark for cell in (row.cells[place] for row in rows) if cell is not None)
        for place in range(len(columns))
    )
    rules = tuple(sorted({cell.judged.rules for cell in cells.values()}))
    return MonthSheet(school_class, first, last, tuple(columns), tuple(rows), below, rules)
