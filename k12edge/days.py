"""`k12edge hub replay-day`: a day's marks made again from files, for people, programs and the next rule's author."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from hub.attendance.goldenday import FILES, DayRefused, counts_csv, marks_csv, parse_day
from hub.attendance.marks import MARKS
from hub.attendance.schoolday import SchoolDay, counted, marks_of
from protocol.envelope import unix_ms_of
from protocol.errors import BadMessage

FILE_BYTES_MAX: Final = 64 * 1024 * 1024
"""Far more than a day of the largest school has."""


def read_day(folder: Path) -> SchoolDay:
    """Read all files of `folder`; raises DayRefused naming every line that is wrong."""
    files: dict[str, bytes] = {}
    for name in FILES:
        path = folder / name
        try:
            if path.stat().st_size > FILE_BYTES_MAX:
                raise DayRefused(f"{path} is larger than {FILE_BYTES_MAX} bytes")
            files[name] = path.read_bytes()
        except OSError as problem:
            raise DayRefused(f"{path} can't be read: {problem}") from problem
    return parse_day(str(folder), files)


def replay_day(folder: Path, at: str | None, into: Path | None, as_json: bool) -> Iterator[str]:
    """Read `folder`, mark, write marks.csv and counts.csv `into` a folder; the counts as lines. Raises DayRefused."""
    try:
        at_ms = None if at is None else unix_ms_of(at)
    except BadMessage as problem:
        raise DayRefused(f"--at {at!r} is no time such as 2026-11-23T07:30:00.000+07:00") from problem
    marked = list(marks_of(read_day(folder), at_ms))
    counts = list(counted(marked))
    if into is not None:
        try:
            into.mkdir(parents=True, exist_ok=True)
            for name, text in (("marks.csv", marks_csv(marked)), ("counts.csv", counts_csv(marked))):
                draft = into / f"{name}.new"
                draft.write_text(text, encoding="utf-8")
                draft.replace(into / name)
        except OSError as problem:
            raise DayRefused(f"{into} can't be written: {problem}") from problem
    if as_json:
        yield json.dumps(
            [
                {"date": day.isoformat(), "half": half, "class": school_class, **{mark: found[mark] for mark in MARKS}}
                for (day, half, school_class), found in counts
            ],
            ensure_ascii=False,
        )
        return
    for (day, half, school_class), found in counts:
        shown = ", ".join(f"{found[mark]} {mark}" for mark in MARKS if found[mark])
        yield f"{day.isoformat()} {half} {school_class}: {shown}"
