"""Who is on site: the newest evidence counts, and what isn't known is never called "in school"."""

from __future__ import annotations

from datetime import date, datetime

import pytest

from hub.attendance.evidence import Direction, Session, Statement, Tap
from hub.attendance.onsite import Seen, on_site
from hub.attendance.schoolday import VIETNAM, Pupil
from protocol.records import State

DAY = date(2026, 11, 23)
AN = Pupil("st-an", "Nguyễn An", "1A", date.min, date.max)


def at(clock: str) -> int:
    hour, minute = map(int, clock.split(":"))
    return int(datetime(2026, 11, 23, hour, minute, tzinfo=VIETNAM).timestamp() * 1000)


AFTERNOON = Session(DAY, "pm", at("11:00"), at("13:30"), at("13:35"), at("14:00"), at("16:15"))
SESSIONS = {(DAY, "1A", "pm"): AFTERNOON}


def tap(clock: str, way: Direction | None = "in", *, sure: bool = True) -> Tap:
    return Tap(f"t-{clock}", "st-an", at(clock), at(clock), at(clock), way, sure)


def said(clock: str, state: State) -> Statement:
    return Statement(f"s-{clock}", "st-an", DAY, "am", state, at(clock), "co-lan")


def seen(now: str, taps: list[Tap], words: list[Statement] | None = None) -> Seen:
    (found,) = on_site([AN], taps, words or [], SESSIONS, DAY, at(now))
    return found


@pytest.mark.parametrize(
    ("now", "taps", "words", "where", "evidence"),
    [
        ("07:00", [], [], "not-seen", ""),
        ("07:00", [tap("06:40")], [], "in", "t-06:40"),
        ("06:30", [tap("06:40")], [], "not-seen", ""),
        ("11:30", [tap("06:40"), tap("11:10", "out")], [], "out", "t-11:10"),
        ("13:40", [tap("06:40"), tap("11:10", "out"), tap("13:20")], [], "in", "t-13:20"),
        ("12:00", [tap("06:40"), tap("11:10", "out"), tap("11:20", None)], [], "in", "t-11:20"),
        ("17:14", [tap("06:40")], [], "in", "t-06:40"),
        ("17:15", [tap("06:40")], [], "maybe-home", "t-06:40"),
        ("19:00", [tap("06:40"), tap("16:20", "out")], [], "out", "t-16:20"),
        ("08:00", [], [said("07:20", "excused")], "away", "s-07:20"),
        ("08:00", [], [said("07:20", "present")], "in", "s-07:20"),
        ("08:00", [], [said("07:20", "absent"), said("07:30", "withdrawn")], "not-seen", ""),
        ("08:00", [tap("07:40")], [said("07:20", "absent")], "in", "t-07:40"),
        ("08:00", [tap("06:40", sure=False)], [], "not-seen", ""),
    ],
)
def test_the_newest_evidence_says_where_a_pupil_is(
    now: str, taps: list[Tap], words: list[Statement], where: str, evidence: str
) -> None:
    found = seen(now, taps, words)
    assert (found.where, found.evidence) == (where, evidence)


def test_forgot_to_tap_out_is_never_in_school_in_the_evening() -> None:
    for hour in range(18, 24):
        assert seen(f"{hour}:00", [tap("06:40"), tap("13:20")]).where == "maybe-home"


def test_a_class_without_lessons_has_no_evening() -> None:
    (found,) = on_site([AN], [tap("06:40")], [], {}, DAY, at("20:00"))
    assert found.where == "in"


def test_pupils_stand_by_class_and_given_name() -> None:
    pupils = [
        Pupil("c", "Trần Ánh", "10A1", date.min, date.max),
        Pupil("b", "Lê Đức", "2/1", date.min, date.max),
        Pupil("a", "Võ Dung", "2/1", date.min, date.max),
        Pupil("x", "Left Before", "2/1", date.min, date(2026, 11, 22)),
    ]
    assert [one.pupil.key for one in on_site(pupils, [], [], {}, DAY, at("08:00"))] == ["a", "b", "c"]
