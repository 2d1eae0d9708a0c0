"""A serial line: a tty at any path, taken for ourselves alone, read without a buffer between it and us."""

from __future__ import annotations

import errno
import os
import select
import stat
import termios
import time
from contextlib import suppress
from typing import Final

import serial

from protocol.errors import ReaderRefused

READ_BYTES: Final = 512
"""Taken at once at most; the longest frame of any reader is shorter, and the kernel holds 4 KiB."""
WRITE_S: Final = 1.0
"""A line that takes no byte for so long is stuck."""

PIPES: Final = ("pipe_abort_read_w", "pipe_abort_read_r", "pipe_abort_write_w", "pipe_abort_write_r")
"""Descriptors that pyserial 3.5 keeps beside the line itself."""


class Tty:
    """One opened line. `ended` is set once it is gone, so that the keeper reopens at once."""

    def __init__(self, path: str, baud: int) -> None:
        """Open it exclusively; raises ReaderRefused, OSError, serial.SerialException, termios.error."""
        must_be_a_port(path)
        self._serial = serial.Serial(path, baud, timeout=0, write_timeout=WRITE_S, exclusive=True)
        self.descriptor = self._serial.fileno()
        self.ended = False

    @property
    def baudrate(self) -> int:
        """The line's speed in baud."""
        return int(self._serial.baudrate)

    @baudrate.setter
    def baudrate(self, value: int) -> None:
        self._serial.baudrate = value

    def forget(self) -> None:
        """Drop what came and wasn't read. Raises OSError when the line has ended."""
        try:
            termios.tcflush(self.descriptor, termios.TCIFLUSH)
        except termios.error as problem:
            self.ended = True
            raise OSError(errno.EIO, "the reader's line has ended") from problem

    def write(self, octets: bytes) -> None:
        """Hand all of it to the line. Raises OSError, ETIMEDOUT where it takes no more."""
        view = memoryview(octets)
        deadline = time.monotonic() + WRITE_S
        while view:
            _, writable, _ = select.select([], [self.descriptor], [], max(0.0, deadline - time.monotonic()))
            if not writable:
                raise OSError(errno.ETIMEDOUT, "the reader's line takes no data")
            view = view[os.write(self.descriptor, view) :]

    def drain(self) -> None:
        """Wait until all that was written has left at the present speed."""
        termios.tcdrain(self.descriptor)

    def read(self, wait_s: float) -> bytes:
        """What came, at the latest after `wait_s`, empty where nothing did. Raises OSError when the line has ended."""
        readable, _, _ = select.select([self.descriptor], [], [], max(0.0, wait_s))
        if not readable:
            return b""
        try:
            octets = os.read(self.descriptor, READ_BYTES)
        except OSError:
            self.ended = True
            raise
        if not octets:
            self.ended = True
            raise OSError(errno.EIO, "the reader's line has ended")
        return octets

    def close(self) -> None:
        """Give it back; never raises."""
        give_back(self._serial)


def must_be_a_port(path: str) -> None:
    """Raise ReaderRefused where something else than a port lies there; nothing there may come."""
    with suppress(OSError):
        if not stat.S_ISCHR(os.stat(path).st_mode):
            raise ReaderRefused(f"{path} is no serial port")


def why(problem: Exception) -> str:
    """What went wrong with a port, for people: one that is locked is somebody's."""
    if getattr(problem, "errno", None) == errno.EAGAIN:
        return "another program, or another station, has it open"
    text = str(problem)
    return f"{type(problem).__name__}: {text}" if text else type(problem).__name__


def give_back(line: serial.Serial) -> None:
    """Close a line; never raises, and closes no number twice: by the second time it may be another thread's file."""
    try:
        line.close()
    except OSError:
        # Linux gives a descriptor back whatever close(2) says. pyserial stopped there, and would begin there again.
        line.fd, line.is_open = None, False
        for name in PIPES:
            descriptor = getattr(line, name, None)
            setattr(line, name, None)
            if descriptor is not None:
                with suppress(OSError):
                    os.close(descriptor)
