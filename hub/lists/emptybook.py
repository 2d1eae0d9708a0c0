"""Empty books: the .xlsx that a school fills in, made from a list's declaration, and the same with rows in it."""

from __future__ import annotations

import io
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Final

from hub.lists.columns import FLAG, HALF, Column, Template, Words

if TYPE_CHECKING:
    from xlsxwriter.format import Format
    from xlsxwriter.worksheet import Worksheet

MADE: Final = datetime(2026, 1, 1, tzinfo=UTC)
NOTES_ROW: Final = 1
HEADER_ROW: Final = 2
ROWS: Final = 5_000
"""Cells so far down offer their words."""
LIST_CHARACTERS_MAX: Final = 255
"""What a list of words within a cell's validation may have (ECMA-376, 18.3.1.32; Excel's limit)."""
WORDS_SHEET: Final = "Từ – Words"
TEXT: Final = 49
"""The number format Text (ECMA-376, 18.8.30): what is typed stays what was typed."""


def empty_book(template: Template, rows: Iterable[Sequence[str]] = ()) -> bytes:
    """A workbook whose cells are all text, so that 3/2 stays a class and a code keeps its zero."""
    import xlsxwriter

    stream = io.BytesIO()
    # The same template gives the same bytes, whenever it is made. Whatever a text begins with, it is written as text.
    book = xlsxwriter.Workbook(stream, {"in_memory": True, "strings_to_formulas": False, "strings_to_urls": False})
    book.set_properties({"title": template.title[0], "created": MADE})
    title = book.add_format({"bold": True, "font_size": 14})
    note = book.add_format({"italic": True, "font_color": "#595959", "text_wrap": True, "valign": "top"})
    needed = book.add_format({"bold": True, "bg_color": "#D9E7F5", "border": 1, "num_format": TEXT})
    free = book.add_format({"bold": False, "bg_color": "#F2F2F2", "border": 1, "num_format": TEXT})
    text = book.add_format({"num_format": TEXT})
    sheet = book.add_worksheet(template.title[0])
    sheet.write_string(0, 0, f"{template.title[0]} / {template.title[1]} – * bắt buộc / needed", title)
    sheet.set_row(NOTES_ROW, 60)
    for place, column in enumerate(template.columns):
        sheet.set_column(place, place, max(14, min(30, len(column.headers[0]) + 8)), text)
        sheet.write_string(NOTES_ROW, place, _note(column), note)
        star = " *" if column.needed else ""
        sheet.write_string(HEADER_ROW, place, f"{column.headers[0]}{star}", needed if column.needed else free)
        words = offered(column)
        if words and column.kind != "words":
            source = [spellings[0] for spellings in words.values()]
            assert len(",".join(source)) <= LIST_CHARACTERS_MAX, column.key
            # A warning, no refusal: the reading also takes English and other spellings.
            sheet.data_validation(
                HEADER_ROW + 1, place, HEADER_ROW + ROWS, place,
                {"validate": "list", "source": source, "error_type": "warning"},
            )  # fmt: skip
    sheet.freeze_panes(HEADER_ROW + 1, 0)
    for number, row in enumerate(rows, HEADER_ROW + 1):
        for place, cell in enumerate(row):
            sheet.write_string(number, place, cell, text)
    _words_sheet(book.add_worksheet(WORDS_SHEET), template, needed)
    book.close()
    return stream.getvalue()


def offered(column: Column) -> Words:
    """The closed list of a column's words, empty where it is open."""
    return {"half": HALF, "flag": FLAG}.get(column.kind, column.words)


def _note(column: Column) -> str:
    """What stands above the header; never a header's word alone, so that it isn't taken for one."""
    vi, en = column.note
    lines = [f"{column.headers[1]} –"]
    lines += [f"{vi} / {en}"] if vi else []
    lines += [f"vd. / e.g. {column.example}"] if column.example else []
    lines += ["dd/mm/yyyy"] if column.kind == "day" and not column.example else []
    return "\n".join(lines)


def _words_sheet(sheet: Worksheet, template: Template, header: Format) -> None:
    sheet.set_column(0, 2, 28)
    for place, word in enumerate(("Cột nào", "Tiếng Việt", "In English")):
        sheet.write_string(0, place, word, header)
    number = 1
    for column in template.columns:
        for spellings in offered(column).values():
            for place, word in enumerate((column.headers[0], *spellings[:2])):
                sheet.write_string(number, place, word)
            number += 1
