"""What is over its time goes, pupils who left long ago are erased: no name stays in a byte, every count does."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import msgspec
import pytest

from hub.attendance.schoolday import Marked
from hub.days.classbook import midnight_ms, today_at
from hub.days.office import HalfDayOf
from hub.desks.eraser import PUPILS_EACH, EraseRefused
from hub.lists.changes import Change
from hub.lists.known import Enrolment
from hub.roster import RosterRow
from hub.store.database import SCHEMA, Database
from hub.store.erasedrows import ERASED_NAME, TAP_WITHOUT_CARD
from hub.store.listrows import ListRows
from hub.store.peoplerows import Person
from hub.store.retention import TABLES, UNTIL_WORDS
from tests.hub.days.test_daybook import AN, BE, DAY, MINUTE_MS, ROSTER, STRANGE, School
from tests.hub.web.pagehub import SetClock

DAY_MS = 86_400_000
LEFT = DAY + timedelta(days=10)
NAME = "Nguyễn Văn An"


class Old(School):
    """A school of 62 whose An left; some years later."""

    def __init__(self, folder: Path) -> None:
        self.clock = SetClock()
        rest = [RosterRow(f"st-x{n:02}", f"Trần Thị Khác {n}", "1A", f"a:04C0FFEE0000{n:02X}") for n in range(59)]
        super().__init__(folder, [*ROSTER, *rest], machine=self.clock)

    def leave(self, key: str = "st-an", last: date = LEFT) -> None:
        people = self.store.people
        with self.store.database.transaction():
            found = people.find(key)
            assert found is not None
            people.change(replace(found, code="HS0001", city_id="city-an-77", birth=date(2019, 3, 4), sex="m"), DAY)
            people.change(replace(found, state="left", code="HS0001", city_id="city-an-77"), last)

    def later(self, days: int) -> None:
        self.clock.ahead_ms += days * DAY_MS

    def ask(self, **words: Any) -> dict[str, Any]:
        texts = {name: str(value) for name, value in {"json": True, "by": "dpo", **words}.items()}
        found: dict[str, Any] = msgspec.json.decode(self.store.carry_out("retention", texts).text)
        return found

    def octets(self) -> bytes:
        return b"".join(path.read_bytes() for path in sorted(self.store.path.parent.glob(f"{self.store.path.name}*")))

    def counted(self, day: date = DAY) -> list[tuple[str, str, str, tuple[str, ...]]]:
        return [as_counted(one) for one in sorted(self.store.classbook.marks(day), key=place)]


def place(one: Marked) -> tuple[str, str]:
    return one.pupil.key, one.session.half


def as_counted(one: Marked) -> tuple[str, str, str, tuple[str, ...]]:
    return one.pupil.key, one.session.half, one.judged.mark, one.judged.evidence


@pytest.fixture
def school(tmp_path: Path) -> Iterator[Old]:
    made = Old(tmp_path)
    yield made
    made.room.close()


def an_s_morning(school: Old) -> None:
    """An by the card that the gateway knew, by one that was bound later, and by the first one after its loss."""
    school.tap(AN, "06:40", student="st-an")
    school.tap(STRANGE, "13:00", unknown=True)
    school.tap(AN, "14:00", student="st-an")
    school.tap(BE, "06:45", student="st-be")
    school.deliver()
    school.store.office.card("vp", "issued", STRANGE, "st-an")
    school.store.office.card("vp", "lost", AN, "st-an", midnight_ms(DAY) + 13 * 60 * MINUTE_MS)
    school.store.office.roll_call("co-lan", HalfDayOf("1A", DAY, "am"), {"st-an": "late"})


def test_every_table_is_declared_with_its_class_of_data_and_retention(tmp_path: Path) -> None:
    database = Database(tmp_path / "ledger.db")
    names = {name for (name,) in database.connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")}
    database.close()
    declared = Counter(kept.table for kept in TABLES)
    assert {name for name in names if not name.startswith("sqlite_")} == declared.keys()
    assert set(declared.values()) == {1} and {kept.until for kept in TABLES} == UNTIL_WORDS.keys()
    made = re.findall(r"^CREATE TABLE (\w+)", "".join(p.read_text("utf-8") for p in sorted(SCHEMA.glob("*.sql"))), re.M)
    assert declared.keys() <= set(made)


def test_a_pupil_who_left_long_ago_goes_and_every_count_stays(school: Old) -> None:
    an_s_morning(school)
    school.store.consents.enter("van-phong", "st-an", True)
    school.leave()
    with school.store.database.transaction() as run:
        run.execute("INSERT INTO city_rows VALUES ('users', 'city-an-77', 0, 1, 0, 0, ?)", (f'{{"name":"{NAME}"}}',))
        run.execute("INSERT INTO city_rows VALUES ('enrollments', 'e-1', 0, 1, 0, 0, '{\"user\":\"city-an-77\"}')")
        run.execute("INSERT INTO city_rows VALUES ('users', 'city-an-770', 0, 1, 0, 0, '{\"name\":\"Bé\"}')")
    before, rest = school.counted(), len(school.store.people.all())
    numbers = [change.card for change in school.store.days.card_changes() if change.pupil == "st-an"]
    assert set(numbers) == {AN, STRANGE} and NAME.encode() in school.octets()
    school.later(1_700)
    assert school.ask(dry_run=True)["tables"] == []
    school.later(250)
    dry = school.ask(dry_run=True)
    assert dry["tables"] == [{"table": "pupils", "data": "identity", "rows": 1, "oldest": LEFT.isoformat()}]
    assert NAME.encode() in school.octets(), "a dry run deletes nothing"
    told = school.ask()
    assert told == {**dry, "dry_run": False, "pupils_remaining": 0, "log_clean": True}
    octets = school.octets()
    for gone in (NAME, "HS0001", "2019-03-04", "city-an-77\x00", AN, STRANGE):
        assert gone.encode() not in octets, gone
    assert b"st-an" in octets and "Lê Thị Bé".encode() in octets and BE.encode() in octets
    person = school.store.people.find("st-an")
    assert person == Person("st-an", ERASED_NAME, "1A", "left")
    run = school.store.database.connection.execute
    assert [row[0] for row in run("SELECT id FROM city_rows")] == ["city-an-770"]
    assert not school.store.messages.consents() and len(school.store.people.all()) == rest
    assert school.counted() == before and any(key == "st-an" for key, *_ in before)
    assert [one.pupil.name for one in school.store.classbook.marks(DAY, "1A")].count(ERASED_NAME) == 2
    school.store.daybook.anew()
    school.read()
    assert school.counted() == before, "also when all is read again from the records"
    assert not school.store.messages.consents()
    assert {change.pupil for change in school.store.days.card_changes()}.isdisjoint({"st-an"})
    assert {row.card for row in school.store.days.taps_of_cards([TAP_WITHOUT_CARD])} == {TAP_WITHOUT_CARD}
    assert AN.encode() not in b"".join(map(repr_of, school.rows().values()))
    notes = [(one.what, one.object) for one in school.store.audit.page(None, 50) if one.what == "erasure"]
    assert notes == [("erasure", "st-an")]
    assert school.ask()["tables"] == [], "once"


def repr_of(rows: list[Any]) -> bytes:
    return repr(rows).encode()


def test_a_card_that_another_pupil_had_too_stays_theirs(school: Old) -> None:
    an_s_morning(school)
    noon_ms = midnight_ms(DAY) + 12 * 60 * MINUTE_MS
    school.store.office.card("vp", "issued", STRANGE, "st-be", noon_ms + 120 * MINUTE_MS)
    school.tap(STRANGE, "15:00", unknown=True)
    school.deliver()
    school.leave()
    before = school.counted()
    school.ask(erase="st-an")
    assert school.counted() == before
    assert {one.card for one in school.store.holders.holdings() if one.pupil == "st-be"} == {BE, STRANGE}
    school.store.daybook.anew()
    school.read()
    assert school.counted() == before


def test_a_card_given_to_another_pupil_later_brings_them_no_tap_of_the_erased_one(school: Old) -> None:
    an_s_morning(school)
    school.leave()
    before = school.counted()
    school.ask(erase="st-an")
    _, home = school.store.office.card("vp", "issued", AN, "st-chi")
    assert home == 0 and school.counted() == before
    school.store.daybook.anew()
    school.read()
    assert school.counted() == before


@pytest.mark.parametrize(("key", "says"), [("st-be", "is a pupil of the school"), ("st-ai", "no pupil has this key")])
def test_whoever_is_a_pupil_or_nobody_is_not_erased(school: Old, key: str, says: str) -> None:
    before = school.store.people.all()
    with pytest.raises(EraseRefused, match=says):
        school.ask(erase=key)
    assert school.store.people.all() == before


def test_pupils_of_a_wrong_list_who_left_the_same_day_are_kept_as_long_as_any_who_left(school: Old) -> None:
    newcomers = [RosterRow(f"st-n{number}", f"Phạm Văn Mới {number}", "2A", None) for number in range(3)]
    before = [RosterRow(one.key, one.name, one.school_class, None) for one in school.store.people.all()]
    today = today_at(school.store.clock.now_ms())
    school.store.office.take_roster("vp", [*before, *newcomers])
    school.store.office.take_roster("vp", before)
    assert {one.state for one in school.store.people.all() if one.school_class == ""} == {"left"}
    assert school.ask(dry_run=True)["tables"] == [] and school.ask()["tables"] == []
    assert "Phạm Văn Mới".encode() in school.octets()
    school.later(1_825)
    assert school.ask(dry_run=True)["tables"] == []
    school.later(2)
    said = (today - timedelta(days=1)).isoformat()
    assert school.ask()["tables"] == [{"table": "pupils", "data": "identity", "rows": 3, "oldest": said}]
    assert "Phạm Văn Mới".encode() not in school.octets()


def test_who_came_back_for_a_day_left_that_day_and_not_years_ago(school: Old) -> None:
    school.leave()
    school.later(1_900)
    people, today = school.store.people, today_at(school.store.clock.now_ms())
    with school.store.database.transaction():
        found = people.find("st-an")
        assert found is not None
        people.change(replace(found, state="enrolled"), today)
        people.change(replace(found, state="left"), today - timedelta(days=1))
    assert school.ask()["tables"] == []


def test_a_list_says_today_that_somebody_left_whatever_day_it_names(school: Old) -> None:
    run, clock = school.store.database.connection.execute, school.store.clock
    long_ago = [Enrolment("1A", date(2001, 9, 5), date(2002, 5, 31))]
    with school.store.database.transaction():
        rows = ListRows(school.store.database, school.store.people)
        an = next(one for one in rows.known() if one.key == "st-an")
        gone = replace(an, state="left", enrolments=tuple(long_ago))
        rows.write([Change("left", ("left",), an, gone)], today_at(clock.now_ms()))
    assert school.ask()["tables"] == []
    school.later(1_827)
    with school.store.database.transaction():
        rows.write([Change("updated", ("name",), gone, replace(gone, name="Nguyễn Văn Ân"))], today_at(clock.now_ms()))
    assert school.ask(dry_run=True)["tables"][0]["rows"] == 1, "another name of who left isn't another leaving"
    with school.store.database.transaction():
        run("UPDATE pupils SET left_on = NULL WHERE pupil_key = 'st-an'")
        run("DELETE FROM enrolments WHERE pupil_key = 'st-an'")
    assert school.ask()["tables"] == [], "of whom nobody knows when they left, it counts from here on"
    school.later(1_827)
    assert school.ask()["tables"][0]["rows"] == 1


def test_asked_for_one_it_is_done_at_once_and_twice_is_nothing(school: Old) -> None:
    school.leave()
    assert school.ask(erase="st-an", dry_run=True)["tables"][0]["rows"] == 1
    assert NAME in {person.name for person in school.store.people.all()}
    assert school.ask(erase="st-an")["tables"][0]["rows"] == 1
    assert NAME not in {person.name for person in school.store.people.all()}
    assert school.ask(erase="st-an")["tables"] == []


def test_many_who_left_go_in_steps_and_it_says_how_many_remain(school: Old) -> None:
    with school.store.database.transaction():
        for number in range(PUPILS_EACH + 5):
            person = Person(f"st-l{number:03}", f"Đã Đi {number}", "5A", "enrolled")
            school.store.people.add(person, DAY)
            school.store.people.change(replace(person, state="left"), LEFT)
    school.later(2_000)
    assert school.ask()["pupils_remaining"] == 5
    assert school.ask()["pupils_remaining"] == 0
    assert "Đã Đi".encode() not in school.octets()


def test_old_rows_go_by_their_age_and_newer_ones_stay(school: Old) -> None:
    store, now_ms = school.store, school.store.clock.now_ms()
    store.users.add("co-lan", "Cô Lan", "teacher", "1A", None, now_ms)
    with store.database.transaction() as run:
        for days in (500, 450, 100, 1):
            at_ms = now_ms - days * DAY_MS - 1_000
            run.execute(
                "INSERT INTO audit (at_ms, who, role, what, object, kind, outcome)"
                " VALUES (?, 'co-lan', 'teacher', 'page', '1A', 'read', 'allowed')",
                (at_ms,),
            )
            run.execute("INSERT INTO city_answers VALUES (?, ?, ?)", (days, days, at_ms))
            run.execute("INSERT INTO login_failures VALUES (?, 1, ?)", (f"user {days}", at_ms))
            run.execute("INSERT INTO login_links VALUES (?, NULL, ?)", (bytes([days % 251]), at_ms))
            run.execute("INSERT INTO sessions VALUES (?, 1, ?, ?, 'tests')", (bytes([days % 251]), at_ms, at_ms))
            run.execute(
                "INSERT INTO messages (key, pupil_key, day, half, kind, state, made_ms, valid_until_ms, done_ms, body)"
                " VALUES (?, 'st-an', '2026-01-01', 'am', 'late', 'sent', 0, 0, ?, '{}')",
                (f"m{days}", at_ms),
            )
    going = {one["table"]: one["rows"] for one in school.ask(dry_run=True)["tables"]}
    # The one-time link of Cô Lan stands, and a session of yesterday does for a week.
    assert going == {
        **{"audit": 2, "city_answers": 3, "messages": 3, "sessions": 3, "login_links": 4, "login_failures": 4},
    }
    assert {one["table"]: one["rows"] for one in school.ask()["tables"]} == going
    assert school.ask(dry_run=True)["tables"] == []
    run = store.database.connection.execute
    assert [one.object for one in store.audit.page(None, 50) if one.what == "retention"]
    assert run("SELECT count(*) FROM audit WHERE who = 'co-lan'").fetchone()[0] == 2
    assert run("SELECT count(*) FROM messages").fetchone()[0] == 1


def test_an_audit_row_behind_one_that_stays_waits_for_it(school: Old) -> None:
    now_ms = school.store.clock.now_ms()
    with school.store.database.transaction() as run:
        for days in (1, 500):
            run.execute(
                "INSERT INTO audit (at_ms, who, role, what, object, kind, outcome)"
                " VALUES (?, 'co-lan', 'teacher', 'page', '1A', 'read', 'allowed')",
                (now_ms - days * DAY_MS,),
            )
    assert school.ask(dry_run=True)["tables"] == [] and school.ask()["tables"] == []


def test_people_read_what_would_go_in_words(school: Old) -> None:
    assert school.store.carry_out("retention", {"dry_run": "True"}).text.startswith("không có gì phải xóa")
    school.leave()
    school.later(2_000)
    would = school.store.carry_out("retention", {"dry_run": "True"}).text
    assert would == f"pupils: 1 sẽ xóa / would go, từ / from {LEFT.isoformat()}"
    done = school.store.carry_out("retention", {})
    assert done.text == f"pupils: 1 đã xóa / gone, từ / from {LEFT.isoformat()}" and done.roster
