"""Decisions: the whole table of outcomes and reasons, and the repeat window's edges."""

from __future__ import annotations

import dataclasses
from itertools import product

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge.decide import REMEMBERED_CARDS_MAX, RecentTaps, decide
from protocol.cards import CardUid
from protocol.roster import Release
from protocol.taps import REASONS

CARD = CardUid("a", "04A1B2C3D4E580")
RELEASE = Release(
    "r-1",
    1,
    "s1",
    "gate",
    [1],
    {"hk1:in": ["st-1"]},
    {"hk1:lost": "lost", "hk1:old": "not-enrolled", "hk1:two": "ambiguous"},
)
FALSE_NUMBERS = {"00000000": "misread", "FFFFFFFF": "misread", "08123456": "random"}


def _recent(card: str | None = None) -> RecentTaps:
    recent = RecentTaps(5_000)
    if card is not None:
        recent.accepted(card, 1_000, "st-then")
    return recent


def _expected(hex_: str, keyed: str, school_key: bool, roster: bool, again: bool) -> tuple[str, str | None, str | None]:
    """The table in words, top to bottom; the first line that fits counts."""
    if hex_ in FALSE_NUMBERS:
        return "refused", FALSE_NUMBERS[hex_], None
    if school_key and roster and keyed == "hk1:lost":
        return "refused", "lost", None
    if again:
        return "repeated", "repeat", "st-then"
    if not school_key:
        return "accepted", "no-card-key", None
    if not roster:
        return "accepted", "no-roster", None
    return {
        "hk1:in": ("accepted", None, "st-1"),
        "hk1:lost": ("refused", "lost", None),
        "hk1:old": ("refused", "not-enrolled", None),
        "hk1:two": ("refused", "ambiguous", None),
        "hk1:none": ("refused", "unknown", None),
    }[keyed]


@pytest.mark.parametrize("hex_", ["04A1B2C3D4E580", *FALSE_NUMBERS])
@pytest.mark.parametrize("keyed", ["hk1:in", "hk1:lost", "hk1:old", "hk1:two", "hk1:none"])
def test_the_whole_table(hex_: str, keyed: str) -> None:
    for school_key, roster, again in product((True, False), repeat=3):
        judged = decide(
            CardUid("a", hex_),
            keyed,
            school_key=school_key,
            release=RELEASE if roster else None,
            recent=_recent(keyed if again else None),
            at_ms=2_000,
        )
        expected = _expected(hex_, keyed, school_key, roster, again)
        assert (judged.outcome, judged.reason, judged.student) == expected
        assert judged.roster == ("r-1" if roster else None)


def test_every_reason_of_the_closed_list_is_given_by_some_line_of_the_table() -> None:
    lines = product(
        ["04A1B2C3D4E580", *FALSE_NUMBERS], RELEASE.blocked.keys() | {"hk1:in", "hk1:none"}, *[(True, False)] * 3
    )
    assert {_expected(*line)[1] for line in lines} == {None, *REASONS}


def test_payment_is_not_a_thing_that_a_decision_could_see() -> None:
    names = {
        field.name
        for field in dataclasses.fields(decide(CARD, "x", school_key=True, release=None, recent=_recent(), at_ms=0))
    }
    assert names == {"outcome", "reason", "student", "roster"}


@given(st.integers(0, 600_000), st.integers(-700_000, 700_000))
def test_a_repeat_is_what_came_within_the_window(window_ms: int, apart_ms: int) -> None:
    recent = RecentTaps(window_ms)
    recent.accepted("c", 1_000_000, "st-1")
    again, pupil = recent.pupil_if_repeat("c", 1_000_000 + apart_ms)
    assert again == (abs(apart_ms) < window_ms)
    assert pupil == ("st-1" if again else None)
    assert recent.pupil_if_repeat("d", 1_000_000) == (False, None)


@given(st.lists(st.tuples(st.sampled_from("abc"), st.integers(0, 20_000)), max_size=30))
def test_the_last_acceptance_counts_whatever_order_the_journal_brings_them_back_in(taps: list[tuple[str, int]]) -> None:
    recent, latest = RecentTaps(5_000), dict[str, int]()
    for card, at_ms in taps:
        recent.accepted(card, at_ms, None)
        latest[card] = max(at_ms, latest.get(card, 0))
    for card, at_ms in latest.items():
        assert recent.pupil_if_repeat(card, at_ms + 4_999)[0]
        assert not recent.pupil_if_repeat(card, at_ms + 5_000)[0]


def test_it_is_bounded() -> None:
    recent = RecentTaps(5_000)
    for number in range(REMEMBERED_CARDS_MAX + 10):
        recent.accepted(str(number), number, None)
    assert not recent.pupil_if_repeat("9", 10)[0]
    assert recent.pupil_if_repeat("10", 10)[0]
    assert len(recent._seen) == REMEMBERED_CARDS_MAX


def test_at_the_bound_the_card_that_was_accepted_longest_ago_is_forgotten() -> None:
    recent = RecentTaps(5_000)
    for number in range(REMEMBERED_CARDS_MAX):
        recent.accepted(str(number), number, None)
    recent.accepted("0", REMEMBERED_CARDS_MAX, None)
    recent.accepted("new", REMEMBERED_CARDS_MAX + 1, None)
    assert recent.pupil_if_repeat("0", REMEMBERED_CARDS_MAX + 2)[0]
    assert not recent.pupil_if_repeat("1", 2)[0]
