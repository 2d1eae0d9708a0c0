"""The page of who ate: who may see and make, files that hold it, exercises, sending by a second press, the audit."""

from __future__ import annotations

import csv
import io
import zipfile
from collections.abc import Iterator
from datetime import timedelta

import httpx2 as httpx
import pytest

from hub.access.rights import Role
from hub.store.mealplanrows import Dish
from protocol.cards import parse_card
from protocol.envelope import decode_data, decode_event
from protocol.meals import MealTap
from protocol.records import IncidentPack
from protocol.taps import ClockData, TapData
from tests.hub.handmade import T0_MS
from tests.hub.web.dayhub import DAY, HOSTILE, DayHub, RosterRow, day_hub, ms_at, pupils_of
from tests.hub.web.pagehub import CLASS, csrf_in

ROSTER = (*pupils_of(CLASS, 6), *(RosterRow(f"st-h-{n}", name, CLASS, None) for n, name in enumerate(HOSTILE)))
LUNCH = f"kind=meal&meal=lunch&day={DAY.isoformat()}"
FIELDS = {"kind": "meal", "meal": "lunch", "day": DAY.isoformat()}


@pytest.fixture(scope="module")
def hub(tmp_path_factory: pytest.TempPathFactory) -> Iterator[DayHub]:
    with day_hub(tmp_path_factory.mktemp("incident"), roster=ROSTER) as made:
        key = made.store.secrets.card_keys()[-1]
        for number in range(4):
            pupil = f"st-3-2-{number}"
            keyed, said = key.keyed(parse_card(made.cards[pupil])), MealTap(DAY.isoformat(), "lunch")

            def data(at: ClockData, pupil: str = pupil, keyed: str = keyed, said: MealTap = said) -> TapData:
                return TapData("canteen", "quay-1", None, keyed, pupil, "accepted", None, "ok", "r", at, meal=said)

            made.run.add("meal.pickup", data, mono_ms=ms_at(f"10:3{number}") - T0_MS)
        made.deliver()
        made.now("12:00")
        with made.store.database.transaction():
            made.store.mealplans.cook([Dish(DAY, "lunch", "regular", "cá kho", (), "CA-77")])
        yield made


@pytest.fixture(scope="module")
def browsers(hub: DayHub) -> dict[Role, httpx.Client]:
    roles: tuple[Role, ...] = ("principal", "nurse", "teacher", "canteen")
    return {role: hub.browser(role) for role in roles}


def send(client: httpx.Client, path: str, **fields: str | list[str]) -> httpx.Response:
    return client.post(path, data={"csrf": csrf_in(client.get("/me")), **fields})


def records(hub: DayHub) -> list[IncidentPack]:
    events = [decode_event(raw) for raw in hub.store.ledger.own_records("incident.pack")]
    return [decode_data(event, IncidentPack) for event in events if event.name == "incident.pack"]


def test_the_principal_looks_makes_files_and_sends_a_version_by_a_second_press(
    hub: DayHub, browsers: dict[Role, httpx.Client]
) -> None:
    principal = browsers["principal"]
    page = principal.get(f"/incident?{LUNCH}")
    assert page.status_code == 200 and "4 học sinh đã ăn" in page.text
    assert HOSTILE[0] not in page.text and "&lt;script&gt;" in page.text
    refused = send(principal, "/incident/make", **FIELDS, ill=["st-3-2-0", "nobody"])
    assert refused.status_code == 409 and "“nobody” không phải là học sinh" in refused.text, (
        "an ill child is never left out"
    )
    made = send(principal, "/incident/make", **FIELDS, ill=["st-3-2-0"])
    assert made.headers["content-type"] == "application/zip" and "su-co-bua-trua" in made.headers["content-disposition"]
    archive = zipfile.ZipFile(io.BytesIO(made.content))
    (name,) = [name for name in archive.namelist() if name.endswith(".csv")]
    rows = list(csv.reader(io.StringIO(archive.read(name).decode("utf-8-sig"))))
    ate = [row for row in rows if row[0] == "Đã ăn" and row[7]]
    assert [(row[7], row[16]) for row in ate] == [("st-3-2-0", "ốm"), *((f"st-3-2-{n}", "") for n in (1, 2, 3))]
    page = principal.get("/incident")
    assert "Gửi ngay: chỉ khóa nội bộ" in page.text
    assert [said.what for said in records(hub)] == ["made"]
    answer = send(principal, "/incident/send", scope=f"meal lunch {DAY.isoformat()}", number="1")
    assert answer.headers["location"] == "/incident?said=recorded", "no city is configured"
    told = principal.get(answer.headers["location"]).text
    assert "chưa đi đâu cả" in told and "đã ghi, chờ thành phố" in told
    assert records(hub)[-1].lists == {"eaten": [f"st-3-2-{n}" for n in range(4)]}
    again = send(principal, "/incident/send", scope=f"meal lunch {DAY.isoformat()}", number="1")
    assert again.headers["location"] == "/incident?said=not-sent"


