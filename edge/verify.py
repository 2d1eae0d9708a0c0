"""The proof of a journal's file: every record there, unchanged and in its place, or the first bad one named."""

from __future__ import annotations

import sqlite3
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import msgspec

from edge.bookcopy import journal_files, opened
from edge.journalfile import FILE_NAME, STORAGE_ERRORS, explained
from edge.journalrows import NUMBER_MAX, SEQUENCE_BITS, head_text
from edge.pruning import JOURNAL_ROWS_MAX
from edge.salvage import lost_behind
from edge.witness import Witness, read_witness
from protocol.envelope import Event, decode_event, digest, expected_event, is_digest, is_journal_id
from protocol.errors import BadMessage, K12EdgeError
from protocol.signing import SignatureRefused, verify

VALID: Final = 0
BAD: Final = 1
UNREADABLE: Final = 2
NO_DIGEST: Final = "A" * 43
"""Stands where a first record names nobody."""


@dataclass(slots=True)
class Report:
    """What was found: lines for people, bad records in the order found, how far each journal is proven."""

    lines: list[str] = field(default_factory=list)
    bad: list[dict[str, str]] = field(default_factory=list)
    through: dict[str, int] = field(default_factory=dict)
    exit_code: int = VALID

    def as_json(self) -> dict[str, Any]:
        """The same for programs; `first_bad` is a record's id, or null."""
        first = self.bad[0]["record"] if self.bad else None
        return {
            "valid": self.exit_code == VALID,
            "first_bad": first,
            "bad": self.bad,
            "through": self.through,
            "lines": self.lines,
        }

    def blame(self, record: str, what: str) -> None:
        """Name a bad record."""
        self.exit_code = max(self.exit_code, BAD)
        self.bad.append({"record": record, "problem": what})
        self.lines.append(f"BAD {record}: {what}")


class _Previous(msgspec.Struct):
    """What `journal.opened` says of the journal before."""

    journal: str
    last: int
    head: str | None = None


class _Opened(msgspec.Struct):
    """The part of `journal.opened` that proves something."""

    key: str | None = None
    previous: _Previous | None = None


class _Head(msgspec.Struct):
    """The data of `journal.head`."""

    through: int
    head: str
    sig: str


@dataclass(slots=True)
class _Journal:
    """One journal as the file has it, while it is walked. `digests` by sequence, `heads` by the record's name."""

    number: int
    journal: str
    salvaged: bool
    pruned_through: int
    pruned_head: str | None
    pruned_sig: str | None
    key: str | None = None
    source: str | None = None
    last: int = 0
    head: str | None = None
    broken: bool = False
    digests: dict[int, str] = field(default_factory=dict)
    heads: dict[str, _Head] = field(default_factory=dict)


def verify_path(path: Path, witness: str | None) -> Report:
    """Prove every journal file that PATH stands for. Writes nothing; never raises for what it finds."""
    report = Report()
    try:
        told = None if witness is None else read_witness(witness)
        for file in journal_files(path):
            with opened(file) as database:
                _verify_file(report, file, database, told)
    except K12EdgeError as problem:
        report.exit_code = max(report.exit_code, UNREADABLE)
        report.lines.append(f"UNREADABLE {problem}")
    return report


def _verify_file(report: Report, file: Path, database: sqlite3.Connection, witness: Witness | None) -> None:
    try:
        # One snapshot: beside a running gateway taps, and runs, come in between.
        database.execute("BEGIN")
        lost = _lost(file, database)
        rows = database.execute(
            "SELECT number, journal, salvaged, pruned_through, pruned_head, pruned_sig FROM journal ORDER BY number"
        ).fetchall()
        numbers = [row[0] for row in database.execute(f"SELECT DISTINCT position >> {SEQUENCE_BITS} FROM event")]
    except (*STORAGE_ERRORS, OSError) as problem:
        error = explained(problem, f"{file.name} can't be read") if isinstance(problem, STORAGE_ERRORS) else problem
        report.exit_code = UNREADABLE
        report.lines.append(f"UNREADABLE {error}")
        return
    journals = [journal for row in rows if (journal := _journal(report, row)) is not None]
    known = {journal.number for journal in journals}
    for number in numbers:
        if number not in known:
            report.blame(f"position {number << SEQUENCE_BITS}", "records of a journal that the file doesn't list")
    before: dict[str, _Journal] = {}
    # A gateway forgets its oldest, emptied journals only beyond so many.
    whole = len(rows) < JOURNAL_ROWS_MAX
    for journal in journals:
        walk = _Walk(report, journal, before, whole=whole)
        try:
            walk.go(database)
        except STORAGE_ERRORS as problem:
            walk.blame(f"{journal.journal}.{journal.last + 1}", f"it can't be read: {problem}")
        if journal.key is not None:
            _check_signatures(report, journal, [journal.key])
        before[journal.journal] = journal
    if lost:
        newest = next((journal for journal in reversed(journals) if not journal.salvaged), None)
        name = "the first record" if newest is None else f"{newest.journal}.{newest.last + 1}"
        report.blame(name, f"a frame of the log is damaged; records through {lost[-1]} stand behind it, out of reach")
        if newest is not None:
            newest.broken = True
    keys = [journal.key for journal in journals if journal.key is not None]
    for journal in journals:
        if journal.key is None:
            _check_signatures(report, journal, list(dict.fromkeys(keys)))
        _conclude(report, journal, witness)
    if witness is not None:
        _later_journals(report, file, journals, witness)


