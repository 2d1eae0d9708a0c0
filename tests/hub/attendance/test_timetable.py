"""The timetable: which half-days a class has on a day, when bells ring, which way a gate leads at a time."""

from __future__ import annotations

from dataclasses import replace
from datetime import date, datetime, timedelta
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hub.attendance.contradictions import problems
from hub.attendance.evidence import Direction, Session, Tap, Watermark
from hub.attendance.firsttimetable import LEVELS, OF_LEVEL, first_timetable
from hub.attendance.schoolday import Binding, Pupil, SchoolDay, by_card, marks_of
from hub.attendance.timetable import (
    GRADES,
    WEEKDAYS,
    Bell,
    Bells,
    Holiday,
    MakeUp,
    Timetable,
    TimetableRefused,
    Week,
    Window,
    calendar_of,
    direction_of,
    grade_of,
    sessions_of,
    term_of,
    timetable_bytes,
    timetable_from,
)
from protocol.records import Half

MONDAY, WEDNESDAY, SATURDAY = date(2026, 11, 23), date(2026, 11, 25), date(2026, 11, 28)
FIRST = first_timetable(2026)


def at(clock: str, day: date = MONDAY) -> int:
    return int(datetime.fromisoformat(f"{day}T{clock}+07:00").timestamp() * 1000)


def changed(**words: Any) -> Timetable:
    return msgspec.structs.replace(FIRST, **words)


def halves(document: Timetable, day: date, school_class: str) -> tuple[Half, ...]:
    return tuple(session.half for session in sessions_of(document, day, school_class))


# --- classes and grades -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "grade"),
    [
        ("1A", "1"),
        ("3/2", "3"),
        ("8.10", "8"),
        ("12A7", "12"),
        ("10", "10"),
        ("06A", "6"),
        ("Lớp 3/2", "3"),
        ("lớp  9A", "9"),
        ("Lơ\u0301p 2", "2"),
        ("13A", None),
        ("0A", None),
        ("A1", None),
        ("", None),
        ("112", None),
        ("٣/٢", None),
        ("9" * 40, None),
    ],
)
def test_a_grade_is_the_number_that_the_class_s_name_begins_with(name: str, grade: str | None) -> None:
    assert grade_of(name) == grade


def test_the_closest_entry_speaks_class_before_grade_before_default() -> None:
    document = changed(
        bells=(
            *FIRST.bells,
            Bells(classes=("3/2",), am=Bell("05:00", "08:00", "08:00", "08:30", "10:30")),
        )
    )
    am = {name: sessions_of(document, MONDAY, name)[0].starts_ms for name in ("3/2", "3/1", "9.10", "10A1")}
    assert am == {"3/2": at("08:00"), "3/1": at("07:30"), "9.10": at("07:15"), "10A1": at("07:00")}
    assert sessions_of(document, MONDAY, "3/2")[1] == sessions_of(FIRST, MONDAY, "3/1")[1], (
        "the afternoon is its grade's"
    )


def test_bells_of_a_weekday_go_before_those_of_every_day() -> None:
    flag = Bells(
        grades=("6", "7", "8", "9"), weekdays=("monday",), am=Bell("05:00", "07:00", "07:05", "07:30", "11:15")
    )
    document = changed(bells=(flag, *FIRST.bells))
    assert sessions_of(document, MONDAY, "6A")[0].starts_ms == at("07:00")
    assert sessions_of(document, WEDNESDAY, "6A")[0].starts_ms == at("07:15", WEDNESDAY)
    assert problems(document) == []


def test_a_session_has_every_time_and_boarders_stay_in_the_afternoon_only() -> None:
    am, pm = sessions_of(FIRST, MONDAY, "3/2")
    assert am == Session(MONDAY, "am", at("05:00"), at("07:30"), at("07:35"), at("08:00"), at("10:40"))
    assert pm == Session(MONDAY, "pm", at("11:00"), at("13:30"), at("13:35"), at("14:00"), at("16:15"), stays=True)
    assert not sessions_of(FIRST, MONDAY, "9/1")[1].stays


