"""Neighbours: whatever the network does everybody knows all, each serving once and in order; no recording counts."""

from __future__ import annotations

from random import Random

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edge.canteen.neighbours import AHEAD_MAX, ANSWER_MS, HEARD_MS, HEARTBEAT_MS, RETELL_MS, Neighbours
from edge.canteen.telling import Telling
from protocol.served import Word
from protocol.signing import sign_message
from tests.edge.canteen.circle import ADDRESSES, IDENTITIES, NAMES, Circle, told

A, B, C, D = NAMES

ACTIONS = st.one_of(
    st.tuples(st.just("say"), st.sampled_from(NAMES)),
    st.tuples(st.just("cut"), st.sampled_from(NAMES)),
    st.tuples(st.just("heal"), st.sampled_from(NAMES)),
    st.tuples(st.just("restart"), st.sampled_from(NAMES)),
    st.tuples(st.just("replay"), st.integers(0, 10_000)),
    st.tuples(st.just("wait"), st.integers(1, 4_000)),
)


def in_order_and_once(circle: Circle) -> None:
    """Of each process of a neighbour the places came from 1 on, none left out, none twice, and all were said."""
    for mine in circle.counters.values():
        for name, heard in mine.heard.items():
            places = [one.place for one in heard]
            begins = [at for at, place in enumerate(places) if place == 1]
            runs = [places[at:end] for at, end in zip(begins, [*begins[1:], None], strict=True)]
            assert all(run == list(range(1, len(run) + 1)) for run in runs), (mine.name, name, places)
            assert {one.tap for one in heard} <= set(circle.counters[name].said)


@settings(max_examples=60, deadline=None)
@given(
    seed=st.integers(0, 2**32),
    loss=st.sampled_from([0.0, 0.2, 0.4]),
    twice=st.sampled_from([0.0, 0.3]),
    delay_ms=st.sampled_from([2, 60, 400]),
    broker=st.booleans(),
    actions=st.lists(ACTIONS, min_size=3, max_size=25),
)
def test_everybody_ends_up_knowing_all_and_nothing_twice(
    seed: int, loss: float, twice: float, delay_ms: int, broker: bool, actions: list[tuple[str, str | int]]
) -> None:
    circle = Circle(Random(seed), loss, twice, delay_ms, direct=not broker, broker=broker)
    recorded = Random(seed)
    cut_since: dict[str, int] = {}
    for number, (what, which) in enumerate(actions):
        if what == "say":
            circle.say(str(which), f"tap.{number}")
        elif what == "cut":
            circle.cut.add(str(which))
            cut_since.setdefault(str(which), circle.now_ms)
        elif what == "heal":
            circle.cut.discard(str(which))
            cut_since.pop(str(which), None)
        elif what == "restart":
            circle.start(str(which))
        elif what == "replay" and circle.sent:
            _, octets = circle.sent[int(which) % len(circle.sent)]
            circle.put(recorded.choice(NAMES), octets, ("10.0.0.66", 7))
        elif what == "wait":
            circle.run(int(which))
        in_order_and_once(circle)
        for name, since_ms in cut_since.items():
            if circle.now_ms - since_ms > HEARD_MS:
                assert not circle.heard_at(name)
                assert all(name not in circle.heard_at(other) for other in NAMES)
    circle.cut.clear()
    circle.loss = 0.0
    circle.run(10_000, circle.settled)
    assert circle.settled()
    circle.meet()
    in_order_and_once(circle)
    assert all(circle.heard_at(name) == set(NAMES) - {name} for name in NAMES)


@settings(max_examples=30, deadline=None)
@given(
    seed=st.integers(0, 2**32),
    spells=st.lists(st.tuples(st.booleans(), st.booleans(), st.integers(1, 5_000), st.booleans()), max_size=12),
)
def test_a_serving_is_known_within_a_second_while_any_way_is_there(
    seed: int, spells: list[tuple[bool, bool, int, bool]]
) -> None:
    """Ways come and go, both or one or none of them, and counters are started anew; at last there is one."""
    circle = Circle(Random(seed))
    said_ms: dict[str, int] = {}
    since_ms = circle.now_ms

    def none_waits() -> None:
        for tap, at_ms in list(said_ms.items()):
            if circle.settled():
                said_ms.clear()
            elif circle.direct or circle.broker:
                assert circle.now_ms - max(at_ms, since_ms) <= 1_000, (tap, at_ms, since_ms)

    circle.watch = none_waits
    for number, (direct, broker, spell_ms, restart) in enumerate([*spells, (False, True, 2_000, False)]):
        if (direct or broker) and not (circle.direct or circle.broker):
            since_ms = circle.now_ms
        circle.direct, circle.broker = direct, broker
        name = NAMES[number % 4]
        if restart:
            circle.start(name)
        circle.say(name, f"tap.{number}")
        said_ms[f"tap.{number}"] = circle.now_ms
        circle.run(spell_ms)
    assert circle.settled()
    in_order_and_once(circle)


