"""RangeSet against a plain set, over random histories."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from protocol.ranges import RangeSet

STEPS = st.lists(st.tuples(st.booleans(), st.integers(1, 60), st.integers(0, 9)), max_size=40)


@given(STEPS)
def test_range_set_is_a_set(steps: list[tuple[bool, int, int]]) -> None:
    ranges, plain = RangeSet(), set()
    for add, first, more in steps:
        members = range(first, first + more + 1)
        if add:
            ranges.add(first, first + more)
            plain |= set(members)
        else:
            ranges.remove(first, first + more)
            plain -= set(members)
        assert ranges.overlaps(first, first + more) == bool(plain & set(members))
        assert ranges.covers(first, first + more) == (plain >= set(members))
    assert len(ranges) == len(plain)
    assert [n for n in range(80) if n in ranges] == sorted(plain)
    holes = {n for low, high in ranges.gaps(1, 75) for n in range(low, high + 1)}
    assert holes == set(range(1, 76)) - plain
    flat = [edge for piece in ranges for edge in piece]
    assert flat == sorted(flat)
    assert all(high + 1 < low for (_, high), (low, _) in zip(list(ranges), list(ranges)[1:], strict=False))
