"""PN532 boards on UART or USB serial, through nfcpy's chip set over our own line."""

from __future__ import annotations

import logging
import os
from collections.abc import Sequence
from contextlib import suppress
from typing import Any, Final

from edge.ports import CardRead, ReaderGone
from edge.readers.pn53xfield import Pn53xField
from edge.readers.pn532wire import ACK, Pn532Wire
from edge.readers.presence import FIELD_PAUSE_S
from edge.readers.stableport import StablePort
from edge.readers.tty import why
from protocol.cardforms import PartialPlan
from protocol.errors import ReaderLost, ReaderRefused

BAUD: Final = 115200
"""The chip's speed at power-up (UM0701-02, 7.2.3). Never raised: a crash would leave it fast and mute for others."""
LEFT_BAUDS: Final = (921600, 460800, 230400)
"""Speeds at which another program may have left the chip, likeliest first."""
BAUD_CODE_115200: Final = 0x04
"""SetSerialBaudRate's code for 115200 (UM0701-02, 7.2.4)."""
WAKE: Final = b"\x55\x55" + bytes(14)
"""Wakes the chip from low power and from half a frame (UM0701-02, 7.2.11); zeros are a long preamble."""
PREPARE_TRIES: Final = 3
COMMAND_TRIES: Final = 3
FIRST_ACK_MS: Final = 150
SLOW_FIRST_ACK_MS: Final = 800
"""A Raspberry Pi's USB host may hold back the first byte of a ttyUSB."""

log = logging.getLogger("k12edge.pn532")


class Pn532Reader:
    """See ports.Reader. Polls for ISO 14443 A cards, two at a time, and FeliCa cards if asked; see Pn53xField."""

    pause_s = FIELD_PAUSE_S
    moments = False
    partials: tuple[PartialPlan, ...] = ()
    unread = 0

    def __init__(self, path: str, *, felica: bool = False) -> None:
        """`path` of the tty; it may appear later. `felica`: see Pn53xField."""
        self._path = path
        self._port = StablePort(path)
        self._felica = felica
        self._wire: Pn532Wire | None = None
        self._field: Pn53xField | None = None

    def open(self) -> None:
        """See Reader.open: wake, ask the version at every speed, go back to 115200, prepare the chip."""
        self.close()
        path = self._port.find()
        try:
            self._wire = Pn532Wire(path, BAUD)
            self._rouse(self._wire)
            self._field = Pn53xField(self._prepared(self._wire), felica=self._felica)
        except ReaderRefused:
            raise
        except Exception as problem:
            self.close()
            raise ReaderLost(f"no PN532 answers on {self._path}: {why(problem)}") from problem
        self._port.opened(path)

    def _rouse(self, wire: Pn532Wire) -> None:
        # A udev rule gives the bridge another name.
        bridged = "ttyUSB" in wire.port or "ttyUSB" in os.path.realpath(wire.port)
        first_ms = SLOW_FIRST_ACK_MS if bridged else FIRST_ACK_MS
        for baud, patience_ms in ((BAUD, first_ms), *((left, FIRST_ACK_MS) for left in LEFT_BAUDS), (BAUD, first_ms)):
            wire.baudrate = baud
            if not self._answers(wire, patience_ms):
                continue
            if baud != BAUD:
                log.warning("%s: the chip was left at %d baud, set back to %d", self._path, baud, BAUD)
                _exchange(wire, bytes((0x10, BAUD_CODE_115200)), FIRST_ACK_MS)
                # The chip changes its speed after our acknowledgement of its answer.
                wire.write(ACK)
                wire.drain()
                wire.baudrate = BAUD
                if not any(self._answers(wire, FIRST_ACK_MS) for _ in range(3)):
                    continue
            _exchange(wire, bytes((0x14, 0x01, 0x00, 0x00)), FIRST_ACK_MS)
            return
        raise ReaderLost("the chip is silent at every speed")

    def _answers(self, wire: Pn532Wire, patience_ms: int) -> bool:
        try:
            return _exchange(wire, b"\x02", patience_ms, WAKE)[:1] == b"\x32"
        except OSError:
            return False

    def _prepared(self, wire: Pn532Wire) -> Any:
        from nfc.clf.pn532 import Chipset, Device

        class Patient(Chipset):  # type: ignore[misc]  # nfcpy has no types.
            """Says a command again that met noise: what prepares the chip sets, and may be set twice."""

            tries = COMMAND_TRIES

            def command(self, code: int, data: bytes | None, timeout: float) -> Any:
                for _ in range(self.tries - 1):
                    try:
                        return super().command(code, data, timeout)
                    except Exception:
                        if wire.ended:
                            raise
                return super().command(code, data, timeout)

        for tries_left in reversed(range(PREPARE_TRIES)):
            try:
                chip = Patient(wire, _quiet)
                Device(chip, _quiet)
            except Exception:
                # One of its dozen exchanges met noise; beginning anew is cheaper than to reopen the line.
                if wire.ended or not tries_left:
                    raise
            else:
                # From here on a look that fails is simply looked again.
                chip.tries = 1
                return chip
        raise AssertionError

    def poll(self) -> Sequence[CardRead]:
        """See Reader.poll."""
        if self._field is None:
            raise ReaderLost("the reader is not open")
        try:
            return self._field.look()
        except Exception as problem:
            wire = self._wire
            if wire is not None and not wire.ended:
                with suppress(OSError):
                    wire.settle()
            if wire is None or wire.ended:
                raise ReaderGone(f"{self._path}: {why(problem)}") from problem
            raise ReaderLost(f"{self._path}: {why(problem)}") from problem

    def close(self) -> None:
        """See Reader.close."""
        wire, self._wire, self._field = self._wire, None, None
        if wire is not None:
            wire.close()


_quiet = logging.getLogger("k12edge.pn532.nfcpy")
_quiet.setLevel(logging.CRITICAL)


def _exchange(wire: Pn532Wire, command: bytes, patience_ms: int, before: bytes = b"") -> bytes:
    """Send one command before nfcpy takes over; the answer's data. Raises OSError when there is none."""
    data = b"\xd4" + command
    frame = b"\x00\x00\xff" + bytes((len(data), -len(data) & 0xFF)) + data + bytes((-sum(data) & 0xFF, 0))
    wire.write(before + frame)
    answer = wire.read(patience_ms)
    if bytes(answer) == ACK:
        answer = wire.read(FIRST_ACK_MS)
    if len(answer) < 9 or answer[5] != 0xD5 or answer[6] != command[0] + 1 or sum(answer[5:-1]) & 0xFF:
        raise OSError("the chip answered something else")
    return bytes(answer[7:-2])
