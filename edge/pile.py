"""The pile: journals of several gateways laid side by side, each record once; what is missing or contradicts is named.

For whoever needs what counters and gates saw while no hub can be asked. Files are only read, copies of them too; a
damaged one is read as far as it goes. Of what is far from the time asked about only the clocks are kept.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final, Literal

from edge.bookcopy import journal_files, opened
from edge.journalfile import STORAGE_ERRORS
from edge.journalrows import NUMBER_MAX, SEQUENCE_BITS
from edge.salvage import DAMAGED, read_damaged
from protocol.anchors import Timeline, dated
from protocol.envelope import Event, decode_data, decode_event, digest_bytes, text_of
from protocol.errors import BadMessage, K12EdgeError
from protocol.ranges import RangeSet
from protocol.records import JournalOpened

KEPT: Final = (
    "meal.pickup",
    "meal.referred",
    "meal.correction",
    "attendance.tap",
    "attendance.correction",
    "device.watermark",
)
"""Records that are kept whole where they are near."""
NEAR_MS: Final = 2 * 86_400_000
"""How far a record's own clock may stand from the time asked about, where it had an anchor."""
GROUP: Final = 2_000
"""Records whose clocks are learned from at once."""
FILES_MAX: Final = 64
RECORDS_MAX: Final = 5_000_000
"""Of all files: a school year of sixteen counters; beyond it a file is named as not read to its end."""
NAMED_MAX: Final = 20
"""Faults of one kind that are named of one file."""

FaultCode = Literal["unreadable", "damaged", "fork", "bad-record", "too-much"]


@dataclass(frozen=True, slots=True)
class Fault:
    """What is wrong: with which file or journal, and what it is about."""

    code: FaultCode
    where: str
    about: str


@dataclass(slots=True)
class Book:
    """One journal of the pile. `near`: its records of interest; `files`: in which it was found.

    `opened`: its first record; `newest`: its last one; `before`: the journal before it and that one's last record then.
    `later`: whether a word of long after the time asked about is among the near ones.
    """

    journal: str
    source: str
    opened: Event | None = None
    newest: Event | None = None
    held: RangeSet = field(default_factory=RangeSet)
    pruned_through: int = 0
    before: tuple[str, int] | None = None
    head: str = ""
    near: list[Event] = field(default_factory=list)
    files: list[str] = field(default_factory=list)
    later: bool = False

    def holes(self) -> list[tuple[int, int]]:
        """What is missing between what was pruned and the last record."""
        return list(self.held.gaps(self.pruned_through + 1, self.held.last)) if self.held else []


@dataclass(slots=True)
class Pile:
    """All of it. `timelines` by source."""

    books: dict[str, Book] = field(default_factory=dict)
    timelines: dict[str, Timeline] = field(default_factory=dict)
    faults: list[Fault] = field(default_factory=list)

    def blame(self, code: FaultCode, where: str, about: str) -> None:
        """Name a fault, once."""
        fault = Fault(code, where, about)
        if fault not in self.faults and sum((one.code, one.where) == (code, where) for one in self.faults) < NAMED_MAX:
            self.faults.append(fault)


def pile_of(paths: Iterable[Path], from_ms: int, until_ms: int) -> Pile:
    """The journals of these files and data directories, for what happened between two moments; raises nothing."""
    return _Laying(from_ms, until_ms).all(paths)


