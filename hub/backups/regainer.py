"""The regainer: brings back from the city what the ledger lacks - the hub's own records, and what gateways pruned.

It runs once after a restore, a damaged ledger or imported keys, beside the hub's work; or by a command where no hub
runs. Broken off it begins anew: what it stored is known by its digest. What it brings is held by the city, and isn't
sent there again.
"""

from __future__ import annotations

import logging
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any, Final

from msgspec.structs import replace

from hub.backups.regaining import Piece, Strand, cited, lost, piece_of, previous_named
from hub.store.ledger import Row
from hub.store.notes import CalendarBack, DietsBack, Regain, Regained
from protocol.envelope import Event, decode_data, decode_event, digest_bytes
from protocol.errors import BadMessage, CityUnreachable, K12EdgeError
from protocol.records import JournalOpened
from protocol.topics import device_source, hub_source

if TYPE_CHECKING:
    from hub.parts import Store
    from hub.ports import CityAudit
    from hub.store.books import Book

log = logging.getLogger("k12edge.regainer")

IDLE_S: Final = 30.0
BETWEEN_S: Final = 0.05
"""After a page, for others who wait for the ledger."""
AGAIN_S_MIN, AGAIN_S_MAX = 5.0, 300.0
"""After the city didn't answer."""
IN_HAND_MAX: Final = 50_000
"""Records that wait for somebody who vouches for them, some 40 MB; beyond that the oldest count as they are."""
PAGES_MAX: Final = 200_000
"""A hundred years of a school; a city that goes on behind them goes round in circles."""
TOLD_MAX: Final = 50
"""Ranges named as lost or refused."""


class Regainer:
    """See the room. `progress` is the pulse; `trouble` why it doesn't get on."""

    def __init__(self, store: Store, client: CityAudit, brought: Callable[[], None] = lambda: None) -> None:
        """Nothing was asked yet. `brought` is told when records were stored."""
        self._store, self._client, self._brought = store, client, brought
        self._ledger = store.ledger
        self._school = store.config.school
        self._own_source = hub_source(store.config.school, store.config.hub_id)
        self._wake = threading.Event()
        self._stopping = threading.Event()
        self._again_s = AGAIN_S_MIN
        self.trouble: str | None = None
        self.progress = 0

    def wake(self) -> None:
        """Somebody asked for it."""
        self._wake.set()

    def stop(self) -> None:
        """End `run` after the page under way."""
        self._stopping.set()
        self._wake.set()

    def run(self) -> None:
        """Regain what is wanted until stopped."""
        while not self._stopping.is_set():
            self._wake.wait(self.turn())
            self._wake.clear()
        self._client.close()

    def turn(self) -> float:
        """Regain once, if it is wanted; how long to wait before the next look, in s."""
        self.progress += 1
        try:
            if self.wanted():
                self.regain()
            self.trouble, self._again_s = None, AGAIN_S_MIN
            return IDLE_S
        except K12EdgeError as problem:
            if self.trouble is None:
                log.warning("what the city holds can't be brought back now: %s", problem)
            self.trouble = problem.code
        except Exception as problem:
            log.exception("the regainer failed")
            self._ledger.database.met(problem)
            self.trouble = "internal-fault"
        wait_s, self._again_s = self._again_s, min(AGAIN_S_MAX, self._again_s * 2)
        return wait_s

    def wanted(self) -> bool:
        """Whether somebody or something asked for it."""
        with self._ledger.database.lock:
            return self._store.notes.read(Regain) is not None

    def regain(self) -> Regained | None:
        """Walk through all that the city holds; None where the hub ends meanwhile. Raises CityUnreachable, LedgerFull.

        Raises LedgerFailed too.
        """
        walk = _Walk(self._store, self._school, self._own_source)
        after: str | None = None
        for _ in range(PAGES_MAX):
            raws, after = self._client.page(after)
            self.progress += 1
            with self._ledger.database.transaction():
                walk.take(raws)
            self._brought()
            if after is None:
                return self._finish(walk)
            if self._stopping.wait(BETWEEN_S):
                return None
        raise CityUnreachable("the city's audit has no end")

    def _finish(self, walk: _Walk) -> Regained:
        with self._ledger.database.transaction():
            walk.finish()
            done = self._told(walk)
        self._brought()
        log.warning("regained: %s", described(done))
        return done

    def _told(self, walk: _Walk) -> Regained:
        note = self._store.notes.read(Regain) or Regain(self._store.clock.now_ms())
        now_ms = self._store.clock.now_ms()
        done = Regained(now_ms, note.own, note.gateways, note.unsigned, note.refused, walk.lost())
        self._store.notes.write(done)
        self._store.notes.drop(Regain)
        if done.own or done.gateways or done.lost or done.refused:
            self._ledger.alarm("regained", "-", described(done), now_ms)
        return done


