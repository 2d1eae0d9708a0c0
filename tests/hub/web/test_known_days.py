"""Days that no school has, at every route that takes one: refused with words, never a fault of ours."""

from __future__ import annotations

import json
import types
from collections.abc import Iterator
from datetime import date, datetime
from typing import Any, Union, get_args, get_origin

import httpx2 as httpx
import pytest
from fastapi import FastAPI
from fastapi.routing import APIRoute

from hub.attendance.knowndays import FIRST_DAY, LAST_DAY
from hub.attendance.schoolday import VIETNAM
from hub.web.site import make_app
from tests.hub.web.officeroom import OfficeRoom, office_room, sent

STRANGE = (
    "0001-01-01",
    "1900-01-01",
    "1970-01-01",
    "2000-01-01",
    "2019-12-31",
    "2100-01-01",
    "2286-11-20",
    "9999-12-31",
)
EDGES = (FIRST_DAY.isoformat(), LAST_DAY.isoformat())


def _is_day(annotation: Any) -> bool:
    if get_origin(annotation) in (Union, types.UnionType):
        return any(_is_day(one) for one in get_args(annotation))
    return isinstance(annotation, type) and issubclass(annotation, date)


def asked_by_day() -> list[tuple[str, str]]:
    """Path and parameter of each route that is asked with a day."""
    nothing: object = None
    app: FastAPI = make_app(nothing, nothing)  # type: ignore[arg-type]
    return sorted(
        (route.path, field.alias)
        for route in app.routes
        if isinstance(route, APIRoute) and "GET" in route.methods
        for field in route.dependant.query_params
        if _is_day(field.field_info.annotation)
    )


ASKED = asked_by_day()


@pytest.fixture(scope="module")
def office(tmp_path_factory: pytest.TempPathFactory) -> Iterator[OfficeRoom]:
    with office_room(tmp_path_factory.mktemp("days")) as made:
        yield made


@pytest.fixture(scope="module")
def browser(office: OfficeRoom) -> httpx.Client:
    return office.browser("principal")


def test_the_routes_that_take_a_day_are_known() -> None:
    assert {"/v1/marks", "/v1/watermark", "/v1/rollcall", "/v1/leave", "/class", "/paper", "/reports/term"} <= {
        path for path, _ in ASKED
    }


@pytest.mark.parametrize(("path", "name"), ASKED)
def test_a_strange_day_is_refused_and_the_outermost_known_days_are_answered(
    browser: httpx.Client, path: str, name: str
) -> None:
    path = path.replace("{key}", "st-an")
    for day in STRANGE:
        found = browser.get(path, params={name: day, "class": "3/2"})
        assert found.status_code == 422, (day, found.status_code, found.text)
        if path.startswith("/v1"):
            assert name in found.json()["detail"] and "20" in found.json()["detail"]
    for day in EDGES:
        assert browser.get(path, params={name: day, "class": "3/2"}).status_code in (200, 422), day


@pytest.mark.parametrize("month", ["0000-01", "0001-01", "1900-01", "2019-12", "2100-01", "9999-12"])
def test_a_strange_month_is_refused(browser: httpx.Client, month: str) -> None:
    for path in ("/v1/reports/month", "/reports/month", "/reports/month/file"):
        assert browser.get(path, params={"month": month, "class": "3/2"}).status_code == 422


def test_programs_of_this_machine_are_refused_too(office: OfficeRoom) -> None:
    for day in STRANGE:
        assert httpx.get(f"{office.url}/v1/watermark", params={"day": day}, timeout=20).status_code == 422
    for day in EDGES:
        assert httpx.get(f"{office.url}/v1/watermark", params={"day": day}, timeout=20).status_code == 200


@pytest.mark.parametrize("day", STRANGE)
def test_nothing_is_entered_for_a_strange_day(office: OfficeRoom, day: str) -> None:
    token = office.store.carry_out("token-add", {"role": "principal", "name": f"bot-{day}"}).text.split()[-1]
    headers = {"authorization": f"Bearer {token}"}
    half, moment = {"day": day, "half": "am"}, f"{day}T23:59:59.000-11:00"
    for path, body in (
        ("/v1/rollcall", {"class": "3/2", **half, "states": {"st-an": "present"}}),
        ("/v1/leave", {"student": "st-an", "first": half, "last": half}),
        ("/v1/admissions", {"student": "st-an", "seen": moment}),
        ("/v1/admissions", {"student": "st-an", "seen": f"{day}T00:00:00.000+14:00"}),
        ("/v1/watermark", {"device": "cong", "through": moment, "reason": "hỏng"}),
    ):
        found = httpx.post(office.url + path, json=body, headers=headers, timeout=20)
        # The last moment of 2019 so far west is a day at the school that is known, and past.
        past = found.status_code == 409 and day == "2019-12-31" and "2020-01-01 is past" in found.text
        assert past or found.status_code in (403, 422), (path, found.status_code, found.text)
    for at in (moment, f"{day}T00:00:00.000+14:00"):
        found = httpx.get(f"{office.url}/v1/marks", params={"at": at}, headers=headers, timeout=20)
        assert found.status_code in (400, 422) or (day == "2019-12-31" and found.status_code == 200), found.text


@pytest.mark.parametrize("day", STRANGE)
def test_the_calendar_takes_no_strange_day(office: OfficeRoom, browser: httpx.Client, day: str) -> None:
    holiday = {"act": "holiday", "first": day, "why": "x"}
    make_up = {"act": "make-up", "first": day, "weekday": "monday", "why": "x"}
    shift = {"act": "shift", "shift_min": "15", "first_day": day}
    entry = json.dumps({"first": day, "last": day, "why": "x"})
    no_holiday = {"act": "no-holiday", "entry": entry}
    # The last known school year ends in 2100, so its document may name days of it.
    for fields in (holiday, make_up, shift, *([no_holiday] if day != "2100-01-01" else [])):
        assert sent(browser, "/calendar/change", **fields).status_code == 400
        answer = sent(browser, "/calendar/change", fields=json.dumps(fields))
        assert answer.status_code == 400 and day in answer.text
    document = browser.get("/calendar/document").json() | {"first": day, "last": day}
    answer = sent(browser, "/calendar/change", fields=json.dumps({"act": "document", "document": json.dumps(document)}))
    assert answer.status_code == 400, answer.text
    assert office.store.timetables.versions() == {}


@pytest.mark.parametrize("today", [date(1970, 1, 1), date(2107, 5, 1)])
def test_a_hub_whose_clock_is_wrong_still_shows_its_pages(office: OfficeRoom, today: date) -> None:
    kept_ms = office.clock.ahead_ms
    at_ms = int(datetime(today.year, today.month, today.day, 9, tzinfo=VIETNAM).timestamp() * 1000)
    office.clock.ahead_ms += at_ms - office.store.clock.now_ms()
    try:
        assert httpx.get(f"{office.url}/v1/watermark", timeout=20).status_code == 200
    finally:
        office.clock.ahead_ms = kept_ms
