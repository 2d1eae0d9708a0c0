"""Meals for programs, through the real application: what each role is told, and that nothing is done twice."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from threading import Barrier, BrokenBarrierError
from typing import Any

import httpx2 as httpx
import pytest

from hub.web.api import mealapi
from tests.hub.web.dayhub import DAY
from tests.hub.web.mealhub import MealHub, meal_hub
from tests.hub.web.pagehub import CLASS, OTHER_CLASS
from tests.patience import within

TODAY = DAY.isoformat()


def program(hub: MealHub, role: str, **words: str) -> httpx.Client:
    secret = hub.ask("token-add", role=role, name=f"{role} {len(hub.audit())}", **words)
    return hub.client(authorization=f"Bearer {secret}", accept="application/json")


def told(answer: httpx.Response, status: int = 200) -> Any:
    assert answer.status_code == status, answer.text
    return answer.json()


def records(hub: MealHub) -> int:
    hub.settle()
    return int(hub.store.database.connection.execute("SELECT count(*) FROM events").fetchone()[0])


ENTRIES: dict[str, dict[str, Any]] = {
    "cuts": {"student": "st-3-2-0", "first": TODAY, "last": TODAY, "meals": ["lunch"], "how": "phone"},
    "enrolments": {"student": "st-3-2-1", "first": TODAY, "meals": []},
    "closures": {"day": "2026-11-27", "closed": True, "reason": "mất nước"},
    "locks": {"day": TODAY, "meal": "lunch"},
    "sheet": {"day": TODAY, "number": 1, "classes": {OTHER_CLASS: {"vegetarian": 2}}, "reason": "khách"},
    "lists": {"class": CLASS, "day": TODAY, "served": ["st-3-2-2"], "seen": "2026-11-26T07:00:00+07:00"},
}
"""What a principal's program entered once; each test stands on it, and on no other test. Path -> body."""


@dataclass(frozen=True)
class Entered:
    """A hub, whose program entered it, and of each path: its record, that of the same once more, what that added."""

    hub: MealHub
    principal: httpx.Client
    of: dict[str, tuple[str, str, int]]


@pytest.fixture(scope="module")
def entered(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Entered]:
    with meal_hub(tmp_path_factory.mktemp("api") / "hub") as made:
        made.now("07:05")
        principal, of = program(made, "principal"), {}
        for path, body in ENTRIES.items():
            first = told(principal.post(f"/v1/meals/{path}", json=body))["record"]
            count = records(made)
            again = told(principal.post(f"/v1/meals/{path}", json=body))["record"]
            of[path] = first, again, records(made) - count
        yield Entered(made, principal, of)


@pytest.fixture(scope="module")
def hub(entered: Entered) -> MealHub:
    return entered.hub


def test_a_retry_makes_no_further_record(entered: Entered) -> None:
    principal = entered.principal
    for path, (first, again, added) in entered.of.items():
        assert (again, added) == (first, 0), path
    # What stands of a meal is the word that speaks of it, not the newest of the day.
    snack = {"day": "2026-11-27", "meals": ["snack"], "reason": "không nấu"}
    stands = told(principal.post("/v1/meals/closures", json=snack | {"closed": True}))["record"]
    told(
        principal.post(
            "/v1/meals/closures", json={"day": "2026-11-27", "meals": ["lunch"], "closed": False, "reason": "có"}
        )
    )
    assert told(principal.post("/v1/meals/closures", json=snack))["record"] == stands
    # A list whose time was mistyped is said anew; without a time it is the one that stands.
    body = ENTRIES["lists"] | {"seen": "2026-11-26T06:55:00+07:00"}
    other = told(principal.post("/v1/meals/lists", json=body))["record"]
    assert other != entered.of["lists"][0]
    for again in (body, {name: value for name, value in body.items() if name != "seen"}):
        assert told(principal.post("/v1/meals/lists", json=again))["record"] == other
    late = told(principal.post("/v1/meals/sheet", json=ENTRIES["sheet"] | {"number": 1, "reason": "khác"}), 422)
    assert late["type"].endswith("entry-refused") and "read it again" in late["title"] + late.get("detail", "")


def test_a_retry_of_a_late_cut_is_told_that_it_is_charged_too(hub: MealHub) -> None:
    principal = program(hub, "principal")
    body = {"student": "st-3-3-2", "first": "2026-11-25", "last": "2026-11-25", "meals": [], "reason": "gọi hôm qua"}
    first = told(principal.post("/v1/meals/cuts", json=body))
    assert (first["late"], first["charged"]) == (["lunch"], ["lunch"])
    hub.settle()
    assert told(principal.post("/v1/meals/cuts", json=body)) == first