def test_what_is_said_is_known_at_once_and_an_idle_circle_says_two_words_a_second_each() -> None:
    circle = Circle(Random(1))
    circle.meet()
    circle.run(1_000)
    before = len(circle.sent)
    circle.run(10_000)
    assert len(circle.sent) - before == 4 * 10_000 // HEARTBEAT_MS
    circle.say(A, "tap.1")
    assert circle.run(1_000, circle.settled) <= 3


@pytest.mark.parametrize("broker", [False, True])
def test_at_thirty_percent_loss_nineteen_of_twenty_are_known_everywhere_within_a_second(broker: bool) -> None:
    circle = Circle(Random(7), direct=not broker, broker=broker)
    circle.meet()
    circle.loss = 0.3
    took_ms = []
    for number in range(200):
        circle.run(circle.rng.randrange(400))
        circle.say(NAMES[number % 4], f"tap.{number}")
        took_ms.append(circle.run(10_000, circle.settled))
    took_ms.sort()
    assert took_ms[-11] <= 800 and took_ms[len(took_ms) // 2] <= RETELL_MS + ANSWER_MS
    in_order_and_once(circle)


def test_with_thirty_percent_loss_hardly_anybody_is_unheard_who_is_there() -> None:
    circle = Circle(Random(3), loss=0.3)
    circle.run(5_000)
    looks, heard = 0, 0
    for _ in range(400):
        circle.run(100)
        looks += 12
        heard += sum(len(circle.heard_at(name)) for name in NAMES)
    assert heard / looks > 0.99


def test_a_counter_that_goes_is_unheard_within_its_time_and_none_before() -> None:
    circle = Circle(Random(2))
    circle.meet()
    circle.run(1_500)
    circle.cut.add(D)
    circle.run(HEARD_MS - 2 * HEARTBEAT_MS - 10)
    assert circle.heard_at(A) == {B, C, D}
    circle.run(2 * HEARTBEAT_MS + 10)
    assert circle.heard_at(A) == {B, C} and circle.heard_at(D) == set()
    circle.cut.clear()
    assert circle.run(5_000, lambda: D in circle.heard_at(A) and A in circle.heard_at(D)) <= 2 * HEARTBEAT_MS


def test_recordings_keep_no_dead_counter_heard() -> None:
    circle = Circle(Random(4))
    circle.meet()
    circle.run(2_000)
    circle.cut.add(B)
    since_ms = circle.now_ms
    while circle.now_ms - since_ms < 3 * HEARD_MS:
        # All that B ever said, on and on, to everybody.
        for name, octets in [pair for pair in circle.sent if pair[0] == B]:
            for other in (A, C, D):
                circle.put(other, octets, ADDRESSES[name])
        circle.run(100)
        if circle.now_ms - since_ms > HEARD_MS:
            assert circle.heard_at(A) == {C, D}


def test_recordings_that_never_arrived_keep_nobody_heard_either_and_what_they_tell_is_true() -> None:
    circle = Circle(Random(4))
    circle.meet()
    circle.cut.add(B)
    mark = len(circle.sent)
    circle.say(B, "tap.1")
    circle.run(2 * HEARD_MS)
    for name, octets in circle.sent[mark:]:
        if name == B:
            circle.put(A, octets, ("10.0.0.66", 7))
    assert B not in circle.heard_at(A)
    assert [one.tap for one in circle.counters[A].heard[B]] == ["tap.1"]


def test_a_counter_started_anew_is_known_at_once_and_its_earlier_process_never_again() -> None:
    circle = Circle(Random(5))
    circle.meet()
    circle.say(B, "tap.1")
    circle.run(500)
    earlier = [octets for name, octets in circle.sent if name == B]
    circle.start(B)
    assert circle.run(3_000, circle.settled) <= 2 * HEARTBEAT_MS + 4 * ANSWER_MS
    circle.run(50)
    before = circle.counters[A].talk.refused.copy()
    for octets in earlier:
        circle.put(A, octets, ADDRESSES[B])
    after = circle.counters[A].talk.refused - before
    assert set(after) <= {"past", "copy"} and after["past"] + after["copy"] == len(earlier)
    assert [one.tap for one in circle.counters[A].heard[B]] == ["tap.1", "tap.1"]
    circle.say(B, "tap.2")
    circle.run(100)
    assert circle.counters[A].heard[B][-1].tap == "tap.2"


def test_recordings_of_earlier_processes_hide_no_live_one() -> None:
    circle = Circle(Random(6))
    circle.meet()
    circle.run(3_000)
    earlier = [octets for name, octets in circle.sent if name == B]
    circle.start(B)
    circle.start(A)  # It knows of no earlier process of B.
    for octets in earlier:
        circle.put(A, octets, ("10.0.0.66", 7))
        circle.run(40)
        in_order_and_once(circle)
    circle.run(2 * HEARD_MS)
    assert B in circle.heard_at(A) and A in circle.heard_at(B)


def test_a_device_that_runs_twice_is_told() -> None:
    circle = Circle(Random(8))
    circle.meet()
    clone = circle.counters[B]
    circle.start(B)
    circle.run(2_000)
    circle.counters[C] = clone  # The earlier process goes on, in the place of another counter.
    clone.talk.know({A: IDENTITIES[A].key})
    circle.run(2_000)
    assert circle.counters[A].talk.twice > 0
    in_order_and_once(circle)


def test_an_hour_apart_then_all_is_known_in_pages_that_fit_a_frame() -> None:
    circle = Circle(Random(9))
    circle.meet()
    circle.cut.add(D)
    for number in range(400):
        for name in NAMES:
            circle.say(name, f"0b6f5c9e7d2a4f18.{number}{name}")
        circle.run(9_000 if number % 40 == 0 else 40)
    mark = len(circle.sent)
    circle.cut.clear()
    assert circle.run(20_000, circle.settled) < 4_000
    words = circle.sent[mark:]
    assert max(len(octets) for _, octets in words) <= 1_472
    assert len(words) < 4 * 400
    in_order_and_once(circle)


def test_what_is_told_to_one_that_is_gone_is_told_to_it_once_a_heartbeat_at_most() -> None:
    circle = Circle(Random(10))
    circle.meet()
    circle.cut.add(D)
    circle.run(HEARD_MS + 1_000)
    for number in range(100):
        circle.say(A, f"tap.{number}")
    circle.run(2_000)
    mark = len(circle.sent)
    circle.run(10_000)
    assert len([name for name, _ in circle.sent[mark:] if name == A]) <= 2 * 10_000 // HEARTBEAT_MS


def test_by_the_broker_go_tellings_and_what_somebody_needs_who_is_not_heard_directly() -> None:
    circle = Circle(Random(11))
    circle.meet()
    circle.run(2_000)

    def said(for_ms: int) -> list[bool]:
        mark = len(circle.by_broker)
        circle.run(for_ms)
        return [by_broker for name, by_broker in circle.by_broker[mark:] if name == A]

    assert not any(said(2_000))
    circle.say(A, "tap.1")
    assert said(1) == [True]
    circle.cut.add(D)
    said(HEARD_MS)
    assert all(said(2_000))


def neighbours() -> Neighbours:
    made = Neighbours(A, "run-a", Telling())
    made.know([A, B])
    return made


def test_a_hostile_neighbour_moves_only_its_own_marks() -> None:
    one = neighbours()
    one.say(0)
    most = 2**53 - 1
    lies = Word("run-b", most, most, [], {A: ("run-a", 1, most), **{f"x{n}": ("r", -1, -1) for n in range(60)}}, most)
    assert one.hear(B, lies, 10, direct=True).proven
    assert one.hear(B, msgspec.structs.replace(lies, number=1), 11, direct=True).refused == "old"
    assert len(one.say(500)) == 1 and one.due_ms(501) is not None
    for number in (-1, 0, 2, most):
        named = Word("run-c", 1, 0, [], {A: ("run-a", number, -5)})
        assert not neighbours_said_once().hear(B, named, 10, direct=True).proven


def neighbours_said_once() -> Neighbours:
    made = neighbours()
    made.say(0)
    return made


def test_a_word_that_names_an_old_word_of_ours_proves_nothing_and_one_held_back_only_until_that_one_is_old() -> None:
    one = neighbours_said_once()
    page = [told("j.1")]
    late = Word("run-b", 5, 1, page, {A: ("run-a", 1, 0)})
    assert one.hear(B, late, HEARD_MS, direct=True).told == ()
    assert one.heard_until() == {}
    one = neighbours_said_once()
    assert one.hear(B, late, HEARD_MS - 1, direct=True).told == page
    assert one.heard_until() == {B: HEARD_MS}
    assert one.hear(B, late, HEARD_MS - 1, direct=False).refused == "old"
    assert one.hear(B, msgspec.structs.replace(late, number=4), HEARD_MS - 1, direct=False).refused is None
    assert one.hear(B, msgspec.structs.replace(late, number=4), HEARD_MS - 1, direct=False).refused == "old"


def test_what_came_by_the_broker_alone_is_answered_there() -> None:
    one = neighbours_said_once()
    assert one.needs_broker(0), "nobody was heard directly"
    one.hear(B, Word("run-b", 1, 0, [], {A: ("run-a", 1, 0)}), 10, direct=True)
    assert not one.needs_broker(20)
    one.hear(B, Word("run-new", 1, 0), 30, direct=False)
    assert one.needs_broker(60) and one.say(60)
    assert not one.needs_broker(70)


def test_what_comes_late_of_an_ended_process_brings_it_not_back() -> None:
    one = neighbours_said_once()
    one.say(500)
    assert one.hear(B, Word("run-new", 1, 0, [], {A: ("run-a", 1, 0)}), 510, direct=True).proven
    # The earlier process heard our second word before it ended; the later one hasn't had it yet.
    assert not one.hear(B, Word("run-old", 9, 0, [], {A: ("run-a", 2, 0)}), 520, direct=True).proven
    assert one.hear(B, Word("run-new", 2, 1, [told("j.1")], {A: ("run-a", 2, 0)}), 530, direct=True).told
    one.say(1_000)
    back = one.hear(B, Word("run-old", 10, 1, [told("j.2")], {A: ("run-a", 3, 0)}), 1_010, direct=True)
    assert (
        back.told and one.hear(B, Word("run-new", 3, 1, [], {A: ("run-a", 3, 0)}), 1_020, direct=True).refused == "past"
    )


def test_whoever_comes_later_learns_what_is_told_no_more_and_waits_for_none_of_it() -> None:
    circle = Circle(Random(13))
    for day in ("2026-11-20", "2026-11-23", "2026-11-24"):
        for number in range(20):
            circle.counters[A].talk.said(told(f"{day}.{number}", day))
    circle.meet()
    circle.run(1_000)
    heard = circle.counters[B].heard[A]
    assert [one.place for one in heard] == list(range(21, 61))
    assert {one.day for one in heard} == {"2026-11-23", "2026-11-24"}


def test_no_more_is_told_ahead_than_a_counter_may_hold_back() -> None:
    telling = Telling()
    one = Neighbours(A, "run-a", telling)
    one.know([B])
    one.say(0)
    one.hear(B, Word("run-b", 1, 0, [], {A: ("run-a", 1, 0)}), 1, direct=True)
    for number in range(500):
        telling.add(told(f"tap.{number}"))
    ahead = 0
    for _ in range(100):
        due_ms = one.due_ms(2)
        assert due_ms is not None
        if due_ms > 2:
            break
        ahead += sum(len(word.told) for word in one.say(2))
    assert AHEAD_MAX <= ahead < AHEAD_MAX + 10


def test_whoever_left_the_sheet_is_forgotten_and_nobody_means_silence() -> None:
    one = neighbours_said_once()
    one.hear(B, Word("run-b", 1, 0, [], {A: ("run-a", 1, 0)}), 1, direct=True)
    assert one.heard_until() == {B: HEARD_MS}
    one.know([])
    assert one.heard_until() == {} and one.due_ms(10_000) is None and one.say(10_000) == []


def test_the_sheet_names_whose_word_counts() -> None:
    circle = Circle(Random(12), names=(A, B))
    circle.meet()
    stranger = sign_message(
        IDENTITIES[C], circle.counters[A].talk.topic.replace(A, C), msgspec.json.encode(Word("r", 1, 0))
    )
    circle.put(A, stranger, ("10.0.0.3", 7914))
    assert circle.counters[A].talk.refused["stranger"] == 1
    assert circle.heard_at(A) == {B}
