"""The proof of a journal's file: every record there, unchanged and in its place, or the first bad one named."""

from __future__ import annotations

import sqlite3
import urllib.error
import urllib.request
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import msgspec

from edge.bookcopy import journal_files, opened
from edge.journalfile import explained
from edge.journalrows import SEQUENCE_BITS, head_text
from protocol.envelope import Event, decode_event, digest
from protocol.errors import BadMessage, K12EdgeError
from protocol.signing import SignatureRefused, verify

WITNESS_BYTES_MAX: Final = 64 * 1024 * 1024
WITNESS_S: Final = 5.0
WITNESS_PATH: Final = "/v1/ledger/journals"
VALID: Final = 0
BAD: Final = 1
UNREADABLE: Final = 2


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


class Held(msgspec.Struct):
    """What a witness holds of one journal."""

    source: str
    through: int
    head: str | None = None
    missing: list[tuple[int, int]] = []
    pruned_through: int = 0


class Witness(msgspec.Struct):
    """What the hub said, or says, that it holds: journal id -> what of it."""

    journals: dict[str, Held]


@dataclass(slots=True)
class _Journal:
    """One journal as the file has it, while it is walked."""

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


def read_witness(witness: str) -> Witness:
    """The hub's own word (its address, or that of its list of journals), or a saved answer. Raises BadMessage."""
    if witness.startswith(("http://", "https://")):
        url = witness if witness.rstrip("/").endswith(WITNESS_PATH) else witness.rstrip("/") + WITNESS_PATH
        try:
            with urllib.request.urlopen(url, timeout=WITNESS_S) as answer:
                body = answer.read(WITNESS_BYTES_MAX)
        except (OSError, ValueError, urllib.error.URLError) as problem:
            raise BadMessage(f"the witness {url} does not answer: {problem}") from problem
    else:
        try:
            body = Path(witness).read_bytes()
        except OSError as problem:
            raise BadMessage(f"the witness {witness} can't be read: {problem.strerror}") from problem
    try:
        return msgspec.json.decode(body, type=Witness)
    except (msgspec.DecodeError, ValueError) as problem:
        raise BadMessage(f"the witness {witness} is not a list of journals: {problem}") from problem


def _verify_file(report: Report, file: Path, database: sqlite3.Connection, witness: Witness | None) -> None:
    journals: list[_Journal] = []
    try:
        for row in database.execute(
            "SELECT number, journal, salvaged, pruned_through, pruned_head, pruned_sig FROM journal ORDER BY number"
        ).fetchall():
            journals.append(_Journal(row[0], row[1], bool(row[2]), row[3], row[4], row[5]))
        known = {journal.number: journal for journal in journals}
        for (number,) in database.execute(f"SELECT DISTINCT position >> {SEQUENCE_BITS} FROM event").fetchall():
            if number not in known:
                report.blame(f"position {number << SEQUENCE_BITS}", "records of a journal that the file doesn't list")
        before: dict[str, _Journal] = {}
        for journal in journals:
            _Walk(report, journal, before).go(database)
            before[journal.journal] = journal
    except sqlite3.Error as problem:
        error = explained(problem, f"{file.name} can't be read to its end")
        last = journals[-1] if journals else None
        for journal in journals:
            if not journal.last or journal is last:
                report.blame(f"{journal.journal}.{journal.last + 1}", str(error))
                break
        else:
            report.exit_code = UNREADABLE
            report.lines.append(f"UNREADABLE {error}")
        return
    for journal in journals:
        _conclude(report, journal, witness)
    if witness is not None:
        _later_journals(report, file, journals, witness)


