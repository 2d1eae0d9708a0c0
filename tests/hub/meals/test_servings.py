"""Servings: each record of a counter comes to one thing, and each serving is counted exactly once."""

from __future__ import annotations

import random
from collections import Counter
from datetime import date
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace as structs_replace

from hub.attendance.schoolday import Binding, by_card
from hub.meals.servings import ClassList, CounterTap, ServingWord, serving_spans
from hub.meals.sittings import FIRST_PLAN, Moment, PlannedShift
from protocol.meals import ByHand
from tests.hub.meals.lunch import CARDS, DAY, EVER, at, count, lunch, moment, tap, told, word


def test_who_comes_again_is_served_again_and_it_counts_apart() -> None:
    found = count(tap(1, "c-an", "10:31"), tap(2, "c-an", "10:45", said=lunch(2)), tap(3, "c-be", "10:40"))
    assert told(found) == [("st-an", 1, "card", ()), ("st-be", 1, "card", ()), ("st-an", 2, "card", ())]
    assert [one.second for one in found.servings] == [False, False, True]


def test_what_is_the_same_tray_its_counter_knows_and_what_it_signalled_as_a_serving_is_one() -> None:
    first, again = tap(1, "c-an", "10:31"), tap(2, "c-an", "10:31", 5, decision="repeated")
    third = tap(3, "c-an", "10:31", 11)
    found = count(first, again, third, words=[word(first, 1, "undone")])
    assert told(found) == [("st-an", 1, "card", ())] and found.servings[0].tap == third.id
    assert [(one.tap[-1], one.what) for one in found.aside] == [("1", "undone"), ("2", "repeat")]
    # A counter's window is the school's to set; another counter's window is another one.
    soon = tap(3, "c-an", "10:31", 9, said=lunch(2)), tap(1, "c-an", "10:31", 10, point="quay-2", said=lunch(3))
    assert told(count(first, again, *soon)) == [("st-an", nth, "card", ()) for nth in (1, 2, 3)]
    # What one that forgot took for a first one is shown to people, and billed to nobody by itself.
    assert told(count(first, third)) == [("st-an", 1, "card", ()), ("st-an", 2, "card", ("apart",))]


def test_people_say_of_a_repeat_that_it_was_a_second_helping_and_the_other_way_round() -> None:
    first, repeat, second = (
        tap(1, "c-an", "10:31"),
        tap(2, "c-an", "10:31", 9, decision="repeated"),
        tap(3, "c-an", "10:40", said=lunch(2)),
    )
    found = count(first, repeat, second, words=[word(repeat, 1, "second"), word(second, 2, "repeat")])
    assert told(found) == [("st-an", 1, "card", ()), ("st-an", 2, "card", ())]
    assert [one.what for one in found.aside] == ["repeat"]


def test_what_was_taken_back_counts_nowhere_until_somebody_says_that_it_was() -> None:
    first, second = tap(1, "c-an", "10:31"), tap(2, "c-an", "10:40", said=lunch(2))
    gone = word(first, 1, "undone", "10:32")
    assert told(count(first, second, words=[gone])) == [("st-an", 1, "card", ())]
    back = word(first, 2, "done", "10:30")  # its clock was set back; the later record is the newer word
    assert [one.nth for one in count(first, second, words=[back, gone]).servings] == [1, 2]


def test_two_counters_that_don_t_hear_each_other_serve_one_pupil_and_nobody_is_billed_for_it() -> None:
    found = count(
        tap(1, "c-an", "10:31", said=lunch(alone=True)),
        tap(1, "c-an", "10:33", point="quay-2", said=lunch(alone=True)),
        tap(2, "c-an", "10:36", point="quay-2", said=lunch(2, alone=True)),
    )
    assert told(found) == [("st-an", 1, "card", ()), ("st-an", 2, "card", ("apart",)), ("st-an", 3, "card", ())]
    assert [one.confirmed for one in found.servings] == [True, False, True]
    settled = count(
        tap(1, "c-an", "10:31", said=lunch(alone=True)),
        late := tap(1, "c-an", "10:33", point="quay-2", said=lunch(alone=True)),
        words=[word(late, 1, "second")],
    )
    assert [one.confirmed for one in settled.servings] == [True, True]


