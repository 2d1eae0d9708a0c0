"""The table book: a summary as .xlsx with one sheet - what it is, a frozen header, rows of texts and numbers."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import BinaryIO, Final

from hub.reports.monthsheet import Stamp
from hub.reports.words import Language, stamp_text, standing_text
from hub.reports.workbook import A4, close_book, new_book

HEAD_LINES: Final = 3
"""Above the header: title, maker, completeness."""
WIDTHS: Final = (12, 40)
"""Narrowest and widest column, in characters."""


def write_table_workbook(
    out: BinaryIO,
    title: str,
    stamp: Stamp,
    header: Sequence[str],
    rows: Iterable[Sequence[str | int | float]],
    language: Language = "vi",
) -> None:
    """The workbook into a file. Every text is written as a text, whatever it begins with: a name is no formula."""
    book = new_book(out, title, stamp, language)
    font = {"font_name": "Times New Roman", "font_size": 10}
    plain, bold = book.add_format(font), book.add_format({**font, "bold": True, "font_size": 14})
    head = book.add_format({**font, "border": 1, "bold": True, "text_wrap": True})
    text = book.add_format({**font, "border": 1, "num_format": "@"})
    number = book.add_format({**font, "border": 1})
    sheet = book.add_worksheet("1")
    sheet.set_landscape()
    sheet.set_paper(A4)
    sheet.fit_to_pages(1, 0)
    sheet.freeze_panes(HEAD_LINES + 1, 0)
    sheet.repeat_rows(HEAD_LINES)
    lines = (title, stamp_text(stamp, language), standing_text(stamp.standing, language))
    for line, told in enumerate(lines):
        sheet.write_string(line, 0, told, plain if line else bold)
    for column, name in enumerate(header):
        low, high = WIDTHS
        sheet.set_column(column, column, min(high, max(low, len(name) + 2)))
        sheet.write_string(HEAD_LINES, column, name, head)
    for line, row in enumerate(rows, HEAD_LINES + 1):
        for column, cell in enumerate(row):
            if isinstance(cell, str):
                sheet.write_string(line, column, cell, text)
            else:
                sheet.write_number(line, column, cell, number)
    close_book(book)