def test_an_exercise_by_lot_or_hours_is_recorded_and_can_not_be_sent(
    hub: DayHub, browsers: dict[Role, httpx.Client]
) -> None:
    principal = browsers["principal"]
    assert "CA-77" in principal.get("/incident").text
    made = send(principal, "/incident/make", kind="lot", lot="CA-77", drill="1")
    assert all(name.startswith("dien-tap-lo-ca-77") for name in zipfile.ZipFile(io.BytesIO(made.content)).namelist())
    assert records(hub)[-1].drill
    answer = send(principal, "/incident/send", scope="lot ca-77", number="1")
    assert answer.headers["location"] == "/incident?said=not-sent"
    assert "cá kho" not in principal.get("/incident?kind=hours").text  # Of no name is a dish.
    assert principal.get("/incident?kind=lot&lot=none").status_code == 200
    refused = send(principal, "/incident/make", kind="lot", lot="CA-99")
    assert refused.status_code == 409 and "không thực đơn nào có lô “CA-99”" in refused.text
    assert send(principal, "/incident/make", kind="tea").status_code == 409
    assert principal.get("/incident?kind=meal&meal=lunch&day=9999-01-01").status_code == 200


def test_a_nurse_looks_and_makes_nothing_others_are_turned_away_and_every_look_is_written(
    hub: DayHub, browsers: dict[Role, httpx.Client]
) -> None:
    nurse = browsers["nurse"]
    page = nurse.get(f"/incident?{LUNCH}")
    assert page.status_code == 200 and "/incident/make" not in page.text
    assert send(nurse, "/incident/make", **FIELDS).status_code == 403
    for role in ("teacher", "canteen"):
        assert browsers[role].get(f"/incident?{LUNCH}").status_code == 403
    assert send(browsers["principal"], "/incident/make", **FIELDS).status_code == 200
    hub.settle()
    looks = [(entry.who, entry.object, entry.outcome) for entry in hub.store.audit.page(None, 200, what="see incident")]
    assert ("nurse.user", f"meal lunch {DAY.isoformat()}", "allowed") in looks
    assert any(who == "teacher.user" and outcome == "refused" for who, _, outcome in looks)
    made = [entry.object for entry in hub.store.audit.page(None, 200, what="incident pack made")]
    assert any(one.startswith(f"meal lunch {DAY.isoformat()} ") for one in made)


def test_page_and_programs_are_told_that_no_counter_stood_then(hub: DayHub, browsers: dict[Role, httpx.Client]) -> None:
    long_ago = (DAY - timedelta(days=30)).isoformat()
    told = browsers["principal"].get("/v1/incidents/lists", params={"meal": "lunch", "day": long_ago}).json()
    assert told["complete"] is False and told["counts"]["eaten"] == 0 and told["origins"]
    assert all([one["code"] for one in origin["missing"]] == ["not-yet"] for origin in told["origins"]), told["origins"]
    page = browsers["principal"].get(f"/incident?kind=meal&meal=lunch&day={long_ago}").text
    assert "CHƯA ĐỦ DỮ LIỆU" in page and f"chưa có ở đó trước {told['origins'][0]['missing'][0]['about']}" in page


def test_programs_read_the_lists_make_a_version_and_send_it(hub: DayHub, browsers: dict[Role, httpx.Client]) -> None:
    principal = browsers["principal"]
    lists = principal.get("/v1/incidents/lists", params={"meal": "lunch", "day": DAY.isoformat()}).json()
    ate = [line for line in lists["lines"] if line["list"] == "eaten"]
    assert [line["student"] for line in ate] == [f"st-3-2-{n}" for n in range(4)]
    assert {line["error_ms"] for line in ate} == {15} and lists["counts"]["eaten"] == 4
    asked = {"meal": "lunch", "day": DAY.isoformat(), "forms": ["csv"], "ill": ["st-3-2-1"]}
    unknown = principal.post("/v1/incidents", json=asked | {"ill": ["st-3-2-1", "st-9999"]})
    assert unknown.status_code == 422 and "st-9999" in unknown.text
    made = principal.post("/v1/incidents", json=asked).json()
    assert [file["name"].rpartition(".")[2] for file in made["files"]] == ["csv"]
    sent = principal.post("/v1/incidents/send", json={"scope": made["scope"], "number": made["number"]})
    assert sent.json() == {"records": 1, "travels": False}
    assert principal.post("/v1/incidents/send", json={"scope": made["scope"], "number": 99}).status_code == 409
    ahead = principal.post("/v1/incidents", json={"meal": "lunch", "day": "2026-12-24"})
    assert ahead.status_code == 422 and ahead.json()["title"] == "2026-12-24 is no day that was"
    both = principal.post("/v1/incidents", json={"meal": "lunch", "lot": "x"})
    assert both.status_code == 422 and both.json()["title"] == "exactly one of meal, lot and hours must be given"
    assert principal.get("/v1/incidents/lists", params={"lot": "none"}).status_code == 422
    items = browsers["nurse"].get("/v1/incidents").json()["items"]
    assert {"scope": made["scope"], "number": made["number"]}.items() <= items[0].items() and items[0]["sent"]
    assert browsers["nurse"].post("/v1/incidents", json=asked).status_code == 403
    assert browsers["teacher"].get("/v1/incidents").status_code == 403
