"""The pages of a pack as PDF: A4 across, every page with what it is of, how complete it is, and its number of how many.

Long texts are broken into lines, never cut. The fonts are embedded (Noto Sans, SIL Open Font License).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from importlib import resources
from typing import TYPE_CHECKING, Any, BinaryIO, Final

from hub.incidents.tables import Cell, Table
from hub.incidents.words import WORDS
from hub.reports.words import Language, moment_text

if TYPE_CHECKING:
    from reportlab.pdfgen.canvas import Canvas

MM: Final = 72 / 25.4
"""Points in a millimetre."""
WIDE_MM, HIGH_MM, MARGIN_MM = 297.0, 210.0, 10.0
SIZE: Final = 7.5
"""Of the text, in points."""
LINE_MM: Final = 3.2
PAD_MM: Final = 0.6
TOP_MM: Final = 17.0
"""From the upper edge to the first table's title: the page's own head."""
FOOT_MM: Final = 12.0
LINES_MAX: Final = 40
"""Lines that one cell is broken into; a longer text ends in an ellipsis on the page, and stands whole in the CSV."""
PLAIN: Final = "k12edge-plain"
BOLD: Final = "k12edge-bold"


@dataclass(frozen=True, slots=True)
class _Laid:
    """A row with its cells broken into lines; `kind`: title, head or row."""

    kind: str
    cells: tuple[tuple[str, ...], ...]
    widths: tuple[float, ...]

    @property
    def high_mm(self) -> float:
        lines = max((len(cell) for cell in self.cells), default=1)
        return lines * LINE_MM + 2 * PAD_MM + (2.0 if self.kind == "title" else 0.0)


def write_pages(
    out: BinaryIO, tables: Sequence[Table], title: str, foot: str, mark: str, language: Language, made_ms: int
) -> None:
    """The tables, one below the other; `mark` stands large and pale across each page, and in its head."""
    # Three megabytes of code that only whoever makes a PDF needs.
    from reportlab import rl_config
    from reportlab.pdfgen.canvas import Canvas

    # Streams as bytes: as text (ASCII85) they are a quarter larger and take a tenth of the time.
    rl_config.useA85 = 0
    _fonts()
    canvas = Canvas(out, pagesize=(WIDE_MM * MM, HIGH_MM * MM), invariant=1, pageCompression=1, lang=language)
    canvas.setTitle(title)
    canvas.setCreator("k12edge")
    pages = list(_paged(tables))
    foot = f"{foot} · {moment_text(made_ms)}"
    for number, rows in enumerate(pages, 1):
        _head(canvas, title, mark)
        y_mm = HIGH_MM - TOP_MM
        for row in rows:
            _row(canvas, row, y_mm)
            y_mm -= row.high_mm
        canvas.setFont(PLAIN, SIZE)
        canvas.drawString(MARGIN_MM * MM, 6 * MM, foot)
        canvas.drawRightString((WIDE_MM - MARGIN_MM) * MM, 6 * MM, f"{WORDS[language]['page']} {number}/{len(pages)}")
        canvas.showPage()
    canvas.save()


def _fonts() -> None:
    from reportlab.pdfbase import pdfmetrics
    from reportlab.pdfbase.ttfonts import TTFont

    folder = resources.files("hub.incidents") / "fonts"
    for name, file in ((PLAIN, "NotoSans-Regular.ttf"), (BOLD, "NotoSans-Bold.ttf")):
        if name not in pdfmetrics.getRegisteredFontNames():
            with (folder / file).open("rb") as octets:
                pdfmetrics.registerFont(TTFont(name, octets))


def _head(canvas: Canvas, title: str, mark: str) -> None:
    canvas.setFont(BOLD, 11)
    lines = _broken(title, BOLD, 11, WIDE_MM - 2 * MARGIN_MM)
    for number, line in enumerate(lines[:2]):
        canvas.drawString(MARGIN_MM * MM, (HIGH_MM - 9 - 5 * number) * MM, line)
    if not mark:
        return
    canvas.saveState()
    canvas.setFont(BOLD, 80)
    canvas.setFillGray(0.88)
    canvas.translate(WIDE_MM / 2 * MM, HIGH_MM / 2 * MM)
    canvas.rotate(30)
    canvas.drawCentredString(0, -28, mark)
    canvas.restoreState()


def _paged(tables: Sequence[Table]) -> Iterator[list[_Laid]]:
    """Rows by page; a table that goes on has its title and header again."""
    room_mm = HIGH_MM - TOP_MM - FOOT_MM
    page: list[_Laid] = []
    left_mm = room_mm
    for table in tables:
        title = _Laid("title", ((table.title,),), (sum(table.widths),))
        head = _laid("head", table.header, table.widths)
        top_mm = title.high_mm + head.high_mm
        first = True
        for row in (_laid("row", cells, table.widths) for cells in table.rows):
            if first and left_mm < top_mm + row.high_mm and page:
                yield page
                page, left_mm = [], room_mm
            if not first and left_mm < row.high_mm:
                yield page
                page, left_mm, first = [], room_mm, True
            if first:
                page += [title, head]
                left_mm -= top_mm
                first = False
            page.append(row)
            left_mm -= row.high_mm
    if page:
        yield page


def _laid(kind: str, cells: Sequence[Cell], widths: Sequence[float]) -> _Laid:
    font = BOLD if kind == "head" else PLAIN
    broken = (
        tuple(_broken(str(cell), font, SIZE, width - 2 * PAD_MM)) for cell, width in zip(cells, widths, strict=True)
    )
    return _Laid(kind, tuple(broken), tuple(widths))


def _broken(text: str, font: str, size: float, width_mm: float) -> list[str]:
    """A text in lines that fit; a word that is too long for a line is broken within."""
    width_of = _metrics(font)
    room = width_mm * MM
    if width_of(text, size) <= room:
        return [text]
    lines: list[str] = []
    line = ""
    for word in text.split(" "):
        longer = f"{line} {word}" if line else word
        if width_of(longer, size) <= room:
            line = longer
            continue
        if line:
            lines.append(line)
        line = word
        while width_of(line, size) > room and len(line) > 1:
            fits = next(
                count for count in range(len(line) - 1, 0, -1) if count == 1 or width_of(line[:count], size) <= room
            )
            lines.append(line[:fits])
            line = line[fits:]
    lines.append(line)
    return lines if len(lines) <= LINES_MAX else [*lines[: LINES_MAX - 1], "…"]


def _metrics(font: str) -> Any:
    from reportlab.pdfbase import pdfmetrics

    return pdfmetrics.getFont(font).stringWidth


def _row(canvas: Canvas, row: _Laid, y_mm: float) -> None:
    size = 9.5 if row.kind == "title" else SIZE
    canvas.setFont(PLAIN if row.kind == "row" else BOLD, size)
    x_mm = MARGIN_MM
    high_mm = row.high_mm
    if row.kind != "title":
        canvas.setLineWidth(0.3)
        canvas.line(x_mm * MM, (y_mm - high_mm) * MM, (x_mm + sum(row.widths)) * MM, (y_mm - high_mm) * MM)
    base_mm = y_mm - PAD_MM - 2.4 - (2.0 if row.kind == "title" else 0.0)
    for cell, width in zip(row.cells, row.widths, strict=True):
        for number, line in enumerate(cell):
            if line:
                canvas.drawString((x_mm + PAD_MM) * MM, (base_mm - number * LINE_MM) * MM, line)
        x_mm += width
