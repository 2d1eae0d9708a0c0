"""The files of a pack: CSV for any machine, a workbook, pages to print; in memory, the same bytes for the same pack.

Nothing is fetched: the pages' fonts come with the program.
"""

from __future__ import annotations

import io
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, Literal, get_args

from hub.incidents.pack import Pack
from hub.incidents.pages import write_pages
from hub.incidents.tables import Issue, Table, flat_header, flat_rows, heading, standing, tables
from hub.incidents.words import DRILL
from hub.reports.monthsheet import Stamp, Standing
from hub.reports.tables import csv_bytes
from hub.reports.words import Language
from hub.reports.workbook import A4, close_book, new_book, sheet_name
from protocol.envelope import digest_bytes

Form = Literal["pdf", "csv", "xlsx"]
FORMS: Final[tuple[Form, ...]] = get_args(Form)
MM_PER_CHARACTER: Final = 2.0
"""Of a column's width in a sheet, whose unit is about the digit 0 in the standard font."""
HEAD_LINES: Final = 2


@dataclass(frozen=True, slots=True)
class File:
    """A file by its name, and its bytes."""

    name: str
    octets: bytes

    @property
    def sha256(self) -> str:
        """SHA-256 of the bytes, hex."""
        return digest_bytes(self.octets).hex()


def files_of(
    pack: Pack, issue: Issue, stem: str, language: Language = "vi", forms: Sequence[Form] = FORMS
) -> list[File]:
    """The pack as files named `<stem>.<form>`."""
    made = tables(pack, issue, language)
    found = []
    for form in forms:
        match form:
            case "csv":
                octets = csv_bytes(flat_header(language, drill=issue.drill), flat_rows(pack, issue, language))
            case "xlsx":
                octets = _workbook(made, pack, issue, language)
            case "pdf":
                octets = _pages(made, pack, issue, language)
        found.append(File(f"{stem}.{form}", octets))
    return found


def _pages(made: Sequence[Table], pack: Pack, issue: Issue, language: Language) -> bytes:
    out = io.BytesIO()
    write_pages(
        out,
        made,
        heading(pack, issue, language),
        f"{issue.school} · {standing(pack, language)}",
        DRILL[language] if issue.drill else "",
        language,
        issue.made_ms,
    )
    return out.getvalue()


def _workbook(made: Sequence[Table], pack: Pack, issue: Issue, language: Language) -> bytes:
    """A sheet a table. Every text is written as a text, whatever it begins with: a name is no formula."""
    out = io.BytesIO()
    title = heading(pack, issue, language)
    book = new_book(out, title, Stamp(issue.number, issue.school, issue.made_ms, issue.by, Standing(None)), language)
    font = {"font_name": "Times New Roman", "font_size": 10}
    plain, bold = book.add_format(font), book.add_format({**font, "bold": True, "font_size": 14})
    head = book.add_format({**font, "border": 1, "bold": True, "text_wrap": True})
    text = book.add_format({**font, "border": 1, "num_format": "@"})
    number = book.add_format({**font, "border": 1})
    taken: set[str] = set()
    for table in made:
        sheet = book.add_worksheet(sheet_name(f"{DRILL['vi']} {table.name}" if issue.drill else table.name, taken))
        sheet.set_landscape()
        sheet.set_paper(A4)
        sheet.fit_to_pages(1, 0)
        sheet.freeze_panes(HEAD_LINES + 1, 0)
        sheet.repeat_rows(0, HEAD_LINES)
        sheet.set_footer(f"&L{standing(pack, language)}&R&P/&N")
        sheet.write_string(0, 0, title, bold)
        sheet.write_string(1, 0, f"{table.title} · {standing(pack, language)}", plain)
        drill = [DRILL[language]] if issue.drill else []
        for column, (name, width) in enumerate(
            zip([*drill, *table.header], [*(26 for _ in drill), *table.widths], strict=True)
        ):
            sheet.set_column(column, column, width / MM_PER_CHARACTER)
            sheet.write_string(HEAD_LINES, column, name, head)
        for line, row in enumerate(table.rows, HEAD_LINES + 1):
            for column, cell in enumerate((*drill, *row)):
                if isinstance(cell, str):
                    sheet.write_string(line, column, cell, text)
                else:
                    sheet.write_number(line, column, cell, number)
    close_book(book)
    return out.getvalue()