def test_a_class_leaves_out_boarding_by_name() -> None:
    document = changed(weeks=(*FIRST.weeks, Week(classes=("3/2",), days={}, stays=False)))
    assert not sessions_of(document, MONDAY, "3/2")[1].stays and sessions_of(document, MONDAY, "3/3")[1].stays


def test_a_street_s_stagger_moves_bells_and_windows_for_the_whole_school() -> None:
    document = first_timetable(2026, shift_min=15)
    for before, after in zip(sessions_of(FIRST, MONDAY, "12A7"), sessions_of(document, MONDAY, "12A7"), strict=True):
        times = ("opens_ms", "starts_ms", "late_after_ms", "final_ms", "ends_ms")
        assert after == replace(before, **{name: getattr(before, name) + 15 * 60_000 for name in times})  # type: ignore[arg-type]
    windowed = msgspec.structs.replace(
        document, windows=(Window(device="cong-a", begins="16:00", ends="18:00", way="out"),)
    )
    assert direction_of(windowed, "cong-a", "x", at("16:14"), "in") is None
    assert direction_of(windowed, "cong-a", "x", at("16:15"), "in") == "out"


# --- days -------------------------------------------------------------------------------------------------------------


def test_no_lessons_outside_the_year_and_on_days_that_no_week_has() -> None:
    assert not sessions_of(FIRST, date(2026, 9, 4), "3/2") and not sessions_of(FIRST, date(2027, 6, 1), "3/2")
    assert not sessions_of(FIRST, SATURDAY, "3/2") and not sessions_of(FIRST, MONDAY, "K/1")
    assert term_of(FIRST, date(2027, 1, 18)) == FIRST.terms[1] and term_of(FIRST, date(2027, 6, 1)) is None


@pytest.mark.parametrize(
    ("holiday", "free", "taught"),
    [
        (Holiday(first=MONDAY, last=MONDAY, why="x"), {"1A": (), "9A": ()}, {}),
        (Holiday(first=MONDAY, last=MONDAY, why="x", halves=("pm",)), {"1A": ("am",), "9A": ("am",)}, {}),
        (Holiday(first=MONDAY, last=MONDAY, why="x", grades=("9",)), {"9A": ()}, {"1A": ("am", "pm")}),
        (Holiday(first=MONDAY, last=MONDAY, why="x", classes=("9A",)), {"9A": ()}, {"9B": ("am", "pm")}),
        (Holiday(first=date(2026, 11, 20), last=date(2026, 11, 24), why="x"), {"1A": ()}, {}),
        (Holiday(first=date(2026, 11, 24), last=date(2026, 11, 24), why="x"), {}, {"1A": ("am", "pm")}),
    ],
)
def test_a_holiday_is_nobody_s_absence(
    holiday: Holiday, free: dict[str, tuple[Half, ...]], taught: dict[str, tuple[Half, ...]]
) -> None:
    document = changed(holidays=(holiday,))
    for name, expected in {**free, **taught}.items():
        assert halves(document, MONDAY, name) == expected


def test_a_saturday_is_taught_as_a_monday() -> None:
    weeks = (*FIRST.weeks, Week(classes=("3/2",), days={"monday": ("am",)}))
    made = (MakeUp(day=SATURDAY, taught_as="monday", why="bù 20/11", grades=("3",)),)
    document = changed(weeks=weeks, make_up=made)
    assert halves(document, SATURDAY, "3/1") == ("am", "pm") and halves(document, SATURDAY, "3/2") == ("am",)
    assert halves(document, SATURDAY, "4/1") == ()
    closed = msgspec.structs.replace(document, holidays=(Holiday(first=SATURDAY, last=SATURDAY, why="bão"),))
    assert halves(closed, SATURDAY, "3/1") == (), "a storm closes a make-up day too"


# --- pains of other systems, by name ----------------------------------------------------------------------------------


