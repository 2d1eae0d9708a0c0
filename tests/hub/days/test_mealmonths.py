"""Meal months: a class's or a child's is the same as in the whole school's, and reads no other's records."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import combinations
from pathlib import Path

import pytest

from tests.hub.days.test_daybook import BE, CHI, DAY, STRANGE
from tests.hub.days.test_mealbook import Canteen
from tests.hub.reporting.monthschool import MONTH, lived, on

PUPILS = ("st-an", "st-be", "st-chi")


@pytest.fixture
def canteen(tmp_path: Path) -> Iterator[Canteen]:
    made = Canteen(tmp_path)
    yield made
    made.room.close()


def test_some_pupils_months_are_the_same_as_in_the_whole_schools(canteen: Canteen) -> None:
    store = lived(canteen).store
    # A card that two counters' beliefs and no list speak of; a card within seconds; a stranger whose card is Chi's.
    canteen.serve(BE, "11:30", student="st-an")
    canteen.serve(BE, "11:30", student="st-be")
    canteen.serve(CHI, "11:31", student="st-be")
    canteen.serve("a:04FFFFFFFFF081", "11:32", student="st-be")
    canteen.serve("a:04FFFFFFFFF081", "11:32", student="st-chi")
    canteen.deliver()
    canteen.read()
    for strange in (False, True):
        if strange:
            store.office.card("it", "issued", STRANGE, "st-chi")
            canteen.read()
        whole = store.mealmonths.meals(MONTH, "lunch")
        for size in range(4):
            for some in map(frozenset, combinations(PUPILS, size)):
                mine = store.mealmonths.meals(MONTH, "lunch", some)
                assert mine == [one for one in whole if one.pupil in some], (strange, some)
                served = store.mealbook.served(DAY).servings
                assert list(store.mealbook.served(DAY, some).servings) == [one for one in served if one.pupil in some]
    read = store.mealbook.counters(DAY, {"st-an"}).taps
    assert {one.card for one in store.mealbook.counters(DAY).taps} - {one.card for one in read}, "others' stay unread"


def test_a_class_is_counted_alone_and_told_as_the_whole_school_tells_it(canteen: Canteen) -> None:
    store = lived(canteen).store
    on(canteen, DAY)
    whole = store.mealmonths.told(MONTH, ("lunch",))
    assert {one["class"] for one in whole} == {"1A", "1B"}
    for name in ("1A", "1B"):
        assert store.mealmonths.told(MONTH, ("lunch",), name) == [one for one in whole if one["class"] == name]
    assert store.mealmonths.told(MONTH, ("lunch",), "9Z") == []
