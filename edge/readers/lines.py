"""Serial readers that print a number for each card: 125 kHz modules, printers of decimals, Wiegand converters."""

from __future__ import annotations

import logging
import time
from collections.abc import Iterator, Sequence
from typing import Final

from edge.ports import CardRead, ReaderGone
from edge.readers.stableport import StablePort
from edge.readers.tty import Tty, why
from protocol.cardforms import TEXT_CHARACTERS_MAX, NumberPlan
from protocol.errors import CardNumberError, ReaderLost, ReaderRefused

BAUDS: Final = (1200, 2400, 4800, 9600, 19200, 38400, 57600, 115200)
FRAMED: Final = ("rdm6300", "id12")
"""Modules that put a number between STX and ETX (their data sheets)."""
REPEATING: Final = ("rdm6300",)
"""Modules that say a number again and again while the card is there. They also invent numbers whose checksum is right,
so one is believed when it was said twice."""
TWICE_NS: Final = 300_000_000
"""Within which a number must come again to be believed; the module repeats every 65 to 100 ms."""
WAIT_S: Final = 0.1
PAUSE_S: Final = 0.25
"""Half a text with so long a silence behind it stays half: what comes then begins another. 30 bytes at 1200 baud."""
QUIET_S: Final = 0.03
"""A line that was silent for so long isn't in the middle of a number: at 9600 baud a byte takes 1 ms."""
BAD_IN_ROW: Final = 20
"""Lines without a number and none with one: the speed or the format is declared wrong, which the log tells once."""

STX: Final = 0x02
ETX: Final = 0x03
ENDS: Final = b"\r\n\x03"

log = logging.getLogger("k12edge.lines")


class LineSplitter:
    """Pure: what came over a line, cut into texts. Noise costs no more than the text that it hit.

    A framed text begins at an STX and ends at an ETX; any other ends at a carriage return, line feed or ETX. Bytes that
    can't belong to a text are dropped where they stand before it or behind it; inside it they make it none.
    """

    def __init__(self, *, framed: bool) -> None:
        """Nothing came yet."""
        self._framed = framed
        self._text = bytearray()
        self._open = not framed
        self._long = False

    def clear(self) -> None:
        """Forget a text that isn't complete."""
        self._text.clear()
        self._open, self._long = not self._framed, False

    def feed(self, octets: bytes, quiet_s: float = 0.0) -> list[str | None]:
        """The texts that are complete now, in their order; None stands for one that is none.

        `quiet_s`: how long the line was silent before these bytes.
        """
        done: list[str | None] = []
        if quiet_s > PAUSE_S and (self._text or self._long):
            done.append(None)
            self.clear()
        for octet in octets:
            if octet == STX:
                self.clear()
                self._open = True
            elif octet == ETX or (octet in ENDS and not self._framed):
                if self._open and (self._text or self._long):
                    done.append(self._finished())
                self.clear()
            elif self._open:
                self._long = self._long or len(self._text) >= TEXT_CHARACTERS_MAX
                if not self._long:
                    self._text.append(octet)
        return done

    def _finished(self) -> str | None:
        text = bytes(self._text).strip(_NOT_PRINTED)
        return text.decode("ascii") if text and not self._long and all(32 <= octet < 127 for octet in text) else None


_NOT_PRINTED: Final = bytes(octet for octet in range(256) if not 32 < octet < 127)
"""Control characters, blanks, and what no ASCII text holds."""


class Twice:
    """Pure: believes a number when it is said again within TWICE_NS; `since` is when it was first said."""

    def __init__(self) -> None:
        """Nothing was said yet."""
        self._said: tuple[CardRead, int] | None = None

    def heard(self, read: CardRead, now_ns: int) -> CardRead | None:
        """The read, dated when it was said first, or None until it is said again."""
        before, self._said = self._said, (read, now_ns)
        if before is None or before[0].card != read.card or now_ns - before[1] > TWICE_NS:
            return None
        return CardRead(read.card, read.text, read.plan, before[1])