class _Laying:
    """Lays one file after the other. `digests` by journal: what each record's bytes are, to know it again."""

    def __init__(self, from_ms: int, until_ms: int) -> None:
        self._pile = Pile()
        self._from_ms, self._until_ms = from_ms, until_ms
        self._digests: dict[str, dict[int, bytes]] = {}
        self._count = 0

    def all(self, paths: Iterable[Path]) -> Pile:
        count = 0
        for path in paths:
            try:
                files = journal_files(path)
            except (K12EdgeError, OSError) as problem:
                self._pile.blame("unreadable", str(path), str(problem))
                continue
            for file in files:
                count += 1
                if count > FILES_MAX:
                    self._pile.blame("too-much", str(file), f"{FILES_MAX} files")
                    break
                self._file(file)
        return self._pile

    def _file(self, file: Path) -> None:
        try:
            with opened(file) as database:
                self._learn(self._rows(file, database))
            if file.match(DAMAGED):
                # A gateway had its reasons: what SQLite reads of it needn't be all that stands there.
                self._pile.blame("damaged", str(file), "set aside")
                self._carve(file)
        except K12EdgeError as problem:
            self._pile.blame("unreadable", str(file), str(problem))
        except (*STORAGE_ERRORS, OSError) as problem:
            # SQLite gives up at the first bad page; the records of the others stand in the file all the same.
            self._pile.blame("damaged", str(file), str(problem))
            self._carve(file)

    def _carve(self, file: Path) -> None:
        try:
            found = read_damaged(file)
        except (K12EdgeError, OSError) as problem:
            self._pile.blame("unreadable", str(file), str(problem))
            return
        for part in found:
            self._learn(
                event
                for sequence, raw in part.records.items()
                if (event := self._take(file, part.journal, sequence, raw)) is not None
            )

    def _rows(self, file: Path, database: sqlite3.Connection) -> Iterator[Event]:
        # One snapshot: beside a running gateway taps, and runs, come in between.
        database.execute("BEGIN")
        names: dict[int, str] = {}
        for number, journal, through in database.execute("SELECT number, journal, pruned_through FROM journal"):
            if isinstance(number, int) and isinstance(journal, str) and 0 < number < NUMBER_MAX:
                names[number] = journal
                if isinstance(through, int) and through > 0:
                    self._book(journal, "", file).pruned_through = through
        before: tuple[str, int, bytes] | None = None
        for position, raw in database.execute("SELECT position, raw FROM event ORDER BY position"):
            journal = names.get(int(position) >> SEQUENCE_BITS, "")
            sequence = int(position) & ((1 << SEQUENCE_BITS) - 1)
            event = self._take(file, journal, sequence, raw)
            if event is None:
                before = None
                continue
            if before is not None and before[:2] == (journal, sequence - 1) and event.prev != text_of(before[2]):
                self._pile.blame("bad-record", str(file), f"{journal}.{sequence - 1}")
            before = journal, sequence, self._digests[journal][sequence]
            yield event

    def _take(self, file: Path, journal: str, sequence: int, raw: object) -> Event | None:
        """A record that is new; None where it can't be understood, or isn't what stands here. A copy counts once."""
        self._count += 1
        if self._count > RECORDS_MAX:
            if self._count == RECORDS_MAX + 1:
                self._pile.blame("too-much", str(file), f"{RECORDS_MAX} records")
            return None
        name = f"{journal}.{sequence}"
        try:
            event = decode_event(raw) if isinstance(raw, bytes) else None
        except BadMessage:
            event = None
        if event is None or event.id != name or not isinstance(raw, bytes):
            self._pile.blame("bad-record", str(file), name)
            return None
        known = self._digests.setdefault(journal, {})
        digest = digest_bytes(raw)
        other = known.get(sequence)
        book = self._book(journal, event.source, file)
        if other is None:
            known[sequence] = digest
            book.held.add(sequence, sequence)
            book.newest = event if sequence == book.held.last else book.newest
            self._keep(book, event)
        elif other != digest:
            self._pile.blame("fork", journal, name)
            # Both are looked at: of an illness too many are asked rather than one too few.
            self._keep(book, event)
        book.head = text_of(known[book.held.last])
        return event

    def _book(self, journal: str, source: str, file: Path) -> Book:
        book = self._pile.books.setdefault(journal, Book(journal, source))
        book.source = book.source or source
        if str(file) not in book.files:
            book.files.append(str(file))
        return book

    def _keep(self, book: Book, event: Event) -> None:
        if event.name == "journal.opened":
            try:
                previous = decode_data(event, JournalOpened).previous
            except BadMessage:
                return
            book.opened = event
            book.before = None if previous is None else (previous.journal, previous.last)
        elif event.name in KEPT:
            found = dated(event)
            near = found is None or found.own is None
            if found is not None and not near:
                near = self._from_ms - NEAR_MS <= found.stated_ms < self._until_ms + NEAR_MS
                if event.name == "device.watermark" and found.stated_ms >= self._until_ms + NEAR_MS:
                    # A gateway that was off since says with its next run's first word that nothing is to come. One word
                    # of a journal is enough: a year's would fill the memory.
                    near, book.later = not book.later, True
            if near:
                book.near.append(event)

    def _learn(self, events: Iterable[Event]) -> None:
        group: list[Event] = []
        for event in events:
            group.append(event)
            if len(group) == GROUP:
                self._learn_group(group)
                group = []
        self._learn_group(group)

    def _learn_group(self, group: list[Event]) -> None:
        by_source: dict[str, list[Event]] = {}
        for event in group:
            by_source.setdefault(event.source, []).append(event)
        for source, events in by_source.items():
            self._pile.timelines.setdefault(source, Timeline()).learn_all(events)
