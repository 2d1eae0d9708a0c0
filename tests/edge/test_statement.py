"""When a gateway says how it is: rarely in a crowd, soon when the hub must hear of something."""

from __future__ import annotations

import pytest

from edge.statement import AGAIN_MS, EVERY_MS, OWING_MS, Occasions


class Desk:
    """Asks every 100 ms, as a gateway in a crowd would, and counts what was said when."""

    def __init__(self) -> None:
        self.occasions = Occasions()
        self.now_ms = 1_000_000
        self.said: list[tuple[int, bool]] = []

    def live(self, for_ms: int, *, owing: bool, unasked: bool = False) -> None:
        end_ms = self.now_ms + for_ms
        while self.now_ms < end_ms:
            if self.occasions.due(self.now_ms, owing=owing, unasked=unasked):
                self.occasions.at_once = False
                self.occasions.told(self.now_ms, owing=owing)
                self.said.append((self.now_ms, owing))
            self.now_ms += 100


@pytest.fixture
def desk() -> Desk:
    desk = Desk()
    desk.live(100, owing=False)
    assert len(desk.said) == 1, "the first word is said at once"
    desk.said.clear()
    return desk


def test_a_crowd_whose_taps_are_receipted_makes_no_more_states_than_an_empty_gate(desk: Desk) -> None:
    for _ in range(60):
        desk.live(400, owing=True)
        desk.live(600, owing=False)
    assert len(desk.said) == 60_000 // EVERY_MS


def test_what_stays_owed_is_told_and_so_is_its_end(desk: Desk) -> None:
    desk.live(5_000, owing=False)
    began_ms = desk.now_ms
    desk.live(10_000, owing=True)
    assert desk.said == [(began_ms + OWING_MS, True)]
    ended_ms = desk.now_ms
    desk.live(10_000, owing=False)
    assert desk.said[1:] == [(ended_ms, False)]


def test_a_change_right_after_a_word_waits_a_little(desk: Desk) -> None:
    desk.occasions.told(desk.now_ms, owing=True)
    told_ms = desk.now_ms
    desk.live(5_000, owing=False)
    assert desk.said == [(told_ms + AGAIN_MS, False)]


def test_journals_to_ask_about_go_with_the_next_word_or_at_once_after_an_answer(desk: Desk) -> None:
    told_ms = desk.now_ms - 100
    desk.live(3_000, owing=False, unasked=True)
    assert desk.said[0] == (told_ms + AGAIN_MS, False)
    desk.said.clear()
    desk.occasions.confirmed = True
    asked_ms = desk.now_ms
    desk.live(100, owing=False, unasked=True)
    assert desk.said == [(asked_ms, False)]


def test_what_must_be_heard_is_said_whatever_the_time(desk: Desk) -> None:
    desk.occasions.at_once = True
    asked_ms = desk.now_ms
    desk.live(1_000, owing=False)
    assert desk.said == [(asked_ms, False)]
