"""The book of servings: what a touch is, and numbers that equal a count from scratch, whatever happened."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edge.canteen import servings as room
from edge.canteen.census import NO_MEAL, Census, MealKey
from edge.canteen.servings import HERE_MAX, MEALS_KEPT, Book, Serving, Verdict
from protocol.countersheet import CounterSheet, Eater, MealPlan, Shift
from protocol.meals import NTH_MAX
from protocol.served import Told

LUNCH: MealKey = ("2026-11-27", "lunch")
XE: MealKey = ("2026-11-27", "snack")
WINDOW_MS = 20_000
SHEET = CounterSheet(
    1,
    "2026-11-27T08:00:00+07:00",
    "s",
    "2026-11-27",
    [MealPlan("lunch", [Shift(1, "10:30", "11:10", ["1A"]), Shift(2, "11:10", "11:50", ["3A", "4B"])])],
    [
        Eater("st-1", "An", "1A", meals=["lunch"]),
        Eater("st-2", "Bình", "3A", meals=["lunch"]),
        Eater("st-3", "Chi", "4B"),
    ],
)


def book() -> Book:
    made = Book()
    made.rebuild(Census(SHEET))
    return made


def serving(tap: str, student: str | None = "st-1", **more: Any) -> Serving:
    values: dict[str, Any] = {"key": LUNCH, "card": f"c-{student or tap}", "station": "quay-1"}
    return Serving(tap, student=student, **(values | more))


def judged(one: Book, student: str | None = "st-1", at_ms: int = 0, **more: Any) -> Verdict:
    values: dict[str, Any] = {"key": LUNCH, "card": f"c-{student}", "station": "quay-1"} | more
    return one.judge(student=student, at_ms=at_ms, window_ms=WINDOW_MS, **values)


def numbers(one: Book, shift: int = 1, key: MealKey = LUNCH) -> tuple[int, int, int, int]:
    found = one.count(key, shift)
    return found.served, found.seconds, found.strangers, found.due


def test_the_same_pupil_at_the_same_counter_within_the_window_is_the_same_tray_by_whatever_card() -> None:
    one = book()
    one.note(serving("t.1", at_ms=1_000))
    assert judged(one, at_ms=20_999, card="another") == Verdict(1, "t.1")
    assert judged(one, at_ms=21_000) == Verdict(2), "at the window's end it is a second helping"
    assert judged(one, at_ms=1_001, station="quay-2") == Verdict(2), "at another counter at once"
    assert judged(one, at_ms=5_000, key=XE) == Verdict(1, "t.1"), "the meal's turn makes no other tray of it"
    assert judged(one, at_ms=60_000, key=XE) == Verdict(1)


def test_what_was_taken_back_is_as_if_it_never_was_and_gives_the_tray_before_it_its_window_again() -> None:
    one = book()
    one.note(serving("t.1", at_ms=0))
    one.note(serving("t.2", at_ms=30_000))
    second = one.of("t.2")
    assert second is not None and one.nth(second) == 2
    one.set_state(second, undone=True)
    assert judged(one, at_ms=30_001) == Verdict(2)
    assert judged(one, at_ms=19_999) == Verdict(1, "t.1")
    first = one.of("t.1")
    assert first is not None
    one.set_state(first, undone=True)
    assert judged(one, at_ms=1) == Verdict(1) and numbers(one) == (0, 0, 0, 0)
    one.set_state(first, undone=False)
    assert numbers(one) == (1, 0, 0, 1)


def test_a_serving_is_in_its_pupils_shift_and_a_strangers_in_the_one_of_the_moment() -> None:
    one = book()
    one.note(serving("t.1", "st-2", shift=1))
    one.note(serving("t.2", "st-3", shift=1))
    one.note(serving("t.3", None, shift=1))
    one.note(serving("t.4", "st-new", shift=2))
    assert numbers(one, 1) == (0, 0, 1, 0)
    assert numbers(one, 2) == (3, 0, 0, 1), "of three in their shift one was expected"


def test_a_strangers_helpings_are_in_the_shift_of_the_first_in_whatever_order_counters_hear_of_them() -> None:
    words = [(1, "b.1", 1), (2, "b.2", 2), (3, "b.3", 2)]
    for order in (words, words[::-1]):
        one = book()
        for place, tap, shift in order:
            one.heard("quay-b", Told(place, tap, "c-9", None, *LUNCH), shift)  # type: ignore[arg-type]
        assert numbers(one, 1) == (0, 2, 1, 0) and numbers(one, 2) == (0, 0, 0, 0)
    one.heard("quay-b", Told(4, "b.1", "c-9", None, *LUNCH, True), 1)  # type: ignore[arg-type]
    assert numbers(one, 1) == (0, 0, 0, 0) and numbers(one, 2) == (0, 1, 1, 0), "the first was no serving"


def test_another_counters_word_counts_once_and_is_taken_back_by_that_counter_alone() -> None:
    one = book()
    told = Told(1, "b.1", "c-st-1", "st-1", *LUNCH)  # type: ignore[arg-type]
    assert one.heard("quay-b", told, 1) is not None
    assert one.heard("quay-b", told, 1) is None, "twice changes nothing"
    assert judged(one) == Verdict(2) and numbers(one) == (1, 0, 0, 1)
    one.note(serving("t.1", at_ms=5))
    assert numbers(one) == (1, 1, 0, 1), "both served in the same second: one is a second helping"
    back = Told(2, "b.1", "c-st-1", "st-1", *LUNCH, True)  # type: ignore[arg-type]
    assert one.heard("quay-c", back, 1) is None
    assert one.heard("quay-b", back, 1) is not None
    assert one.heard("quay-b", back, 1) is None
    assert numbers(one) == (1, 0, 0, 1)
    assert one.heard("quay-b", Told(3, "t.1", "x", "st-1", *LUNCH, True), 1) is None  # type: ignore[arg-type]
    assert numbers(one) == (1, 0, 0, 1), "nobody speaks for our servings"
    assert one.heard("quay-b", Told(4, "b.2", "c-st-2", "st-2", *LUNCH, True), 1) is not None  # type: ignore[arg-type]
    assert judged(one, "st-2") == Verdict(1), "a withdrawal that came before its serving"


def test_a_card_that_nobody_knew_becomes_its_pupils_with_all_that_was_served_for_it() -> None:
    one = book()
    one.note(serving("t.1", None, card="c-9", at_ms=0))
    assert numbers(one) == (0, 0, 1, 0)
    one.note(serving("t.2", "st-1", card="c-9", at_ms=60_000))
    assert numbers(one) == (1, 1, 0, 1)
    first = one.of("t.1")
    assert first is not None
    one.set_state(first, undone=True)
    assert numbers(one) == (1, 0, 0, 1)
    assert judged(one, None, at_ms=90_000, card="c-9") == Verdict(2), (
        "a roster that is lost for a moment is no new pupil"
    )


def test_outside_of_every_meal_there_is_a_repeat_but_no_second_helping() -> None:
    one = book()
    one.note(serving("t.1", key=NO_MEAL, at_ms=0))
    assert judged(one, key=NO_MEAL, at_ms=5) == Verdict(1, "t.1")
    assert judged(one, key=NO_MEAL, at_ms=50_000) == Verdict(1)
    assert judged(one, at_ms=50_000) == Verdict(1)


def test_everything_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(room, "SERVINGS_MAX", 3)
    one = book()
    for number in range(5):
        assert one.note(serving(f"t.{number}", f"st-{number}")) == (number < 3)
        assert one.note(serving(f"n.{number}", f"st-{number}", key=NO_MEAL)), "nothing is lost where nothing is counted"
    assert one.unkept == 2
    for day in range(1, MEALS_KEPT + 5):
        one.note(serving(f"d.{day}", key=(f"2026-12-{day:02}", "lunch")))
    assert len(one._meals) == MEALS_KEPT and len(one._taps) == MEALS_KEPT
    assert one.of(f"d.{MEALS_KEPT + 4}") is not None and one.of("t.1") is None and one.of("d.1") is None
    monkeypatch.setattr(room, "HERE_MAX", 2)
    for number in range(4):
        one.note(serving(f"h.{number}", f"st-h{number}", key=(f"2026-12-{MEALS_KEPT + number:02}", "snack")))
    assert len(one._here) == 2 and HERE_MAX > 2


def test_a_hundredth_helping_is_called_the_ninety_ninth() -> None:
    one = book()
    for number in range(NTH_MAX + 2):
        one.note(serving(f"t.{number}", at_ms=number * 30_000))
    assert judged(one, at_ms=10**9) == Verdict(NTH_MAX)
    last = one.of(f"t.{NTH_MAX + 1}")
    assert last is not None and one.nth(last) == NTH_MAX


STEPS = st.lists(
    st.tuples(
        st.sampled_from(["serve", "repeat", "undo", "done", "second", "same", "hear", "back", "sheet"]),
        st.integers(0, 12),
        st.sampled_from(["st-1", "st-2", "st-3", "st-x", None]),
        st.sampled_from([LUNCH, XE, NO_MEAL]),
        st.integers(1, 2),
    ),
    max_size=60,
)


@given(STEPS)
@settings(max_examples=300, deadline=None)
def test_the_numbers_equal_a_count_from_scratch(steps: list[tuple[str, int, str | None, MealKey, int]]) -> None:
    one, census = book(), Census(SHEET)
    kept: dict[str, Serving] = {}
    for place, (what, tap, student, key, shift) in enumerate(steps):
        found = one.of(f"t.{tap}")
        if what in ("serve", "repeat"):
            made = serving(f"t.{tap}", student, key=key, shift=shift, at_ms=place * 9_000, same=what == "repeat")
            assert one.note(made) == (found is None), "a record is counted exactly once"
            kept.setdefault(f"t.{tap}", made)
        elif what in ("hear", "back"):
            day, meal = LUNCH
            heard = one.heard("b", Told(1, f"b.{tap}", f"c-{student}", student, day, meal, what == "back"), shift)  # type: ignore[arg-type]
            if heard is not None:
                kept.setdefault(f"b.{tap}", heard)
        elif what == "sheet":
            census = Census(SHEET if tap % 2 else None)
            one.rebuild(census)
        elif found is not None:
            words = {
                "undo": {"undone": True},
                "done": {"undone": False},
                "second": {"same": False},
                "same": {"same": True},
            }
            one.set_state(found, **words[what])
    people: dict[tuple[MealKey, str], list[Serving]] = {}
    for entry in kept.values():
        if entry.counts:
            people.setdefault((entry.key, entry.student or entry.card), []).append(entry)
    wanted: dict[tuple[MealKey, int], list[int]] = {}
    for (key, _), trays in people.items():
        student = trays[0].student
        shift = census.shift_of(key, student) or min(tray.shift for tray in trays)
        row = wanted.setdefault((key, shift), [0, 0, 0, 0])
        row[0] += student is not None
        row[1] += len(trays) - 1
        row[2] += student is None
        row[3] += census.expects(key, student)
    for key in (LUNCH, XE, NO_MEAL):
        for shift in (1, 2):
            assert numbers(one, shift, key) == tuple(wanted.get((key, shift), [0, 0, 0, 0]))


class _Asked(Census):
    """A census that counts how often it is asked whose shift something is."""

    asked = 0

    def shift_of(self, key: MealKey, student: str | None) -> int | None:
        self.asked += 1
        return super().shift_of(key, student)


def test_a_new_sheet_makes_no_tap_wait_until_all_days_are_counted_anew() -> None:
    one = book()
    days = [(f"2026-11-{day}", meal) for day in (25, 26, 27) for meal in ("lunch", "snack")]
    for key in days:
        for number in range(10):
            one.note(serving(f"{key}.{number}", f"st-{number}", key=key))
    census = _Asked(SHEET)
    one.rebuild(census)
    assert census.asked == 0, "this is done where lanes may wait"
    assert numbers(one) == (8, 0, 0, 1) and census.asked == 10, "the meal that is looked at, and no other"
    one.note(serving("late", "st-77", key=XE))
    assert census.asked == 10 and numbers(one, key=XE) == (11, 0, 0, 0), "one more is no count of all"


@pytest.mark.parametrize("taken_back", [True, False])
def test_who_speaks_of_our_records_before_they_are_made_speaks_for_nobody(taken_back: bool) -> None:
    one = book()
    one.heard("quay-b", Told(1, "t.7", "c", "st-2", *LUNCH, taken_back=taken_back), 1)  # type: ignore[arg-type]
    assert one.note(serving("t.7"))
    assert numbers(one) == (1, 0, 0, 1) and numbers(one, 2) == (0, 0, 0, 0)
    assert one.heard("quay-b", Told(2, "t.7", "c", "st-2", *LUNCH, taken_back=True), 1) is None  # type: ignore[arg-type]
    assert judged(one, at_ms=90_000) == Verdict(2)
    assert judged(one, "st-2") == Verdict(1), "who was named in it didn't eat by it"