def _lost(file: Path, database: sqlite3.Connection) -> list[int]:
    """See salvage.lost_behind; beside a running gateway the log changes under the look, so there it isn't asked."""
    copy = Path(database.execute("PRAGMA database_list").fetchone()[2])
    return [] if copy == file.resolve() else lost_behind(copy, database)


def _journal(report: Report, row: tuple[Any, ...]) -> _Journal | None:
    """A journal's row, or None (and a blame) where its values can't be."""
    number, journal, salvaged, through, head, sig = row
    named = isinstance(journal, str) and is_journal_id(journal)
    if not (named and isinstance(number, int) and 0 < number < NUMBER_MAX):
        report.blame(f"journal {str(journal)[:40]}", "its row names no journal")
        return None
    if not isinstance(through, int) or through < 0 or not all(x is None or isinstance(x, str) for x in (head, sig)):
        report.blame(f"{journal}.1", "the journal's row is damaged")
        return None
    if through and (head is None or not is_digest(head) or sig is None):
        report.blame(f"{journal}.1", f"the records through {through} are missing, and no signed checkpoint is there")
        return None
    return _Journal(number, journal, bool(salvaged), through, head, sig)


class _Walk:
    """One journal, record by record; the first bad record is named, what follows it is only counted."""

    def __init__(self, report: Report, journal: _Journal, before: dict[str, _Journal], *, whole: bool) -> None:
        self._report, self._journal, self._before, self._whole = report, journal, before, whole
        self._digest = journal.pruned_head

    def go(self, database: sqlite3.Connection) -> None:
        journal = self._journal
        base = journal.number << SEQUENCE_BITS
        journal.last, journal.head = journal.pruned_through, journal.pruned_head
        waiting: tuple[int, bytes, Event | str] | None = None
        for position, raw in database.execute(
            "SELECT position, raw FROM event WHERE position BETWEEN ? AND ? ORDER BY position",
            (base, base + (1 << SEQUENCE_BITS) - 1),
        ):
            found = (position - base, raw, self._read(position - base, raw))
            if waiting is not None and not self._step(waiting, found):
                return
            waiting = found
        if waiting is not None:
            self._step(waiting, None)

    def _read(self, sequence: int, raw: object) -> Event | str:
        if not isinstance(raw, bytes):
            return "its bytes are stored as something else"
        if self._journal.source is not None:
            # What must stand here is known, so it is compared; only where it doesn't fit is it taken apart.
            found = expected_event(raw, self._journal.journal, sequence, self._journal.source)
            if found is not None and bytes(memoryview(found.data)[:1]) == b"{" and is_digest(found.prev or NO_DIGEST):
                return found
        try:
            event = decode_event(raw)
        except BadMessage as problem:
            return str(problem)
        if event.id != f"{self._journal.journal}.{sequence}":
            return f"record {event.id} stands in its place"
        return event

    def _step(self, at: tuple[int, bytes, Event | str], after: tuple[int, bytes, Event | str] | None) -> bool:
        """Judge one record, knowing the next; False when it is bad."""
        journal = self._journal
        sequence, raw, event = at
        name = f"{journal.journal}.{sequence}"
        if sequence != journal.last + 1:
            return self.blame(f"{journal.journal}.{journal.last + 1}", "the record is missing")
        if isinstance(event, str):
            return self.blame(name, event)
        mine = digest(raw)
        fits_next = after is None or isinstance(after[2], str) or after[0] != sequence + 1 or after[2].prev == mine
        if event.prev != self._digest and not (sequence == 1 and event.prev is None):
            if fits_next and journal.last:
                return self.blame(f"{journal.journal}.{journal.last}", "it is not the record that its successor names")
            return self.blame(name, "it does not follow from the record before it")
        if not fits_next:
            return self.blame(name, "its bytes are not those that its successor names")
        if not self._content(name, event):
            return False
        journal.last, journal.head, self._digest = sequence, mine, mine
        journal.digests[sequence] = mine
        return True

    def _content(self, name: str, event: Event) -> bool:
        journal = self._journal
        if journal.source is None:
            journal.source = event.source
        if event.source != journal.source:
            return self.blame(name, f"it is said to come from {event.source}")
        try:
            if event.name == "journal.opened":
                data = msgspec.json.decode(event.data, type=_Opened)
                journal.key = data.key
                self._follows(name, data.previous)
            elif event.name == "journal.head":
                journal.heads[name] = msgspec.json.decode(event.data, type=_Head)
        except (msgspec.DecodeError, RecursionError, ValueError) as problem:
            return self.blame(name, f"its data is not of its type: {problem}")
        return True

    def _follows(self, name: str, previous: _Previous | None) -> None:
        """Hold the journal before to what this one's first record says of it; runs follow each other without a gap."""
        runs = [journal for journal in self._before.values() if not journal.salvaged]
        if self._journal.salvaged:
            return
        if not runs:
            if previous is not None and self._whole:
                self._journal.broken = True
                self._report.blame(f"{previous.journal}.1", f"the journal is missing; {name} names it")
            return
        before, bad = runs[-1], None
        if previous is None or previous.journal != before.journal:
            said = "no journal" if previous is None else f"journal {previous.journal}"
            bad = self._journal.journal, 1, f"it follows {said}, and {before.journal} stands before it in the file"
            if previous is not None and previous.journal not in self._before:
                bad = previous.journal, 1, f"the journal is missing; {name} names it"
        elif before.last < previous.last and not before.broken:
            bad = before.journal, before.last + 1, f"the record is missing; {name} says it came to {previous.last}"
        elif before.digests.get(previous.last, previous.head) != previous.head:
            bad = before.journal, previous.last, f"it is not the record that {name} names"
        if bad is not None:
            before.broken = True
            self._report.blame(f"{bad[0]}.{bad[1]}", bad[2])

    def blame(self, record: str, what: str) -> bool:
        """Name the bad record; False."""
        self._journal.broken = True
        self._report.blame(record, what)
        return False


