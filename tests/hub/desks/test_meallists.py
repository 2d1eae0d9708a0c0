"""Lists of meals: taken once they change what they say, and nothing the second time."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest

from hub.days.office import EntryRefused
from hub.desks.meallists import MealLists
from hub.lists.lines import BoardingLine, DietLine, MenuLine
from hub.meals.portions import portions_of
from tests.hub.days.test_kitchen import MONDAY, clock
from tests.hub.days.test_mealbook import Canteen

WEEK = (0, 1, 2, 3, 4)


@pytest.fixture
def canteen(tmp_path: Path) -> Iterator[Canteen]:
    made = Canteen(tmp_path)
    clock(made, "06:00")
    yield made
    made.room.close()


def test_a_boarding_list_enrols_and_takes_nobody_off(canteen: Canteen) -> None:
    lists, store = MealLists(canteen.store), canteen.store
    lines = [
        ("st-an", BoardingLine("1", None, None, MONDAY - timedelta(days=70), None, WEEK, ("lunch",))),
        ("st-be", BoardingLine("2", None, None, MONDAY, MONDAY, (0,), ("lunch", "snack"))),
    ]
    assert lists.effects("boarding", lines, MONDAY) == {"new": 2, "same": 0}
    assert lists.take("boarding", "van-phong", lines, MONDAY) == 2
    assert [one.pupil for one in store.mealbook.registered(MONDAY, "lunch")] == ["st-an", "st-be"]
    assert lists.effects("boarding", lines, MONDAY) == {"new": 0, "same": 2}
    assert lists.take("boarding", "van-phong", lines[:1], MONDAY) == 0
    assert len(store.mealbook.registered(MONDAY, "lunch")) == 2
    assert lists.effects("boarding", [], MONDAY) == {"new": 0, "same": 0}
    # One for a meal alone that no plan has would end the lunch.
    alone = [("st-an", BoardingLine("1", None, None, MONDAY, None, WEEK, ("snack",)))]
    with pytest.raises(EntryRefused, match="plan has no snack"):
        lists.take("boarding", "van-phong", alone, MONDAY)


def test_of_a_diet_the_list_says_all(canteen: Canteen) -> None:
    lists, store = MealLists(canteen.store), canteen.store
    line = DietLine("1", None, None, "porridge", ("peanut", "other"), "dâu tây", True, None)
    plain = DietLine("2", None, None, "regular", (), "", False, None)
    lines = [("st-an", line), ("st-be", plain)]
    assert lists.effects("diet", lines, MONDAY) == {"new": 1, "same": 1}
    assert lists.take("diet", "y-ta", lines, MONDAY) == 1
    assert portions_of(store.mealbook.said(MONDAY)) == {"st-an": "porridge"}
    told = store.counters.diets()
    assert (told["st-an"].alerts, told["st-an"].confirmed, set(told)) == (("Đậu phộng", "dâu tây"), True, {"st-an"})
    assert lists.take("diet", "y-ta", lines, MONDAY) == 0
    gone = DietLine("1", None, None, "regular", (), "", False, None)
    assert lists.take("diet", "y-ta", [("st-an", gone)], MONDAY) == 1
    assert store.counters.diets() == {} and portions_of(store.mealbook.said(MONDAY)) == {"st-an": "regular"}


def test_a_meal_s_dishes_are_one_menu(canteen: Canteen) -> None:
    lists, store = MealLists(canteen.store), canteen.store
    rice, soup = (
        MenuLine(MONDAY, "lunch", dish, "regular", ("fish",), "lo-7", "Bếp A") for dish in ("Cơm cá", "Canh bí đỏ")
    )
    assert lists.take("menus", "bep", [rice, soup], MONDAY) == 2
    with store.database.transaction():
        assert store.mealplans.keep_sample(MONDAY, "lunch", "Cơm cá", "M-23-1")
        assert not store.mealplans.keep_sample(MONDAY, "lunch", "Phở", "M-23-2")
    assert lists.effects("menus", [rice, soup], MONDAY) == {"new": 0, "same": 2}, "a sample changes no menu"
    other = MenuLine(MONDAY, "lunch", "Cơm gà", "regular", (), "lo-8", "Bếp A")
    assert lists.take("menus", "bep", [other, soup], MONDAY) == 1
    dishes = list(store.mealplans.menu(MONDAY, MONDAY))
    assert [one.dish for one in dishes] == ["Canh bí đỏ", "Cơm gà"]
    with store.database.transaction():
        store.mealplans.keep_sample(MONDAY, "lunch", "Cơm gà", "M-23-3")
    assert lists.take("menus", "bep", [other, soup, rice], MONDAY) == 1
    assert {one.dish: one.sample for one in store.mealplans.menu(MONDAY, MONDAY)} == {
        "Canh bí đỏ": "",
        "Cơm cá": "",
        "Cơm gà": "M-23-3",
    }
    assert {one.menu for one in dishes} == {"20261123-lunch-regular"}
