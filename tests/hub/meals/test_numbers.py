"""What follows of a meal in numbers: meal days and months, the public sheet, conflicts, the forecast."""

from __future__ import annotations

from dataclasses import replace
from datetime import date, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace as structs_replace

from hub.attendance.evidence import Leave
from hub.meals.conflicts import conflicts
from hub.meals.forecast import DAYS, PastDay, forecast
from hub.meals.mealdays import PupilMeal, evidence_digest, evidence_lines, meals_of, month_of, restated
from hub.meals.portions import Closure, Enrolment, Excuse, registered
from hub.meals.publicsheet import counter_lines, public_sheet
from hub.meals.servings import ClassList
from hub.meals.sittings import Moment
from protocol.mealrecords import MealDays
from protocol.meals import ByHand
from tests.hub.meals.lunch import DAY, at, count, lunch, tap, word
from tests.hub.meals.test_portions import ALL, SAID, J, cut

AN, BE, CHI, DUNG = "st-an", "st-be", "st-chi", "st-dung"


def told(meals: list[PupilMeal]) -> dict[str, tuple[Any, ...]]:
    return {one.pupil: (one.registered, one.cut, one.eaten, one.seconds, one.chargeable) for one in meals}


def test_eaten_chargeable_and_claimed_are_three_numbers() -> None:
    said = replace(SAID, enrolments=ALL[:3], cuts=(cut(8, BE, "08:00"), cut(9, CHI, "08:01")))
    found = count(
        tap(1, "c-an", "10:31"),
        tap(2, "c-an", "10:45", said=lunch(2)),
        tap(3, "c-be", "10:32"),
        tap(4, "hand", "10:33", hand=ByHand("name", "co"), believed=DUNG),
    )
    meals = meals_of(said, "lunch", found.servings)
    assert told(meals) == {
        AN: (True, None, "card", 1, True),
        BE: (True, "in-time", "card", 0, False),  # cut in time and eaten all the same: claimed, never charged
        CHI: (True, "late", None, 0, True),  # a late cut is charged
        DUNG: (False, None, "hand", 0, False),
    }
    later = meals_of(said, "lunch", found.servings, lock_ms=at("07:59"))
    assert told(later)[BE][1] == "late", "the money lock is another than the kitchen's"
    assert told(meals_of(said, "dinner", found.servings)) == {}


def test_a_notice_that_is_shortened_after_the_lock_stays_in_time_for_the_days_it_keeps() -> None:
    week = (DAY, "am"), (DAY + timedelta(days=4), "pm")
    short = (DAY, "am"), (DAY + timedelta(days=1), "pm")
    before = Leave(f"{J}.20", BE, *week, at("06:00"), "co")
    # Shortened twice, both times after the lock; each time what stays is another notice.
    once = Excuse(before, at("08:30"), f"{J}.21"), Excuse(Leave(f"{J}.22", BE, *week, at("08:30"), "co"))
    twice = (
        once[0],
        structs_replace(once[1], gone_ms=at("09:30"), gone=f"{J}.23"),
        Excuse(Leave(f"{J}.24", BE, *short, at("09:30"), "co")),
    )
    for excuses in (once, twice):
        [one] = [
            one for one in meals_of(replace(SAID, enrolments=ALL, excuses=excuses), "lunch", ()) if one.pupil == BE
        ]
        assert (one.cut, one.chargeable) == ("in-time", False) and one.cuts[0] == before.id
    late = replace(SAID, enrolments=ALL, excuses=(Excuse(Leave(f"{J}.20", BE, *week, at("08:01"), "co")),))
    assert told(meals_of(late, "lunch", ()))[BE][1] == "late"


def test_who_is_enrolled_no_more_after_the_money_lock_is_charged_and_a_mistake_is_corrected() -> None:
    def of(clock: str, day: date = DAY) -> tuple[Any, ...] | None:
        word = Enrolment(f"{J}.30", at(clock, day=day), BE, DAY, None, (), ())
        return told(meals_of(replace(SAID, enrolments=(*ALL, word)), "lunch", ())).get(BE)

    assert of("07:59") is None and of("08:30") == (True, "late", None, 0, True)
    assert of("07:00", DAY + timedelta(days=1)) is None, "said afterwards, for a reason: nothing of it is charged"


