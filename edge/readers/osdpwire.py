"""The OSDP line: whole, sound replies of one reader out of a tty taken exclusively, and what they tell of its key.

SIA OSDP 2.2 (IEC 60839-11-5): one command, one reply. What is broken or another's is dropped here, since libosdp takes
a reader off line for 300 s when a reply's check fails, and a reader that is asked again after silence says it again.
"""

from __future__ import annotations

import os
import select
import termios
import time
from binascii import crc_hqx
from dataclasses import dataclass
from typing import Final, Literal

import serial

from edge.readers.tty import give_back, must_be_a_port

START: Final = 0x53
"""Start of message."""
MARK: Final = 0xFF
"""May stand before a start, to let a driver of the line settle."""
FROM_READER: Final = 0x80
"""In the address byte of replies."""
CRC_START: Final = 0x1D0F
"""Of OSDP's CRC-16, polynomial 0x1021."""
CONTROL_CRC, CONTROL_SECURITY = 0x04, 0x08
HEAD_BYTES: Final = 5
FRAME_BYTES_MIN: Final = 7
FRAME_BYTES_MAX: Final = 256
"""The largest that libosdp takes (OSDP_PACKET_BUF_SIZE); anything longer is noise."""
WRITE_S: Final = 0.1
READS_MAX: Final = 8
"""Pieces taken at a look; a line that goes on without end is noise."""
REPEATS_MAX: Final = 3
"""A command whose reply came broken is said again at once so many times; libosdp would wait for a second each time."""
ASK_S: Final = 0.25
"""A reader begins its reply within 200 ms (libosdp's OSDP_RESP_TOUT_MS), which the line prolongs."""

IDENTIFY, CHALLENGE, PROOF = 0x61, 0x76, 0x77
"""Commands: osdp_ID; osdp_CHLNG, which begins the handshake; osdp_SCRYPT, sent when the reader has proven our key."""
LAMP, SOUND = 0x69, 0x6A
"""Commands: osdp_LED, osdp_BUZ."""
NAK, CAPABILITIES, ANSWER, BUSY = 0x41, 0x46, 0x76, 0x79
"""Replies: osdp_NAK, osdp_PDCAP, osdp_CCRYPT, osdp_BUSY."""
NO_SUCH_COMMAND, NO_SUCH_BLOCK = 0x03, 0x05
"""Of a NAK: a command or a security block that the reader doesn't know."""
SECURITY_FUNCTION: Final = 9
"""Function code of communication security in osdp_PDCAP; bit 0 of its compliance is AES-128."""

Verdict = Literal["silent", "plain", "default key", "other key", "ended"]
"""Why a handshake failed: no reply at all, no Secure Channel, the key that every reader has at first, another key."""


def check(octets: bytes) -> bytes:
    """The two bytes that end a frame."""
    return crc_hqx(octets, CRC_START).to_bytes(2, "little")


def _sound(frame: bytes) -> bool:
    if frame[4] & CONTROL_CRC:
        return check(frame[:-2]) == frame[-2:]
    return sum(frame) & 0xFF == 0


@dataclass(frozen=True, slots=True)
class Message:
    """A command or reply in the open: its code, what follows, and the security block where one stands before it."""

    code: int
    data: bytes
    security: bytes

    @classmethod
    def of(cls, frame: bytes) -> Message | None:
        """Read a frame without its mark; None where it ends too soon."""
        body = frame[HEAD_BYTES : -2 if frame[4] & CONTROL_CRC else -1]
        security = b""
        if frame[4] & CONTROL_SECURITY:
            if not body or not 2 <= body[0] < len(body):
                return None
            security, body = body[: body[0]], body[body[0] :]
        return cls(body[0], body[1:], security) if body else None


