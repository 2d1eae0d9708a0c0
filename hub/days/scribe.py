"""The scribe: writes down what one record says, as rows that a school day is asked for."""

from __future__ import annotations

import logging
import sqlite3
from collections.abc import Iterable
from datetime import date
from typing import TYPE_CHECKING, Final

import msgspec

from hub.attendance.claims import loss_of, watermark_of
from hub.attendance.coverage import Waiver
from hub.attendance.evidence import Leave, Statement
from hub.cards.holdings import SINCE_EVER_MS, CardChange
from hub.city.files import Sent
from hub.days.mealscribe import SERVING_WORDS, note_of_gateway, note_of_hub, note_tap
from hub.meals.servings import ServingWord
from hub.store.dayrows import Confirmation, Correction, DayRows, TapRow
from hub.store.erasedrows import TAP_WITHOUT_CARD
from protocol.anchors import Dated, dated, read_by
from protocol.cardforms import number_plan
from protocol.cards import parse_card
from protocol.envelope import Event, decode_data, decode_event, expected_event, unix_ms_of
from protocol.errors import BadMessage, CardNumberError
from protocol.mealrecords import MEAL_TYPES
from protocol.rawread import RawRead, decode_raw
from protocol.records import (
    AttendanceMark,
    CardChanged,
    ConsentChanged,
    FilesSent,
    LeaveNotice,
    RollCall,
    TapCorrection,
    WatermarkWaived,
)
from protocol.signing import SealRefused
from protocol.taps import TAP_TYPES, TapData, parse_tap_id

if TYPE_CHECKING:
    from hub.parts import Store
    from hub.store.books import Book
    from hub.store.ledger import Ledger

log = logging.getLogger("k12edge.daybook")

UNDATED: Final = Dated("", 0, 0, None)


