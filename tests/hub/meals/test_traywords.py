"""The same tray: whoever was served and not wholly taken back is served, in whatever order people said what."""

from __future__ import annotations

from itertools import product

import pytest

from hub.meals.servings import ServingWord, Why
from tests.hub.meals.lunch import at, count, lunch, tap, told, word

AN = tap(1, "c-an", "10:31")
AGAIN = tap(1, "c-an", "10:33", point="quay-2", said=lunch(2))
THIRD = tap(2, "c-an", "10:36", said=lunch(3))
TOUCH = tap(3, "c-an", "10:31", 9, decision="repeated")


@pytest.mark.parametrize("order", [("undone", "repeat"), ("repeat", "undone")])
def test_a_same_tray_stands_for_the_tray_that_was_taken_back_whichever_was_said_first(order: tuple[Why, Why]) -> None:
    by = {"undone": AN, "repeat": AGAIN}
    words = [word(by[why], number, why, f"12:0{number}") for number, why in enumerate(order, 1)]
    found = count(AN, AGAIN, words=words)
    assert told(found) == [("st-an", 1, "card", ())] and found.servings[0].tap == AGAIN.id
    assert [(one.tap, one.what) for one in found.aside] == [(AN.id, "undone")]
    back = [*words, word(AN, 3, "done", "12:05")]
    found = count(AN, AGAIN, words=back)
    assert [one.tap for one in found.servings] == [AN.id], "and once that one was after all, it is its tray again"
    assert [one.what for one in found.aside] == ["repeat"]
    wholly = [*words, word(AGAIN, 3, "undone", "12:05")]
    assert not count(AN, AGAIN, words=wholly).servings, "what was itself taken back stands for nothing"


def test_of_several_same_trays_the_earliest_stands_and_the_others_are_its_tray() -> None:
    words = [word(THIRD, 1, "repeat"), word(AGAIN, 2, "repeat"), word(AN, 3, "undone")]
    found = count(AN, AGAIN, THIRD, words=words)
    assert [(one.tap, one.nth) for one in found.servings] == [(AGAIN.id, 1)]
    found = count(AN, AGAIN, THIRD, words=[*words, word(AGAIN, 4, "undone")])
    assert [(one.tap, one.nth) for one in found.servings] == [(THIRD.id, 1)]


def test_a_second_touch_that_its_counter_saw_goes_with_its_tray() -> None:
    assert not count(AN, TOUCH, words=[word(AN, 1, "undone")]).servings
    people = [word(TOUCH, 1, "second"), word(TOUCH, 2, "repeat"), word(AN, 3, "undone")]
    assert not count(AN, TOUCH, words=people).servings, "said to be a second helping by mistake, it is a touch again"


def test_of_another_pupil_or_meal_nothing_stands() -> None:
    other, words = tap(5, "c-be", "10:32"), [word(AGAIN, 1, "repeat"), word(AN, 2, "undone")]
    assert {(one.pupil, one.nth) for one in count(AN, AGAIN, other, words=words).servings} == {
        ("st-an", 1),
        ("st-be", 1),
    }


def test_in_every_order_of_words_who_was_served_and_not_wholly_taken_back_is_served_once_or_more() -> None:
    whys: tuple[Why, ...] = ("undone", "done", "second", "repeat")
    taps = (AN, AGAIN, THIRD)
    for said in product(product(taps, whys), repeat=3):
        words = [
            ServingWord(one.id, f"{'d' * 16}.{number}", at("12:00") + number, why, "co-hoa")
            for number, (one, why) in enumerate(said, 1)
        ]
        for some in (taps, taps[:2]):
            newest = {one.tap: one.why for one in words}
            stays = [one for one in some if newest.get(one.id) != "undone"]
            nths = [one.nth for one in count(*some, words=words).servings]
            assert nths == list(range(1, len(nths) + 1)) and bool(nths) == bool(stays), (said, nths)