class _Walk:
    """One journal, record by record; the first bad record is named, what follows it is only counted."""

    def __init__(self, report: Report, journal: _Journal, before: dict[str, _Journal]) -> None:
        self._report, self._journal, self._before = report, journal, before
        self._digest = journal.pruned_head
        self._suspect: str | None = None
        self._heads: list[tuple[int, str, str, str]] = []

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
        self._check_signatures()

    def _read(self, sequence: int, raw: bytes) -> Event | str:
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
            return self._blame(f"{journal.journal}.{journal.last + 1}", "the record is missing")
        if isinstance(event, str):
            return self._blame(name, event)
        mine = digest(raw)
        fits_next = after is None or isinstance(after[2], str) or after[0] != sequence + 1 or after[2].prev == mine
        if event.prev != self._digest and not (sequence == 1 and event.prev is None):
            if fits_next and journal.last:
                return self._blame(f"{journal.journal}.{journal.last}", "it is not the record that its successor names")
            return self._blame(name, "it does not follow from the record before it")
        if not fits_next:
            return self._blame(name, "its bytes are not those that its successor names")
        if not self._content(name, event):
            return False
        journal.last, journal.head, self._digest = sequence, mine, mine
        return True

    def _content(self, name: str, event: Event) -> bool:
        journal = self._journal
        if journal.source is None:
            journal.source = event.source
        if event.source != journal.source:
            return self._blame(name, f"it is said to come from {event.source}")
        if event.name == "journal.opened":
            data = msgspec.json.decode(event.data)
            journal.key = data.get("key")
            previous = data.get("previous")
            if previous and not self._follows(name, previous):
                return False
        if event.name == "journal.head":
            data = msgspec.json.decode(event.data)
            self._heads.append((data["through"], str(data["head"]), str(data["sig"]), name))
            if data["through"] == journal.last and data["head"] != journal.head:
                return self._blame(name, "the signed head is not that of the records before it")
        return True

    def _follows(self, name: str, previous: dict[str, Any]) -> bool:
        before = self._before.get(str(previous.get("journal")))
        if before is None or before.broken or before.salvaged:
            return True
        if before.last < int(previous.get("last", 0)):
            return self._blame(
                f"{before.journal}.{before.last + 1}",
                f"the record is missing; {name} says it came to {previous['last']}",
            )
        if before.last == previous.get("last") and before.head != previous.get("head"):
            return self._blame(f"{before.journal}.{before.last}", f"it is not the record that {name} names")
        return True

    def _check_signatures(self) -> None:
        journal = self._journal
        if journal.key is None:
            return
        for through, head, sig, name in self._heads:
            try:
                verify(journal.key, head_text(journal.journal, through, head), sig)
            except SignatureRefused as problem:
                self._blame(name, str(problem))
                return
        if journal.pruned_through and journal.pruned_sig is not None and journal.pruned_head is not None:
            try:
                verify(
                    journal.key,
                    head_text(journal.journal, journal.pruned_through, journal.pruned_head),
                    journal.pruned_sig,
                )
            except SignatureRefused as problem:
                self._blame(f"{journal.journal}.{journal.pruned_through}", f"prune checkpoint: {problem}")

    def _blame(self, record: str, what: str) -> bool:
        self._journal.broken = True
        self._report.blame(record, what)
        return False


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
    if held.through == journal.last and held.head is not None and held.head != journal.head:
        report.blame(f"{journal.journal}.{journal.last}", "the witness holds another record under this name")
        return
    report.lines.append(f"{journal.journal}: valid through {journal.last}; the witness holds it through {held.through}")


def _later_journals(report: Report, file: Path, journals: list[_Journal], witness: Witness) -> None:
    """Journals of this gateway that the witness knows and the file doesn't: it was rolled back, or cut."""
    mine = {journal.journal for journal in journals}
    sources = {journal.source for journal in journals if journal.source is not None}
    if any(journal.salvaged for journal in journals) or file.name != "journal.db":
        return
    begun = False
    for name, held in witness.journals.items():
        # The hub lists journals in the order of first contact; a gateway forgets only its oldest, emptied ones.
        begun = begun or name in mine
        if begun and held.source in sources and name not in mine and held.through > held.pruned_through:
            report.blame(
                f"{name}.1",
                f"the file was rolled back or replaced: the witness holds journal {name} of {held.source}"
                f" through {held.through}",
            )
