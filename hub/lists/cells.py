"""Cells: a sheet as it stands in a file that a person brought, as values; nothing in it is understood yet."""

from __future__ import annotations

import unicodedata
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from datetime import time as clock_time
from typing import Final

from hub.fitting import UNSEEN

Cell = str | float | bool | date | datetime | clock_time | timedelta | None
ROWS_MAX: Final = 20_000
COLUMNS_MAX: Final = 200
SHEETS_MAX: Final = 60
CELL_CHARACTERS_MAX: Final = 2_000
SHOWN_CHARACTERS_MAX: Final = 60


@dataclass(frozen=True, slots=True)
class Merge:
    """Cells that look like one; the first holds what all show. Rows and columns from 0, both ends included."""

    first_row: int
    first_column: int
    last_row: int
    last_column: int


@dataclass(frozen=True, slots=True)
class Sheet:
    """A sheet by its name; `rows` begin with its first row, so that `rows[4]` is row 5 of a spreadsheet."""

    name: str
    rows: tuple[tuple[Cell, ...], ...]
    merges: tuple[Merge, ...] = ()


def column_letters(number: int) -> str:
    """A column's letters: 1 is A, 28 is AB."""
    letters = ""
    while number:
        number, rest = divmod(number - 1, 26)
        letters = chr(65 + rest) + letters
    return letters


def shown(cell: Cell, most: int = SHOWN_CHARACTERS_MAX) -> str:
    """A cell's content for a person who looks at the fault in it: short, and nothing in it unseen."""
    if isinstance(cell, datetime | date):
        return f"{cell.day:02}/{cell.month:02}/{cell.year:04}"
    text = f"{cell:.15g}" if isinstance(cell, float) else str(cell)
    text = text[: most + 1]
    seen = "".join(f"[U+{ord(mark):04X}]" if unicodedata.category(mark) in UNSEEN else mark for mark in text)
    return seen if len(seen) <= most else f"{seen[: most - 1]}…"
