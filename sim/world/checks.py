"""The checkers: every promise held against what really happened. They know nothing of the faults."""

from __future__ import annotations

import dataclasses
import re
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from random import Random
from typing import Final

import msgspec

from edge.journalfile import FILE_NAME
from edge.journalrows import SEQUENCE_BITS, read_journals
from hub.papers import wrapped
from hub.parts import Store
from hub.road.fleet import Fleet
from hub.road.reception import Followups, Reception
from protocol.envelope import Event, decode_event
from protocol.errors import BadMessage
from protocol.ranges import RangeSet
from protocol.receipts import decode_receipt, held_of
from protocol.taps import TAP_TYPES
from protocol.topics import parse_device_topic
from sim.world.loop import MS
from sim.world.school import School

RAW_NUMBER: Final = re.compile(rb"\ba:[0-9A-F]{8}")
"""A card's number as it is off the air, which no record or topic may carry."""
LEDGER: Final = "ledger.db"
BATCHES_MAX: Final = 4_000
"""Batches taken anew; a run with more (a whole day of the reference school) leaves it to smaller ones."""


class _Clock(msgspec.Struct):
    boot: str
    mono: int


class _Tap(msgspec.Struct):
    """What a tap's record says of where and when."""

    point: str
    clock: _Clock


@dataclass(slots=True)
class Times:
    """How good the city's times are: taps whose boot met an anchor, the others, and the worst error in ms."""

    anchored: int = 0
    other: int = 0
    worst_ms: int = 0


@dataclass(slots=True)
class Books:
    """What each keeper holds, by id: the exact bytes. `journals` are of the disks that there are now."""

    journals: dict[str, bytes] = field(default_factory=dict)
    pruned: dict[str, int] = field(default_factory=dict)
    hub: dict[str, bytes] = field(default_factory=dict)
    city: dict[str, bytes] = field(default_factory=dict)


class Receipted:
    """On the wire: a receipt never goes back within its epoch, and names nothing that isn't in the hub's file."""

    def __init__(self, school: School) -> None:
        """Listen at the broker."""
        self._school = school
        self._held: dict[tuple[str, str, str], RangeSet] = {}
        self._found: dict[str, tuple[object, int]] = {}
        self.count = 0

    def heard(self, topic: str, payload: bytes) -> None:
        """A message that a client published."""
        found = parse_device_topic(topic)
        if RAW_NUMBER.search(payload):
            self._school.truth.broken("no raw number travels", f"on {topic}")
        if found is None or found.leaf != "receipt" or found.school != "79000701":
            return
        body = payload.split(b"\n", 2)[-1]
        try:
            receipt = decode_receipt(body)
        except BadMessage:
            return
        self.count += 1
        for journal, marks in receipt.journals.items():
            now, key = held_of(marks.hub), (found.device, receipt.epoch, journal)
            before = self._held.get(key)
            if before is not None and not all(now.covers(first, last) for first, last in before):
                self._school.truth.broken("receipts don't go back", f"{journal} of {found.device}: {before} then {now}")
            self._held[key] = now
            self._durable(journal, marks.hub.through)

    def _durable(self, journal: str, through: int) -> None:
        store = self._school.hub.store
        if store is None or not through or self._found.get(journal) == (store, through):
            return
        book = store.ledger.books.find(journal)
        if book is None or store.database.connection.in_transaction:
            return
        # Past the part's own statements, before which it may crash: this look is none of its steps.
        found = sqlite3.Connection.execute(
            store.database.connection,
            "SELECT 1 FROM events WHERE journal = ? AND sequence = ?",
            (book.number, through),
        ).fetchone()
        if found is None and through not in book.parked:
            self._school.truth.broken("a receipt names what is held", f"{journal}.{through}")
        self._found[journal] = store, through


def drained(school: School) -> bool:
    """Whether every record of every box is at the hub, what the hub lost of its own is back from the city, and the hub
    owes the city nothing but dead letters.
    """
    store = school.hub.store
    if store is None or school.city.store is None or store.regaining():
        return False
    lost = school.truth.lost
    for book in store.ledger.books.all():
        city = book.city()
        if not all(city.covers(first, last) for first, last in book.held):
            return False
        if any(
            f"{book.journal}.{number}" not in lost for first, last in book.holes() for number in range(first, last + 1)
        ):
            return False
    for box in school.gateways:
        if not box.up:
            return False
        for journal, first, last in rows_of(box.storage.folder):
            known = store.ledger.books.find(journal)
            if last >= first and (known is None or not known.durable().covers(first, last)):
                return False
    return True


