"""A table in a sheet: its header found by its words, its rows told from what stands around them."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from functools import lru_cache
from typing import Final

from hub.lists.cells import Cell, Sheet, column_letters
from hub.lists.columns import Column, Template
from hub.lists.faults import Faults
from hub.lists.rows import Row
from protocol.names import spelled

HEADER_ROWS_MAX: Final = 12
"""How far down a header is looked for: above it stand the names of ministry and school, and a title."""
IGNORED_MAX: Final = 60
FAMILY: Final = ("họ và tên đệm", "họ tên đệm", "họ đệm", "họ và đệm", "họ lót", "họ và chữ lót", "họ")
GIVEN: Final = "tên"
"""Headers of a name in two columns, the given name behind the others."""
_DECORATION: Final = re.compile(r"[\s*():._-]+")
_COUNTED: Final = re.compile(r"\(?(\d{1,3})\)?")


@dataclass(frozen=True, slots=True)
class Table:
    """A sheet with its header found: where each column stands, and the headers of columns that are not taken.

    `joined`: how many cells a header spans whose text stands in several, as family and given name do.
    """

    sheet: Sheet
    header_row: int
    places: Mapping[str, int]
    ignored: tuple[str, ...]
    joined: Mapping[str, int]

    def cells(self, number: int, cells: Sequence[Cell], template: Template) -> dict[str, Cell]:
        """A row's cells by the columns' keys; None where it is empty, or the table hasn't the column."""
        found: dict[str, Cell] = {}
        for column in template.columns:
            place = self.places.get(column.key)
            cell = cells[place] if place is not None and place < len(cells) else None
            if place is not None and (width := self.joined.get(column.key, 1)) > 1:
                parts = [part for part in cells[place : place + width] if part is not None]
                if all(isinstance(part, str) for part in parts):
                    cell = " ".join(map(str, parts)) or None
            found[column.key] = None if isinstance(cell, str) and not cell.strip() else cell
        return found

    def rows(self, template: Template, today: date, faults: Faults) -> Iterator[Row]:
        """The rows of the list: no repeated header, no line of column numbers, nothing that stands below it.

        What stands below is told, so that a pupil who is there by mistake is seen.
        """
        filled = [
            (number, self.cells(number, cells, template))
            for number, cells in enumerate(_shown_rows(self.sheet)[self.header_row :], self.header_row + 1)
            if any(cell is not None for cell in cells)
        ]
        needed = template.needed
        naming = [column.key for column in needed if column.kind not in ("name", "text")]
        naming = naming or [column.key for column in needed]
        whole = (number for number, found in filled if all(found[column.key] is not None for column in needed))
        last = max(whole, default=0)
        for number, found in filled:
            if not any(cell is not None for cell in found.values()):
                # Its cells stand in columns that aren't taken.
                if number < last:
                    continue
                place = next(at for at, cell in enumerate(self.sheet.rows[number - 1]) if cell is not None)
                faults.add("row-skipped", sheet=self.sheet.name, row=number, column=column_letters(place + 1))
            elif self._is_header(found, needed) or (number == self.header_row + 1 and self._is_numbering(number)):
                continue
            elif number > last and last and all(found[key] is None for key in naming):
                place = next(self.places[key] for key, cell in found.items() if cell is not None)
                faults.add("row-skipped", sheet=self.sheet.name, row=number, column=column_letters(place + 1))
            else:
                yield Row(self.sheet.name, number, found, self.places, self._headers(), today, faults)

    def _is_header(self, found: Mapping[str, Cell], needed: Sequence[Column]) -> bool:
        """Printed lists repeat their header on every page."""
        return all(
            isinstance(cell := found[column.key], str) and word_of(cell) in _words_of(column) for column in needed
        )

    def _is_numbering(self, number: int) -> bool:
        """Forms number their columns below the header: (1) (2) (3)."""
        counted: list[int] = []
        for cell in self.sheet.rows[number - 1]:
            if cell is None:
                continue
            text = f"{cell:g}" if isinstance(cell, float | int) else cell
            match = _COUNTED.fullmatch(text.strip()) if isinstance(text, str) else None
            if match is None:
                return False
            counted.append(int(match[1]))
        return len(counted) > 1 and counted == list(range(counted[0], counted[0] + len(counted))) and counted[0] <= 1

    def _headers(self) -> Mapping[str, str]:
        header = self.sheet.rows[self.header_row - 1]
        return {key: spelled(str(header[place])) for key, place in self.places.items()}


