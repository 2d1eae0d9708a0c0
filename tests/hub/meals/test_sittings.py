"""Sittings: which shift a class eats in, which meal a moment is of, and plans that contradict themselves."""

from __future__ import annotations

from datetime import date, timedelta
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hub.meals.sittings import (
    FIRST_PLAN,
    MealPlanRefused,
    Moment,
    PlannedMeal,
    PlannedShift,
    SchoolMeals,
    clock_ms,
    day_of,
    placed,
    plan_bytes,
    plan_from,
    plan_on,
    shift_of,
    sittings_of,
)
from protocol.meals import MealTap
from tests.hub.meals.lunch import DAY, EVER, lunch, moment

SNACK = PlannedMeal(meal="snack", half="pm", shifts=(PlannedShift(number=1, opens="12:30", closes="13:00"),))
TWO = SchoolMeals(meals=(*FIRST_PLAN.meals, SNACK))
PLANS = {date.min: TWO}


def test_the_closest_shift_that_names_a_class_is_its_shift_else_the_last() -> None:
    named = PlannedShift(number=3, opens="11:50", closes="12:20", classes=("1A",))
    planned = msgspec.structs.replace(FIRST_PLAN.meals[0], shifts=(*FIRST_PLAN.meals[0].shifts, named))
    assert [shift_of(planned, name).number for name in ("1A", "1B", "3/2", "5C", "6A")] == [3, 1, 2, 2, 3]
    assert [(one.shift, one.hall) for one in sittings_of(FIRST_PLAN, DAY)] == [(1, ""), (2, "")]


def place(clock: str, said: MealTap | None = None, plans: Any = PLANS, **more: Any) -> tuple[Any, ...]:
    found = placed(plans, moment(clock, **more), "quay-1", said)
    return found.meal, found.shift, found.by, found.sure


def test_a_moment_is_of_the_meal_that_it_lies_in() -> None:
    assert place("10:30") == place("11:09") == ("lunch", 1, "time", True)
    assert place("11:10") == place("11:49") == ("lunch", 2, "time", True)
    assert place("10:01") == ("lunch", 1, "time", True), "a counter may open early"
    # Between both meals either is possible: what the counter named counts, else the nearest.
    assert place("12:15", lunch()) == ("lunch", 2, "said", True)
    assert place("12:15", lunch(meal="snack")) == ("snack", 1, "said", True)
    assert place("12:15") == ("snack", 1, "time", True)
    assert place("23:00", lunch()) == ("snack", 1, "outside", True)
    assert place("08:00") == ("lunch", 1, "outside", True)


def test_where_no_clock_vouches_the_counter_is_believed() -> None:
    anywhere = Moment(0, -EVER, EVER, anchored=False)
    found = placed(PLANS, anywhere, "quay-1", lunch(meal="snack"))
    assert (found.day, found.meal, found.by, found.sure) == (DAY, "snack", "said", False)
    assert placed(PLANS, anywhere, "quay-1", None).by == "outside"
    near = moment("10:40", err_s=300, anchored=False)
    assert placed(PLANS, near, "quay-1", None).sure, "no other meal is within its bounds"


