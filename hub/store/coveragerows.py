"""The coverage's facts, read from the ledger's file: which devices there are, and what is here of their journals."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Final

from hub.attendance.claims import WatermarkRow, claim_of
from hub.attendance.coverage import Chapter, Claim, DeviceFacts, Gone, Hole, Waiver, ends, proves
from hub.store.anchorrows import AnchorRows
from hub.store.books import Book
from hub.store.ledger import Ledger
from protocol.envelope import Event, decode_data, decode_event
from protocol.errors import BadMessage
from protocol.ranges import RangeSet
from protocol.records import JournalOpened

HOLES_LOOKED_AT: Final = 64
"""Holes of one journal whose time is looked up; what lies behind that many is one hole that may be of any time."""
LATER_MS: Final = 86_400_000
"""A claim that reaches beyond the time asked about proves it as well; so far behind it each of them is looked at.

A device that was off for longer proves it with its next run's first word: see CoverageRows._next_words.
"""


class CoverageRows:
    """See the room; whoever asks holds the database's lock. Reads what the daybook wrote down."""

    def __init__(self, ledger: Ledger, anchors: AnchorRows) -> None:
        """Nothing was read yet. What the first records of journals say is remembered: it never changes."""
        self._ledger, self._anchors = ledger, anchors
        self._previous: dict[str, tuple[str, int] | None] = {}
        self._unread: dict[int, int] = {}

    def facts(self, from_ms: int, until_ms: int, said_from_ms: int | None = None) -> list[DeviceFacts]:
        """Every device that a person accepted, for what is asked of the time from `from_ms` to `until_ms`.

        One that was retired before that was written down was when it last spoke. `said_from_ms`: of a long span only
        the words, and taps' kinds, from then on are asked for; those of before prove nothing of its end.
        """
        said_from_ms = from_ms if said_from_ms is None else said_from_ms
        self._unread = self._not_read()
        claims, tapped = self._claims(said_from_ms, until_ms + LATER_MS), self._tapped(said_from_ms, until_ms)
        rows = self._ledger.database.connection.execute(
            "SELECT device, state, first_seen_ms, retired_ms FROM devices WHERE state <> 'pending' ORDER BY device"
        ).fetchall()
        found = []
        for device, state, first_seen_ms, retired_ms in rows:
            books = [book for book in self._ledger.books.of_device(device) if book.held or book.parked]
            if state == "retired" and not books:
                # It was never counted: a stranger whom a person refused.
                continue
            chapters, leaves = self._chapters(books, from_ms)
            heard_ms = max((chapter.heard_ms for chapter in chapters), default=None)
            mine = [claim for book in books for claim in claims.get(book.number, ())]
            mine += self._next_words(books, chapters, leaves, mine, until_ms)
            mine = mine or self._last_claim(books)
            gone_ms = (heard_ms if retired_ms is None else retired_ms) if state == "retired" else None
            kinds = frozenset(kind for book in books for kind in tapped.get(book.number, ()))
            since_ms = min([first_seen_ms, *self._began_ms(books)])
            found.append(DeviceFacts(device, since_ms, gone_ms, heard_ms, kinds, leaves, tuple(chapters), tuple(mine)))
        return found

    def waivers(self, from_ms: int) -> list[Waiver]:
        """What people decided not to wait for, that reaches beyond `from_ms` or was decided at any time.

        An old one still says that a journal was given up.
        """
        rows = self._ledger.database.connection.execute(
            "SELECT record, device, through_ms, at_ms, by, reason FROM waivers"
            " WHERE through_ms >= ? OR at_ms = (SELECT max(at_ms) FROM waivers AS w WHERE w.device = waivers.device)"
            " ORDER BY at_ms, record",
            (from_ms,),
        )
        return [Waiver(*row) for row in rows]

    def _not_read(self) -> dict[int, int]:
        """Journal's number -> the first of its records that the daybook didn't read yet."""
        return dict(
            self._ledger.database.connection.execute(
                # Grouped by an index, the whole ledger would be gone through.
                "SELECT journal, min(sequence) FROM events NOT INDEXED"
                " WHERE position > (SELECT position FROM day_cursor) GROUP BY journal"
            )
        )

    # --- what gateways said -----------------------------------------------------------------------------------------

    def _claims(self, from_ms: int, until_ms: int) -> dict[int, list[Claim]]:
        found: dict[int, list[Claim]] = {}
        for number, *row in self._ledger.database.connection.execute(
            "SELECT journal, sequence, complete_to_ms, error_ms, stations, blind FROM watermarks"
            " WHERE complete_to_ms BETWEEN ? AND ? ORDER BY journal, sequence",
            (from_ms, until_ms),
        ):
            journal = self._ledger.books.numbered(number).journal
            found.setdefault(number, []).append(claim_of(WatermarkRow(journal, *row)))
        return found

    def _next_words(
        self, books: list[Book], chapters: list[Chapter], leaves: tuple[str, ...], near: list[Claim], until_ms: int
    ) -> list[Claim]:
        """Of each line of journals that proves nothing beyond the time asked about so far: its first word that does.

        Run by run, so that it costs no more than following the runs themselves.
        """
        numbers = {book.journal: book.number for book in books}
        by_name = {chapter.journal: chapter for chapter in chapters}
        last_near = {claim.journal: claim.sequence for claim in near}
        found: dict[tuple[str, int], Claim] = {}
        for leaf in leaves:
            line = _line(by_name, leaf)
            if any(one.sequence <= line.get(one.journal, 0) and _reaches(one, until_ms) for one in near):
                continue
            for journal, through in reversed(line.items()):
                row = numbers[journal], journal, last_near.get(journal, 0), through
                words = self._words_beyond(*row, until_ms)
                found |= {(journal, one.sequence): one for one in words}
                if any(_reaches(one, until_ms) for one in words):
                    break
        return list(found.values())

    def _words_beyond(self, number: int, journal: str, after: int, through: int, until_ms: int) -> list[Claim]:
        """A journal's first sure word of after `until_ms`, and its last one: what was blind at first may see then."""
        cells = "SELECT sequence, complete_to_ms, error_ms, stations, blind FROM watermarks"
        ask = self._ledger.database.connection.execute
        last = ask(
            f"{cells} WHERE journal = ? AND sequence > ? AND sequence <= ? ORDER BY sequence DESC LIMIT 1",
            (number, after, through),
        ).fetchone()
        if last is None or last[1] < until_ms:
            return []
        first = ask(
            f"{cells} WHERE journal = ? AND sequence > ? AND sequence <= ? AND complete_to_ms - error_ms >= ?"
            " ORDER BY sequence LIMIT 1",
            (number, after, through, until_ms),
        ).fetchone()
        return [claim_of(WatermarkRow(journal, *row)) for row in (first, last) if row is not None]

    def _last_claim(self, books: list[Book]) -> list[Claim]:
        """The last word of a device that said nothing since."""
        for book in reversed(books):
            row = self._ledger.database.connection.execute(
                "SELECT sequence, complete_to_ms, error_ms, stations, blind FROM watermarks WHERE journal = ?"
                " ORDER BY sequence DESC LIMIT 1",
                (book.number,),
            ).fetchone()
            if row is not None:
                return [claim_of(WatermarkRow(book.journal, *row))]
        return []

    def _tapped(self, from_ms: int, until_ms: int) -> dict[int, list[str]]:
        found: dict[int, list[str]] = {}
        for number, kind in self._ledger.database.connection.execute(
            "SELECT DISTINCT journal, kind FROM taps WHERE best_ms BETWEEN ? AND ?", (from_ms, until_ms)
        ):
            found.setdefault(number, []).append(kind)
        return found

    # --- what is here of their journals -----------------------------------------------------------------------------

    def _chapters(self, books: list[Book], from_ms: int) -> tuple[list[Chapter], tuple[str, ...]]:
        """The journals that nobody went on with, and those before them back to the first that was opened before."""
        by_name = {book.journal: book for book in books}
        leaves = ends({book.journal: (self._before(book), book.durable().last) for book in books})
        found: dict[str, Chapter] = {}
        for leaf in leaves:
            name: str | None = leaf
            while name is not None and name in by_name and name not in found:
                chapter = found[name] = self._chapter(by_name[name], from_ms)
                older = chapter.opened_ms is not None and chapter.opened_ms < from_ms
                name = None if older or chapter.previous is None else chapter.previous[0]
        return list(found.values()), leaves

    def _before(self, book: Book) -> tuple[str, int] | None:
        """The journal before this one and its last record then, by its first record, where that is here."""
        if book.journal not in self._previous:
            event = self._event(book, 1)
            if event is None:
                return None
            try:
                previous = decode_data(event, JournalOpened).previous
            except BadMessage:
                previous = None
            self._previous[book.journal] = None if previous is None else (previous.journal, previous.last)
        return self._previous[book.journal]

    def _chapter(self, book: Book, from_ms: int) -> Chapter:
        opened, last = self._event(book, 1), book.durable().last
        ended = self._event(book, book.held.last) if book.held else None
        heard = self._ledger.database.connection.execute(
            "SELECT received_ms FROM events WHERE journal = ? AND sequence = ?", (book.number, book.held.last)
        ).fetchone()
        began = None if opened is None else self._anchors.of(book.source).effective(opened)
        return Chapter(
            book.journal,
            None if began is None else began.not_after_ms,
            self._before(book),
            last,
            0 if heard is None else heard[0],
            tuple(self._holes(book, last, from_ms)),
            None if ended is None else self._anchors.of(book.source).effective(ended).best_ms,
            None if began is None else began.not_before_ms,
        )

    def _event(self, book: Book, sequence: int) -> Event | None:
        raw = self._ledger.raw_at(book, sequence) if sequence in book.held else None
        try:
            return None if raw is None else decode_event(raw)
        except BadMessage:
            return None

    def _holes(self, book: Book, last: int, from_ms: int) -> Iterator[Hole]:
        """What is missing below the last record, with the time before which it was written.

        What the daybook didn't read yet is missing, too: a tap in it isn't among those that a mark is made of.
        """
        unread = self._unread.get(book.number, last + 1)
        gaps = [(first, min(end, unread - 1)) for first, end in book.held.gaps(1, last) if first < unread]
        if unread <= last:
            gaps.append((unread, last))
        lost: RangeSet | None = None
        for number, (first, end) in enumerate(gaps):
            if number == HOLES_LOOKED_AT:
                yield Hole(first, gaps[-1][1], None)
                return
            after = self._event(book, end + 1)
            before_ms = None if after is None else self._anchors.of(book.source).effective(after).not_after_ms
            if before_ms is None or before_ms >= from_ms:
                lost = self._lost(book) if lost is None else lost
            for piece, why in _pieces(first, end, book.parked, lost):
                yield Hole(*piece, before_ms, why)
        for first, end in self._lost(book):
            # A card that lied lost its journal's end: the next journal names an earlier one.
            if end > last:
                yield Hole(max(first, last + 1), end, None, "lost")

    def _lost(self, book: Book) -> RangeSet:
        """What the device itself said that is gone of a journal."""
        rows = self._ledger.database.connection.execute(
            "SELECT first, last FROM losses WHERE device = ? AND journal = ?", (book.device, book.journal)
        )
        return RangeSet((first, last) for first, last in rows if 0 < first <= last)

    def _began_ms(self, books: list[Book]) -> Iterator[int]:
        """When a device certainly was there: a gateway that came late to its hub has records of before."""
        for book in books[:1]:
            opened = self._event(book, 1)
            began = None if opened is None else self._anchors.of(book.source).effective(opened).not_before_ms
            if began is not None:
                yield began


