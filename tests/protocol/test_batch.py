"""Batches: signed ranges with exact lines, held to their bounds."""

from __future__ import annotations

import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from protocol.batch import (
    BATCH_EVENTS_MAX,
    MESSAGE_BYTES_MAX,
    Header,
    decode_batch,
    encode_batch,
    signed_text,
    verify_batch,
)
from protocol.envelope import EVENT_BYTES_MAX, digest
from protocol.errors import BadMessage
from protocol.signing import Identity, SignatureRefused
from protocol.taps import SEQUENCE_MAX

MINE = Identity(bytes(range(32)), bytes(32))
OTHER = Identity(bytes(range(1, 33)), bytes(32))
JOURNAL = "0b6f5c9e7d2a4f18"
LINES = st.lists(st.binary(min_size=1, max_size=60).filter(lambda line: b"\n" not in line), min_size=1, max_size=8)


@given(LINES, st.integers(1, SEQUENCE_MAX - 8))
def test_round_trip(lines: list[bytes], first: int) -> None:
    batch = decode_batch(encode_batch(MINE, JOURNAL, first, lines))
    assert list(batch.lines) == lines
    assert (batch.header.journal, batch.header.first, batch.header.last) == (JOURNAL, first, first + len(lines) - 1)
    verify_batch(MINE.key, batch.header)
    with pytest.raises(SignatureRefused):
        verify_batch(OTHER.key, batch.header)


def test_signed_text_is_as_published() -> None:
    assert signed_text(JOURNAL, 7, 2, "h") == b"k12edge.batch.v1\n0b6f5c9e7d2a4f18\n7\n2\nh"


@pytest.mark.parametrize(
    "change", [{"journal": "0b6f5c9e7d2a4f19"}, {"first": 2}, {"count": 2}, {"head": digest(b"x")}]
)
def test_the_signature_covers_every_word_of_the_header(change: dict[str, object]) -> None:
    header = decode_batch(encode_batch(MINE, JOURNAL, 1, [b"a", b"b", b"c"])).header
    words = {name: getattr(header, name) for name in ("journal", "first", "count", "head", "sig")} | change
    with pytest.raises(SignatureRefused):
        verify_batch(MINE.key, Header(**words))  # type: ignore[arg-type]


@pytest.mark.parametrize("change", [{"journal": "0b6f5c9e7d2a4f19"}, {"first": 2}, {"body": digest(b"x")}])
def test_the_bodys_signature_covers_every_word(change: dict[str, object]) -> None:
    header = decode_batch(encode_batch(MINE, JOURNAL, 1, [b"a", b"b", b"c"])).header
    words = {name: getattr(header, name) for name in Header.__struct_fields__} | change
    text = signed_text(words["journal"], words["first"], words["count"], words["head"])
    with pytest.raises(SignatureRefused):
        verify_batch(MINE.key, Header(**words | {"sig": MINE.sign(text)}))


@given(st.data())
def test_a_changed_byte_is_refused(data: st.DataObject) -> None:
    lines = data.draw(st.sampled_from([[b"first", b"second", b"third"], [b"a single one"]]))
    payload = bytearray(encode_batch(MINE, JOURNAL, 1, lines))
    place = data.draw(st.integers(0, len(payload) - 1))
    payload[place] ^= data.draw(st.integers(1, 255))
    with pytest.raises(BadMessage):
        verify_batch(MINE.key, decode_batch(bytes(payload)).header)


@given(st.binary(max_size=300))
def test_hostile_bytes_are_refused(payload: bytes) -> None:
    with pytest.raises(BadMessage):
        decode_batch(payload)


def broken(lines: list[bytes] | None = None, **change: object) -> bytes:
    lines = [b"a", b"b"] if lines is None else lines
    header = {
        "journal": JOURNAL,
        "first": 1,
        "count": len(lines),
        "head": digest(lines[-1]) if lines else "",
        "sig": "x",
    }
    return b"\n".join([json.dumps(header | change).encode(), *lines])


@pytest.mark.parametrize(
    "payload",
    [
        b"",
        b"\n",
        broken(journal="short"),
        broken(journal=JOURNAL.upper()),
        broken(first=0),
        broken(first=-1),
        broken(first=SEQUENCE_MAX),
        broken(first="1"),
        broken(count=0),
        broken(count=1),
        broken(count=3),
        broken(count=10**20),
        broken(head="x"),
        broken(head=digest(b"another")),
        broken([b"a", b"", b"b"]),
        broken([b"a" * (EVENT_BYTES_MAX + 1)]),
        broken([b"a"]) + b"\n",
        broken([]),
        b"[" * 5_000 + b"\na",
    ],
    ids=range(19),
)
def test_a_broken_bound_is_refused(payload: bytes) -> None:
    with pytest.raises(BadMessage):
        decode_batch(payload)


@settings(max_examples=10)
@given(st.integers(0, 3))
def test_bounds_are_where_they_are_said_to_be(more: int) -> None:
    lines = [b"x"] * (BATCH_EVENTS_MAX + more)
    header = {"journal": JOURNAL, "first": 1, "count": len(lines), "head": digest(b"x"), "sig": "s"}
    payload = b"\n".join([json.dumps(header).encode(), *lines])
    if more:
        with pytest.raises(BadMessage):
            decode_batch(payload)
    else:
        assert decode_batch(payload).header.count == BATCH_EVENTS_MAX


def test_a_message_too_long_is_not_even_looked_at() -> None:
    with pytest.raises(BadMessage, match=str(MESSAGE_BYTES_MAX)):
        decode_batch(b"x" * (MESSAGE_BYTES_MAX + 1))


def test_only_as_many_as_allowed_are_signed() -> None:
    for count in (0, BATCH_EVENTS_MAX + 1):
        with pytest.raises(AssertionError):
            encode_batch(MINE, JOURNAL, 1, [b"x"] * count)
