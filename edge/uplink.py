"""What is owed to the hub and what to offer next: live taps first, bounded batches, again until receipted."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from edge.owed import Book, DigestAt, Flight, Offer, contains
from edge.pace import Pace
from protocol.batch import BATCH_EVENTS_MAX
from protocol.ranges import RangeSet
from protocol.receipts import JournalMarks, Receipt, held_of

if TYPE_CHECKING:
    from random import Random

PACED_EVENTS: Final = 50
"""Records in the one backlog batch under way while people tap, so that its work never stands before a tap's."""
LIVE_BATCHES: Final = 4
LIVE_BACK: Final = 100
"""Of the running journal's records, so many of the newest are live though they were made before the hub was ready."""
PACE_MS: Final = 5_000
REOFFER_MS: Final = 10_000
REOFFER_MAX_MS: Final = 60_000
REOFFER_TRIPS: Final = 4
"""Nor before so many times the longest of the last receipts' trips: on a slow line it may still be under way."""
SILENCE_MS: Final = 300_000
"""Ready, connected, something owed and nothing receipted for so long: the only sign of a wrong permission."""
CONTESTED_ROUNDS: Final = 3
"""How often an ended journal is offered whole while the hub's receipts contradict it; then not until its next epoch."""


@dataclass(frozen=True, slots=True)
class Settled:
    """What a receipt changed of one journal: the new sets to remember, each None where it stands as before."""

    journal: str
    hub: RangeSet | None
    city: RangeSet | None


@dataclass(frozen=True, slots=True)
class Heard:
    """What followed from a receipt: marks to remember, what was wrong with it, journals it named first in its epoch."""

    settled: tuple[Settled, ...] = ()
    alarms: tuple[str, ...] = ()
    confirmed: int = 0


