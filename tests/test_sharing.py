"""Tests are dealt out to workers: none twice, none forgotten, the long ones first in every piece."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from tests.sharing import shared_out


@given(st.lists(st.booleans(), max_size=80), st.integers(2, 8))
def test_no_test_is_forgotten_or_twice(long: list[bool], workers: int) -> None:
    order = shared_out(range(len(long)), workers, lambda item: long[item])
    assert sorted(order) == list(range(len(long)))


def test_each_piece_begins_with_its_share_of_the_long_ones() -> None:
    order = shared_out(range(100), 4, lambda item: item >= 88)
    pieces = [order[at : at + 25] for at in range(0, 100, 25)]
    assert [[item for item in piece if item >= 88] for piece in pieces] == [piece[:3] for piece in pieces]
    assert [piece[0] for piece in pieces] == [88, 91, 94, 97] and all(piece[3] < 88 for piece in pieces)
