"""A hub that lost its ledger lost its calendar: the city is told nothing of days before a person has looked at it."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

import hub.days.marker as marking
from hub.attendance.calendaredits import scope_from, set_bell, set_shift
from hub.attendance.timetable import Bell, Timetable
from hub.backups.regainer import Regainer
from hub.parts import Store
from hub.store.notes import CalendarBack
from tests.hub.backups.test_regaining import City
from tests.hub.days.test_daybook import AN, BE, CHI, DAY, ROSTER
from tests.hub.days.test_marker import Telling
from tests.hub.room import HubRoom

LATE_BELL = Bell(opens="05:00", starts="08:30", late_after="08:35", final="09:00", ends="11:00")
TOLD = {("st-an", "am"): "In Attendance", ("st-be", "am"): "In Attendance", ("st-chi", "am"): "Absent"}


class Regained(Telling):
    """A school that rings later than the proposal; its morning was told. Then the hub is lost with all its data."""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        [proposed] = self.store.classbook.timetables(DAY).values()
        self.document = set_bell(scope_from("", ["1A", "1B"]), "am", LATE_BELL)(proposed)
        self.keep(self.document)
        self.tap(AN, "06:40", student="st-an")
        self.tap(BE, "08:10", student="st-be")
        self.everything_here("09:30")
        self.it_is("09:45")
        self.look()
        assert self.stands() == TOLD

    def keep(self, document: Timetable) -> None:
        with self.store.database.transaction():
            self.store.timetables.put(DAY, document, DAY, self.store.clock.now_ms(), "hieu-truong")

    def confirm(self) -> int:
        """When a person said that it is right."""
        now_ms = self.store.clock.now_ms()
        with self.store.database.transaction():
            self.store.timetables.confirm(now_ms, "hieu-truong")
        return now_ms

    def lose(self) -> None:
        """A new hub takes over the key paper, and has back from the city all that was a record."""
        connection = self.store.database.connection
        raws = [bytes(raw) for (raw,) in connection.execute("SELECT raw FROM events ORDER BY position").fetchall()]
        paper = self.store.secrets.export(self.room.config.school, self.store.devices)[1]
        config = self.room.config
        self.room.close()
        shutil.rmtree(config.data_dir)
        config.data_dir.mkdir()
        store = Store(config, self.clock)
        with store.database.transaction():
            store.secrets.restore("paper", paper, config.school, store.devices, store.clock.now_ms())
        done = Regainer(store, City(raws)).regain()
        assert done is not None and done.lost == [] and done.own["attendance.mark"] == 2
        store.database.close()
        self.again()
        self.store.office.take_roster("-", list(ROSTER))
        self.read()
        self.told()

    def again(self) -> None:
        """The hub after a restart."""
        self.room.close()
        self.room = HubRoom(self.room.config.data_dir, machine=self.clock)
        self.store = self.room.store
        self.restart()


@pytest.fixture
def school(tmp_path: Path) -> Iterator[Regained]:
    made = Regained(tmp_path)
    made.lose()
    yield made
    made.room.close()


def test_a_hub_regained_without_its_calendar_takes_nothing_back(school: Regained) -> None:
    assert school.stands() == TOLD and school.store.timetables.versions() == {}
    assert not school.store.regaining()
    for _ in range(3):
        assert school.marker.turn() == marking.WAIT_MS
        school.again()
    assert school.told() == []
    status = school.room.status.whole()
    assert status["calendar"]["backup_ms"] is None
    [proposed] = school.store.classbook.timetables(DAY).values()
    school.keep(set_shift(15)(proposed))
    assert school.marker.turn() == marking.WAIT_MS
    assert school.told() == [], "one change says nothing of the rest: what else was lost, nobody has looked at yet"
    school.keep(school.document)
    assert school.room.status.whole()["calendar"] is not None
    school.confirm()
    assert school.room.status.whole()["calendar"] is None
    assert school.news() == {} and school.stands() == TOLD, "by the document nothing is otherwise than it was told"
    school.tap(CHI, "08:20", student="st-chi")
    school.deliver()
    assert school.news() == {"chi am": "-Absent +In Attendance"}, "who comes before the late bell isn't late"


def test_what_a_person_confirmed_is_told_by_also_after_a_restart(school: Regained) -> None:
    now_ms = school.confirm()
    school.again()
    note = school.store.notes.read(CalendarBack)
    assert note is not None and (note.confirmed_ms, note.by) == (now_ms, "hieu-truong")
    assert school.news() == {"be am": "-In Attendance +Tardy"}, "the proposal, which somebody has called right"


def test_a_hub_that_lost_nothing_asks_nobody(tmp_path: Path) -> None:
    school = Regained(tmp_path)
    assert school.store.calendar_in_doubt() is None
    school.store.carry_out("regain", {})
    assert Regainer(school.store, City([])).regain() is not None
    assert school.store.calendar_in_doubt() is None, "nothing of its own came back, so its ledger is the one it was"
    school.room.close()