class Uplink:
    """Pure state of the delivery; the shell moves bytes and tells the time in ms of CLOCK_BOOTTIME.

    What the hub held under an earlier epoch is only a belief: it may have been restored from a backup, or replaced.
    So a journal is unconfirmed until a receipt of the hub's present epoch names it, and states list those first.
    """

    def __init__(self, rng: Random) -> None:
        """Owe nothing yet."""
        self._rng = rng
        self._books: dict[str, Book] = {}
        self._current: str | None = None
        self._live_from = 1
        self._ready = False
        self._epoch: str | None = None
        self._tapped_ms: int | None = None
        self._receipted_ms: int | None = None
        self._pace = Pace()
        self._filled = False

    # --- what is owed -------------------------------------------------------------------------------------------

    def add_journal(
        self,
        journal: str,
        last: int,
        held_from: int,
        hub: RangeSet,
        city: RangeSet,
        *,
        running: bool = False,
        salvaged: bool = False,
    ) -> None:
        """A journal in the gateway's file, oldest first; records below `held_from` were pruned, one is `running`."""
        settled = hub.copy()
        if held_from > 1:
            settled.add(1, held_from - 1)
        self._books[journal] = Book(journal, last, held_from, settled, city.copy(), salvaged)
        if running:
            self._current = journal

    def wrote(self, journal: str, last: int, now_ms: int, *, tap: bool) -> None:
        """The running journal grew to `last`."""
        self._books[journal].last = max(self._books[journal].last, last)
        self._current = journal
        if tap:
            self._tapped_ms = now_ms

    def owed(self) -> int:
        """How many records no receipt of the hub covers."""
        holes = (hole for book in self._books.values() for hole in book.settled.gaps(1, book.last))
        return sum(last - first + 1 for first, last in holes)

    def oldest_owed(self) -> tuple[str, int] | None:
        """The first record that no receipt covers."""
        for book in self._books.values():
            for first, _ in book.settled.gaps(1, book.last):
                return book.journal, first
        return None

    def to_tell(self, most: int) -> list[tuple[str, int, int]]:
        """Journal, first held, last, of up to `most` that the hub's next state message shall list.

        The running one, then those that no receipt of this epoch named (the least asked about first), then those that
        the hub or the city doesn't hold whole, and what was pruned since.
        """
        books = [book for book in self._books.values() if self._rank(book) < 4]
        books.sort(key=lambda book: (self._rank(book), book.asked))
        return [(book.journal, book.held_from, book.last) for book in books[:most]]

    def told(self, journals: Iterable[str]) -> None:
        """A state message that lists these was handed to the link."""
        for journal in journals:
            book = self._books[journal]
            book.news = False
            book.asked += self._ready

    def _rank(self, book: Book) -> int:
        if book.journal == self._current:
            return 0
        if book.epoch is None or book.epoch != self._epoch:
            return 1
        if not book.settled.covers(1, max(book.last, 1)):
            return 2
        return 3 if book.news or not book.city.covers(1, max(book.last, 1)) else 4

    def unasked(self) -> bool:
        """Whether a journal is unconfirmed and no state message of this epoch has listed it yet."""
        return self._ready and any(book.epoch != self._epoch and not book.asked for book in self._books.values())

    def pruned(self, journal: str, through: int) -> None:
        """Records to `through` left the file; the city holds them."""
        book = self._books[journal]
        book.held_from = max(book.held_from, through + 1)
        book.settled.add(1, through)
        book.news = True

    def prunable(self, journal: str) -> RangeSet:
        """What the city holds of a journal and the hub, in its present epoch, said that it holds too; else nothing."""
        book = self._books.get(journal)
        if book is None or not self._ready or book.epoch != self._epoch:
            return RangeSet()
        both = book.city.copy()
        for first, last in book.settled.gaps(1, both.last):
            both.remove(first, last)
        return both

    # --- the wire -----------------------------------------------------------------------------------------------

    def connected(self, now_ms: int, *, ready: bool, epoch: str | None) -> None:
        """The link stands and the hub said whether it is ready. A new epoch offers all that is under way again."""
        if ready and (not self._ready or epoch != self._epoch):
            self._pace.begin(now_ms)
            for book in self._books.values():
                book.flights.clear()
                book.attempts = 0
                if epoch != self._epoch:
                    book.asked = 0
            if self._current is not None:
                # Who tapped in a short outage isn't to stand behind a month of backlog.
                self._live_from = max(self._live_from, self._books[self._current].last + 1 - LIVE_BACK)
            self._receipted_ms = now_ms
            self._epoch = epoch
        self._ready = ready

    def disconnected(self) -> None:
        """The link is gone; what was under way is offered again after the next `connected`."""
        self._ready = False

    def next_offers(self, now_ms: int) -> list[Offer]:
        """What to send now, live first. Each is under way until a receipt, its due time, or `refused_by_link`."""
        if not self._ready:
            return []
        self._expire(now_ms)
        offers = self._live(now_ms)
        paced = self._tapped_ms is not None and now_ms - self._tapped_ms < PACE_MS
        size, window = self._pace.batch, max(1, self._pace.window // self._pace.batch)
        if paced:
            size, window = PACED_EVENTS if self._pace.fast else min(PACED_EVENTS, size), 1
        under_way = sum(not flight.offer.live for book in self._books.values() for flight in book.flights)
        for book in self._books.values():
            if book.contested and book.attempts >= CONTESTED_ROUNDS and book.journal != self._current:
                continue
            limit = book.last if book.journal != self._current else min(book.last, self._live_from - 1)
            for hole in book.unoffered(1, limit, window - under_way, size):
                offers.append(self._send(book, Offer(book.journal, *hole, live=False), now_ms))
                under_way += 1
            if under_way >= window:
                break
        self._filled = not paced and under_way >= window
        return offers

    def _live(self, now_ms: int) -> list[Offer]:
        if self._current is None:
            return []
        book = self._books[self._current]
        room = LIVE_BATCHES - sum(flight.offer.live for flight in book.flights)
        return [
            self._send(book, Offer(book.journal, *hole, live=True), now_ms)
            for hole in book.unoffered(self._live_from, book.last, room, BATCH_EVENTS_MAX)
        ]

    def _send(self, book: Book, offer: Offer, now_ms: int) -> Offer:
        wait_ms = min(REOFFER_MAX_MS, REOFFER_MS * 2 ** min(book.attempts, 8))
        wait_ms = max(wait_ms, min(REOFFER_MAX_MS, REOFFER_TRIPS * self._pace.trip_ms))
        due_ms = now_ms + wait_ms + self._rng.randrange(wait_ms // 4)
        book.flights.append(Flight(offer, due_ms, now_ms, first=book.attempts == 0))
        return offer

    def shortened(self, offer: Offer, last: int) -> None:
        """The shell could take only records to `last` into the batch (its bytes are bounded)."""
        for flight in self._books[offer.journal].flights:
            if flight.offer is offer:
                flight.offer = Offer(offer.journal, offer.first, last, offer.live)
                return

    def refused_by_link(self, offer: Offer) -> None:
        """The link took nothing; it may be offered again at once."""
        book = self._books[offer.journal]
        book.flights = [flight for flight in book.flights if flight.offer is not offer]

    def unreadable(self, journal: str, first: int, last: int) -> None:
        """The file doesn't give these records back; they aren't offered again by this process (an alarm names them)."""
        self._books[journal].unreadable.add(first, last)

    def _expire(self, now_ms: int) -> None:
        for book in self._books.values():
            alive = [flight for flight in book.flights if flight.due_ms > now_ms]
            if len(alive) < len(book.flights):
                book.attempts += 1
                book.flights = alive

    def wake_ms(self) -> int | None:
        """When the next offer falls due again; None while nothing may be offered."""
        if not self._ready:
            return None
        return min((flight.due_ms for book in self._books.values() for flight in book.flights), default=None)

    def silent(self, now_ms: int) -> bool:
        """Whether nothing was receipted for SILENCE_MS although the hub is ready and something is owed."""
        if not self._ready or self._receipted_ms is None:
            return False
        if not any(self._awaited(book) for book in self._books.values()):
            # Silence counts from when something was awaited, not from the last receipt before a quiet night.
            self._receipted_ms = now_ms
        return now_ms - self._receipted_ms >= SILENCE_MS

    def _awaited(self, book: Book) -> bool:
        """Whether a receipt for a record that can be read, and that the hub doesn't contest, is still to come."""
        return not book.contested and any(
            not book.unreadable.covers(first, last) for first, last in book.settled.gaps(1, book.last)
        )

    # --- receipts -----------------------------------------------------------------------------------------------

    def receipt(self, receipt: Receipt, digest_at: DigestAt, now_ms: int, *, retained: bool = False) -> Heard:
        """Settle what the receipt proves, by content: its head must be our own digest at that place.

        One of another epoch than the hub's present one is passed over: a broker may have kept it (`retained`) since
        before the hub was restored. One that goes back within its epoch is passed over too; kept ones do so quietly.
        """
        if not self._ready or receipt.epoch != self._epoch:
            return Heard()
        settled: list[Settled] = []
        alarms: list[str] = []
        confirmed = 0
        for journal, marks in receipt.journals.items():
            book = self._books.get(journal)
            if book is None:
                continue
            if book.epoch == self._epoch and book.marks == marks:
                continue
            confirmed += book.epoch != self._epoch
            if not book.believes(marks, digest_at):
                if not book.contested or book.epoch != self._epoch:
                    alarms.append("receipt-contradicts")
                settled.append(self._forget(book))
                continue
            change = self._settle(book, marks, now_ms)
            if change is None:
                if not retained:
                    alarms.append("receipt-went-back")
            elif change.hub is not None or change.city is not None:
                settled.append(change)
                self._receipted_ms = now_ms
        return Heard(tuple(settled), tuple(alarms), confirmed)

    def _forget(self, book: Book) -> Settled:
        """The keeper holds something else under our names: owe everything that is still here."""
        book.epoch, book.contested, book.marks = self._epoch, True, None
        book.settled = RangeSet([(1, book.held_from - 1)] if book.held_from > 1 else [])
        book.city = book.settled.copy()
        return Settled(book.journal, book.settled.copy(), book.city.copy())

    def _settle(self, book: Book, marks: JournalMarks, now_ms: int) -> Settled | None:
        """Take the keeper's word; None when it went back under the epoch that it already had.

        The city's mark may go back: a dead letter that is sent again is held by nobody there until it is answered.
        """
        hub = held_of(marks.hub)
        if book.held_from > 1:
            hub.add(1, book.held_from - 1)
        city = book.city if marks.city is None else held_of(marks.city)
        if book.held_from > 1:
            city.add(1, book.held_from - 1)
        if book.epoch == self._epoch and not contains(hub, book.settled):
            return None
        hub_changed, city_changed = hub != book.settled, city != book.city
        book.settled, book.city = hub, city
        book.epoch, book.contested, book.marks = self._epoch, False, marks
        if hub_changed:
            book.attempts = 0
            self._land(book, hub, now_ms)
        return Settled(book.journal, hub.copy() if hub_changed else None, city.copy() if city_changed else None)

    def _land(self, book: Book, hub: RangeSet, now_ms: int) -> None:
        """What a receipt covers is under way no longer, and how long that took says what the line carries."""
        under_way: list[Flight] = []
        for flight in book.flights:
            offer = flight.offer
            if not hub.covers(offer.first, offer.last):
                under_way.append(flight)
            elif flight.first:
                records = offer.last - offer.first + 1
                self._pace.receipted(records, flight.sent_ms, now_ms, live=offer.live, filled=self._filled)
        book.flights = under_way