def test_who_enrols_late_is_told_what_is_charged(hub: MealHub) -> None:
    principal = program(hub, "principal")
    body = {"student": "st-3-3-3", "first": "2026-11-25", "meals": ["lunch"], "weekdays": [2], "reason": "quên ghi"}
    first = told(principal.post("/v1/meals/enrolments", json=body))
    assert (first["late"], first["over"]) == (["lunch"], []), "a day that was is corrected, with its reason"
    assert told(principal.post("/v1/meals/enrolments", json=body)) == first
    again = told(principal.post("/v1/meals/enrolments", json=body | {"weekdays": [0, 1, 2, 3, 4]}))
    assert again["record"] != first["record"]


def test_an_enrolment_for_a_meal_that_no_plan_has_is_refused_by_its_name(hub: MealHub) -> None:
    body = {"student": "st-3-3-3", "first": TODAY, "meals": ["breakfast"]}
    assert "the school's plan has no breakfast" in str(
        told(program(hub, "principal").post("/v1/meals/enrolments", json=body), 422)
    )


def test_a_list_of_a_day_that_was_says_why(hub: MealHub) -> None:
    principal = program(hub, "principal")
    body = {"class": CLASS, "day": "2026-11-25", "served": ["st-3-2-3"]}
    assert "why days that were" in str(told(principal.post("/v1/meals/lists", json=body), 422))
    record = told(principal.post("/v1/meals/lists", json=body | {"reason": "quầy mất điện"}))["record"]
    assert hub.store.mealoffice.reason_of_list(record) == "quầy mất điện"
    assert told(principal.post("/v1/meals/lists", json=body | {"reason": "quầy mất điện"}))["record"] == record


def test_a_retry_that_meets_its_first_try_makes_no_further_record_either(
    hub: MealHub, monkeypatch: pytest.MonkeyPatch
) -> None:
    clients = [program(hub, "principal") for _ in range(6)]
    sent: list[tuple[str, str, dict[str, Any]]] = [
        (
            "cuts",
            "standing_cut",
            {"student": "st-3-3-4", "first": TODAY, "last": TODAY, "meals": ["lunch"], "how": "phone"},
        ),
        ("enrolments", "standing_enrolment", {"student": "st-3-3-5", "first": TODAY, "meals": []}),
        ("closures", "standing_closure", {"day": "2026-11-30", "closed": True, "reason": "mất điện"}),
    ]
    with ThreadPoolExecutor(len(clients)) as pool:
        for path, asks, body in sent:
            before, asked = records(hub), getattr(mealapi, asks)
            both = Barrier(2)

            def met(*words: Any, asked: Any = asked, both: Barrier = both, **more: Any) -> Any:
                """Whoever has looked waits for another who has: there is none while the first may still write."""
                found = asked(*words, **more)
                with suppress(BrokenBarrierError):
                    both.wait(within(1))
                return found

            monkeypatch.setattr(mealapi, asks, met)
            answers = [pool.submit(client.post, f"/v1/meals/{path}", json=body) for client in clients]
            assert len({told(one.result())["record"] for one in answers}) == 1, path
            assert records(hub) == before + 1, path


def test_the_sheet_tells_kinds_to_who_cooks_and_totals_to_who_pays(hub: MealHub) -> None:
    sheet = told(program(hub, "kitchen").get("/v1/meals/sheet"))
    assert sheet["final"] and sheet["version"] == 1 and sheet["classes"][CLASS]["now"]["regular"] == 10
    assert sheet["classes"][OTHER_CLASS]["now"] | {"total": 8} == sheet["classes"][OTHER_CLASS]["now"]
    assert sheet["classes"][OTHER_CLASS]["frozen"]["total"] == 6 and sheet["adjustments"][0]["why"] == "asked"
    accountant = program(hub, "accountant")
    paid = told(accountant.get("/v1/meals/sheet"))
    assert set(paid["total"]) == {"registered", "cut", "total"} == set(paid["adjustments"][0]["classes"][OTHER_CLASS])
    locks = told(accountant.get("/v1/meals/locks"))["items"]
    assert [(one["lock"], one["version"]) for one in locks] == [("provisional", None), ("final", 1), ("money", None)]
    assert told(accountant.post("/v1/meals/locks", json={"day": TODAY}), 403)["type"].endswith("not-allowed")


