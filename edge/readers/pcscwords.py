"""What PC/SC says: answers to reset, answers to Get Data, names of readers. Pure; nothing that comes is trusted."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, Literal

from protocol.cards import CardUid
from protocol.errors import CardNumberError, ReaderLost, ReaderRefused
from protocol.taps import TYPE_CHARACTERS_MAX

Foreign = Literal["type B", "ISO 15693", "another standard", "no UID of ours"]
"""Why a card that told its number is none of ours; says nothing of the number."""

GET_UID: Final = bytes.fromhex("FFCA000000")
"""Get Data, the UID, as many bytes as it has (PC/SC part 3, 3.2.2.1.3)."""
GET_ATS: Final = bytes.fromhex("FFCA010000")
"""Get Data, of the ATS: some readers tell all of it, others its historical bytes (PC/SC part 3, 3.2.2.1.3)."""
ISO_14443_4: Final = bytes.fromhex("8001")
"""TD1 and TD2 in the ATR that a reader makes up around an ISO 14443 card's bytes (PC/SC part 3, 3.1.3.2.3)."""
ATS_BYTES_MAX: Final = 20
"""TL, T0, TA, TB, TC and 15 historical bytes (ISO 14443-4, 5.2)."""
ATR_BYTES_MAX: Final = 33
"""ISO/IEC 7816-3, 8.2.1: TS and at most 32 characters."""
ANSWER_BYTES_MAX: Final = 258
"""ISO/IEC 7816-4: 256 bytes and the status word."""
NAMES_TOLD_MAX: Final = 16
"""Readers that pcscd holds at once (PCSCLITE_MAX_READERS_CONTEXTS)."""
RID: Final = bytes.fromhex("A000000306")
"""The PC/SC workgroup's own, in the ATR that a reader makes up for a memory card (PC/SC part 3, 3.1.3.2.3)."""
FELICA: Final = 0x11
STANDARDS: Final[dict[int, Foreign | None]] = {
    0x00: None,
    0x01: None,
    0x02: None,
    0x03: None,
    0x05: "type B",
    0x06: "type B",
    0x07: "type B",
    0x09: "ISO 15693",
    0x0A: "ISO 15693",
    0x0B: "ISO 15693",
    0x0C: "ISO 15693",
    FELICA: None,
}
"""The standard byte SS of PC/SC part 3's supplemental document: nothing said, ISO 14443 A, B, ISO 15693, FeliCa.

A type B card has a PUPI, which it may draw anew each time (ISO/IEC 14443-3, 7.9.2), and no UID.
"""
FELICA_NAMES: Final = (0xF011, 0xF012)
"""ACR122U and its kin (ACS API, "ATR generation"): FeliCa at 212 and 424 kbit/s, under the standard byte of type A."""
IDENTIV_BYTES: Final = 12
"""SCL3711 reference manual, 5.3.3.4, FeliCa's historical bytes: mode, type, frame size, the 8 bytes of IDm, timeout."""


@dataclass(frozen=True, slots=True)
class CardKind:
    """What an ATR says of a card: FeliCa or not, and why it is none of ours, None where it may be one."""

    felica: bool = False
    foreign: Foreign | None = None


def historical_bytes(atr: bytes) -> bytes:
    """The historical bytes of an ATR (ISO/IEC 7816-3, 8.2); empty where it is cut or none.

    TCK isn't held against: readers were seen to get it wrong, and nothing but the kind hangs on it.
    """
    if not 2 <= len(atr) <= ATR_BYTES_MAX or atr[0] not in (0x3B, 0x3F):
        return b""
    count, offered, at = atr[1] & 0x0F, atr[1] >> 4, 2
    while offered:
        at += (offered & 0b0111).bit_count()
        if not offered & 0b1000:
            break
        if at >= len(atr):
            return b""
        offered = atr[at] >> 4
        at += 1
    found = atr[at : at + count]
    return found if len(found) == count else b""


