"""What the city is told of a half-day: every transition, and that what followed from complete data stands told."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hub.attendance.completeness import Completeness
from hub.attendance.daymarks import (
    CATEGORIES,
    EVIDENCE_MAX,
    KNOWN_CATEGORIES,
    HalfDay,
    News,
    Told,
    gone,
    news,
    records,
)
from hub.attendance.marks import MARKS, Judged, Mark
from protocol.envelope import EVENT_BYTES_MAX, encode_event
from protocol.records import AttendanceMark, Category
from protocol.taps import TapId
from tests.hub.attendance.test_marks import DAY, at, session
from tests.protocol.morning import clock

COMPLETE, WAITING = Completeness(()), Completeness(("cong-b",))
WAIVED = Completeness((), (("cong-b", "thay-minh"),))
EARLY, FINAL = at("07:30"), session().final_ms
SIGNED_BY = "co-lan"


def judged(mark: Mark, by: str = "", minutes: int = 0, evidence: tuple[str, ...] = ("j.1",)) -> Judged:
    return Judged("p", mark, minutes, by, () if mark in ("absent", "not-known") and not by else evidence)


def half(*marks: Judged, known: Completeness = COMPLETE, signed: bool = False) -> HalfDay:
    return HalfDay(session(), "1A", marks, known, signed)


def told(category: Category, minutes: int = 0, *, derived: bool = True) -> dict[str, Told]:
    return {"p": Told(category, minutes, "1A", derived)}


def said(found: News | None) -> tuple[str | None, str | None] | None:
    """Of pupil p: the category that is told, and the one that is taken back."""
    if found is None:
        return None
    mark = found.marks.get("p")
    return None if mark is None else CATEGORIES[mark.mark], found.retracts.get("p")


def test_every_mark_has_a_word_of_ed_fi_but_not_known() -> None:
    assert set(MARKS) - CATEGORIES.keys() == {"not-known"}
    assert set(CATEGORIES.values()) == set(KNOWN_CATEGORIES)


@pytest.mark.parametrize("known", [COMPLETE, WAITING, WAIVED])
def test_what_is_not_known_is_never_told(known: Completeness) -> None:
    assert news(half(judged("not-known"), known=known), {}, FINAL) is None


@pytest.mark.parametrize(
    ("mark", "known", "category"),
    [
        (judged("absent"), COMPLETE, "Absent"),
        (judged("absent"), WAIVED, "Absent"),
        (judged("absent"), WAITING, None),
        (judged("absent", SIGNED_BY), WAITING, "Absent"),
        (judged("unexcused", SIGNED_BY), WAITING, "Unexcused Absence"),
        (judged("excused", "me-an"), WAITING, "Excused Absence"),
        (judged("present"), WAITING, "In Attendance"),
        (judged("late", minutes=12), WAITING, "Tardy"),
        (judged("left-early", minutes=30), WAITING, "Early departure"),
    ],
)
def test_only_a_derived_absence_waits_for_all_data(mark: Judged, known: Completeness, category: str | None) -> None:
    assert said(news(half(mark, known=known), {}, FINAL)) == (None if category is None else (category, None))


@pytest.mark.parametrize(
    ("mark", "signed", "category"),
    [
        (judged("absent"), False, None),
        (judged("absent"), True, None),
        (judged("present"), True, None),
        (judged("unexcused", SIGNED_BY), False, None),
        (judged("unexcused", SIGNED_BY), True, "Unexcused Absence"),
        (judged("excused", "me-an"), True, "Excused Absence"),
    ],
)
def test_before_the_final_moment_only_people_s_words_of_a_signed_list_are_told(
    mark: Judged, signed: bool, category: str | None
) -> None:
    found = news(half(mark, signed=signed), {}, FINAL - 1)
    assert said(found) == (None if category is None else (category, None))


@pytest.mark.parametrize(
    ("before", "mark", "known", "expected"),
    [
        (told("Absent"), judged("late", minutes=40), COMPLETE, ("Tardy", "Absent")),
        (told("Absent"), judged("unexcused", SIGNED_BY), COMPLETE, ("Unexcused Absence", "Absent")),
        (
            told("Unexcused Absence", derived=False),
            judged("excused", SIGNED_BY),
            WAITING,
            ("Excused Absence", "Unexcused Absence"),
        ),
        (told("In Attendance"), judged("left-early", minutes=9), COMPLETE, ("Early departure", "In Attendance")),
        (told("In Attendance"), judged("not-known"), WAITING, (None, "In Attendance")),
        (told("In Attendance"), judged("absent"), WAITING, (None, "In Attendance")),
        (told("Unexcused Absence", derived=False), judged("not-known"), WAITING, (None, "Unexcused Absence")),
        (told("Absent"), judged("not-known"), WAITING, None),
        (told("Absent", derived=False), judged("not-known"), WAITING, (None, "Absent")),
        (told("Absent"), msgspec.structs.replace(judged("not-known"), evidence=("j.7",)), WAITING, (None, "Absent")),
        (told("Absent"), msgspec.structs.replace(judged("not-known"), evidence=("j.7",)), COMPLETE, (None, "Absent")),
        (told("Absent"), judged("absent"), COMPLETE, None),
        (told("Absent"), judged("absent", SIGNED_BY), COMPLETE, None),
        (told("Tardy", 40), judged("late", minutes=40), COMPLETE, None),
        (told("Tardy", 40), judged("late", minutes=5), COMPLETE, ("Tardy", None)),
    ],
)
def test_a_change_retracts_and_adds(
    before: dict[str, Told], mark: Judged, known: Completeness, expected: tuple[str | None, ...] | None
) -> None:
    found = news(half(mark, known=known), before, FINAL)
    assert said(found) == expected


def test_who_is_of_the_class_no_more_and_a_half_day_that_was_cancelled_are_taken_back() -> None:
    assert said(news(half(), told("Tardy", 3), FINAL)) == (None, "Tardy")
    assert said(gone(told("Absent"))) == (None, "Absent")
    assert gone({}) is None


# --- histories --------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Moment:
    """How a class stands at a look."""

    marks: tuple[Judged, ...]
    known: Completeness
    final: bool
    signed: bool


PUPILS = ("p", "q", "r")


@st.composite
def moments(draw: Any) -> Moment:
    known = draw(st.sampled_from([COMPLETE, WAITING, WAIVED]))
    found = []
    for pupil in PUPILS:
        mark = draw(st.sampled_from(MARKS))
        by = SIGNED_BY if mark in ("excused", "unexcused") else draw(st.sampled_from(["", SIGNED_BY]))
        if mark == "not-known" or (mark == "absent" and not by and not known.complete):
            mark, by = "not-known", ""
        minutes = draw(st.integers(0, 2)) if mark in ("late", "left-early") else 0
        found.append(msgspec.structs.replace(judged(mark, by, minutes), pupil=pupil))
    return Moment(tuple(found), known, draw(st.booleans()), draw(st.booleans()))


def apply(state: dict[str, Told], found: News | None) -> dict[str, Told]:
    """As a receiver does it: what is retracted must be what stands, then goes; what is told stands."""
    if found is None:
        return state
    for pupil, category in found.retracts.items():
        assert state[pupil].category == category, "only what stands is taken back"
    kept = {pupil: one for pupil, one in state.items() if pupil not in found.retracts}
    for pupil, mark in found.marks.items():
        assert pupil not in kept or kept[pupil].category == CATEGORIES[mark.mark], "no second category beside the first"
        kept[pupil] = Told(CATEGORIES[mark.mark], mark.minutes, "1A", not mark.by)
    return kept


@settings(max_examples=150, deadline=None)
@given(st.lists(moments(), max_size=8))
def test_what_stands_told_is_what_followed_from_complete_data_and_a_replay_says_nothing(history: list[Moment]) -> None:
    state: dict[str, Told] = {}
    for moment in history:
        now_ms = FINAL if moment.final else EARLY
        stands = half(*moment.marks, known=moment.known, signed=moment.signed)
        before, state = state, apply(state, news(stands, state, now_ms))
        assert news(stands, state, now_ms) is None
        if not moment.final and not moment.signed:
            assert state == before
            continue
        for mark in moment.marks:
            category = state[mark.pupil].category if mark.pupil in state else None
            if moment.final and (moment.known.complete or mark.mark != "not-known"):
                assert category == CATEGORIES.get(mark.mark)
            elif moment.final:
                assert category is None or (category == "Absent" and before[mark.pupil].derived)
            elif mark.by:
                assert category == CATEGORIES[mark.mark]


# --- records ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("size", "count"), [(1, 1), (45, 1), (200, 5)])
def test_a_class_fits_its_records_and_none_is_too_large(size: int, count: int) -> None:
    pupils = [f"st-{number:016x}" for number in range(size)]
    ids = tuple(f"{number:016x}.{number + 1000}" for number in range(9))
    marks = {pupil: Judged(pupil, "late", 12, "", ids) for pupil in pupils}
    found = News(marks, dict.fromkeys(pupils, "Unexcused Absence"))
    made = list(records(found, ("1A", DAY.isoformat(), "am"), FINAL, WAIVED, 7))
    assert [data["number"] for data in made] == list(range(7, 7 + count))
    assert [pupil for data in made for pupil in data["marks"]] == pupils
    assert all(data["marks"].keys() == data["retracts"].keys() for data in made)
    for data in made:
        again = msgspec.convert({**data, "clock": msgspec.to_builtins(clock(1))}, AttendanceMark)
        assert len(again.marks[next(iter(again.marks))].evidence) == EVIDENCE_MAX
        assert again.marks[next(iter(again.marks))].more == len(ids) - EVIDENCE_MAX
        assert again.watermark.waived == {"cong-b": "thay-minh"} and again.watermark.complete


def test_the_longest_names_fit_too() -> None:
    by = "ệ" * 64
    pupils = ["p" * 60 + f"{number:04}" for number in range(60)]
    ids = tuple("f" * 16 + f".{10**11 + number}" for number in range(9))
    found = News(
        {pupil: Judged(pupil, "unexcused", 700, by, ids) for pupil in pupils},
        dict.fromkeys(pupils, "Unexcused Absence"),
    )
    devices = tuple(("d" * 60 + f"{number:03}", by) for number in range(40))
    known = Completeness((), devices, devices)
    made = list(records(found, ("ệ" * 32, DAY.isoformat(), "am"), FINAL, known, 1))
    assert sum(len(data["marks"]) for data in made) == len(pupils)
    for data in made:
        raw = encode_event(
            TapId("f" * 16, 10**11),
            source="urn:k12edge:hub:" + "s" * 120,
            kind="attendance.mark",
            time_ms=FINAL,
            recorded_ms=FINAL,
            prev="A" * 43,
            data={**data, "clock": msgspec.to_builtins(clock(1))},
        )
        assert len(raw) <= EVENT_BYTES_MAX
