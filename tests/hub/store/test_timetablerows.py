"""The timetable's versions: a change from a day on leaves all days before as they were."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date, timedelta
from pathlib import Path

import msgspec
import pytest

from hub.attendance.firsttimetable import first_timetable
from hub.attendance.timetable import Bells, Holiday, Timetable, TimetableRefused, Week, calendar_of
from hub.store.database import Database
from hub.store.timetablerows import VERSIONS_MAX, TimetableRows

TODAY = date(2026, 11, 25)
SEPTEMBER, MONDAY = date(2026, 9, 5), date(2026, 11, 30)
FIRST = first_timetable(2026)
SHIFTED = first_timetable(2026, shift_min=15)
DAYS = [SEPTEMBER + timedelta(days=number) for number in range(120)]


@pytest.fixture
def database(tmp_path: Path) -> Iterator[Database]:
    opened = Database(tmp_path / "ledger.db")
    opened.connection.execute(
        "CREATE TABLE IF NOT EXISTS timetables (first_day TEXT PRIMARY KEY, document TEXT, made_ms INTEGER, by TEXT)"
    )
    yield opened
    opened.close()


def noted(document: Timetable, note: str) -> Timetable:
    return msgspec.structs.replace(document, note=note)


def school(database: Database) -> TimetableRows:
    rows = TimetableRows(database)
    with database.transaction():
        rows.put(SEPTEMBER, FIRST, SEPTEMBER, 1, "hieu-truong")
    return rows


def taught(rows: TimetableRows) -> dict[object, object]:
    versions = {first: version.document for first, version in rows.versions().items()}
    return dict(calendar_of(versions, DAYS, ["3/2"]))


def test_a_change_from_a_day_on_leaves_the_days_before_as_they_were(database: Database) -> None:
    rows = school(database)
    before = taught(rows)
    with database.transaction():
        version = rows.put(MONDAY, SHIFTED, TODAY, 2, "hieu-truong")
    after = taught(rows)
    changed = {place for place in before if before[place] != after[place]}
    assert changed and min(place[0] for place in changed) == MONDAY  # type: ignore[index]
    assert version == rows.for_day(MONDAY) == rows.versions()[MONDAY] and version.made_ms == 2
    assert rows.for_day(MONDAY - timedelta(days=1)) == rows.versions()[SEPTEMBER]
    assert rows.for_day(date(2026, 9, 4)) is None, "before the first version there was no timetable"
    assert (rows.holds_until(SEPTEMBER), rows.holds_until(MONDAY)) == (MONDAY, None)


def test_a_past_day_is_changed_only_when_meant_and_with_a_reason(database: Database) -> None:
    rows, yesterday = school(database), TODAY - timedelta(days=1)
    before = rows.versions()
    storm = msgspec.structs.replace(FIRST, holidays=(Holiday(first=yesterday, last=yesterday, why="bão"),))
    for words, told in (({}, "marks of days that were"), ({"past": True}, "note doesn't say why")):
        with pytest.raises(TimetableRefused, match=told) as refused, database.transaction():
            rows.put(yesterday, storm, TODAY, 2, "hieu-truong", **words)
        assert rows.versions() == before and refused.value.hint
    with database.transaction():
        rows.put(yesterday, noted(storm, "nghỉ bão, báo sau"), TODAY, 2, "hieu-truong", past=True)
    assert yesterday not in {place[0] for place in taught(rows)}  # type: ignore[index]


def test_today_is_no_past(database: Database) -> None:
    rows = school(database)
    afternoon = msgspec.structs.replace(FIRST, holidays=(Holiday(first=TODAY, last=TODAY, why="bão", halves=("pm",)),))
    with database.transaction():
        rows.put(TODAY, afternoon, TODAY, 2, "hieu-truong")
    assert [place[2] for place in taught(rows) if place[0] == TODAY] == ["am"]  # type: ignore[index]


def test_a_document_that_contradicts_itself_or_names_nobody_is_not_kept(database: Database) -> None:
    rows = school(database)
    with pytest.raises(TimetableRefused, match="2 contradictions\n  "), database.transaction():
        rows.put(
            MONDAY,
            msgspec.structs.replace(FIRST, bells=(Bells(am=FIRST.bells[0].am),)),
            TODAY,
            2,
            "x",
            classes=("3/2", "9"),
        )
    with pytest.raises(TimetableRefused, match="no lesson"), database.transaction():
        rows.put(MONDAY, msgspec.structs.replace(FIRST, weeks=FIRST.weeks[:1]), TODAY, 2, "x", classes=("9",))
    with pytest.raises(TimetableRefused, match="nobody"), database.transaction():
        rows.put(MONDAY, FIRST, TODAY, 2, " ")
    assert list(rows.versions()) == [SEPTEMBER]


def test_what_stood_before_may_stay_and_what_is_new_may_not(database: Database) -> None:
    rows = school(database)
    with database.transaction():
        rows.put(MONDAY, SHIFTED, TODAY, 2, "x", classes=("K/1", "9"))
    twice = msgspec.structs.replace(SHIFTED, weeks=FIRST.weeks[:1])
    with pytest.raises(TimetableRefused, match="1 contradictions\n  weeks: class 9 has no lesson"):
        rows.put(MONDAY, twice, TODAY, 3, "x", classes=("K/1", "9"))
    # A class that got half-days and no bell yet is on its way; one that had both and loses its bell isn't.
    begun = msgspec.structs.replace(SHIFTED, weeks=(*FIRST.weeks, Week(classes=("K/1",), days={"monday": ("am",)})))
    with database.transaction():
        rows.put(MONDAY, begun, TODAY, 4, "x", classes=("K/1", "9"))
    silent = msgspec.structs.replace(begun, bells=FIRST.bells[:1])
    with pytest.raises(TimetableRefused, match="class 9 has lessons on monday"):
        rows.put(MONDAY, silent, TODAY, 5, "x", classes=("K/1", "9"))


def test_the_same_day_is_replaced_and_versions_are_bounded(database: Database) -> None:
    rows = school(database)
    with database.transaction():
        for number in range(VERSIONS_MAX - 1):
            rows.put(TODAY + timedelta(days=number), FIRST, TODAY, 2, "x")
    with pytest.raises(TimetableRefused, match="versions are kept"), database.transaction():
        rows.put(TODAY + timedelta(days=VERSIONS_MAX), FIRST, TODAY, 2, "x")
    with database.transaction():
        rows.put(TODAY, SHIFTED, TODAY, 3, "y")
    found = rows.for_day(TODAY)
    assert found is not None and (found.document, found.by) == (SHIFTED, "y")


def test_a_row_that_was_damaged_is_told_by_its_day(database: Database) -> None:
    rows = school(database)
    database.connection.execute("UPDATE timetables SET document = '{}'")
    with pytest.raises(TimetableRefused, match="the timetable of 2026-09-05"):
        rows.for_day(TODAY)
