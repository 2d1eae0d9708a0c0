"""Frequent edits of a timetable: each changes what it says and nothing else, and the preview names just that."""

from __future__ import annotations

from datetime import date, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hub.attendance.calendaredits import (
    Edit,
    Hours,
    add_holiday,
    add_make_up,
    differences,
    remove_holiday,
    scope_from,
    set_bell,
    set_halves,
    set_shift,
)
from hub.attendance.contradictions import problems
from hub.attendance.firsttimetable import first_timetable
from hub.attendance.timetable import WEEKDAYS, Bell, Holiday, MakeUp, Scope, Timetable, TimetableRefused, sessions_of

CLASSES = ("1A", "1B", "2/1", "3/2", "6A1", "12A7")
YEAR = first_timetable(2026)
THURSDAY = date(2026, 11, 26)
DAYS = [THURSDAY + timedelta(days=number) for number in range(14)]
LATER = Bell("05:00", "08:00", "08:05", "08:30", "11:00")


def changed(edit: Edit, document: Timetable = YEAR) -> list[tuple[str, bool, bool, tuple[str, ...], int]]:
    """Half, lessons before and after, classes, number of days."""
    made = edit(document)
    assert problems(made, CLASSES) == []
    found = differences({date.min: document}, {date.min: made}, DAYS, CLASSES)
    return [(one.half, one.before is not None, one.after is not None, one.classes, len(one.days)) for one in found]


def test_a_free_afternoon_and_a_holiday_are_just_those_half_days() -> None:
    storm = Holiday(first=THURSDAY, last=THURSDAY, why="bão", halves=("pm",), grades=("1",), classes=("3/2",))
    assert changed(add_holiday(storm)) == [("pm", True, False, ("1A", "1B", "3/2"), 1)]
    free = Holiday(first=THURSDAY, last=THURSDAY + timedelta(days=3), why="nghỉ")
    both = changed(add_holiday(free))
    assert {half for half, *_ in both} == {"am", "pm"}
    assert sum(len(names) * days for _, _, _, names, days in both) == 2 * 2 * len(CLASSES), "a weekend isn't free anew"
    taken_back = remove_holiday(free)(add_holiday(free)(YEAR))
    assert taken_back == YEAR


def test_a_make_up_day_is_taught_as_another_and_said_twice_it_is_once() -> None:
    saturday = THURSDAY + timedelta(days=2)
    edit = add_make_up(MakeUp(day=saturday, taught_as="monday", why="bù"))
    found = changed(edit)
    assert all(after and not before for _, before, after, _, _ in found)
    assert sum(len(names) for _, _, _, names, _ in found) == 2 * len(CLASSES)
    other = add_make_up(MakeUp(day=saturday, taught_as="tuesday", why="bù"))
    assert len(other(edit(YEAR)).make_up) == 1


def test_a_grades_bells_leave_the_other_grades_of_their_entry_as_they_were() -> None:
    found = differences({date.min: YEAR}, {date.min: set_bell(Scope(grades=("1",)), "am", LATER)(YEAR)}, DAYS, CLASSES)
    [one] = found
    assert (one.half, one.classes, len(one.days)) == ("am", ("1A", "1B"), 10)
    assert one.after == Hours(300, 480, 485, 660)
    made = set_bell(Scope(classes=("2/1",)), "pm", Bell("12:00", "14:00", "14:05", "14:30", "16:00"))(YEAR)
    assert [d.classes for d in differences({date.min: YEAR}, {date.min: made}, DAYS, CLASSES)] == [("2/1",)]


def test_a_weekdays_halves_and_the_shift_of_the_street() -> None:
    assert changed(set_halves(Scope(grades=("1", "2")), "wednesday", ["am"])) == [
        ("pm", True, False, ("1A", "1B", "2/1"), 2)
    ]
    everybody = changed(set_halves(Scope(), "saturday", ["am"]))
    assert sum(len(names) for _, before, after, names, days in everybody if after and days == 2) == len(CLASSES)
    assert sum(len(one[3]) for one in changed(set_halves(Scope(), "monday", ["pm"]))) == len(CLASSES)
    later = changed(set_bell(Scope(), "am", LATER))
    assert sum(len(names) for *_, names, _ in later) == len(CLASSES), "also grades that have bells of their own"
    shifted = set_shift(15)(YEAR)
    assert {len(d.days) for d in differences({date.min: YEAR}, {date.min: shifted}, DAYS, CLASSES)} == {10}
    with pytest.raises(TimetableRefused):
        set_shift(7)


def test_days_before_a_version_are_not_in_the_preview() -> None:
    made = set_shift(15)(YEAR)
    found = differences({date.min: YEAR}, {date.min: YEAR, DAYS[7]: made}, DAYS, CLASSES)
    assert min(day for one in found for day in one.days) >= DAYS[7]


def test_whom_an_entry_is_for_is_typed_as_grades_and_classes() -> None:
    assert scope_from(" 1, 2; 3/2 ", CLASSES) == Scope(grades=("1", "2"), classes=("3/2",))
    assert scope_from("", CLASSES) == Scope()
    for wrong in ("13", "3/9", "<b>", "1 2"):
        with pytest.raises(TimetableRefused):
            scope_from(wrong, CLASSES)


@given(
    grades=st.sets(st.sampled_from(("1", "2", "5", "6", "9", "12"))),
    classes=st.sets(st.sampled_from(CLASSES)),
    weekday=st.sampled_from(WEEKDAYS),
    halves=st.sampled_from(((), ("am",), ("pm",), ("am", "pm"))),
    again=st.sets(st.sampled_from(("1", "6"))),
)
def test_whatever_is_edited_only_whom_it_names_changes(
    grades: set[str], classes: set[str], weekday: str, halves: tuple[str, ...], again: set[str]
) -> None:
    first = set_halves(Scope(grades=tuple(sorted(again))), "monday", ("pm",))(YEAR) if again else YEAR  # type: ignore[arg-type]
    scope = Scope(grades=tuple(sorted(grades)), classes=tuple(sorted(classes)))  # type: ignore[arg-type]
    made = set_halves(scope, weekday, halves)(first)  # type: ignore[arg-type]
    assert problems(made, CLASSES) == []
    named = {name for name in CLASSES if scope.rank(name)}
    day = next(day for day in DAYS if WEEKDAYS[day.weekday()] == weekday)
    for name in CLASSES:
        for other in DAYS[:7]:
            was, now = sessions_of(first, other, name), sessions_of(made, other, name)
            if other != day or (name not in named and (grades or classes)):
                assert was == now
        if name in named or not (grades or classes):
            assert tuple(session.half for session in sessions_of(made, day, name)) == halves
