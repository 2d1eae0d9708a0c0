"""Completeness: nobody is called absent while a gate's records may be missing, whatever the reason."""

from __future__ import annotations

import pytest

from hub.attendance.completeness import MINUTE_MS, Completeness, completeness
from hub.attendance.evidence import DAY_MS, Watermark

T = 1_000_000


def expected(device: str) -> Watermark:
    return Watermark(f"e.{device}", device, "expected", 0)


def complete(device: str, to_ms: int, *, error_ms: int = 0, last: int = 5, held: int = 5) -> Watermark:
    return Watermark(f"c.{device}.{to_ms}", device, "complete", to_ms, to_ms, error_ms, last, held)


BOTH = (expected("a"), expected("b"))


@pytest.mark.parametrize(
    ("words", "waiting"),
    [
        (BOTH, ("a", "b")),
        ((*BOTH, complete("a", T)), ("b",)),
        ((*BOTH, complete("a", T), complete("b", T)), ()),
        ((*BOTH, complete("a", T), complete("b", T - 1)), ("b",)),
        ((*BOTH, complete("a", T), complete("b", T + 40, error_ms=50)), ("b",)),
        ((*BOTH, complete("a", T), complete("b", T + 50, error_ms=50)), ()),
        ((*BOTH, complete("a", T), complete("b", T + 9, last=7, held=6)), ("b",)),
        # A restored device: what its earlier run said of that time still stands.
        ((*BOTH, complete("a", T), complete("b", T + 5), complete("b", T + 9, last=7, held=3)), ()),
        ((*BOTH, complete("a", T), complete("b", T + 5), complete("b", T - 500)), ()),
        # One that nobody expected tells of itself: it stands somewhere.
        ((expected("a"), complete("a", T), complete("c", T - 5)), ("c",)),
        ((), ("*",)),
    ],
)
def test_what_is_waited_for(words: tuple[Watermark, ...], waiting: tuple[str, ...]) -> None:
    for order in (words, words[::-1]):
        assert completeness(order, T).waiting == waiting
        assert completeness(order, T).complete == (not waiting)


def test_a_retired_device_is_waited_for_up_to_its_end() -> None:
    words = (*BOTH, complete("a", T), Watermark("r", "b", "retired", T - 10))
    assert completeness(words, T).complete
    assert completeness((*words, complete("a", T - 20)), T - 20).waiting == ("b",)
    assert completeness((expected("b"), Watermark("r", "b", "retired", 0)), T).waiting == ("*",), "nobody stands there"


def test_a_waiver_names_a_person_and_holds_up_to_its_time() -> None:
    words = (*BOTH, complete("a", T), Watermark("w", "b", "waived", T, T, by="thay-minh"))
    assert completeness(words, T) == Completeness((), (("b", "thay-minh"),))
    assert completeness(words, T + 1).waiting == ("a", "b")
    assert completeness((*words, complete("b", T)), T).waived == (), "what came after all needs no waiver"


def test_a_gate_that_was_not_there_yet_makes_nothing_complete() -> None:
    words = (Watermark("e", "a", "expected", T), complete("a", T + 100))
    assert completeness(words, T - 1).waiting == ("*",), "whatever it claims, it saw nobody then"
    assert completeness(words, T + 50).complete
    assert completeness(words, T + 50, from_ms=T - MINUTE_MS).waiting == ("*",), (
        "the time began before the first gate stood"
    )
    assert completeness(words, T + 50, from_ms=T - MINUTE_MS + 1).complete
    person = Watermark("w", "a", "waived", T, T + 50, by="thay-minh")
    assert completeness((*words, person), T + 50, from_ms=T - MINUTE_MS).complete, "a person decided"


def test_nothing_is_complete_before_it_is_past_also_where_a_person_waits_no_longer() -> None:
    ahead = (expected("a"), Watermark("w", "a", "waived", T - 10, T + 10, by="thay-minh"))
    assert completeness(ahead, T, now_ms=T - 1).waiting == ("a",)
    assert completeness(ahead, T, now_ms=T) == Completeness((), (("a", "thay-minh"),))


def test_what_a_device_retired_that_day_never_brought_is_named() -> None:
    retired = Watermark("r", "b", "retired", T - 10)
    assert completeness((*BOTH, complete("a", T), retired), T).waived == (("b", "retired"),)
    assert completeness((*BOTH, complete("a", T), complete("b", T - 10), retired), T).waived == ()
    long_ago = (Watermark("e.b", "b", "expected", -3 * DAY_MS), Watermark("r", "b", "retired", T - DAY_MS))
    assert completeness((expected("a"), complete("a", T), *long_ago), T) == Completeness(())
    again = Watermark("e.again", "b", "expected", T - 5)
    for order in ((*BOTH, complete("a", T), retired, again), (again, retired, complete("a", T), *BOTH)):
        assert completeness(order, T).waiting == ("b",), "it stands at a gate again"
