"""Sheets: the tables of a file that a person brought, by what its bytes are, from .xlsx, .xls and CSV."""

from __future__ import annotations

import codecs
import csv
import io
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import PurePath
from typing import Final

from hub.lists.books import open_book
from hub.lists.cells import CELL_CHARACTERS_MAX, COLUMNS_MAX, ROWS_MAX, Cell, Sheet, column_letters
from hub.lists.faults import Fault, ListRefused

FILE_BYTES_MAX: Final = 8 * 1024 * 1024
"""A list of 5,000 pupils has half a MiB."""
OLE: Final = bytes.fromhex("D0CF11E0A1B11AE1")
"""Compound File Binary (MS-CFB 2.2): an old .xls, or a .xlsx that a password locks."""
ZIP: Final = b"PK\x03\x04"
DOCUMENTS: Final = (
    (b"%PDF", "PDF"),
    (b"{\\rtf", "RTF"),
    (b"<", "HTML/XML"),
    (b"\x89PNG", "PNG"),
    (b"\xff\xd8\xff", "JPEG"),
)
"""What begins so is no list, whatever it is called; school portals also give HTML the name of .xls."""
SEPARATORS: Final = ",;\t"
"""Excel writes the list separator of the country that it is set to, which is ; in Vietnam."""
SEPARATOR_LINES: Final = 20


@dataclass(frozen=True, slots=True)
class Book:
    """All sheets of a file, and the names of those that are hidden and so were not read."""

    sheets: tuple[Sheet, ...]
    hidden: tuple[str, ...] = ()


def read_sheets(name: str, octets: bytes) -> Book:
    """Every sheet of a file. Raises ListRefused."""
    checked(name, octets)
    if octets.startswith((ZIP, OLE)):
        sheets, hidden = open_book(name, octets)
        return Book(
            tuple(Sheet(sheet.name, _bounded(name, sheet.name, sheet.rows), sheet.merges) for sheet in sheets), hidden
        )
    return Book((Sheet(PurePath(name).stem, _bounded(name, "", _csv_rows(name, text_of(name, octets)))),))


def checked(name: str, octets: bytes) -> None:
    """Raises ListRefused for a file that is too large, empty, or something else."""
    if len(octets) > FILE_BYTES_MAX:
        raise ListRefused(Fault("too-large", file=name, about=(f"{len(octets):,}", f"{FILE_BYTES_MAX:,}")))
    if not octets.strip():
        raise ListRefused(Fault("empty", file=name))
    head = octets[:512].removeprefix(codecs.BOM_UTF8).lstrip()
    for begins, what in DOCUMENTS:
        if head.startswith(begins):
            raise ListRefused(Fault("is-document", file=name, about=(what,)))


def text_of(name: str, octets: bytes) -> str:
    """A file's text: UTF-8, or UTF-16 with its mark, which Excel calls Unicode text. Raises ListRefused."""
    coding = "utf-16" if octets.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)) else "utf-8-sig"
    try:
        text = octets.decode(coding)
    except UnicodeDecodeError as problem:
        raise ListRefused(Fault("no-text", file=name, about=(str(problem.start),))) from problem
    if "\0" in text:
        raise ListRefused(Fault("no-text", file=name, about=(str(len(text.partition("\0")[0].encode())),)))
    return text


def _csv_rows(name: str, text: str) -> Iterable[list[str]]:
    stream = io.StringIO(text, newline="")
    first = text.partition("\n")[0].strip()
    if first.casefold().startswith("sep=") and len(first) == 5:
        # Excel's own word for the separator; its line stays a row, so that rows count as in the file.
        separator = first[4]
    else:
        head = "\n".join(text[:100_000].split("\n", SEPARATOR_LINES)[:SEPARATOR_LINES])
        separator = max(SEPARATORS, key=head.count)
    if separator not in SEPARATORS + "|":
        raise ListRefused(Fault("no-csv", file=name, row=1, about=("1", first)))
    reader = csv.reader(stream, delimiter=separator, strict=True)
    try:
        for number, cells in enumerate(reader, 1):
            # A cell may hold line breaks: rows are numbered as a spreadsheet shows them.
            if number > ROWS_MAX:
                break
            yield cells
        else:
            return
    except csv.Error as problem:
        raise ListRefused(Fault("no-csv", file=name, about=(str(reader.line_num), str(problem)))) from problem
    raise ListRefused(Fault("too-many-cells", file=name, about=(str(ROWS_MAX), str(COLUMNS_MAX))))


def _bounded(name: str, sheet: str, rows: Iterable[Iterable[Cell]]) -> tuple[tuple[Cell, ...], ...]:
    taken: list[tuple[Cell, ...]] = []
    for number, row in enumerate(rows, 1):
        cells = tuple(None if cell == "" else cell for cell in row)
        if number > ROWS_MAX or len(cells) > COLUMNS_MAX:
            most = str(ROWS_MAX), str(COLUMNS_MAX)
            raise ListRefused(Fault("too-many-cells", sheet, number, file=name, about=most))
        for column, cell in enumerate(cells, 1):
            if isinstance(cell, str) and len(cell) > CELL_CHARACTERS_MAX:
                letters, most_text = column_letters(column), (str(CELL_CHARACTERS_MAX),)
                raise ListRefused(Fault("long-text", sheet, number, letters, file=name, about=most_text))
        taken.append(cells)
    return tuple(taken)
