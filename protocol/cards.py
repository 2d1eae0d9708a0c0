"""Card numbers: the canonical form of a number off the air, and the keyed form that travels."""

from __future__ import annotations

import base64
import hashlib
import hmac
from dataclasses import dataclass
from typing import Final, Literal

from protocol.errors import CardNumberError

Suspicion = Literal["random", "misread"]

UID_BYTES: Final = {"a": (4, 7, 10), "em": (5,), "f": (8,)}
"""Whole numbers by technology, in bytes: ISO 14443-3 A (single, double, triple UID), EM4100, FeliCa IDm."""
PARTIAL_BYTES: Final = {"w24": (3,), "w32": (4,)}
"""What a reader that shows only a part hands over: Wiegand 26 and Wiegand 34 without their parity bits."""
KEY_BYTES: Final = 32
"""Length of a school's card key: that of the HMAC-SHA256 output, the most that RFC 2104 finds useful."""
TAG_BYTES: Final = 8
"""Bytes of the HMAC kept in a keyed card id; 64 bits leave no collision among a city's cards to fear."""


@dataclass(frozen=True, slots=True)
class CardUid:
    """The number off the air: technology (`a`, `em`, `f`, or partial `w24`, `w32`) and wire-order upper hex."""

    technology: str
    hex: str

    def __post_init__(self) -> None:
        """Raise CardNumberError unless the technology is known and the hex has one of its lengths."""
        lengths = UID_BYTES.get(self.technology) or PARTIAL_BYTES.get(self.technology)
        if lengths is None:
            raise CardNumberError(f"card technology {self.technology!r} is unknown")
        if self.hex != self.hex.upper() or any(c not in "0123456789ABCDEF" for c in self.hex):
            raise CardNumberError(f"card number {self.hex!r} is not upper-case hex")
        if len(self.hex) not in {2 * length for length in lengths}:
            wanted = " or ".join(str(2 * length) for length in lengths)
            raise CardNumberError(f"card number {self.hex!r} has {len(self.hex)} hex digits, {wanted} expected")

    @property
    def canonical(self) -> str:
        """The ASCII form that is keyed and written, such as `a:04A1B2C3D4E580`."""
        return f"{self.technology}:{self.hex}"

    @property
    def partial(self) -> bool:
        """Whether this is only a part of a number, to be looked up within the school."""
        return self.technology in PARTIAL_BYTES

    @classmethod
    def from_bytes(cls, technology: str, uid: bytes) -> CardUid:
        """The card whose UID bytes, in wire order, are `uid`; raises CardNumberError."""
        return cls(technology, uid.hex().upper())


def parse_card(text: str) -> CardUid:
    """Read a canonical form; bare hex means `a:`. Case and surrounding blanks don't matter. Raises CardNumberError."""
    technology, colon, digits = text.strip().partition(":")
    if not colon:
        technology, digits = "a", technology
    return CardUid(technology.lower(), digits.upper())


def suspicion(card: CardUid) -> Suspicion | None:
    """Why this number can't name a card: `random` (changes at each read), `misread`, or None.

    ISO/IEC 14443-3: a 4-byte UID that begins with 08 is drawn anew at each activation. All 00 or all FF is what a
    broken line reads; 125 kHz modules emit an all-zero number as a ghost.
    """
    if set(card.hex) <= {"0"} or set(card.hex) <= {"F"}:
        return "misread"
    if card.technology == "a" and len(card.hex) == 8 and card.hex.startswith("08"):
        return "random"
    return None


@dataclass(frozen=True, slots=True)
class CardKey:
    """A school's secret key number `number` for card ids; number 0 is a gateway's own, before it met its hub."""

    number: int
    secret: bytes

    def __post_init__(self) -> None:
        """Hold the key to its length."""
        if self.number < 0 or len(self.secret) != KEY_BYTES:
            raise CardNumberError(f"a card key has a number from 0 and {KEY_BYTES} bytes")

    def keyed(self, card: CardUid) -> str:
        """The id that travels: `hk<n>:` and base64url of the first 8 bytes of HMAC-SHA256(secret, canonical form)."""
        return self.keyed_text(card.canonical)

    def keyed_text(self, text: str) -> str:
        """The same of any ASCII text: releases list parts of numbers under such ids, too."""
        tag = hmac.digest(self.secret, text.encode("ascii"), hashlib.sha256)[:TAG_BYTES]
        return f"hk{self.number}:{base64.urlsafe_b64encode(tag).rstrip(b'=').decode('ascii')}"

    def keyed_hand(self, whom: str) -> str:
        """What stands for a card in a record that a person entered: `whom` is a pupil's key, or any name of its own."""
        return self.keyed_text(f"hand:{whom}".encode("ascii", "backslashreplace").decode("ascii"))

    def __repr__(self) -> str:
        """Never the secret, which must not reach a log."""
        return f"CardKey(number={self.number})"
