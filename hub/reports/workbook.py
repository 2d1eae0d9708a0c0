"""The workbook: month sheets as .xlsx, a page a class, A4 across, written row by row without keeping them.

Every text is written as a text, whatever it begins with: a name is no formula, and 3/2 no date.
"""

from __future__ import annotations

import io
import re
from collections.abc import Iterable
from datetime import UTC, datetime, time
from typing import TYPE_CHECKING, Any, BinaryIO, Final

from hub.reports.labels import NOT_KNOWN, STANDARD, Labels
from hub.reports.monthsheet import TOTALS, Cell, MonthSheet, Row, Stamp
from hub.reports.words import WEEKDAYS, WORDS, Language, head_lines, red_text, total_heads

if TYPE_CHECKING:
    import xlsxwriter
    from xlsxwriter.format import Format
    from xlsxwriter.worksheet import Worksheet

NAME_CHARACTERS_MAX: Final = 31
"""Of a sheet's name, by Excel."""
FORBIDDEN: Final = re.compile(r"[\[\]:*?/\\\x00-\x1f]")
"""What Excel refuses in a sheet's name; 3/2 becomes 3-2 there, and stays 3/2 on the page."""
LEFT: Final = 3
"""Columns before the half-days: number, code, name."""
TOP: Final = 7
"""Rows above the pupils: title, maker, completeness, legend, day, weekday, half-day."""
A4: Final = 9
"""The paper's number (ECMA-376, paperSize)."""
OPTIONS: Final = {
    "constant_memory": True,
    "strings_to_formulas": False,
    "strings_to_urls": False,
    "strings_to_numbers": False,
}


def sheet_name(school_class: str, taken: set[str]) -> str:
    """A name of a sheet for a class: what Excel takes, each once, also for 3/2 beside 3-2; it is added to `taken`."""
    base = FORBIDDEN.sub("-", school_class).strip("' ")[:NAME_CHARACTERS_MAX] or "-"
    # Excel keeps the name History for itself.
    name, number = ("History-" if base.casefold() == "history" else base), 1
    while name.casefold() in taken:
        number += 1
        end = f" ({number})"
        name = base[: NAME_CHARACTERS_MAX - len(end)] + end
    taken.add(name.casefold())
    return name


def new_book(out: BinaryIO, title: str, stamp: Stamp, language: Language) -> xlsxwriter.Workbook:
    """A workbook that writes into `out` when it is closed, and says what it is; the same contents give the same."""
    # Half a megabyte of code that only whoever makes a workbook needs.
    import xlsxwriter

    book = xlsxwriter.Workbook(out, OPTIONS)
    book.set_properties(
        {
            "title": title,
            "author": stamp.by,
            "company": stamp.school,
            "comments": f"{WORDS[language]['report']} {stamp.number}",
            "created": datetime.fromtimestamp(stamp.made_ms / 1000, UTC).replace(tzinfo=None),
        }
    )
    return book


def close_book(book: xlsxwriter.Workbook) -> None:
    """Write it out. Raises OSError where it has no room, which the library hides behind an error of its own."""
    from xlsxwriter.exceptions import FileCreateError

    try:
        book.close()
    except FileCreateError as problem:
        raise OSError(str(problem)) from problem


def month_workbook(
    sheets: Iterable[MonthSheet], stamp: Stamp, labels: Labels = STANDARD, language: Language = "vi"
) -> bytes:
    """The workbook's bytes; the same sheets and stamp give the same."""
    out = io.BytesIO()
    write_month_workbook(out, sheets, stamp, labels, language)
    return out.getvalue()


def write_month_workbook(
    out: BinaryIO, sheets: Iterable[MonthSheet], stamp: Stamp, labels: Labels, language: Language
) -> None:
    """The workbook into a file. One sheet is looked at after the other."""
    book = new_book(out, WORDS[language]["book"], stamp, language)
    page = _Page(book, stamp, labels, language)
    taken: set[str] = set()
    for sheet in sheets:
        page.write(sheet, book.add_worksheet(sheet_name(sheet.school_class, taken)))
    if not taken:
        # A workbook without a sheet can't be opened.
        book.add_worksheet("-")
    close_book(book)


