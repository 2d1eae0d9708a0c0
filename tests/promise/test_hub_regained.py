"""A hub's data deleted after a hundred entries: backup and city bring all back, and what neither had is named."""

from __future__ import annotations

import shutil
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from hub.config import load_hub_config
from protocol.envelope import decode_event
from sim.parts import PartFailed, audit, until
from sim.road import Road
from tests.hub.backups.copies import enter


class School:
    """City and hub as processes, and people who enter something while the hub is between two runs."""

    def __init__(self, folder: Path) -> None:
        self.road = Road(folder)
        self.folder, self.stick = folder, folder / "stick"
        self.stick.mkdir()
        self.config = load_hub_config(self.road.hub_config)

    def entered(self, numbers: range, student: str | None = None) -> list[str]:
        """People enter so much; the hub runs again afterwards."""
        self.road.hub.stop()
        names = enter(self.config, numbers, student=student)
        self.road.hub.start()
        return names

    def sent(self) -> None:
        """Wait until the city has all that it takes."""
        until(lambda: self.status()["city"]["backlog"] == 0, "the city has it", also=self.road.check)

    def status(self) -> Any:
        return self.road.status() or {"city": {}, "regained": None}

    def gone(self) -> None:
        """The hub dies, and its data with it."""
        self.road.hub.kill()
        shutil.rmtree(self.config.data_dir)

    def regained(self) -> Any:
        until(lambda: (self.status()["regained"] or {}).get("done"), "all is regained", also=self.road.check)
        return self.status()["regained"]

    def at_hub(self) -> dict[str, bytes]:
        return once(audit(f"{self.road.hub_url}/v1/ledger/events", self.road.reader()))

    def at_city(self) -> dict[str, bytes]:
        return once(audit(f"{self.road.city_url}/k12edge/v1/events"))


def once(records: list[tuple[str, bytes]]) -> dict[str, bytes]:
    assert max(Counter(name for name, _ in records).values()) == 1
    return dict(records)


def corrections(records: dict[str, bytes]) -> set[str]:
    return {name for name, raw in records.items() if decode_event(raw).name == "attendance.correction"}


@pytest.fixture
def school(tmp_path: Path) -> Iterator[School]:
    made = School(tmp_path)
    made.road.city.start()
    made.road.hub.start()
    yield made
    ends = made.road.stop()
    assert ends == dict.fromkeys(ends, 0)


def test_a_hundred_entries_come_back_from_backup_and_city_each_once(school: School) -> None:
    entered = school.entered(range(60))
    said = school.road.command("backup", str(school.stick))
    assert "không niêm phong / not sealed" in said or "not sealed" in said
    backup = school.status()["backup"]
    assert backup["age_s"] < 60 and not backup["late"] and backup["folder"] in said
    entered += school.entered(range(60, 100))
    school.sent()
    before = school.at_hub()
    fingerprint = school.road.command("keys", "show")
    school.gone()
    said = school.road.command("restore", str(school.stick))
    assert "Start the hub" in said and "are the backup's only" in said
    school.road.hub.start()
    assert school.status()["calendar"]["backup_ms"] is not None
    assert school.regained()["own"]["attendance.correction"] == 40
    assert school.regained()["lost"] == school.regained()["refused"] == []
    school.sent()
    hub, city = school.at_hub(), school.at_city()
    assert corrections(hub) == corrections(city) == set(entered)
    assert len(entered) == 100
    assert {name: hub[name] for name in before} == before
    assert hub == city
    assert school.road.command("keys", "show") == fingerprint
    own = school.status()["backup"]["own"]
    assert own["here_only"] == own["in_backup"] == 0 and own["at_city"] == own["records"] == len(hub)


def test_without_a_backup_the_city_gives_what_it_had_and_the_rest_is_named(school: School) -> None:
    (school.folder / "city" / "students.txt").write_text("st-1\n", encoding="utf-8")
    known = school.entered(range(60), student="st-1")
    # The city doesn't know this pupil yet, so these wait at the hub; what comes after them doesn't.
    unknown = school.entered(range(60, 100), student="st-2")
    until(lambda: school.status()["city"]["backlog"] == len(unknown), "all but those are sent")
    assert school.status()["backup"]["own"]["here_only"] == len(unknown)
    paper = school.folder / "keys.paper"
    school.road.command("keys", "export", str(paper))
    school.gone()
    with pytest.raises(PartFailed, match="holds no backup"):
        school.road.command("restore", str(school.stick))
    school.road.command("keys", "import", str(paper))
    said = school.road.command("restore", "--from-city")
    journal = unknown[0].partition(".")[0]
    lost = f"{journal} 2..41"
    assert "attendance.correction 60" in said and f"saved here only: {lost}" in said
    assert "no names are here" in said and "calendar and timetable: không có ở thành phố / no city has them" in said
    school.road.hub.start()
    assert school.status()["troubles"]["calendar"] == "calendar-unconfirmed"
    assert corrections(school.at_hub()) == corrections(school.at_city()) == set(known)
    assert school.status()["regained"]["lost"] == [lost]
    # A running hub is asked by the same words, and finds the same.
    assert "the running hub does it" in school.road.command("restore", "--from-city")
    assert school.regained()["lost"] == [lost]
    with pytest.raises(PartFailed, match="already-running"):
        school.road.command("restore", str(school.stick))