def test_a_stranger_is_known_once_the_card_is_somebodys() -> None:
    shown = tap(1, "c-new", "10:31", decision="refused")
    serving = tap(2, "hand", "10:31", 8, hand=ByHand("stranger", "co-hoa", shown.id))
    found = count(shown, serving)
    assert told(found) == [(None, 1, "stranger", ())] and found.servings[0].card == "c-new"
    assert [one.what for one in found.aside] == ["answered"]
    bound = by_card([Binding("c-new", "st-dung", at("09:00"), EVER)])
    assert told(count(shown, serving, bindings=bound)) == [("st-dung", 1, "stranger", ())]
    again = tap(3, "hand", "10:31", 20, hand=ByHand("stranger", "co-hoa", shown.id))
    assert [one.what for one in count(shown, serving, again).aside] == ["answered", "repeat"]
    undone = count(shown, serving, words=[word(serving, 1, "undone")])
    assert undone.servings == () and [one.what for one in undone.aside] == ["referred", "undone"]


def test_an_adult_is_known_by_their_card_and_by_name_a_pupil_is_whom_staff_chose() -> None:
    shown = tap(1, "c-thay", "10:31", decision="refused")
    found = count(
        shown,
        tap(2, "hand", "10:31", 5, hand=ByHand("stranger", "co-hoa", shown.id)),
        tap(3, "hand-an", "10:35", hand=ByHand("name", "co-hoa"), believed="st-an"),
        tap(4, "hand-x", "10:36", hand=ByHand("stranger", "co-hoa")),
        tap(5, "hand-x", "10:37", hand=ByHand("stranger", "co-hoa")),
    )
    assert told(found) == [
        ("thay-minh", 1, "stranger", ()),
        ("st-an", 1, "name", ()),
        (None, 1, "stranger", ()),
        (None, 1, "stranger", ()),
    ]
    assert found.servings[0].adult == "thay-minh" and found.servings[0].pupil is None


def test_a_class_list_serves_whom_no_counter_served() -> None:
    mine = ClassList("e" * 16 + ".1", "1A", DAY, "lunch", ("st-an", "st-be"), "co-lan", at("10:20"), at("10:50"))
    wrong = ClassList("e" * 16 + ".0", "1A", DAY, "lunch", ("st-chi",), "co-lan", at("10:10"), at("10:50"))
    found = count(tap(1, "c-an", "10:40"), lists=[mine, wrong])
    assert told(found) == [("st-an", 1, "card", ()), ("st-be", 1, "list", ())]
    assert (found.servings[1].by, found.servings[1].tap) == ("co-lan", mine.id)


@pytest.mark.parametrize(
    ("seen", "flags"),
    [("10:01", ()), ("12:49", ()), ("09:59", ("outside",)), ("12:50", ("outside",)), ("15:00", ("outside",))],
)
def test_a_list_out_of_its_meals_hours_counts_and_is_flagged_as_a_tap_is(seen: str, flags: tuple[str, ...]) -> None:
    shifts = (PlannedShift(number=1, opens="14:30", closes="15:30"),)
    snack = structs_replace(FIRST_PLAN.meals[0], meal="snack", half="pm", shifts=shifts)
    plans = {date.min: structs_replace(FIRST_PLAN, meals=(*FIRST_PLAN.meals, snack))}
    paper = ClassList("e" * 16 + ".1", "1A", DAY, "lunch", ("st-be",), "co-lan", at("16:00"), at(seen))
    [one] = count(lists=[paper], plans=plans).servings
    assert (one.pupil, one.meal, one.flags, one.confirmed) == ("st-be", "lunch", flags, True)


@pytest.mark.parametrize(("seen", "flags"), [("10:40", ()), ("15:00", ("outside",))])
def test_a_list_in_the_classroom_belongs_to_no_counter(seen: str, flags: tuple[str, ...]) -> None:
    shifts = tuple(structs_replace(one, stations=("quay-1",)) for one in FIRST_PLAN.meals[0].shifts)
    plans = {date.min: structs_replace(FIRST_PLAN, meals=(structs_replace(FIRST_PLAN.meals[0], shifts=shifts),))}
    paper = ClassList("e" * 16 + ".1", "1A", DAY, "lunch", ("st-be",), "co-lan", at("16:00"), at(seen))
    assert told(count(lists=[paper], plans=plans)) == [("st-be", 1, "list", flags)]


