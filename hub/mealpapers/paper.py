"""A paper: title, lines, tables and who signs; as a workbook, as pages, as CSV, or as values for a template. Pure."""

from __future__ import annotations

import io
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final, Literal, get_args

from hub.incidents.pages import write_pages
from hub.incidents.tables import Table
from hub.reports.monthsheet import Stamp, Standing
from hub.reports.tables import csv_bytes, json_bytes
from hub.reports.words import Language, stamp_text, standing_text
from hub.reports.workbook import A4, close_book, new_book, sheet_name

PaperForm = Literal["xlsx", "pdf", "csv", "json"]
PAPER_FORMS: Final[tuple[PaperForm, ...]] = get_args(PaperForm)
MM_PER_CHARACTER: Final = 2.0
"""Of a column's width in a sheet, whose unit is about the digit 0 in the standard font."""
SIGN_LINES: Final = 3
"""Empty lines below the names of those who sign."""
WIDE_MM: Final = 277.0


@dataclass(frozen=True, slots=True)
class Paper:
    """Every text ready. `lines` stand below the title; `signs`: who signs, from the left.

    `standing`: how far counters' records reach; None where nothing on it depends on any.
    """

    title: str
    lines: tuple[str, ...]
    tables: tuple[Table, ...]
    signs: tuple[str, ...] = ()
    standing: Standing | None = None


def paper_bytes(paper: Paper, form: PaperForm, stamp: Stamp, language: Language = "vi") -> bytes:
    """The paper as a file; the same for the same stamp. A CSV has the first table alone."""
    match form:
        case "xlsx":
            return _workbook(paper, stamp, language)
        case "pdf":
            return _pages(paper, stamp, language)
        case "csv":
            first = paper.tables[0]
            return csv_bytes(first.header, first.rows)
        case "json":
            return json_bytes(paper_values(paper))


def paper_values(paper: Paper) -> dict[str, Any]:
    """For a template or a program. Whoever renders it escapes: names are as they are."""
    return {
        "title": paper.title,
        "lines": list(paper.lines),
        "tables": [
            {"title": one.title, "header": list(one.header), "rows": [list(row) for row in one.rows]}
            for one in paper.tables
        ],
        "signs": list(paper.signs),
    }


def _heads(paper: Paper, stamp: Stamp, language: Language) -> tuple[str, ...]:
    told = () if paper.standing is None else (standing_text(paper.standing, language),)
    return (*paper.lines, stamp_text(stamp, language), *told)


def _pages(paper: Paper, stamp: Stamp, language: Language) -> bytes:
    out = io.BytesIO()
    head = Table("", paper.title, (_heads(paper, stamp, language)[0],), (WIDE_MM,), tuple(
        (line,) for line in _heads(paper, stamp, language)[1:]
    ))  # fmt: skip
    signs: tuple[Table, ...] = ()
    if paper.signs:
        width = WIDE_MM / len(paper.signs)
        empty = tuple("" for _ in paper.signs)
        signs = (Table("", "", paper.signs, (width,) * len(paper.signs), (empty,) * SIGN_LINES),)
    tables: Sequence[Table] = (head, *paper.tables, *signs)
    write_pages(out, tables, paper.title, stamp_text(stamp, language), "", language, stamp.made_ms)
    return out.getvalue()


def _workbook(paper: Paper, stamp: Stamp, language: Language) -> bytes:
    """A sheet a table, A4. Every text is written as a text, whatever it begins with: a name is no formula."""
    out = io.BytesIO()
    book = new_book(out, paper.title, stamp, language)
    font = {"font_name": "Times New Roman", "font_size": 11}
    plain, bold = book.add_format(font), book.add_format({**font, "bold": True, "font_size": 14})
    head = book.add_format({**font, "border": 1, "bold": True, "text_wrap": True, "align": "center"})
    text = book.add_format({**font, "border": 1, "num_format": "@"})
    number = book.add_format({**font, "border": 1})
    taken: set[str] = set()
    heads = _heads(paper, stamp, language)
    for table in paper.tables:
        sheet = book.add_worksheet(sheet_name(table.name, taken))
        sheet.set_paper(A4)
        sheet.set_landscape()
        sheet.fit_to_pages(1, 0)
        sheet.write_string(0, 0, paper.title, bold)
        for line, told in enumerate(heads, 1):
            sheet.write_string(line, 0, told, plain)
        sheet.write_string(len(heads) + 1, 0, table.title, plain)
        top = len(heads) + 2
        sheet.freeze_panes(top + 1, 0)
        sheet.repeat_rows(top)
        sheet.set_footer("&R&P/&N")
        for column, (name, width) in enumerate(zip(table.header, table.widths, strict=True)):
            sheet.set_column(column, column, width / MM_PER_CHARACTER)
            sheet.write_string(top, column, name, head)
        for line, row in enumerate(table.rows, top + 1):
            for column, cell in enumerate(row):
                if isinstance(cell, str):
                    sheet.write_string(line, column, cell, text)
                else:
                    sheet.write_number(line, column, cell, number)
        below = top + len(table.rows) + 2
        step = max(1, len(table.header) // max(1, len(paper.signs)))
        for place, name in enumerate(paper.signs):
            sheet.write_string(below, place * step, name, bold)
    close_book(book)
    return out.getvalue()
