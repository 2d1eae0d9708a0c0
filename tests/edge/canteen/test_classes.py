"""The classes of a sitting: their numbers add up to the sitting's own, whatever was served, taken back or told."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edge.canteen import classes as room
from edge.canteen.census import Census
from edge.canteen.classes import class_tallies
from edge.canteen.ports import ClassTally
from edge.canteen.servings import Book, Serving
from protocol.countersheet import CounterSheet, Eater, MealPlan, Shift

DAY = "2026-11-27"
LUNCH = (DAY, "lunch")
PUPILS = (
    Eater("st-1", "An", "10A1", meals=["lunch"]),
    Eater("st-2", "Bình", "3A", meals=["lunch"]),
    Eater("st-3", "Chi", "3A"),
    Eater("st-4", "Dũng", "4B", meals=["lunch", "snack"]),
    Eater("st-5", "Em", "9C"),
    Eater("st-6", "Giang", "", meals=["lunch"]),
)


def sheet(day: str = DAY) -> CounterSheet:
    shifts = [Shift(1, "10:30", "11:10", ["3A", "10A1", "9C", ""]), Shift(2, "11:10", "11:50", ["4B"])]
    return CounterSheet(1, f"{day}T08:00:00+07:00", "s", day, [MealPlan("lunch", shifts)], list(PUPILS))


def counted(*students: str | None, census: Census | None = None) -> Book:
    made = Book()
    made.rebuild(census or Census(sheet()))
    for number, student in enumerate(students):
        made.note(Serving(f"t.{number}", LUNCH, student, f"c-{student or number}", station="quay-1"))
    return made


def test_each_class_of_the_shift_stands_with_its_numbers_and_nobody_of_another_shift() -> None:
    census = Census(sheet())
    assert class_tallies(census, counted("st-2", "st-3", "st-4", "st-2"), LUNCH, 1) == (
        ClassTally("3A", 1, 2, 0),
        ClassTally("10A1", 1, 0, 1),
        ClassTally("", 1, 0, 1),
    ), "a second helping and another shift count nowhere, whom nobody expects counts as served"
    assert class_tallies(census, counted("st-4"), LUNCH, 2) == (ClassTally("4B", 1, 1, 0),)
    served = class_tallies(census, counted("st-new", None), LUNCH, 1)
    assert served[-1] == ClassTally("", 1, 1, 1), "whom the sheet doesn't know, as the shift's own number; no stranger"
    assert class_tallies(Census(), Book(), LUNCH, 1) == ()


def test_a_sheet_of_another_day_expects_nobody_and_still_knows_the_classes() -> None:
    census = Census(sheet("2026-11-26"))
    assert class_tallies(census, counted("st-2", census=census), LUNCH, 1) == (ClassTally("3A", 0, 1, 0),)


STEPS = st.lists(
    st.tuples(
        st.sampled_from([*(one.student for one in PUPILS), "st-new", None]),
        st.sampled_from(["serve", "undo", "same", "redo", "sheet"]),
    ),
    max_size=20,
)


@given(STEPS, st.integers(1, 2))
@settings(max_examples=150)
def test_the_classes_add_up_to_the_sitting_and_equal_a_count_from_scratch(
    steps: list[tuple[str | None, str]], shift: int
) -> None:
    census = Census(sheet())
    book, servings = counted(), []
    for number, (student, what) in enumerate(steps):
        if what == "serve":
            servings.append(Serving(f"t.{number}", LUNCH, student, f"c-{student or number}", station="quay-1"))
            book.note(servings[-1])
        elif what == "sheet":
            book.rebuild(census)
        elif servings:
            book.set_state(servings[number % len(servings)], undone=what == "undo", same=what == "same")
    tallies, whole = class_tallies(census, book, LUNCH, shift), book.count(LUNCH, shift)
    assert sum(one.served for one in tallies) == whole.served
    assert sum(one.expected for one in tallies) == census.expected(LUNCH, shift)
    assert sum(one.left for one in tallies) == census.expected(LUNCH, shift) - whole.due
    ate = {one.student for one in servings if one.counts}
    for tally in (one for one in tallies if one.school_class):
        mine = [one for one in PUPILS if one.school_class == tally.school_class]
        expected = [one for one in mine if "lunch" in one.meals]
        assert tally.expected == len(expected) and tally.served == sum(one.student in ate for one in mine)
        assert tally.left == sum(one.student not in ate for one in expected)


def test_of_more_classes_than_can_be_looked_at_the_rest_is_told_together(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(room, "CLASSES_MAX", 2)
    told = class_tallies(Census(sheet()), counted("st-5"), LUNCH, 1)
    assert [(one.school_class, one.more) for one in told] == [("3A", 0), ("9C", 0), ("", 1), ("", 0)]
    monkeypatch.setattr(room, "CLASSES_MAX", 1)
    told = class_tallies(Census(sheet()), counted("st-5", "st-new"), LUNCH, 1)
    assert told[1:] == (ClassTally("", 1, 1, 1, more=2), ClassTally("", 1, 1, 1)), "9C and 10A1, and whom nobody knows"
    assert sum(one.expected for one in told) == Census(sheet()).expected(LUNCH, 1), "nobody is left out"
    monkeypatch.setattr(room, "CLASSES_MAX", 3)
    assert not any(one.more for one in class_tallies(Census(sheet()), counted("st-5"), LUNCH, 1))
