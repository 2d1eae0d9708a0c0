"""Cards for Debian's virtual PC/SC reader (vsmartcard's vpcd): each lies in a slot as a TCP client of pcscd's driver.

Every message is a length of 2 bytes, high byte first, and that many bytes. A single byte is an order of the reader
(off, on, reset, tell the ATR), all else is an APDU.
"""

from __future__ import annotations

import contextlib
import socket
import threading
import time
from collections import deque
from dataclasses import dataclass, field
from typing import Final

from sim.emulators.pn532 import Application

POWER_OFF, POWER_ON, RESET, TELL_ATR = 0, 1, 2, 4
GET_UID: Final = bytes.fromhex("FFCA000000")
"""Get Data for the UID (PC/SC part 3, 3.2.2.1.3)."""
OK: Final = b"\x90\x00"
GET_ATS: Final = bytes.fromhex("FFCA010000")
"""Get Data for the ATS, or for as much of it as the reader tells."""
LAMP: Final = bytes.fromhex("FF0040")
"""ACR122U API 2.04, 6.2: T1, T2 in tenths of a second and the number of repetitions stand from the sixth byte on."""
REFUSED: Final = b"\x63\x00"
NOT_SUPPORTED: Final = b"\x6a\x81"
RECONNECT_S: Final = 0.02
CONNECT_TIMEOUT_S: Final = 2.0
EMPTY_WAIT_S: Final = 2.0
HEARD_MAX: Final = 64
ISO14443A, ISO14443B, ISO15693, FELICA = 0x03, 0x07, 0x0B, 0x11
"""Standard bytes of PC/SC part 3's supplemental document."""


def storage_atr(standard: int, name: int = 0x0001) -> bytes:
    """The ATR that a reader makes up for a memory card: RID of the PC/SC workgroup, standard, card name."""
    historical = bytes.fromhex("804F0CA000000306") + bytes((standard,)) + name.to_bytes(2, "big") + bytes(4)
    return made_atr(historical)


def made_atr(historical: bytes) -> bytes:
    """The ATR that a reader makes up around historical bytes, such as those of an ISO 14443-4 card's ATS."""
    body = bytes((0x80 | len(historical), 0x80, 0x01)) + historical
    check = 0
    for byte in body:
        check ^= byte
    return b"\x3b" + body + bytes((check,))


@dataclass(frozen=True, slots=True)
class SlotCard:
    """A card: what it says when it is powered, and to each APDU; other APDUs aren't supported.

    `pulled_at`: the APDU at which it is pulled out of the field, without an answer. `application`: what answers the
    APDUs that aren't the reader's own (class FF) and stand in no `answers`, `slow_ms` later; where it falls silent, the
    driver hears nothing, too, and says so. A command for an ACR122U's lamp that stands in `answers` is answered when
    the blinking is over.
    """

    atr: bytes
    answers: dict[bytes, bytes] = field(default_factory=dict)
    pulled_at: bytes | None = None
    application: Application | None = None
    slow_ms: int = 0

    def answer(self, command: bytes) -> bytes:
        """What it says to an APDU; empty where it falls silent."""
        if command in self.answers or self.application is None or command[0] == 0xFF:
            if command in self.answers and command.startswith(LAMP) and len(command) == 9:
                first, second, times = command[5:8]
                time.sleep((first + second) * times / 10)
            return self.answers.get(command, NOT_SUPPORTED)
        if self.slow_ms:
            time.sleep(self.slow_ms / 1000)
        return self.application.answer(command) or b""


def uid_card(uid: bytes, atr: bytes | None = None) -> SlotCard:
    """A card of ISO 14443 A, or of `atr`'s kind, that tells its UID."""
    return SlotCard(storage_atr(ISO14443A) if atr is None else atr, {GET_UID: uid + OK})


