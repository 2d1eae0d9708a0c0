"""Leave notices: an undo takes back its touch alone, and days that were change for a reason or not at all."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import httpx2 as httpx
import pytest

from protocol.taps import parse_tap_id
from tests.hub.web.dayhub import DAY, DayHub, day_hub, other_day
from tests.hub.web.leavehub import mark_on, notice_of, send, standing
from tests.hub.web.pagehub import CLASS

MINE = [f"st-3-2-{number}" for number in range(12)]
TOUCH, BACK, MARK = (f"/class/{what}?class={CLASS}" for what in ("leave", "leave/back", "mark"))
TODAY, YESTERDAY = {"day": DAY.isoformat(), "half": "am"}, {"day": other_day(-1).isoformat(), "half": "am"}


@pytest.fixture(scope="module")
def hub(tmp_path_factory: pytest.TempPathFactory) -> Iterator[DayHub]:
    with day_hub(tmp_path_factory.mktemp("leaves") / "hub") as made:
        yield made


@pytest.fixture(scope="module")
def teacher(hub: DayHub) -> httpx.Client:
    return hub.browser("teacher")


def reason_of(hub: DayHub, record: str) -> str:
    """What a record of a notice says of why."""
    name = parse_tap_id(record)
    book = None if name is None else hub.store.ledger.books.find(name.journal)
    assert name is not None and book is not None
    raw = hub.store.ledger.raw_at(book, name.sequence)
    assert raw is not None
    return next((why for why in ("bấm nhầm", "phụ huynh báo sau", "nhập bù từ giấy") if why in raw.decode()), "")


def test_a_touch_that_made_nothing_has_nothing_to_undo(hub: DayHub, teacher: httpx.Client) -> None:
    pupil = MINE[0]
    nurses = str(hub.store.office.leave("y.ta", pupil, (DAY, "am"), (other_day(4), "pm")))
    newest = hub.store.days.newest()
    told = send(teacher, TOUCH, act=pupil, **TODAY)
    assert told.status_code == 200 and told.json()["undo"] is None
    assert hub.store.days.newest() == newest
    assert [one.id for one in standing(hub, pupil, other_day(4))] == [nurses]


def test_an_undo_brings_back_the_word_that_its_touch_took_back(hub: DayHub, teacher: httpx.Client) -> None:
    pupil = MINE[1]
    send(teacher, MARK, act=f"{pupil} unexcused", **TODAY)
    undo = send(teacher, TOUCH, act=pupil, **TODAY).json()["undo"]
    assert mark_on(hub, pupil, DAY) == "excused"
    assert send(teacher, undo["path"], **undo["fields"]).status_code == 200
    assert mark_on(hub, pupil, DAY) == "unexcused" and not standing(hub, pupil, DAY)
    # Where a notice stood, the touch took back the word alone; so does its undo.
    hub.store.office.leave("y.ta", pupil, (DAY, "am"), (other_day(1), "pm"))
    undo = send(teacher, TOUCH, act=pupil, **TODAY).json()["undo"]
    assert mark_on(hub, pupil, DAY) == "excused"
    assert send(teacher, undo["path"], **undo["fields"]).status_code == 200
    assert mark_on(hub, pupil, DAY) == "unexcused" and len(standing(hub, pupil, DAY)) == 1


def test_a_notice_that_began_before_is_taken_back_from_today_on(hub: DayHub, teacher: httpx.Client) -> None:
    pupil = MINE[2]
    record = str(
        hub.store.office.leave("y.ta", pupil, (other_day(-1), "am"), (other_day(1), "pm"), "phụ huynh báo sau")
    )
    assert send(teacher, BACK, act=record, **TODAY).status_code == 200
    assert mark_on(hub, pupil, other_day(-1)) == "excused"
    assert not standing(hub, pupil, DAY) and not standing(hub, pupil, other_day(1))
    [stays] = standing(hub, pupil, other_day(-1))
    assert (stays.first, stays.last) == ((other_day(-1), "am"), (other_day(-1), "pm"))
    newest = hub.store.days.newest()
    assert send(teacher, BACK, act=record, **TODAY).status_code == 200
    assert hub.store.days.newest() == newest, "once is enough"
    assert send(teacher, BACK, act=stays.id, **YESTERDAY).status_code == 409
    assert mark_on(hub, pupil, other_day(-1)) == "excused"
    assert send(teacher, BACK, act=stays.id, reason="slip", **YESTERDAY).status_code == 200
    assert mark_on(hub, pupil, other_day(-1)) != "excused"
    taken_back = hub.store.days.withdrawal(stays.id)
    assert taken_back is not None and reason_of(hub, taken_back) == "bấm nhầm"


def test_a_past_day_on_a_page_needs_a_reason_for_leave_too(hub: DayHub, teacher: httpx.Client) -> None:
    pupil = MINE[3]
    newest = hub.store.days.newest()
    assert send(teacher, TOUCH, act=pupil, **YESTERDAY).status_code == 409
    assert send(teacher, TOUCH, act=pupil, reason="migraine", **YESTERDAY).status_code == 409
    assert hub.store.days.newest() == newest
    told = send(teacher, TOUCH, act=pupil, reason="paper", **YESTERDAY)
    assert told.status_code == 200 and mark_on(hub, pupil, other_day(-1)) == "excused"
    assert reason_of(hub, standing(hub, pupil, other_day(-1))[0].id) == "nhập bù từ giấy"
    undo = told.json()["undo"]
    assert send(teacher, undo["path"], **undo["fields"]).status_code == 200
    assert not standing(hub, pupil, other_day(-1))


def test_a_past_day_by_the_api_needs_a_reason_too(hub: DayHub, teacher: httpx.Client) -> None:
    pupil, before = MINE[4], other_day(-1)
    for reason, status in (("", 409), ("flu", 422), ("parents", 200)):
        answer = teacher.post("/v1/leave", json=notice_of(pupil, before, other_day(1), reason=reason))
        assert answer.status_code == status, reason
    record = answer.json()["record"]
    assert reason_of(hub, record) == "phụ huynh báo sau"
    assert teacher.delete(f"/v1/leave/{record}").status_code == 409
    assert teacher.delete(f"/v1/leave/{record}?from={other_day(2)}").status_code == 422, "it has ended by then"
    kept = teacher.delete(f"/v1/leave/{record}?from={DAY}")
    assert kept.status_code == 200 and standing(hub, pupil, before)[0].id == kept.json()["stays"]
    assert not standing(hub, pupil, DAY)
    gone = teacher.delete(f"/v1/leave/{kept.json()['stays']}?reason=slip")
    assert gone.status_code == 200 and gone.json()["stays"] is None and not standing(hub, pupil, before)


def test_taken_back_twice_is_one_record(hub: DayHub, teacher: httpx.Client) -> None:
    record = teacher.post("/v1/leave", json=notice_of(MINE[5], DAY, DAY)).json()["record"]
    first = teacher.delete(f"/v1/leave/{record}").json()
    newest = hub.store.days.newest()
    assert teacher.delete(f"/v1/leave/{record}").json() == first
    assert hub.store.office.withdraw_leave("-", record).record == first["record"]
    assert hub.store.days.newest() == newest


def test_who_has_left_gets_no_notice(hub: DayHub) -> None:
    pupil, principal = MINE[6], hub.browser("principal")
    with hub.store.database.transaction():
        person = hub.store.people.find(pupil)
        assert person is not None
        hub.store.people.change(replace(person, state="left"), other_day(-1))
    newest = hub.store.days.newest()
    assert principal.post("/v1/leave", json=notice_of(pupil, DAY, other_day(1))).status_code == 422
    assert hub.store.days.newest() == newest
    past = notice_of(pupil, other_day(-1), other_day(-1), reason="parents")
    assert principal.post("/v1/leave", json=past).status_code == 200, "of a day on which they were here"
