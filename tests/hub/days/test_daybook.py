"""The daybook and what stands on it: whose a tap was, what people said, and the same marks from whatever order."""

from __future__ import annotations

import random
from collections.abc import Iterable, Iterator
from datetime import date
from pathlib import Path
from typing import Any

import pytest

from host.machine import Machine
from hub.attendance.schoolday import Marked
from hub.days.classbook import midnight_ms
from hub.days.office import EntryRefused, HalfDayOf
from hub.days.recompute import RecomputeRefused, recomputed
from hub.roster import RosterRow
from hub.store.dayrows import PROJECTED
from protocol.cards import parse_card
from protocol.envelope import decode_data, decode_event, digest
from protocol.rawread import RawRead, encode_raw
from protocol.records import TapCorrection
from protocol.signing import seal
from protocol.taps import ClockData, TapData
from tests.hub.handmade import T0_MS, Gateway, Run
from tests.hub.room import HubRoom

DAY = date(2026, 11, 19)
"""A Thursday in the week of T0_MS."""
MINUTE_MS = 60_000
AN, BE, CHI = "a:04A1B2C3D4E581", "a:04A1B2C3D4E582", "a:04A1B2C3D4E583"
STRANGE = "a:04A1B2C3D4E589"
ROSTER = (
    RosterRow("st-an", "Nguyễn Văn An", "1A", AN),
    RosterRow("st-be", "Lê Thị Bé", "1A", BE),
    RosterRow("st-chi", "Trần Chi", "1B", CHI),
)


def mono_at(clock: str, day: date = DAY) -> int:
    hour, minute = map(int, clock.split(":"))
    return midnight_ms(day) + (hour * 60 + minute) * MINUTE_MS - T0_MS


class School:
    """A hub that knows its roster, and a gate."""

    def __init__(
        self, folder: Path, roster: Iterable[RosterRow] = ROSTER, machine: Machine | None = None, **tables: Any
    ) -> None:
        self.room = HubRoom(folder / "hub", machine=machine, **tables)
        self.store = self.room.store
        self.gate = self.room.known(Gateway())
        self.run = self.gate.run(mono_ms=mono_at("05:00"))
        self.sent = 0
        if roster:
            self.store.office.take_roster("-", list(roster))

    def tap(self, card: str, clock: str, *, student: str | None = None, **more: Any) -> str:
        """A card at the gate, as a gateway records it; the record's id."""
        add_tap(self, self.run, card, clock, student=student, **more)
        return f"{self.run.journal}.{len(self.run.lines)}"

    def deliver(self) -> None:
        """What was tapped reaches the hub, and is read."""
        self.room.batch(self.gate, self.gate.batch(self.run, self.sent + 1))
        self.sent = len(self.run.lines)
        self.read()

    def read(self) -> None:
        while self.store.daybook.catch_up(3) or self.store.daybook.attribute(3):
            pass

    def marks(self, day: date = DAY, half: str = "am", **more: Any) -> dict[str, tuple[str, tuple[str, ...]]]:
        found = self.store.classbook.marks(day, **more)
        return {m.pupil.key: (m.judged.mark, m.judged.evidence) for m in found if m.session.half == half}

    def corrections(self) -> list[tuple[str, str | None, str | None]]:
        """Tap, whose it was taken for, whose it is; in the order of the hub's journal."""
        rows = self.store.database.connection.execute("SELECT raw FROM events ORDER BY position").fetchall()
        events = [decode_event(bytes(raw)) for (raw,) in rows]
        data = [decode_data(e, TapCorrection) for e in events if e.name == "attendance.correction"]
        return [(one.tap, one.was, one.student) for one in data]

    def rows(self) -> dict[str, list[tuple[Any, ...]]]:
        """All that was written down."""
        run = self.store.database.connection.execute
        return {table: sorted(map(repr, run(f"SELECT * FROM {table}").fetchall())) for table in PROJECTED}