def kind_of(atr: bytes) -> CardKind:
    """What an ATR says of the card's kind. One that says nothing, as an ISO 14443-4 card's, may be one of ours."""
    told = historical_bytes(atr)
    # Category 80, application identifier (4F) of 12 bytes: RID, standard, card's name, 4 bytes for later.
    if told[:3] == b"\x80\x4f\x0c" and told[3:8] == RID and len(told) >= 11:
        standard, name = told[8], int.from_bytes(told[9:11], "big")
        if name in FELICA_NAMES:
            return CardKind(felica=True)
        return CardKind(standard == FELICA, STANDARDS.get(standard, "another standard"))
    return CardKind()


def computes(atr: bytes, card: CardUid) -> bool:
    """Whether a card takes commands: its ATR was made up around the historical bytes of ISO 14443-4.

    A memory card's has the same form, with the workgroup's RID in it.
    """
    like = card.technology == "a" and atr[2:4] == ISO_14443_4 and atr[1] >> 4 == 8
    return like and RID not in historical_bytes(atr)


def ats_of(atr: bytes, answer: bytes) -> bytes:
    """The ATS in an answer to GET_ATS, its length byte first; empty where what came isn't the whole of it.

    It is whole where it has its own length, and ends with the historical bytes that the reader put into the ATR.
    """
    told = data_of(answer) or b""
    if len(told) > ATS_BYTES_MAX or told[:1] != bytes((len(told),)):
        return b""
    begins = 2 + (told[1] >> 4 & 0b0111).bit_count() if len(told) > 1 else 1
    return told if told[begins:] == historical_bytes(atr) and begins <= len(told) else b""


def type_of(atr: bytes, card: CardUid, ats: bytes = b"") -> str | None:
    """What is told of a card's type: its `ats`, the same at any reader, else the `atr` that its reader made up.

    Nothing where its number is within (an Identiv reader writes IDm there): the type travels openly.
    """
    name, told = ("ats", ats) if ats else ("atr", atr)
    text = f"{name}={told.hex()}"
    return None if not told or bytes.fromhex(card.hex) in told or len(text) > TYPE_CHARACTERS_MAX else text


def data_of(answer: bytes) -> bytes | None:
    """The data of a good answer (status 9000), None for error words, cut and overlong answers."""
    if not 2 < len(answer) <= ANSWER_BYTES_MAX or answer[-2:] != b"\x90\x00":
        return None
    return answer[:-2]


def card_of(atr: bytes, answer: bytes) -> CardUid | Foreign | None:
    """The card that gave this ATR and this answer to GET_UID; why it is none of ours; None where it told no UID."""
    uid, kind, told = data_of(answer), kind_of(atr), historical_bytes(atr)
    if kind.foreign is not None:
        return kind.foreign
    if uid is None:
        return None
    # An ISO 14443-4 card may have as many historical bytes, and a like type, but none with its UID among them.
    felica = kind.felica or (len(told) == IDENTIV_BYTES and told[3:11] == uid)
    try:
        return CardUid.from_bytes("f" if felica else "a", uid)
    except CardNumberError:
        return "no UID of ours"


def choose_reader(names: Sequence[str], part: str) -> str:
    """The one reader whose name is `part` or has it within; with an empty part the only one. Case doesn't matter.

    Raises ReaderLost when there is none, which may come, and ReaderRefused when several fit: a guess could let two
    stations look at one reader, or a gate at another gate's.
    """
    told = ", ".join(repr(name) for name in names[:NAMES_TOLD_MAX]) or "none"
    fits = [name for name in names if name.casefold() == part.casefold()]
    fits = fits or [name for name in names if part.casefold() in name.casefold()]
    if not fits:
        raise ReaderLost(f"pcscd has no reader with {part!r} in its name; it has: {told}")
    if len(fits) > 1:
        raise ReaderRefused(
            f"pcscd has {len(fits)} readers that pcsc:{part} may mean; it has: {told}",
            hint="Write more of the reader's name into `reader`: pcsc:NAME.",
        )
    return fits[0]
