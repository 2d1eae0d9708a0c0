"""What pages of the school day show, as values: where a pupil stands, what is new, what stood before, portions."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from hub.attendance.firsttimetable import first_timetable
from hub.attendance.marks import MARKS, Judged, Mark
from hub.attendance.schoolday import Marked, Pupil
from hub.attendance.timetable import sessions_of
from hub.days.classbook import midnight_ms
from hub.days.office import HalfDayOf
from hub.dayview.morning import morning_of, tallied
from hub.dayview.pupilday import class_on, pupil_day
from hub.dayview.redink import red_ink
from hub.dayview.sheet import half_now, sheet_of
from tests.hub.days.test_daybook import AN, CHI, DAY, MINUTE_MS, STRANGE, School

MORNING = HalfDayOf("1A", DAY, "am")
Step = Callable[[School], object]


@pytest.fixture
def school(tmp_path: Path) -> Iterator[School]:
    made = School(tmp_path)
    yield made
    made.room.close()


def at(clock: str) -> int:
    hour, minute = map(int, clock.split(":"))
    return midnight_ms(DAY) + (hour * 60 + minute) * MINUTE_MS


def tap(clock: str) -> Step:
    return lambda school: (school.tap(AN, clock, student="st-an"), school.deliver())


def say(state: str) -> Step:
    return lambda school: school.store.office.roll_call("co-lan", MORNING, {"st-an": state})


def leave(school: School) -> object:
    return school.store.office.leave("co-lan", "st-an", (DAY, "am"), (DAY, "pm"))


def admit(school: School) -> str:
    return str(school.store.office.admit("bac-bao", "st-an", at("07:05")))


def admit_wrongly(school: School) -> object:
    return school.store.office.take_back_admission("bac-bao", admit(school))


@pytest.mark.parametrize(
    ("steps", "mark", "origin", "group"),
    [
        ([], "not-known", "nothing", "open"),
        ([tap("06:40")], "present", "tap", "there"),
        ([tap("08:10")], "late", "tap", "there"),
        ([admit], "present", "admitted", "there"),
        ([admit_wrongly], "not-known", "nothing", "open"),
        ([leave], "excused", "leave", "said"),
        ([leave, say("unexcused")], "unexcused", "word", "said"),
        ([say("present")], "present", "word", "said"),
        ([say("unexcused"), say("withdrawn")], "not-known", "nothing", "open"),
        ([tap("06:40"), say("absent")], "absent", "word", "look"),
        ([tap("06:40"), leave], "present", "tap", "look"),
        ([tap("06:40"), say("absent"), say("withdrawn")], "present", "tap", "there"),
    ],
)
def test_where_a_pupil_stands_follows_from_what_is_known(
    school: School, steps: list[Step], mark: Mark, origin: str, group: str
) -> None:
    for step in steps:
        step(school)
    sheet = sheet_of(school.store, DAY, "1A", "am", at("09:00"))
    cell = next(row for row in sheet.rows if row.pupil == "st-an").cells["am"]
    assert (cell.mark, cell.origin, cell.group) == (mark, origin, group)
    assert {row.pupil for row in sheet.of_group(cell.group)} >= {"st-an"}
    assert cell.here_only == (origin in ("word", "leave", "admitted")), "no city, no backup"
    assert sum(sheet.counts("am").values()) == 2


def test_what_is_new_names_taps_pupils_and_classes_or_everything(school: School) -> None:
    store = school.store

    def new(step: Step) -> tuple[int, set[str], set[str], bool]:
        with store.database.lock:
            before = store.board.read_to()
        step(school)
        school.read()
        with store.database.lock:
            news = store.board.behind(before)
        assert news.position == store.days.newest()
        return len(news.taps), set(news.pupils), set(news.classes), news.more

    new(tap("06:40"))
    assert new(tap("06:41")) == (1, set(), set(), False)
    assert new(say("late")) == (0, {"st-an"}, set(), False)
    assert new(leave) == (0, {"st-an"}, set(), False)
    assert new(lambda s: store.office.withdraw_leave("x", str(leave(s)))) == (0, {"st-an"}, set(), False)
    assert new(lambda _: store.office.roll_call("x", MORNING, {}, confirms=True)) == (0, set(), {"1A"}, False)
    assert new(lambda _: store.office.card("x", "issued", STRANGE, "st-an"))[3], "a card may move any tap"
    assert new(lambda _: None) == (0, set(), set(), False)
    with store.database.lock:
        assert store.board.behind(0, 3).more, "more than is looked at is everything"
        assert store.board.behind(1 << 40).more, "so is a ledger that begins anew"


def test_red_ink_says_what_stood_there_before(school: School) -> None:
    tap("06:40")(school)
    for state in ("absent", "unexcused", "withdrawn", "late"):
        say(state)(school)
    with school.store.database.lock:
        changes = red_ink(school.store, DAY, "1A")[::-1]
        assert red_ink(school.store, DAY, "1B") == []
    assert [(one.before, one.state, one.corrects) for one in changes] == [
        # The hub's clock stands after the day, so the tap was known to the first word.
        ("present", "absent", True),
        ("absent", "unexcused", True),
        ("unexcused", "withdrawn", True),
        ("present", "late", True),
    ]


def test_an_admission_taken_back_counts_until_then(school: School) -> None:
    record = admit(school)
    before_ms = school.store.clock.now_ms()
    while school.store.clock.now_ms() == before_ms:
        pass
    school.store.office.take_back_admission("bac-bao", record)
    assert school.marks(at_ms=before_ms)["st-an"] == ("present", (record,))
    assert school.marks()["st-an"] == ("not-known", ())
    school.store.daybook.anew()
    school.read()
    assert school.marks()["st-an"] == ("not-known", ()), "and so by the records alone"


def test_a_pupils_day_tells_only_what_is_the_pupils(school: School) -> None:
    mine = school.tap(AN, "06:40", student="st-an")
    school.tap(CHI, "06:41", student="st-chi")
    wrong = school.tap(CHI, "06:42", student="st-an")
    school.deliver()
    with school.store.database.lock:
        assert class_on(school.store, "st-an", DAY) == "1A" and class_on(school.store, "st-x", DAY) is None
        found = pupil_day(school.store, "st-an", "1A", DAY)
    assert [(stop.tap, stop.mine) for stop in found.stops] == [(mine, True), (wrong, False)]
    assert found.stops[1].trail["student"] == "st-chi"
    assert {one.session.half for one in found.marks} == {"am", "pm"}


def test_portions_are_who_stays_less_who_is_kept_away_by_people_and_never_who_is_there(school: School) -> None:
    document = first_timetable(2026, ("primary",))
    sessions = sessions_of(document, DAY, "1A")
    assert [session.half for session in sessions] == ["am", "pm"]

    def marked(mark: Mark, by: str) -> list[Marked]:
        pupil = Pupil(f"st-{mark}-{by}", "An", "1A", DAY, DAY)
        return [Marked(session, pupil, Judged(pupil.key, mark, by=by)) for session in sessions]

    everybody = [one for mark in MARKS for by in ("", "co-lan") for one in marked(mark, by)]
    tally = tallied(everybody, document)["am"]["1A"]
    away = 3
    assert tally.pupils == 2 * len(MARKS) and tally.portions == tally.pupils - away
    assert tallied(everybody, first_timetable(2026, ("lower",)))["am"]["1A"].portions is None
    tap("06:40")(school)
    morning = morning_of(school.store, DAY, at("09:00"))
    whole = morning.halves["am"].school
    assert (whole.pupils, whole.there, whole.portions) == (3, 1, 3)
    assert list(morning.halves["am"].classes) == ["1A", "1B"]


def test_people_mean_the_half_day_whose_taps_count_now() -> None:
    document = first_timetable(2026, ("primary",))
    sessions = {session.half: session for session in sessions_of(document, DAY, "1A")}
    assert half_now({}, at("08:00")) is None
    for clock, half in (("00:00", "am"), ("10:59", "am"), ("11:00", "pm"), ("23:00", "pm")):
        assert half_now(sessions, at(clock)) == half
    assert half_now({"am": sessions["am"]}, at("15:00")) == "am"
    assert half_now({"pm": sessions["pm"]}, at("08:00")) == "pm"
