"""`k12edge hub replay-day`: a day's marks and meals made again from files, for people and programs."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Final

from hub.attendance.csvcells import DayRefused
from hub.attendance.goldenday import FILES, counts_csv, marks_csv, parse_day
from hub.attendance.marks import MARKS
from hub.attendance.schoolday import SchoolDay, counted, marks_of
from hub.meals.goldenmeals import (
    MEAL_FILES,
    GoldenMeals,
    golden_meal_days,
    meal_days_csv,
    parse_meals,
    servings_csv,
    sheet_csv,
)
from hub.meals.servings import served
from protocol.envelope import unix_ms_of
from protocol.errors import BadMessage

FILE_BYTES_MAX: Final = 64 * 1024 * 1024
"""Far more than a day of the largest school has."""


def read_day(folder: Path) -> SchoolDay:
    """Read all files of `folder` but those of meals; raises DayRefused naming every line that is wrong."""
    return parse_day(str(folder), _read(folder, FILES))


def read_meals(folder: Path, day: SchoolDay) -> GoldenMeals | None:
    """The meals of the day, None where no file speaks of any; raises DayRefused naming every line that is wrong."""
    names = [name for name in MEAL_FILES if (folder / name).exists()]
    return parse_meals(str(folder), _read(folder, (*names, "taps.csv")), day) if names else None


def _read(folder: Path, names: Iterable[str]) -> dict[str, bytes]:
    files: dict[str, bytes] = {}
    for name in names:
        path = folder / name
        try:
            if path.stat().st_size > FILE_BYTES_MAX:
                raise DayRefused(f"{path} is larger than {FILE_BYTES_MAX} bytes")
            files[name] = path.read_bytes()
        except OSError as problem:
            raise DayRefused(f"{path} can't be read: {problem}") from problem
    return files


def replay_day(folder: Path, at: str | None, into: Path | None, as_json: bool) -> Iterator[str]:
    """Read `folder`, mark, write all of it `into` a folder; the counts as lines. Raises DayRefused."""
    try:
        at_ms = None if at is None else unix_ms_of(at)
    except BadMessage as problem:
        raise DayRefused(f"--at {at!r} is no time such as 2026-11-23T07:30:00.000+07:00") from problem
    known = read_day(folder)
    meals = read_meals(folder, known)
    marked = list(marks_of(known if meals is None else meals.gates, at_ms))
    counts = list(counted(marked))
    texts = {"marks.csv": marks_csv(marked), "counts.csv": counts_csv(marked)}
    if meals is not None:
        texts |= meal_texts(meals)
    if into is not None:
        try:
            into.mkdir(parents=True, exist_ok=True)
            for name, text in texts.items():
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


def meal_texts(meals: GoldenMeals) -> dict[str, str]:
    """sheet.csv, servings.csv and meal-days.csv: the same files give the same bytes."""
    found = served(meals.counters)
    return {
        "sheet.csv": sheet_csv(meals),
        "servings.csv": servings_csv(meals, found),
        "meal-days.csv": meal_days_csv(golden_meal_days(meals, found)),
    }
