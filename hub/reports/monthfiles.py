"""Month files: month sheets as CSV for spreadsheets, and as JSON, where each mark names its records. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict
from typing import Any, BinaryIO

import msgspec

from hub.reports.labels import Labels
from hub.reports.monthsheet import Cell, MonthSheet, Row, Stamp
from hub.reports.summaries import stamped
from hub.reports.tables import csv_bytes
from hub.reports.words import WORDS, Language, class_text, half_text, total_heads
from protocol.envelope import rfc3339


def month_csv(sheets: Sequence[MonthSheet], labels: Labels, language: Language = "vi") -> bytes:
    """All pupils one below the other, a column for each half-day that any of the classes had."""
    words = WORDS[language]
    columns = sorted({column for sheet in sheets for column in sheet.columns})
    header = [words["class"], words["code"], words["name"]]
    header += [f"{day.isoformat()} {half_text(language, half)}" for day, half in columns]
    header += total_heads(labels, language)

    def rows() -> Iterator[list[str | int | float]]:
        for sheet in sheets:
            places = {column: place for place, column in enumerate(sheet.columns)}
            for row in sheet.rows:
                cells = [row.cells[places[column]] if column in places else None for column in columns]
                yield [
                    class_text(language, sheet.school_class), row.code, row.name,
                    *("" if cell is None else labels.of(cell.judged.mark) for cell in cells),
                    *row.totals.shown(),
                ]  # fmt: skip

    return csv_bytes(header, rows())


def write_month_json(
    out: BinaryIO, sheets: Iterable[MonthSheet], stamp: Stamp, rules: Sequence[str], labels: Labels
) -> None:
    """The sheets into a file, one after the other; what stands in a cell beside its mark, and the records of both."""
    head = {**stamped(stamp, rules), "labels": dict(labels.words)}
    out.write(msgspec.json.encode(head)[:-1] + b',"classes":[')
    between = b""
    for sheet in sheets:
        out.write(between + msgspec.json.encode(_sheet(sheet)))
        between = b",\n"
    out.write(b"]}\n")


def _sheet(sheet: MonthSheet) -> dict[str, Any]:
    return {
        "class": sheet.school_class,
        "first": sheet.first.isoformat(),
        "last": sheet.last.isoformat(),
        "columns": [{"date": day.isoformat(), "half": half} for day, half in sheet.columns],
        "pupils": [_row(row) for row in sheet.rows],
        "there": [totals.there for totals in sheet.totals],
    }


def _row(row: Row) -> dict[str, Any]:
    return {
        "pupil": row.key,
        "code": row.code,
        "name": row.name,
        "marks": [None if cell is None else _cell(cell) for cell in row.cells],
        "totals": {**asdict(row.totals), "there": row.totals.there, "half_days": row.totals.all},
    }


def _cell(cell: Cell) -> dict[str, Any]:
    found: dict[str, Any] = {"mark": cell.judged.mark, "evidence": list(cell.judged.evidence)}
    red = cell.correction
    if red is not None:
        found["corrected"] = {
            "time": rfc3339(red.at_ms),
            "by": red.by,
            "before": red.before,
            "after": red.after,
            "reason": red.reason,
            "records": list(red.ids),
        }
    return found
