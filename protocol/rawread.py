"""A raw read: what a reader really said, kept with unknown cards and parts of numbers in a box only the hub opens."""

from __future__ import annotations

from typing import Final

import msgspec

from protocol.cardforms import TEXT_CHARACTERS_MAX
from protocol.errors import BadMessage

BYTES_MAX: Final = 1_024
"""A read in JSON; longer ones are nobody's."""
PROOF_CHARACTERS_MAX: Final = 300
"""An NTAG 424 DNA's file has 256 bytes, and all of them can't be the query."""


class RawRead(msgspec.Struct, frozen=True, omit_defaults=True):
    """A card's number as the gateway took it, canonical; where it came as a text, that text and the reader's plan.

    `plan` is a NumberPlan as an address declares it, such as `format=w26&order=reversed`. With both the hub derives the
    number again when the plan was wrong. `proof`: what the card wrote to prove itself, the query of its SUN address
    as it was read.
    """

    card: str
    text: str | None = None
    plan: str | None = None
    proof: str | None = None


_decoder = msgspec.json.Decoder(RawRead)


def encode_raw(read: RawRead) -> bytes:
    """The bytes that are sealed; a text too long to be a number is cut, a proof too long to be one left out."""
    if read.proof is not None and (len(read.proof) > PROOF_CHARACTERS_MAX or not read.proof.isascii()):
        read = msgspec.structs.replace(read, proof=None)
    if read.text is not None and len(read.text) > TEXT_CHARACTERS_MAX:
        read = msgspec.structs.replace(read, text=read.text[:TEXT_CHARACTERS_MAX])
    return msgspec.json.encode(read)


def decode_raw(octets: bytes) -> RawRead:
    """Read what was sealed; gateways of before sealed the canonical form alone. Raises BadMessage."""
    if len(octets) > BYTES_MAX:
        raise BadMessage(f"a raw read has more than {BYTES_MAX} bytes")
    try:
        return _decoder.decode(octets) if octets[:1] == b"{" else RawRead(octets.decode("ascii"))
    except (msgspec.DecodeError, ValueError, RecursionError) as problem:
        raise BadMessage(f"not a raw read: {problem}") from problem