def add_tap(school: School, run: Run, card: str, clock: str, *, student: str | None = None, **more: Any) -> None:
    key = school.store.secrets.card_keys()[-1]
    unknown = more.pop("unknown", False)
    way = more.pop("way", "in")
    day = more.pop("day", DAY)
    raw: dict[str, Any] = {}
    if unknown:
        raw = {"raw": seal(school.store.secrets.identity().box, encode_raw(RawRead(card)))}

    def data(at: ClockData) -> TapData:
        keyed = key.keyed(parse_card(card))
        if unknown:
            return TapData("gate", "cong-a", way, keyed, None, "refused", "unknown", "refused", "r-1", at, **raw)
        return TapData("gate", "cong-a", way, keyed, student, "accepted", None, "ok", "r-1", at)

    run.add("card.refused" if unknown else "attendance.tap", data, mono_ms=mono_at(clock, day), **more)


@pytest.fixture
def school(tmp_path: Path) -> Iterator[School]:
    made = School(tmp_path)
    yield made
    made.room.close()


# --- whose a tap was --------------------------------------------------------------------------------------------------


def test_a_tap_is_his_whose_card_it_was_at_that_moment(school: School) -> None:
    before = school.tap(AN, "06:40", student="st-an")
    after = school.tap(AN, "06:50", student="st-an")
    school.deliver()
    assert school.marks()["st-an"] == ("present", (before, after))
    lost_ms = midnight_ms(DAY) + (6 * 60 + 45) * MINUTE_MS
    _, changed = school.store.office.card("van-phong", "lost", AN, "st-an", lost_ms)
    assert changed == 1
    assert school.marks()["st-an"] == ("present", (before,)), "the tap before the loss keeps its pupil"
    assert school.corrections() == [(after, "st-an", None)]


def test_a_card_that_became_another_pupils_is_told_by_the_time_of_each_tap(school: School) -> None:
    first = school.tap(AN, "06:40", student="st-an")
    second = school.tap(AN, "12:30", student="st-an")
    school.deliver()
    at_ms = midnight_ms(DAY) + 12 * 60 * MINUTE_MS
    school.store.office.card("van-phong", "issued", AN, "st-be", at_ms)
    assert school.marks()["st-an"] == ("present", (first,))
    assert school.marks(half="pm")["st-be"] == ("present", (second,))
    assert school.corrections() == [(second, "st-an", "st-be")]


def test_an_unknown_card_bound_later_brings_its_taps_home_once(school: School) -> None:
    taps = [school.tap(STRANGE, clock, unknown=True) for clock in ("06:40", "06:50")]
    school.deliver()
    assert school.marks()["st-an"][0] == "not-known"
    _, home = school.store.office.card("van-phong", "issued", STRANGE, "st-an")
    assert home == 2
    assert school.marks()["st-an"] == ("present", tuple(taps))
    assert school.corrections() == [(tap, None, "st-an") for tap in taps]
    school.read()
    _, again = school.store.office.card("van-phong", "issued", STRANGE, "st-an")
    assert again == 0
    assert len(school.corrections()) == 2


def test_taps_that_came_before_any_roster_find_their_pupils_with_the_first_one(tmp_path: Path) -> None:
    school = School(tmp_path, roster=())
    tap = school.tap(AN, "06:40")
    school.deliver()
    assert school.marks() == {}
    school.store.office.take_roster("-", ROSTER)
    school.read()
    assert school.marks()["st-an"] == ("present", (tap,))
    assert school.corrections() == [(tap, None, "st-an")]
    school.room.close()


def test_a_card_reported_lost_is_told_to_the_stations_and_found_again_is_not(school: School) -> None:
    before = school.store.roster.current()
    school.store.office.card("van-phong", "lost", AN, "st-an")
    assert school.store.releases.lost() == [AN]
    assert school.store.roster.current() != before, "a new release says so"
    assert [row.card for row in school.store.releases.rows() if row.pupil_key == "st-an"] == [None]
    school.store.office.card("van-phong", "found", AN, "st-an")
    assert school.store.releases.lost() == []
    assert [row.card for row in school.store.releases.rows() if row.pupil_key == "st-an"] == [AN]