class Slot:
    """One slot of a virtual reader, at a TCP port. A card that lies in it outlives pcscd, and goes to the next one.

    `powered`: the reader has noticed the card; `told`: pcscd says that one came; `empty`: pcscd says that nothing lies
    there; `left`: the card pulled itself out; `asked`: APDUs that came, of all cards; `answered`: those whose answer
    went out; `heard`: the latest of them; `disturbed`: how often a card was switched off or reset. `lag_s`: how late
    each answer comes; `garbled`: so many of the next answers are a refusal, as of a card at the edge of the field.

    The driver gives a card up at the first call that fails, whoever calls, and takes the next one that waits: pcscd,
    which looks now and then, would take both for one. So a card waits until the field was seen empty, as it would be
    between two cards held to a real reader.
    """

    def __init__(self, port: int) -> None:
        """Empty."""
        self.port = port
        self.powered = threading.Event()
        self.told = threading.Event()
        self.left = threading.Event()
        self.empty = threading.Event()
        self.empty.set()
        self.asked = self.answered = self.disturbed = self.garbled = 0
        self.lag_s = 0.0
        self.heard: deque[bytes] = deque(maxlen=HEARD_MAX)
        self._line: socket.socket | None = None
        self._lock = threading.Lock()
        self._gone = threading.Event()
        self._thread: threading.Thread | None = None
        self._closed = False

    def show(self, card: SlotCard) -> None:
        """Lay a card into the field; the one before is taken away."""
        self.remove()
        if self._closed:
            return
        self.powered.clear()
        self.told.clear()
        self.left.clear()
        self._gone = threading.Event()
        self._thread = threading.Thread(target=self._lie, args=(card, self._gone), name="pcsc-card", daemon=True)
        self._thread.start()

    def remove(self) -> None:
        """Take the card away."""
        self._gone.set()
        with self._lock:
            if self._line is not None:
                with contextlib.suppress(OSError):
                    self._line.shutdown(socket.SHUT_RDWR)
        if self._thread is not None and self._thread is not threading.current_thread():
            self._thread.join(5)
            self._thread = None

    def close(self) -> None:
        """Take the card away; no other comes."""
        self._closed = True
        self.remove()

    def _lie(self, card: SlotCard, gone: threading.Event) -> None:
        """Be there for each pcscd that comes, until the card is taken away."""
        while not gone.is_set():
            self.empty.wait(EMPTY_WAIT_S)
            try:
                with socket.create_connection(("127.0.0.1", self.port), CONNECT_TIMEOUT_S) as line:
                    line.settimeout(None)
                    with self._lock:
                        self._line = line
                    if not gone.is_set():
                        self._serve(line, card, gone)
            except OSError:
                # No pcscd, or it was killed in the middle of a message.
                gone.wait(RECONNECT_S)
            finally:
                with self._lock:
                    self._line = None

    def _serve(self, line: socket.socket, card: SlotCard, gone: threading.Event) -> None:
        with line.makefile("rb") as stream:
            while not gone.is_set():
                # The driver sends length and data apart, and waits with the second for our acknowledgement of the
                # first; the kernel would take 40 ms for it.
                line.setsockopt(socket.IPPROTO_TCP, socket.TCP_QUICKACK, 1)
                head = stream.read(2)
                if len(head) < 2:
                    return
                message = stream.read(int.from_bytes(head, "big"))
                if message == card.pulled_at:
                    gone.set()
                    self.left.set()
                elif message == bytes((TELL_ATR,)):
                    self._say(line, card.atr)
                elif message in (bytes((POWER_OFF,)), bytes((RESET,))):
                    self.disturbed += 1
                elif message == bytes((POWER_ON,)):
                    if card.application is not None:
                        card.application.begin()
                    self.empty.clear()
                    self.powered.set()
                elif len(message) > 1:
                    self.heard.append(message)
                    self.asked += 1
                    time.sleep(self.lag_s)
                    self.garbled, bad = max(0, self.garbled - 1), self.garbled > 0
                    self._say(line, REFUSED if bad else card.answer(message))
                    self.answered += 1

    @staticmethod
    def _say(line: socket.socket, answer: bytes) -> None:
        line.sendall(len(answer).to_bytes(2, "big") + answer)
