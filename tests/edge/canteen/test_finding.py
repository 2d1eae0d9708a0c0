"""Finding a pupil: without accents, by words' beginnings, by class, also as a numeric keypad types it."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge.canteen.finding import LIMIT_MAX, Finder, as_keys
from protocol.countersheet import Eater

EATERS = [
    Eater("st-1", "Đặng Thị Hoà", "3/2", meals=["lunch"]),
    Eater("st-2", "Nguyễn Văn An", "3/2"),
    Eater("st-3", "Nguyễn Văn An", "1A", meals=["lunch"]),
    Eater("st-4", "Trần Ân", "10A1", meals=["lunch"]),
]


def found(words: str, limit: int = 8) -> list[str]:
    return [eater.student for eater in Finder(EATERS).find(words, limit, lambda eater: "lunch" in eater.meals)]


@pytest.mark.parametrize(
    ("words", "students"),
    [
        ("dang", ["st-1"]),
        ("hòa", ["st-1"]),
        ("hoa đặng", ["st-1"]),
        ("an", ["st-3", "st-4", "st-2"]),
        ("ân", ["st-4"]),
        ("nguyen an", ["st-3", "st-2"]),
        ("an 3/2", ["st-2"]),
        ("32", ["st-1", "st-2"]),
        ("1a", ["st-3"]),
        ("1", []),
        ("xyz", []),
        ("", []),
        ("  ", []),
    ],
)
def test_words_find_expected_pupils_first_and_lists_order_the_rest(words: str, students: list[str]) -> None:
    assert found(words) == students


def test_who_is_of_the_class_comes_before_whoever_has_such_a_name() -> None:
    eaters = [Eater("name", "Ba An", "1A", meals=["lunch"]), Eater("other", "Vy", "2/2"), Eater("late", "An", "2A")]
    eaters.append(Eater("expected", "Yến", "2A", meals=["lunch"]))
    finder = Finder(eaters)
    assert [one.student for one in finder.find("22", 8, lambda one: bool(one.meals))] == [
        "expected",
        "late",
        "other",
        "name",
    ]
    assert [one.student for one in finder.find("2a", 8, lambda one: bool(one.meals))] == ["expected", "late"]


def test_a_limit_is_held() -> None:
    assert found("an", 1) == ["st-3"] and len(found("an", 0)) == 1
    many = Finder([Eater(f"st-{n}", "An", "1A") for n in range(LIMIT_MAX + 9)])
    assert len(many.find("an", 10**9, lambda _: False)) == LIMIT_MAX
    assert many.knows("st-1") and not many.knows("st-x")


@given(st.text(max_size=300))
def test_whatever_is_typed_only_pupils_are_found(words: str) -> None:
    assert set(found(words)) <= {"st-1", "st-2", "st-3", "st-4"}


KEYPAD = Finder([Eater("an", "Nguyễn Thị An", "3/2"), Eater("dang", "Lê Đặng", "3A"), Eater("ten", "Trần Ân", "10A7")])


@pytest.mark.parametrize(
    ("typed", "students"),
    [
        ("32", ["dang", "an"]),
        ("326", ["dang"]),
        ("1027", ["ten"]),
        ("26", ["an", "ten"]),
        ("32 26", ["an"]),
        ("64 26", ["an"]),
        ("1", []),
        ("0", []),
    ],
)
def test_a_numeric_keypad_types_names_and_classes_as_a_phone_does(typed: str, students: list[str]) -> None:
    assert [eater.student for eater in KEYPAD.find(typed, 8, lambda _: True)] == students


def test_what_no_key_types_is_left_out() -> None:
    assert (as_keys("dang"), as_keys("3/2"), as_keys("12a7"), as_keys("8.10")) == ("3264", "32", "1227", "810")
