"""The kitchen and the meals' office on a real store: words, locks, what follows them, and what a late hub says."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import date, timedelta
from pathlib import Path
from typing import Any, Final

import msgspec
import pytest

from hub.cards.holdings import ChangeKind
from hub.days.classbook import midnight_ms
from hub.days.mealmonths import meal_days_told
from hub.days.office import EntryRefused
from hub.dayview.mealday import meal_day
from hub.dayview.mealevents import at_school, meal_events, shown_sheet
from hub.meals.conflicts import conflicts
from hub.meals.portions import sheet_digest, sheet_of, together
from hub.meals.publicsheet import counter_lines
from hub.meals.sittings import FIRST_PLAN, MealPlanRefused
from hub.meals.wordorder import Until
from hub.store.counterrows import CounterStaff
from protocol.envelope import decode_event
from protocol.mealrecords import Portions
from tests.hub.days.test_mealbook import Canteen

MONDAY = date(2026, 11, 23)
LUNCH: Final = "lunch"


@pytest.fixture
def canteen(tmp_path: Path) -> Iterator[Canteen]:
    made = Canteen(tmp_path)
    yield made
    made.room.close()


def clock(canteen: Canteen, text: str, day: date = MONDAY) -> None:
    hour, minute = map(int, text.split(":"))
    canteen.machine.at_ms = midnight_ms(day) + (hour * 60 + minute) * 60_000


def enrol(canteen: Canteen, first: date = MONDAY) -> None:
    clock(canteen, "05:00", MONDAY - timedelta(days=3))
    for student in ("st-an", "st-be", "st-chi"):
        canteen.store.mealoffice.enrol("co-hoa", student, first, None)


def look(canteen: Canteen) -> list[dict[str, Any]]:
    canteen.read()
    canteen.store.kitchen.work()
    run = canteen.store.database.connection.execute
    return [e for (raw,) in run("SELECT raw FROM events ORDER BY position") if (e := _meal(bytes(raw))) is not None]


def _meal(raw: bytes) -> dict[str, Any] | None:
    event = decode_event(raw)
    if event.name not in ("meal.sheet.locked", "meal.adjusted"):
        return None
    return {"type": event.name, **msgspec.json.decode(event.data)}


def shown(one: dict[str, Any]) -> tuple[Any, ...]:
    return (one.get("lock", one.get("why")), one["version"], one["classes"], one["by"])


def test_a_morning_in_the_kitchen(canteen: Canteen) -> None:
    store = canteen.store
    enrol(canteen)
    clock(canteen, "06:50")
    assert look(canteen) == []
    taken = store.mealoffice.cut("co-lan", "st-be", MONDAY, MONDAY, [LUNCH], "phone")
    assert (taken.late, taken.charged) == ((), ())
    clock(canteen, "07:00")
    store.mealoffice.portion("co-hoa", "st-an", "porridge", MONDAY, MONDAY)
    provisional = {"1A": {"registered": 2, "cut": 1, "porridge": 1}, "1B": {"registered": 1, "regular": 1}}
    assert [shown(one) for one in look(canteen)] == [("provisional", 1, provisional, "-")]
    store.office.leave("co-lan", "st-chi", (MONDAY, "am"), (MONDAY, "pm"))
    clock(canteen, "08:00")
    final = {"1A": provisional["1A"], "1B": {"registered": 1, "cut": 1}}
    found = look(canteen)
    assert [shown(one) for one in found[1:]] == [("final", 2, final, "-")]
    assert found[1]["due"] == "2026-11-23T08:00:00.000+07:00" == found[1]["frozen"]
    assert look(canteen) == found, "nothing is frozen twice"
    # After it only adjustments: a late cut, a cut withdrawn, and what somebody asks for.
    clock(canteen, "08:20")
    late = store.mealoffice.cut("co-lan", "st-an", MONDAY, MONDAY)
    assert (late.late, late.charged) == ((LUNCH,), (LUNCH,))
    found = look(canteen)
    assert shown(found[-1]) == ("follows", 2, {"1A": {"cut": 1, "porridge": -1}}, "-")
    assert found[-1]["students"] == ["st-an"] and found[-1]["number"] == 1
    store.mealoffice.withdraw_cut("co-lan", taken.record)
    assert shown(look(canteen)[-1]) == ("follows", 2, {"1A": {"cut": -1, "regular": 1}}, "-")
    store.mealoffice.adjust("co-bep", MONDAY, LUNCH, {"1B": Portions(regular=2)}, "hai khách")
    sheet, adjustments, now = store.kitchen.sheet(MONDAY, "lunch")
    assert sheet is not None and sheet.version == 2 and [one.why for one in adjustments] == ["follows"] * 2 + ["asked"]
    assert now == {"1A": Portions(2, 1, 1), "1B": Portions(1, 1, 2)}
    # Made again from all words: the frozen sheet as it was, and with the adjustments what all words say.
    then = store.mealbook.registered(MONDAY, "lunch", Until(sheet.at_ms, sheet.record))
    assert sheet_of(then) == sheet.classes and sheet_digest(then) == sheet.digest
    asked = [one.classes for one in adjustments if one.why == "asked"]
    assert together(sheet_of(store.mealbook.registered(MONDAY, "lunch")), *asked) == now
    with pytest.raises(EntryRefused, match="only be adjusted"):
        store.mealoffice.lock("co-bep", MONDAY, LUNCH)
    # The rows are made anew from the records as they were.
    before = canteen.rows()
    store.daybook.anew()
    canteen.read()
    assert canteen.rows() == before


def test_a_hub_that_was_down_freezes_when_it_is_back_and_says_so(canteen: Canteen) -> None:
    enrol(canteen, MONDAY - timedelta(days=3))
    clock(canteen, "09:40")
    [one] = [one for one in look(canteen) if one["day"] == "2026-11-23"]
    assert (one["lock"], one["version"], one["due"][11:16], one["frozen"][11:16]) == ("final", 1, "08:00", "09:40")
    days = {one["day"] for one in look(canteen)}
    assert days == {"2026-11-20", "2026-11-23"}, "a Friday of before has a sheet, a Saturday has none"


def test_who_moves_class_after_the_lock_is_named_by_the_adjustment(canteen: Canteen) -> None:
    store = canteen.store
    enrol(canteen)
    clock(canteen, "08:10")
    look(canteen)
    with store.database.transaction():
        be = store.people.find("st-be")
        assert be is not None
        store.people.change(replace(be, school_class="1B"), MONDAY)
    one = look(canteen)[-1]
    assert (one["why"], one["classes"]) == (
        "follows",
        {"1A": {"registered": -1, "regular": -1}, "1B": {"registered": 1, "regular": 1}},
    )
    assert one["students"] == ["st-be"]


def test_a_lock_that_has_passed_is_not_planned_otherwise(canteen: Canteen) -> None:
    def planned(**more: Any) -> Any:
        return msgspec.structs.replace(FIRST_PLAN, meals=(msgspec.structs.replace(FIRST_PLAN.meals[0], **more),))

    desk = canteen.store.mealdesk
    enrol(canteen)
    canteen.read()
    clock(canteen, "06:59")
    desk.plan("it", MONDAY, planned(money="07:30"))
    clock(canteen, "07:31")
    for more in ({"money": "09:00"}, {"final": "09:00"}, {"half": "pm"}, {"weekdays": (1,)}, {"meal": "dinner"}):
        with pytest.raises(EntryRefused, match="a lock of 2026-11-23 has passed"):
            desk.plan("it", MONDAY, planned(**({"money": "07:30"} | more)))
    desk.plan("it", MONDAY + timedelta(days=1), planned(money="09:00"))
    later = msgspec.structs.replace(FIRST_PLAN.meals[0].shifts[1], closes="12:10")
    desk.plan("it", MONDAY, planned(money="07:30", shifts=(FIRST_PLAN.meals[0].shifts[0], later)))


def test_nobody_locks_a_sheet_by_a_clock_that_is_not_set(canteen: Canteen, monkeypatch: pytest.MonkeyPatch) -> None:
    enrol(canteen)
    clock(canteen, "06:30")
    monkeypatch.setattr(canteen.store.clock, "error_ms", lambda: None)
    with pytest.raises(EntryRefused, match="clock"):
        canteen.store.mealoffice.lock("co-bep", MONDAY, LUNCH)
    monkeypatch.undo()
    assert canteen.store.mealoffice.lock("co-bep", MONDAY, LUNCH)


def test_a_sheet_is_locked_by_hand_a_week_ahead_or_after_and_says_when(canteen: Canteen) -> None:
    store, week = canteen.store, timedelta(days=7)
    enrol(canteen, MONDAY - timedelta(days=3))
    clock(canteen, "09:00")
    for day, lock, why in (
        (MONDAY + week + timedelta(days=1), "final", "from 7 days before its day to 7 days after"),
        (MONDAY - week - timedelta(days=1), "final", "from 7 days before its day to 7 days after"),
        (MONDAY - timedelta(days=3), "provisional", "is past"),
    ):
        with pytest.raises(EntryRefused, match=why):
            store.mealoffice.lock("co-bep", day, LUNCH, lock)
    for day in (MONDAY - timedelta(days=3), MONDAY + week):
        store.mealoffice.lock("co-bep", day, LUNCH)
        view = meal_day(store, day, "lunch", store.clock.now_ms())
        [line] = [one for one in view.locks if one.lock == "final"]
        assert line.sheet is not None and line.sheet.frozen_ms == midnight_ms(MONDAY) + 9 * 3_600_000
        assert not line.on_its_day and view.whole.registered == 3
        with pytest.raises(EntryRefused, match="only be adjusted"):
            store.mealoffice.lock("co-bep", day, LUNCH)


def test_no_meal_today_takes_every_portion_and_gives_them_back(canteen: Canteen) -> None:
    store = canteen.store
    enrol(canteen)
    clock(canteen, "08:30")
    look(canteen)
    store.mealoffice.close("thay-minh", MONDAY, [LUNCH], "nhà cung cấp bị đình chỉ")
    look(canteen)
    assert store.kitchen.sheet(MONDAY, "lunch")[2] == {}
    assert store.mealbook.registered(MONDAY, "lunch") == []
    store.mealoffice.close("thay-minh", MONDAY, [], "đã có nhà cung cấp khác", closed=False)
    look(canteen)
    assert store.kitchen.sheet(MONDAY, "lunch")[2] == {"1A": Portions(2, 0, 2), "1B": Portions(1, 0, 1)}


def test_a_day_that_is_closed_before_the_lock_is_frozen_as_closed(canteen: Canteen) -> None:
    enrol(canteen)
    clock(canteen, "06:00")
    canteen.store.mealoffice.close("thay-minh", MONDAY, [], "mất nước")
    clock(canteen, "08:00")
    one = [one for one in look(canteen) if one["day"] == "2026-11-23"][-1]
    assert (one["closed"], one["classes"]) == (True, {})


@pytest.mark.parametrize(
    ("asked", "why"),
    [
        (lambda o: o.enrol("co", "st-nobody", MONDAY, None), "no pupil"),
        (lambda o: o.enrol("co", "st-an", MONDAY - timedelta(days=1), None), "reason"),
        (lambda o: o.enrol("co", "st-an", MONDAY, MONDAY - timedelta(days=1)), "ends before"),
        (lambda o: o.enrol("co", "st-an", MONDAY, None, (0, 0)), "weekdays"),
        (lambda o: o.enrol("co", "st-an", MONDAY, None, ()), "weekdays"),
        (lambda o: o.enrol("co", "st-an", MONDAY, None, meals=("brunch",)), "meals"),
        (lambda o: o.enrol("", "st-an", MONDAY, None), "by"),
        (lambda o: o.portion("co", "st-an", "cake", MONDAY, None), "portion"),
        (lambda o: o.cut("co", "st-an", MONDAY, MONDAY, how="pigeon"), "how"),
        (lambda o: o.cut("co", "st-an", MONDAY + timedelta(days=500), MONDAY + timedelta(days=500)), "too far"),
        (lambda o: o.withdraw_cut("co", "f" * 16 + ".1"), "no cut"),
        (lambda o: o.close("co", MONDAY, [], " "), "reason"),
        (lambda o: o.serve_class("co", "1A", MONDAY, LUNCH, ["st-chi"]), "not of class"),
        (lambda o: o.serve_class("co", "1A", MONDAY + timedelta(days=1), LUNCH, ["st-an"]), "future"),
        (
            lambda o: o.serve_class("co", "1A", MONDAY - timedelta(days=1), LUNCH, ["st-an"], None, " "),
            "why days that were",
        ),
        (lambda o: o.serve_class("co", "1A", MONDAY, "dinner", ["st-an"]), "plan has no"),
        (lambda o: o.serve_class("co", "1A", MONDAY, "dinner", ["st-an"], midnight_ms(MONDAY)), "plan has no dinner"),
        (lambda o: o.serve_class("co", "9Z", MONDAY, LUNCH, ["st-an"]), "class 9Z has no pupils on 2026-11-23"),
        (
            lambda o: o.serve_class("co", "1A", MONDAY, LUNCH, ["st-an"], midnight_ms(MONDAY) - 1),
            "a moment of 2026-11-23",
        ),
        (lambda o: o.settle("co", "f" * 16 + ".1", "undone"), "no record of a counter"),
        (lambda o: o.settle("co", "x", "eaten"), "why"),
        (lambda o: o.adjust("co", MONDAY, LUNCH, {"1A": Portions(regular=1)}, "khách"), "isn't frozen"),
        (lambda o: o.adjust("co", MONDAY, LUNCH, {}, "khách"), "nothing"),
        (lambda o: o.adjust("co", MONDAY, LUNCH, {"1A": Portions(regular=1)}, ""), "reason"),
        (lambda o: o.lock("co", MONDAY, "dinner"), "plan has no"),
    ],
)
def test_what_can_t_be_is_refused_in_words_and_nothing_is_written(canteen: Canteen, asked: Any, why: str) -> None:
    clock(canteen, "10:00")
    newest = canteen.store.days.newest()
    with pytest.raises(EntryRefused, match=why):
        asked(canteen.store.mealoffice)
    assert canteen.store.days.newest() == newest


def test_more_than_there_is_can_t_be_taken_nor_from_a_class_that_isn_t(canteen: Canteen) -> None:
    enrol(canteen)
    clock(canteen, "08:30")
    look(canteen)
    for classes, why in (({"1A": Portions(regular=-3)}, "more would"), ({"9Z": Portions(regular=1)}, "no class")):
        with pytest.raises(EntryRefused, match=why):
            canteen.store.mealoffice.adjust("co", MONDAY, LUNCH, classes, "thử")
    with pytest.raises(EntryRefused, match="at most"):
        canteen.store.mealoffice.adjust("co", MONDAY, LUNCH, {"1A": Portions(regular=500)}, "thử")


def test_a_plan_is_taken_from_a_day_on(canteen: Canteen) -> None:
    store = canteen.store
    clock(canteen, "10:00")
    with pytest.raises(EntryRefused, match="past"):
        store.mealdesk.plan("it", MONDAY - timedelta(days=1), FIRST_PLAN)
    lunch = FIRST_PLAN.meals[0]
    wrong = msgspec.structs.replace(FIRST_PLAN, meals=(msgspec.structs.replace(lunch, final="11:00"),))
    with pytest.raises(MealPlanRefused, match="after the meal has begun"):
        store.mealdesk.plan("it", MONDAY, wrong)
    snack = msgspec.structs.replace(lunch, meal="snack", half="pm")
    store.mealdesk.plan("it", MONDAY, msgspec.structs.replace(FIRST_PLAN, meals=(lunch, snack)))
    assert [one.meal for one in store.mealbook.said(MONDAY).plan.meals] == ["lunch", "snack"]
    assert [one.meal for one in store.mealbook.said(MONDAY - timedelta(days=1)).plan.meals] == ["lunch"]


def test_who_takes_a_shift_is_known_by_a_slow_hash_and_a_card_that_is_nobody_else_s(canteen: Canteen) -> None:
    from nacl.pwhash import verify

    desk = canteen.store.mealdesk
    desk.admit_staff("it", "co-hoa", "Cô Hoa", "408217", "a:04A1B2C3D4E5F0")
    [one] = canteen.store.counters.staff()
    assert one.pin is not None and verify(one.pin.encode(), b"408217")
    memory = int(one.pin.split("m=")[1].split(",")[0])
    assert memory <= 32 * 1024 and one.pin.startswith("$argon2id$")
    desk.admit_staff("it", "co-hoa", "Cô Hoa")
    with pytest.raises(EntryRefused, match="the PIN is another's"):
        desk.admit_staff("it", "co-ba", "Cô Ba", "408217")
    assert list(canteen.store.counters.staff()) == [one], "what isn't given stays"
    desk.admit_staff("it", "co-hoa", "Cô Hoa", "408217")
    for words, why in (
        (("co-lan", "Cô Lan", "12345"), "digits"),
        (("co-lan", "Cô Lan", "123456"), "easy"),
        (("co-lan", "Cô Lan", "111222"), "easy"),
        (("co-lan", "Cô Lan"), "must be given"),
        (("co-lan", "Cô Lan", None, "a:04A1B2C3D4E5F0"), "another's"),
        (("co-lan", "Cô Lan", None, "a:04A1B2C3D4E581"), "pupil's"),
        (("Cô Lan", "Cô Lan", "408217"), "id"),
    ):
        with pytest.raises(EntryRefused, match=why):
            desk.admit_staff("it", *words)
    desk.dismiss_staff("it", "co-hoa")
    with pytest.raises(EntryRefused, match="no shift"):
        desk.dismiss_staff("it", "co-hoa")


def test_a_staff_card_is_no_pupils_and_a_lost_card_no_staffs(canteen: Canteen) -> None:
    store, card, pupil = canteen.store, "a:04A1B2C3D4E5F0", "st-an"
    store.mealdesk.admit_staff("it", "co-hoa", "Cô Hoa", "408217", card)
    changes: tuple[ChangeKind, ...] = ("issued", "temporary")
    for change in changes:
        with pytest.raises(EntryRefused, match="counter staff"):
            store.office.card("it", change, card, pupil)
    store.mealdesk.dismiss_staff("it", "co-hoa")
    store.office.card("it", "issued", card, pupil)
    store.office.card("it", "lost", card, pupil)
    with pytest.raises(EntryRefused, match="reported lost"):
        store.mealdesk.admit_staff("it", "co-lan", "Cô Lan", None, card)
    with store.database.transaction():
        # As an older version let happen.
        store.counters.admit(CounterStaff("co-hoa", "Cô Hoa", None, card, 0))
    with pytest.raises(EntryRefused, match="counter staff"):
        store.office.card("it", "found", card, pupil)


def test_the_card_of_who_was_dismissed_is_a_successors_and_no_longer_theirs(canteen: Canteen) -> None:
    desk, card = canteen.store.mealdesk, "a:04A1B2C3D4E5F0"
    desk.admit_staff("it", "co-hoa", "Cô Hoa", "408217", card)
    desk.dismiss_staff("it", "co-hoa")
    with pytest.raises(EntryRefused, match="must be given"):
        desk.admit_staff("it", "co-hoa", "Cô Hoa")
    desk.admit_staff("it", "co-lan", "Cô Lan", None, card)
    with pytest.raises(EntryRefused, match="another's"):
        desk.admit_staff("it", "co-hoa", "Cô Hoa", None, card)
    desk.admit_staff("it", "co-hoa", "Cô Hoa", "591736")
    by_id = {one.id: one for one in canteen.store.counters.staff() if one.gone_ms is None}
    assert (by_id["co-hoa"].card, by_id["co-lan"].card) == (None, card)
    # Who comes back by a card alone has no PIN of before.
    desk.dismiss_staff("it", "co-hoa")
    desk.admit_staff("it", "co-hoa", "Cô Hoa", None, "a:04A1B2C3D4E5F1")
    [back] = [one for one in canteen.store.counters.staff() if one.id == "co-hoa"]
    assert (back.pin, back.card, back.gone_ms) == (None, "a:04A1B2C3D4E5F1", None)


def test_while_words_are_read_again_nothing_is_frozen(canteen: Canteen) -> None:
    enrol(canteen)
    clock(canteen, "08:00")
    canteen.store.daybook.anew()
    canteen.store.daybook.catch_up(canteen.store.days.newest() - 1)
    assert len(canteen.store.mealbook.registered(MONDAY, LUNCH)) == 2, "the last word isn't read yet"
    canteen.store.kitchen.work()
    assert canteen.store.days.meals.sheets.locks(MONDAY) == []
    assert [one["lock"] for one in look(canteen) if one["day"] == "2026-11-23"] == ["final"]


def test_a_month_is_stated_and_stated_again_with_what_changed(canteen: Canteen) -> None:
    store = canteen.store
    enrol(canteen, MONDAY - timedelta(days=3))
    clock(canteen, "07:30")
    store.mealoffice.cut("co-lan", "st-chi", MONDAY, MONDAY)
    clock(canteen, "10:00")
    store.mealoffice.cut("co-lan", "st-be", MONDAY, MONDAY)
    canteen.serve("a:04A1B2C3D4E581", "10:31", student="st-an", day=MONDAY)
    canteen.serve("a:04A1B2C3D4E581", "10:45", student="st-an", nth=2, day=MONDAY)
    canteen.deliver()
    months = store.mealmonths
    with pytest.raises(EntryRefused, match="isn't over"):
        months.state("ke-toan", "2026-11", LUNCH)
    clock(canteen, "09:00", date(2026, 12, 1))
    assert months.state("ke-toan", "2026-11", LUNCH) == 1 == months.state("ke-toan", "2026-11", LUNCH)
    newest = store.days.newest()
    for meal, month in (("dinner", "2026-11"), (LUNCH, "2026-10")):
        with pytest.raises(EntryRefused, match="nobody was registered or ate"):
            months.state("ke-toan", month, meal)
    assert store.days.newest() == newest
    words = {"month": "2026-11", "state": "True", "by": "ke-toan"}
    assert "version 1: 3 học sinh đăng ký / pupils registered, 1 có ăn" in meal_days_told(store, words)
    told = {one["student"]: one for one in months.told("2026-11")}
    an, be, chi = (told[key] for key in ("st-an", "st-be", "st-chi"))
    days = an["registered"]
    assert days == be["registered"] == chi["registered"] == 7, "from Friday 20 to Monday 30, on weekdays"
    assert (an["card"], an["seconds"], an["eaten"], an["chargeable"]) == (1, 1, 1, days)
    assert (be["late"], be["cut"], be["chargeable"], be["eaten"]) == (1, 0, days, 0), "a late cut is charged"
    assert (chi["late"], chi["cut"], chi["chargeable"]) == (0, 1, days - 1)
    assert all(one["stated"] and one["version"] == 1 for one in told.values())
    store.mealoffice.serve_class("co-lan", "1A", MONDAY, LUNCH, ["st-an", "st-be"], reason="giấy đến muộn")
    with pytest.raises(EntryRefused, match="reason"):
        months.state("ke-toan", "2026-11", LUNCH)
    assert months.state("ke-toan", "2026-11", LUNCH, "bổ sung danh sách lớp 1A") == 2
    canteen.read()
    row = store.days.meals.sheets.month("2026-11", "lunch")
    assert row is not None and row.pupils["st-be"].list == 1 and row.version == 2
    raws = store.database.connection.execute("SELECT raw FROM events ORDER BY position DESC LIMIT 1").fetchone()
    data = msgspec.json.decode(decode_event(bytes(raws[0])).data)
    assert data["differs"] == {"st-be": {"list": 1}} and data["reason"] == "bổ sung danh sách lớp 1A"
    with pytest.raises(EntryRefused, match="no month"):
        months.meals("2026-13", "lunch")


def test_a_meal_is_looked_at_with_its_conflicts_and_what_is_missing(canteen: Canteen) -> None:
    store = canteen.store
    enrol(canteen)
    clock(canteen, "07:30")
    canteen.tap("a:04A1B2C3D4E581", "06:50", student="st-an", day=MONDAY)
    canteen.deliver()
    assert [(one.clock, one.expected, one.arrived, one.portions) for one in store.forecasts.of(MONDAY, LUNCH)] == [
        ("07:00", 3, 1, 3),
        ("07:15", 3, 1, 3),
        ("07:30", 3, 1, 3),
    ]
    store.mealoffice.cut("co-lan", "st-chi", MONDAY, MONDAY)
    clock(canteen, "08:00")
    look(canteen)
    assert store.forecasts.of(MONDAY, LUNCH) == [], "nothing is forecast of what is frozen"
    canteen.serve("a:04A1B2C3D4E581", "10:31", student="st-an", day=MONDAY)
    canteen.serve("a:04A1B2C3D4E583", "10:32", student="st-chi", day=MONDAY)
    canteen.deliver()
    clock(canteen, "15:00")
    found = meal_events(store, MONDAY, LUNCH)
    there = at_school(store, found)
    sheet = shown_sheet(found, there.present)
    assert (sheet.registered, sheet.cut, sheet.served, sheet.unclaimed) == (3, 1, 2, 1)
    named = conflicts(found.meals, found.servings, there.present, there.absent, complete=not found.waits)
    assert [(one.kind, one.pupil) for one in named] == [("cut-but-ate", "st-chi")]
    assert found.waits == (canteen.gate.device,) and counter_lines(MONDAY, LUNCH, found.servings)[0].served == 2
    # The next day knows this one: of the days before none had a lunch.
    clock(canteen, "07:00", MONDAY + timedelta(days=1))
    learned = 0
    while store.forecasts.learn():
        learned += 1
        assert learned < 100
    assert learned == 28 and store.forecasts.of(MONDAY + timedelta(days=1), LUNCH)[0].days == 0
