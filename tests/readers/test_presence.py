"""Presence: one sighting for each coming of a card, whatever the coupling does."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from edge.ports import CardRead
from edge.readers.presence import CARDS_MAX, Presence
from protocol.cards import CardUid

MS = 1_000_000
A, B = (CardRead(CardUid("a", text)) for text in ("DEADBEEF", "04A1B2C3D4E580"))


def test_a_card_held_with_flaky_coupling_is_one_sighting() -> None:
    presence = Presence()
    looks = [(t * 30 * MS, (A,) if t % 5 in (0, 3) else ()) for t in range(270)]
    assert sum(len(presence.step(now, cards)) for now, cards in looks) == 1


def test_gone_for_half_a_second_is_a_new_tap() -> None:
    presence = Presence()
    assert len(presence.step(0, (A,))) == 1
    assert len(presence.step(499 * MS, (A,))) == 0
    assert len(presence.step(999 * MS, (A,))) == 1


def test_two_cards_are_two_sightings_and_a_telephone_is_one() -> None:
    presence = Presence()
    assert {seen.card for seen in presence.step(0, (A, B))} == {A.card, B.card}
    phones = [presence.step(t * 20 * MS, (CardRead(CardUid("a", f"08{t:06X}")),)) for t in range(1, 200)]
    assert sum(map(len, phones)) == 1


def test_a_number_that_began_earlier_is_dated_then_and_never_later_than_now() -> None:
    presence = Presence()
    typed = [CardRead(read.card, "", "", since_ns) for read, since_ns in ((A, 700 * MS), (B, 1_200 * MS))]
    assert [seen.seen_mono_ns for seen in presence.step(1_000 * MS, typed)] == [700 * MS, 1_000 * MS]


def test_held_over_a_reconnect() -> None:
    presence = Presence()
    presence.step(0, (A,))
    presence.lost(100 * MS)
    presence.reopened(1_500 * MS)
    assert presence.step(2_000 * MS, (A,)) == ()


def test_a_card_in_the_field_of_a_stopped_process_is_the_same_tap() -> None:
    presence = Presence()
    assert len(presence.step(0, (A,))) == 1
    assert presence.step(30_000 * MS, (A,)) == ()
    assert len(presence.step(30_100 * MS, (B,))) == 1
    assert presence.step(30_600 * MS, ()) == ()
    assert len(presence.step(30_700 * MS, (A,))) == 1


def test_who_left_before_a_process_was_stopped_comes_anew() -> None:
    presence = Presence()
    assert len(presence.step(0, (A,))) == 1
    assert presence.step(600 * MS, ()) == ()
    assert len(presence.step(30_000 * MS, (A,))) == 1


@given(st.lists(st.tuples(st.integers(1, 700), st.lists(st.sampled_from("ABCDEF"), max_size=3)), max_size=60))
def test_sightings_are_exactly_the_comings(looks: list[tuple[int, list[str]]]) -> None:
    presence, now_ms, last = Presence(), 0, dict[str, int]()
    for pause_ms, names in looks:
        now_ms += pause_ms
        cards = tuple(CardUid("a", f"{ord(name):08X}") for name in dict.fromkeys(names))
        reads = tuple(map(CardRead, cards))
        seen = {item.card for item in presence.step(now_ms * MS, reads)}
        expected = {card for card in cards if now_ms - last.get(card.hex, -10_000) >= 500}
        assert seen == expected
        last |= {card.hex: now_ms for card in cards}


def test_noise_can_not_grow_it() -> None:
    presence = Presence()
    for number in range(1000):
        presence.step(number, (CardRead(CardUid("a", f"{number + 0x10000000:08X}")),))
    assert len(presence._until_ns) <= CARDS_MAX


def test_a_reader_that_tells_of_moments_tells_of_another_tap_also_after_it_was_away() -> None:
    presence = Presence(moments=True)
    assert len(presence.step(0, (A,))) == 1
    assert presence.step(300 * MS, (A,)) == (), "said twice"
    presence.lost(400 * MS)
    presence.reopened(700 * MS)
    assert len(presence.step(900 * MS, (A,))) == 1
    assert len(presence.step(30_000 * MS, (A,))) == 1, "nor does a stall make two taps one"
