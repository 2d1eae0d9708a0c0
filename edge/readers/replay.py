"""A reader that plays sightings from a file: `delay_ms card [hold_ms]` a line, for demonstrations and tests."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from edge.ports import CardRead
from edge.readers.presence import FIELD_PAUSE_S
from protocol.cardforms import PartialPlan
from protocol.cards import CardUid, parse_card
from protocol.errors import CardNumberError, ReaderLost, ReaderRefused

HOLD_MS: Final = 150
FILE_BYTES_MAX: Final = 16 * 1024 * 1024


@dataclass(frozen=True, slots=True)
class Showing:
    """A card in the field from `from_ms` after the start, to `until_ms`."""

    from_ms: int
    until_ms: int
    card: CardUid


def parse_replay(text: str) -> tuple[Showing, ...]:
    """Read the lines; `#` begins a comment. Raises ReaderRefused naming the line."""
    showings: list[Showing] = []
    at_ms = 0
    for number, line in enumerate(text.splitlines(), 1):
        words = line.partition("#")[0].split()
        if not words:
            continue
        try:
            delay_ms, card = int(words[0]), parse_card(words[1])
            hold_ms = int(words[2]) if len(words) > 2 else HOLD_MS
        except (ValueError, IndexError, CardNumberError) as problem:
            raise ReaderRefused(f"line {number} is not `delay_ms card [hold_ms]`: {problem}") from problem
        if delay_ms < 0 or not 1 <= hold_ms <= 3_600_000 or len(words) > 3:
            raise ReaderRefused(f"line {number}: delays begin at 0, holds go from 1 to 3600000 ms")
        at_ms += delay_ms
        showings.append(Showing(at_ms, at_ms + hold_ms, card))
    return tuple(showings)


class ReplayReader:
    """See ports.Reader. A delay counts from the line before; the file is read at the first open."""

    pause_s = FIELD_PAUSE_S
    moments = False
    partials: tuple[PartialPlan, ...] = ()
    unread = 0

    def __init__(self, path: str, *, loop: bool = False) -> None:
        """Play `path` once, or again and again."""
        self._path, self._loop = Path(path), loop
        self._showings: tuple[Showing, ...] = ()
        self._started_ns: int | None = None
        self._next = 0

    def open(self) -> None:
        """See Reader.open."""
        if self._started_ns is not None:
            return
        try:
            if self._path.exists() and not self._path.is_file():
                # A pipe would be waited for without end, and a device never ends.
                raise ReaderRefused(f"{self._path} is no file")
            if self._path.stat().st_size > FILE_BYTES_MAX:
                raise ReaderRefused(f"{self._path} is larger than {FILE_BYTES_MAX} bytes")
            self._showings = parse_replay(self._path.read_text(encoding="utf-8"))
        except (OSError, UnicodeDecodeError) as problem:
            raise ReaderLost(f"{self._path} can't be read: {problem}") from problem
        self._started_ns = time.clock_gettime_ns(time.CLOCK_BOOTTIME)

    def poll(self) -> Sequence[CardRead]:
        """See Reader.poll. A card whose time passed between two polls is shown all the same, once."""
        if self._started_ns is None:
            raise ReaderLost("the replay is not open")
        now_ms = (time.clock_gettime_ns(time.CLOCK_BOOTTIME) - self._started_ns) // 1_000_000
        if self._loop and self._showings and self._next >= len(self._showings):
            self._started_ns += self._showings[-1].until_ms * 1_000_000
            now_ms -= self._showings[-1].until_ms
            self._next = 0
        reads: list[CardRead] = []
        for showing in self._showings[self._next :]:
            if showing.from_ms > now_ms:
                break
            reads.append(CardRead(showing.card))
        while self._next < len(self._showings) and self._showings[self._next].until_ms <= now_ms:
            self._next += 1
        return tuple(reads)

    def close(self) -> None:
        """See Reader.close; a reopened replay goes on where it was."""
