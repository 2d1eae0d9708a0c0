"""The waterline: how far the journal was synced, in a file of its own, so that a card that loses synced records shows.

A card that acknowledges a flush and doesn't do it can't be seen while the power stays on: every read is answered from
memory. After a cut the journal's file is sound, only shorter. What was written later elsewhere tells it then. What no
other file tells, the hub does, where it held more (docs/decisions/0015-lying-card.md).
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import TYPE_CHECKING, Final

import msgspec

from edge.salvage import DAMAGED
from host.durable import write_durably
from protocol.envelope import digest

if TYPE_CHECKING:
    from edge.bookreader import BookReader
    from edge.journal import SqliteJournal

log = logging.getLogger("k12edge.waterline")

FILE_NAME: Final = "waterline.json"
EVERY_MS: Final = 60_000
"""How often it is written at most, between taps; two syncs each time."""


class _Line(msgspec.Struct, frozen=True):
    """waterline.json: record `last` of this journal, whose digest is `head`, was synced before this file was.

    `check` is the digest of the three: a flipped bit in here must not say that records are gone.
    """

    journal: str
    last: int
    head: str
    check: str


def packed(journal: str, last: int, head: str) -> bytes:
    """The file's content."""
    return msgspec.json.encode(_Line(journal, last, head, _check(journal, last, head)))


def _check(journal: str, last: int, head: str) -> str:
    return digest(f"{journal} {last} {head}".encode())


class Waterline:
    """Looks once, when everything that can come back has come back, and is written from then on."""

    def __init__(self, journal: SqliteJournal, told: Callable[[str, str], None], now_ms: int) -> None:
        """`told` hears an alarm's code and detail."""
        self._journal, self._alarm = journal, told
        self._path = journal.path.with_name(FILE_NAME)
        self._looked = False
        self._written: tuple[str, int] | None = None
        self._due_ms = now_ms

    def look(self, reader: BookReader) -> None:
        """Name what the file said to be synced and the journal's file doesn't hold. Raises like BookReader."""
        if self._looked or any(self._path.parent.glob(DAMAGED + "*")):
            return
        line = self._read()
        if line is not None:
            gone = _gone(line, reader)
            if gone is not None:
                self._alarm("records-gone", gone)
        self._looked = True

    def _read(self) -> _Line | None:
        """What the file says; one that can't be read says nothing, and is written anew."""
        try:
            line = msgspec.json.decode(self._path.read_bytes(), type=_Line)
        except FileNotFoundError:
            return None
        except (OSError, ValueError, RecursionError) as problem:
            log.warning("%s can't be read: %s", self._path, problem)
            return None
        if line.check != _check(line.journal, line.last, line.head):
            log.warning("%s is damaged", self._path)
            return None
        return line

    def write(self, now_ms: int) -> None:
        """Between taps: say how far the journal is synced by now, when it is time. A full disk is tried again later."""
        if not self._looked or now_ms < self._due_ms:
            return
        journal, last, head = self._journal.end()
        if head is None or (journal, last) == self._written:
            return
        self._due_ms = now_ms + EVERY_MS
        try:
            write_durably(self._path, packed(journal, last, head))
        except OSError as problem:
            log.warning("%s can't be written: %s", self._path, problem)
            return
        self._written = journal, last


def _gone(line: _Line, reader: BookReader) -> str | None:
    """What is missing, in words; None where the file is as far as it was. Raises like BookReader."""
    last = next((row.last for row in reader.journals() if row.journal == line.journal), 0)
    if last < line.last:
        return f"{line.journal}: records {last + 1} to {line.last} were synced, and the journal's file lacks them"
    held = reader.digest_at(line.journal, line.last)
    if held not in (None, line.head):
        return f"{line.journal}.{line.last} is not the record that was synced"
    return None
