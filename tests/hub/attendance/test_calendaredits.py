"""Frequent edits of a timetable: each changes what it says and nothing else, and the preview names just that."""

from __future__ import annotations

from datetime import date, datetime, timedelta

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hub.attendance.calendaredits import (
    Edit,
    Hours,
    add_holiday,
    add_make_up,
    days_touched,
    differences,
    gate_differences,
    remove_holiday,
    scope_from,
    set_bell,
    set_halves,
    set_shift,
)
from hub.attendance.contradictions import problems
from hub.attendance.firsttimetable import first_timetable
from hub.attendance.schoolday import VIETNAM
from hub.attendance.timetable import (
    WEEKDAYS,
    Bell,
    Holiday,
    MakeUp,
    Scope,
    Timetable,
    TimetableRefused,
    Week,
    Window,
    direction_of,
    sessions_of,
)

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
    assert one.after == Hours(300, 480, 485, 510, 660)
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


def test_who_stays_over_noon_is_a_change_of_the_afternoon() -> None:
    home = Week(grades=("1",), classes=("3/2",), days={}, stays=False)
    made = msgspec.structs.replace(YEAR, weeks=(home, *YEAR.weeks))
    found = differences({date.min: YEAR}, {date.min: made}, DAYS, CLASSES)
    assert [(one.half, one.classes) for one in found] == [("pm", ("1A", "1B", "3/2"))]
    assert found[0].before is not None and found[0].after is not None
    assert (found[0].before.stays, found[0].after.stays) == (True, False)


@pytest.mark.parametrize("clock", ["opens", "starts", "late_after", "final", "ends"])
def test_each_of_a_bell_s_times_is_a_change(clock: str) -> None:
    before = set_bell(Scope(), "am", LATER)(YEAR)
    hour, minute = getattr(LATER, clock).split(":")
    bell = msgspec.structs.replace(LATER, **{clock: f"{hour}:{int(minute) + 1:02}"})
    found = differences({date.min: before}, {date.min: set_bell(Scope(), "am", bell)(YEAR)}, DAYS, CLASSES)
    assert found and all(one.before != one.after for one in found)


def with_windows(*windows: Window, shift: int = 0) -> Timetable:
    return msgspec.structs.replace(YEAR, windows=windows, shift_min=shift)


def test_a_gate_s_windows_are_named_with_the_days_on_which_they_change() -> None:
    morning = Window(device="gate-a", begins="05:00", ends="09:00", way="in")
    friday = Window(device="gate-a", begins="10:00", ends="18:00", way="out", point="left", weekdays=("friday",))
    before, after = {date.min: with_windows(morning)}, {date.min: with_windows(friday, morning)}
    [one] = gate_differences(before, after, DAYS)
    assert (one.device, one.point, one.before) == ("gate-a", "left", ((300, 540, "in"),))
    assert one.after == ((300, 540, "in"), (600, 1080, "out"))
    assert [day.weekday() for day in one.days] == [4, 4]
    gone = gate_differences(before, {date.min: YEAR}, DAYS)
    assert [(one.before, one.after, len(one.days)) for one in gone] == [(((300, 540, "in"),), None, 14)]
    moved = gate_differences(before, {date.min: with_windows(morning, shift=15)}, DAYS)
    assert [one.after for one in moved] == [((315, 555, "in"),)]


CLOCKS = st.sampled_from(("00:00", "01:30", "06:00", "09:00", "16:00", "22:30", "23:59"))


@st.composite
def windows(draw: st.DrawFn) -> Window:
    begins, ends = sorted(draw(st.lists(CLOCKS, min_size=2, max_size=2, unique=True)))
    return Window(
        device=draw(st.sampled_from(("gate-a", "gate-b"))), point=draw(st.sampled_from(("", "left"))),
        begins=begins, ends=ends, way=draw(st.sampled_from(("in", "out"))),
        weekdays=draw(st.sampled_from(((), ("monday",), ("thursday", "saturday")))),
    )  # fmt: skip


@given(
    was=st.lists(windows(), max_size=3), now=st.lists(windows(), max_size=3),
    shifts=st.tuples(st.sampled_from((-120, 0, 15)), st.sampled_from((0, 15, 120))),
    quarter=st.integers(0, 14 * 96 - 1),
)  # fmt: skip
def test_no_tap_goes_another_way_than_before_without_being_named(
    was: list[Window], now: list[Window], shifts: tuple[int, int], quarter: int
) -> None:
    before, after = with_windows(*was, shift=shifts[0]), with_windows(*now, shift=shifts[1])
    named = {
        (one.device, one.point, day)
        for one in gate_differences({date.min: before}, {date.min: after}, DAYS)
        for day in one.days
    }
    day = DAYS[quarter // 96]
    at_ms = int(datetime(day.year, day.month, day.day, tzinfo=VIETNAM).timestamp() * 1000) + quarter % 96 * 900_000
    stations = {(one.device, one.point) for one in (*was, *now)} | {("gate-a", ""), ("gate-b", "")}
    for device, point in stations:
        ways = {direction_of(document, device, point or "other", at_ms, told) for document, told in
                ((before, None), (after, None))}  # fmt: skip
        assert len(ways) == 1 or (device, point, day) in named


def test_days_that_a_shorter_year_loses_are_compared_and_so_are_no_others() -> None:
    short = msgspec.structs.replace(YEAR, last=DAYS[2])
    days, cut = days_touched(THURSDAY, {date.min: YEAR}, {date.min: YEAR, THURSDAY: short})
    assert (days[0], days[-1], cut) == (THURSDAY, YEAR.last, False)
    later = {date.min: YEAR, DAYS[7]: short}
    assert days_touched(THURSDAY, later, {**later, THURSDAY: short})[0] == DAYS[:7]
    assert days_touched(YEAR.last + timedelta(days=1), {date.min: YEAR}, {date.min: short}) == ([], False)


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