def test_a_teachers_program_has_its_own_class(hub: MealHub) -> None:
    teacher = program(hub, "teacher", **{"class": CLASS})
    cuts = told(teacher.get("/v1/meals/cuts"))["items"]
    assert [(one["student"], one["how"], one["withdrawn"]) for one in cuts] == [("st-3-2-0", "phone", None)]
    for path in ("cuts", "enrolments", "servings"):
        told(teacher.get(f"/v1/meals/{path}", params={"class": OTHER_CLASS}), 403)
    other = {"student": "st-3-3-0", "first": TODAY, "last": TODAY}
    told(teacher.post("/v1/meals/cuts", json=other), 403)
    told(teacher.post("/v1/meals/cuts", json=other | {"student": "st-nobody"}), 403)
    told(program(hub, "principal").post("/v1/meals/cuts", json=other | {"student": "st-nobody"}), 404)
    done = told(teacher.delete(f"/v1/meals/cuts/{cuts[0]['record']}"))
    assert told(teacher.delete(f"/v1/meals/cuts/{cuts[0]['record']}")) == done
    mine = told(teacher.get("/v1/meals/enrolments"))["items"]
    assert {one["class"] for one in mine} == {CLASS} and len(mine) == 12
    assert next(one for one in mine if one["student"] == "st-3-2-1")["meals"] == []
    past = {"student": "st-3-2-3", "first": "2026-11-25", "last": "2026-11-25"}
    assert told(teacher.post("/v1/meals/cuts", json=past), 422)["type"].endswith("entry-refused"), "it says no why"


def test_servings_and_what_people_say_of_them(hub: MealHub) -> None:
    eaten = told(program(hub, "kitchen").get("/v1/meals/public"))["served"]
    hub.serve("st-3-2-4", "11:15")
    again = hub.serve("st-3-2-4", "11:20", point="quay-2", alone=True)
    hub.serve("st-3-3-1", "11:16")
    hub.deliver()
    hub.now("11:30")
    canteen = program(hub, "canteen")
    found = told(canteen.get("/v1/meals/servings"))
    assert not found["complete"] and found["waits"] == [hub.gate.device]
    doubt = next(one for one in found["items"] if one["record"] == again)
    assert (doubt["flags"], doubt["confirmed"], doubt["nth"]) == (["apart"], False, 2)
    word = {"tap": again, "why": "second"}
    first = told(canteen.post("/v1/meals/servings", json=word))
    hub.settle()
    assert told(canteen.post("/v1/meals/servings", json=word)) == first
    assert all(one["confirmed"] for one in told(canteen.get("/v1/meals/servings"))["items"])
    mine = told(program(hub, "teacher", **{"class": OTHER_CLASS}).get("/v1/meals/servings"))["items"]
    assert [one["student"] for one in mine] == ["st-3-3-1"]
    shut = {"day": TODAY, "meals": ["lunch"], "reason": "bếp hỏng"}
    closed = told(program(hub, "principal").post("/v1/meals/closures", json=shut))
    trays = len(told(canteen.get("/v1/meals/servings"))["items"])
    assert (
        closed["served"] == trays >= eaten + 3
        and told(program(hub, "principal").post("/v1/meals/closures", json=shut)) == closed
    )
    again = {**shut, "closed": False, "reason": "đã sửa"}
    assert told(program(hub, "principal").post("/v1/meals/closures", json=again))["served"] == trays
    locked = {"day": "2026-11-25"}
    late = told(program(hub, "kitchen").post("/v1/meals/locks", json=locked))
    assert late["frozen"].startswith("2026-11-26T11:30") and late == told(
        program(hub, "kitchen").post("/v1/meals/locks", json=locked)
    ) | {"by": late["by"]}
    far = told(program(hub, "kitchen").post("/v1/meals/locks", json={"day": "2026-12-20"}), 422)
    assert "from 7 days before its day" in str(far)
    public = told(program(hub, "kitchen").get("/v1/meals/public"))
    assert (public["served"], public["seconds"], len(public["counters"])) == (eaten + 2, 1, 2)
    assert "st-" not in str(public)
    told(program(hub, "kitchen").get("/v1/meals/servings"), 403)


def test_months_are_stated_once(hub: MealHub) -> None:
    accountant = program(hub, "accountant")
    found = told(accountant.get("/v1/meals/months"))
    items, waits = found["items"], found["waits"]
    assert isinstance(waits, list)
    assert len(items) == 18 and {one["version"] for one in items} == {0}
    told(accountant.get("/v1/meals/months", params={"month": "2026-13"}), 422)
    told(accountant.post("/v1/meals/months", json={"month": "2026-11"}), 422)
    hub.now("07:00", DAY.replace(month=12, day=1))
    accountant = program(hub, "accountant")
    stated = told(accountant.post("/v1/meals/months", json={"month": "2026-11"}))
    assert stated["waits"] and told(accountant.get("/v1/meals/months", params={"month": "2026-11"}))["waits"]
    hub.settle()
    assert told(accountant.post("/v1/meals/months", json={"month": "2026-11"})) == stated and stated["version"] == 1
    told(program(hub, "principal").get("/v1/meals/months"))
    told(program(hub, "auditor").post("/v1/meals/months", json={"month": "2026-11"}), 403)