def _check_signatures(report: Report, journal: _Journal, mine: list[str]) -> None:
    """Hold signed heads and the prune checkpoint to the device's key, and the records to what was signed.

    The key stands in a journal's first record; where that is pruned, one of the file's other journals has it.
    """
    if not mine:
        return
    proven = journal.pruned_through
    checkpoint = journal.pruned_head, journal.pruned_sig
    if proven and not journal.broken and not _signed(mine, journal.journal, proven, *checkpoint):
        _blame(report, journal, proven, "the prune checkpoint is not signed by the device's key")
    for name, head in journal.heads.items():
        if not _signed(mine, journal.journal, head.through, head.head, head.sig):
            _blame(report, journal, int(name.partition(".")[2]), "its signature is not by the device's key")
            return
        held = journal.pruned_head if head.through == journal.pruned_through else journal.digests.get(head.through)
        if held != head.head and head.through >= journal.pruned_through:
            where = f"records {proven + 1} to {head.through}, of which one or more were replaced"
            _blame(report, journal, proven + 1, f"{name} signs another head of {where}")
            return
        proven = max(proven, head.through)


def _signed(keys: list[str], journal: str, through: int, head: str | None, sig: str | None) -> bool:
    for key in keys:
        try:
            verify(key, head_text(journal, through, head or ""), sig or "")
        except (SignatureRefused, UnicodeEncodeError):
            continue
        return True
    return False


def _blame(report: Report, journal: _Journal, sequence: int, what: str) -> None:
    journal.broken = True
    journal.last = min(journal.last, max(0, sequence - 1))
    report.blame(f"{journal.journal}.{sequence}", what)


def _conclude(report: Report, journal: _Journal, witness: Witness | None) -> None:
    """Say how far a journal is proven, and what a witness knows beyond it."""
    report.through[journal.journal] = journal.last
    if journal.broken:
        report.lines.append(f"{journal.journal}: valid through {journal.last}, not beyond")
        return
    held = None if witness is None else witness.journals.get(journal.journal)
    if held is None:
        if journal.last:
            beyond = "" if witness is None else " (the witness does not know this journal)"
            report.lines.append(
                f"{journal.journal}: valid through {journal.last}; later records can't be excluded{beyond}"
            )
        return
    if held.through > journal.last:
        report.blame(
            f"{journal.journal}.{journal.last + 1}",
            f"the tail is cut: the witness holds records through {held.through}, this file ends at {journal.last}",
        )
        return
    mine = journal.digests.get(held.through)
    if mine is not None and held.head is not None and held.head != mine:
        report.blame(f"{journal.journal}.{held.through}", "the witness holds another record under this name")
        return
    report.lines.append(f"{journal.journal}: valid through {journal.last}; the witness holds it through {held.through}")


def _later_journals(report: Report, file: Path, journals: list[_Journal], witness: Witness) -> None:
    """Journals that the witness knows to follow those of the file, and the file doesn't: it was rolled back, or cut.

    A gateway forgets only its oldest, emptied journals, so what follows one that is in the file must be in the file.
    Where the witness knows none of the file's journals, the whole file is another one.
    """
    if file.name != FILE_NAME:
        return
    mine = {journal.journal for journal in journals}
    sources = {journal.source for journal in journals if journal.source is not None}
    theirs = {name: held for name, held in witness.journals.items() if held.source in sources and name not in mine}
    replaced = not any(name in mine for name in witness.journals)
    after = set(mine)
    while found := {name for name, held in theirs.items() if held.previous in after} - after:
        after |= found
    for name, held in sorted(theirs.items(), key=lambda item: item[1].previous in theirs):
        if name in after or (replaced and held.through > held.pruned_through):
            report.blame(
                f"{name}.1",
                f"the file was rolled back or replaced: the witness holds journal {name} of {held.source}"
                f" through {held.through}",
            )
