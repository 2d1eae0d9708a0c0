"""The API of attendance, asked over a real socket by programs with tokens: what is said counts in its class alone."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date, timedelta
from typing import Any

import httpx2 as httpx
import pytest

from hub.days.classbook import today_at
from hub.roster import RosterRow
from hub.store.userrows import UserRefused
from tests.hub.web.pagehub import CLASS, OTHER_CLASS, PageHub, page_hub

ROSTER = (
    RosterRow("st-an", "Nguyễn Văn An", CLASS, "a:04A1B2C3D4E581"),
    RosterRow("st-be", "Lê Thị Bé", CLASS, "a:04A1B2C3D4E582"),
    RosterRow("st-chi", "Trần Chi", OTHER_CLASS, "a:04A1B2C3D4E583"),
)


@pytest.fixture(scope="module")
def hub(tmp_path_factory: pytest.TempPathFactory) -> Iterator[PageHub]:
    with page_hub(tmp_path_factory.mktemp("api") / "hub") as made:
        made.store.office.take_roster("-", ROSTER)
        yield made


@pytest.fixture(scope="module")
def ask(hub: PageHub) -> Any:
    """A program of a role: (role, method, path, body) -> answer."""
    tokens: dict[str, str] = {}

    def asked(role: str, method: str, path: str, body: Any = None) -> httpx.Response:
        if role not in tokens:
            more = {"class": CLASS} if role == "teacher" else {}
            tokens[role] = hub.ask("token-add", role=role, name=f"{role}.bot", **more).split()[-1]
        headers = {"authorization": f"Bearer {tokens[role]}", "accept": "application/json"}
        return httpx.request(method, hub.url + path, json=body, headers=headers, timeout=20)

    return asked


@pytest.fixture
def day(hub: PageHub) -> date:
    return today_at(hub.store.clock.now_ms())


def call(day: date, states: dict[str, str], school_class: str = CLASS, **more: Any) -> dict[str, Any]:
    return {"class": school_class, "day": day.isoformat(), "half": "am", "states": states, **more}


def mark_of(answer: httpx.Response, student: str, half: str = "am") -> dict[str, Any] | None:
    items = answer.json()["items"]
    return next((item for item in items if (item["student"], item["half"]) == (student, half)), None)


def test_what_a_teacher_says_is_a_record_whose_trail_can_be_asked(ask: Any, day: date) -> None:
    said = ask("teacher", "POST", "/v1/rollcall", call(day, {"st-an": "unexcused"}, reason="đã gọi", confirms=True))
    assert said.status_code == 200, said.text
    record = said.json()["record"]
    found = ask("teacher", "GET", f"/v1/rollcall?day={day}").json()
    assert [item["record"] for item in found["items"] if item["student"] == "st-an"][-1] == record
    assert found["confirmed"][-1]["by"] == "token teacher.bot"
    trail = ask("principal", "GET", f"/v1/records/{record}/trail").json()
    assert (trail["type"], trail["city"]["state"]) == ("attendance.rollcall", "none")
    assert trail == ask("teacher", "GET", f"/v1/records/{record}/trail").json() and trail["class"] == CLASS
    other = ask("principal", "POST", "/v1/rollcall", call(day, {"st-chi": "unexcused"}, OTHER_CLASS)).json()["record"]
    assert ask("teacher", "GET", f"/v1/records/{other}/trail").status_code == 403


def test_a_leave_notice_after_a_signature_is_a_change(ask: Any, day: date) -> None:
    def signed(half: str) -> list[bool]:
        found = ask("principal", "GET", f"/v1/rollcall?day={day}&class={CLASS}").json()["confirmed"]
        return [one["changed"] for one in found if one["half"] == half]

    for half in ("am", "pm"):
        ask("teacher", "POST", "/v1/rollcall", {**call(day, {}, confirms=True), "half": half})
    assert not signed("am")[-1] and not signed("pm")[-1]
    span = {"day": day.isoformat(), "half": "pm"}
    record = ask("principal", "POST", "/v1/leave", {"student": "st-be", "first": span, "last": span}).json()["record"]
    assert not signed("am")[-1] and signed("pm")[-1], "of the afternoon alone"
    ask("teacher", "POST", "/v1/rollcall", {**call(day, {}, confirms=True), "half": "pm"})
    assert not signed("pm")[-1]
    ask("teacher", "DELETE", f"/v1/leave/{record}")
    assert signed("pm")[-1], "a notice that is withdrawn changes the list, too"


def test_leave_is_entered_counted_and_withdrawn(ask: Any, day: date) -> None:
    span = {"day": day.isoformat(), "half": "am"}
    said = ask("teacher", "POST", "/v1/leave", {"student": "st-be", "first": span, "last": {**span, "half": "pm"}})
    record = said.json()["record"]
    nobody = ask("teacher", "POST", "/v1/leave", {"student": "st-nobody", "first": span, "last": span})
    assert nobody.status_code == 404
    assert record in [item["record"] for item in ask("teacher", "GET", "/v1/leave").json()["items"]]
    gone = ask("teacher", "DELETE", f"/v1/leave/{record}")
    assert gone.status_code == 200, gone.text
    items = ask("teacher", "GET", "/v1/leave").json()["items"]
    assert next(item for item in items if item["record"] == record)["withdrawn"] is not None
    trail = ask("teacher", "GET", f"/v1/records/{record}/trail").json()
    withdrawn = [(one["record"], one["student"], one["why"]) for one in trail["corrections"]]
    assert trail["student"] == "st-be" and withdrawn == [(gone.json()["record"], "st-be", "withdrawn")]


def test_who_was_let_in_by_hand_is_on_site(ask: Any) -> None:
    assert ask("guard", "POST", "/v1/admissions", {"student": "st-chi"}).status_code == 200
    found = {item["student"]: item["where"] for item in ask("guard", "GET", "/v1/onsite").json()["items"]}
    assert found["st-chi"] in ("in", "maybe-home") and found["st-an"] in ("not-seen", "away")


@pytest.mark.parametrize(
    ("method", "path", "body"),
    [
        ("GET", f"/v1/marks?class={OTHER_CLASS}", None),
        ("GET", f"/v1/rollcall?class={OTHER_CLASS}", None),
        ("GET", f"/v1/leave?class={OTHER_CLASS}", None),
        ("GET", f"/v1/onsite?class={OTHER_CLASS}", None),
        ("POST", "/v1/rollcall", {"class": OTHER_CLASS, "half": "am", "states": {"st-chi": "excused"}}),
        ("POST", "/v1/leave", {"student": "st-chi"}),
        ("POST", "/v1/admissions", {"student": "st-an"}),
    ],
)
def test_a_teacher_gets_nothing_of_the_class_next_door(
    hub: PageHub, ask: Any, day: date, method: str, path: str, body: dict[str, Any] | None
) -> None:
    if body is not None and "states" in body:
        body = {**body, "day": day.isoformat()}
    if body is not None and path == "/v1/leave":
        body = {**body, "first": {"day": day.isoformat(), "half": "am"}, "last": {"day": day.isoformat(), "half": "am"}}
    newest = hub.store.days.newest()
    answer = ask("teacher", method, path, body)
    assert answer.status_code == 403
    assert "Chi" not in answer.text
    assert hub.store.days.newest() == newest
    assert hub.audit()[0].outcome == "refused"


def test_own_class_is_what_a_teacher_sees_without_naming_one(ask: Any) -> None:
    for path in ("/v1/marks", "/v1/onsite"):
        students = {item["student"] for item in ask("teacher", "GET", path).json()["items"]}
        assert students <= {"st-an", "st-be"}, path


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"class": CLASS, "day": "2026-13-01", "half": "am", "states": {}},
        {"class": CLASS, "day": "1900-01-01", "half": "am", "states": {"st-an": "excused"}},
        {"class": CLASS, "day": "9999-12-31", "half": "am", "states": {"st-an": "excused"}},
        {"class": CLASS, "day": "2026-11-23", "half": "noon", "states": {"st-an": "excused"}},
        {"class": CLASS, "day": "2026-11-23", "half": "am", "states": {"st-chi": "excused"}},
        {"class": CLASS, "day": "2026-11-23", "half": "am", "states": {}},
        {"class": CLASS, "day": "2026-11-23", "half": "am", "states": {"st-an": "excused"}, "extra": 1},
    ],
)
def test_what_is_wrong_in_a_roll_call_is_refused_and_nothing_is_stored(hub: PageHub, ask: Any, body: Any) -> None:
    newest = hub.store.days.newest()
    answer = ask("principal", "POST", "/v1/rollcall", {"reason": "sổ giấy", **body})
    assert answer.status_code == 422, answer.text
    assert hub.store.days.newest() == newest


def test_a_roll_call_of_a_past_day_says_why(hub: PageHub, ask: Any, day: date) -> None:
    said = call(day - timedelta(days=1), {"st-an": "excused"})
    newest = hub.store.days.newest()
    for reason in ("", "  "):
        assert ask("teacher", "POST", "/v1/rollcall", {**said, "reason": reason}).status_code == 409
    assert hub.store.days.newest() == newest
    assert ask("teacher", "POST", "/v1/rollcall", {**said, "reason": "sổ giấy"}).status_code == 200
    signed = {**said, "states": {}, "confirms": True}
    assert ask("teacher", "POST", "/v1/rollcall", signed).status_code == 200, "a signature changes nobody's mark"


def test_whoever_sees_no_names_still_sees_how_complete_a_day_is(ask: Any) -> None:
    assert ask("kitchen", "GET", "/v1/marks").status_code == 403
    answer = ask("auditor", "GET", "/v1/watermark?day=2026-11-23")
    assert [item["half"] for item in answer.json()["items"]] == ["am", "pm"]
    assert all(item["waiting"] == ["*"] and not item["complete"] for item in answer.json()["items"])


def test_a_record_that_isn_t_there_has_no_trail(ask: Any) -> None:
    for name in ("0123456789abcdef.7", "nonsense", "0123456789abcdef.0"):
        assert ask("principal", "GET", f"/v1/records/{name}/trail").status_code == 404


def test_a_principal_waives_a_device_and_a_teacher_may_not(hub: PageHub, ask: Any) -> None:
    said = {"device": "cong-1", "through": "2026-11-23T08:00:00.000+07:00", "reason": "mất điện"}
    assert ask("teacher", "POST", "/v1/watermark", said).status_code == 403
    refused = ask("principal", "POST", "/v1/watermark", said)
    assert refused.status_code == 422 and "cong-1" in refused.text, "no gateway of this name was ever seen"
    for wrong in ({**said, "through": "yesterday"}, {**said, "reason": ""}, {"device": "cong-1"}):
        assert ask("principal", "POST", "/v1/watermark", wrong).status_code in (400, 422)


def test_a_programs_word_is_never_taken_for_a_persons(hub: PageHub, ask: Any, day: date) -> None:
    hub.ask("user-add", name="prin", role="principal", shown="Trần Thị Hiệu")
    for name in ("prin", " PRIN ", "trần thị  hiệu"):
        with pytest.raises(UserRefused) as refused:
            hub.ask("token-add", role="teacher", name=name, **{"class": CLASS})
        assert refused.value.reason == "named", name
    hub.ask("token-add", role="auditor", name="prin.two")
    for words in ({"name": "prin.two"}, {"name": "somebody", "shown": "Prin.Two"}):
        with pytest.raises(UserRefused) as refused:
            hub.ask("user-add", role="guard", **words)
        assert refused.value.reason == "named", words
    said = ask("teacher", "POST", "/v1/rollcall", call(day, {"st-an": "late"}))
    item = ask("teacher", "GET", "/v1/rollcall").json()["items"][-1]
    assert (item["record"], item["by"]) == (said.json()["record"], "token teacher.bot")
    report = ask("principal", "GET", "/v1/reports/day")
    assert "token principal.bot" in report.text
