"""An NXP PN532 on a pseudo-terminal: the chip's frames, its cards, and the faults of boards and cables.

Frames and commands follow the user manual UM0701-02. The chip keeps its baud rate over closes, as the real one does.
"""

from __future__ import annotations

import os
import pty
import termios
import tty
from collections import deque
from dataclasses import dataclass, field
from pathlib import Path
from random import Random
from typing import Final, Protocol

from sim.emulators.wires import Wire, clean

ACK: Final = bytes.fromhex("0000ff00ff00")
NACK: Final = bytes.fromhex("0000ffff0000")
ERROR_FRAME: Final = bytes.fromhex("0000ff01ff7f8100")
"""Application level syntax error (UM0701-02, 6.2.1.5)."""
BAUDS: Final = (9600, 19200, 38400, 57600, 115200, 230400, 460800, 921600)
SPEEDS: Final = {getattr(termios, f"B{baud}"): baud for baud in BAUDS}
FIFO_SENS_REQ: Final = 0x26
REGISTER_FIFO_DATA: Final = 0x6339
CHIP_MS: Final = 4.0
"""From command to answer when a card is listed: 106 kbit/s anticollision of two cascade levels and the host's bytes."""
ACTIVATE_MS: Final = 3.0
"""RATS and its answer."""
EXCHANGE_MS: Final = 6.0
"""A short command to a card that computes, and its answer."""
MUTE_MS: Final = 40.0
"""What the chip waits for a card that is gone: frame waiting time 7 of ISO 14443-4."""
AUTOMATIC_RATS: Final = 0x10
"""In SetParameters (UM0701-02, 7.2.9)."""
EMPTY_MS: Final = 8.0
"""From command to answer when the field is empty: two activation attempts (MxRtyPassiveActivation = 1)."""


class Application(Protocol):
    """What a card computes, once it is activated for ISO 14443-4."""

    def begin(self) -> None:
        """The card was activated: nothing is selected."""

    def answer(self, command: bytes) -> bytes | None:
        """What it says to an ISO 7816-4 command, status included; None where it falls silent."""


@dataclass(frozen=True, slots=True)
class FieldCard:
    """A card's ISO 14443 A answers; `ats` (its length byte first) and `application` where it speaks ISO-DEP."""

    uid: bytes
    sens_res: bytes = b"\x00\x04"
    sel_res: int = 0x08
    ats: bytes = b""
    application: Application | None = field(default=None, compare=False)

    def listed(self, number: int) -> bytes:
        """Its entry in an InListPassiveTarget answer, not activated."""
        return bytes((number,)) + self.sens_res + bytes((self.sel_res, len(self.uid))) + self.uid

    @property
    def selector(self) -> bytes:
        """Its UID with cascade tags, as InListPassiveTarget takes it."""
        parts = {7: (b"", self.uid), 10: (self.uid[:3], self.uid[3:])}.get(len(self.uid))
        return self.uid if parts is None else b"".join(b"\x88" + part for part in parts if part)


@dataclass(frozen=True, slots=True)
class FelicaCard:
    """A FeliCa card's answers; `baud` is 1 (212 kbit/s) or 2 (424), as InListPassiveTarget's BrTy counts."""

    uid: bytes
    pmm: bytes = bytes.fromhex("0120220427674eff")
    baud: int = 1

    def listed(self, number: int) -> bytes:
        """Its entry in an InListPassiveTarget answer; no system code was asked for."""
        return bytes((number, 0x12, 0x01)) + self.uid + self.pmm


@dataclass(slots=True)
class Faults:
    """Probabilities per answer (0 to 1) of what goes wrong on the wire; `flaky` is a look that misses a card.

    `late`: a NACK where the ACK belongs, and the answer all the same, which only the host's ACK takes back.
    """

    noise: float = 0.0
    short: float = 0.0
    nack: float = 0.0
    silent: float = 0.0
    error: float = 0.0
    late: float = 0.0
    flaky: float = 0.0


