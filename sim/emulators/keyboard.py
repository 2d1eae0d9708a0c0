"""A reader that types: key events in a FIFO, which the preloaded sim/preload/input.c makes an input device.

It lies under another event number each time that it is plugged in, as in reality, and under the same link. What it
types while nobody has grabbed it goes to the console: `elsewhere` counts those lines, and no reader ever gets them.
"""

from __future__ import annotations

import fcntl
import itertools
import os
import struct
import sys
import termios
import threading
import time
from pathlib import Path
from typing import Final

EVENT: Final = struct.Struct("llHHi")
"""struct input_event of a 64-bit machine (linux/input.h)."""
LOCK: Final = struct.Struct("hhqqixxxx")
"""struct flock of a 64-bit machine."""
KEY_BYTES: Final = 96
"""KEY_CNT bits, as input.c reads them."""
REPORT_NS: Final = 1_000_000
"""Between two reports: the fastest that USB's full speed allows; real readers take 8 or 10 ms."""
SYN, KEY, MSC = 0, 1, 4
SCAN: Final = 4
DROPPED: Final = 3
ENTER, KEYPAD_ENTER, TAB, SHIFT = 28, 96, 15, 42
TOP_ROW: Final = dict(zip("1234567890", range(2, 12), strict=True))
KEYPAD: Final = dict(zip("7894561230", (71, 72, 73, 75, 76, 77, 79, 80, 81, 82), strict=True))
LETTERS: Final = dict(zip("ABCDEF", (30, 48, 46, 32, 18, 33), strict=True))
SIGNS: Final = {"-": 12, ",": 51, " ": 57, ".": 52}
ALL_KEYS: Final = (*range(1, 128),)
MOUSE_KEYS: Final = (0x110, 0x111, 0x112)
Event = tuple[int, int, int]
"""Type, code, value."""


def press(code: int, *, shift: bool = False) -> list[list[Event]]:
    """The reports of one key pressed and let go, each ended by its SYN_REPORT."""
    down, up = ([(MSC, SCAN, 0x70000 + code), (KEY, code, value), (SYN, 0, 0)] for value in (1, 0))
    held = [[(KEY, SHIFT, 1), (SYN, 0, 0)], down, up, [(KEY, SHIFT, 0), (SYN, 0, 0)]]
    return held if shift else [down, up]


def typing(text: str, end: int = ENTER, *, keypad: bool = False) -> list[list[Event]]:
    """The reports of a typed line: small letters without shift, capitals and colons with it."""
    reports: list[list[Event]] = []
    for character in text:
        if character == ":":
            reports += press(39, shift=True)
        elif character.isdigit():
            reports += press((KEYPAD if keypad else TOP_ROW)[character])
        elif character in SIGNS:
            reports += press(SIGNS[character])
        else:
            reports += press(LETTERS[character.upper()], shift=character.isupper())
    return reports + press(end)


class TypingReader:
    """One reader, plugged in when made. From any thread."""

    _numbers = itertools.count()

    def __init__(self, link: Path, keys: tuple[int, ...] = ALL_KEYS, *, plugged: bool = True) -> None:
        """`link`: its stable name; `keys` that it has."""
        self.link, self._keys = link, keys
        self.elsewhere = 0
        self.by_events = False
        """Whether each event comes by itself rather than its whole report at once."""
        self._node: Path | None = None
        self._master = self._device = -1
        self._overflowed = False
        self._last_ns = 0
        self._dated_by = time.CLOCK_REALTIME
        self._lock = threading.Lock()
        if plugged:
            self.plug()

    def plug(self) -> None:
        """Appear under the next event number."""
        with self._lock:
            assert self._master < 0
            node = self._node = self.link.parent / f"event{next(self._numbers)}"
            bits = sum(1 << key for key in self._keys)
            self._device = os.open(f"{node}.device", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
            os.write(self._device, bits.to_bytes(KEY_BYTES, "little") + struct.pack("i", time.CLOCK_REALTIME))
            os.mkfifo(node)
            self._master = os.open(node, os.O_RDWR | os.O_NONBLOCK | os.O_CLOEXEC)
            self.link.symlink_to(node)

    def unplug(self) -> None:
        """Disappear; what lies unread is lost."""
        with self._lock:
            if self._master >= 0 and self._node is not None:
                self.link.unlink()
                self._node.unlink()
                os.close(self._device)
                os.close(self._master)
                self._master = self._device = -1

    @property
    def held(self) -> bool:
        """Whether somebody has grabbed it: input.c marks that by a lock, which is asked for here and not taken."""
        if self._master < 0:
            return False
        asked = LOCK.pack(fcntl.F_WRLCK, os.SEEK_SET, 0, 0, 0)
        (kind, *_) = LOCK.unpack(fcntl.fcntl(self._master, fcntl.F_OFD_GETLK, asked))
        return bool(kind != fcntl.F_UNLCK)

    def unread(self) -> int:
        """Bytes of events that nobody has read yet."""
        return int.from_bytes(fcntl.ioctl(self._master, termios.FIONREAD, bytes(4)), sys.byteorder)

    def await_held(self, within_s: float = 10) -> None:
        """Return when somebody has grabbed it."""
        deadline_s = time.monotonic() + within_s
        while not self.held:
            if time.monotonic() > deadline_s:
                raise TimeoutError(f"nobody grabs {self.link}")
            time.sleep(0.002)

    def type(self, text: str, end: int = ENTER, *, gap_s: float = 0.001, at_ns: int | None = None) -> None:
        """Type a line, `gap_s` between two reports; see `send`."""
        self.send(*typing(text, end), gap_s=gap_s, at_ns=at_ns)

    def send(self, *reports: list[Event], gap_s: float = 0.0, at_ns: int | None = None) -> None:
        """Report these events, dated by the clock that the reader's descriptor asked for: from now or `at_ns` on.

        They are dated REPORT_NS apart: a real reader's rhythm doesn't depend on how busy this machine is. Returns when
        the last one's time has come.
        """
        with self._lock:
            clock = self._clock()
            # Two clocks have nothing to do with each other.
            last_ns = self._last_ns if clock == self._dated_by else 0
            self._dated_by = clock
            from_ns = at_ns or max(time.clock_gettime_ns(clock), last_ns + REPORT_NS)
        for number, report in enumerate(reports):
            with self._lock:
                self._last_ns = from_ns + number * REPORT_NS
                self._report(report, self._last_ns // 1000)
            if gap_s:
                time.sleep(gap_s)
        time.sleep(min(1.0, max(0, self._last_ns - time.clock_gettime_ns(clock)) / 1e9))

    def _clock(self) -> int:
        """Which clock the reader's descriptor asked for."""
        if self._master < 0:
            return time.CLOCK_REALTIME
        (clock,) = struct.unpack("i", os.pread(self._device, 4, KEY_BYTES))
        return int(clock)

    def _report(self, report: list[Event], at_us: int) -> None:
        if not self.held:
            self.elsewhere += any(code in (ENTER, KEYPAD_ENTER, TAB) and value for _, code, value in report)
            return
        dropped: list[Event] = [(SYN, DROPPED, 0)] if self._overflowed else []
        data = b"".join(EVENT.pack(*divmod(at_us, 1_000_000), *event) for event in (*dropped, *report))
        step = EVENT.size if self.by_events else len(data)
        try:
            # Less than PIPE_BUF: what is written at once goes whole or not at all.
            for at in range(0, len(data), step):
                os.write(self._master, data[at : at + step])
            self._overflowed = False
        except BlockingIOError:
            self._overflowed = True
