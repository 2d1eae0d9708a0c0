"""Signatures and sealed boxes: what is meant for one key and one topic is worth nothing under another."""

from __future__ import annotations

import hashlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from protocol.envelope import octets_of
from protocol.errors import BadMessage
from protocol.signing import (
    Identity,
    SealRefused,
    SignatureRefused,
    fingerprint,
    is_public_key,
    open_message,
    seal,
    sign_message,
    split_message,
    verify,
)

BASE64URL = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
MINE = Identity(bytes(range(32)), bytes(range(32, 64)))
OTHER = Identity(bytes(range(1, 33)), bytes(range(33, 65)))
TOPIC = "k12/1/s1/dev/gate/state"
BODIES = st.binary(max_size=200)


def test_vector_of_rfc_8032() -> None:
    """Section 7.1, test 2: one byte, 72."""
    seed = bytes.fromhex("4ccd089b28ff96da9db6c346ec114e0f5b8a319f35aba624da8cf6ed4fb8a6fb")
    identity = Identity(seed, bytes(32))
    assert identity.key == "PUAXw-hDiVqStwqnTRt-vJyYLM8uxJaMwM1V8Sr0Zgw"
    expected = bytes.fromhex(
        "92a009a9f0d4cab8720e820b5f642540a2b27b5416503f8fb3762223ebdb69da085ac1e43e15996e458f3613d0f11d8c387b2eaeb4302aeeb00d291612bb0c00"
    )
    assert octets_of(identity.sign(b"\x72")) == expected


@given(BODIES)
def test_message_round_trips(body: bytes) -> None:
    assert open_message(MINE.key, TOPIC, sign_message(MINE, TOPIC, body)) == body


@given(BODIES, st.data())
def test_a_changed_byte_is_refused(body: bytes, data: st.DataObject) -> None:
    message = bytearray(sign_message(MINE, TOPIC, body))
    place = data.draw(st.integers(0, len(message) - 1))
    message[place] ^= data.draw(st.integers(1, 255))
    with pytest.raises(BadMessage):
        open_message(MINE.key, TOPIC, bytes(message))


def test_another_key_or_topic_is_refused() -> None:
    message = sign_message(MINE, TOPIC, b"{}")
    with pytest.raises(SignatureRefused):
        open_message(OTHER.key, TOPIC, message)
    for topic in ("k12/1/s1/dev/gate/stat", "k12/1/s1/dev/gate/receipt", "k12/1/s2/dev/gate/state", ""):
        with pytest.raises(BadMessage, match="another topic"):
            open_message(MINE.key, topic, message)


@given(st.binary(max_size=300))
def test_hostile_messages_are_refused(message: bytes) -> None:
    with pytest.raises(BadMessage):
        open_message(MINE.key, TOPIC, message)


@pytest.mark.parametrize(
    "line", [b"", b"{}", b'{"sig":""}', b'{"sig":"' + b"A" * 86 + b'"}', b'{"sig":"' + b"A" * 4000 + b'"}']
)
def test_a_broken_signature_line_is_refused(line: bytes) -> None:
    with pytest.raises(BadMessage):
        open_message(MINE.key, TOPIC, line + b"\n" + TOPIC.encode() + b"\n{}")


def test_splitting_verifies_nothing() -> None:
    signature, signed, body = split_message(TOPIC, sign_message(OTHER, TOPIC, b"body"))
    assert body == b"body"
    assert signed == TOPIC.encode() + b"\nbody"
    verify(OTHER.key, signed, signature)


@pytest.mark.parametrize("key", ["", "A" * 43, "A" * 42, "=" * 43, "é", MINE.key + "A", "A" * 5000])
def test_a_key_that_is_none_verifies_nothing(key: str) -> None:
    with pytest.raises(SignatureRefused) as refused:
        verify(key, b"text", MINE.sign(b"text"))
    assert refused.value.code == "signature-refused"


@given(BODIES)
def test_a_box_opens_for_its_owner_only(secret: bytes) -> None:
    sealed = seal(MINE.box, secret)
    assert MINE.open(sealed) == secret
    with pytest.raises(SealRefused):
        OTHER.open(sealed)


@given(st.integers(0, 106), st.integers(1, len(BASE64URL) - 1))
def test_a_changed_box_is_refused(place: int, further: int) -> None:
    # What is drawn depends on nothing of the box, which is another one each time.
    sealed = seal(MINE.box, b"thirty-two bytes of a secret key")
    assert len(sealed) == 107
    letter = BASE64URL[(BASE64URL.index(sealed[place]) + further) % len(BASE64URL)]
    with pytest.raises(SealRefused):
        MINE.open(sealed[:place] + letter + sealed[place + 1 :])


@pytest.mark.parametrize("text", ["", "A", "not base64!", "A" * 64])
def test_what_is_no_box(text: str) -> None:
    with pytest.raises(SealRefused):
        MINE.open(text)


@pytest.mark.parametrize("box", ["", "A" * 42, "?" * 43])
def test_what_is_no_key_for_a_box(box: str) -> None:
    with pytest.raises(BadMessage):
        seal(box, b"")


def test_forms_of_keys_and_fingerprints() -> None:
    assert is_public_key(MINE.key)
    assert is_public_key(MINE.box)
    assert not is_public_key(MINE.key[:-1])
    assert not is_public_key(MINE.key + "=")
    digits = hashlib.sha256(MINE.key.encode("ascii")).hexdigest()
    assert fingerprint(MINE.key) == "b43c-dfe1-bf18-0ef4-e22b"
    assert fingerprint(MINE.key).replace("-", "") == digits[:20]
    assert fingerprint(MINE.key) != fingerprint(OTHER.key)


def test_an_identity_never_shows_its_secrets() -> None:
    assert repr(MINE) == f"Identity({fingerprint(MINE.key)})"
    with pytest.raises(AssertionError):
        Identity(bytes(31), bytes(32))
