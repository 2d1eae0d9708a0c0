"""Raw reads: what is sealed with a tap, and what an older gateway sealed."""

from __future__ import annotations

import pytest

from protocol.errors import BadMessage
from protocol.rawread import BYTES_MAX, PROOF_CHARACTERS_MAX, RawRead, decode_raw, encode_raw


@pytest.mark.parametrize(
    "read",
    [
        RawRead("a:DEADBEEF"),
        RawRead("w24:ADBEEF", "173,48879", "format=3d5d"),
        RawRead("w24:ADBEEF", "x"),
        RawRead("a:04DE5F1EACC040", proof="e=EF963FF7828658A599F3041510671E88&c=94EED9EE65337086"),
    ],
)
def test_there_and_back(read: RawRead) -> None:
    assert decode_raw(encode_raw(read)) == read


def test_before_there_were_texts_the_number_alone_was_sealed() -> None:
    assert decode_raw(b"w24:BEADDE") == RawRead("w24:BEADDE")


def test_a_line_of_noise_is_cut_to_what_a_number_may_have() -> None:
    assert len(encode_raw(RawRead("a:DEADBEEF", "7" * 10_000, "format=dec"))) < 200


@pytest.mark.parametrize("proof", ["e" * (PROOF_CHARACTERS_MAX + 1), "e=ế"])
def test_what_can_not_be_a_proof_is_left_out_and_the_read_stays(proof: str) -> None:
    assert decode_raw(encode_raw(RawRead("a:DEADBEEF", proof=proof))) == RawRead("a:DEADBEEF")


def test_the_longest_proof_comes_back_whatever_it_says() -> None:
    read = RawRead("a:04DE5F1EACC040", "7" * 80, "format=dec&order=reversed", '"' * PROOF_CHARACTERS_MAX)
    assert decode_raw(encode_raw(read)) == read


@pytest.mark.parametrize("octets", [b"{", b'{"card":1}', b'{"text":"1"}', b"\xff", b"a" * (BYTES_MAX + 1), b"{" * 900])
def test_anything_else_is_a_bad_message(octets: bytes) -> None:
    with pytest.raises(BadMessage):
        decode_raw(octets)