def rows_of(folder: Path) -> list[tuple[str, int, int]]:
    """The journals in a gateway's folder: id, first sequence held, last."""
    path = folder / FILE_NAME
    if not path.exists():
        return []
    with _reading(str(path)) as database:
        return [(row.journal, row.pruned_through + 1, row.last) for row in read_journals(database)]


@contextmanager
def _reading(path: str) -> Iterator[sqlite3.Connection]:
    database = sqlite3.connect(f"file:{path}?mode=ro", uri=True)
    try:
        yield database
    finally:
        database.close()


def gather(school: School) -> Books:
    """Read all files as they are."""
    books = Books()
    for box in school.gateways:
        if not box.journal_path.exists():
            continue
        with _reading(str(box.journal_path)) as database:
            books.journals |= _events_in(database)
            books.pruned |= {row.journal: row.pruned_through for row in read_journals(database) if row.pruned_through}
    with _reading(str(school.hub.storage.folder / LEDGER)) as database:
        for journal, sequence, raw in database.execute(
            "SELECT journals.journal, sequence, raw FROM events JOIN journals ON events.journal = journals.number"
        ):
            books.hub[f"{journal}.{sequence}"] = bytes(raw)
    with _reading(str(school.city.storage.folder / "city.db")) as database:
        for source, name, raw in database.execute("SELECT source, event_id, raw FROM events"):
            if name in books.city:
                school.truth.broken("held once", f"{name} stands under two sources, one of them {source}")
            books.city[name] = bytes(raw)
    return books


def records_of(folder: Path) -> set[str]:
    """The ids of the records in a gateway's folder."""
    path = folder / FILE_NAME
    if not path.exists():
        return set()
    with _reading(str(path)) as database:
        return set(_events_in(database))


def _events_in(database: sqlite3.Connection) -> dict[str, bytes]:
    """What a gateway's file holds, by id."""
    journals = {row.number: row.journal for row in read_journals(database)}
    rows = database.execute("SELECT position, raw FROM event ORDER BY position")
    return {f"{journals[at >> SEQUENCE_BITS]}.{at & ((1 << SEQUENCE_BITS) - 1)}": bytes(raw) for at, raw in rows}


def check_all(school: School) -> Times:
    """Every invariant that can be told at the end, when all has drained."""
    books = gather(school)
    _check_books(school, books)
    times = _check_taps(school, books)
    _check_alarms(school)
    for raw in books.hub.values():
        if RAW_NUMBER.search(raw):
            school.truth.broken("no raw number travels", raw[:80].decode("utf-8", "replace"))
            break
    return times


COPIED: Final = ("journal-branched", "journal-rolled-back")


def _check_alarms(school: School) -> None:
    """No fault of ours; a copied card is alarmed by the hub, unless it lost its ledger."""
    with _reading(str(school.hub.storage.folder / LEDGER)) as database:
        raised = set(database.execute("SELECT device, code FROM alarms"))
    for device, code in raised:
        if code == "internal-fault":
            school.truth.broken("no part fails by itself", f"the hub met a fault of ours in a message of {device}")
    if school.hub_anew:
        return
    for device in school.copied:
        if not any((device, code) in raised for code in COPIED):
            school.truth.broken("a copied card raises an alarm", f"{device}: {sorted(raised)}")


def _check_books(school: School, books: Books) -> None:
    truth = school.truth
    for name in truth.signals:
        if name not in books.city and name not in truth.lost_with_a_card:
            truth.broken("shown, so held by the city", f"{name} was shown {truth.signals[name].shown}")
        if name not in books.hub and name not in truth.lost_with_a_card and not _let_go(school, books, name):
            truth.broken("shown, so held by the hub", name)
    for name, raw in books.journals.items():
        for keeper, held in (("hub", books.hub), ("city", books.city)):
            if held.get(name) != raw:
                what = "is missing" if name not in held else "has other bytes"
                truth.broken(f"journals equal {keeper}", f"{name} {what}")
    for name, raw in books.hub.items():
        if books.city.get(name) != raw:
            truth.broken("hub equals city", name)
    for name in books.city:
        if name not in books.hub and not _let_go(school, books, name):
            truth.broken("city equals hub", name)
    for journal, through in books.pruned.items():
        missing = [number for number in range(1, through + 1) if f"{journal}.{number}" not in books.city]
        if missing:
            truth.broken("pruned only what the city holds", f"{journal}: {missing[:3]}")


def _let_go(school: School, books: Books, name: str) -> bool:
    """Whether only the city may have a record: it was pruned, or its gateway's disk and the hub's are both others."""
    journal, _, sequence = name.partition(".")
    return int(sequence) <= books.pruned.get(journal, 0) or (school.hub_anew and name not in books.journals)