class Replies:
    """What came over the line and isn't yet taken. Only whole replies of one address whose check adds up leave it."""

    __slots__ = ("_buffer", "_start", "broken")

    def __init__(self, address: int) -> None:
        """Nothing came yet."""
        self._buffer = bytearray()
        self._start = bytes((START, FROM_READER | address))
        self.broken = False
        """Whether a whole reply came since the last `clear` whose check doesn't add up."""

    def __len__(self) -> int:
        """How many bytes wait for the rest of their frame."""
        return len(self._buffer)

    def clear(self) -> None:
        """Forget what came."""
        self._buffer.clear()
        self.broken = False

    def feed(self, octets: bytes) -> None:
        """More came."""
        self._buffer += octets

    def take(self) -> bytes | None:
        """The next sound reply, None while more is needed."""
        buffer = self._buffer
        while True:
            at = buffer.find(self._start)
            if at < 0:
                # All but a possible beginning of a reply is noise.
                del buffer[:-1]
                return None
            del buffer[:at]
            if len(buffer) < HEAD_BYTES:
                return None
            length = buffer[2] | buffer[3] << 8
            if FRAME_BYTES_MIN <= length <= FRAME_BYTES_MAX:
                if len(buffer) < length:
                    return None
                frame = bytes(buffer[:length])
                if _sound(frame):
                    del buffer[:length]
                    return frame
                self.broken = True
            del buffer[:1]


class Handshake:
    """Pure: follows the messages that open a Secure Channel, which are in the open, to tell why it didn't open.

    Within the channel only the codes of commands and replies are in the open: `declined` is the last command that the
    reader declined there. `settled`: whether the last command has its reply.
    """

    def __init__(self) -> None:
        """Nothing was said yet."""
        self._asked: int | None = None
        self._secure_capable: bool | None = None
        self._answered = False
        self.default_key = False
        self._refused: int | None = None
        self._failed = False
        self.declined: int | None = None
        self.settled = False

    def sent(self, frame: bytes) -> None:
        """We said this."""
        message = Message.of(frame)
        self._asked = None if message is None else message.code
        self.settled = False
        if self._asked == PROOF:
            self._failed = False

    def came(self, frame: bytes) -> None:
        """The reader replied this."""
        message = Message.of(frame)
        if message is None:
            return
        self._answered = True
        self.settled = message.code != BUSY
        # Only a reply tells that the key is another; a line that breaks in the middle tells nothing.
        if self._asked == CHALLENGE or (self._asked == PROOF and message.code == NAK):
            self._failed = True
        if message.code == CAPABILITIES and not message.security:
            entries = {message.data[i]: message.data[i + 1] for i in range(0, len(message.data) - 2, 3)}
            self._secure_capable = bool(entries.get(SECURITY_FUNCTION, 0) & 1)
        elif message.code == ANSWER and self._asked == CHALLENGE:
            self.default_key = message.security[2:3] == b"\0"
        elif message.code == NAK and self._asked == CHALLENGE:
            self._refused = message.data[0] if message.data else 0
        elif message.code == NAK and message.security:
            self.declined = self._asked

    def verdict(self) -> Verdict:
        """What to say when the channel didn't open."""
        if not self._answered:
            return "silent"
        if self._secure_capable is False or self._refused in (NO_SUCH_COMMAND, NO_SUCH_BLOCK):
            return "plain"
        if self.default_key:
            return "default key"
        return "other key" if self._failed else "silent"