class _Page:
    """What writes one class after the other, with the formats that they share."""

    def __init__(self, book: xlsxwriter.Workbook, stamp: Stamp, labels: Labels, language: Language) -> None:
        self._stamp, self._labels, self._language, self._words = stamp, labels, language, WORDS[language]
        font = {"font_name": "Times New Roman", "font_size": 10}
        grid = {**font, "border": 1, "valign": "vcenter"}
        middle = {**grid, "align": "center"}

        def made(**more: Any) -> Format:
            return book.add_format({**middle, **more})

        self.plain = book.add_format(font)
        self.title = book.add_format({**font, "bold": True, "font_size": 14})
        self.text = book.add_format({**grid, "num_format": "@"})
        self.head, self.date = made(bold=True, text_wrap=True), made(bold=True, num_format="dd/mm")
        self.mark, self.red, self.number = made(num_format="@"), made(num_format="@", font_color="#C00000"), made()
        self.open, self.away = made(num_format="@", bg_color="#FFF2CC"), made(bg_color="#D9D9D9")
        self.half = made(num_format="0.0")

    def write(self, sheet: MonthSheet, out: Worksheet) -> None:
        count = len(sheet.columns)
        self._paper(out, count, len(sheet.rows))
        for number, line in enumerate(head_lines(sheet, self._stamp, self._labels, self._language)):
            out.write_string(number, 0, line, self.plain if number else self.title)
        self._heads(sheet, out)
        for row in sheet.rows:
            self._pupil(out, TOP + row.number - 1, row)
        end = TOP + len(sheet.rows)
        for offset, name in enumerate(("sum", "missing")):
            out.write_blank(end + offset, 0, None, self.text)
            out.write_blank(end + offset, 1, None, self.text)
            out.write_string(end + offset, 2, self._words[name], self.text)
            for place, totals in enumerate(sheet.totals):
                shown = totals.there if name == "sum" else totals.all - totals.there - totals.not_known
                out.write_number(end + offset, LEFT + place, shown, self.number)
        out.write_string(end + 3, 2, self._words["teacher"], self.plain)
        out.write_string(end + 3, LEFT + max(0, count - 4), self._words["head"], self.plain)

    def _paper(self, out: Worksheet, count: int, rows: int) -> None:
        out.set_landscape()
        out.set_paper(A4)
        out.set_margins(left=0.4, right=0.4, top=0.5, bottom=0.6)
        out.fit_to_pages(1, 0)
        out.freeze_panes(TOP, LEFT)
        out.repeat_rows(4, TOP - 1)
        out.print_area(0, 0, TOP + rows + 4, LEFT + count + len(TOTALS) - 1)
        out.set_footer(f"&L{self._words['report']} {self._stamp.number}&R{self._words['page']} &P/&N")
        out.set_column(0, 0, 4)
        out.set_column(1, 1, 12)
        out.set_column(2, 2, 26)
        if count:
            out.set_column(LEFT, LEFT + count - 1, 3.3)
        out.set_column(LEFT + count, LEFT + count + len(TOTALS) - 1, 6)

    def _heads(self, sheet: MonthSheet, out: Worksheet) -> None:
        count = len(sheet.columns)
        for line in range(4, TOP):
            last = line == TOP - 1
            for place, name in enumerate(("number", "code", "name")):
                out.write_string(line, place, self._words[name] if last else "", self.head)
            place = 0
            while place < count:
                day, half = sheet.columns[place]
                width = 1 + (place + 1 < count and sheet.columns[place + 1][0] == day)
                column = LEFT + place
                if last:
                    width = 1
                    out.write_string(line, column, self._words[half], self.head)
                elif line == 4:
                    if width > 1:
                        out.merge_range(line, column, line, column + 1, "", self.date)
                    out.write_datetime(line, column, datetime.combine(day, time()), self.date)
                elif width > 1:
                    out.merge_range(line, column, line, column + 1, self._weekday(day.weekday()), self.head)
                else:
                    out.write_string(line, column, self._weekday(day.weekday()), self.head)
                place += width
            for place, name in enumerate(total_heads(self._labels, self._language)):
                out.write_string(line, LEFT + count + place, name if last else "", self.head)

    def _weekday(self, number: int) -> str:
        return WEEKDAYS[self._language][number]

    def _pupil(self, out: Worksheet, line: int, row: Row) -> None:
        out.write_number(line, 0, row.number, self.number)
        out.write_string(line, 1, row.code, self.text)
        out.write_string(line, 2, row.name, self.text)
        for place, cell in enumerate(row.cells):
            self._cell(out, line, LEFT + place, cell)
        for place, name in enumerate(TOTALS):
            out.write_number(
                line,
                LEFT + len(row.cells) + place,
                getattr(row.totals, name),
                self.half if name == "days" else self.number,
            )

    def _cell(self, out: Worksheet, line: int, column: int, cell: Cell | None) -> None:
        if cell is None:
            out.write_blank(line, column, None, self.away)
            return
        label = self._labels.of(cell.judged.mark)
        form = self.red if cell.correction is not None else self.open if label == NOT_KNOWN else self.mark
        out.write_string(line, column, label, form)
        if cell.correction is not None:
            text = red_text(cell, self._labels, self._language)
            out.write_comment(line, column, text, {"author": cell.correction.by})
