"""The page of the meal plan: a meal changed from a day on, what is refused in words, and that nothing else changes."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import httpx2 as httpx
import pytest

from hub.meals.sittings import plan_on
from tests.hub.web.dayhub import DAY
from tests.hub.web.mealhub import MealHub, meal_hub
from tests.hub.web.pagehub import CLASS, csrf_in

TOMORROW = DAY + timedelta(days=1)
SHIFTS: dict[str, Any] = {
    "opens": ["10:20", "11:00", ""],
    "closes": ["10:55", "11:40", ""],
    "whom": [f"1, 2, {CLASS}", "", ""],
    "hall": ["Nhà ăn A", "Nhà ăn B", ""],
    "stations": ["quay-1; quay-2", "", ""],
}
MEAL: dict[str, Any] = {
    "meal": "lunch",
    "serves": "1",
    "weekdays": [0, 1, 2, 3, 4],
    "half": "am",
    "provisional": "07:15",
    "final": "08:15",
    "money": "20:00",
    "money_days_before": 1,
    "second": "ask",
    "why": "nhà ăn mới",
}


@pytest.fixture
def hub(tmp_path_factory: pytest.TempPathFactory) -> Iterator[MealHub]:
    with meal_hub(tmp_path_factory.mktemp("plan") / "hub") as made:
        yield made


def send(client: httpx.Client, **fields: Any) -> httpx.Response:
    values = {"csrf": csrf_in(client.get("/me")), "day": TOMORROW.isoformat()} | MEAL | SHIFTS | fields
    return client.post("/meals/plan", data=values)


def test_a_meal_is_planned_otherwise_from_tomorrow_on_and_another_one_beside_it(hub: MealHub) -> None:
    principal = hub.browser("principal")
    assert "đây là kế hoạch đề xuất" in principal.get("/meals/plan").text
    answer = send(principal)
    assert answer.status_code == 303 and "said=kept" in answer.headers["location"]
    assert send(principal, meal="snack", provisional="12:00", final="13:00", half="pm", money="13:00",
                money_days_before=0, opens=["14:30"], closes=["15:00"], whom=[""], hall=[""], stations=[""],
                ).status_code == 303  # fmt: skip
    plans = hub.store.mealplans.plans()
    assert {one.meal for one in plan_on(plans, DAY).meals} == {"lunch"}, "today stays"
    document = plan_on(plans, TOMORROW)
    assert (document.second, [one.meal for one in document.meals]) == ("ask", ["lunch", "snack"])
    lunch = document.of("lunch")
    assert lunch is not None and (lunch.provisional, lunch.final, lunch.money) == ("07:15", "08:15", "20:00")
    first, other = lunch.shifts
    assert (first.opens, first.grades, first.classes, first.hall) == ("10:20", ("1", "2"), (CLASS,), "Nhà ăn A")
    assert first.stations == ("quay-1", "quay-2") and (other.number, other.grades, other.classes) == (2, (), ())
    page = principal.get("/meals/plan", params={"day": TOMORROW.isoformat()}).text
    assert "Nhà ăn A" in page and "Bữa xế" in page and f'value="1, 2, {CLASS}"' in page and "đề xuất" not in page
    assert f"{TOMORROW:%d/%m/%Y}" in principal.get("/meals/plan").text, "a later plan is named"
    # It is taken off again, and lunch stays.
    assert send(principal, meal="snack", serves="").status_code == 303
    assert [one.meal for one in plan_on(hub.store.mealplans.plans(), TOMORROW).meals] == ["lunch"]
    assert [row.what for row in hub.audit()].count("meal plan") >= 3


@pytest.mark.parametrize(
    ("wrong", "told"),
    [
        ({"opens": ["11:00"], "closes": ["10:00"]}, "bữa trưa, ca 1: giờ bắt đầu phải trước giờ kết thúc"),
        ({"provisional": "09:00"}, "giờ chốt tạm phải không muộn hơn giờ chốt cho bếp"),
        ({"final": "10:30"}, "phải chốt cho bếp trước khi bữa ăn bắt đầu"),
        ({"opens": ["", "", ""], "closes": ["", "", ""]}, "một bữa có từ 1 đến 8 ca"),
        ({"weekdays": [9]}, "phải chọn các ngày trong tuần có bữa này"),
        ({"whom": ["9/9", "", ""]}, "không phải khối hay lớp nào của trường"),
        ({"closes": ["25:00", "11:40", ""]}, "“25:00” không phải là giờ"),
        ({"stations": ["Quầy 1", "", ""]}, "không phải là tên quầy"),
        ({"hall": ["A" * 81, "", ""]}, "nơi ăn là một dòng"),
        ({"serves": ""}, "kế hoạch phải có ít nhất một bữa"),
        ({"day": (DAY - timedelta(days=1)).isoformat()}, "đã qua"),
    ],
)
def test_what_contradicts_itself_is_refused_in_words_and_what_was_typed_stays(
    hub: MealHub, wrong: dict[str, Any], told: str
) -> None:
    before = hub.store.mealplans.plans()
    answer = send(hub.browser("principal"), **wrong)
    assert answer.status_code == 409 and told in answer.text, answer.text
    assert hub.store.mealplans.plans() == before
    assert 'value="20:00"' in answer.text and 'value="nhà ăn mới"' in answer.text


def test_a_lock_that_has_passed_is_not_planned_otherwise_today(hub: MealHub) -> None:
    hub.now("08:30")
    principal = hub.browser("principal")
    answer = send(principal, day=DAY.isoformat())
    assert answer.status_code == 409 and "đã qua" in answer.text
    assert send(principal).status_code == 303, "from tomorrow on"


@pytest.mark.parametrize("role", ["kitchen", "accountant", "teacher", "canteen", "auditor"])
def test_only_who_plans_the_year_plans_meals(hub: MealHub, role: Any) -> None:
    client, before = hub.who(role), hub.store.mealplans.plans()
    assert client.get("/meals/plan").status_code == 403
    assert send(client).status_code == 403 and hub.store.mealplans.plans() == before
    assert hub.who("it").get("/meals/plan").status_code == 200