def test_serving_ends_with_the_last_tray_at_a_counter_whenever_a_paper_list_was_entered() -> None:
    paper = ClassList("e" * 16 + ".1", "1A", DAY, "lunch", ("st-be",), "co-lan", at("15:00"), at("14:50"))
    lost = tap(2, "c-chi", "10:50", when=Moment(0, -EVER, EVER, anchored=False))
    found = count(
        tap(1, "c-an", "10:40"), tap(3, "hand", "10:35", hand=ByHand("stranger", "co-hoa")), lost, lists=[paper]
    )
    assert len(found.servings) == 4
    assert serving_spans(found.servings) == {(DAY, "lunch"): (at("10:35"), at("10:40"))}
    assert serving_spans(count(lists=[paper]).servings) == {}, "nobody knows when"


def test_a_clock_that_is_unsure_is_believed_as_far_as_it_goes() -> None:
    lost = Moment(0, -EVER, EVER, anchored=False)
    assert told(count(tap(1, "c-an", "10:31", when=lost))) == [("st-an", 1, "card", ("clock",))]
    within = moment("10:50", err_s=600, anchored=False)
    assert told(count(tap(1, "c-an", "10:31", when=within))) == [("st-an", 1, "card", ())]
    night = count(tap(1, "c-an", "23:10")).servings[0]
    assert (night.flags, night.meal, night.confirmed) == (("outside",), "lunch", True)
    otherwise = count(tap(1, "c-an", "10:40", said=lunch(meal="dinner"))).servings[0]
    assert (otherwise.meal, otherwise.flags) == ("lunch", ("said-otherwise",))


def test_a_time_that_may_be_of_two_meals_is_for_people_to_settle() -> None:
    shifts = (PlannedShift(number=1, opens="14:30", closes="15:00"),)
    snack = structs_replace(FIRST_PLAN.meals[0], meal="snack", half="pm", shifts=shifts)
    plans = {date.min: structs_replace(FIRST_PLAN, meals=(*FIRST_PLAN.meals, snack))}
    for best in ("10:40", "14:40"):
        wide = Moment(at(best), at("10:00"), at("16:40"))
        [one] = count(tap(1, "c-an", best, when=wide), plans=plans).servings
        assert (one.flags[0], one.confirmed) == ("clock", False)
    [one] = count(tap(1, "c-an", "10:40", when=Moment(at("10:40"), at("09:00"), at("12:55"))), plans=plans).servings
    assert (one.meal, one.flags) == ("lunch", ()), "out of all hours it would be of no other meal"


def test_a_card_that_changed_hands_within_the_error_is_nobodys_for_sure() -> None:
    known = by_card([Binding("c", "st-an", -EVER, at("10:31")), Binding("c", "st-be", at("10:31"), EVER)])
    blurred = moment("10:31", 2, err_s=5)
    assert told(count(tap(1, "c", "10:31", when=blurred), bindings=known)) == [("st-be", 1, "card", ("holder",))]
    both = by_card([Binding("c", "st-an", -EVER, EVER), Binding("c", "st-be", -EVER, EVER)])
    assert told(count(tap(1, "c", "10:31"), bindings=both)) == [(None, 1, "card", ("holder",))]


# --- whatever comes ---------------------------------------------------------------------------------------------------

CARD = st.sampled_from(["c-an", "c-be", "c-chi", "c-new", "c-thay"])
POINTS = ("quay-1", "quay-2", "quay-3")


