"""A tap judged by what is known of its card: proofs in any order, types, places; each by values alone."""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import replace

import msgspec
import pytest

from hub.cards.authenticity import (
    MOMENTS_MAX,
    PIECES_MAX,
    CardState,
    Checked,
    Judged,
    Moment,
    Tap,
    check_proof,
    facets_of,
    judge,
)
from hub.cards.sun import COUNTER_BYTES, SunKeys, diversified
from protocol.cards import CardUid
from protocol.ranges import RangeSet
from sim.emulators.sun import SunApplication

META, KEY = bytes(range(16)), bytes(range(16, 32))
KEYS = SunKeys(META, KEY)
UID = bytes.fromhex("04DE5F1EACC040")
CARD = CardUid.from_bytes("a", UID)
COUNTER_MAX = (1 << 8 * COUNTER_BYTES) - 1
APART_MS = 5_000


def moment(number: int, at_ms: int | None, *, device: str = "g1", err_ms: int = 100, boot: str | None = None) -> Moment:
    """The `number`-th tap of a device, in a boot of its own; without a time its clock was never right."""
    low, high = (None, None) if at_ms is None else (at_ms - err_ms, at_ms + err_ms)
    return Moment(
        f"{device}.{number}", device, "cong", boot or f"b{number}", number, at_ms or 0, low, high, accepted=True
    )


def tap(
    at: Moment,
    *,
    counter: int | None = None,
    proof: Checked | None = None,
    kind: str = "",
    desk: bool = False,
    refused: bool = False,
    known: bool = True,
    needs_proof: bool = False,
) -> Tap:
    if counter is not None:
        proof = Checked("valid", counter)
    at = msgspec.structs.replace(at, accepted=not refused)
    return Tap(at, "hk1:card", facets_of(kind), proof, desk, refused, known, needs_proof)


class Card:
    """What becomes of one card's taps, in the order in which they come."""

    def __init__(self, state: CardState | None = None) -> None:
        self.state = state or CardState()
        self.anchored: dict[str, int] = {}

    def take(self, one: Tap, apart_ms: int = APART_MS) -> Judged:
        judged = judge(self.state, one, apart_ms, self._bound)
        self.state = judged.state
        return judged

    def _bound(self, one: Moment) -> Moment:
        at_ms = self.anchored.get(one.tap)
        if at_ms is None:
            return one
        return msgspec.structs.replace(one, best_ms=at_ms, not_before_ms=at_ms - 100, not_after_ms=at_ms + 100)


def found(judged: Judged) -> list[tuple[str, str]]:
    return [(finding.code, finding.moment.tap) for finding in judged.findings]


def proof(counter: int, uid: bytes = UID, key: bytes = KEY, meta: bytes = META) -> str:
    return SunApplication(uid, meta, key, counter).query()


# --- proofs -----------------------------------------------------------------------------------------------------------


def test_a_true_proof_is_one() -> None:
    assert check_proof(proof(61), CARD, KEYS) == Checked("valid", 61)
    assert Card().take(tap(moment(1, 0), counter=61)).verdict == "proved"


@pytest.mark.parametrize(
    "text",
    [
        proof(61, key=bytes(16)),
        proof(61, meta=bytes(16)),
        proof(61, uid=bytes.fromhex("04958CAA5C5E80")),
        proof(61)[:-1] + ("0" if not proof(61).endswith("0") else "1"),
        proof(61)[:-2],
        "picc_data=&cmac=",
    ],
)
def test_a_wrong_mac_or_another_card_is_refused_and_no_number_is_named(text: str) -> None:
    checked = check_proof(text, CARD, KEYS)
    assert checked is not None and checked.outcome == "refused" and checked.counter is None
    judged = Card().take(tap(moment(1, 0), proof=checked, needs_proof=True))
    assert judged.verdict == "refused" and found(judged) == [("proof-refused", "g1.1")]
    told = judged.findings[0].detail
    assert told and not any(secret in told for secret in (UID.hex().upper(), "04958CAA5C5E80", text[10:30] or "-"))
    assert judged.state.counters == (), "a wrong proof uses no counter up"


def test_an_address_of_somebody_elses_is_no_proof_and_no_copy() -> None:
    assert check_proof("lang=vi&c=12&x", CARD, KEYS) is None
    checked = check_proof(proof(61, key=bytes(16)), CARD, KEYS)
    assert found(Card().take(tap(moment(1, 0), proof=checked, refused=True, known=False))) == []


