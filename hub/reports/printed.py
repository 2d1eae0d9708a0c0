"""The printed page: a month sheet as plain values for a template, every text ready, nothing left to decide. Pure."""

from __future__ import annotations

from itertools import groupby
from typing import Any

from hub.reports.labels import STANDARD, Labels
from hub.reports.monthsheet import Cell, MonthSheet, Stamp
from hub.reports.words import WEEKDAYS, WORDS, Language, half_text, head_lines, red_text, total_heads


def printed(sheet: MonthSheet, stamp: Stamp, labels: Labels = STANDARD, language: Language = "vi") -> dict[str, Any]:
    """`days`: date, weekday, how many columns; `rows`: cells as text, kind and title (the tooltip of red ink).

    Whoever renders it escapes: names are as they are.
    """
    title, made, standing, legend = head_lines(sheet, stamp, labels, language)
    words = WORDS[language]
    return {
        "language": language,
        "title": title,
        "lines": (made, standing, legend),
        "number": stamp.number,
        "complete": not stamp.standing.waiting and not sheet.not_known,
        "heads": (words["number"], words["code"], words["name"]),
        "days": [
            {"date": f"{day:%d/%m}", "iso": day.isoformat(), "weekday": WEEKDAYS[language][day.weekday()], "span": span}
            for day, span in ((day, len(list(of))) for day, of in groupby(sheet.columns, key=lambda column: column[0]))
        ],
        "columns": [(day.isoformat(), half) for day, half in sheet.columns],
        "halves": [half_text(language, half) for _, half in sheet.columns],
        "total_heads": total_heads(labels, language),
        "rows": [
            {
                "number": row.number,
                "key": row.key,
                "code": row.code,
                "name": row.name,
                "cells": [_cell(cell, labels, language) for cell in row.cells],
                "totals": row.totals.shown(),
            }
            for row in sheet.rows
        ],
        "there": [totals.there for totals in sheet.totals],
        "signatures": (words["teacher"], words["head"]),
    }


def _cell(cell: Cell | None, labels: Labels, language: Language) -> dict[str, str]:
    if cell is None:
        return {"text": "", "kind": "away", "title": ""}
    kind = "red" if cell.correction is not None else cell.judged.mark
    return {"text": labels.of(cell.judged.mark), "kind": kind, "title": red_text(cell, labels, language)}