def _taps(books: Books) -> Iterator[tuple[str, Event, _Tap]]:
    for name, raw in sorted(books.city.items()):
        event = decode_event(raw)
        if event.name in TAP_TYPES:
            yield name, event, msgspec.json.decode(event.data, type=_Tap)


def _check_taps(school: School, books: Books) -> Times:
    """Each record stands for one card that was held there then; its time holds the truth; the order is the taps'."""
    truth, store, times = school.truth, school.city.store, Times()
    assert store is not None
    taken: dict[int, str] = {}
    ends: dict[tuple[str, str], tuple[int, int]] = {}
    for name, event, tap in _taps(books):
        held = truth.held.get((tap.clock.boot, tap.clock.mono, tap.point))
        if held is None:
            truth.broken("nothing that wasn't tapped", f"{name} at {tap.point}, {tap.clock}")
            continue
        other = taken.setdefault(id(held), name)
        if other != name:
            truth.broken("one record a tap", f"{name} and {other} are one card at {tap.point}")
        if held.tap not in (None, name):
            truth.broken("one record a tap", f"{name} was shown as {held.tap}")
        if held.tap is None and not held.crashed and held.shown is None:
            truth.broken("every card seen is answered", f"{name} is recorded and nothing was shown")
        journal, sequence = event.tap.journal, event.tap.sequence
        before = ends.get((journal, tap.point))
        if before is not None and (before[0] < sequence) != (before[1] < held.at_ns):
            truth.broken("the order is that of the taps", f"{name} at {tap.point}")
        ends[journal, tap.point] = sequence, held.at_ns
        effective = store.timeline(event.source).effective(event)
        true_ms = held.at_ns // MS
        low, high = effective.not_before_ms, effective.not_after_ms
        if (low is not None and true_ms < low - 1) or (high is not None and true_ms > high + 1):
            truth.broken("the interval holds the truth", f"{name}: {low} to {high}, truly {true_ms}: {effective}")
        if effective.quality == "anchored":
            times.anchored += 1
            times.worst_ms = max(times.worst_ms, abs(effective.best_ms - true_ms))
        else:
            times.other += 1
    return times


class Batches:
    """Every batch that travelled: applied anew, in any order and twice, they must give the same ledger."""

    def __init__(self) -> None:
        """None yet."""
        self.heard: list[tuple[str, bytes]] = []

    def take(self, topic: str, payload: bytes) -> None:
        """A message that a client published."""
        found = parse_device_topic(topic)
        if found is not None and found.leaf == "ev":
            self.heard.append((found.device, payload))

    def check(self, school: School, folder: Path, rng: Random) -> None:
        """A hub with the same keys takes them all in another order, some twice."""
        if school.hub.store is None or school.truth.fired["card replaced"] or not 0 < len(self.heard) <= BATCHES_MAX:
            return
        paper = school.hub.store.desk.carry_out("keys-export", {"file": "keys.json"}).paper
        assert paper is not None
        hub = school.hub.config
        store = Store(dataclasses.replace(hub, data_dir=folder), school.hub.machine)  # type: ignore[arg-type]
        try:
            words = {"file": "keys.json", "paper": wrapped(paper)}
            store.desk.carry_out("keys-import", words)
            fleet, own = Fleet(), store.open_own_journal()
            reception = Reception(
                hub.school,
                store.ledger,
                store.devices,
                store.secrets,
                store.roster,
                fleet,
                own,
                store.anchors,
                store.clock,
            )
            said = self.heard + rng.sample(self.heard, len(self.heard) // 5)
            rng.shuffle(said)
            for start in range(0, len(said), 32):
                with store.database.transaction():
                    for device, payload in said[start : start + 32]:
                        reception.take_batch(device, payload, Followups())
            self._compare(school, store, own.book.number)
        finally:
            store.database.close()

    @staticmethod
    def _compare(school: School, store: Store, own: int) -> None:
        rows = "SELECT journals.journal, sequence, digest FROM events JOIN journals ON events.journal = journals.number"
        mine = set(store.database.connection.execute(f"{rows} WHERE journals.number <> ?", (own,)))
        assert school.hub.store is not None
        theirs = set(school.hub.store.database.connection.execute(f"{rows} WHERE journals.device IS NOT NULL"))
        if not theirs <= mine:
            lacking = sorted(theirs - mine)[:3]
            school.truth.broken("any order gives the same ledger", f"{len(theirs - mine)} are missing, {lacking}")
        if not school.hub_anew and not mine <= theirs:
            school.truth.broken("any order gives the same ledger", f"{len(mine - theirs)} more than the hub has")
