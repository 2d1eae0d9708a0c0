"""Card numbers: one canonical form, one keyed id, and doubt where a number can't name a card."""

from __future__ import annotations

import base64
import hashlib
import hmac

import pytest
from hypothesis import given
from hypothesis import strategies as st

from protocol.cards import PARTIAL_BYTES, UID_BYTES, CardKey, CardUid, parse_card, suspicion
from protocol.errors import CardNumberError

LENGTHS = [(technology, length) for technology, lengths in (UID_BYTES | PARTIAL_BYTES).items() for length in lengths]
CARDS = st.sampled_from(LENGTHS).flatmap(
    lambda chosen: st.binary(min_size=chosen[1], max_size=chosen[1]).map(lambda uid: CardUid.from_bytes(chosen[0], uid))
)


@given(CARDS, st.booleans())
def test_canonical_form_round_trips(card: CardUid, lower: bool) -> None:
    text = card.canonical.lower() if lower else card.canonical
    assert parse_card(f"  {text}\n") == card
    assert card.partial == card.technology.startswith("w")


def test_bare_hex_is_iso_14443_a() -> None:
    assert parse_card("deadbeef").canonical == "a:DEADBEEF"
    assert parse_card("04A1B2C3D4E580") == CardUid("a", "04A1B2C3D4E580")


@pytest.mark.parametrize(
    "text",
    ["", "a:", ":DEADBEEF", "a:DEADBEE", "a:DEADBEEF00", "a:GGGGGGGG", "x:DEADBEEF", "em:DEADBEEF", "f:DEADBEEF",
     "a:DEAD BEEF", "3735928559", "a:ＤＥＡＤＢＥＥＦ", "w24:DEADBEEF", "a::DEADBEEF"],
)  # fmt: skip
def test_what_is_no_card(text: str) -> None:
    with pytest.raises(CardNumberError) as refused:
        parse_card(text)
    assert refused.value.code == "card-number"


@given(st.text(max_size=30))
def test_any_text_is_a_card_or_refused(text: str) -> None:
    try:
        card = parse_card(text)
    except CardNumberError:
        return
    assert parse_card(card.canonical) == card


@pytest.mark.parametrize(
    ("text", "doubt"),
    [
        ("a:08A1B2C3", "random"),
        ("a:08A1B2C3D4E580", None),  # only four-byte numbers are drawn anew
        ("a:80A1B2C3", None),
        ("em:08A1B2C3D4", None),
        ("a:00000000", "misread"),
        ("a:FFFFFFFFFFFFFF", "misread"),
        ("em:0000000000", "misread"),
        ("w24:000000", "misread"),
        ("a:DEADBEEF", None),
        ("a:F0F0F0F0", None),
        ("a:FF000000", None),
    ],
)
def test_suspicion(text: str, doubt: str | None) -> None:
    assert suspicion(parse_card(text)) == doubt


def test_keyed_id_is_as_published() -> None:
    secret = bytes(range(32))
    tag = hmac.new(secret, b"a:DEADBEEF", hashlib.sha256).digest()[:8]
    assert CardKey(3, secret).keyed(parse_card("DEADBEEF")) == "hk3:" + base64.urlsafe_b64encode(tag).decode().rstrip(
        "="
    )
    assert CardKey(3, secret).keyed(parse_card("DEADBEEF")) == "hk3:gKmYPlRulAI"


@given(CARDS, CARDS, st.binary(min_size=32, max_size=32), st.binary(min_size=32, max_size=32))
def test_keyed_ids_tell_cards_and_keys_apart(one: CardUid, other: CardUid, key: bytes, other_key: bytes) -> None:
    keyed = CardKey(1, key).keyed(one)
    assert (CardKey(1, key).keyed(other) == keyed) == (other == one)
    assert (CardKey(1, other_key).keyed(one) == keyed) == (other_key == key)
    assert one.hex not in keyed.upper() or len(one.hex) < 8


@pytest.mark.parametrize(("number", "secret"), [(-1, bytes(32)), (1, bytes(31)), (1, bytes(33)), (1, b"")])
def test_what_is_no_card_key(number: int, secret: bytes) -> None:
    with pytest.raises(CardNumberError):
        CardKey(number, secret)


def test_a_key_never_shows_its_secret() -> None:
    assert repr(CardKey(1, b"s" * 32)) == "CardKey(number=1)"
