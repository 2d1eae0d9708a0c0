"""A hub's state after a cut, opened as a starting hub opens it, and held against receipts, city and truth."""

from __future__ import annotations

import shutil
import sqlite3
import tempfile
import time
from collections.abc import Mapping
from contextlib import closing
from dataclasses import dataclass, field, replace
from pathlib import Path

from hub.config import HubConfig
from hub.mending import UNREADABLE
from hub.parts import FILE_NAME, Store
from hub.store.books import Book
from hub.store.ownjournal import OwnJournal
from protocol.envelope import decode_event, digest
from protocol.errors import K12EdgeError
from protocol.ranges import RangeSet
from protocol.receipts import Receipt, held_of
from sim.powercut.outcome import Outcome
from sim.powercut.overheard import Overheard
from sim.powercut.recording import Sent, Step


@dataclass(slots=True)
class HubJudge:
    """See replay.Judge. `truth`: every record that a gateway or the hub itself ever wrote; `key`: the hub's."""

    config: HubConfig
    truth: Mapping[str, bytes]
    key: str
    accepted: frozenset[str]
    held: dict[str, RangeSet] = field(default_factory=dict)
    city: dict[str, RangeSet] = field(default_factory=dict)
    submitted: set[str] = field(default_factory=set)
    ahead: list[str] = field(default_factory=list)
    overheard: Overheard = field(default_factory=Overheard)
    receipts: int = 0

    def hear(self, step: Step) -> None:
        """From the moment a receipt is sent a gateway may let go of what it names; the city's mark lets it prune."""
        if not isinstance(step, Sent):
            return
        for told in self.overheard.hear(step):
            if isinstance(told, Receipt):
                self._promise(told)
            else:
                self.submitted.update(told)

    def _promise(self, receipt: Receipt) -> None:
        self.receipts += 1
        for journal, marks in receipt.journals.items():
            mine = self.held.setdefault(journal, RangeSet())
            for first, last in held_of(marks.hub):
                mine.add(first, last)
            if marks.city is None:
                continue
            theirs = self.city.setdefault(journal, RangeSet())
            for first, last in held_of(marks.city):
                theirs.add(first, last)
                self.ahead += [
                    f"{journal}.{number}"
                    for number in range(first, last + 1)
                    if f"{journal}.{number}" not in self.submitted
                ]

    def promised(self) -> int:
        """See replay.Judge."""
        return sum(last - first + 1 for ranges in (*self.held.values(), *self.city.values()) for first, last in ranges)

    def judge(self, folder: Path, outcome: Outcome, name: str) -> None:
        """See replay.Judge."""
        began_s = time.monotonic()
        try:
            store = Store(moved(self.config, folder))
            own = store.open_own_journal()
        except (K12EdgeError, sqlite3.Error, OSError, *UNREADABLE) as problem:
            # A starting hub would set such a file aside. Here every cut leaves a sound one.
            outcome.corrupt.append(f"{name}: it can't start: {type(problem).__name__}: {problem}")
            return
        outcome.ready(name, time.monotonic() - began_s)
        with closing(store.database):
            try:
                self._hold(store, own, outcome, name)
            except (K12EdgeError, sqlite3.Error, *UNREADABLE) as problem:
                outcome.corrupt.append(f"{name}: it can't be read: {type(problem).__name__}: {problem}")

    def _hold(self, store: Store, own: OwnJournal, outcome: Outcome, name: str) -> None:
        """What was promised against what an opened store holds."""
        if self.promised() and store.secrets.identity().key != self.key:
            outcome.corrupt.append(f"{name}: the hub has another key")
        lost = [d for d in self.accepted if (f := store.devices.find(d)) is None or f.standing != "accepted"]
        if lost:
            outcome.corrupt.append(f"{name}: {lost} are not accepted any more")
        found = self._records(store, own.book.journal, outcome, name)
        for book in store.ledger.books.all():
            if book is not own.book:
                self._book(store, book, found.pop(book.journal, {}), outcome, name)
        for journal, ranges in self.held.items():
            known = store.ledger.books.find(journal)
            pending = _pending(store, journal) if known is None else set[int]()
            held = RangeSet() if known is None else known.durable()
            for first, last in ranges:
                if not held.covers(first, last) and not set(range(first, last + 1)) <= pending:
                    outcome.lost.append(f"{name}: {journal}.{first} to {last} were receipted")
        outcome.corrupt += [f"{name}: a mark says that the city holds {one}, never sent" for one in self.ahead[:3]]
        (sound,) = store.database.connection.execute("PRAGMA integrity_check").fetchone()
        if sound != "ok":
            outcome.corrupt.append(f"{name}: {sound}")

    def _records(self, store: Store, own: str, outcome: Outcome, name: str) -> dict[str, dict[int, bytes]]:
        """What stands in the ledger, by journal; each is held against the truth."""
        found: dict[str, dict[int, bytes]] = {}
        for journal, sequence, raw in store.database.connection.execute(
            "SELECT j.journal, sequence, raw FROM events JOIN journals AS j ON number = events.journal"
        ):
            if journal == own:
                continue
            record = f"{journal}.{sequence}"
            if sequence in found.setdefault(journal, {}):
                outcome.double.append(f"{name}: {record} twice")
            found[journal][sequence] = bytes(raw)
            if self.truth.get(record) != raw:
                kind = outcome.corrupt if record in self.truth else outcome.phantom
                kind.append(f"{name}: {record} is another record, or none that was written")
        return found

    def _book(self, store: Store, book: Book, found: dict[int, bytes], outcome: Outcome, name: str) -> None:
        """Hold one journal's row against its records, its chain, and the road to the city."""
        if {number for first, last in book.held for number in range(first, last + 1)} != found.keys():
            outcome.corrupt.append(
                f"{name}: {book.journal} says that it holds {list(book.held)}, and holds {len(found)}"
            )
        for sequence, raw in found.items():
            if sequence - 1 in found and decode_event(raw).prev != digest(found[sequence - 1]):
                outcome.corrupt.append(f"{name}: {book.journal}.{sequence} doesn't follow")
        for first, last in self.city.get(book.journal, ()):
            if not book.city_held.covers(first, last):
                outcome.lost.append(f"{name}: the city's answer for {book.journal}.{first} to {last} is forgotten")
        owed = _owed(store, book)
        for sequence in found:
            record = f"{book.journal}.{sequence}"
            if sequence in book.city_held:
                if record not in self.submitted:
                    outcome.corrupt.append(f"{name}: {record} is said to be at the city, and was never sent")
            elif sequence not in owed:
                outcome.lost.append(f"{name}: {record} is owed to the city, and nobody will send it")