def test_each_cards_own_key_is_made_from_the_master_key() -> None:
    context = b"k12edge-context"
    own = SunKeys(META, KEY, context)
    assert check_proof(proof(5, key=diversified(KEY, CARD, context)), CARD, own) == Checked("valid", 5)
    assert check_proof(proof(5), CARD, own) == Checked("refused", None, "the MAC is not that of this card's key")


def test_keys_are_not_shown() -> None:
    assert META.hex() not in repr(KEYS) and repr(META) not in repr(KEYS) and repr(KEY) not in repr(KEYS)


def test_without_keys_nothing_is_held_against_a_proof() -> None:
    checked = check_proof(proof(61), CARD, None)
    judged = Card().take(tap(moment(1, 0), proof=checked, needs_proof=True))
    assert (judged.verdict, judged.findings, judged.state.counters) == ("unchecked", (), ())


# --- counters ---------------------------------------------------------------------------------------------------------


def taken(taps: Sequence[Tap]) -> list[tuple[str | None, list[tuple[str, str]]]]:
    card = Card()
    return [(judged.verdict, found(judged)) for judged in map(card.take, taps)]


def test_two_gates_whose_taps_come_late_and_out_of_order_replay_nothing() -> None:
    at_a = [tap(moment(n, n * 100_000, device="ga"), counter=n) for n in (1, 3, 5)]
    at_b = [tap(moment(n, n * 100_000, device="gb"), counter=n) for n in (2, 4, 9)]
    for order in ([*at_a, *at_b], [*reversed(at_b), *reversed(at_a)], [at_b[2], *at_a, at_b[0], at_b[1]]):
        assert taken(order) == [("proved", [])] * 6


def test_the_same_counter_in_another_tap_is_a_replay_told_with_the_other_one() -> None:
    card = Card()
    for number in (7, 8):
        assert card.take(tap(moment(number, number * 10_000), counter=number)).verdict == "proved"
    judged = card.take(tap(moment(9, 90_000), counter=7))
    assert judged.verdict == "replayed" and found(judged) == [("proof-replayed", "g1.9")]
    assert "g1.7" in judged.findings[0].detail
    assert RangeSet(card.state.counters) == RangeSet([(7, 8)])


def test_gaps_are_no_replay_and_the_set_knows_what_was_seen_and_what_was_not() -> None:
    card = Card()
    for number in (1, 100, 50_000, 2):
        assert card.take(tap(moment(number, None), counter=number)).verdict == "proved"
    assert list(RangeSet(card.state.counters)) == [(1, 2), (100, 100), (50_000, 50_000)]
    assert card.take(tap(moment(60_000, None), counter=100)).verdict == "replayed"


def test_the_highest_counter_there_is_stands_and_what_comes_after_it_is_old() -> None:
    card = Card()
    assert check_proof(proof(COUNTER_MAX), CARD, KEYS) == Checked("valid", COUNTER_MAX)
    assert card.take(tap(moment(1, 10_000), counter=COUNTER_MAX)).verdict == "proved"
    assert card.take(tap(moment(2, 20_000), counter=COUNTER_MAX)).verdict == "replayed"
    for number, counter in ((3, 0), (4, 1)):
        judged = card.take(tap(moment(number, number * 10_000), counter=counter))
        assert judged.verdict == "late" and found(judged) == [("proof-late", f"g1.{number}")]


def test_a_proof_recorded_earlier_and_shown_later_is_late_in_whatever_order_both_come() -> None:
    true, shown = tap(moment(1, 10_000), counter=12), tap(moment(1, 60_000, device="g2"), counter=11)
    assert taken([true, shown]) == [("proved", []), ("late", [("proof-late", "g2.1")])]
    assert taken([shown, true]) == [("proved", []), ("proved", [("proof-late", "g2.1")])]


@pytest.mark.parametrize("at_ms", [10_199, None])
def test_where_the_clocks_leave_a_doubt_nobody_is_accused(at_ms: int | None) -> None:
    true, shown = tap(moment(1, 10_000), counter=12), tap(moment(2, at_ms), counter=11)
    for order in ([true, shown], [shown, true]):
        assert taken(order) == [("proved", [])] * 2
    assert taken([true, tap(moment(2, 10_201), counter=11)])[1][0] == "late"