@dataclass(slots=True)
class Pn532Emulator:
    """One chip. Driven by a Bench, which owns the thread; `place` and `remove` may be called from any thread."""

    link: Path
    seed: int = 0
    faults: Faults = field(default_factory=Faults)
    baud: int = 115200
    chip_ms: float = CHIP_MS
    empty_ms: float = EMPTY_MS
    exchange_ms: float = EXCHANGE_MS
    wire: Wire = clean
    master: int = -1
    looks: int = 0
    commands: int = 0
    exchanges: int = 0
    _slave: int = -1
    _buffer: bytearray = field(default_factory=bytearray)
    _cards: tuple[FieldCard | FelicaCard, ...] = ()
    _due: deque[tuple[float, bytes]] = field(default_factory=deque)
    _next_baud: int | None = None
    _parameters: int = 0
    _active: tuple[FieldCard, ...] = ()
    _rng: Random = field(default_factory=Random)

    def __post_init__(self) -> None:
        """Plug it in."""
        self._rng = Random(self.seed)
        self.plug()

    # --- the plug -----------------------------------------------------------------------------------------------

    def plug(self) -> None:
        """Appear under the link path."""
        self.master, self._slave = pty.openpty()
        tty.setraw(self._slave)
        os.set_blocking(self.master, False)
        draft = self.link.with_name(self.link.name + ".new")
        draft.unlink(missing_ok=True)
        draft.symlink_to(os.ttyname(self._slave))
        draft.rename(self.link)
        self._buffer.clear()
        self._due.clear()

    def unplug(self) -> None:
        """Vanish: the line ends for whoever has it open. The chip loses power, and with it its baud rate."""
        self.link.unlink(missing_ok=True)
        for descriptor in (self.master, self._slave):
            if descriptor >= 0:
                os.close(descriptor)
        self.master = self._slave = -1
        self.baud = 115200

    # --- the field ----------------------------------------------------------------------------------------------

    def place(self, *cards: FieldCard | FelicaCard) -> None:
        """Put these cards, and no others, into the field."""
        self._cards = cards

    def remove(self) -> None:
        """Empty the field."""
        self._cards = ()

    # --- the wire -----------------------------------------------------------------------------------------------

    def readable(self, now_s: float) -> None:
        """Bytes came from the host."""
        try:
            octets = os.read(self.master, 1024)
        except (BlockingIOError, OSError):
            return
        if self._line_baud() != self.baud:
            # At another speed the chip sees noise.
            return
        self._buffer += octets
        while self._buffer:
            at = self._buffer.find(b"\x00\xff")
            if at < 0:
                del self._buffer[:-1]
                return
            if len(self._buffer) < at + 4:
                return
            if self._buffer[at + 2 : at + 4] == b"\x00\xff":
                del self._buffer[: at + 4]
                self._host_ack()
                continue
            head, length = at + 4, self._buffer[at + 2]
            if self._buffer[at + 2 : at + 4] == b"\xff\xff" and len(self._buffer) >= at + 7:
                head, length = at + 7, self._buffer[at + 4] << 8 | self._buffer[at + 5]
            if len(self._buffer) < head + length + 1:
                return
            data = bytes(self._buffer[head : head + length])
            checked = (sum(data) + self._buffer[head + length]) & 0xFF == 0
            del self._buffer[: head + length + 1]
            if checked and data[:1] == b"\xd4" and len(data) >= 2:
                self._command(data[1], data[2:], now_s)

    def _line_baud(self) -> int:
        return SPEEDS.get(termios.tcgetattr(self.master)[5], 0)

    def _host_ack(self) -> None:
        """The host's ACK cancels what is under way; after SetSerialBaudRate it makes the speed change."""
        self._due.clear()
        if self._next_baud is not None:
            self.baud, self._next_baud = self._next_baud, None

    def _command(self, code: int, data: bytes, now_s: float) -> None:
        self.commands += 1
        if not self.faults.late:
            self._due.clear()
        delay_ms, answer = self._answer(code, data)
        faults, draw = self.faults, self._rng.random
        if draw() < faults.silent:
            return
        if draw() < faults.nack:
            self._put(NACK)
            return
        answered_s = self._say(now_s, NACK if faults.late and draw() < faults.late else ACK)
        frame = ERROR_FRAME if answer is None or draw() < faults.error else framed(bytes((0xD5, code + 1)) + answer)
        if draw() < faults.noise:
            frame = bytes(self._rng.randrange(1, 255) for _ in range(self._rng.randrange(1, 6))) + frame
        if draw() < faults.short:
            frame = frame[: self._rng.randrange(1, len(frame))]
        self._say(max(answered_s, now_s + delay_ms / 1000), frame)

    def _say(self, at_s: float, octets: bytes) -> float:
        """Hand it to the wire; when the last of it leaves."""
        for wait_s, piece in self.wire(octets, self._rng):
            at_s += wait_s
            self._due.append((at_s, piece))
        return at_s

    def _answer(self, code: int, data: bytes) -> tuple[float, bytes | None]:
        """Milliseconds to the answer, and its data; None is a syntax error."""
        match code:
            case 0x00:  # Diagnose: the communication line test sends back what came.
                return 0.5, data if data[:1] == b"\x00" else b"\x00"
            case 0x02:  # GetFirmwareVersion: PN532, 1.6, ISO 14443 A and B, ISO 18092.
                return 0.5, b"\x32\x01\x06\x07"
            case 0x04:
                return 0.5, b"\x00\x00\x00\x80"
            case 0x06:  # ReadRegister
                addresses = [data[i] << 8 | data[i + 1] for i in range(0, len(data) - 1, 2)]
                return 0.5, bytes(FIFO_SENS_REQ if a == REGISTER_FIFO_DATA else 0 for a in addresses)
            case 0x10:  # SetSerialBaudRate
                if not data or data[0] >= len(BAUDS):
                    return 0.5, None
                self._next_baud = BAUDS[data[0]]
                return 0.5, b""
            case 0x08 | 0x14:  # WriteRegister, SAMConfiguration
                return 0.3, b""
            case 0x12 if data:  # SetParameters
                self._parameters = data[0]
                return 0.3, b""
            case 0x32:  # RFConfiguration
                if data[:1] == b"\x01":
                    self._active = ()
                return 0.3, b""
            case 0x16 | 0x44 | 0x52 | 0x54:  # PowerDown, InDeselect, InRelease, InSelect
                return 0.5, b"\x00"
            case 0x40:
                return self._exchange(data)
            case 0x42:  # InCommunicateThru: the card says nothing.
                return 5.0, b"\x01"
            case 0x4A:
                return self._list(data)
            case _:
                return 0.5, None

    def _list(self, data: bytes) -> tuple[float, bytes | None]:
        if len(data) < 2 or data[0] not in (1, 2):
            return 0.5, None
        if data[1] in (1, 2):
            found = tuple(c for c in self._cards if isinstance(c, FelicaCard) and c.baud == data[1])[: data[0]]
            return self.chip_ms, bytes((len(found),)) + b"".join(c.listed(n) for n, c in enumerate(found, 1))
        self.looks += 1
        cards = tuple(c for c in self._cards if isinstance(c, FieldCard) and data[1] == 0)
        cards = tuple(c for c in cards if data[2:] in (b"", c.selector))
        if cards and self._rng.random() < self.faults.flaky:
            cards = ()
        self._active = ()
        if not cards:
            return self.empty_ms, b"\x00"
        shown, delay_ms, entries = cards[: data[0]], self.chip_ms, b""
        for number, card in enumerate(shown, 1):
            entries += card.listed(number)
            if self._parameters & AUTOMATIC_RATS and card.ats:
                entries += card.ats
                delay_ms += ACTIVATE_MS
                self._active += (card,)
                if card.application is not None:
                    card.application.begin()
        return delay_ms, bytes((len(shown),)) + entries

    def _exchange(self, data: bytes) -> tuple[float, bytes | None]:
        """InDataExchange: a command to an activated card; status 01 where it isn't, is gone, or falls silent."""
        self.exchanges += 1
        card = next((card for card in self._active if data[:1] == b"\x01" and card in self._cards), None)
        answer = None if card is None or card.application is None else card.application.answer(data[1:])
        return (MUTE_MS, b"\x01") if answer is None else (self.exchange_ms, b"\x00" + answer)

    def next_due_s(self) -> float | None:
        """When the next answer leaves the chip."""
        return self._due[0][0] if self._due else None

    def tick(self, now_s: float) -> None:
        """Send what is due."""
        while self._due and self._due[0][0] <= now_s:
            self._put(self._due.popleft()[1])

    def _put(self, frame: bytes) -> None:
        try:
            os.write(self.master, frame)
        except (BlockingIOError, OSError):
            # The host does not read; a real chip's bytes would be lost as well.
            return


def framed(data: bytes) -> bytes:
    """A normal or extended information frame around TFI and data (UM0701-02, 6.2.1.1 and 6.2.1.2)."""
    tail = bytes((-sum(data) & 0xFF, 0x00))
    if len(data) < 255:
        return b"\x00\x00\xff" + bytes((len(data), -len(data) & 0xFF)) + data + tail
    length = bytes((len(data) >> 8, len(data) & 0xFF))
    return b"\x00\x00\xff\xff\xff" + length + bytes((-sum(length) & 0xFF,)) + data + tail