class _Walk:
    """One walk through the city's records, within transactions of the caller's."""

    def __init__(self, store: Store, school: str, own_source: str) -> None:
        self._store, self._own_source = store, own_source
        self._ledger = store.ledger
        self._strands: dict[str, Strand] = {}
        self._refused: list[str] = []
        self._cited: dict[str, int] = {}
        self._named: dict[str, int] = {}
        self._sources: dict[str, tuple[str | None, tuple[str, ...]]] = {
            device_source(school, device.device): (
                device.device,
                tuple(key.key for key in device.keys if key.standing != "pending"),
            )
            for device in store.devices.all()
            if device.standing != "pending"
        }
        keys = dict.fromkeys([store.secrets.identity().key, *self._keys_before()])
        self._sources[own_source] = (None, tuple(keys))

    def _keys_before(self) -> Iterator[str]:
        """Keys of the hub's own that its ledger knows: a backup from before it took another identity."""
        for book in self._ledger.books.of_device(None):
            raw = self._ledger.raw_at(book, 1)
            if raw is not None:
                try:
                    yield decode_data(decode_event(raw), JournalOpened).key
                except BadMessage:
                    continue

    def take(self, raws: list[bytes]) -> None:
        """One page of what the city holds."""
        touched: dict[str, Strand] = {}
        for raw in raws:
            try:
                event = decode_event(raw)
            except BadMessage:
                # Of another version, or no record of ours.
                continue
            if event.source in self._sources and self._lacking(event, raw):
                strand = self._strand(event)
                strand.add(piece_of(event, raw))
                touched[strand.journal] = strand
        for strand in touched.values():
            self._store_pieces(strand, strand.proven(self._held(strand.journal)), signed=True)
        while sum(len(strand.waiting) for strand in self._strands.values()) > IN_HAND_MAX:
            self._settle(next(strand for strand in self._strands.values() if strand.waiting))

    def finish(self) -> None:
        """The city has no more: what nobody vouches for counts where it fits."""
        for strand in list(self._strands.values()):
            self._settle(strand)

    def _settle(self, strand: Strand) -> None:
        held = self._held(strand.journal)
        self._store_pieces(strand, strand.proven(held), signed=True)
        self._store_pieces(strand, strand.rest(held), signed=False)
        if strand.refused:
            self._refuse(strand)

    def _lacking(self, event: Event, raw: bytes) -> bool:
        """Whether the ledger lacks a record; one that it has is known to be held by the city from now on."""
        book = self._ledger.books.find(event.tap.journal)
        if event.source == self._own_source:
            self._note_cited(event, raw)
        if book is None:
            return True
        sequence = event.tap.sequence
        if book.source != event.source:
            self._alarm("foreign-journal", event, f"the city has {event.id} of {event.source}")
            return False
        if sequence not in book.held:
            return True
        if sequence in book.city_held:
            return False
        if self._ledger.digest_at(book, sequence) == digest_bytes(raw):
            self._at_city(book, sequence)
        else:
            device = self._sources[event.source][0] or "-"
            self._ledger.fork(book, device, sequence, raw, self._store.clock.now_ms())
            self._alarm("record-forked", event, f"the city holds other bytes under the name {event.id}")
        return False

    def _alarm(self, code: str, event: Event, detail: str) -> None:
        device = self._sources[event.source][0] or "-"
        if code == "record-forked":
            self._ledger.alarm("record-forked", device, detail, self._store.clock.now_ms())
        else:
            self._ledger.alarm("foreign-journal", device, detail, self._store.clock.now_ms())

    def _note_cited(self, event: Event, raw: bytes) -> None:
        """What the hub's own records say of the hub's own records: that there were so many."""
        for journal, sequence in cited(raw):
            self._cited[journal] = max(sequence, self._cited.get(journal, 0))
        previous = previous_named(event)
        if previous is not None:
            self._named[previous[0]] = max(previous[1], self._named.get(previous[0], 0))

    def _strand(self, event: Event) -> Strand:
        journal = event.tap.journal
        strand = self._strands.get(journal)
        if strand is None:
            strand = self._strands[journal] = Strand(journal, event.source, self._sources[event.source][1])
        if event.source == self._own_source and event.name == "journal.opened":
            try:
                strand.other_key |= decode_data(event, JournalOpened).key not in strand.keys
            except BadMessage:
                strand.other_key = True
        return strand

    def _held(self, journal: str) -> Callable[[int], tuple[bytes, str | None] | None]:
        book = self._ledger.books.find(journal)

        def known(sequence: int) -> tuple[bytes, str | None] | None:
            if book is None or sequence not in book.held:
                return None
            raw = self._ledger.raw_at(book, sequence)
            return None if raw is None else (digest_bytes(raw), decode_event(raw).prev)

        return known

    def _store_pieces(self, strand: Strand, pieces: list[Piece], *, signed: bool) -> None:
        if not pieces:
            return
        device = self._sources[strand.source][0]
        book = self._ledger.books.find(strand.journal) or self._ledger.books.add(strand.journal, strand.source, device)
        # A gateway may have brought some of them meanwhile.
        pieces = [piece for piece in pieces if piece.sequence not in book.held]
        if not pieces:
            return
        rows = [Row(piece.sequence, piece.raw, piece.digest) for piece in pieces]
        self._ledger.store(book, rows, self._store.clock.now_ms())
        self._store.anchors.learn(strand.source, [piece.event for piece in pieces])
        for piece in pieces:
            self._at_city(book, piece.sequence)
            previous = previous_named(piece.event) if signed else None
            if previous is not None and previous[2] is not None:
                self._claim(strand, *previous[:2], previous[2])
        self._count(pieces, own=device is None, signed=signed)

    def _claim(self, strand: Strand, journal: str, last: int, head: bytes) -> None:
        """A proven first record vouches for the end of the journal before it."""
        other = self._strands.setdefault(journal, Strand(journal, strand.source, strand.keys))
        if other.source == strand.source:
            other.claim(last, head)
            self._store_pieces(other, other.proven(self._held(journal)), signed=True)

    def _at_city(self, book: Book, sequence: int) -> None:
        self._ledger.books.change(book).city_held.add(sequence)
        if sequence in book.city_dead:
            book.city_dead.remove(sequence, sequence)

    def _count(self, pieces: list[Piece], *, own: bool, signed: bool) -> None:
        note = self._store.notes.read(Regain) or Regain(self._store.clock.now_ms())
        counted: Counter[str] = Counter(note.own)
        if own:
            counted.update(piece.event.name for piece in pieces)
            if not note.own:
                self._doubt(note)
        self._store.notes.write(
            replace(
                note,
                own=dict(counted),
                gateways=note.gateways + (0 if own else len(pieces)),
                unsigned=note.unsigned + (0 if signed else len(pieces)),
            )
        )

    def _doubt(self, note: Regain) -> None:
        """A ledger that lacks the hub's own records is an older one, or a new one; so is what no city gives back."""
        kinds: tuple[type[CalendarBack] | type[DietsBack], ...] = (CalendarBack, DietsBack)
        for kind in kinds:
            known = self._store.notes.read(kind)
            if known is None or (known.confirmed_ms is not None and known.confirmed_ms < note.asked_ms):
                self._store.notes.doubt(kind, self._store.clock.now_ms())

    def _refuse(self, strand: Strand) -> None:
        note = self._store.notes.read(Regain) or Regain(self._store.clock.now_ms())
        why = "signed by another key" if strand.foreign else "not what the chain names"
        text = f"{strand.journal} {ranges(strand.refused)}: {why}"
        strand.refused = []
        if len(note.refused) < TOLD_MAX and text not in note.refused:
            self._store.notes.write(replace(note, refused=[*note.refused, text]))

    # --- what is lost -------------------------------------------------------------------------------------------------

    def lost(self) -> list[str]:
        """What neither the ledger nor the city has, and was: of the hub's own journals, and of what gateways pruned."""
        told = []
        for book in self._ledger.books.all():
            if book.device is None:
                gaps = lost(book.held, max(self._cited.get(book.journal, 0), self._named.get(book.journal, 0)))
            else:
                gaps = list(book.durable().gaps(1, book.pruned_through))
            told += [f"{book.journal} {first}..{last}" for first, last in gaps]
        # A journal of which nothing came back, and that another one names as the one before it.
        told += [
            f"{journal} 1..{last}" for journal, last in self._named.items() if self._ledger.books.find(journal) is None
        ]
        return told[:TOLD_MAX]