def _reaches(claim: Claim, until_ms: int) -> bool:
    """Whether a word says that all is written of a time, and of what came before it."""
    return claim.error_ms is not None and proves(claim) >= until_ms


def _line(by_name: Mapping[str, Chapter], leaf: str) -> dict[str, int]:
    """A journal and those before it, newest first: each with its last record that belongs to this line."""
    line: dict[str, int] = {}
    name, through = leaf, by_name[leaf].held_last
    while name in by_name and name not in line:
        line[name] = through
        previous = by_name[name].previous
        if previous is not None:
            name, through = previous
    return line


def _pieces(first: int, last: int, parked: RangeSet, lost: RangeSet | None) -> Iterator[tuple[tuple[int, int], Gone]]:
    """A hole taken apart by why it is one."""
    sequence = first
    while sequence <= last:
        why, until = _why(sequence, last, parked, lost)
        yield (sequence, until), why
        sequence = until + 1


def _why(sequence: int, last: int, parked: RangeSet, lost: RangeSet | None) -> tuple[Gone, int]:
    until = last
    known: tuple[tuple[Gone, RangeSet | None], ...] = (("lost", lost), ("parked", parked))
    for why, ranges in known:
        for first, end in ranges or ():
            if first <= sequence <= end:
                return why, min(end, until)
            if sequence < first <= until:
                until = first - 1
    return "missing", until
