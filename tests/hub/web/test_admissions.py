"""Letting in by hand: today and while a gate may be open; what was let in before is no guard's to change."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date

import httpx2 as httpx
import pytest

from protocol.envelope import rfc3339
from tests.hub.web.dayhub import DAY, DayHub, day_hub, ms_at, other_day
from tests.hub.web.leavehub import send
from tests.hub.web.pagehub import CLASS

MINE = [f"st-3-2-{number}" for number in range(12)]


@pytest.fixture(scope="module")
def hub(tmp_path_factory: pytest.TempPathFactory) -> Iterator[DayHub]:
    with day_hub(tmp_path_factory.mktemp("admissions") / "hub") as made:
        yield made


@pytest.fixture(scope="module")
def guard(hub: DayHub) -> httpx.Client:
    return hub.browser("guard")


def admission(pupil: str, clock: str, day: date = DAY, **more: str) -> dict[str, str]:
    return {"student": pupil, "seen": rfc3339(ms_at(clock, day)), **more}


@pytest.mark.parametrize(
    ("clock", "day", "status"),
    [
        ("06:50", DAY, 200),
        ("03:00", DAY, 422),
        ("00:00", DAY, 422),
        ("07:30", DAY, 422),
        ("06:50", other_day(-1), 403),
        ("06:50", other_day(-365), 403),
        ("06:50", date(1970, 1, 2), 422),
        ("06:50", date(1969, 1, 2), 422),
        ("06:50", date(9999, 12, 31), 422),
    ],
)
def test_a_guard_lets_in_today_once_a_gate_may_be_open(
    hub: DayHub, guard: httpx.Client, clock: str, day: date, status: int
) -> None:
    newest = hub.store.days.newest()
    answer = guard.post("/v1/admissions", json=admission(MINE[0], clock, day))
    assert answer.status_code == status, answer.text
    assert (hub.store.days.newest() > newest) == (status == 200)


def test_an_admission_of_an_earlier_day_is_a_correction_with_a_reason(hub: DayHub) -> None:
    principal, before = hub.browser("principal"), other_day(-1)
    assert principal.post("/v1/admissions", json=admission(MINE[1], "06:50", before)).status_code == 409
    assert (
        principal.post("/v1/admissions", json=admission(MINE[1], "03:00", before, reason="sổ giấy")).status_code == 422
    )
    answer = principal.post("/v1/admissions", json=admission(MINE[1], "06:50", before, reason="sổ giấy"))
    assert answer.status_code == 200
    said = next(one for one, _, _ in hub.store.days.statements(before, before) if one.id == answer.json()["record"])
    assert said.reason == "sổ giấy"
    assert "sổ giấy" in principal.get(f"/class/red?class={CLASS}&day={before}").text


def test_a_guard_takes_back_what_was_let_in_today_and_once(hub: DayHub, guard: httpx.Client) -> None:
    old = str(hub.store.office.admit("bac-bao", MINE[2], ms_at("06:50", other_day(-1))))
    newest = hub.store.days.newest()
    assert send(guard, "/guard/back", act=old).status_code == 409
    assert hub.store.days.newest() == newest
    mine = str(hub.store.office.admit("bac-bao", MINE[3]))
    newest = hub.store.days.newest()
    assert send(guard, "/guard/back", act=mine).status_code == 200
    assert send(guard, "/guard/back", act=mine).status_code == 200, "a second touch is as good as one"
    assert hub.store.days.newest() == newest + 1
