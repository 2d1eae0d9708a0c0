"""Calendar, bells, and whose a line is: what lists say laid into the school's timetable, and beside its pupils."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date, datetime, timedelta
from typing import Any

import pytest

from hub.attendance.firsttimetable import first_timetable
from hub.attendance.schoolday import VIETNAM
from hub.attendance.timetable import calendar_of, halves_of, holiday_of, taught_as, timetable_bytes, timetable_from
from hub.lists.cells import Cell, Sheet
from hub.lists.known import Enrolment, KnownPupil
from hub.lists.reading import Listed, read_list
from hub.lists.templates import TEMPLATES
from hub.lists.whose import whose
from hub.lists.yeardays import day_changes
from hub.lists.yearplan import scope_of, with_bells, with_calendar
from tests.hub.lists.school import TODAY

MONDAY = date(2026, 11, 23)
DOCUMENT = first_timetable(2026, ("primary",))


def cells(name: str, *rows: Sequence[Cell]) -> Listed[Any]:
    header = tuple(column.headers[0] for column in TEMPLATES[name].columns)
    return read_list(TEMPLATES[name], "f", (Sheet("S", (header, *map(tuple, rows))),), TODAY)


def test_a_day_off_that_goes_is_guarded_unless_others_keep_all_of_it_free() -> None:
    def made(*rows: Sequence[Cell]) -> list[tuple[bool, bool, str]]:
        found = cells("calendar", *rows)
        assert not found.faults
        after = with_calendar(DOCUMENT, found.lines)
        return [(one.goes, one.guarded, one.entry.why) for one in day_changes(DOCUMENT, after, TODAY)]

    new_year = ["01/01/2027", None, "Nghỉ lễ", None, None, None, "Tết Dương lịch"]
    may = ["30/04/2027", "01/05/2027", "Nghỉ lễ", None, None, None, "30/4 - 1/5"]
    assert made(new_year, may) == []
    assert made(new_year) == [(True, True, "30/4 - 1/5")]
    renamed = ["25/04/2027", "02/05/2027", "Nghỉ lễ", None, None, None, "Lễ"]
    assert made(new_year, renamed) == [(True, False, "30/4 - 1/5"), (False, False, "Lễ")]
    morning = ["30/04/2027", "01/05/2027", "Nghỉ lễ", "Sáng", None, None, "Lễ"]
    assert made(new_year, morning)[0] == (True, True, "30/4 - 1/5")
    of_some = ["30/04/2027", "01/05/2027", "Nghỉ lễ", None, "Khối 3", None, "Lễ"]
    assert made(new_year, of_some)[0] == (True, True, "30/4 - 1/5")
    past = DOCUMENT, with_calendar(DOCUMENT, cells("calendar", may).lines), date(2027, 1, 2)
    assert [one.guarded for one in day_changes(*past)] == [False], "days that were stay as they were"


def clock(at_ms: int) -> str:
    return f"{datetime.fromtimestamp(at_ms / 1000, VIETNAM):%H:%M}"


def test_bells_ring_as_the_list_says_by_class_grade_and_school() -> None:
    found = cells(
        "timetable",
        [None, "T2, T3, T4, T5, T6", "Sáng", "06:30", "07:15", "07:20", "07:45", "10:30", None],
        [None, "T2, T3, T4", "Chiều", "13:00", "13:30", None, None, "16:30", "Có"],
        ["Khối 3", "T2, T3, T4, T5, T6", "Sáng", "06:45", "07:30", None, "08:00", "10:45", None],
        ["3/2", "T2", "Chiều", "12:45", "13:15", None, None, "16:00", None],
    )
    assert not found.faults
    document = with_bells(DOCUMENT, found.lines)
    assert timetable_from("t", timetable_bytes(document)) == document
    assert halves_of(document, "monday", "1/1") == ("am", "pm") and halves_of(document, "thursday", "1/1") == ("am",)
    assert halves_of(document, "saturday", "1/1") == ()
    sessions = dict(calendar_of({document.first: document}, [MONDAY], ["1/1", "3/1", "3/2"]))
    rings = {place[1:]: (clock(one.starts_ms), clock(one.final_ms)) for place, one in sessions.items()}
    assert rings["1/1", "am"] == ("07:15", "07:45") and rings["3/1", "am"] == ("07:30", "08:00")
    assert rings["3/2", "pm"] == ("13:15", "13:15") and rings["1/1", "pm"] == ("13:30", "13:30")
    assert sessions[MONDAY, "1/1", "pm"].stays and not sessions[MONDAY, "3/2", "pm"].stays


def test_a_half_day_that_two_lines_ring_is_named() -> None:
    row = ["3, 3/2", "T2, T3", "Sáng", "06:30", "07:15", None, None, "10:30", None]
    found = cells("timetable", row, ["3/2", "T3", "Sáng", "06:30", "07:00", None, None, "10:30", None])
    assert [(fault.code, fault.row, fault.about) for fault in found.faults] == [("half-twice", 3, ("S, 2",))]


def test_holidays_and_make_up_days_are_laid_in() -> None:
    found = cells(
        "calendar",
        ["23/11/2026", "24/11/2026", "Nghỉ học", None, None, None, "Bão"],
        ["25/11/2026", None, "Nghỉ lễ", "Chiều", "Khối 3; 5/1", None, "Hội diễn"],
        ["28/11/2026", None, "Học bù", None, "3/2", "T2", "Bù bão"],
    )
    assert not found.faults
    document = with_calendar(DOCUMENT, found.lines)
    assert timetable_from("t", timetable_bytes(document)) == document
    storm = holiday_of(document, MONDAY + timedelta(days=1), "am", "1/1")
    assert storm is not None and storm.why == "Bão"
    wednesday = MONDAY + timedelta(days=2)
    gone = [holiday_of(document, wednesday, half, name) is None for half, name in (("am", "3/2"), ("pm", "4/1"))]  # type: ignore[arg-type]
    assert gone == [True, True]
    assert all(holiday_of(document, wednesday, "pm", name) is not None for name in ("3/2", "5/1"))
    saturday = date(2026, 11, 28)
    assert (taught_as(document, saturday, "3/2"), taught_as(document, saturday, "3/3")) == ("monday", "saturday")
    fault = cells("calendar", ["28/11/2026", "29/11/2026", "Học bù", None, None, "T2", "x"]).faults
    assert [each.code for each in fault] == ["one-day"]


@pytest.mark.parametrize(
    ("name", "scope"),
    [
        ("3", {"grades": ("3",), "classes": ()}), ("Khối 12", {"grades": ("12",), "classes": ()}),
        ("3/2", {"grades": (), "classes": ("3/2",)}), ("13", {"grades": (), "classes": ("13",)}),
        ("Grade 1", {"grades": ("1",), "classes": ()}), ("12A7", {"grades": (), "classes": ("12A7",)}),
    ],
)  # fmt: skip
def test_a_number_is_a_grade_and_anything_else_a_class(name: str, scope: dict[str, Any]) -> None:
    assert scope_of([name]) == scope


def test_a_line_is_its_pupils_or_says_why_not() -> None:
    def pupil(code: str, name: str, state: Any = "enrolled") -> KnownPupil:
        return KnownPupil(f"st-{code}", name, code, None, None, None, state, "list", 0, (Enrolment("3/2", date.min),))

    known = [pupil("1", "Nguyễn Văn Hoà"), pupil("2", "Lê Bình"), pupil("3", "Trần Cẩm", "left")]
    rows: list[list[Cell]] = [
        ["1", "nguyễn văn hòa", "3/2"], ["2", None, None], ["2", "Lê Khác", None], ["1", None, "3/3"],
        ["3", None, None], ["4", None, None],
    ]  # fmt: skip
    listed = cells(
        "leave", *([*row, f"2{number}/11/2026", None, None, None, None] for number, row in enumerate(rows, 1))
    )
    found, faults = whose("nghi.xlsx", listed.lines, known, TODAY)
    assert [key for key, _ in found] == ["st-1", "st-2"]
    assert [(fault.code, fault.sheet, fault.row) for fault in faults] == [
        ("name-differs", "S", 4), ("class-differs", "S", 5), ("pupil-left", "S", 6), ("no-pupil", "S", 7),
    ]  # fmt: skip
