"""The hub's receipts: what a device is told that hub and city hold of its journals, signed."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from hub.clock import HubClock
from hub.store.books import Book
from hub.store.devices import Devices
from hub.store.ledger import Ledger
from protocol.envelope import text_of
from protocol.ranges import RangeSet
from protocol.receipts import HubTime, JournalMarks, Mark, Receipt, encode_receipt, mark_of
from protocol.signing import Identity, sign_message
from protocol.status import DeviceState
from protocol.topics import device_topic

JOURNALS_MAX: Final = 64
"""Journals listed in one receipt. Whatever was asked about is answered, in several receipts where it takes them."""


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

    def messages(self, device: str, asked: Iterable[str], state: DeviceState | None) -> tuple[str, list[bytes]]:
        """Topic and signed payloads, the one that a broker should keep last.

        `asked` are journals to be listed whatever else, one that isn't known here with nothing held; beside them
        stand the device's newest unsettled ones as far as there is room. `state` asks for the time.
        """
        pending = self._devices.pending_ranges(device)
        marks: list[tuple[str, JournalMarks]] = []
        for journal in self._listed(device, asked, pending.keys()):
            book = self._ledger.books.find(journal)
            if book is not None and book.device != device:
                # It belongs to another source; of this device's nothing is held under that name.
                book = None
            marks.append((journal, self._marks(book, pending.get(journal))))
        time = None
        if state is not None:
            # Clock and bound of one moment, and at the end: nothing else is to be done before it is sent.
            _, wall_ms, err_ms = self._clock.reading()
            if err_ms is not None:
                time = HubTime(wall_ms, err_ms, state.mono, state.boot)
        topic = device_topic(self._school, device, "receipt")
        pieces = [marks[at : at + JOURNALS_MAX] for at in range(0, len(marks), JOURNALS_MAX)] or [[]]
        # The newest journals stand in the first piece: it goes last, and alone carries the time.
        bodies = [Receipt(self._epoch, dict(piece), None if at else time) for at, piece in enumerate(pieces)][::-1]
        return topic, [sign_message(self._identity, topic, encode_receipt(body)) for body in bodies]

    def _listed(self, device: str, asked: Iterable[str], pending: Iterable[str]) -> list[str]:
        wanted = list(dict.fromkeys([*asked, *pending]))
        books = self._ledger.books.of_device(device)
        newest = [book.journal for book in books[::-1] if not book.settled(with_city=self._with_city)]
        recent = {book.journal: place for place, book in enumerate(books)}
        # Those met last come first; one that isn't known yet is newer than all of them.
        wanted.sort(key=lambda journal: recent.get(journal, len(books)), reverse=True)
        room = max(0, JOURNALS_MAX - len(wanted))
        return [*wanted, *[journal for journal in newest if journal not in wanted][:room]]

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
        head = None if book is None else self._ledger.digest_at(book, through)
        if head is not None:
            return Mark(through, text_of(head), missing, parked=parked)
        # A record within a batch that is kept apart: its digest isn't at hand, the ledger's own word is.
        return Mark(0, None) if book is None else self._ledger.mark(book)