def day_of(document: Timetable, *taps: tuple[str, str, Direction | None], day: date = MONDAY) -> dict[Half, str]:
    """The marks of one pupil of 9A with complete gates: taps as (clock, gate, what the gate says)."""
    sessions = dict(calendar_of({document.first: document}, [day], ["9A"]))
    read = []
    for clock, device, told in taps:
        best_ms = at(clock, day)
        way = direction_of(document, device, "x", best_ms, told)
        read.append(("a:01", Tap(f"j.{clock}", "", best_ms, best_ms, best_ms, way)))
    end_ms = at("23:00", day)
    known = SchoolDay(
        (Pupil("p", "Bùi An", "9A", date.min, date.max),),
        by_card([Binding("a:01", "p", 0, end_ms)]),
        sessions,
        tuple(read),
        (),
        (),
        (Watermark("w", "cong-a", "complete", end_ms, end_ms),),
    )
    return {marked.session.half: marked.judged.mark for marked in marks_of(known)}


FREE_WEDNESDAY = changed(weeks=(*FIRST.weeks, Week(classes=("9A",), days={"wednesday": ("am",)})))
BOTH_WAYS = changed(
    windows=(
        Window(device="cong-a", begins="05:00", ends="10:00", way="in"),
        Window(device="cong-a", begins="16:00", ends="19:00", way="out"),
    )
)


def test_a_free_afternoon_is_no_absence() -> None:
    assert day_of(FREE_WEDNESDAY, ("07:00", "cong-a", "in"), day=WEDNESDAY) == {"am": "present"}
    assert day_of(FREE_WEDNESDAY, day=WEDNESDAY) == {"am": "absent"}, "and the morning is one"


def test_forgot_to_tap_out_and_the_next_morning_is_no_exit() -> None:
    tuesday = MONDAY + timedelta(days=1)
    for day in (MONDAY, tuesday):
        assert direction_of(BOTH_WAYS, "cong-a", "x", at("06:58", day), None) == "in"
    assert day_of(BOTH_WAYS, ("06:58", "cong-a", None), day=tuesday)["am"] == "present"


def test_duplicate_punches_don_t_toggle_in_and_out() -> None:
    found = {direction_of(BOTH_WAYS, "cong-a", "x", at(clock), None) for clock in ("06:58", "06:59", "07:00")}
    assert found == {"in"}
    taps = tuple((clock, "cong-a", None) for clock in ("06:58", "06:59", "12:50", "12:51"))
    assert day_of(BOTH_WAYS, *taps) == {"am": "present", "pm": "present"}


def test_present_all_day_and_never_marked_absent() -> None:
    boarding = changed(weeks=(*FIRST.weeks, Week(classes=("9A",), days={}, stays=True)))
    assert day_of(boarding, ("06:58", "cong-a", "in")) == {"am": "present", "pm": "present"}


def test_late_is_no_absence() -> None:
    assert day_of(FIRST, ("09:00", "cong-a", "in"), ("13:00", "cong-a", "in")) == {"am": "late", "pm": "present"}


# --- gates ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("clock", "error_s", "told", "way"),
    [
        ("06:58", 0, None, "in"),
        ("09:59", 0, "out", "in"),
        ("10:00", 0, "in", None),
        ("16:00", 0, "in", "out"),
        ("15:59", 0, None, None),
        ("16:00", 30, None, None),
        ("16:01", 30, None, "out"),
        ("19:00", 0, None, None),
    ],
)
def test_windows_say_the_way_and_an_error_over_an_edge_says_nothing(
    clock: str, error_s: int, told: Direction | None, way: Direction | None
) -> None:
    best_ms = at(clock)
    bounds = (best_ms - 1000 * error_s, best_ms + 1000 * error_s)
    assert direction_of(BOTH_WAYS, "cong-a", "x", best_ms, told, bounds) == way
    assert direction_of(BOTH_WAYS, "cong-b", "x", best_ms, told, bounds) == told, "a gate without windows speaks itself"


