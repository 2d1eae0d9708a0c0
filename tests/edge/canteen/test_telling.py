"""Telling: places, pages that fit a frame, and what is forgotten, which others learn."""

from __future__ import annotations

import msgspec
import pytest

from edge.canteen import telling as room
from edge.canteen.telling import PAGE_BYTES, Telling
from protocol.served import Told, Word, decode_word
from tests.edge.canteen.circle import told


def test_places_begin_at_one_and_a_record_is_told_again_only_when_it_changed() -> None:
    one = Telling()
    assert one.add(told("j.1")) and one.add(msgspec.structs.replace(told("j.2"), place=77))
    assert not one.add(told("j.1"))
    assert one.add(told("j.1", taken_back=True)) and not one.add(told("j.1", taken_back=True))
    assert one.add(told("j.1"))
    assert [(x.place, x.tap, x.taken_back) for x in one.page(0)] == [
        (1, "j.1", False), (2, "j.2", False), (3, "j.1", True), (4, "j.1", False),
    ]  # fmt: skip
    assert [x.place for x in one.page(2)] == [3, 4] and not one.page(4)


def test_a_page_fits_and_pages_lead_to_the_end() -> None:
    one = Telling()
    for number in range(100):
        one.add(told(f"0b6f5c9e7d2a4f18.{number}"))
    behind, pages = 0, 0
    while page := one.page(behind):
        assert page[0].place == behind + 1 and sum(len(msgspec.json.encode(x)) + 1 for x in page) <= PAGE_BYTES
        decode_word(msgspec.json.encode(Word("r", 1, one.through, list(page))))
        behind, pages = page[-1].place, pages + 1
    assert behind == 100 and 10 < pages < 25
    long = Told(1, "t" * 80, "c" * 80, "s" * 80, "d" * 80, "breakfast", True, 8)
    one.add(long)
    assert len(one.page(100)) == 1


def test_of_days_the_two_last_named_are_kept_also_when_a_clock_was_wrong() -> None:
    one = Telling()
    for number, day in enumerate(["2099-01-01", "2026-11-23", "2026-11-23", "2099-01-01", "2026-11-23"]):
        one.add(told(f"j.{number}", day))
    assert one.forgotten == 0
    one.add(told("j.9", "2026-11-24"))
    # What a wrong clock named goes as soon as it is the oldest, and nothing of these two days goes with it.
    assert one.forgotten == 1 and one.page(0)[0].tap == "j.1"
    one.add(told("j.10", "2026-11-25"))
    assert {x.day for x in one.page(0)} == {"2026-11-24", "2026-11-25"} and one.forgotten == 5
    assert one.add(told("j.1")), "what was forgotten may be told again"


def test_no_more_is_kept_than_stated(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(room, "KEPT_MAX", 10)
    one = Telling()
    for number in range(25):
        one.add(told(f"j.{number}"))
    assert one.forgotten == 15 and one.through == 25
    assert one.page(3)[0].place == 16