class OsdpWire:
    """The tty as libosdp's channel sees it: `read`, `write` and `flush` never raise, `ended` tells that it is gone."""

    def __init__(self, path: str, baud: int, address: int) -> None:
        """Open the tty for ourselves alone; raises ReaderRefused, OSError, serial.SerialException, termios.error."""
        must_be_a_port(path)
        self._tty = serial.Serial(path, baud, timeout=0, exclusive=True)
        self._descriptor = self._tty.fileno()
        self._address = address
        self._replies = Replies(address)
        self._out = self._command = b""
        self._repeats = 0
        self.handshake = Handshake()
        self.awaiting = False
        self.ended = False
        self.heard_s = self._asked_s = time.monotonic()
        self._heard = True

    def write(self, frame: bytes) -> int:
        """Send a frame; whatever was left to read belongs to an earlier exchange and is dropped. How much was sent."""
        self.flush()
        bare = frame[1:] if frame[:1] == bytes((MARK,)) else frame
        self.handshake.sent(bare)
        self._command, self._repeats = frame, 0
        if self._heard:
            self._heard, self._asked_s = False, time.monotonic()
        return self._send(frame)

    def _send(self, frame: bytes) -> int:
        sent, deadline_s = 0, time.monotonic() + WRITE_S
        try:
            while sent < len(frame):
                _, writable, _ = select.select([], [self._descriptor], [], max(0.0, deadline_s - time.monotonic()))
                if not writable:
                    return sent
                sent += os.write(self._descriptor, frame[sent:])
        except OSError:
            self.ended = True
        self.awaiting = not self.ended
        return sent

    def read(self, limit: int) -> bytes:
        """The reply's next bytes, at most `limit`; none while it isn't whole."""
        if not self._out and self.awaiting:
            self._out = self._take() or b""
        piece, self._out = self._out[:limit], self._out[limit:]
        return piece

    def _take(self) -> bytes | None:
        try:
            frame = self._replies.take()
            for _ in range(READS_MAX):
                if frame is not None or not select.select([self._descriptor], [], [], 0)[0]:
                    break
                octets = os.read(self._descriptor, 512)
                if not octets:
                    self.ended = True
                    return None
                self._replies.feed(octets)
                frame = self._replies.take()
        except OSError:
            self.ended = True
            return None
        if frame is None:
            if self._replies.broken and self._repeats < REPEATS_MAX:
                # With the same sequence number: the reader says its last reply again (OSDP 2.2).
                self.flush()
                self._repeats += 1
                self._send(self._command)
            return None
        self.awaiting, self._heard = False, True
        self.heard_s = time.monotonic()
        self.handshake.came(frame)
        return frame

    def silent_s(self) -> float:
        """How long the reader has owed a reply, of whatever kind; 0 when it owes none."""
        return 0.0 if self._heard else time.monotonic() - self._asked_s

    def flush(self) -> None:
        """Forget what came."""
        self._replies.clear()
        self._out = b""
        try:
            termios.tcflush(self._descriptor, termios.TCIFLUSH)
        except termios.error:
            self.ended = True

    def wait(self, timeout_s: float) -> None:
        """Return when something comes, or after `timeout_s`."""
        try:
            select.select([self._descriptor], [], [], timeout_s)
        except OSError:
            self.ended = True

    def ask(self, command: bytes, block: bytes = b"") -> bool:
        """Ask once, before or after libosdp does, beginning the count of messages anew. Whether a reply came."""
        length = HEAD_BYTES + len(block) + len(command) + 2
        control = CONTROL_CRC | (CONTROL_SECURITY if block else 0)
        head = bytes((START, self._address, length, 0, control)) + block + command
        self.write(head + check(head))
        deadline_s = time.monotonic() + ASK_S
        while (
            not (came := self._take() is not None) and not self.ended and (left_s := deadline_s - time.monotonic()) > 0
        ):
            self.wait(left_s)
        return came

    def verdict(self) -> Verdict:
        """Why no Secure Channel opened. A reader that didn't take our key is asked whether it takes the default one."""
        told = self.handshake.verdict()
        if told == "other key" and not self.ended:
            # Only the question, never a key: under the default key, which everybody knows, ours would be given away.
            self.handshake = Handshake()
            self.ask(bytes((CHALLENGE,)) + os.urandom(8), bytes((3, 0x11, 0)))
            told = "default key" if self.handshake.default_key else told
        return "ended" if self.ended else told

    def close(self) -> None:
        """Give the tty back; never raises."""
        give_back(self._tty)
