"""The PN532's serial line: whole frames in and out of a tty at any path, taken exclusively."""

from __future__ import annotations

import errno
import os
import time
from typing import Final

from edge.readers.tty import Tty

START: Final = b"\x00\x00\xff"
"""Preamble and start code (UM0701-02, 6.2.1.1)."""
ACK: Final = bytes.fromhex("0000ff00ff00")
NACK: Final = bytes.fromhex("0000ffff0000")
FRAMES_MAX: Final = 16
"""Frames read between two writes; an exchange has two or three. A line that goes on without end is noise."""
FRAME_BYTES_MAX: Final = 300
"""The longest extended frame is 265 data bytes and 11 around them; anything longer is noise."""

SETTLE_S: Final = 0.05
"""For an exchange that failed to come to its end, be the line never quiet."""
QUIET_S: Final = 0.015
"""A line that was silent for so long has nothing more of it; listing cards takes the chip some 8 ms."""
ADAPTER_S: Final = 0.02
"""What a USB adapter may still hold after tcdrain: its latency timer (16 ms on FTDI) and a byte's time."""


class Frames:
    """What came over a line and isn't yet taken: noise before a frame is skipped, so it costs no more than it hit."""

    __slots__ = ("_buffer",)

    def __init__(self) -> None:
        """Nothing came yet."""
        self._buffer = bytearray()

    def __len__(self) -> int:
        """How many bytes wait for the rest of their frame."""
        return len(self._buffer)

    def clear(self) -> None:
        """Forget what came."""
        self._buffer.clear()

    def feed(self, octets: bytes) -> None:
        """More came."""
        self._buffer += octets

    def take(self) -> bytearray | None:
        """The next whole frame, None while more is needed. Whether its data adds up is the chip set's to check."""
        buffer = self._buffer
        while True:
            at = buffer.find(START)
            if at < 0:
                # All but a possible beginning of a start code is noise.
                del buffer[:-2]
                return None
            del buffer[:at]
            if len(buffer) < 6:
                return None
            if buffer[:6] in (ACK, NACK):
                length = 6
            elif buffer[3] == 0xFF and buffer[4] == 0xFF:
                if len(buffer) < 8:
                    return None
                length = 10 + (buffer[5] << 8 | buffer[6])
            elif (buffer[3] + buffer[4]) & 0xFF == 0:
                length = 7 + buffer[3]
            else:
                del buffer[:1]
                continue
            if length > FRAME_BYTES_MAX:
                del buffer[:1]
                continue
            if len(buffer) < length:
                return None
            frame = bytearray(buffer[:length])
            del buffer[:length]
            return frame


class Pn532Wire:
    """What nfcpy's chip set calls a transport: `write` a frame, `read` the next within some milliseconds.

    See Frames for what it does with noise.
    """

    TYPE = "TTY"

    def __init__(self, path: str, baud: int) -> None:
        """Open the tty for ourselves alone; raises OSError, serial.SerialException, termios.error."""
        self._tty = Tty(path, baud)
        self._frames = Frames()
        self._read = 0
        self.port = path

    @property
    def ended(self) -> bool:
        """Whether the line is gone."""
        return self._tty.ended

    @property
    def baudrate(self) -> int:
        """The line's speed in baud."""
        return self._tty.baudrate

    @baudrate.setter
    def baudrate(self, value: int) -> None:
        self._tty.baudrate = value

    def write(self, frame: bytes | bytearray) -> None:
        """Send a frame; whatever was left to read belongs to an earlier exchange and is dropped."""
        self._frames.clear()
        self._read = 0
        self._tty.forget()
        self._tty.write(bytes(frame))

    def drain(self) -> None:
        """Wait until all that was written has left at the present speed."""
        self._tty.drain()
        # A USB adapter's own buffer is beyond the kernel's sight; it empties within a frame of its bus or two.
        time.sleep(ADAPTER_S)

    def read(self, timeout: float) -> bytearray:
        """The next frame within `timeout` ms; raises OSError(ETIMEDOUT), or EIO when the line has ended."""
        deadline = time.monotonic() + timeout / 1000
        while True:
            frame = self._frames.take()
            if frame is not None:
                self._read += 1
                if self._read > FRAMES_MAX:
                    raise OSError(errno.EIO, "the reader's line doesn't stop")
                return frame
            octets = self._tty.read(deadline - time.monotonic())
            if not octets:
                raise OSError(errno.ETIMEDOUT, os.strerror(errno.ETIMEDOUT))
            self._frames.feed(octets)

    def settle(self) -> None:
        """After an exchange that failed: cancel it, and let what comes late of it go by. Raises OSError.

        Else a late answer would be taken for the acknowledgement of the next command, and that one's for its answer.
        """
        self.write(ACK)
        deadline = time.monotonic() + SETTLE_S
        while (left_s := deadline - time.monotonic()) > 0 and self._tty.read(min(left_s, QUIET_S)):
            pass
        self._frames.clear()

    def close(self) -> None:
        """Give the tty back; never raises."""
        self._tty.close()
