"""The kitchen's page: numbers and no names, locks and adjustments by the roles that may, no diet for who pays."""

from __future__ import annotations

import re
from collections.abc import Iterator

import httpx2 as httpx
import pytest

from tests.hub.web.dayhub import DAY
from tests.hub.web.mealhub import MealHub, meal_hub
from tests.hub.web.pagehub import CLASS, OTHER_CLASS, csrf_in


@pytest.fixture
def hub(tmp_path_factory: pytest.TempPathFactory) -> Iterator[MealHub]:
    with meal_hub(tmp_path_factory.mktemp("meals") / "hub") as made:
        yield made


def row(page: httpx.Response, school_class: str) -> list[str]:
    """The cells of a class's row of the kitchen's sheet."""
    found = re.search(rf"<tr><th scope=\"row\">{re.escape(school_class)}</th>(.*?)</tr>", page.text, re.S)
    assert found is not None, page.text
    return re.findall(r">(\d+)<", found[1])


def send(client: httpx.Client, path: str, page: str = "/meals", **fields: object) -> httpx.Response:
    values = {"csrf": csrf_in(client.get(page)), "day": DAY.isoformat(), "meal": "lunch"} | fields
    return client.post(path, data=values)


def test_a_morning_at_the_kitchens_page(hub: MealHub) -> None:
    kitchen, accountant, principal = hub.browser("kitchen"), hub.browser("accountant"), hub.browser("principal")
    hub.store.mealoffice.portion("y.te", "st-3-2-1", "porridge", DAY, DAY)
    hub.store.mealoffice.cut("co.lan", "st-3-2-0", DAY, DAY, ["lunch"], "phone")
    for number in range(4):
        hub.tap(f"st-3-2-{number + 2}", "06:40")
    hub.deliver()
    hub.kitchen("07:01")
    page = kitchen.get("/meals")
    assert row(page, CLASS) == ["12", "1", "10", "0", "1", "0", "11"] and row(page, OTHER_CLASS)[-1] == "6"
    assert "Dự báo lúc 07:00: 17" in page.text and "4/17" in page.text, "no past day is known: all who are expected"
    assert "Nguyễn" not in page.text and "st-3-2" not in page.text
    # Who pays sees no diet, neither a column nor in an adjustment.
    told = accountant.get("/meals")
    assert row(told, CLASS) == ["12", "1", "11"] and "Cháo" not in told.text and "/meals/lock" not in told.text
    assert send(accountant, "/meals/lock", page="/me").status_code == 403
    answer = send(kitchen, "/meals/lock", lock="final")
    assert answer.status_code == 303 and "said=locked" in answer.headers["location"]
    assert send(kitchen, "/meals/lock", lock="final").status_code == 409, "frozen once"
    # A late cut follows as an adjustment; a person asks for one more.
    hub.now("08:30")
    hub.store.mealoffice.cut("co.lan", "st-3-2-5", DAY, DAY, ["lunch"], "phone")
    hub.kitchen("08:31")
    assert (
        send(kitchen, "/meals/adjust", of=OTHER_CLASS, portion="vegetarian", count=2, why="đoàn khách").status_code
        == 303
    )
    page = kitchen.get("/meals").text
    assert "đoàn khách" in page and "Chay +2" in page and "theo lời báo sau giờ chốt" in page and "Mặn -1" in page
    told = accountant.get("/meals")
    assert "Chay" not in told.text and row(told, OTHER_CLASS) == ["6", "0", "8", "6"]
    refused = send(kitchen, "/meals/adjust", of=OTHER_CLASS, portion="diet", count=-1, why="nhầm")
    assert refused.status_code == 409 and "bớt nhiều hơn số suất đang có" in refused.text
    # No meal today is the principal's word.
    assert send(kitchen, "/meals/close", why="bếp hỏng").status_code == 403
    assert send(principal, "/meals/close", why=" ").status_code == 409
    assert send(principal, "/meals/close", why="bếp hỏng").status_code == 303
    assert "bếp hỏng" in kitchen.get("/meals").text and "không có bữa này" in kitchen.get("/meals").text
    assert "suất đã phát" not in kitchen.get("/meals").text
    for pupil in ("st-3-2-2", "st-3-3-1"):
        hub.serve(pupil, "08:35")
    hub.deliver()
    hub.kitchen("08:40")
    for page in (kitchen.get("/meals").text, principal.get("/meals").text):
        assert "2 suất đã phát vẫn được tính" in page, "trays that were handed out stay, and are said"
    assert send(principal, "/meals/close", closed="0", why="đã sửa").status_code == 303
    assert "suất đã phát" not in kitchen.get("/meals").text
    # Of another day the sheet says when it was locked.
    day = "2026-11-27"
    answer = send(kitchen, "/meals/lock", day=day, lock="final")
    assert answer.status_code == 303 and "said=ahead" in answer.headers["location"]
    ahead = kitchen.get(answer.headers["location"]).text
    assert "Đã chốt phiếu của một ngày sắp tới" in ahead and re.search(r"đã chốt lúc [^<]*26/11", ahead)
    far = send(kitchen, "/meals/lock", day="2026-12-20", lock="final")
    assert far.status_code == 409 and "chỉ chốt được phiếu từ 7 ngày trước đến 7 ngày sau ngày ăn" in far.text
    acts = [(line.what, line.outcome) for line in hub.audit() if line.what.startswith("meal ")]
    assert acts.count(("meal sheet locked", "allowed")) == 2 and ("meal closed", "refused") in acts


def test_a_forecast_is_from_past_days_and_says_its_error(hub: MealHub) -> None:
    page = hub.browser("principal").get("/meals", params={"day": "2026-11-29"}).text
    assert "Không em nào đăng ký" in page, "a Sunday"
