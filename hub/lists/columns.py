"""Columns: what a list's column is called, what its cells hold, and which words it may have, as a declaration."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import date
from typing import Any, Final, Literal

Kind = Literal["code", "name", "text", "class", "classes", "day", "clock", "half", "word", "words", "whole", "flag"]
"""What a cell gives: `code`, `name`, `text`, `class` a text, `classes` and `words` a tuple, `half` am or pm."""
Words = Mapping[str, tuple[str, ...]]
"""Our word -> how people write it: the first Vietnamese, as the sheet offers it, the second English, then others."""

HALF: Final[Words] = {
    "am": ("Sáng", "Morning", "am", "buổi sáng", "s"),
    "pm": ("Chiều", "Afternoon", "pm", "buổi chiều", "c"),
}
FLAG: Final[Words] = {
    "yes": ("Có", "Yes", "x", "1", "true", "đúng", "đồng ý", "y"),
    "no": ("Không", "No", "0", "false", "sai", "không đồng ý", "n"),
}


@dataclass(frozen=True, slots=True)
class Column:
    """A column by our `key`.

    `headers`: Vietnamese as the empty sheet shows it, English, then other spellings; where several columns of a sheet
    have one, the earliest spelling counts. `most`: characters, or the greatest number; `least` the smallest. `years`:
    how far a day may be before and after this year; None after means not later than today. `private`: what stands in a
    cell is never quoted. `note`: Vietnamese and English, in the empty sheet.
    """

    key: str
    headers: tuple[str, ...]
    kind: Kind
    needed: bool = False
    words: Words = field(default_factory=dict)
    least: int = 0
    most: int = 120
    years: tuple[int, int | None] = (1, 2)
    private: bool = False
    example: str = ""
    note: tuple[str, str] = ("", "")

    def days(self, today: date) -> tuple[date, date]:
        """The first and the last day that it takes."""
        before, after = self.years
        last = today if after is None else date(min(today.year + after, 9998), 12, 31)
        return date(max(today.year - before, 1), 1, 1), last


@dataclass(frozen=True, slots=True)
class Template:
    """A kind of list. `line` makes its value of a row's cells (by column key); what is wrong it tells the row.

    Two rows that agree in all columns of `identity` speak of the same thing; `examined` looks at all sound rows
    (reading.Found) together.
    """

    name: str
    title: tuple[str, str]
    columns: tuple[Column, ...]
    line: Callable[[Mapping[str, Any], Any], Any]
    identity: tuple[str, ...] = ()
    examined: Callable[[list[Any]], None] | None = None

    @property
    def needed(self) -> tuple[Column, ...]:
        """Columns that a header must have."""
        return tuple(column for column in self.columns if column.needed)

    def column(self, key: str) -> Column:
        """One of them."""
        return next(column for column in self.columns if column.key == key)
