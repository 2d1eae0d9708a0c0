"""Receipts: marks say what they cover, bounded, and say the same to whoever reads them."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from protocol.envelope import digest, rfc3339
from protocol.errors import BadMessage
from protocol.ranges import RangeSet
from protocol.receipts import (
    MISSING_MAX,
    WALL_MS_MAX,
    HubTime,
    JournalMarks,
    Mark,
    Receipt,
    decode_receipt,
    encode_receipt,
    held_of,
    mark_of,
)
from protocol.taps import SEQUENCE_MAX

JOURNAL = "0b6f5c9e7d2a4f18"
HEAD = digest(b"a record")
MEMBERS = st.sets(st.integers(1, 80), max_size=60)


def ranges(members: set[int]) -> RangeSet:
    return RangeSet((member, member) for member in members)


@given(MEMBERS, st.data())
def test_a_mark_says_what_is_held(members: set[int], data: st.DataObject) -> None:
    aside = data.draw(st.sets(st.sampled_from(sorted(members)), max_size=10)) if members else set()
    through, missing, parked = mark_of(ranges(members), ranges(aside))
    assert through == max(members, default=0)
    mark = Mark(through, HEAD if through else None, missing, parked=parked)
    assert held_of(mark) == ranges(members)
    assert {n for first, last in parked for n in range(first, last + 1)} == aside
    receipt = Receipt("epoch", {JOURNAL: JournalMarks(mark)})
    assert decode_receipt(encode_receipt(receipt)) == receipt


@given(st.integers(MISSING_MAX - 3, MISSING_MAX + 40))
def test_more_holes_than_fit_lower_what_is_claimed(holes: int) -> None:
    """What isn't listed isn't claimed: a gateway then offers it again, it never forgets it."""
    held = RangeSet((2 * number, 2 * number) for number in range(1, holes + 1))
    through, missing, aside = mark_of(held, held)
    assert len(missing) <= MISSING_MAX
    assert len(aside) <= MISSING_MAX
    told = held_of(Mark(through, HEAD, missing))
    assert all(held.covers(first, last) for first, last in told)
    assert through == (2 * holes if holes <= MISSING_MAX else 2 * MISSING_MAX)


def test_what_is_set_aside_is_bounded_too() -> None:
    aside = RangeSet((2 * number, 2 * number) for number in range(1, MISSING_MAX + 40))
    through, missing, parked = mark_of(RangeSet([(1, 1_000)]), aside)
    assert (through, missing, len(parked)) == (1_000, [], MISSING_MAX)


def test_nothing_held_is_a_mark_too() -> None:
    assert mark_of(RangeSet()) == (0, [], [])
    assert not held_of(Mark(0, None))


def body(**mark: Any) -> bytes:
    hub = {"through": 9, "head": HEAD} | mark
    return json.dumps({"epoch": "e", "journals": {JOURNAL: {"hub": hub}}}).encode()


@pytest.mark.parametrize(
    "mark",
    [
        {"through": -1},
        {"through": SEQUENCE_MAX + 1},
        {"through": 0},
        {"through": 3.5},
        {"head": None},
        {"head": "short"},
        {"missing": [[0, 1]]},
        {"missing": [[3, 2]]},
        {"missing": [[1, 2], [2, 3]]},
        {"missing": [[5, 6], [1, 2]]},
        {"missing": [[9, 10]]},
        {"missing": [[1]]},
        {"missing": [[1, 2, 3]]},
        {"missing": "all"},
        {"parked": [[10, 11]]},
        {"dead": [[4, 4], [4, 4]]},
    ],
    ids=str,
)
def test_an_impossible_mark_is_refused(mark: dict[str, Any]) -> None:
    assert decode_receipt(body()).journals
    with pytest.raises(BadMessage):
        decode_receipt(body(**mark))


def test_the_citys_mark_is_held_to_the_same() -> None:
    whole = json.loads(body())
    whole["journals"][JOURNAL]["city"] = {"through": 2, "head": None}
    with pytest.raises(BadMessage):
        decode_receipt(json.dumps(whole).encode())


@pytest.mark.parametrize(("hub", "err"), [(-1, 0), (WALL_MS_MAX + 1, 0), (10**30, 0), (1, -1), (1, 10**30)])
def test_a_time_that_no_record_could_say_is_refused(hub: int, err: int) -> None:
    whole = json.loads(body()) | {"time": {"hub": WALL_MS_MAX, "err": 0, "echo_mono": 1, "echo_boot": "7d3e0c2a"}}
    time = decode_receipt(json.dumps(whole).encode()).time
    assert time is not None and rfc3339(time.hub).startswith("9996-")
    whole["time"] |= {"hub": hub, "err": err}
    with pytest.raises(BadMessage):
        decode_receipt(json.dumps(whole).encode())


@pytest.mark.parametrize("journal", ["", "x", JOURNAL.upper(), JOURNAL + "0"])
def test_a_journal_that_is_none_is_refused(journal: str) -> None:
    text = body().replace(JOURNAL.encode(), journal.encode())
    with pytest.raises(BadMessage):
        decode_receipt(text)


@given(st.binary(max_size=200))
def test_hostile_bytes_are_refused(raw: bytes) -> None:
    with pytest.raises(BadMessage):
        decode_receipt(raw)


def test_what_is_empty_is_left_out() -> None:
    receipt = Receipt("e", {JOURNAL: JournalMarks(Mark(0, None))}, HubTime(1, 2, 3, "7d3e0c2a"))
    assert encode_receipt(receipt) == (
        b'{"epoch":"e","journals":{"0b6f5c9e7d2a4f18":{"hub":{"through":0,"head":null}}},'
        b'"time":{"hub":1,"err":2,"echo_mono":3,"echo_boot":"7d3e0c2a"}}'
    )
