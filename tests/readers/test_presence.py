"""Presence: one sighting for each coming of a card, whatever the coupling does."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from edge.ports import CardRead
from edge.readers.presence import CARDS_MAX, UNSEEN_NS_MAX, Presence
from protocol.cards import CardUid

MS = 1_000_000
A, B = (CardRead(CardUid("a", text)) for text in ("DEADBEEF", "04A1B2C3D4E580"))


def test_a_card_held_with_flaky_coupling_is_one_sighting() -> None:
    presence = Presence()
    looks = [(t * 30 * MS, (A,) if t % 5 in (0, 3) else ()) for t in range(270)]
    assert sum(len(presence.step(now, cards)) for now, cards in looks) == 1


def _looks(presence: Presence, from_ms: int, until_ms: int, *reads: CardRead, every_ms: int = 30) -> int:
    """Look again and again; how many sightings there were."""
    return sum(len(presence.step(ms * MS, reads)) for ms in range(from_ms, until_ms, every_ms))


def test_gone_for_half_a_second_is_a_new_tap() -> None:
    presence = Presence()
    assert len(presence.step(0, (A,))) == 1
    assert _looks(presence, 30, 480) == 0
    assert len(presence.step(480 * MS, (A,))) == 0
    assert _looks(presence, 510, 1_020) == 0
    assert len(presence.step(1_020 * MS, (A,))) == 1


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
    presence.reopened(1_500 * MS)
    assert _looks(presence, 1_530, 3_400) == 0
    assert presence.step(3_400 * MS, (A,)) == ()


def test_a_loose_cable_holds_no_card_for_ever() -> None:
    presence = Presence()
    presence.step(0, (A,))
    for flap in range(6):
        assert _looks(presence, 500 * flap + 30, 500 * flap + 450) == 0
        presence.reopened((500 * flap + 480) * MS)
    assert len(presence.step(3_010 * MS, (A,))) == 1, "2 s of looks have missed it, whatever was between them"


def test_empty_looks_count_however_rare_they_are() -> None:
    presence = Presence()
    presence.step(0, (A,))
    assert _looks(presence, 600, 3_000, every_ms=600) == 0
    assert len(presence.step(3_100 * MS, (A,))) == 1


def test_a_reader_that_opens_again_and_again_and_never_looks_holds_no_card_for_ever() -> None:
    presence = Presence()
    presence.step(0, (A,))
    for second in range(1, 12):
        presence.reopened(second * 1_000 * MS)
    assert len(presence.step(11_100 * MS, (A,))) == 1


def test_unseen_for_long_whoever_comes_comes_anew() -> None:
    presence = Presence()
    presence.step(0, (A,))
    assert presence.step(UNSEEN_NS_MAX, (A,)) == ()
    assert len(presence.step(2 * UNSEEN_NS_MAX + 1, (A,))) == 1, "while a process stood still"
    presence.reopened(3 * UNSEEN_NS_MAX)
    assert len(presence.step(3 * UNSEEN_NS_MAX + 2, (A,))) == 1, "or a reader was away"


def test_who_left_before_a_process_was_stopped_comes_anew() -> None:
    presence = Presence()
    assert len(presence.step(0, (A,))) == 1
    assert _looks(presence, 30, 600) == 0
    assert len(presence.step(5_000 * MS, (A,))) == 1


@given(st.lists(st.integers(1, UNSEEN_NS_MAX // MS), max_size=60))
def test_a_card_that_every_look_shows_is_one_sighting_however_far_apart_they_are(pauses_ms: list[int]) -> None:
    presence, now_ms, count = Presence(), 0, 0
    for pause_ms in (1, *pauses_ms):
        now_ms += pause_ms
        count += len(presence.step(now_ms * MS, (A,)))
    assert count == 1


@given(st.lists(st.tuples(st.integers(1, 900), st.lists(st.sampled_from("ABCDEF"), max_size=3)), max_size=60))
def test_sightings_are_exactly_the_comings(looks: list[tuple[int, list[str]]]) -> None:
    presence, now_ms, last, missed = Presence(), 0, dict[str, int](), dict[str, int]()
    for pause_ms, names in looks:
        now_ms += pause_ms
        cards = tuple(CardUid("a", f"{ord(name):08X}") for name in dict.fromkeys(names))
        seen = {item.card for item in presence.step(now_ms * MS, tuple(map(CardRead, cards)))}
        assert seen == {
            card
            for card in cards
            if card.hex not in last or missed[card.hex] >= 500 or now_ms - last[card.hex] > UNSEEN_NS_MAX // MS
        }
        missed = {name: missed[name] + min(150, pause_ms) for name in missed}
        last |= {card.hex: now_ms for card in cards}
        missed |= {card.hex: 0 for card in cards}


def test_noise_can_not_grow_it() -> None:
    presence = Presence()
    for number in range(1000):
        presence.step(number, (CardRead(CardUid("a", f"{number + 0x10000000:08X}")),))
    assert len(presence._there) <= CARDS_MAX


def test_a_reader_that_tells_of_moments_tells_of_another_tap_also_after_it_was_away() -> None:
    presence = Presence(moments=True)
    assert len(presence.step(0, (A,))) == 1
    assert presence.step(300 * MS, (A,)) == (), "said twice"
    presence.reopened(700 * MS)
    assert len(presence.step(900 * MS, (A,))) == 1
    assert len(presence.step(30_000 * MS, (A,))) == 1, "nor does a stall make two taps one"


def test_two_moments_told_together_are_two_taps_where_they_are_dated() -> None:
    presence = Presence(moments=True)
    twice = [CardRead(A.card, "", "", since_ms * MS) for since_ms in (1_000, 1_100, 9_000)]
    assert [seen.seen_mono_ns // MS for seen in presence.step(9_500 * MS, twice)] == [1_000, 9_000]