def test_who_is_enrolled_when_the_meal_is_over_is_charged_only_if_they_ate() -> None:
    others = tuple(one for one in ALL if one.pupil != BE)
    ate, blind = tap(1, "c-be", "10:31"), tap(1, "c-be", "10:31", when=replace_moment())

    def of(clock: str, *taps: Any, day: date = DAY, **more: Any) -> tuple[Any, ...] | None:
        word = Enrolment(f"{J}.30", at(clock, day=day), BE, DAY, None, (0, 1, 2, 3, 4), ("lunch",))
        said = replace(SAID, **({"enrolments": (*others, word)} | more))
        if "enrolments" in more:
            said = replace(said, enrolments=(*more["enrolments"], word))
        found = told(meals_of(said, "lunch", count(*taps).servings))
        assert [found[one] for one in (AN, CHI, DUNG)] == [(True, None, None, 0, True)] * 3
        return found.get(BE)

    assert of("08:30") == of("11:50") == (True, None, None, 0, True), "they could eat, and the kitchen was told"
    for clock in ("11:51", "23:59"):
        assert of(clock) is None
        assert of(clock, ate) == (True, None, "card", 0, True)
        assert of(clock, blind) == (False, None, "unconfirmed", 0, False)
    assert of("00:00", day=DAY + timedelta(days=1)) == (True, None, None, 0, True), (
        "with its reason, it corrects the day"
    )
    # Who was registered before, or at the money lock, only says it anew.
    assert of("15:00", enrolments=ALL) == (True, None, None, 0, True)
    gone = Enrolment(f"{J}.29", at("09:00"), BE, DAY, None, (), ())
    assert of("15:00", enrolments=(*ALL, gone)) == (True, None, None, 0, True)
    # A meal that was called off, and given after all, is nobody's first.
    words = [
        Closure(f"{J}.{n}", at(clock), DAY, (), shut) for n, clock, shut in ((27, "06:30", True), (28, "12:30", False))
    ]
    assert of("15:00", enrolments=ALL, closures=tuple(words)) == (True, None, None, 0, True)


def test_what_is_unconfirmed_stands_apart() -> None:
    moved = tap(1, "c-an", "10:31", when=replace_moment())
    meals = meals_of(replace(SAID, enrolments=ALL), "lunch", count(moved).servings)
    assert told(meals)[AN][2] == "unconfirmed" and month_of(meals)[AN].eaten == 0
    listed = ClassList("e" * 16 + ".1", "1A", DAY, "lunch", (BE,), "co", at("11:00"), at("10:50"))
    assert told(meals_of(replace(SAID, enrolments=ALL), "lunch", count(lists=[listed]).servings))[BE][2] == "list"


def replace_moment() -> Any:
    return Moment(at("10:31"), -(1 << 60), 1 << 60, anchored=False)


def test_a_month_adds_up_and_a_restatement_says_by_how_much() -> None:
    said = replace(SAID, enrolments=ALL)
    first = tap(1, "c-an", "10:31")
    before = month_of(meals_of(said, "lunch", count(first).servings))
    meals = meals_of(said, "lunch", count(first, tap(2, "c-be", "10:40"), words=[word(first, 1, "undone")]).servings)
    now = month_of(meals)
    assert restated(before, now) == {AN: MealDays(card=-1), BE: MealDays(card=1)}
    assert restated(now, now) == {} and restated({}, {AN: MealDays()}) == {}
    for pupil, differs in restated(before, now).items():
        assert before[pupil].plus(differs) == now[pupil]
    lines = evidence_lines(meals)
    assert lines[1] == f"2026-11-23 lunch st-be card {'a' * 16}.2" and lines == sorted(lines)
    assert evidence_digest(meals) != evidence_digest(meals[1:])


def test_the_public_sheet_counts_each_once() -> None:
    said = replace(SAID, enrolments=ALL, cuts=(cut(9, DUNG),))
    shown = tap(4, "c-thay", "10:36", decision="refused")
    found = count(
        tap(1, "c-an", "10:31"),
        tap(2, "c-an", "10:45", said=lunch(2)),
        tap(3, "hand", "10:35", hand=ByHand("stranger", "co")),
        shown,
        tap(5, "hand", "10:37", hand=ByHand("stranger", "co", shown.id)),
        tap(6, "c-la", "10:38", decision="refused"),
        tap(1, "c-be", "11:20", point="quay-2"),
    )
    sheet = public_sheet(DAY, "lunch", registered(said, "lunch"), found.servings, found.aside, {AN, BE, CHI})
    assert (sheet.registered, sheet.cut, sheet.expected, sheet.present) == (4, 1, 3, 3)
    assert (sheet.served, sheet.seconds, sheet.unclaimed, sheet.strangers, sheet.adults) == (2, 1, 1, 1, 1)
    assert (sheet.unconfirmed, sheet.referred, sheet.closed) == (0, 1, False)
    assert public_sheet(DAY, "lunch", [], []).present is None
    assert [(one.point, one.shift, one.served, one.seconds, one.strangers) for one in counter_lines(
        DAY, "lunch", found.servings
    )] == [("quay-1", 1, 2, 1, 1), ("quay-2", 2, 1, 0, 0)]  # fmt: skip