@st.composite
def lunches(draw: Any) -> tuple[list[CounterTap], list[ServingWord]]:
    taps: list[CounterTap] = []
    for number in range(1, draw(st.integers(1, 12)) + 1):
        clock = f"10:{draw(st.integers(30, 59))}"
        point = draw(st.sampled_from(POINTS))
        kind = draw(st.sampled_from(["accepted", "repeated", "refused", "name", "stranger"]))
        shown = [one.id for one in taps if one.decision == "refused"]
        hand = None
        if kind in ("name", "stranger"):
            of = draw(st.sampled_from([None, *shown]))
            hand = ByHand(kind, "co-hoa", of)
        decision = kind if hand is None else "accepted"
        believed = "st-an" if kind == "name" else None
        said = lunch(draw(st.integers(1, 3)), alone=draw(st.booleans()))
        card = draw(CARD) if hand is None else "hand"
        taps.append(
            tap(number, card, clock, draw(st.integers(0, 59)), point=point, decision=decision, said=said, hand=hand,
                believed=believed)
        )  # fmt: skip
    words = [
        ServingWord(draw(st.sampled_from(taps)).id, f"{'d' * 16}.{n}", at("11:00") + n, why, "co-hoa")
        for n, why in enumerate(draw(st.lists(st.sampled_from(["undone", "done", "second", "repeat"]), max_size=6)), 1)
    ]
    return taps, words


@given(lunches(), st.randoms(use_true_random=False))
def test_every_record_comes_to_one_thing_and_order_changes_nothing(
    lunch_: tuple[list[CounterTap], list[ServingWord]], chance: random.Random
) -> None:
    taps, words = lunch_
    found = count(*taps, words=words)
    outcomes = Counter([one.tap for one in found.servings] + [one.tap for one in found.aside])
    assert outcomes == Counter(one.id for one in taps)
    # Of each eater who is known, helpings are 1, 2, 3 ... without a gap: each was counted once.
    eaters = {one.pupil or one.adult for one in found.servings} - {None}
    for eater in eaters:
        nths = [one.nth for one in found.servings if eater in (one.pupil, one.adult)]
        assert nths == list(range(1, len(nths) + 1))
    # Nothing that was only referred, or was taken back last, is a serving; and whatever is, the counter accepted.
    newest = {one.tap: one.why for one in words}
    by_id = {one.id: one for one in taps}
    for one in found.servings:
        assert by_id[one.tap].decision != "refused" and newest.get(one.tap) != "undone"
    shuffled, said = list(taps), list(words)
    chance.shuffle(shuffled)
    chance.shuffle(said)
    assert count(*shuffled, words=said) == found


@given(lunches())
def test_no_payment_can_be_known_and_nobody_is_unserved_for_want_of_a_name(
    lunch_: tuple[list[CounterTap], list[ServingWord]],
) -> None:
    taps, _ = lunch_
    known, unknown = count(*taps), count(*taps, bindings={})
    # Who is known or not changes nothing of how many servings there are, but for what is told apart by whose it is.
    assert {one.tap for one in known.servings} == {one.tap for one in unknown.servings}
    assert CARDS


def test_a_person_settles_a_serving_of_an_unsure_clock_or_holder_and_a_counter_does_not() -> None:
    blind = Moment(at("10:31"), -EVER, EVER, anchored=False)
    unsure = tap(1, "c-an", "10:31", when=blind)
    moving = by_card([Binding("c-be", "st-be", -EVER, at("10:32")), Binding("c-be", "st-chi", at("10:32"), EVER)])
    changed = tap(2, "c-be", "10:31", when=moment("10:31", err_s=120))

    def flags(taken: CounterTap, *words: ServingWord) -> tuple[str, ...]:
        [one] = count(taken, words=words, bindings={**CARDS, **moving}).servings
        return one.flags

    assert flags(unsure) == ("clock",) and flags(changed) == ("holder",)
    for taken in (unsure, changed):
        done = word(taken, 1, "done")
        assert flags(taken, done) == ()
        own = ServingWord(taken.id, f"{'a' * 16}.9", at("12:00"), "done", "co-hoa")
        assert flags(taken, own) == flags(taken), "a counter can't vouch for what it didn't know"
        assert flags(taken, done, word(taken, 2, "undone"), word(taken, 3, "second")) == flags(taken)
    nobody = by_card([Binding("c-be", "st-be", -EVER, at("10:30")), Binding("c-be", "st-chi", at("10:32"), EVER)])
    [one] = count(changed, words=[word(changed, 1, "done")], bindings=nobody).servings
    assert one.pupil is None and one.flags == ("holder",), "whose it was is still not said"
