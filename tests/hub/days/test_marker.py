"""The marker on a real ledger: a day as the city is told it, late changes, restarts, and the told rows made anew."""

from __future__ import annotations

import random
from collections.abc import Iterator
from dataclasses import replace
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import msgspec
import pytest
from msgspec.structs import replace as replace_document

import hub.days.marker as marking
from hub.assembly import Assembly
from hub.attendance.daymarks import CATEGORIES
from hub.attendance.schoolday import Marked
from hub.attendance.timetable import Holiday
from hub.days.classbook import midnight_ms
from hub.days.marker import Marker
from hub.days.office import HalfDayOf
from hub.store.notes import Regain
from protocol.envelope import decode_data, decode_event
from protocol.records import AttendanceMark
from tests.hub.days.test_daybook import AN, BE, CHI, DAY, MINUTE_MS, STRANGE, School, add_tap
from tests.hub.room import HubRoom
from tests.hub.store.test_coverage_rows import say
from tests.hub.web.pagehub import SetClock

MORNING = HalfDayOf("1A", DAY, "am")
COMPLETE_AM = "09:30"
"""When the gate's word on the morning's final moment has come."""


class Telling(School):
    """A school whose hub tells the city; it is seven in the morning."""

    def __init__(self, folder: Path) -> None:
        self.clock = SetClock()
        super().__init__(folder, machine=self.clock)
        self.heard = 0
        self.told_so_far = 0
        self.restart()
        self.it_is("07:00")
        self.look()

    def restart(self) -> None:
        """Another run's marker; what isn't in rows is forgotten."""
        self.marker = Marker(self.store, self._heard)

    def _heard(self) -> None:
        self.heard += 1

    def it_is(self, clock: str, day: date = DAY) -> None:
        hour, minute = map(int, clock.split(":"))
        wanted_ms = midnight_ms(day) + (hour * 60 + minute) * MINUTE_MS
        self.clock.ahead_ms += wanted_ms - self.store.clock.now_ms()

    def look(self) -> None:
        """The marker looks, and tells all that is due."""
        self.read()
        self.marker._looked_ms = -(1 << 60)
        while self.marker.turn() < marking.GATHER_MS - 1_000:
            self.read()

    def told(self) -> list[AttendanceMark]:
        """What was told since the last time that it was asked."""
        rows = self.store.database.connection.execute("SELECT raw FROM events ORDER BY position").fetchall()
        events = [decode_event(bytes(raw)) for (raw,) in rows]
        found = [decode_data(event, AttendanceMark) for event in events if event.name == "attendance.mark"]
        new, self.told_so_far = found[self.told_so_far :], len(found)
        return new

    def news(self) -> dict[str, str]:
        """The same, told shortly: pupil -> `+` what stands, `-` what doesn't."""
        self.look()
        found: dict[str, str] = {}
        for record in self.told():
            for pupil in record.marks.keys() | record.retracts.keys():
                gone, mark = record.retracts.get(pupil), record.marks.get(pupil)
                words = ([f"-{gone}"] if gone else []) + ([f"+{mark.category}"] if mark else [])
                found[f"{pupil[3:]} {record.half}"] = " ".join(words)
        return found

    def stands(self, day: date = DAY) -> dict[tuple[str, str], str]:
        """What stands told, by the rows."""
        rows = self.store.database.connection.execute(
            "SELECT pupil_key, half, category FROM marks_told WHERE day = ? AND category IS NOT NULL",
            (day.isoformat(),),
        )
        return {(pupil, half): category for pupil, half, category in rows.fetchall()}

    def everything_here(self, clock: str = COMPLETE_AM) -> None:
        """The gate says that all is here."""
        say(self.run, clock)
        self.deliver()


@pytest.fixture
def school(tmp_path: Path) -> Iterator[Telling]:
    made = Telling(tmp_path)
    yield made
    made.room.close()


def test_a_morning_is_told_once_final_and_its_absences_once_all_is_here(school: Telling) -> None:
    school.tap(AN, "06:40", student="st-an")
    school.tap(BE, "08:10", student="st-be")
    school.deliver()
    school.it_is("07:20")
    assert school.news() == {}, "before the final moment nothing is"
    school.it_is("09:00")
    assert school.news() == {"an am": "+In Attendance", "be am": "+Tardy"}
    assert school.news() == {}, "nothing is told twice"
    school.everything_here()
    assert school.news() == {"chi am": "+Absent"}
    assert school.heard == 2, "one transaction for each class that had something to say"
    late = school.tap(CHI, "06:55", student="st-chi")
    school.deliver()
    school.look()
    [record] = school.told()
    assert record.retracts == {"st-chi": "Absent"} and record.marks["st-chi"].category == "In Attendance"
    assert record.marks["st-chi"].evidence == [late] and record.school_class == "1B"
    assert (record.rules, record.day, record.half) == ("attendance-1", DAY.isoformat(), "am")
    assert record.watermark.complete and record.watermark.waived == {}


