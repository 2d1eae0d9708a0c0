"""The hub's receipts: what a device is told that hub and city hold of its journals, signed."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from hub.clock import HubClock
from hub.store.books import Book
from hub.store.devices import Devices
from hub.store.ledger import Ledger
from protocol.ranges import RangeSet
from protocol.receipts import HubTime, JournalMarks, Mark, Receipt, encode_receipt, mark_of
from protocol.signing import Identity, sign_message
from protocol.status import DeviceState
from protocol.topics import device_topic

JOURNALS_MAX: Final = 64
"""Journals listed in one receipt; those that the device asked about come first, then its newest unsettled ones."""


class Receipts:
    """Made from the ledger as committed; whoever calls holds the database's lock."""

    def __init__(
        self,
        school: str,
        epoch: str,
        ledger: Ledger,
        devices: Devices,
        identity: Identity,
        clock: HubClock,
        *,
        with_city: bool,
    ) -> None:
        """`epoch` is minted at every start of the hub; `with_city` says whether city marks are told."""
        self._school, self._epoch, self._with_city = school, epoch, with_city
        self._ledger, self._devices, self._identity, self._clock = ledger, devices, identity, clock

    def message(
        self, device: str, asked: Iterable[str], state: DeviceState | None, arrived_ms: int | None
    ) -> tuple[str, bytes]:
        """Topic and signed payload. `asked` are journals to be listed whatever else; `state` asks for the time.

        `arrived_ms` is the hub's wall clock now; None leaves the time out.
        """
        marks: dict[str, JournalMarks] = {}
        pending = self._devices.pending_ranges(device)
        for journal in self._listed(device, asked, pending.keys()):
            book = self._ledger.books.find(journal)
            if book is not None and book.device != device:
                continue
            marks[journal] = self._marks(book, pending.get(journal))
        time = None
        err_ms = self._clock.error_ms()
        if state is not None and arrived_ms is not None and err_ms is not None:
            time = HubTime(arrived_ms, err_ms, state.mono, state.boot)
        topic = device_topic(self._school, device, "receipt")
        return topic, sign_message(self._identity, topic, encode_receipt(Receipt(self._epoch, marks, time)))

    def _listed(self, device: str, asked: Iterable[str], pending: Iterable[str]) -> list[str]:
        unsettled = [book.journal for book in self._ledger.books.of_device(device) if not self._settled(book)]
        newest = unsettled[::-1]
        return list(dict.fromkeys([*asked, *newest, *pending]))[:JOURNALS_MAX]

    def _settled(self, book: Book) -> bool:
        durable = book.durable()
        if book.holes():
            return False
        return not self._with_city or book.city().covers(max(1, book.pruned_through), max(1, durable.last))

    def _marks(self, book: Book | None, pending: tuple[RangeSet, dict[int, str]] | None) -> JournalMarks:
        hub = Mark(0, None) if book is None else self._ledger.mark(book)
        if pending is not None:
            hub = self._with_pending(book, *pending)
        city = self._ledger.city_mark(book) if self._with_city and book is not None else None
        return JournalMarks(hub, city)

    def _with_pending(self, book: Book | None, ranges: RangeSet, heads: dict[int, str]) -> Mark:
        held = RangeSet() if book is None else book.durable()
        for first, last in ranges:
            held.add(first, last)
        through, missing, parked = mark_of(held, None if book is None else book.parked)
        if through in heads:
            return Mark(through, heads[through], missing, parked=parked)
        # The ledger itself reaches further than what is kept apart.
        return Mark(0, None) if book is None else self._ledger.mark(book)