def ranges(numbers: list[int]) -> str:
    """Numbers as `3..5, 9`."""
    pieces: list[list[int]] = []
    for number in sorted(numbers):
        if pieces and pieces[-1][1] == number - 1:
            pieces[-1][1] = number
        else:
            pieces.append([number, number])
    return ", ".join(str(low) if low == high else f"{low}..{high}" for low, high in pieces[:10])


def described(done: Regained) -> str:
    """What was regained, and what was not, for people."""
    own = ", ".join(f"{name} {count}" for name, count in sorted(done.own.items())) or "0"
    text = f"của trạm / the hub's own: {own}; của thiết bị / of gateways: {done.gateways}"
    if done.unsigned:
        text += f"; chưa ký / not signed: {done.unsigned}"
    if done.lost:
        text += f"; mất / lost, saved here only: {'; '.join(done.lost)}"
    if done.refused:
        text += f"; không nhận / refused: {'; '.join(done.refused)}"
    return text


def told(store: Store) -> dict[str, Any] | None:
    """For status and page; whoever calls holds the database's lock."""
    # Without a city that gives records back nothing is waited for.
    wanted = store.notes.read(Regain) if store.regaining() else None
    done = store.notes.read(Regained)
    if wanted is None and done is None:
        return None
    shown = wanted or done
    assert shown is not None
    return {
        "done": wanted is None,
        "own": shown.own,
        "gateways": shown.gateways,
        "unsigned": shown.unsigned,
        "refused": shown.refused,
        "lost": [] if wanted is not None or done is None else done.lost,
    }
