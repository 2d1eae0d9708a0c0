"""Taps of a box without the time, at a real store: nobody is absent by them, and no page, list or record breaks."""

from __future__ import annotations

import secrets
from collections.abc import Iterator
from datetime import date, timedelta
from pathlib import Path

import msgspec
import pytest

from hub.attendance.firsttimetable import first_timetable
from hub.attendance.timetable import Window
from hub.days.classbook import midnight_ms
from hub.days.office import HalfDayOf
from hub.days.recompute import recomputed
from tests.hub.days.test_daybook import AN, BE, DAY, MINUTE_MS, mono_at
from tests.hub.days.test_marker import Telling

MORNING = HalfDayOf("1A", DAY, "am")


@pytest.fixture
def school(tmp_path: Path) -> Iterator[Telling]:
    made = Telling(tmp_path)
    yield made
    made.room.close()


def at(clock: str) -> int:
    hour, minute = map(int, clock.split(":"))
    return midnight_ms(DAY) + (hour * 60 + minute) * MINUTE_MS


def untimed(school: Telling, clock: str = "06:40", day: date = DAY) -> str:
    """A tap of a boot whose clock shows that time, and nobody vouches for it."""
    school.run = school.gate.run(mono_ms=mono_at("05:00"), err_ms=None)
    school.run.boot = secrets.token_hex(4)
    school.sent = 0
    tap = school.tap(AN, clock, student="st-an", err_ms=None, day=day)
    school.deliver()
    return tap


def timed_again(school: Telling) -> None:
    """The next boot has the time, and says that all is here."""
    school.run = school.gate.run(after=school.run, mono_ms=mono_at("07:45"))
    school.sent = 0
    school.everything_here("10:00")


@pytest.mark.parametrize("shown", [DAY, DAY - timedelta(days=9)])
def test_a_tap_of_a_box_without_the_time_is_no_absence_and_no_presence(school: Telling, shown: date) -> None:
    tap = untimed(school, day=shown)
    timed_again(school)
    school.it_is("10:30")
    marked = next(one for one in school.store.classbook.marks(DAY, "1A") if one.pupil.key == "st-an")
    assert (marked.judged.mark, marked.judged.flags) == ("not-known", ("time-uncertain",))
    assert marked.judged.evidence == (tap,)
    assert school.marks()["st-be"][0] == "absent", "of others everything is known"
    assert "an am" not in school.news(), "the city isn't told what nobody knows"
    seen = {one.pupil.key: one.where for one in school.store.classbook.on_site(at("10:00"), "1A")}
    assert seen == {"st-an": "not-seen", "st-be": "not-seen"}
    kept = list(recomputed(school.store, DAY - timedelta(days=2), DAY))
    assert kept == list(recomputed(school.store, DAY - timedelta(days=2), DAY, from_records=True))
    # A person's word decides.
    school.store.office.roll_call("co-lan", MORNING, {"st-an": "present"})
    assert school.marks()["st-an"][0] == "present"


def test_a_gate_with_hours_survives_it_on_every_day_of_the_year(school: Telling) -> None:
    document = msgspec.structs.replace(
        first_timetable(2026),
        note="cổng có giờ",
        windows=(Window(device=school.gate.device, begins="05:00", ends="09:00", way="in"),),
    )
    with school.store.database.transaction():
        school.store.timetables.put(date(2026, 9, 7), document, DAY, at("05:00"), "co-lan", past=True)
    untimed(school)
    for day in (DAY, DAY - timedelta(days=1), DAY - timedelta(days=45), DAY + timedelta(days=1)):
        assert {mark for mark, _ in school.marks(day).values()} <= {"not-known"}
    assert [one.where for one in school.store.classbook.on_site(at("07:00"), "1A")] == ["not-seen"] * 2


def test_of_two_words_in_the_hub_s_journal_the_later_one_counts_though_its_clock_went_back(school: Telling) -> None:
    school.it_is("10:00")
    school.store.office.roll_call("co-lan", MORNING, {"st-an": "unexcused"})
    admitted = school.store.office.admit("bac-bao", "st-be", at("06:50"))
    school.it_is("09:30")
    school.store.office.roll_call("co-mai", MORNING, {"st-an": "excused"}, reason="mẹ báo")
    assert school.marks()["st-an"][0] == "excused"
    assert school.marks()["st-be"][0] == "present"
    school.store.office.take_back_admission("bac-bao", str(admitted))
    assert school.marks()["st-be"][0] != "present"


def test_a_moment_shows_what_was_said_by_then_and_what_gates_had_said(school: Telling) -> None:
    school.tap(BE, "06:50", student="st-be")
    school.everything_here("09:00")
    school.it_is("09:10")
    school.store.office.admit("bac-bao", "st-an", at("06:55"))
    school.everything_here("11:00")
    school.it_is("11:10")
    assert school.marks(at_ms=at("09:05"))["st-an"][0] == "absent", "it stood so, by the word of nine"
    assert school.marks(at_ms=at("09:11"))["st-an"][0] == "present"
