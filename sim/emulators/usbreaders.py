"""Emulated USB readers: the emulated chip behind an ACR122U's CCID frames, and a PN533 with its own frames."""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from sim.emulators.pn532 import ACK, ERROR_FRAME, Pn532Emulator, framed

XFR_BLOCK: Final = 0x6F
ICC_POWER_ON: Final = 0x62
DATA_BLOCK: Final = 0x80
"""Messages of CCID (USB CCID 1.1, 6.1 and 6.2)."""
DIRECT: Final = bytes.fromhex("FF000000")
"""The pseudo command that hands a frame to the chip (ACR122U API 2.04, 6.1)."""
GET_VERSION: Final = bytes.fromhex("FF00480000")
FAILED: Final = bytes.fromhex("6300")
USB_MS: Final = 1.0
LATE_MS: Final = 250.0
"""Longer than a look waits for any answer."""


@dataclass(slots=True)
class UsbChip(Pn532Emulator):
    """The chip without a serial line: a reader's own processor, or its USB port, speaks to it."""

    link: Path = field(default_factory=Path)
    vendor: int = 0
    product: int = 0
    maker: str = ""
    name: str = ""
    told: int = 0
    """Answers that told of a card, and were none of the faults."""

    def plug(self) -> None:
        """It hangs on no line; see UsbBus.plug."""

    def unplug(self) -> None:
        """As `plug`."""

    def powered(self) -> None:
        """See Device."""
        self._parameters, self._active = 0, ()

    def cancels(self, octets: bytes) -> bool:
        """See Device: a chip that speaks for itself takes an ACK for that."""
        return octets == ACK

    def answered(self, code: int, data: bytes) -> tuple[float, bytes | None]:
        """Milliseconds, and what follows the code in the answer; None where the chip refuses."""
        self.commands += 1
        delay_ms, answer = self._answer(code, data)
        if self._rng.random() < self.faults.silent:
            # The reader answers so late that nobody waits for it any more.
            delay_ms += LATE_MS
        if self._rng.random() < self.faults.error:
            return delay_ms, None
        if code == 0x4A and answer is not None and answer[0]:
            self.told += 1
        return delay_ms, answer


@dataclass(slots=True)
class Acr122(UsbChip):
    """An ACR122U, firmware 2.10."""

    vendor: int = 0x072F
    product: int = 0x2200
    maker: str = "ACS"
    name: str = "ACR122U PICC Interface"

    def take(self, octets: bytes) -> Iterator[tuple[float, bytes]]:
        """See Device."""
        kind, length = octets[0], int.from_bytes(octets[1:5], "little")
        block = octets[10:]
        if kind == ICC_POWER_ON:
            yield USB_MS, self._block(bytes.fromhex("3B00"))
        elif kind == XFR_BLOCK and len(block) == length:
            delay_ms, answer = self._pseudo(block)
            yield USB_MS + delay_ms, self._block(answer)

    def _block(self, answer: bytes) -> bytes:
        return struct.pack("<BI5B", DATA_BLOCK, len(answer), 0, 0, 0, 0, 0) + answer

    def _pseudo(self, command: bytes) -> tuple[float, bytes]:
        if command == GET_VERSION:
            return 0.0, b"ACR122U210"
        if command[:4] == DIRECT and command[5:6] == b"\xd4" and len(command) == 5 + command[4]:
            delay_ms, answer = self.answered(command[6], command[7:])
            return delay_ms, FAILED if answer is None else bytes((0xD5, command[6] + 1)) + answer + b"\x90\x00"
        return 0.0, b"\x90\x00"  # Lamps, buzzer and its own polling.


@dataclass(slots=True)
class Pn533(UsbChip):
    """An SCL3711: a PN533 without EEPROM, which lists one card at a time."""

    vendor: int = 0x04E6
    product: int = 0x5591
    maker: str = "SCM Micro"
    name: str = "SCL3711-NFC&RW"

    def take(self, octets: bytes) -> Iterator[tuple[float, bytes]]:
        """See Device."""
        if octets == ACK:
            return
        long = octets[3:5] == b"\xff\xff"
        at, length = (8, octets[5] << 8 | octets[6]) if long else (5, octets[3])
        data = octets[at : at + length]
        assert len(data) == length and (sum(data) + octets[at + length]) & 0xFF == 0 and data[0] == 0xD4
        yield USB_MS, ACK
        delay_ms, answer = self.answered(data[1], data[2:])
        yield delay_ms, ERROR_FRAME if answer is None else framed(bytes((0xD5, data[1] + 1)) + answer)

    def _answer(self, code: int, data: bytes) -> tuple[float, bytes | None]:
        match code:
            case 0x02:  # GetFirmwareVersion
                return 0.5, b"\x33\x02\x07\x07"
            case 0x06 if data[:2] == b"\xa0\x00":  # The EEPROM that isn't there.
                return 0.5, b"\x01"
            case 0x06 | 0x08:  # They say first whether it went well.
                delay_ms, answer = Pn532Emulator._answer(self, code, data)
                return delay_ms, None if answer is None else b"\x00" + answer
            case 0x4A if data[:1] != b"\x01":
                return 0.5, None
        return Pn532Emulator._answer(self, code, data)