def texts_of(path: str, baud: int, seconds: float) -> Iterator[str]:
    """What a reader prints within `seconds`, text by text, for whoever finds out what it is. Raises ReaderLost."""
    splitter = LineSplitter(framed=False)
    deadline = time.monotonic() + seconds
    try:
        tty = Tty(path, baud)
    except ReaderRefused:
        raise
    except Exception as problem:
        raise ReaderLost(f"{path} can't be opened: {why(problem)}") from problem
    try:
        while time.monotonic() < deadline:
            yield from (text for text in splitter.feed(tty.read(WAIT_S)) if text is not None)
    except OSError as problem:
        raise ReaderLost(f"{path}: {problem}") from problem
    finally:
        tty.close()


class LinesReader:
    """See ports.Reader. It waits for the reader to speak; a number is a card in the field at that moment."""

    pause_s = 0.0

    def __init__(self, path: str, plan: NumberPlan, baud: int) -> None:
        """`path` of the tty; it may appear later."""
        self._path, self._plan, self._baud = path, plan, baud
        self._port = StablePort(path)
        self.partials = plan.partials()
        self.moments = plan.form.name not in REPEATING
        self._tty: Tty | None = None
        self._splitter = LineSplitter(framed=plan.form.name in FRAMED)
        self._twice = Twice() if plan.form.name in REPEATING else None
        self._cut = True
        self._quiet_since_s = 0.0
        self.unread = self._bad = 0

    def open(self) -> None:
        """See Reader.open."""
        self.close()
        path = self._port.find()
        try:
            self._tty = Tty(path, self._baud)
            self._tty.forget()
        except ReaderRefused:
            raise
        except Exception as problem:
            self.close()
            raise ReaderLost(f"{self._path} can't be opened: {why(problem)}") from problem
        self._port.opened(path)
        self._splitter.clear()
        self._twice = Twice() if self._twice is not None else None
        # What comes at once may be the end of a number whose beginning nobody heard, and would be another number; a
        # framed one shows where it begins.
        self._cut, self._quiet_since_s = self._plan.form.name not in FRAMED, time.monotonic()

    def poll(self) -> Sequence[CardRead]:
        """See Reader.poll. One number may be there twice: presence makes one sighting of it."""
        tty = self._tty
        if tty is None:
            raise ReaderLost("the reader is not open")
        try:
            octets = tty.read(WAIT_S)
        except Exception as problem:
            raise ReaderGone(f"{self._path}: {type(problem).__name__}: {problem}") from problem
        now_s = time.monotonic()
        quiet_s = 0.0
        if octets:
            quiet_s, self._quiet_since_s = now_s - self._quiet_since_s, now_s
            if self._cut and quiet_s < QUIET_S:
                end = next((at for at, octet in enumerate(octets, 1) if octet in ENDS), 0)
                if not end:
                    return ()
                # A line that is never quiet: behind the first end begins a number.
                self.unread += 1
                octets = octets[end:]
            self._cut = False
        return tuple(read for text in self._splitter.feed(octets, quiet_s) if (read := self._read(text)) is not None)

    def _read(self, text: str | None) -> CardRead | None:
        try:
            card = self._plan.read(text or "")
        except CardNumberError as problem:
            self.unread += 1
            self._bad += 1
            if self._bad == BAD_IN_ROW:
                log.warning(
                    "%s: %d lines and no number (%s); are baud= and format= right?", self._path, BAD_IN_ROW, problem
                )
            return None
        self._bad = 0
        read = CardRead(card, text, str(self._plan))
        return read if self._twice is None else self._twice.heard(read, time.clock_gettime_ns(time.CLOCK_BOOTTIME))

    def close(self) -> None:
        """See Reader.close."""
        tty, self._tty = self._tty, None
        if tty is not None:
            tty.close()
