"""The sieve: nothing but a counter's own signed word comes through, and hostile bytes cost a bounded time."""

from __future__ import annotations

from random import Random

import msgspec
import pytest

from edge.canteen.sifting import (
    SIGNED_BYTES_MAX,
    SOURCES_MAX,
    STRANGER,
    STRANGERS,
    TRUSTED,
    TWICE_KEPT,
    Allowance,
    Budget,
    Genuine,
    Sieve,
)  # fmt: skip
from protocol.served import SERVINGS_MAX, WORD_BYTES_MAX, Word, decode_word
from protocol.signing import Identity, sign_message
from protocol.topics import device_topic
from tests.edge.canteen.circle import IDENTITIES, NAMES, SCHOOL, keys_but, told

A, B, C, D = NAMES
HERE = "10.0.0.9"


def signed(
    device: str = B, word: Word | bytes | None = None, *, school: str = SCHOOL, leaf: str = "served", by: str = ""
) -> bytes:
    body = word if isinstance(word, bytes) else msgspec.json.encode(word or Word("run-b", 1, 0))
    return sign_message(IDENTITIES[by or device], device_topic(school, device, leaf), body)


def sift(octets: bytes, keys: dict[str, str] | None = None) -> object:
    return Sieve(SCHOOL, A).sift(octets, keys_but(A) if keys is None else keys, HERE, 0, trusted=False)


def test_a_counters_own_word_comes_through_once() -> None:
    sieve = Sieve(SCHOOL, A)
    word = Word("run-b", 7, 1, [told("j.1")], {A: ("run-a", 3, 0)})
    found = sieve.sift(signed(B, word), keys_but(A), HERE, 0, trusted=True)
    assert found == Genuine(B, word)
    assert sieve.sift(signed(B, word), keys_but(A), "broker", 0, trusted=True) == "copy"


@pytest.mark.parametrize(
    ("octets", "why"),
    [
        (b"", "form"),
        (b"\n", "form"),
        (b"x" * (SIGNED_BYTES_MAX + 1), "long"),
        (b'{"sig":"' + b"A" * 200, "form"),
        (b'{"sig":"AAAA"}\nk12/1/79000701/dev/quay-b/served', "form"),
        (b'{"sig":"AAAA"}\nk12/1/79000701/dev/quay-\xc3\xa1/served\n{}', "form"),
        (b'{"sig":"AAAA"}\n' + b"k12/1/79000701/dev/" + b"q" * 150 + b"/served\n{}", "form"),
        (b'{"sig":"AAAA"}\nk12/1/79000701/dev/quay-b/served\n{}', "forged"),
        (b'{"sig":""}\nk12/1/79000701/dev/quay-b/served\n{}', "forged"),
        (signed(leaf="state"), "form"),
        (signed(school="79000702"), "foreign"),
        (signed(A), "own"),
        (signed("quay-x", by=B), "stranger"),
        (signed(B, by=C), "forged"),
        (signed()[:-1], "forged"),
        (signed() + b" ", "forged"),
        (signed(word=b"{"), "unreadable"),
        (signed(word=b"[" * 4_000), "unreadable"),
        (signed(word=b'{"run":"r","number":0,"through":0}'), "unreadable"),
    ],
)
def test_everything_else_is_refused_by_name(octets: bytes, why: str) -> None:
    assert sift(octets) == why


def test_a_word_that_one_signed_is_no_word_of_another() -> None:
    renamed = signed(B).replace(b"/dev/quay-b/", b"/dev/quay-c/")
    assert sift(renamed) == "forged"
    assert sift(signed(), {B: IDENTITIES[C].key}) == "forged"
    assert sift(signed(), {B: "no key"}) == "forged"


def test_no_byte_of_a_word_can_be_changed() -> None:
    whole = signed(B, Word("run-b", 7, 1, [told("j.1")]))
    rng = Random(5)
    for at in range(0, len(whole), 3):
        changed = whole[:at] + bytes([whole[at] ^ (1 << rng.randrange(8))]) + whole[at + 1 :]
        assert isinstance(sift(changed), str), at


