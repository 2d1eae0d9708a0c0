"""The desk of the meal plan: what it shows can be set again; what is past, or contradicts itself, changes nothing."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import msgspec
import pytest

from hub.days.office import EntryRefused
from hub.meals.sittings import FIRST_PLAN, MealPlanRefused, plan_bytes, plan_from
from hub.papers import wrapped
from tests.hub.days.test_kitchen import MONDAY, clock
from tests.hub.days.test_mealbook import Canteen


@pytest.fixture
def canteen(tmp_path: Path) -> Iterator[Canteen]:
    made = Canteen(tmp_path)
    clock(made, "06:00")
    yield made
    made.room.close()


def test_a_plan_is_shown_changed_and_set(canteen: Canteen) -> None:
    store = canteen.store
    shown = store.carry_out("meal-plan-show", {}).text
    assert plan_from("shown", shown.encode()) == FIRST_PLAN
    asks = msgspec.structs.replace(FIRST_PLAN, second="ask")
    words = {"file": "plan.json", "paper": wrapped(plan_bytes(asks)), "by": "van-phong"}
    tomorrow = (MONDAY + timedelta(days=1)).isoformat()
    told = store.carry_out("meal-plan-set", words | {"first": tomorrow})
    assert told.text == f"từ / from {tomorrow}: 1 bữa / meals, 2 ca / shifts"
    assert plan_from("today", store.carry_out("meal-plan-show", {}).text.encode()) == FIRST_PLAN
    assert plan_from("then", store.carry_out("meal-plan-show", {"first": tomorrow}).text.encode()) == asks
    # Without a day it holds from today on.
    store.carry_out("meal-plan-set", words)
    assert store.mealplans.plans()[MONDAY] == asks


def test_what_is_past_or_no_plan_changes_nothing(canteen: Canteen) -> None:
    store, paper = canteen.store, wrapped(plan_bytes(FIRST_PLAN))
    yesterday = (MONDAY - timedelta(days=1)).isoformat()
    with pytest.raises(EntryRefused, match="is past"):
        store.carry_out("meal-plan-set", {"paper": paper, "first": yesterday, "by": "van-phong"})
    with pytest.raises(EntryRefused, match="no day such as"):
        store.carry_out("meal-plan-set", {"paper": paper, "first": "tomorrow", "by": "van-phong"})
    with pytest.raises(MealPlanRefused, match=r"^plan\.json"):
        store.carry_out("meal-plan-set", {"file": "plan.json", "paper": wrapped(b"{}"), "by": "van-phong"})
    assert store.mealplans.plans() == {}