def test_what_was_tapped_without_a_clock_is_told_when_its_time_is_known(school: School) -> None:
    school.run = school.gate.run(mono_ms=mono_at("05:00"), err_ms=None)
    tap = school.tap(STRANGE, "06:40", unknown=True, err_ms=None)
    school.deliver()
    school.store.office.card("van-phong", "issued", STRANGE, "st-an")
    assert school.corrections() == [], "its time may be any"
    anchor = {"boot": school.run.boot, "mono": mono_at("06:55"), "err": 20, "source": "ntp"}
    anchor["wall"] = "2026-11-19T06:56:00.000+07:00"
    school.run.add("boot.anchored", anchor, mono_ms=mono_at("06:55"), err_ms=None)
    school.deliver()
    assert school.corrections() == [(tap, None, "st-an")]
    marked = next(m for m in school.store.classbook.marks(DAY) if m.pupil.key == "st-an")
    assert marked.judged.mark == "present" and marked.judged.evidence == (tap,)


# --- what people said -------------------------------------------------------------------------------------------------


def test_what_is_said_counts_at_once_and_the_newest_word_stands(school: School) -> None:
    place = HalfDayOf("1A", DAY, "am")
    tap = school.tap(AN, "06:40", student="st-an")
    school.deliver()
    first = school.store.office.roll_call("co-lan", place, {"st-be": "unexcused"})
    assert school.marks()["st-be"] == ("unexcused", (str(first),))
    second = school.store.office.roll_call("co-lan", place, {"st-be": "excused"}, reason="mẹ gọi điện")
    assert school.marks()["st-be"] == ("excused", (str(second),))
    school.store.office.roll_call("co-lan", place, {"st-be": "withdrawn"})
    assert school.marks()["st-be"] == ("not-known", ())
    assert school.marks()["st-an"] == ("present", (tap,))


def test_a_leave_notice_counts_until_it_is_withdrawn(school: School) -> None:
    leave = school.store.office.leave("co-lan", "st-be", (DAY, "am"), (DAY, "pm"))
    assert school.marks()["st-be"] == ("excused", (str(leave),))
    assert school.marks(half="pm")["st-be"][0] == "excused"
    school.store.office.withdraw_leave("co-lan", str(leave))
    assert school.marks()["st-be"] == ("not-known", ())


def test_guard_lets_a_pupil_in_and_it_counts_as_an_arrival_by_its_time(school: School) -> None:
    on_time = school.store.office.admit("bao-ve", "st-an", midnight_ms(DAY) + (6 * 60 + 50) * MINUTE_MS)
    school.store.office.admit("bao-ve", "st-be", midnight_ms(DAY) + (8 * 60) * MINUTE_MS)
    assert school.marks()["st-an"] == ("present", (str(on_time),))
    assert school.marks()["st-be"][0] == "late"


@pytest.mark.parametrize(
    ("place", "states", "says"),
    [
        (HalfDayOf("1A", DAY, "am"), {"st-chi": "excused"}, "st-chi"),
        (HalfDayOf("9Z", DAY, "am"), {"st-an": "excused"}, "9Z"),
        (HalfDayOf("1A", DAY, "am"), {"st-an": "dead"}, "dead"),
        (HalfDayOf("1A", date(2031, 1, 1), "am"), {"st-an": "excused"}, "2031"),
        (HalfDayOf("1A", DAY, "am"), {}, "nothing"),
    ],
)
def test_what_can_t_be_taken_is_refused_and_nothing_is_stored(
    school: School, place: HalfDayOf, states: dict[str, str], says: str
) -> None:
    before, newest = school.rows(), school.store.days.newest()
    with pytest.raises(EntryRefused, match=says):
        school.store.office.roll_call("co-lan", place, states)
    assert (school.rows(), school.store.days.newest()) == (before, newest)


# --- the same again ---------------------------------------------------------------------------------------------------


def a_day(school: School, rng: random.Random) -> None:
    """Taps, cards and words of a day, in a random order."""
    place = HalfDayOf("1A", DAY, "am")
    office = school.store.office
    steps = [
        lambda: school.tap(AN, "06:40", student="st-an"),
        lambda: school.tap(STRANGE, "06:41", unknown=True),
        lambda: school.tap(BE, "07:50", student="st-be"),
        lambda: school.tap(CHI, "15:00", student="st-chi", way="out"),
        lambda: office.roll_call("co-lan", place, {"st-be": "late"}),
        lambda: office.card("vp", "issued", STRANGE, "st-chi"),
        lambda: office.leave("co-lan", "st-an", (DAY, "pm"), (DAY, "pm")),
        school.deliver,
    ]
    rng.shuffle(steps)
    for step in steps:
        step()
    if school.sent < len(school.run.lines):
        school.deliver()
    school.read()