def test_a_place_is_sure_only_where_each_moment_within_the_bounds_is_of_the_same_meal() -> None:
    # Lunch until 11:50 and snack from 12:30: at 12:10 both are as near.
    assert place("12:05", err_s=240) == ("lunch", 2, "time", True)
    assert place("12:05", err_s=360) == ("lunch", 2, "time", False)
    assert place("12:15", lunch(), err_s=150) == ("lunch", 2, "said", True), "its clock was sure, and it named the meal"
    assert place("12:05", lunch(), err_s=240) == ("lunch", 2, "said", True)
    assert place("12:05", lunch(), err_s=360) == ("lunch", 2, "said", False)
    assert place("12:15", lunch(), err_s=151) == ("lunch", 2, "said", False)
    # Ends that are both of lunch say nothing of a breakfast between two shifts of it.
    shifts = tuple(
        PlannedShift(number=n, opens=o, closes=c) for n, o, c in ((1, "10:30", "10:40"), (2, "11:30", "11:50"))
    )
    lunch_ = msgspec.structs.replace(FIRST_PLAN.meals[0], shifts=shifts)
    between = msgspec.structs.replace(SNACK, shifts=(PlannedShift(number=1, opens="11:00", closes="11:10"),))
    plans = {date.min: SchoolMeals(meals=(lunch_, between))}
    assert place("11:05", plans=plans, err_s=1800) == ("snack", 1, "time", False)
    assert place("11:31", plans=plans, err_s=5) == ("lunch", 2, "time", True)
    # Out of all hours.
    assert place("22:00", err_s=3600) == ("snack", 1, "outside", True)
    assert place("22:00", err_s=4 * 3600)[2:] == ("outside", False), "the evening of one day, or the morning of another"


def test_a_counter_of_one_hall_serves_what_is_served_there() -> None:
    halls = msgspec.structs.replace(
        FIRST_PLAN.meals[0],
        shifts=(
            PlannedShift(number=1, opens="10:30", closes="11:10", hall="A", stations=("quay-1",)),
            PlannedShift(number=2, opens="10:30", closes="11:10", hall="B", stations=("quay-2",)),
        ),
    )
    plans = {date.min: SchoolMeals(meals=(halls,))}
    assert [placed(plans, moment("10:40"), point, None).shift for point in ("quay-1", "quay-2")] == [1, 2]


def test_a_plan_holds_from_its_day_on() -> None:
    plans = {DAY: TWO}
    assert plan_on(plans, DAY - timedelta(days=1)) is FIRST_PLAN and plan_on(plans, DAY) is TWO
    assert plan_from("plan", plan_bytes(TWO)) == TWO


@pytest.mark.parametrize(
    ("changed", "why"),
    [
        (lambda one: {"meals": (one, one)}, "planned twice"),
        (lambda one: {"meals": (msgspec.structs.replace(one, shifts=one.shifts[::-1]),)}, "numbered from 1"),
        (lambda one: {"meals": (msgspec.structs.replace(one, provisional="08:30"),)}, "provisional lock comes after"),
        (lambda one: {"meals": (msgspec.structs.replace(one, final="10:31"),)}, "after the meal has begun"),
        (
            lambda one: {
                "meals": (
                    msgspec.structs.replace(one, shifts=(PlannedShift(number=1, opens="11:00", closes="11:00"),)),
                )
            },
            "open before it closes",
        ),
    ],
)
def test_a_plan_that_contradicts_itself_is_refused(changed: Any, why: str) -> None:
    document = SchoolMeals(**changed(FIRST_PLAN.meals[0]))
    with pytest.raises(MealPlanRefused, match=why):
        plan_from("plan", plan_bytes(document))


@pytest.mark.parametrize("octets", [b"{", b"[]", b'{"meals": []}', b'{"meals": 1}', b"\xff", b" " * 70_000])
def test_what_is_no_plan_is_refused(octets: bytes) -> None:
    with pytest.raises(MealPlanRefused):
        plan_from("plan", octets)


@given(st.integers(-(1 << 50), 1 << 50), st.integers(0, 1 << 40), st.booleans())
def test_every_moment_is_of_some_meal(best_ms: int, err_ms: int, anchored: bool) -> None:
    found = placed(PLANS, Moment(best_ms, best_ms - err_ms, best_ms + err_ms, anchored), "quay-1", lunch())
    assert found.meal in ("lunch", "snack")
    if anchored and err_ms < 1000 and found.by == "time":
        # Where a clock vouches, the meal is of the day of its moment, and within its grace.
        assert found.day == day_of(best_ms)
        assert clock_ms(found.day, "09:59") <= best_ms <= clock_ms(found.day, "14:01")