@pytest.mark.parametrize(
    "wrong",
    [
        Word("r", 1, 1, [told("j.1")] * 2),
        Word("r", 1, 0, [told("j.1")]),
        Word("r", 1, 1, [told("j.1")], {}, 1),
        Word("r", 1, 1, [], {}, 2),
        Word("r", 1, 900, [msgspec.structs.replace(told(f"j.{n}"), place=n) for n in range(1, SERVINGS_MAX + 2)]),
        Word("r", 1, 0, [], {f"d{n}": ("r", 1, 1) for n in range(65)}),
        Word("r" * 81, 1, 0),
        Word("r", 2**53, 0),
        Word("r", 1, 1, [msgspec.structs.replace(told("j.1"), shift=0)]),
        Word("r", 1, 1, [msgspec.structs.replace(told("j.1"), shift=9)]),
    ],
)
def test_a_word_that_contradicts_itself_or_is_too_much_is_unreadable(wrong: Word) -> None:
    assert sift(signed(B, wrong)) == "unreadable"


def test_the_largest_word_is_read() -> None:
    most = [msgspec.structs.replace(told(f"j.{n}"), place=n) for n in range(1, SERVINGS_MAX + 1)]
    body = msgspec.json.encode(Word("r", 1, SERVINGS_MAX, most))
    assert len(body) <= WORD_BYTES_MAX and isinstance(sift(signed(B, body)), Genuine)
    assert sift(signed(B, body + b" " * (WORD_BYTES_MAX - len(body) + 1))) == "unreadable"
    assert decode_word(body).told == most


def test_strangers_are_verified_for_a_bounded_time_however_many_and_no_counter_waits_for_them() -> None:
    sieve = Sieve(SCHOOL, A)
    forged = [b'{"sig":"%05d"}\nk12/1/79000701/dev/quay-b/served\n{}' % number for number in range(2_000)]
    verified = {"one": 0, "many": 0}
    for number, octets in enumerate(forged[:1_000]):
        verified["one"] += sieve.sift(octets, keys_but(A), HERE, 0, trusted=False) == "forged"
        verified["many"] += (
            sieve.sift(octets + b" ", keys_but(A), f"10.1.{number // 250}.{number % 250}", 0, trusted=False) == "forged"
        )
    assert verified["one"] <= STRANGER.at_once and sum(verified.values()) == STRANGERS.at_once
    assert isinstance(sieve.sift(signed(), keys_but(A), "10.0.0.2", 0, trusted=True), Genuine)
    later = sum(
        sieve.sift(octets, keys_but(A), f"10.2.0.{number % 200}", 1_000, trusted=False) == "forged"
        for number, octets in enumerate(forged[1_000:])
    )
    assert later == STRANGERS.a_second


def test_a_budget_is_filled_again_by_time_and_by_no_clock_that_goes_back() -> None:
    budget = Budget()
    allowed = Allowance(10, 3)
    assert [budget.take(HERE, allowed, 0) for _ in range(4)] == [True, True, True, False]
    assert not budget.take(HERE, allowed, -10_000) and not budget.take(HERE, allowed, -9_901)
    assert budget.take(HERE, allowed, -9_700)
    assert [budget.take(HERE, allowed, 10**9) for _ in range(4)] == [True, True, True, False]
    assert [budget.take("other", TRUSTED, 0) for _ in range(TRUSTED.at_once + 1)].count(True) == TRUSTED.at_once


def test_what_is_remembered_is_bounded() -> None:
    sieve = Sieve(SCHOOL, A)
    maker = Identity(bytes(32), bytes(32))
    topic = device_topic(SCHOOL, B, "served")
    words = [sign_message(maker, topic, msgspec.json.encode(Word("r", n + 1, 0))) for n in range(TWICE_KEPT + 5)]
    for number, octets in enumerate(words):
        assert isinstance(sieve.sift(octets, {B: maker.key}, HERE, number * 10, trusted=True), Genuine)
    assert len(sieve._taken) == len(sieve._order) == TWICE_KEPT
    budget = Budget()
    for number in range(SOURCES_MAX * 2):
        budget.take(number, STRANGER, 0)
    assert len(budget._left) == SOURCES_MAX