def test_a_window_may_be_for_one_station_and_some_weekdays() -> None:
    window = Window(device="cong-a", point="trai", begins="05:00", ends="10:00", way="in", weekdays=("monday",))
    document = changed(windows=(window,))
    assert direction_of(document, "cong-a", "trai", at("07:00"), None) == "in"
    assert direction_of(document, "cong-a", "phai", at("07:00"), "out") == "out"
    assert direction_of(document, "cong-a", "trai", at("07:00", WEDNESDAY), "in") is None


# --- the document -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("levels", [LEVELS, *((level,) for level in LEVELS), ("primary", "lower")])
def test_the_first_timetable_is_sound_and_within_the_city_s_frame(levels: tuple[Any, ...]) -> None:
    document = first_timetable(2026, levels, 15)
    classes = [f"{grade}A" for level in levels for grade in OF_LEVEL[level]]
    assert problems(document, classes) == [] and problems(document) == []
    assert timetable_from("t", timetable_bytes(document)) == document
    for name in classes:
        am, pm = sessions_of(first_timetable(2026, levels), MONDAY, name)
        assert at("07:00") <= am.starts_ms <= at("08:00") and at("13:00") <= pm.starts_ms <= at("13:30")
        assert at("16:00") <= pm.ends_ms <= at("17:00") and am.opens_ms < at("06:30")


@pytest.mark.parametrize(
    ("old", "new", "told"),
    [
        ('"07:30"', '"7h30"', "a time of day such as 07:15 - at `$.bells[0].am.starts`"),
        ('"07:30"', '"07:30\\n"', "a time of day such as 07:15"),
        ('"07:30"', '"09:30"', "must follow each other - at `$.bells[0].am`"),
        ('"monday"', '"Monday"', "'Monday' - at `key` in `$.weeks[0].days`"),
        ('"6"', '"13"', "'13' - at `$.bells[1].grades[0]`"),
        ("2027-05-31", "9999-12-31", "9999-12-31 is no day of a school year"),
        ("2026-09-05", "1900-01-01", "1900-01-01 is no day of a school year"),
        ("2027-05-01", "2027-04-01", "before it begins on 2027-04-30 - at `$.holidays[1]`"),
        ('"2027-01-01"', '"01/01/2027"', "`$.holidays[0].first`"),
        ('"shift_min": 0', '"shift_min": 7', "multiple of 15 - at `$.shift_min`"),
        ('"shift_min": 0', '"shift_mins": 0', "unknown field `shift_mins`"),
        ('"HK1"', '""', "length >= 1 - at `$.terms[0].name`"),
        ('"why": "T', '"why": "' + "x" * 200 + "T", "length <= 120 - at `$.holidays[0].why`"),
        ("{", "[" * 200_000, ""),
        ("}", "", ""),
    ],
)
def test_what_is_no_timetable_is_refused_by_place(old: str, new: str, told: str) -> None:
    text = timetable_bytes(FIRST).decode("utf-8")
    assert old in text
    with pytest.raises(TimetableRefused) as refused:
        timetable_from("lich.json", text.replace(old, new, 1).encode("utf-8"))
    assert str(refused.value).startswith("lich.json: ") and told in str(refused.value) and refused.value.hint


@pytest.mark.parametrize(
    "octets",
    [b"", b"\xff\xfe", b"null", b" " * (256 * 1024 + 1), '{"name": "\ud800"}'.encode("utf-8", "surrogatepass")],
)
def test_bytes_that_are_none_are_refused(octets: bytes) -> None:
    with pytest.raises(TimetableRefused):
        timetable_from("lich.json", octets)


def test_class_names_are_found_however_they_were_typed() -> None:
    loose = "Mầm  chồi"
    document = changed(weeks=(*FIRST.weeks, Week(classes=("Mâ\u0300m chô\u0300i ",), days={"monday": ("am",)})))
    bells = (*FIRST.bells, Bells(classes=(loose,), am=FIRST.bells[0].am))
    document = msgspec.structs.replace(document, bells=bells)
    again = timetable_from("t", timetable_bytes(document))
    assert halves(again, MONDAY, loose) == ("am",) and again == document


