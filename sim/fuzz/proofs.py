"""The parser of raw reads: what a gateway sealed with a tap, and the proof in it, up to the card's key."""

from __future__ import annotations

from pathlib import Path
from random import Random
from typing import Final

import msgspec

from hub.cards.sun import FILE_BYTES_MAX, ProofRefused, SunAddress, open_picc, parse_sun, prove
from protocol.cardforms import TEXT_CHARACTERS_MAX
from protocol.rawread import PROOF_CHARACTERS_MAX, RawRead, decode_raw, encode_raw
from sim.fuzz.mutator import TEXTS, Mutator, Sound, sound_json
from sim.fuzz.parser import Parser, must

ZERO: Final = bytes(16)
PICC: Final = ("picc_data=FD91EC264309878BE6345CBE53BADF40", "e=EF963FF7828658A599F3041510671E88")
ENC: Final = "enc=CEE9A53E3E463EF1F459635736738962"
MAC: Final = ("cmac=ECC1E7F6C6C73BF6", "c=94EED9EE65337086")
QUERIES: Final = (
    f"{PICC[0]}&{ENC}&{MAC[0]}", f"{PICC[1]}&{MAC[1]}", f"https://k12.vn/t?{PICC[1]}&{MAC[1]}#a",
    f"{MAC[0]}&{PICC[0]}&{ENC}", f"{PICC[1]}&{PICC[0]}&{MAC[1]}", f"{PICC[0]}&{ENC}{'00' * FILE_BYTES_MAX}&{MAC[0]}",
)  # fmt: skip
TRUE: Final = {("04DE5F1EACC040", 61, None), ("04958CAA5C5E80", 8, b"x" * 16)}
"""What NXP's published addresses prove; whatever else comes out was forged by a mutation."""


class RawReads(Parser):
    """`raw`: a raw read as it was sealed; a proof stands only where it is one of the published ones."""

    name = "raw"

    def __init__(self, folder: Path) -> None:
        """See Parser."""
        super().__init__(folder)
        reads = (
            RawRead("w24:ADBEEF", "173,48879", "format=3d5d"),
            *(RawRead("a:04DE5F1EACC040", proof=q) for q in QUERIES),
        )
        self._reads = Mutator([sound_json(msgspec.json.encode(read)) for read in reads])
        self._queries = Mutator([_sound_query(query) for query in QUERIES], [text.encode() for text in TEXTS])

    def made(self, rng: Random) -> bytes:
        """See Parser."""
        if rng.random() < 0.3:
            return self._reads.mutated(rng)
        query = self._queries.mutated(rng).decode("utf-8", "replace")
        return msgspec.json.encode(RawRead("a:04DE5F1EACC040", proof=query[:900]))

    def take(self, octets: bytes) -> SunAddress | None:
        """See Parser."""
        read = decode_raw(octets)
        again = decode_raw(encode_raw(read))
        text = None if read.text is None else read.text[:TEXT_CHARACTERS_MAX]
        kept = read.proof is not None and len(read.proof) <= PROOF_CHARACTERS_MAX and read.proof.isascii()
        must((again.card, again.text, again.plan) == (read.card, text, read.plan), "it reads otherwise when written")
        must(again.proof == (read.proof if kept else None), "a proof is changed or lost")
        return None if read.proof is None else parse_sun(read.proof)

    def follow(self, octets: bytes, taken: SunAddress | None) -> None:
        """The card's key judges."""
        if taken is None:
            return
        try:
            proved = prove(taken, open_picc(taken, ZERO), ZERO)
        except ProofRefused:
            return
        must((proved.card.hex, proved.counter, proved.file) in TRUE, "a proof was forged")


def _sound_query(query: str) -> Sound:
    """A query's values, and its pairs with the sign behind them."""
    values, parts, at = [], [], query.find("?") + 1
    for pair in query[at:].encode().split(b"&"):
        values += [(at, at + pair.index(b"=")), (at + pair.index(b"=") + 1, at + len(pair))]
        parts.append((at, min(at + len(pair) + 1, len(query))))
        at += len(pair) + 1
    return Sound(query.encode(), tuple(values), tuple(parts))
