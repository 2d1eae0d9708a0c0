"""An emulated Sony RC-S380 (NFC Port-100): a reader that sends single frames of ISO 14443-3, and its cards' answers."""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import dataclass
from functools import reduce
from operator import xor
from typing import Final

from sim.emulators.pn532 import ACK, FieldCard

TIMEOUT: Final = 0x80
COLLISION: Final = 0x08
"""InCommRF's status words, as nfcpy names them."""
CASCADE_TAG: Final = 0x88
CASCADE: Final = 0x04
"""In SAK: the UID goes on (ISO 14443-3, 6.5.3)."""
LEVELS: Final = (0x93, 0x95, 0x97)
USB_MS: Final = 1.0
SILENCE_MS: Final = 3.0


@dataclass(slots=True)
class Port100:
    """See the room. `place` and `remove` may be called from any thread; `late` answers come after 400 ms."""

    vendor: int = 0x054C
    product: int = 0x06C1
    maker: str = "SONY"
    name: str = "RC-S380/S"
    late: int = 0
    commands: int = 0
    _cards: tuple[FieldCard, ...] = ()
    _asleep: tuple[FieldCard, ...] = ()

    def place(self, *cards: FieldCard) -> None:
        """Put these cards, and no others, into the field."""
        self._cards = cards

    def remove(self) -> None:
        """Empty the field."""
        self._cards = ()

    def cancels(self, octets: bytes) -> bool:
        """See Device. This reader finishes what it began, as far as anybody can tell from outside."""
        return False

    def powered(self) -> None:
        """See Device."""
        self._asleep = ()

    def take(self, octets: bytes) -> Iterator[tuple[float, bytes]]:
        """See Device."""
        if octets == ACK:
            return
        length = int.from_bytes(octets[5:7], "little")
        data = octets[8 : 8 + length]
        assert octets[:5] == b"\x00\x00\xff\xff\xff" and len(data) == length and data[0] == 0xD6
        self.commands += 1
        yield USB_MS, ACK
        delay_ms, answer = self._answer(data[1], data[2:])
        if self.late:
            self.late -= 1
            delay_ms += 400
        yield delay_ms, _framed(bytes((0xD7, data[1] + 1)) + answer)

    def _answer(self, code: int, data: bytes) -> tuple[float, bytes]:
        match code:
            case 0x04:  # InCommRF: a timeout, then the frame.
                status, answer = self._heard(data[2:])
                return SILENCE_MS if status else USB_MS, struct.pack("<IB", status, 8) + answer
            case 0x06:  # SwitchRF: without a field every card begins anew.
                self._asleep = ()
                return 0.5, b"\x00"
            case 0x20 | 0x22:  # GetFirmwareVersion, GetPDDataVersion
                return 0.5, b"\x11\x01"
            case _:
                return 0.5, b"\x00"

    def _heard(self, frame: bytes) -> tuple[int, bytes]:
        cards = [card for card in self._cards if card not in self._asleep]
        if not cards:
            return TIMEOUT, b""
        if frame == b"\x26":
            return 0, bytes(reversed(cards[0].sens_res))
        if len(frame) < 2 or frame[0] not in LEVELS:
            return TIMEOUT, b""
        level = LEVELS.index(frame[0])
        parts = {card: parts for card in cards if level < len(parts := _parts(card.uid))}
        if frame[1] == 0x20:
            said = {own[level] for own in parts.values()}
            if len(said) != 1:
                return (COLLISION, b"") if said else (TIMEOUT, b"")
            part = said.pop()
            return 0, part + bytes((reduce(xor, part),))
        for card, own in parts.items():
            if own[level] == frame[2:6]:
                if level < len(own) - 1:
                    return 0, bytes((CASCADE,))
                # Selected: it answers no further SENS_REQ until the field goes off.
                self._asleep += (card,)
                return 0, bytes((card.sel_res,))
        return TIMEOUT, b""


def _parts(uid: bytes) -> list[bytes]:
    """A UID's four bytes at each cascade level, cascade tags among them."""
    parts = list[bytes]()
    while len(uid) > 4:
        parts.append(bytes((CASCADE_TAG,)) + uid[:3])
        uid = uid[3:]
    return [*parts, uid]


def _framed(data: bytes) -> bytes:
    length = struct.pack("<H", len(data))
    head = b"\x00\x00\xff\xff\xff" + length + bytes((-sum(length) & 0xFF,))
    return head + data + bytes((-sum(data) & 0xFF, 0x00))