def test_the_document_shown_in_the_docs_is_sound_and_means_what_the_page_says() -> None:
    page = Path(__file__).parents[3] / "docs" / "operating" / "calendar.md"
    text = page.read_text(encoding="utf-8").partition("```json\n")[2].partition("```")[0]
    document = timetable_from(str(page), text.encode("utf-8"))
    assert problems(document, ("6A1", "6A2", "8.10", "9A")) == []
    assert halves(document, SATURDAY, "9A") == ("am", "pm") and halves(document, date(2026, 12, 5), "9A") == ()
    assert halves(document, date(2026, 12, 5), "8.10") == ("am",) and halves(document, WEDNESDAY, "9A") == ("am",)
    assert sessions_of(document, MONDAY, "6A1")[1].stays and not sessions_of(document, MONDAY, "6A2")[1].stays
    assert sessions_of(document, MONDAY, "6A2")[0].starts_ms == at("07:45")
    assert direction_of(document, "gate-a", "x", at("16:15"), "in") == "out"


# --- contradictions ---------------------------------------------------------------------------------------------------

LATE = Bell("05:00", "08:00", "08:00", "08:30", "10:30")


@pytest.mark.parametrize(
    ("words", "where", "told"),
    [
        (
            {"terms": (FIRST.terms[0], msgspec.structs.replace(FIRST.terms[1], first=date(2027, 1, 10)))},
            "terms",
            "in common",
        ),
        ({"last": date(2027, 5, 1)}, "terms[1]", "beyond the school year"),
        ({"holidays": (Holiday(first=date(2026, 7, 1), last=date(2026, 7, 2), why="hè"),)}, "holidays[0]", "outside"),
        ({"make_up": (MakeUp(day=date(2027, 6, 5), taught_as="monday", why="x"),)}, "make_up[0]", "outside"),
        (
            {"make_up": (MakeUp(day=date(2027, 1, 1), taught_as="monday", why="x"),)},
            "make_up[0]",
            "is a holiday (Tết Dương lịch)",
        ),
        (
            {"make_up": tuple(MakeUp(day=SATURDAY, taught_as=as_, why="x") for as_ in WEEKDAYS[:2])},
            "make_up[1]",
            "taught as another day in make_up[0]",
        ),
        ({"bells": (*FIRST.bells, Bells(grades=("3",), am=LATE))}, "bells[3]", "bells[0] has other times"),
        ({"bells": FIRST.bells[:2]}, "bells", "class 10 has lessons on monday (am) and no bell"),
        ({"weeks": (*FIRST.weeks, Week(grades=("9",), days={"friday": ()}))}, "weeks[3]", "another friday"),
        ({"weeks": (*FIRST.weeks, Week(grades=("9",), days={}, stays=True))}, "weeks[3]", "who stays"),
        (
            {"bells": (*FIRST.bells, Bells(classes=("9A",), pm=Bell("11:00", "13:15", "13:20", "13:45", "16:30")))},
            "bells",
            "opens at 11:00, the morning ends at 11:15",
        ),
        (
            {"windows": (*BOTH_WAYS.windows, Window(device="cong-a", begins="09:30", ends="11:00", way="out"))},
            "windows[2]",
            "windows[0] says in at cong-a where this says out",
        ),
        (
            {
                "bells": (*FIRST.bells, Bells(classes=("9A",), am=Bell("00:10", "07:00", "07:00", "07:00", "11:00"))),
                "shift_min": -15,
            },
            "bells[3].am",
            "leaves the day",
        ),
        ({"weeks": (*FIRST.weeks, Week(classes=("9/9",), days={"monday": ("am",)}))}, "weeks[3]", "no class 9/9"),
        ({"weeks": FIRST.weeks[:2]}, "weeks", "class 10A has no lesson in the whole week"),
        (
            {"make_up": (MakeUp(day=SATURDAY, taught_as="sunday", why="x"),)},
            "make_up[0]",
            "has no lessons on a sunday",
        ),
    ],
)
def test_contradictions_are_named_with_their_place(words: dict[str, Any], where: str, told: str) -> None:
    classes = () if "class 10 " in told else ("3A", "9A", "10A")
    found = problems(changed(**words), classes)
    assert any(problem.where == where and told in problem.what and problem.do for problem in found), found
    for problem in found:
        said = problem.said("vi")
        assert f"({problem.where})" in said and problem.vi in said and problem.what not in said