def test_what_people_say_retracts_what_was_derived_and_a_signed_list_is_told_at_once(school: Telling) -> None:
    office = school.store.office
    school.it_is("07:05")
    office.roll_call("co-lan", MORNING, {"st-be": "unexcused"})
    assert school.news() == {}
    office.roll_call("co-lan", MORNING, {}, confirms=True)
    school.look()
    [record] = school.told()
    assert msgspec.to_builtins(record.marks) == {
        "st-be": {
            "category": "Unexcused Absence",
            "by": "co-lan",
            "evidence": [school.store.classbook.marks(DAY, "1A")[1].judged.evidence[0]],
        }
    }
    school.everything_here("09:00")
    school.it_is("09:00")
    assert school.news() == {"an am": "+Absent", "chi am": "+Absent"}
    office.roll_call("co-lan", MORNING, {"st-an": "excused"})
    leave = office.leave("co-lan", "st-chi", (DAY, "am"), (DAY, "am"))
    assert school.news() == {"an am": "-Absent +Excused Absence", "chi am": "-Absent +Excused Absence"}
    office.withdraw_leave("co-lan", str(leave))
    office.roll_call("co-lan", MORNING, {"st-an": "withdrawn", "st-be": "excused"})
    assert school.news() == {
        "an am": "-Excused Absence +Absent",
        "be am": "-Unexcused Absence +Excused Absence",
        "chi am": "-Excused Absence +Absent",
    }


def test_a_waiver_tells_the_absences_and_by_whom_they_were_waived(school: Telling) -> None:
    school.tap(AN, "06:40", student="st-an")
    school.deliver()
    school.it_is("09:00")
    assert school.news() == {"an am": "+In Attendance"}
    school.store.office.waive("thay-minh", "cong", school.store.clock.now_ms(), "mất điện")
    school.look()
    found = school.told()
    assert {pupil: mark.category for one in found for pupil, mark in one.marks.items()} == {
        "st-be": "Absent",
        "st-chi": "Absent",
    }
    assert all(one.watermark.waived == {"cong": "thay-minh"} for one in found)


def test_a_card_that_was_somebody_else_s_moves_the_mark(school: Telling) -> None:
    school.tap(STRANGE, "06:50", unknown=True)
    school.deliver()
    school.everything_here()
    school.it_is("10:00")
    assert school.news() == dict.fromkeys(("an am", "be am", "chi am"), "+Absent")
    school.store.office.card("van-phong", "issued", STRANGE, "st-an")
    assert school.news() == {"an am": "-Absent +In Attendance"}
    school.store.office.card("van-phong", "lost", STRANGE, "st-an", midnight_ms(DAY) + 400 * MINUTE_MS)
    assert school.news() == {"an am": "-In Attendance +Absent"}


def test_days_that_are_over_are_told_when_something_of_them_comes(school: Telling) -> None:
    school.it_is("07:00", DAY + timedelta(days=1))
    assert school.news() == {}, "of yesterday nothing is known"
    school.tap(AN, "06:40", student="st-an")
    school.deliver()
    assert school.news()["an am"] == "+In Attendance"
    school.everything_here("17:30")
    found = school.news()
    assert found.items() >= {"be am": "+Absent", "chi am": "+Absent", "be pm": "+Absent", "chi pm": "+Absent"}.items()
    assert DAY not in school.store.days.told.open_days(), "nothing more is to come of it by itself"
    school.restart()
    assert school.news() == {}
    school.tap(BE, "08:10", student="st-be")
    school.deliver()
    assert school.news()["be am"] == "-Absent +Tardy"


def test_a_hub_that_was_off_over_the_final_moment_tells_it_when_it_is_back(school: Telling) -> None:
    school.tap(AN, "06:40", student="st-an")
    school.everything_here("41:30")
    school.it_is("07:00", DAY + timedelta(days=4))
    school.restart()
    assert school.news().items() >= {"be am": "+Absent", "chi am": "+Absent"}.items()
    assert school.stands()[("st-an", "am")] == "In Attendance"
    friday = school.stands(DAY + timedelta(days=1))
    assert len(friday) == 6 and set(friday.values()) == {"Absent"}, "a day that it never saw, and nobody came"