def _pending(store: Store, journal: str) -> set[int]:
    rows = store.database.connection.execute(
        "SELECT first, last FROM pending_batches WHERE journal = ?", (journal,)
    ).fetchall()
    return {number for first, last in rows for number in range(first, last + 1)}


def _owed(store: Store, book: Book) -> set[int]:
    """What the forwarder will still come to: all behind its cursor, and the exceptions before it."""
    rows = store.database.connection.execute(
        "SELECT sequence FROM events WHERE journal = ?1 AND (position > ?2"
        " OR position IN (SELECT position FROM forward_exceptions))",
        (book.number, store.forward.cursor()),
    ).fetchall()
    return {sequence for (sequence,) in rows}


def moved(config: HubConfig, folder: Path) -> HubConfig:
    """The same hub on another data directory."""
    return replace(config, data_dir=folder)


def ledger_records(path: Path) -> dict[str, bytes]:
    """Every record of a ledger's file, by id; the file and its log are copied first."""
    with tempfile.TemporaryDirectory(prefix="k12edge-ledger-") as folder:
        copy = Path(folder) / path.name
        for suffix in ("", "-wal"):
            source = path.with_name(path.name + suffix)
            if source.exists():
                shutil.copyfile(source, copy.with_name(copy.name + suffix))
        with closing(sqlite3.connect(copy)) as database:
            return {
                f"{journal}.{sequence}": bytes(raw)
                for journal, sequence, raw in database.execute(
                    "SELECT j.journal, sequence, raw FROM events JOIN journals AS j ON number = events.journal"
                )
            }


def is_own(raw: bytes) -> bool:
    """Whether a record is the hub's own."""
    return decode_event(raw).source.startswith("urn:k12edge:hub:")


def key_of_hub(config: HubConfig, data: Path) -> str:
    """The public key of the hub whose file lies here; a copy is opened."""
    with tempfile.TemporaryDirectory(prefix="k12edge-ledger-") as made:
        folder = Path(made)
        for path in data.glob(FILE_NAME + "*"):
            shutil.copyfile(path, folder / path.name)
        store = Store(moved(config, folder))
        with closing(store.database):
            return store.secrets.identity().key