def test_a_default_week_without_bells_for_a_grade_is_seen_without_the_school_s_classes() -> None:
    document = changed(weeks=(Week(days={"monday": ("am",)}),), bells=FIRST.bells)
    assert any("the default has lessons on monday" in str(problem) for problem in problems(document))


# --- whatever is entered ----------------------------------------------------------------------------------------------

CLASSES = ["1A", "3/2", "8.10", "12A7"]
SCOPES = st.one_of(
    st.just({}),
    st.lists(st.sampled_from(GRADES), min_size=1, max_size=3).map(lambda grades: {"grades": tuple(grades)}),
    st.lists(st.sampled_from(CLASSES), min_size=1, max_size=2).map(lambda names: {"classes": tuple(names)}),
)
DAYS = st.dates(date(2026, 8, 25), date(2027, 6, 10))
HALVES_ST = st.sampled_from([("am",), ("pm",), ("am", "pm")])
HOLIDAYS = st.lists(
    st.tuples(SCOPES, DAYS, st.integers(0, 20), HALVES_ST).map(
        lambda row: Holiday(first=row[1], last=row[1] + timedelta(days=row[2]), why="x", halves=row[3], **row[0])
    ),
    max_size=6,
)
MADE = st.lists(
    st.tuples(SCOPES, DAYS, st.sampled_from(WEEKDAYS)).map(
        lambda row: MakeUp(day=row[1], taught_as=row[2], why="x", **row[0])
    ),
    max_size=6,
)
WEEKS = st.lists(
    st.tuples(
        SCOPES, st.dictionaries(st.sampled_from(WEEKDAYS), st.sampled_from([(), ("am",), ("pm",), ("am", "pm")]))
    ).map(lambda row: Week(days=row[1], **row[0])),
    max_size=5,
)


@given(HOLIDAYS, MADE, WEEKS, st.sampled_from(CLASSES), DAYS, st.sampled_from([-30, 0, 15]))
def test_whatever_is_entered_sessions_are_in_order_within_their_day_and_never_on_a_holiday(
    holidays: list[Holiday], made: list[MakeUp], weeks: list[Week], name: str, day: date, shift_min: int
) -> None:
    document = changed(holidays=tuple(holidays), make_up=tuple(made), weeks=(*FIRST.weeks, *weeks), shift_min=shift_min)
    found = sessions_of(document, day, name)
    assert [session.half for session in found] == sorted({session.half for session in found})
    for session in found:
        assert document.first <= day <= document.last and session.day == day
        assert not any(
            holiday.first <= day <= holiday.last and session.half in holiday.halves and holiday.rank(name) is not None
            for holiday in holidays
        )
        times = [session.opens_ms, session.starts_ms, session.late_after_ms, session.final_ms, session.ends_ms]
        assert times == sorted(times) and at("00:00", day) <= times[0] and times[-1] < at("23:59", day)
    if len(found) == 2:
        assert found[0].ends_ms <= found[1].opens_ms, "a tap belongs to one half-day"
    again = timetable_from("t", timetable_bytes(document))
    assert again == document and sessions_of(again, day, name) == found


@given(st.integers(at("00:00"), at("23:59")), st.integers(0, 7_200_000), st.sampled_from(["in", "out", None]))
def test_a_way_is_said_only_where_the_whole_bound_says_the_same(
    best_ms: int, error_ms: int, told: Direction | None
) -> None:
    found = direction_of(BOTH_WAYS, "cong-a", "x", best_ms, told, (best_ms - error_ms, best_ms + error_ms))
    if found is not None:
        edges = {direction_of(BOTH_WAYS, "cong-a", "x", best_ms + way, told) for way in (-error_ms, 0, error_ms)}
        assert edges == {found}