def test_within_one_boot_the_order_is_certain_though_the_time_is_not() -> None:
    first, second = (tap(moment(n, None, boot="b"), counter=20 - n) for n in (1, 2))
    assert taken([first, second]) == [("proved", []), ("late", [("proof-late", "g1.2")])]
    assert taken([second, first]) == [("proved", []), ("proved", [("proof-late", "g1.2")])]
    elsewhere = tap(moment(2, None, device="g2", boot="b"), counter=18)
    assert taken([first, elsewhere]) == [("proved", [])] * 2


def test_a_clock_that_is_known_later_tells_what_was_late() -> None:
    card = Card()
    card.take(tap(moment(1, None, device="g2"), counter=11))
    assert card.take(tap(moment(1, 10_000), counter=12)).findings == ()
    card.anchored["g2.1"] = 60_000
    judged = card.take(tap(moment(2, 90_000), counter=13))
    assert judged.verdict == "proved" and found(judged) == [("proof-late", "g2.1")]
    assert card.take(tap(moment(3, 91_000), counter=14)).findings == (), "told once"


def test_what_is_remembered_of_a_card_is_bounded_and_what_was_forgotten_is_no_new_proof() -> None:
    card = Card()
    for number in range(PIECES_MAX + 10):
        assert card.take(tap(moment(number, number * 10_000), counter=2 * number)).findings == ()
    state = card.state
    assert len(state.counters) == PIECES_MAX and len(state.moments) == MOMENTS_MAX
    assert [one.counter for one in state.moments][-1] == 2 * (PIECES_MAX + 9)
    assert len(msgspec.json.encode(state)) < 16_000
    assert card.take(tap(moment(9_000, None), counter=state.floor)).verdict == "late"
    assert card.take(tap(moment(9_001, None), counter=state.floor - 1)).verdict == "late"
    assert card.take(tap(moment(9_002, None), counter=state.floor + 1)).verdict == "proved"
    assert msgspec.json.decode(msgspec.json.encode(card.state), type=CardState) == card.state


@pytest.mark.parametrize("seed", range(40))
def test_an_honest_card_is_never_accused_and_a_replay_always_is(seed: int) -> None:
    """Gates with clocks that err within their bounds or are known late or never, delivered in any order."""
    rng = random.Random(seed)
    errors = {f"g{n}": rng.randint(-3_000, 3_000) for n in range(4)}
    card, taps, at_ms, counter = Card(), [], 1_000_000, 0
    for number in range(MOMENTS_MAX - 2):
        at_ms += rng.choice((200, 2_000, 60_000))
        counter += rng.choice((1, 1, 2, 30))
        device = rng.choice(list(errors))
        known = rng.random() < 0.7
        one = moment(number, at_ms + errors[device], device=device, err_ms=3_000)
        if not known:
            one = msgspec.structs.replace(one, not_before_ms=None, not_after_ms=None)
        taps.append(tap(one, counter=counter))
    rng.shuffle(taps)
    for one in taps:
        assert [code for code, _ in found(card.take(one, 0)) if code.startswith("proof-")] == []
    again = rng.choice(taps)
    assert card.take(tap(moment(99, None, device="g9"), counter=again.proof.counter if again.proof else 0)).verdict == (
        "replayed"
    )


# --- stations that need proofs ----------------------------------------------------------------------------------------


def test_where_a_proof_is_needed_its_want_is_told_once_for_each_tap_of_a_pupil() -> None:
    wanted = tap(moment(1, 0), needs_proof=True)
    assert found(Card().take(wanted)) == [("proof-missing", "g1.1")]
    assert found(Card().take(replace(wanted, needs_proof=False))) == []
    assert found(Card().take(replace(wanted, proof=Checked("valid", 3)))) == []
    assert found(Card().take(replace(wanted, refused=True))) == [], "nobody was let in"
    unreadable = Card().take(replace(wanted, proof=Checked("unreadable", why="?")))
    assert (unreadable.verdict, found(unreadable)) == ("unreadable", [("proof-missing", "g1.1")])


# --- types ------------------------------------------------------------------------------------------------------------

TYPE = "sak=20,ats=067577810280"


def test_a_type_is_its_facets_and_nothing_else() -> None:
    assert facets_of(TYPE) == {"sak": "20", "ats": "067577810280"}
    assert facets_of("pmm=0120220427674eff") == {"pmm": "0120220427674eff"}
    for kind in ("", ",,", "sak", "sak=", "uid=04", "=20"):
        assert facets_of(kind) == {}


