"""A row of a list: each cell read as what its column holds; what can't be is a fault with its place, and None."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from datetime import date, datetime
from datetime import time as clock_time
from functools import lru_cache
from typing import Any, Final

from hub.fitting import dated_class, name_problem, unfit
from hub.lists.cells import Cell, column_letters, shown
from hub.lists.columns import FLAG, HALF, Column, Template, Words
from hub.lists.faults import Faults
from protocol.names import spelled

WHOLE_MAX: Final = 2**53
"""Beyond it a spreadsheet's numbers have lost digits (IEEE 754 double)."""
PERSONAL_NUMBER: Final = re.compile(r"\d{12}")
"""A Vietnamese personal number has 12 digits (Law on Identification 26/2023/QH15); it must not be taken."""
SHORTENED_NUMBER: Final = re.compile(r"\d{2}[0-3]\d{8}")
"""The same as a spreadsheet keeps it, without the zero that it begins with (Circular 59/2021/TT-BCA: three digits of
the province, 001 to 096, one of century and sex, two of the year, six drawn)."""
SPLITTING: Final = re.compile(r"[,;\n]+")
_DAY: Final = re.compile(r"(\d{1,2})[/.-](\d{1,2})[/.-](\d{4})")
_ISO_DAY: Final = re.compile(r"(\d{4})-(\d{2})-(\d{2})")
_CLOCK: Final = re.compile(r"(\d{1,2})(?:[:.hg]|giờ)(\d{2})?(?::00)?(?: ?phút)?")


class Row:
    """One row, `number` as a spreadsheet counts. It is `sound` as long as nothing in it stops it."""

    def __init__(
        self,
        sheet: str,
        number: int,
        cells: Mapping[str, Cell],
        places: Mapping[str, int],
        headers: Mapping[str, str],
        today: date,
        faults: Faults,
    ) -> None:
        """`cells` and `places` by the columns' keys; faults go to `faults`."""
        self.sheet, self.number, self.today = sheet, number, today
        self.sound = True
        self._cells, self._places, self._headers, self._faults = cells, places, headers, faults

    @property
    def where(self) -> str:
        """Sheet and row, as other rows' faults name it."""
        return f"{self.sheet}, {self.number}" if self.sheet else str(self.number)

    def wrong(self, key: str, code: str, *about: str, quoted: bool = False) -> None:
        """Note a fault of a column's cell, with what it holds where it may be `quoted`."""
        place = self._places.get(key)
        self.sound = False
        self._faults.add(
            code,
            *about,
            sheet=self.sheet,
            row=self.number,
            column="" if place is None else column_letters(place + 1),
            header=self._headers.get(key, key),
            said=shown(self._cells.get(key)) if quoted else "",
        )

    def told(self, key: str, code: str, *about: str) -> None:
        """The same of something that only needs a look."""
        sound = self.sound
        self.wrong(key, code, *about)
        self.sound = sound

    def has(self, key: str) -> bool:
        """Whether the table has the column."""
        return key in self._places

    def values(self, template: Template) -> dict[str, Any] | None:
        """Every column's value by its key; None where the row has a fault."""
        found: dict[str, Any] = {}
        for column in template.columns:
            cell = self._cells.get(column.key)
            if cell is None:
                found[column.key] = () if column.kind in ("classes", "words") else None
                if column.needed:
                    self.wrong(column.key, "missing")
            else:
                found[column.key] = _READERS[column.kind](self, column, cell)
        return found if self.sound else None


def _text(row: Row, column: Column, cell: Cell) -> str | None:
    if isinstance(cell, float | int) and not isinstance(cell, bool) and cell == cell // 1 and abs(cell) < WHOLE_MAX:
        cell = str(int(cell))
    if not isinstance(cell, str):
        row.wrong(column.key, "not-text", quoted=not column.private)
        return None
    text = spelled(cell)
    problem = unfit(text, symbols=column.kind == "text")
    if problem is not None:
        row.wrong(column.key, problem, quoted=not column.private)
        return None
    if len(text) > column.most:
        row.wrong(column.key, "too-long", str(column.most))
        return None
    return text


def _name(row: Row, column: Column, cell: Cell) -> str | None:
    if not isinstance(cell, str):
        row.wrong(column.key, "not-text")
        return None
    text = _text(row, column, cell)
    if text is None:
        return None
    problem = name_problem(text)
    if problem is not None:
        row.wrong(column.key, problem)
        return None
    return text


def _code(row: Row, column: Column, cell: Cell) -> str | None:
    if isinstance(cell, bool) or not isinstance(cell, str | float | int):
        row.wrong(column.key, "not-text")
        return None
    if isinstance(cell, str):
        text = spelled(cell)
    elif cell != cell // 1 or not 0 <= cell < WHOLE_MAX:
        row.wrong(column.key, "lost-digits")
        return None
    else:
        text = str(int(cell))
        if SHORTENED_NUMBER.fullmatch(text):
            row.wrong(column.key, "personal-number-short")
            return None
    problem = code_problem(text)
    if problem is not None:
        row.wrong(column.key, problem)
        return None
    if len(text) > column.most:
        row.wrong(column.key, "too-long", str(column.most))
        return None
    return text