@pytest.mark.parametrize("complete", [True, False])
def test_what_doesn_t_go_together_is_named(complete: bool) -> None:
    said = replace(SAID, enrolments=ALL[:3], cuts=(cut(9, BE),))
    found = count(
        tap(1, "c-an", "10:31", said=lunch(alone=True)),
        tap(1, "c-an", "10:32", point="quay-2", said=lunch(alone=True)),
        tap(2, "c-be", "10:33"),
        tap(3, "hand", "10:34", hand=ByHand("name", "co"), believed=DUNG),
    )
    meals = meals_of(said, "lunch", found.servings)
    assert [one.eaten for one in meals if one.pupil == DUNG] == ["hand"]
    named = conflicts(meals, found.servings, {BE, CHI}, {AN}, complete=complete)
    expected = [("ate-absent", AN), ("cut-but-ate", BE), ("unregistered", DUNG), ("unconfirmed", AN)]
    if complete:
        expected.insert(1, ("present-not-eaten", CHI))
    assert [(one.kind, one.pupil) for one in named] == expected
    assert named[-1].evidence == (f"{'b' * 16}.1",), "the serving that is to be seen to"


def test_a_serving_out_of_hours_counts_and_is_shown_by_whomever_it_was_entered() -> None:
    paper = ClassList("e" * 16 + ".1", "1A", DAY, "lunch", (BE,), "co-lan", at("16:00"), at("15:00"))
    found = count(tap(1, "c-an", "06:00"), tap(2, "c-chi", "10:40"), lists=[paper])
    meals = meals_of(replace(SAID, enrolments=ALL), "lunch", found.servings)
    named = conflicts(meals, found.servings, set(), set(), complete=True)
    assert [(one.kind, one.pupil) for one in named] == [("outside", AN), ("outside", BE)]
    assert {one.pupil: one.eaten for one in meals if one.eaten} == {AN: "card", BE: "list", CHI: "card"}


# --- the forecast -----------------------------------------------------------------------------------------------------


def past(number: int, arrived: int, ate: int, expected: int = 1700) -> PastDay:
    return PastDay(DAY - timedelta(days=number), expected, {"07:15": arrived}, ate)


def test_who_has_come_tells_who_will_eat() -> None:
    known = [past(n, 800, 1600) for n in range(1, 6)]
    found = forecast("07:15", 1700, 820, known)
    assert (found.portions, found.days, found.error) == (1640, 5, 0.0)
    assert forecast("07:15", 1700, 900, known).portions == 1700, "never above those expected"
    assert forecast("07:15", 1700, 820, [past(n, 1000, 500) for n in range(1, 6)]).portions == 820
    assert forecast("07:15", 1700, 820, known[:2]) == replace(found, portions=1700, days=0, error=None), (
        "two days say nothing"
    )
    assert forecast("07:30", 1700, 820, known).portions == 1700, "nor does another clock"


def test_the_error_is_what_the_rule_would_have_missed() -> None:
    known = [past(1, 1000, 1000, 1000), past(2, 1000, 1000, 1000), past(3, 1000, 1000, 1000), past(4, 500, 1000, 1000)]
    found = forecast("07:15", 1000, 900, known)
    # The fourth day alone was missed: 500 came, half of whom ate.
    assert found.error == pytest.approx(0.5 / 4)
    assert forecast("07:15", 1000, 900, [past(n, 1000, 1000) for n in range(1, 40)]).days == DAYS


@given(
    st.integers(0, 2000),
    st.integers(0, 2000),
    st.lists(st.tuples(st.integers(0, 2000), st.integers(0, 2000)), max_size=14),
)
def test_a_forecast_stays_within_what_is_possible(one: int, other: int, days: list[tuple[int, int]]) -> None:
    arrived, expected = sorted((one, other))
    known = [PastDay(date(2026, 9, 1) + timedelta(days=n), 2000, {"07:00": a}, e) for n, (a, e) in enumerate(days)]
    found = forecast("07:00", expected, arrived, known)
    assert arrived <= found.portions <= expected
    assert found == forecast("07:00", expected, arrived, known[::-1])