def shown(marks: list[Marked]) -> list[str]:
    return [repr(m) for m in marks]


@pytest.mark.parametrize("seed", range(6))
def test_read_anew_from_the_first_record_all_rows_and_marks_are_the_same(tmp_path: Path, seed: int) -> None:
    school = School(tmp_path)
    a_day(school, random.Random(seed))
    rows, marks = school.rows(), shown(school.store.classbook.marks(DAY))
    told = school.corrections()
    school.store.daybook.anew()
    assert school.rows() != rows
    school.read()
    assert school.rows() == rows
    assert shown(school.store.classbook.marks(DAY)) == marks
    assert school.corrections() == told, "nothing is told twice"
    school.room.close()


@pytest.mark.parametrize("seed", range(4))
def test_a_class_alone_has_the_marks_that_it_has_within_the_school(tmp_path: Path, seed: int) -> None:
    school = School(tmp_path)
    a_day(school, random.Random(seed))
    whole = school.store.classbook.marks(DAY)
    for school_class in ("1A", "1B"):
        alone = school.store.classbook.marks(DAY, school_class)
        assert shown(alone) == shown([m for m in whole if m.pupil.school_class == school_class])
    school.room.close()


def test_what_was_entered_is_chained_and_owed_to_the_city_like_a_tap(school: School) -> None:
    school.store.office.roll_call("co-lan", HalfDayOf("1A", DAY, "am"), {"st-be": "excused"})
    rows = school.store.database.connection.execute(
        "SELECT raw FROM events WHERE journal = ? ORDER BY sequence", (school.room.own.book.number,)
    ).fetchall()
    raws = [bytes(raw) for (raw,) in rows]
    assert decode_event(raws[-1]).name == "attendance.rollcall"
    assert [decode_event(raw).prev for raw in raws] == [None, *(digest(raw) for raw in raws[:-1])]


@pytest.mark.parametrize("seed", range(3))
def test_recomputed_from_the_raw_records_a_day_has_the_same_bytes(tmp_path: Path, seed: int) -> None:
    school = School(tmp_path)
    a_day(school, random.Random(seed))
    kept = list(recomputed(school.store, DAY, DAY))
    assert list(recomputed(school.store, DAY, DAY, from_records=True)) == kept
    assert [mark["student"] for mark in kept[0]["marks"] if mark["half"] == "am"] == ["st-an", "st-be", "st-chi"]
    week = list(recomputed(school.store, date(2026, 11, 16), date(2026, 11, 22)))
    assert [day["date"] for day in week] == [f"2026-11-{number}" for number in (16, 17, 18, 19, 20)]
    assert week[3]["sha256"] == kept[0]["sha256"]
    school.room.close()


@pytest.mark.parametrize(
    ("words", "says"),
    [
        ({"day": "2026-13-01"}, "no date"),
        ({"day": None}, "no date"),
        ({"day": "2026-11-19", "to": "2026-11-18"}, "no span"),
        ({"day": "1900-01-01"}, "from 2020-01-01 to 2099-12-31"),
        ({"day": "9999-12-31"}, "from 2020-01-01 to 2099-12-31"),
        ({"day": "2026-11-19", "to": "9999-12-31"}, "from 2020-01-01 to 2099-12-31"),
        ({"day": "2026-11-19", "rules": "attendance-9"}, "attendance-1"),
    ],
)
def test_what_can_t_be_recomputed_is_refused_in_words(school: School, words: dict[str, str | None], says: str) -> None:
    with pytest.raises(RecomputeRefused, match=says):
        school.store.carry_out("recompute", words)


def test_recompute_tells_people_the_counts_of_the_day(school: School) -> None:
    school.tap(AN, "06:40", student="st-an")
    school.deliver()
    told = school.store.carry_out("recompute", {"day": DAY.isoformat()}).text
    assert "am: 1 present, 2 not-known" in told and "attendance-1" in told
