"""The absence: what the hub takes for complete lacks no tap of a gate, whenever one looks.

It asks the production rooms as a page of marks does; the truth knows who tapped.
"""

from __future__ import annotations

from itertools import islice
from typing import Final

from hub.attendance.claims import claim_of, watermark_of
from hub.attendance.coverage import Claim, is_gate, reach
from hub.parts import Store
from hub.store.books import Book
from hub.store.coveragerows import CoverageRows
from protocol.envelope import decode_event
from protocol.ranges import RangeSet
from sim.world.loop import MINUTE, MS
from sim.world.school import School
from sim.world.truth import Held

LOOK_NS: Final = 5 * MINUTE


class _Rows(CoverageRows):
    """The coverage's facts, with the claims straight from the ledger: no daybook runs here."""

    def __init__(self, store: Store) -> None:
        """Nothing was read yet."""
        super().__init__(store.ledger, store.anchors)
        self.store = store
        self._position = 0
        self._found: dict[int, list[Claim]] = {}
        self.open: dict[str, dict[str, Held]] = {}
        """Of each device the signals that weren't found in this hub's books yet: what is in them stays there."""
        self.looked = 0
        """Signals that were looked at, of all that there are."""

    def _claims(self, _from_ms: int, _until_ms: int) -> dict[int, list[Claim]]:
        books, timelines = self.store.ledger.books, self.store.anchors
        for position, number, raw in self.store.database.connection.execute(
            "SELECT position, journal, raw FROM events WHERE position > ? AND instr(raw, ?) ORDER BY position",
            (self._position, b'"vn.k12edge.device.watermark.v1"'),
        ).fetchall():
            self._position, event = position, decode_event(bytes(raw))
            row = watermark_of(event, timelines.of(books.numbered(number).source).effective(event))
            if row is not None:
                self._found.setdefault(number, []).append(claim_of(row))
        return self._found

    def _last_claim(self, _books: list[Book]) -> list[Claim]:
        return []

    def _tapped(self, _from_ms: int, _until_ms: int) -> dict[int, list[str]]:
        return {}

    def _lost(self, _book: Book) -> RangeSet:
        return RangeSet()

    def _not_read(self) -> dict[int, int]:
        return {}


class Absences:
    """Looks every few minutes; what it asks is none of the hub's own steps, so that nothing fails under it."""

    def __init__(self, school: School) -> None:
        """Nothing was asked yet."""
        self._school = school
        self._rows: _Rows | None = None
        self._due_ns = 0

    def look(self) -> None:
        """Ask the hub that is up how far each gate is complete, and look for the taps of until then."""
        school, store = self._school, self._school.hub.store
        if school.loop.now_ns < self._due_ns or store is None or store.database.connection.in_transaction:
            return
        self._due_ns = school.loop.now_ns + LOOK_NS
        if self._rows is None or self._rows.store is not store:
            self._rows = _Rows(store)
        storage = school.hub.storage
        kept = storage.crash_in, storage.fault, storage.statements
        storage.crash_in = storage.fault = None
        try:
            self._ask(store, self._rows)
        finally:
            storage.crash_in, storage.fault, storage.statements = kept

    def _ask(self, store: Store, rows: _Rows) -> None:
        truth, began_ms = self._school.truth, self._school.began_ns // MS
        devices = {box.name: box.config.gateway_id for box in self._school.gateways}
        for name, held in islice(truth.signals.items(), rows.looked, None):
            rows.open.setdefault(devices.get(held.box, ""), {})[name] = held
        rows.looked = len(truth.signals)
        for device in rows.facts(began_ms, self._school.loop.now_ns // MS):
            # Of copies the hub may not know; what a lost card held alone, nobody does.
            if device.device in self._school.copied | self._school.renewed or not is_gate(device, began_ms):
                continue
            told = reach(device, (), began_ms)
            if told.through_ms is None or any(flaw == "records-lost" for flaw, _ in told.flaws):
                continue
            mine = rows.open.get(device.device, {})
            for name, held in list(mine.items()):
                if held.at_ns // MS > told.through_ms or name in truth.lost_with_a_card:
                    continue
                journal, _, sequence = name.partition(".")
                book = store.ledger.books.find(journal)
                if book is None or int(sequence) not in book.held:
                    detail = f"{name} of {held.box} at {held.at_ns // MS}, complete to {told.through_ms}"
                    truth.broken("no derived absence before the watermark", detail)
                    return
                truth.seen["tap before a watermark"] += 1
                del mine[name]