def test_another_type_than_at_first_sight_is_told_by_the_facets_that_both_have() -> None:
    card = Card()
    assert card.take(tap(moment(1, 0), kind="sak=20")).findings == ()
    assert card.take(tap(moment(2, 0), kind=TYPE)).findings == (), "the ATS is learnt when it is first seen"
    assert card.take(tap(moment(3, 0))).findings == (), "a reader that tells no type"
    assert card.take(tap(moment(4, 0), kind="sak=20")).findings == ()
    judged = card.take(tap(moment(5, 0), kind="sak=08"))
    assert found(judged) == [("card-type-changed", "g1.5")]
    assert judged.findings[0].detail == "sak is 08, known is 20"
    assert found(card.take(tap(moment(6, 0), kind="sak=20,ats=0578"))) == [("card-type-changed", "g1.6")]
    assert card.state.facets == facets_of(TYPE), "a change teaches nothing"
    assert found(card.take(tap(moment(7, 0), kind="sak=08", refused=True))) == [("card-type-changed", "g1.7")]


def test_a_new_card_at_a_desk_replaces_what_was_known() -> None:
    card = Card()
    card.take(tap(moment(1, 0), kind=TYPE))
    assert card.take(tap(moment(2, 0), kind="sak=08", desk=True)).findings == ()
    assert card.state.facets == {"sak": "08"}
    assert card.take(tap(moment(3, 0), desk=True)).state.facets == {"sak": "08"}, "a reader that tells none"
    assert found(card.take(tap(moment(4, 0), kind="sak=20"))) == [("card-type-changed", "g1.4")]


@pytest.mark.parametrize("desk", [False, True])
def test_a_copy_that_was_found_out_and_a_card_that_was_refused_teach_no_type(desk: bool) -> None:
    card = Card()
    refused = Checked("refused", why="the MAC is not that of this card's key")
    card.take(tap(moment(1, 0), kind="sak=08", proof=refused, desk=desk))
    card.take(tap(moment(2, 0), kind="sak=08", refused=True, desk=desk))
    assert card.state.facets == {}


# --- places -----------------------------------------------------------------------------------------------------------


def test_a_card_accepted_at_two_devices_at_once_is_told_of_the_later_tap() -> None:
    one, other = tap(moment(1, 10_000)), tap(moment(1, 14_000, device="g2"))
    for order in ([one, other], [other, one]):
        assert taken(order)[1][1] == [("card-in-two-places", "g2.1")]
    assert taken([one, tap(moment(2, 10_100))])[1][1] == [], "one device's two readers stand together"
    assert taken([one, replace(other, moment=msgspec.structs.replace(other.moment, accepted=False))])[1][1] == []


@pytest.mark.parametrize(("apart_ms", "err_ms", "told"), [(4_799, 100, True), (4_800, 100, False), (100, 2_500, False)])
def test_only_what_is_certain_by_the_clocks_bounds_is_told(apart_ms: int, err_ms: int, told: bool) -> None:
    first = tap(moment(1, 10_000, err_ms=err_ms))
    second = tap(moment(1, 10_000 + apart_ms, device="g2", err_ms=err_ms))
    for order in ([first, second], [second, first]):
        assert bool(taken(order)[1][1]) is told


def test_clocks_that_nothing_bounds_accuse_nobody_until_they_are_known() -> None:
    card = Card()
    card.take(tap(moment(1, None, device="g2")))
    assert card.take(tap(moment(1, 10_000))).findings == ()
    card.anchored["g2.1"] = 11_000
    assert found(card.take(tap(moment(2, 90_000)))) == [("card-in-two-places", "g2.1")]


def test_a_school_may_choose_the_time_or_that_nothing_is_told() -> None:
    for apart_ms, told in ((60_000, True), (0, False)):
        card = Card()
        card.take(tap(moment(1, 10_000)), apart_ms)
        assert bool(card.take(tap(moment(1, 40_000 if told else 10_000, device="g2")), apart_ms).findings) is told


def test_taps_that_come_after_a_week_offline_find_their_like() -> None:
    card = Card()
    for number in range(1, 25):
        card.take(tap(moment(number, number * 3_600_000)))
    judged = card.take(tap(moment(1, 2 * 3_600_000 + 1_000, device="g2")))
    assert found(judged) == [("card-in-two-places", "g2.1")]