@dataclass(frozen=True, slots=True)
class Nearest:
    """The row that came nearest to being a header, and what it lacks."""

    sheet: str
    row: int
    found: int
    lacking: tuple[Column, ...]


def find_tables(sheets: Sequence[Sheet], template: Template, faults: Faults) -> tuple[list[Table], Nearest | None]:
    """The table of each sheet that has one, and where none has, what came nearest."""
    tables: list[Table] = []
    nearest: Nearest | None = None
    for sheet in sheets:
        for number, cells in enumerate(sheet.rows[:HEADER_ROWS_MAX], 1):
            places, twice = _places(cells, template)
            lacking = tuple(column for column in template.needed if column.key not in places)
            if not lacking:
                for key in twice:
                    header = template.column(key).headers[0]
                    letters = column_letters(places[key] + 1)
                    faults.add("column-twice", sheet=sheet.name, row=number, column=letters, header=header)
                tables.append(_table(sheet, number, places))
                break
            if places and (nearest is None or len(places) > nearest.found):
                nearest = Nearest(sheet.name, number, len(places), lacking)
    return tables, nearest


def _places(cells: Sequence[Cell], template: Template) -> tuple[dict[str, int], list[str]]:
    """Where each column stands, and those of which two stand there under the same spelling."""
    here: dict[str, list[int]] = {}
    for place, cell in enumerate(cells):
        if isinstance(cell, str):
            here.setdefault(word_of(cell), []).append(place)
    places: dict[str, int] = {}
    twice: list[str] = []
    for column in template.columns:
        for word in _words_of(column):
            if word in here:
                places[column.key] = here[word][0]
                twice += [column.key] if len(here[word]) > 1 else []
                break
        else:
            pairs = [place for word in FAMILY for place in here.get(word, ()) if place + 1 in here.get(GIVEN, ())]
            if column.kind == "name" and pairs:
                places[column.key] = pairs[0]
    return places, twice


def _table(sheet: Sheet, number: int, places: Mapping[str, int]) -> Table:
    header = sheet.rows[number - 1]
    joined = {key: 2 for key, place in places.items() if word_of(str(header[place])) in FAMILY}
    spanned: set[int] = set(places.values())
    for merge in sheet.merges:
        if merge.first_row <= number - 1 <= merge.last_row and merge.last_column > merge.first_column:
            for key, place in places.items():
                if place == merge.first_column and not spanned & set(range(place + 1, merge.last_column + 1)):
                    joined[key] = merge.last_column - place + 1
    spanned |= {place + 1 for key, place in places.items() if key in joined}
    ignored = [spelled(cell) for place, cell in enumerate(header) if isinstance(cell, str) and place not in spanned]
    return Table(sheet, number, places, tuple(word for word in ignored if word)[:IGNORED_MAX], joined)


def _shown_rows(sheet: Sheet) -> list[tuple[Cell, ...]]:
    """The rows as a person sees them: in cells that were merged downwards each row has what the first holds."""
    downwards = [merge for merge in sheet.merges if merge.first_column == merge.last_column]
    if not downwards:
        return list(sheet.rows)
    rows = [list(row) for row in sheet.rows]
    for merge in downwards:
        for number in range(merge.first_row + 1, min(merge.last_row + 1, len(rows))):
            if merge.first_column < min(len(rows[number]), len(rows[merge.first_row])):
                rows[number][merge.first_column] = rows[merge.first_row][merge.first_column]
    return [tuple(row) for row in rows]


@lru_cache(maxsize=4096)
def word_of(text: str) -> str:
    """A header's word, whatever its accents are composed of, its line breaks, capitals and stars."""
    return _DECORATION.sub(" ", spelled(text).casefold()).strip()


@lru_cache(maxsize=1024)
def _words(headers: tuple[str, ...], key: str) -> tuple[str, ...]:
    return tuple(dict.fromkeys(word_of(word) for word in (*headers, key)))


def _words_of(column: Column) -> tuple[str, ...]:
    return _words(column.headers, column.key)