def code_problem(text: str) -> str | None:
    """The fault of a text that is to name somebody, None where it can."""
    if PERSONAL_NUMBER.fullmatch(text.replace(" ", "").replace(".", "").replace("-", "")):
        return "personal-number"
    if text.count("E+") == 1 and text.replace("E+", "").replace(".", "").isdecimal():
        # A spreadsheet wrote 7.92150E+11 into a CSV.
        return "lost-digits"
    return unfit(text)


def _class(row: Row, column: Column, cell: Cell) -> str | None:
    problem = class_problem(cell)
    if problem is not None:
        row.wrong(column.key, problem, quoted=True)
        return None
    return _text(row, column, cell)


def class_problem(cell: Cell) -> str | None:
    """A class that a spreadsheet changed: 3/2 to a date, 8.10 to 8.1."""
    if isinstance(cell, date | datetime | clock_time) or (isinstance(cell, str) and dated_class(cell.strip())):
        return "class-is-date"
    if isinstance(cell, float) and cell != cell // 1:
        return "class-is-fraction"
    return None


def _classes(row: Row, column: Column, cell: Cell) -> tuple[str, ...]:
    text = _class(row, column, cell)
    pieces = [piece.strip() for piece in SPLITTING.split(text or "")]
    return tuple(dict.fromkeys(piece for piece in pieces if piece))


def _day(row: Row, column: Column, cell: Cell) -> date | None:
    found: date | None = None
    if isinstance(cell, datetime):
        found = cell.date()
    elif isinstance(cell, date):
        found = cell
    elif isinstance(cell, str):
        found = day_of(spelled(cell))
    elif isinstance(cell, float | int) and not isinstance(cell, bool):
        row.wrong(column.key, "day-is-number", quoted=not column.private)
        return None
    if found is None:
        row.wrong(column.key, "no-day", quoted=not column.private)
        return None
    first, last = column.days(row.today)
    if not first <= found <= last:
        row.wrong(column.key, "day-range", shown(first), shown(last), quoted=not column.private)
        return None
    return found


def day_of(text: str) -> date | None:
    """A day as dd/mm/yyyy, or as yyyy-mm-dd; nothing else, since 3/4/19 may be three days."""
    if (parts := _DAY.fullmatch(text)) is not None:
        day, month, year = map(int, parts.groups())
    elif (parts := _ISO_DAY.fullmatch(text)) is not None:
        year, month, day = map(int, parts.groups())
    else:
        return None
    try:
        return date(year, month, day)
    except ValueError:
        return None


def _clock(row: Row, column: Column, cell: Cell) -> clock_time | None:
    if isinstance(cell, clock_time):
        return cell.replace(second=0, microsecond=0)
    if isinstance(cell, str) and (parts := _CLOCK.fullmatch(spelled(cell).casefold())) is not None:
        hour, minute = int(parts[1]), int(parts[2] or 0)
        if hour < 24 and minute < 60:
            return clock_time(hour, minute)
    row.wrong(column.key, "no-clock", quoted=True)
    return None


def _whole(row: Row, column: Column, cell: Cell) -> int | None:
    if isinstance(cell, str) and spelled(cell).isascii() and spelled(cell).isdigit() and len(spelled(cell)) < 16:
        cell = int(spelled(cell))
    if (
        isinstance(cell, float | int)
        and not isinstance(cell, bool)
        and cell == cell // 1
        and column.least <= cell <= column.most
    ):
        return int(cell)
    row.wrong(column.key, "no-whole", str(column.least), str(column.most), quoted=True)
    return None


def _word(row: Row, column: Column, cell: Cell) -> str | None:
    return _one_word(row, column, cell, column.words)


def _half(row: Row, column: Column, cell: Cell) -> str | None:
    return _one_word(row, column, cell, HALF)


def _flag(row: Row, column: Column, cell: Cell) -> bool | None:
    if isinstance(cell, bool):
        return cell
    word = _one_word(row, column, cell, FLAG)
    return None if word is None else word == "yes"


def _some_words(row: Row, column: Column, cell: Cell) -> tuple[str, ...]:
    found: list[str] = []
    pieces = SPLITTING.split(cell) if isinstance(cell, str) else [cell]
    for piece in pieces:
        if not isinstance(piece, str) or piece.strip():
            word = _one_word(row, column, piece, column.words)
            if word is None:
                return ()
            found.append(word)
    return tuple(dict.fromkeys(found))


def _one_word(row: Row, column: Column, cell: Cell, words: Words) -> str | None:
    if isinstance(cell, float | int) and not isinstance(cell, bool):
        cell = f"{cell:g}"
    found = _spellings(tuple(words.items())).get(plain(cell)) if isinstance(cell, str) else None
    if found is None:
        offered = ", ".join(spelling[0] for spelling in words.values())
        row.wrong(column.key, "no-word", offered, quoted=not column.private)
    return found


def plain(text: str) -> str:
    """A word of a closed list as it compares: composed, without capitals and double spaces."""
    return spelled(text).casefold()


@lru_cache(maxsize=256)
def _spellings(words: tuple[tuple[str, tuple[str, ...]], ...]) -> dict[str, str]:
    return {plain(spelling): word for word, spellings in words for spelling in (*spellings, word)}


_READERS: Final[Mapping[str, Callable[[Row, Column, Cell], Any]]] = {
    "code": _code,
    "name": _name,
    "text": _text,
    "class": _class,
    "classes": _classes,
    "day": _day,
    "clock": _clock,
    "half": _half,
    "word": _word,
    "words": _some_words,
    "whole": _whole,
    "flag": _flag,
}
