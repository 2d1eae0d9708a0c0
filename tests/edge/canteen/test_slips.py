"""The slips: what waits for staff and what was served last, each within its bound."""

from __future__ import annotations

from edge.canteen.ports import Shown
from edge.canteen.slips import NAMES_MAX, RECENT_SHOWN, WAITING_MAX, WAITING_MS, Slip, Slips


def slip(tap: str, card: str = "", at_ms: int = 0) -> Slip:
    return Slip(tap, card or f"c-{tap}", "10:45:00", at_ms)


def test_a_card_that_was_referred_waits_once_until_somebody_is_served_for_it_or_it_went_away() -> None:
    slips = Slips()
    slips.referred(slip("t.1", "c-1", 0))
    slips.referred(slip("t.2", "c-2", 1))
    slips.referred(slip("t.3", "c-1", 2))
    assert [one.tap for one in slips.waiting(3)] == ["t.1", "t.2"], "newest first, each card once, by its first record"
    assert (slips.newest("t.1"), slips.newest("t.2"), slips.newest("x")) == ("t.3", "t.2", "x")
    slips.served(slip("t.4", "hand"), "t.2")
    assert [one.tap for one in slips.waiting(3)] == ["t.1"] and slips.answer_to("t.2") == "t.4"
    slips.served(slip("t.5", "c-1"), None)
    assert slips.answer_to("t.1") == slips.answer_to("t.3") == "t.5"
    assert [one.tap for one in slips.waiting(3)] == [], "the card is known since: it was accepted"
    slips.referred(slip("t.6", at_ms=10))
    assert len(list(slips.waiting(9 + WAITING_MS))) == 1 and list(slips.waiting(10 + WAITING_MS)) == []


def test_a_card_is_answered_by_whichever_of_its_records_and_waits_anew_when_it_is_held_after_that() -> None:
    for of in ("t.1", "t.2", "t.3"):
        slips = Slips()
        for at_ms, tap in enumerate(("t.1", "t.2", "t.3")):
            slips.referred(slip(tap, "c-1", at_ms))
            assert slips.card_of(tap) == "c-1"
        slips.served(slip("t.4", "hand"), of)
        assert list(slips.waiting(3)) == [] and {slips.answer_to(f"t.{n}") for n in (1, 2, 3)} == {"t.4"}
        slips.referred(slip("t.5", "c-1", 5))
        assert [one.tap for one in slips.waiting(6)] == ["t.5"] and slips.answer_to("t.5") is None


def test_a_line_keeps_its_name_however_often_its_card_is_held() -> None:
    slips = Slips()
    for number in range(2 * NAMES_MAX):
        slips.referred(slip(f"r.{number}", "c-1"))
    assert [one.tap for one in slips.waiting(0)] == ["r.0"] and len(slips._waits) == NAMES_MAX
    assert slips.newest("r.0") == f"r.{2 * NAMES_MAX - 1}" and slips.newest("r.1") == "r.1"


def test_lists_are_bounded_and_begin_with_the_newest() -> None:
    slips = Slips()
    for number in range(30):
        slips.referred(slip(f"r.{number}"))
        slips.served(slip(f"s.{number}"), f"of.{number}")
    assert [one.tap for one in slips.recent()] == [f"s.{29 - n}" for n in range(RECENT_SHOWN)]
    assert [one.tap for one in slips.waiting(0)] == [f"r.{29 - n}" for n in range(WAITING_MAX)]
    for number in range(30, 30 + NAMES_MAX):
        slips.served(slip(f"s.{number}"), f"of.{number}")
    assert slips.answer_to("of.299") == "s.299" and slips.card_of("of.299") == "" and slips.answer_to("of.0") is None


def test_what_is_shown_has_a_number_that_grows() -> None:
    slips = Slips()
    assert (slips.shown.shape, slips.shown.number) == ("idle", 0)
    for number in (1, 2):
        slips.show(Shown(0, "accepted", 5, "t.1"))
        assert (slips.shown.number, slips.shown.tap) == (number, "t.1")
