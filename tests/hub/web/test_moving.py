"""A class that is planned for a day to come: until then all rights about the pupil are those of the class of today."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import date
from pathlib import Path

import httpx2 as httpx
import pytest

from tests.hub.web.dayhub import DAY, DayHub, day_hub, other_day
from tests.hub.web.leavehub import send
from tests.hub.web.pagehub import CLASS, OTHER_CLASS

PUPIL = "st-3-2-1"
MOVES = other_day(4)
"""Monday, 30 November."""


@pytest.fixture
def hub(tmp_path: Path) -> Iterator[DayHub]:
    with day_hub(tmp_path / "hub") as made:
        move(made, MOVES)
        yield made


def move(hub: DayHub, day: date, key: str = PUPIL) -> None:
    """The pupil is of the class next door from a day on, as a list says."""
    with hub.store.database.transaction():
        found = hub.store.people.find(key)
        assert found is not None
        hub.store.people.change(replace(found, school_class=OTHER_CLASS), day)


def teachers(hub: DayHub) -> tuple[httpx.Client, httpx.Client]:
    """Of the class of today, and of the one to come."""
    return hub.browser("teacher", "co.ha"), hub.browser("teacher", "co.ba", **{"class": OTHER_CLASS})


def leave_of(first: date, last: date) -> dict[str, object]:
    ends = ({"day": first.isoformat(), "half": "am"}, {"day": last.isoformat(), "half": "pm"})
    return {"student": PUPIL, "first": ends[0], "last": ends[1]}


def test_a_planned_class_gives_and_takes_no_right_before_its_day(hub: DayHub) -> None:
    mine, next_door = teachers(hub)
    tap = hub.tap(PUPIL, "07:01")
    hub.deliver()
    card = hub.cards[PUPIL]
    asked = [
        lambda client: client.post("/v1/leave", json=leave_of(DAY, DAY)),
        lambda client: client.post("/v1/leave", json=leave_of(DAY, other_day(8))),
        lambda client: client.get(f"/v1/cards?student={PUPIL}"),
        lambda client: client.get(f"/cards/pupil?pupil={PUPIL}"),
        lambda client: client.get(f"/v1/records/{tap}/trail"),
        lambda client: client.delete(f"/v1/leave/{hub.store.office.leave('-', PUPIL, (DAY, 'am'), (DAY, 'pm'))}"),
        lambda client: client.post("/v1/cards", json={"change": "lost", "student": PUPIL, "card": card}),
    ]
    assert [ask(next_door).status_code for ask in asked] == [403] * len(asked)
    assert [ask(mine).status_code for ask in asked] == [200] * len(asked)


def test_from_its_day_on_the_next_class_has_the_rights_and_past_days_stay_with_the_former(hub: DayHub) -> None:
    tap = hub.tap(PUPIL, "07:01")
    hub.deliver()
    hub.now("07:10", MOVES)
    mine, next_door = teachers(hub)
    today, past = leave_of(MOVES, MOVES), leave_of(DAY, DAY)
    assert (mine.post("/v1/leave", json=today).status_code, next_door.post("/v1/leave", json=today).status_code) == (
        403,
        200,
    )
    assert next_door.post("/v1/leave", json=past).status_code == 403, "a past day is of the class that it was in"
    assert next_door.post("/v1/leave", json=leave_of(DAY, MOVES)).status_code == 403
    assert mine.get(f"/v1/records/{tap}/trail").status_code == 200
    assert next_door.get(f"/v1/records/{tap}/trail").status_code == 403
    assert mine.get(f"/v1/cards?student={PUPIL}").status_code == 403


def test_a_notice_is_taken_back_by_the_class_of_today_whatever_day_is_named(hub: DayHub) -> None:
    mine, next_door = teachers(hub)
    friday = other_day(1)
    record = str(hub.store.office.leave("-", PUPIL, (friday, "am"), (friday, "pm")))
    newest = hub.store.days.newest()
    for day in (friday, MOVES, DAY):
        fields = {"act": record, "day": day.isoformat()}
        assert send(next_door, f"/class/leave/back?class={OTHER_CLASS}", **fields).status_code == 403, day
    for day in (MOVES, DAY):
        fields = {"act": record, "day": day.isoformat()}
        answer = send(mine, f"/class/leave/back?class={CLASS}", **fields)
        assert answer.status_code == 409, "the notice doesn't speak of that day"
    assert hub.store.days.newest() == newest
    assert send(mine, f"/class/leave/back?class={CLASS}", act=record, day=friday.isoformat()).status_code == 200
    longer = str(hub.store.office.leave("-", PUPIL, (friday, "am"), (other_day(8), "pm")))
    fields = {"act": longer, "day": MOVES.isoformat()}
    assert send(next_door, f"/class/leave/back?class={OTHER_CLASS}", **fields).status_code == 403
    principal = hub.browser("principal")
    assert send(principal, f"/class/leave/back?class={OTHER_CLASS}", **fields).status_code == 200
    [stays] = [leave for leave, gone_ms in hub.store.days.leaves(friday, MOVES) if gone_ms is None]
    assert (stays.first, stays.last) == ((friday, "am"), (other_day(3), "pm"))


def test_the_roster_shows_the_class_of_today(hub: DayHub) -> None:
    def classes(path: str, name: str = "it.today") -> dict[str, str]:
        if hub.store.users.find(name) is None:
            offices[name] = hub.browser("it", name)
        return {one["student"]: one["class"] for one in offices[name].get(path).json()["students"]}

    offices: dict[str, httpx.Client] = {}

    assert classes("/v1/roster")[PUPIL] == CLASS
    assert PUPIL in classes(f"/v1/roster?class={CLASS}") and PUPIL not in classes(f"/v1/roster?class={OTHER_CLASS}")
    hub.now("07:10", MOVES)
    assert classes("/v1/roster", "it.then")[PUPIL] == OTHER_CLASS
    assert PUPIL in classes(f"/v1/roster?class={OTHER_CLASS}", "it.then")