class Scribe:
    """See the room. Reading a record twice changes nothing. The caller holds the ledger's lock."""

    def __init__(self, store: Store, rows: DayRows, *, apart: bool = False) -> None:
        """Write into `rows`; what is `apart` from the hub's own changes nothing of its other tables."""
        self._store, self._ledger, self._rows, self._apart = store, store.ledger, rows, apart

    def read(self, limit: int) -> int:
        """Write down what the next records behind the cursor say, up to `limit`; how many."""
        page = self._rows.page(self._rows.cursor(), limit)
        taps: list[TapRow] = []
        for position, journal, sequence, raw in page:
            self._take(position, self._ledger.books.numbered(journal), sequence, raw, taps)
        self._keep(taps)
        if page:
            self._rows.move(page[-1][0])
        return len(page)

    def _take(self, position: int, book: Book, sequence: int, raw: bytes, taps: list[TapRow]) -> None:
        try:
            event = expected_event(raw, book.journal, sequence, book.source) or decode_event(raw)
            if event.name in TAP_TYPES and book.device is not None:
                taps.append(self._tap(book, book.device, sequence, event))
            elif event.name in ("meal.rated", "meal.correction") and book.device is not None:
                when = self._store.anchors.of(book.source).effective_at(book.journal, dated(event) or UNDATED)
                note_of_gateway(self._rows.meals, book, sequence, event, when.best_ms)
            elif event.name == "device.watermark" and book.device is not None:
                self._claim(book, event)
            elif event.name in ("log.gap", "device.alarm") and book.device is not None:
                loss = loss_of(event)
                if loss is not None:
                    self._rows.lose(book.device, *loss)
            elif event.name == "boot.anchored":
                self._date_anew(book)
            elif book.device is None:
                self.note(event)
        except sqlite3.Error:
            # That is the storage's fault and not the record's: it is read again.
            raise
        except Exception as problem:
            log.warning("record at position %d is not in the daybook: %s", position, type(problem).__name__)

    def note(self, event: Event) -> None:
        """Write down what a record of the hub's own says; within a transaction. Raises BadMessage."""
        match event.name:
            case "attendance.rollcall":
                self._roll_call(event, decode_data(event, RollCall))
            case "attendance.leave":
                self._leave(event, decode_data(event, LeaveNotice))
            case "attendance.correction" | "meal.correction":
                self._correction(event, decode_data(event, TapCorrection))
            case name if name in MEAL_TYPES:
                note_of_hub(self._rows.meals, event, self._at_ms(event))
            case "attendance.mark":
                self._rows.told.tell(event.id, decode_data(event, AttendanceMark), self._at_ms(event))
            case "card.changed":
                self._card(event, decode_data(event, CardChanged))
            case "consent.changed" | "files.sent" if self._apart:
                pass
            case "consent.changed":
                word = decode_data(event, ConsentChanged)
                if word.purpose == "messages" and not self._rows.is_erased(word.student):
                    self._store.messages.set_consent(word.student, word.given, word.by, unix_ms_of(word.at))
            case "files.sent":
                sent = decode_data(event, FilesSent)
                self._store.sent.keep(event.id, Sent(sent.number, sent.manifest, sent.by, sent.to, self._at_ms(event)))
            case "watermark.waived":
                said = decode_data(event, WatermarkWaived)
                through_ms, at_ms = unix_ms_of(said.through), self._at_ms(event)
                self._rows.waive(Waiver(event.id, said.device, through_ms, at_ms, said.by, said.reason))

    # --- taps ---------------------------------------------------------------------------------------------------------

    def _tap(self, book: Book, device: str, sequence: int, event: Event) -> TapRow:
        data = decode_data(event, TapData)
        if data.kind == "canteen":
            note_tap(self._rows.meals, book, sequence, data)
        reading = read_by(data.clock, event.time) or UNDATED
        when = self._store.anchors.of(book.source).effective_at(book.journal, reading)
        return TapRow(
            book.number,
            sequence,
            data.kind,
            data.point,
            data.dir,
            self._card_text(data, device),
            data.student,
            data.decision,
            data.reason,
            reading.boot,
            reading.mono,
            reading.stated_ms,
            None if reading.own is None else reading.own.err,
            when.best_ms,
            int(when.quality == "anchored"),
        )

    def _claim(self, book: Book, event: Event) -> None:
        when = self._store.anchors.of(book.source).effective_at(book.journal, dated(event) or UNDATED)
        row = watermark_of(event, when)
        if row is not None:
            self._rows.claim(book.number, row)

    def _keep(self, taps: list[TapRow]) -> None:
        if not taps:
            return
        names = {name_of(self._ledger, tap): tap for tap in taps}
        corrected = self._rows.corrections(names)
        erased = self._rows.erased(names)
        kept = []
        for name, tap in names.items():
            if name in erased:
                tap = tap._replace(card=TAP_WITHOUT_CARD, student=erased[name])
            elif name in corrected and corrected[name].why == "rederived":
                tap = tap._replace(card=corrected[name].card)
            kept.append(tap)
        try:
            self._rows.add_taps(kept)
        except OverflowError:
            # One of them says a number that no file can hold: the others aren't lost by it, nor read again and again.
            self._one_by_one(kept)

    def _one_by_one(self, taps: Iterable[TapRow]) -> None:
        for tap in taps:
            try:
                self._rows.add_taps([tap])
            except OverflowError as problem:
                log.warning("record %d of a journal is not in the daybook: %s", tap.sequence, problem)

    def _card_text(self, data: TapData, device: str) -> str:
        """The text under which a tap is kept: the number where its raw read opens here, else the id that came."""
        if data.raw is msgspec.UNSET:
            return data.card
        raw = self._opened(str(data.raw), device)
        try:
            return data.card if raw is None else _text_of(raw)
        except CardNumberError:
            return data.card

    def _opened(self, sealed: str, device: str) -> RawRead | None:
        found = self._store.devices.find(device)
        for key in (None, *(() if found is None else found.keys)):
            try:
                return decode_raw(self._store.secrets.open_raw(sealed, key))
            except (SealRefused, BadMessage):
                continue
        return None

    def _date_anew(self, book: Book) -> None:
        """A boot of this device met an anchor: its taps, and those of boots beside it, have other times now."""
        timeline = self._store.anchors.of(book.source)
        moved: list[TapRow] = []
        for number in self._rows.unanchored_journals():
            journal = self._ledger.books.numbered(number)
            if journal.source != book.source:
                continue
            for tap in self._rows.unanchored_of(number):
                when = timeline.effective_at(journal.journal, tap.reading())
                anchored = int(when.quality == "anchored")
                if (when.best_ms, anchored) != (tap.best_ms, tap.anchored):
                    moved.append(tap._replace(best_ms=when.best_ms, anchored=anchored))
        self._rows.add_taps(moved)
        for tap in moved:
            # What was passed over for want of a time is seen to again.
            self._rows.attribute_again(tap.journal, tap.sequence)

    # --- people's words -----------------------------------------------------------------------------------------------

    def _roll_call(self, event: Event, said: RollCall) -> None:
        day, at_ms = date.fromisoformat(said.day), self._at_ms(event)
        seen_ms = None if said.seen is None else unix_ms_of(said.seen)
        for pupil, state in said.states.items():
            statement = Statement(event.id, pupil, day, said.half, state, at_ms, said.by, said.reason)
            self._rows.state(statement, said.how, seen_ms)
        if said.confirms:
            self._rows.confirm(Confirmation(event.id, said.school_class, day.isoformat(), said.half, at_ms, said.by))

    def _leave(self, event: Event, said: LeaveNotice) -> None:
        at_ms = self._at_ms(event)
        if said.withdraws is not None:
            self._rows.withdraw(said.withdraws, event.id, at_ms, said.by)
            return
        first = date.fromisoformat(said.first.day), said.first.half
        last = date.fromisoformat(said.last.day), said.last.half
        self._rows.excuse(Leave(event.id, said.student, first, last, at_ms, said.by))

    def _correction(self, event: Event, said: TapCorrection) -> None:
        if said.why in SERVING_WORDS:
            self._rows.meals.say(ServingWord(said.tap, event.id, self._at_ms(event), said.why, said.by))
            return
        row = Correction(said.tap, self._at_ms(event), event.id, said.student, said.card, said.why)
        self._rows.correct(row)
        name = parse_tap_id(said.tap)
        book = None if name is None else self._ledger.books.find(name.journal)
        if said.why == "rederived" and name is not None and book is not None and not self._rows.erased([said.tap]):
            tap = self._rows.tap(book.number, name.sequence)
            if tap is not None:
                self._rows.add_taps([tap._replace(card=said.card)])

    def _card(self, event: Event, said: CardChanged) -> None:
        if self._rows.erased([event.id]):
            return
        number = parse_card(decode_raw(self._store.secrets.identity().open(said.raw)).card)
        since_ms = SINCE_EVER_MS if said.since is None else unix_ms_of(said.since)
        self._rows.change_card(
            CardChange(event.id, self._at_ms(event), number.canonical, said.student, said.change, since_ms, said.by)
        )

    def _at_ms(self, event: Event) -> int:
        return unix_ms_of(event.time)


def name_of(ledger: Ledger, tap: TapRow) -> str:
    """The id of a tap's record."""
    return f"{ledger.books.numbered(tap.journal).journal}.{tap.sequence}"


def _text_of(raw: RawRead) -> str:
    """A whole number's canonical form; a part's as a release lists it, by its reader's plan. Raises CardNumberError."""
    number = parse_card(raw.card)
    if number.partial and raw.plan is not None:
        words = dict(word.partition("=")[::2] for word in raw.plan.split("&"))
        plan = number_plan(words.get("format", ""), words.get("order"), words.get("bytes"), words.get("part"))
        for part in plan.partials():
            if f"w{8 * part.octets}" == number.technology:
                return part.listed(number)
    return number.canonical