def test_a_pupil_who_changes_class_is_told_no_second_time_and_one_who_goes_is_taken_back(school: Telling) -> None:
    school.tap(AN, "06:40", student="st-an")
    school.everything_here()
    school.it_is("10:00")
    assert len(school.news()) == 3
    people = school.store.people
    with school.store.database.transaction():
        moved = people.find("st-an")
        assert moved is not None
        people.change(replace(moved, school_class="1B"), DAY)
    assert school.news() == {}
    with school.store.database.transaction():
        left = people.find("st-be")
        assert left is not None
        people.change(replace(left, state="left"), DAY - timedelta(days=1))
    assert school.news() == {"be am": "-Absent"}


def test_a_half_day_that_was_no_school_after_all_is_taken_back(school: Telling) -> None:
    school.everything_here()
    school.it_is("10:00")
    assert len(school.news()) == 3
    [document] = school.store.classbook.timetables(DAY).values()
    with school.store.database.transaction():
        closed = replace_document(document, holidays=(Holiday(first=DAY, last=DAY, why="mưa bão"),))
        school.store.timetables.put(DAY, closed, DAY, school.store.clock.now_ms(), "hieu-truong")
    assert school.news() == dict.fromkeys(("an am", "be am", "chi am"), "-Absent")


def test_a_past_day_whose_timetable_is_changed_is_told_anew(school: Telling) -> None:
    school.everything_here("41:30")
    school.it_is("18:00", DAY + timedelta(days=4))
    assert len(school.news()) == 6
    [document] = school.store.classbook.timetables(DAY).values()
    closed = replace_document(document, holidays=(Holiday(first=DAY, last=DAY, why="mưa bão"),), note="bão số 9")
    today = DAY + timedelta(days=4)
    with school.store.database.transaction():
        school.store.timetables.put(DAY, closed, today, school.store.clock.now_ms(), "hieu-truong", past=True)
    assert set(school.news().values()) == {"-Absent"} and school.stands() == {}


def test_a_gateway_whose_clock_stood_at_1970_silences_nobody(school: Telling) -> None:
    run = school.gate.run(mono_ms=1_000)
    add_tap(school, run, AN, "06:40", student="st-an", day=date(1970, 1, 2), err_ms=None)
    school.room.batch(school.gate, school.gate.batch(run))
    school.tap(BE, "06:45", student="st-be")
    school.everything_here()
    school.it_is("10:00")
    assert school.news() == {"be am": "+In Attendance"}, "that run may hold more of this morning: nobody is absent yet"


def test_a_fault_about_one_class_silences_no_other(school: Telling, monkeypatch: pytest.MonkeyPatch) -> None:
    school.everything_here()
    school.it_is("10:00")
    marks = school.store.classbook.evidence

    def failing(day: date, school_class: str | None = None, at_ms: int | None = None) -> Any:
        if school_class == "1A":
            raise ValueError("a fault of ours")
        return marks(day, school_class, at_ms)

    monkeypatch.setattr(school.store.classbook, "evidence", failing)
    assert school.news() == {"chi am": "+Absent"}


@pytest.mark.parametrize(("pages_max", "looks"), [(20, 1), (1, 4)], ids=["gathered", "bounded"])
def test_a_backlogs_pages_are_gathered_and_today_is_told_first(
    school: Telling, monkeypatch: pytest.MonkeyPatch, pages_max: int, looks: int
) -> None:
    """Page by page each class would be looked through again; and a gateway that comes back may touch months."""
    school.look()
    school.told()
    monkeypatch.setattr(marking, "PAGE", 2)
    monkeypatch.setattr(marking, "PAGES_MAX", pages_max)
    seen: list[tuple[date, str]] = []
    real = Marker._tell

    def tell(self: Marker, day: date, school_class: str) -> bool:
        seen.append((day, school_class))
        return real(self, day, school_class)

    monkeypatch.setattr(Marker, "_tell", tell)
    for minute in range(7):
        school.tap(AN, f"06:4{minute}", student="st-an")
    school.deliver()
    later = DAY + timedelta(days=20)
    school.it_is("10:00", later)
    school.look()
    of_an = [day for day, school_class in seen if school_class == "1A"]
    assert of_an.count(DAY) == looks and of_an.count(later) == 1
    assert of_an[0] == later and len(set(of_an)) == 21


