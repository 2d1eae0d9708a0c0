"""Sittings: a moment's meal by the sheet's hours; before, after, at midnight, with a clock nobody vouches for."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge.canteen.census import Census
from edge.canteen.ports import Sitting
from edge.canteen.sittings import AFTER_MINUTES, BEFORE_MINUTES, ROWS_MAX, Sittings, minutes_of
from protocol.countersheet import CounterSheet, Eater, MealPlan, Shift
from protocol.envelope import unix_ms_of
from protocol.taps import ClockReading

SHEET = CounterSheet(
    4,
    "2026-11-27T08:00:10+07:00",
    "s",
    "2026-11-27",
    [
        MealPlan("lunch", [Shift(1, "10:30", "11:10", ["1A"], "A"), Shift(2, "11:10", "11:50", ["3A"], "A")]),
        MealPlan("snack", [Shift(1, "15:00", "15:30", [], "B", ["quay-2"])], closed=True),
    ],
    [Eater("st-1", "An", "1A", meals=["lunch", "lunch"]), Eater("st-2", "Bình", "9Z", meals=["lunch", "snack"])],
)


def reading(local: str, err_ms: int | None = 50) -> ClockReading:
    best_ms = unix_ms_of(f"{local}+07:00")
    return ClockReading("0" * 8, 1, best_ms, best_ms, "none" if err_ms is None else "ntp", err_ms)


def at(clock: str, station: str = "quay-1", day: str = "2026-11-27", err_ms: int | None = 50) -> tuple[str, int] | None:
    found = Sittings(SHEET).at(station, reading(f"{day}T{clock}:00", err_ms))
    return None if found is None else (found.meal, found.shift)


@pytest.mark.parametrize(
    ("clock", "found"),
    [
        ("09:29", None),
        ("09:30", ("lunch", 1)),
        ("10:30", ("lunch", 1)),
        ("11:09", ("lunch", 1)),
        ("11:10", ("lunch", 2)),
        ("11:50", ("lunch", 2)),
        ("13:19", ("lunch", 2)),
        ("13:20", None),
        ("14:30", None),
    ],
)
def test_a_moment_belongs_to_the_sitting_that_is_open_else_to_the_nearest(clock: str, found: tuple[str, int]) -> None:
    assert at(clock) == found
    assert (BEFORE_MINUTES, AFTER_MINUTES) == (60, 90), "the hours above"


def test_a_shift_of_some_counters_is_not_that_of_others() -> None:
    assert at("15:10", "quay-2") == ("snack", 1) and at("15:10") is None
    assert at("13:58", "quay-2") is None and at("14:00", "quay-2") == ("snack", 1)
    assert Sittings(SHEET).at("quay-1", reading("2026-11-27T10:45:00")) == Sitting(
        "2026-11-27", "lunch", 1, "10:30", "11:10", "A"
    )


def test_an_older_sheet_tells_the_hours_of_another_day_and_expects_nobody_on_it() -> None:
    found = Sittings(SHEET).at("quay-1", reading("2026-11-30T10:45:00"))
    assert found is not None and found.day == "2026-11-30"
    census = Census(SHEET)
    assert census.expected(("2026-11-27", "lunch"), 1) == 2, "one whose class has no shift eats in the first"
    assert census.expected(("2026-11-30", "lunch"), 1) == 0
    assert census.closed(("2026-11-27", "snack")) and not census.closed(("2026-11-30", "snack"))
    assert census.eater("st-1") is not None and census.shift_of(("2026-11-30", "lunch"), "st-1") == 1
    assert census.shift_of(("2026-11-27", "dinner"), "st-1") is None
    assert census.expects(("2026-11-27", "snack"), "st-2") and not census.expects(("2026-11-30", "snack"), "st-2")


def test_no_sheet_has_no_hours_and_a_foolish_one_no_foolish_hours() -> None:
    assert Sittings().at("quay-1", reading("2026-11-27T10:45:00")) is None
    shifts = [Shift(1, "11:10", "10:30"), *[Shift(1, "08:00", "08:01")] * ROWS_MAX, Shift(2, "10:30", "11:10")]
    sheet = CounterSheet(1, "yesterday", "s", "2026-11-27", [MealPlan("lunch", shifts)], [])
    assert Sittings(sheet).at("quay-1", reading("2026-11-27T10:45:00")) is None


NIGHT = CounterSheet(
    1, "2026-11-25T08:00:00+07:00", "s", "2026-11-27", [MealPlan("dinner", [Shift(1, "00:00", "23:59")])], []
)


@pytest.mark.parametrize(
    ("clock", "err_ms", "found"),
    [
        ("23:58:00", 50, "2026-11-26"),
        ("23:58:00", 119_000, "2026-11-26"),
        ("23:58:00", 121_000, None),
        ("00:01:00", 59_000, "2026-11-26"),
        ("00:01:00", 61_000, None),
        ("12:00:00", None, "2026-11-26"),
        ("22:30:00", None, None),
        ("01:30:00", None, None),
    ],
)
def test_around_midnight_a_clock_that_may_be_in_either_day_names_none(
    clock: str, err_ms: int | None, found: str | None
) -> None:
    sitting = Sittings(NIGHT).at("quay-1", reading(f"2026-11-26T{clock}", err_ms))
    assert (None if sitting is None else sitting.day) == found


@pytest.mark.parametrize("wall", ["1970-01-01T10:45:00", "2026-11-27T06:59:00", "2020-11-27T10:45:00"])
def test_a_clock_from_before_the_sheet_was_made_names_no_meal(wall: str) -> None:
    sheet = CounterSheet(
        1, "2026-11-27T12:00:00+07:00", "s", "2026-11-27", [MealPlan("lunch", [Shift(1, "00:00", "23:59")])], []
    )
    assert Sittings(sheet).at("quay-1", reading(wall, None)) is None
    assert Sittings(sheet).at("quay-1", reading("2026-11-27T11:30:00", 0)) is not None, "a hub's clock may be ahead"


@given(st.integers(-(10**12), 4 * 10**12), st.none() | st.integers(0, 10**12), st.sampled_from(["quay-1", "quay-2"]))
def test_whatever_the_clock_says_a_sitting_is_of_its_day_and_within_its_bounds(
    best_ms: int, err_ms: int | None, station: str
) -> None:
    found = Sittings(SHEET).at(station, ClockReading("0" * 8, 1, best_ms, best_ms, "none", err_ms))
    if found is not None:
        clock = reading(f"{found.day}T00:00:00").best_ms
        minute = (best_ms - clock) // 60_000
        assert minutes_of(found.opens) - BEFORE_MINUTES <= minute < minutes_of(found.closes) + AFTER_MINUTES
