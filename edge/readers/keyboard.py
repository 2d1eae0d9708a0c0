"""Keyboard wedges: readers that type card numbers as a USB keyboard, taken from the console and read as events."""

from __future__ import annotations

import contextlib
import errno
import fcntl
import logging
import select
import struct
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Final

from edge.ports import CardRead, ReaderGone
from edge.readers.keydecoder import ENDS, EV_KEY, PLAIN, KeyDecoder, KeyEvent, TypedLine
from edge.readers.seldom import seldom
from protocol.cardforms import NumberPlan, number_plan
from protocol.errors import CardNumberError, ReaderLost, ReaderRefused

WAIT_MS: Final = 100
"""How long a look waits for the reader to speak; so soon its thread sees that the gateway ends."""
READS_MAX: Final = 8
"""Reads of 64 events in one look. A line of ten digits is 66 events; no stuck key holds a look for ever."""
UNTYPED: Final = ("rdm6300", "id12")
"""Forms of serial modules, whose frames begin with STX, which no key types."""
EVIOCSCLOCKID: Final = 0x400445A0
"""Which clock dates this descriptor's events, and what is kept from it: linux/input.h, in the encoding of asm-generic/
ioctl.h, that of all 64-bit machines that a gateway runs on. evdev has no names for these two."""
EVIOCSMASK: Final = 0x40104593
EV_MSC: Final = 0x04

log = logging.getLogger("k12edge.keyboard")


@dataclass(slots=True)
class TypedCounts:
    """Since the start: lines that were numbers, were none, had no end; times that the kernel dropped events."""

    numbers: int = 0
    refused: int = 0
    forgotten: int = 0
    dropped: int = 0


class KeyboardReader:
    """See ports.Reader. A typed number is a moment: it is handed over once, dated when its first key went down."""

    pause_s = 0.0
    moments = True

    def __init__(self, path: str, plan: NumberPlan) -> None:
        """`path`, a stable one below /dev/input/by-id; it may appear later. `plan`: what it is declared to type."""
        self._path, self._plan = path, plan
        self.partials = plan.partials()
        self.counts = TypedCounts()
        self._device: Any = None
        self._decoder = KeyDecoder()

    @property
    def unread(self) -> int:
        """See Reader.unread: lines that were no number, or had no end."""
        return self.counts.refused + self.counts.forgotten

    def open(self) -> None:
        """See Reader.open: take the device from everyone else, so that no number is typed into a login or a kiosk."""
        self.close()
        problem = self._opened()
        if problem is not None:
            # Raised out here, where nothing of what was tried holds its descriptor any more.
            self.close()
            raise problem

    def _opened(self) -> ReaderLost | ReaderRefused | None:
        try:
            from evdev import InputDevice
        except ImportError:
            return ReaderRefused("keyboard: needs evdev, which `pip install 'k12edge[keyboard]'` installs")
        try:
            # To read is enough; evdev would try to write first, at which some devices set their lamps anew.
            device = self._device = InputDevice(self._path, readonly=True)
            keys = set(device.capabilities(absinfo=False).get(EV_KEY, ()))
            if not (keys & ENDS and keys & PLAIN.keys()):
                return ReaderRefused(
                    f"{self._path} is no keyboard; of a reader's names take the one ending in -event-kbd"
                )
            # The wall clock, which would date events otherwise, may be set in the middle of a line.
            fcntl.ioctl(device.fd, EVIOCSCLOCKID, struct.pack("i", time.CLOCK_BOOTTIME))
            with contextlib.suppress(OSError):
                # Nobody needs a scan code for every key; without them the kernel's buffer holds more lines.
                fcntl.ioctl(device.fd, EVIOCSMASK, struct.pack("IIQ", EV_MSC, 0, 0))
            device.grab()
        except OSError as problem:
            return self._meant(problem)
        self._decoder.opened(time.clock_gettime_ns(time.CLOCK_BOOTTIME))
        return None

    def _meant(self, problem: OSError) -> ReaderLost | ReaderRefused:
        if problem.errno == errno.EBUSY:
            return ReaderLost(f"{self._path} is grabbed by another program, which reads the cards; end that one")
        if problem.errno in (errno.EACCES, errno.EPERM):
            return ReaderLost(f"{self._path} may not be read: the gateway's user must be in the group `input`")
        if problem.errno in (errno.ENOTTY, errno.EISDIR, errno.EINVAL):
            return ReaderRefused(f"{self._path} is no input device")
        return ReaderLost(f"{self._path} can't be opened: {errno.errorcode.get(problem.errno or 0, problem)}")

    def poll(self) -> Sequence[CardRead]:
        """See Reader.poll: waits up to WAIT_MS for keys."""
        return [read for line in self.lines() for read in self._read(line)]

    def lines(self) -> Sequence[TypedLine]:
        """What was typed to its end, whatever it is; waits up to WAIT_MS. Raises ReaderLost."""
        if self._device is None:
            raise ReaderLost("the reader is not open")
        waiting = select.poll()
        waiting.register(self._device.fd, select.POLLIN)
        lines: list[TypedLine] = []
        if not waiting.poll(WAIT_MS):
            return lines
        for _ in range(READS_MAX):
            try:
                events = list(self._device.read())
            except BlockingIOError:
                break
            except OSError as problem:
                if lines:
                    # The device is as gone at the next look; these were handed over before.
                    break
                raise ReaderGone(f"{self._path}: {errno.errorcode.get(problem.errno or 0, 'gone')}") from problem
            for event in events:
                line = self._decoder.step(KeyEvent(_ns(event), event.type, event.code, event.value))
                lines += (line,) if line is not None else ()
        self.counts.forgotten, self.counts.dropped = self._decoder.forgotten, self._decoder.dropped
        return lines

    def _read(self, line: TypedLine) -> Sequence[CardRead]:
        if line.fault:
            return self._refused(line.fault)
        try:
            card = self._plan.read(line.text)
        except CardNumberError as problem:
            return self._refused(str(problem))
        self.counts.numbers += 1
        return (CardRead(card, line.text, str(self._plan), line.began_ns),)

    def _refused(self, reason: str) -> Sequence[CardRead]:
        self.counts.refused += 1
        if seldom(self.counts.refused):
            log.warning("%s: %d typed lines were no number, the last: %s", self._path, self.counts.refused, reason)
        return ()

    def close(self) -> None:
        """See Reader.close; the kernel ends the grab with the descriptor."""
        device, self._device = self._device, None
        if device is not None:
            with contextlib.suppress(OSError):
                device.close()


def texts_of(path: str, seconds: float) -> Iterator[str]:
    """What a reader types within `seconds`, for whoever finds out what it is. Raises ReaderLost, ReaderRefused."""
    reader = KeyboardReader(path, number_plan("hex"))
    deadline = time.monotonic() + seconds
    try:
        reader.open()
        while time.monotonic() < deadline:
            yield from (line.text for line in reader.lines() if not line.fault)
    finally:
        reader.close()


def _ns(event: Any) -> int:
    return int(event.sec) * 1_000_000_000 + int(event.usec) * 1_000
