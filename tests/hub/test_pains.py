"""Pains that schools know from elsewhere, each by its name, on a real hub: docs/reference/pains.md lists them all."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from hub.attendance.schoolday import Marked
from hub.days.office import HalfDayOf
from hub.web.api.attendanceapi import WaiverIn
from hub.web.ground import rules as routing
from tests.houserules.reading import hub_app
from tests.hub.web.dayhub import DAY, ROSTER, STRANGE, DayHub, RosterRow, day_hub, ms_at, other_day
from tests.hub.web.pagehub import CLASS

MINE = [row.pupil_key for row in ROSTER if row.school_class == CLASS]
QUEUE = [RosterRow(f"st-1A-{number}", f"Nguyễn Thị Bé {number}", "1A", None) for number in range(30)]
GUARD, TEACHER = "bac-bao", "co-lan"


@pytest.fixture
def hub(tmp_path_factory: pytest.TempPathFactory) -> Iterator[DayHub]:
    with day_hub(tmp_path_factory.mktemp("pains") / "hub", roster=(*ROSTER, *QUEUE)) as made:
        yield made


def marks(hub: DayHub, half: str = "am") -> dict[str, Marked]:
    hub.settle()
    found = hub.store.classbook.marks(DAY, None)
    return {one.judged.pupil: one for one in found if one.session.half == half}


def test_present_all_day_marked_absent(hub: DayHub) -> None:
    # One tapped in the morning, one forgot the card and was let in, one was seen by the teacher; nobody taps again.
    hub.tap(MINE[0], "06:50")
    hub.deliver()
    hub.store.office.admit(GUARD, MINE[1], ms_at("06:55"))
    hub.store.office.roll_call(TEACHER, HalfDayOf(CLASS, DAY, "am"), {MINE[2]: "present"})
    hub.now("16:30")
    # Nobody waits for the gate any more, so that whoever is not shown to be there is absent.
    hub.store.office.waive("hieu-truong", hub.gate.device, ms_at("16:30"), "cổng hỏng")
    for half in ("am", "pm"):
        found = marks(hub, half)
        assert [found[pupil].judged.mark for pupil in MINE[:4]] == ["present", "present", "present", "absent"], half
        assert all(found[pupil].judged.evidence for pupil in MINE[:3])


def test_forgot_to_tap_out_next_morning_becomes_an_exit(hub: DayHub) -> None:
    # One gate for both ways; she came in yesterday and never tapped out.
    hub.now("06:50", other_day(-1))
    office = hub.store.office
    office.admit(GUARD, MINE[0], ms_at("06:50", other_day(-1)))
    hub.now("07:10")
    hub.tap(MINE[0], "06:58", way=None)  # type: ignore[arg-type]
    hub.deliver()
    assert marks(hub)[MINE[0]].judged.mark == "present"
    [seen] = [one for one in hub.store.classbook.on_site(ms_at("07:10"), CLASS) if one.pupil.key == MINE[0]]
    assert seen.where == "in"


def test_duplicate_punches_toggle_in_and_out(hub: DayHub) -> None:
    for second in range(6):
        hub.tap(MINE[0], f"06:58:{second * 9:02}", way=None)  # type: ignore[arg-type]
        hub.deliver()
        [seen] = [one for one in hub.store.classbook.on_site(ms_at("07:10"), CLASS) if one.pupil.key == MINE[0]]
        assert (marks(hub)[MINE[0]].judged.mark, seen.where) == ("present", "in")


def test_late_counted_as_absent(hub: DayHub) -> None:
    hub.now("09:00")
    hub.tap(MINE[0], "08:40")
    hub.deliver()
    judged = marks(hub)[MINE[0]].judged
    assert judged.mark == "late" and judged.there


def test_correction_possible_only_next_day(hub: DayHub) -> None:
    half, office = HalfDayOf(CLASS, DAY, "am"), hub.store.office
    office.roll_call(TEACHER, half, {MINE[0]: "unexcused"})
    assert marks(hub)[MINE[0]].judged.mark == "unexcused"
    office.roll_call(TEACHER, half, {MINE[0]: "excused"}, reason="bố gọi điện")
    assert marks(hub)[MINE[0]].judged.mark == "excused", "at once"
    hub.now("10:00", other_day(30))
    office.roll_call(TEACHER, half, {MINE[0]: "present"}, reason="ở phòng y tế")
    assert marks(hub)[MINE[0]].judged.mark == "present", "and a month later"
    assert len([one for one in hub.store.days.statements(DAY, DAY) if one[0].pupil == MINE[0]]) == 3, (
        "all stay readable"
    )


def test_first_day_queue_with_forgotten_cards(hub: DayHub) -> None:
    # Nobody of the class has a card that anybody knows. Some tap what the school gave them, the others are let in.
    hub.tap("", "06:55", card=STRANGE)
    hub.deliver()
    for number, row in enumerate(QUEUE[1:]):
        hub.store.office.admit(GUARD, row.pupil_key, ms_at(f"07:0{number // 6}"))
    hub.store.office.card("van-phong", "issued", STRANGE, QUEUE[0].pupil_key)
    found = marks(hub)
    assert {found[row.pupil_key].judged.mark for row in QUEUE} == {"present"}, "a card bound later brings its taps home"
    assert all(found[row.pupil_key].judged.evidence for row in QUEUE), "each by a record of the guard, or the tap"


def test_offline_check_ins_dropped_as_duplicates(hub: DayHub) -> None:
    # Hours without a network: the same card twice within its window, and again later; all come at once, and once more.
    records = [hub.tap(MINE[0], clock) for clock in ("06:50:00", "06:50:01", "07:05:00")]
    hub.deliver()
    hub.sent = 0
    hub.deliver()
    assert marks(hub)[MINE[0]].judged.evidence == tuple(records)
    with hub.store.database.lock:
        held = hub.store.database.connection.execute("SELECT count(*) FROM taps").fetchone()[0]
    assert held == len(records), "each once, none dropped"


def test_last_sync_set_by_hand() -> None:
    # When and how far something was synced is told by what came; no page, form or route of the API takes it.
    asked = {rule.what for (method, _), rule in routing(hub_app()).items() if method != "GET"}
    assert [what for what in asked if "sync" in what or "pull" in what or "watermark" in what] == ["post watermark"]
    # Of a gate's completeness a person may only say that nobody waits for it, under a name and with a reason.
    assert set(WaiverIn.model_fields) == {"device", "through", "reason"}
    assert all(field.is_required() for field in WaiverIn.model_fields.values())
