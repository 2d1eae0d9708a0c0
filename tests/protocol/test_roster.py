"""Roster releases: whole or nothing, bounded, with the columns of their station kind only."""

from __future__ import annotations

import gzip
import json
import tracemalloc
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from protocol.errors import BadMessage
from protocol.roster import COLUMNS, RELEASE_BYTES_MAX, TEXT_CHARACTERS_MAX, Release, pack_release, unpack_release
from protocol.taps import STATION_KINDS

KINDS = st.sampled_from(STATION_KINDS)


@given(KINDS, st.dictionaries(st.text(max_size=14), st.just(None), max_size=20), st.integers(1, 10**9), st.data())
def test_round_trip(kind: str, cards: dict[str, None], number: int, data: st.DataObject) -> None:
    row = st.lists(st.text(max_size=20), min_size=len(COLUMNS[kind]), max_size=len(COLUMNS[kind]))
    release = Release("r", number, "s1", kind, [1, 2], {card: data.draw(row) for card in cards}, {"hk1:x": "lost"})
    packed = pack_release(release)
    assert unpack_release(packed) == release
    assert pack_release(unpack_release(packed)) == packed, "the same bytes for the same release"


def test_gates_hold_no_name_and_nobody_learns_of_payment() -> None:
    assert COLUMNS["gate"] == ("student",)
    assert set(COLUMNS) == set(STATION_KINDS)
    assert {column for columns in COLUMNS.values() for column in columns} == {"student", "display_name", "class"}


def packed(**change: Any) -> bytes:
    whole = {"release": "r", "number": 1, "school": "s1", "kind": "gate", "keys": [1], "cards": {"hk1:a": ["st-1"]}}
    return gzip.compress(json.dumps(whole | change).encode())


@pytest.mark.parametrize(
    "change",
    [
        {"kind": "kitchen"},
        {"number": 0},
        {"number": "1"},
        {"keys": []},
        {"keys": ["1"]},
        {"cards": {"hk1:a": []}},
        {"cards": {"hk1:a": ["st-1", "An"]}},
        {"cards": {"hk1:a": "st-1"}},
        {"cards": []},
        {"kind": "canteen"},
        {"blocked": {"hk1:b": "debt"}},
        {"blocked": {"hk1:b": None}},
        {"release": "r" * (TEXT_CHARACTERS_MAX + 1)},
        {"cards": {"hk1:a": ["s" * (TEXT_CHARACTERS_MAX + 1)]}},
    ],
    ids=lambda change: str(change)[:40],
)
def test_a_release_that_breaks_a_rule_is_refused_whole(change: dict[str, Any]) -> None:
    assert unpack_release(packed()).cards
    with pytest.raises(BadMessage):
        unpack_release(packed(**change))


@given(st.data())
def test_a_cut_release_is_refused(data: st.DataObject) -> None:
    whole = packed()
    with pytest.raises(BadMessage):
        unpack_release(whole[: data.draw(st.integers(0, len(whole) - 1))])


@given(st.binary(max_size=200))
def test_hostile_bytes_are_refused(body: bytes) -> None:
    with pytest.raises(BadMessage):
        unpack_release(body)


@pytest.mark.parametrize("size", [RELEASE_BYTES_MAX + 1, RELEASE_BYTES_MAX * 6])
def test_a_bomb_is_refused_without_being_unpacked(size: int) -> None:
    release = gzip.decompress(packed())
    bomb = gzip.compress(release + b" " * (size - len(release)), compresslevel=9)
    assert len(bomb) < 100_000
    tracemalloc.start()
    try:
        with pytest.raises(BadMessage, match=str(RELEASE_BYTES_MAX)):
            unpack_release(bomb)
        assert tracemalloc.get_traced_memory()[1] < 3 * RELEASE_BYTES_MAX
    finally:
        tracemalloc.stop()
