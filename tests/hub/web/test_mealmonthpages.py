"""A month on pages: its counts and versions, one child's slip with complaint and answer, and the papers as files."""

from __future__ import annotations

import io
import zipfile
from collections.abc import Iterator
from datetime import date

import httpx2 as httpx
import pytest

from hub.days.counterwaits import counter_waits
from hub.days.mealmonths import month_days
from tests.hub.web.dayhub import DAY
from tests.hub.web.mealhub import MealHub, meal_hub
from tests.hub.web.pagehub import OTHER_CLASS, csrf_in

MONTH = "2026-11"


@pytest.fixture(scope="module")
def hub(tmp_path_factory: pytest.TempPathFactory) -> Iterator[MealHub]:
    with meal_hub(tmp_path_factory.mktemp("month") / "hub") as made:
        made.store.mealoffice.cut("co.lan", "st-3-2-1", DAY, DAY, ["lunch"], "phone")
        made.serve("st-3-2-0", "11:15")
        made.deliver()
        made.now("08:00", date(2026, 12, 1))
        yield made


def send(client: httpx.Client, path: str, **fields: object) -> httpx.Response:
    return client.post(path, data={"csrf": csrf_in(client.get("/me")), "month": MONTH, "meal": "lunch"} | fields)


def test_a_month_is_stated_and_a_class_sees_its_own(hub: MealHub) -> None:
    accountant, teacher = hub.who("accountant"), hub.who("teacher")
    page = accountant.get("/meals/month", params={"month": MONTH}).text
    assert "Chốt tháng" in page and "st-3-3-0" in page and "Cháo" not in page
    # The counter said nothing since: it may be stated, and page and button say who is waited for.
    [name] = counter_waits(hub.store, *month_days(MONTH)).waits
    assert f"còn chờ bản ghi của quầy {name}" in page and f"Chốt tháng (dù còn chờ quầy {name})" in page
    assert send(teacher, "/meals/month/state").status_code == 403
    assert send(accountant, "/meals/month/state").status_code == 303
    hub.settle()
    assert "Đã chốt phiên bản 1" in accountant.get("/meals/month", params={"month": MONTH}).text
    mine = teacher.get("/meals/month", params={"month": MONTH}).text
    assert "st-3-2-0" in mine and "st-3-3-0" not in mine
    assert teacher.get("/meals/month", params={"class": OTHER_CLASS}).status_code == 403
    assert accountant.get("/meals/month", params={"month": "2026-13"}).status_code == 422
    # Something that changes it must say why.
    hub.store.mealoffice.serve_class("co.lan", "3/2", DAY, "lunch", ["st-3-2-2"], reason="giấy đến muộn")
    hub.settle()
    assert send(accountant, "/meals/month/state", why=" ").status_code == 409
    assert send(accountant, "/meals/month/state", why="danh sách lớp đến muộn").status_code == 303


def test_a_slip_is_of_one_child_with_complaint_and_answer(hub: MealHub) -> None:
    teacher, accountant = hub.who("teacher"), hub.who("accountant")
    slip = {"pupil": "st-3-2-0", "month": MONTH}
    page = teacher.get("/meals/slip", params=slip).text
    assert "11:15" in page and "quay-1" in page and "st-3-2-1" not in page
    assert teacher.get("/meals/slip", params=slip | {"pupil": "st-3-3-0"}).status_code == 403
    says = "hôm đó con không ăn"
    assert send(teacher, "/meals/slip/complain", pupil="st-3-2-0", says=says).status_code == 303
    hub.settle()
    [(pupil, made)] = hub.store.complaints.of(MONTH)
    assert pupil == "st-3-2-0" and says in teacher.get("/meals/slip", params=slip).text
    answer = {"pupil": "st-3-2-0", "complaint": made.record, "says": "quầy có bản ghi lúc 11:15"}
    assert send(teacher, "/meals/slip/answer", **answer).status_code == 403
    assert send(accountant, "/meals/slip/answer", **(answer | {"pupil": "st-3-2-1"})).status_code == 409
    assert send(accountant, "/meals/slip/answer", **answer).status_code == 303
    hub.settle()
    assert "quầy có bản ghi" in teacher.get("/meals/slip", params=slip).text
    assert hub.who("guard").get("/meals/slip", params=slip).status_code == 403


def test_papers_are_files_for_who_may_see_them(hub: MealHub) -> None:
    accountant, kitchen = hub.who("accountant"), hub.who("kitchen")
    day = {"day": DAY.isoformat()}
    assert kitchen.get("/meals/sheet/file", params=day).content[:2] == b"PK"
    assert accountant.get("/meals/sheet/file", params=day).status_code == 403, "its columns are diets"
    assert accountant.get("/meals/public/file", params=day | {"format": "pdf"}).content[:5] == b"%PDF-"
    found = accountant.get("/meals/month/file", params={"month": MONTH, "format": "csv"})
    assert "st-3-2-0" in found.text and "attachment" in found.headers["content-disposition"]
    teacher = hub.who("teacher")
    assert teacher.get("/meals/slip/file", params={"pupil": "st-3-2-0", "month": MONTH}).content[:5] == b"%PDF-"
    assert accountant.get("/meals/month/pack", params={"month": MONTH}).status_code == 403, "diets stand in it"
    assert "/meals/month/pack" not in accountant.get("/meals/month", params={"month": MONTH}).text
    pack = hub.who("principal").get("/meals/month/pack", params={"month": MONTH})
    assert "manifest.json" in zipfile.ZipFile(io.BytesIO(pack.content)).namelist()
    assert hub.who("auditor").get("/meals/month/pack", params={"month": MONTH}).status_code == 200
    assert teacher.get("/meals/month/pack", params={"month": MONTH}).status_code == 403
