"""Vietnamese names: one spelling, the order of lists, search with and without accents."""

from __future__ import annotations

import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from protocol.names import LETTERS, class_order, folded, found_by, name_order, spelled


def test_lists_sort_by_given_name_in_the_order_of_the_alphabet_and_the_tones() -> None:
    order = [
        "Nguyễn An",
        "Lê Ánh",
        "Trần Ăn",
        "Lê Ân",
        "Vũ Dung",
        "Nguyễn Dũng",
        "Phan Dương",
        "Trần Văn Đạt",
        "Đỗ Hoa",
        "Phạm Hòa",
        "Lý Hoàng",
        "Bùi Ô",
        "An Ơ",
        "Ngô Thị Út",
        "Cao Ưng",
        "Zhang Zoe",
    ]
    assert sorted(order[::-1], key=name_order) == order


def test_tones_count_behind_letters_and_family_names_behind_given_names() -> None:
    tones = ["Ma", "Mà", "Mả", "Mã", "Má", "Mạ"]
    assert sorted(tones[::-1], key=name_order) == tones
    assert sorted(["Trần Văn An", "Lê Văn An", "Lê Thị An"], key=name_order) == [
        "Lê Thị An",
        "Lê Văn An",
        "Trần Văn An",
    ]
    assert sorted(["Lê Mạ", "Lê Man"], key=name_order) == ["Lê Mạ", "Lê Man"], "letters before any tone"


def test_where_a_tone_stands_and_how_it_is_composed_make_no_other_name() -> None:
    assert name_order("Phan Hoà")[:2] == name_order("Phan Hòa")[:2]
    assert spelled(unicodedata.normalize("NFD", " Đặng  Hoà ")) == "Đặng Hoà"


def test_classes_sort_by_their_numbers() -> None:
    order = ["1A", "1B", "3/2", "3/10", "8.2", "8.10", "8.11", "10A1", "12A7"]
    assert sorted(order[::-1], key=class_order) == order


@pytest.mark.parametrize(
    ("query", "found"),
    [
        ("dang", True),
        ("hoa d", True),
        ("HOA", True),
        ("đặng", True),
        ("hòa", True),
        ("hoà", True),
        ("đă", True),
        ("hoá", False),
        ("đa", False),
        ("ang", False),
        ("hoa x", False),
        ("", True),
    ],
)
def test_search_wants_accents_only_where_they_were_typed(query: str, found: bool) -> None:
    assert found_by(query, "Đặng Thị Hoà") == found


def test_no_letter_is_lost_by_folding() -> None:
    assert folded("Đỗ Ưng Ỹ") == "do ung y"
    assert {len(folded(letter)) for letter in LETTERS} == {1}


@given(st.text(max_size=30))
def test_any_text_has_a_place_and_is_found_by_itself(text: str) -> None:
    name_order(text), class_order(text)
    once = spelled(text)
    assert spelled(once) == once
    assert found_by(text, text)
