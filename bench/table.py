"""The table: every figure with what was promised, for a terminal, for RESULTS.md, and for programs."""

from __future__ import annotations

import json
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path

from bench.figure import MISS_MAX, Figure

MISSED_MAX = 2
HEAD = ("figure", "measured", "spread", "reach", "")


def cells(figure: Figure) -> tuple[str, str, str, str, str]:
    """One row: name, value, spread, what must be reached, verdict."""
    spread = "" if figure.low is None or figure.high is None else f"{number(figure.low)} – {number(figure.high)}"
    sign = "≥" if figure.at_least else "≤"
    reach = f"{sign} {number(figure.reach)} {figure.unit}".rstrip()
    if figure.aim is not None:
        reach += f", aim {number(figure.aim)}"
    verdict = "reached" if figure.reached else f"MISSED by {figure.missed_by:.2f} ×"
    return f"{figure.row} {figure.name}", f"{number(figure.value)} {figure.unit}".rstrip(), spread, reach, verdict


def number(value: float) -> str:
    """Three significant digits where there are decimals."""
    if value >= 1000:
        return f"{value:,.0f}"
    return f"{value:.1f}" if value >= 100 else f"{value:.2f}"


def summary(figures: Sequence[Figure]) -> str:
    """What the whole table comes to; lines of one row of the table count once."""
    missed = {figure.row for figure in figures if not figure.reached}
    worst = max((figure.missed_by for figure in figures), default=1.0)
    if not missed:
        return f"all {len(figures)} lines reached"
    rows = ", ".join(str(row) for row in sorted(missed))
    within = len(missed) <= MISSED_MAX and worst <= MISS_MAX
    bounds = f"allowed are {MISSED_MAX} rows, each by at most {MISS_MAX:g} ×: {'kept' if within else 'NOT kept'}"
    of = len({figure.row for figure in figures})
    return f"{len(missed)} of {of} rows missed ({rows}), the worst by {worst:.2f} ×; {bounds}"


def as_text(machine: dict[str, str], figures: Sequence[Figure]) -> str:
    """For a terminal."""
    rows = [HEAD, *(cells(figure) for figure in figures)]
    widths = [max(len(row[column]) for row in rows) for column in range(len(HEAD))]
    lines = [f"{name}: {text}" for name, text in machine.items()]
    for row, figure in zip(rows, [None, *figures], strict=True):
        lines.append("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip())
        if figure is not None:
            lines += [f"      {text}" for text in (figure.beside, figure.note) if text]
    return "\n".join([*lines, "", summary(figures)])


def as_markdown(machine: dict[str, str], figures: Sequence[Figure]) -> str:
    """For RESULTS.md."""
    lines = [
        "# Results",
        "",
        "Written by `make bench`; don't edit. How each line is measured: [README](README.md).",
        "",
        *(f"- {name}: {text}" for name, text in machine.items()),
        "",
        "| figure | measured | spread | reach | | beside it |",
        "|---|---|---|---|---|---|",
        *(f"| {' | '.join((*cells(figure), _beside(figure)))} |" for figure in figures),
        "",
        f"{summary(figures).capitalize()}.",
        "",
    ]
    return "\n".join(lines)


def _beside(figure: Figure) -> str:
    return "; ".join(text for text in (figure.beside, figure.note) if text)


def write_json(path: Path, machine: dict[str, str], figures: Sequence[Figure], seconds: float) -> None:
    """For programs."""
    body = {
        "written": datetime.now(UTC).isoformat(timespec="seconds"),
        "machine": machine,
        "seconds": round(seconds, 1),
        "figures": [figure.as_json() for figure in figures],
    }
    path.write_text(json.dumps(body, ensure_ascii=False, indent=1) + "\n", encoding="utf-8")
