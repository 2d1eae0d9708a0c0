"""A golden day: a school day as files, from which its marks are made again; for auditors and whoever changes a rule.

Every file is CSV in UTF-8 with a header line; what is wrong is told with file and line, and nothing is written then.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from datetime import date
from typing import Final, TypeVar, cast

from hub.attendance.csvcells import Cells, DayRefused, csv_rows, csv_text
from hub.attendance.evidence import (
    STATES,
    WATERMARK_KINDS,
    Direction,
    Leave,
    Session,
    Statement,
    Tap,
    Watermark,
    WatermarkKind,
)
from hub.attendance.marks import MARKS
from hub.attendance.schoolday import Binding, Marked, Pupil, SchoolDay, by_card, counted
from protocol.records import Half, State

FILES: Final[Mapping[str, tuple[str, ...]]] = {
    "roster.csv": ("pupil_key", "display_name", "class", "from", "to"),
    "cards.csv": ("card", "pupil_key", "from", "to"),
    "timetable.csv": ("date", "class", "half", "opens", "starts", "late_after", "final", "ends", "stays"),
    "taps.csv": ("id", "device", "point", "dir", "time", "not_before", "not_after", "card"),
    "rollcall.csv": ("id", "at", "by", "pupil_key", "date", "half", "state", "reason"),
    "leave.csv": ("id", "at", "by", "pupil_key", "from_date", "from_half", "to_date", "to_half"),
    "watermarks.csv": ("id", "at", "device", "kind", "complete_to", "err_ms", "last", "held", "by"),
}
"""Each file and its columns, in this order."""
MARKS_HEADER: Final = ("date", "half", "class", "pupil_key", "mark", "minutes", "by", "evidence", "flags", "rules")
COUNTS_HEADER: Final = ("date", "half", "class", "enrolled", *MARKS)
ERRORS_SHOWN: Final = 20
NEVER_MS: Final = 1 << 60

T = TypeVar("T")


def parse_day(folder: str, files: Mapping[str, bytes]) -> SchoolDay:
    """The day that `files` (FILES, by name) say; raises DayRefused naming every line that is wrong.

    `folder` is only named where something is wrong.
    """
    errors: list[str] = []

    def rows(name: str, made: Callable[[Cells], T]) -> list[T]:
        return list(csv_rows(f"{folder}/{name}", name, FILES[name], files[name], made, errors))

    pupils = rows("roster.csv", _pupil)
    sessions: dict[tuple[date, str, Half], Session] = {}
    for school_class, session in rows("timetable.csv", _session):
        if (session.day, school_class, session.half) in sessions:
            errors.append(f"timetable.csv: {school_class} has two lines for {session.day} {session.half}")
        sessions[session.day, school_class, session.half] = session
    day = SchoolDay(
        tuple(pupils),
        by_card(rows("cards.csv", _binding)),
        sessions,
        tuple(rows("taps.csv", _tap)),
        tuple(rows("rollcall.csv", _statement)),
        tuple(rows("leave.csv", _leave)),
        tuple(rows("watermarks.csv", _watermark)),
    )
    errors += _twice(day)
    known = {pupil.key for pupil in pupils}
    for name, keys in (
        ("cards.csv", [binding.pupil for held in day.bindings.values() for binding in held]),
        ("rollcall.csv", [said.pupil for said in day.statements]),
        ("leave.csv", [leave.pupil for leave in day.leaves]),
    ):
        errors += [f"{name}: pupil {key} is not in roster.csv" for key in sorted(set(keys) - known)]
    if errors:
        more = f"\n  and {len(errors) - ERRORS_SHOWN} more" if len(errors) > ERRORS_SHOWN else ""
        raise DayRefused(f"{folder}: {len(errors)} faults\n  " + "\n  ".join(errors[:ERRORS_SHOWN]) + more)
    return day


def _twice(day: SchoolDay) -> Iterator[str]:
    """What stands on two lines and can be only one: a record's id, a pupil's class of a day."""
    for name, ids in (
        ("taps.csv", [tap.id for _, tap in day.taps]),
        ("rollcall.csv", [said.id for said in day.statements]),
        ("leave.csv", [leave.id for leave in day.leaves]),
        ("watermarks.csv", [word.id for word in day.watermarks]),
    ):
        yield from (f"{name}: id {one} stands on {count} lines" for one, count in Counter(ids).items() if count > 1)
    last: dict[str, date] = {}
    for pupil in sorted(day.pupils, key=lambda pupil: (pupil.key, pupil.first)):
        if pupil.last < pupil.first:
            yield f"roster.csv: pupil {pupil.key} leaves {pupil.school_class} before the first day"
        if pupil.key in last and pupil.first <= last[pupil.key]:
            yield f"roster.csv: pupil {pupil.key} is of two classes on {pupil.first}"
        last[pupil.key] = max(pupil.last, last.get(pupil.key, date.min))


def _pupil(row: Cells) -> Pupil:
    return Pupil(
        row.text("pupil_key"),
        row.text("display_name"),
        row.text("class"),
        row.day("from", date.min),
        row.day("to", date.max),
    )


def _binding(row: Cells) -> Binding:
    return Binding(row.text("card"), row.text("pupil_key"), row.moment("from", -NEVER_MS), row.moment("to", NEVER_MS))


def _session(row: Cells) -> tuple[str, Session]:
    day = row.day("date")
    starts_ms = row.clock("starts", day)
    late_after_ms = row.clock("late_after", day, starts_ms)
    session = Session(
        day,
        row.half("half"),
        row.clock("opens", day),
        starts_ms,
        late_after_ms,
        row.clock("final", day, late_after_ms),
        row.clock("ends", day),
        row.maybe("stays") != "" and row.one_of("stays", ("yes", "no")) == "yes",
    )
    if not session.opens_ms <= starts_ms <= late_after_ms <= session.final_ms <= session.ends_ms:
        raise ValueError("opens, starts, late_after, final and ends don't follow each other")
    return row.text("class"), session


def _tap(row: Cells) -> tuple[str, Tap]:
    best_ms = row.moment("time")
    not_before_ms, not_after_ms = row.moment("not_before", best_ms), row.moment("not_after", best_ms)
    if not not_before_ms <= best_ms <= not_after_ms:
        raise ValueError("time is not between not_before and not_after")
    direction = row.maybe("dir")
    if direction not in ("", "in", "out"):
        raise ValueError(f"dir {direction!r} is not in, out or empty")
    way = cast("Direction", direction) if direction else None
    return row.text("card"), Tap(row.text("id"), "", best_ms, not_before_ms, not_after_ms, way)


def _statement(row: Cells) -> Statement:
    return Statement(
        row.text("id"),
        row.text("pupil_key"),
        row.day("date"),
        row.half("half"),
        cast("State", row.one_of("state", STATES)),
        row.moment("at"),
        row.text("by"),
        row.maybe("reason"),
    )


def _leave(row: Cells) -> Leave:
    first, last = (row.day("from_date"), row.half("from_half")), (row.day("to_date"), row.half("to_half"))
    if first > last:
        raise ValueError("the leave ends before it begins")
    return Leave(row.text("id"), row.text("pupil_key"), first, last, row.moment("at"), row.text("by"))


def _watermark(row: Cells) -> Watermark:
    kind = cast("WatermarkKind", row.one_of("kind", WATERMARK_KINDS))
    needed = kind in ("complete", "waived")
    by = row.text("by") if kind == "waived" else row.maybe("by")
    return Watermark(
        row.text("id"),
        row.text("device"),
        kind,
        row.moment("at"),
        row.moment("complete_to") if needed else row.moment("complete_to", 0),
        row.number("err_ms"),
        row.number("last"),
        row.number("held"),
        by,
    )


def marks_csv(marked: Iterable[Marked]) -> str:
    """marks.csv: one line for each pupil and half-day; the same marks give the same bytes."""
    return csv_text(MARKS_HEADER, (_mark_cells(mark) for mark in marked))


def counts_csv(marked: Iterable[Marked]) -> str:
    """counts.csv: how many of each mark, for each class and half-day, and for the whole school as class `*`."""
    return csv_text(
        COUNTS_HEADER,
        (
            (day.isoformat(), half, school_class, sum(counts.values()), *(counts[mark] for mark in MARKS))
            for (day, half, school_class), counts in counted(marked)
        ),
    )


def _mark_cells(marked: Marked) -> tuple[object, ...]:
    session, judged = marked.session, marked.judged
    return (
        session.day.isoformat(),
        session.half,
        marked.pupil.school_class,
        judged.pupil,
        judged.mark,
        judged.minutes,
        judged.by,
        " ".join(judged.evidence),
        " ".join(judged.flags),
        judged.rules,
    )