def test_nothing_is_told_while_records_are_regained_or_the_daybook_reads(school: Telling) -> None:
    school.everything_here()
    school.it_is("10:00")
    school.store.carry_out("regain", {})
    assert school.store.regaining() and school.marker.turn() == marking.WAIT_MS
    assert school.told() == []
    with school.store.database.transaction():
        school.store.notes.drop(Regain)
    school.store.daybook.anew()
    assert school.marker.turn() == marking.BEHIND_MS
    assert len(school.news()) == 3


# --- the same again ---------------------------------------------------------------------------------------------------


def derived(marks: list[Marked], now_ms: int) -> dict[tuple[str, str], str]:
    return {
        (one.pupil.key, one.session.half): CATEGORIES[one.judged.mark]
        for one in marks
        if one.judged.mark in CATEGORIES and one.session.final_ms <= now_ms
    }


@pytest.mark.parametrize("seed", range(5))
def test_whatever_comes_in_whatever_order_what_stands_told_is_what_is_derived(tmp_path: Path, seed: int) -> None:
    school, rng = Telling(tmp_path), random.Random(seed)
    office = school.store.office
    school.everything_here("17:30")
    school.it_is("18:00")
    cards = {AN: "st-an", BE: "st-be", CHI: "st-chi"}
    steps: list[Any] = [
        *(lambda c=c, t=t: school.tap(c, t, student=cards[c]) for c in cards for t in ("06:40", "08:20", "15:00")),
        *(
            lambda s=s, p=p: office.roll_call("co-lan", HalfDayOf("1A", DAY, rng.choice(("am", "pm"))), {p: s})
            for s in ("absent", "excused", "withdrawn", "late")
            for p in ("st-an", "st-be")
        ),
        lambda: office.leave("co-lan", "st-chi", (DAY, "am"), (DAY, "pm")),
        lambda: office.card("vp", "lost", CHI, "st-chi", midnight_ms(DAY) + 420 * MINUTE_MS),
        lambda: office.card("vp", "issued", STRANGE, "st-chi"),
        lambda: school.tap(STRANGE, "06:45", unknown=True),
        school.restart,
        school.store.daybook.anew,
        *[school.look] * 4,
    ]
    rng.shuffle(steps)
    for step in steps:
        step()
        if school.sent < len(school.run.lines):
            school.deliver()
    school.look()
    assert school.stands() == derived(school.store.classbook.marks(DAY), school.store.clock.now_ms())
    told = school.told()
    school.look()
    assert told and school.told() == []
    # A receiver that takes the records in any order has the same.
    rng.shuffle(told)
    newest: dict[tuple[str, str], tuple[int, str | None]] = {}
    for record in told:
        for pupil in record.retracts.keys() | record.marks.keys():
            mark = record.marks.get(pupil)
            key = (pupil, record.half)
            newest[key] = max(
                newest.get(key, (0, None)), (record.number, None if mark is None else mark.category), key=lambda x: x[0]
            )
    assert {key: category for key, (_, category) in newest.items() if category} == school.stands()
    rows = school.rows()
    school.store.daybook.anew()
    school.read()
    assert school.rows() == rows
    school.room.close()


def test_records_that_come_back_in_another_order_leave_the_same_rows(school: Telling) -> None:
    school.everything_here()
    school.it_is("10:00")
    school.look()
    for state in ("excused", "unexcused", "withdrawn"):
        school.store.office.roll_call("co-lan", MORNING, {"st-an": state})
        school.look()
    told, rows = school.told(), school.rows()["marks_told"]
    assert len(told) == 5
    with school.store.database.transaction() as run:
        records = dict(run.execute("SELECT number, record FROM marks_told").fetchall())
        run.execute("DELETE FROM marks_told")
        for record in reversed(told):
            at_ms = school.store.clock.now_ms() - record.number
            school.store.days.told.tell(records.get(record.number, f"j.{record.number}"), record, at_ms)
        again = run.execute("SELECT pupil_key, category, number FROM marks_told ORDER BY pupil_key").fetchall()
    assert again == [("st-an", "Absent", 5), ("st-be", "Absent", 1), ("st-chi", "Absent", 2)] and len(rows) == 3


def test_a_hub_with_a_city_that_answers_has_a_marker_and_others_have_none(school: Telling, tmp_path: Path) -> None:
    assembly = Assembly(school.room.config, school.store, None, lambda: None, school.room.own)
    assert isinstance(assembly.workers["marker"], Marker)
    alone = HubRoom(tmp_path / "alone", city=False)
    assert "marker" not in Assembly(alone.config, alone.store, None, lambda: None, alone.own).workers
    alone.close()
