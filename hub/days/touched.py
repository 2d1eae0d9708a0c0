"""What records touch: the days, and of each the pupils, whose marks may be others by what the ledger holds anew."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from datetime import date, timedelta
from typing import TYPE_CHECKING, Final

from hub.attendance.bounds import UNTIMED_MS
from hub.attendance.schoolday import Binding, holders_of
from hub.days.classbook import DAY_MS, days_between, today_at
from hub.store.dayrows import TapRow
from protocol.envelope import Event, decode_data, decode_event
from protocol.errors import BadMessage
from protocol.records import BootAnchored, LeaveNotice, RollCall, TapCorrection
from protocol.taps import TAP_TYPES, parse_tap_id

if TYPE_CHECKING:
    from hub.parts import Store
    from hub.store.toldrows import Seen

DAYS_MAX: Final = 400
"""How far back records touch days: a school year. A gateway whose clock stood at 1970 speaks of no day of ours, until
its clock is known.
"""
Touched = dict[date, set[str]]


class _Found:
    """What was found so far: `days`, and pupils of whom a tap may be of any day on which its box was without a time."""

    def __init__(self, bindings: Mapping[str, Sequence[Binding]]) -> None:
        """Nothing; `bindings`: whose each card's text was."""
        self.days: Touched = defaultdict(set)
        self.dated: set[tuple[int, str]] = set()
        """Journals and boots that met an anchor."""
        self._untimed: set[str] = set()
        self._bindings = bindings

    def tap(self, tap: TapRow, *, anchored: bool = True) -> None:
        """A tap may stand or have stood otherwise; not `anchored`: it had no time before."""
        known = self._bindings.get(tap.card, ())
        pupils = {*holders_of(known, tap.best_ms), *holders_of(known, tap.stated_ms)}
        if tap.student is not None:
            pupils.add(tap.student)
        self.at(tap, pupils, anchored=anchored)

    def at(self, tap: TapRow, pupils: set[str], *, anchored: bool = True) -> None:
        """The days on which a tap may stand or have stood, of these pupils."""
        for day in {today_at(tap.best_ms), today_at(tap.stated_ms)}:
            self.days[day] |= pupils
        if not (anchored and tap.anchored):
            self._untimed |= pupils

    def whole(self, today: date) -> Touched:
        """All of it; a tap without a time stands on each day that it may be of, together with all others."""
        if self._untimed:
            for back in range(UNTIMED_MS // DAY_MS + 2):
                self.days[today - timedelta(days=back)] |= self._untimed
        first = today - timedelta(days=DAYS_MAX)
        return {day: pupils for day, pupils in self.days.items() if pupils and first <= day <= today}


class Touching:
    """See the room; under the database's lock. What touches days that nobody can name - a gateway's watermark, a
    waiver - is found otherwise: such days are open until they are complete.
    """

    def __init__(self, store: Store) -> None:
        """Look into this store."""
        self._store = store

    def by(self, records: Iterable[Seen], today: date) -> Touched:
        """Day -> pupils, of the last DAYS_MAX days, and of none to come."""
        found = _Found(self._store.holders.bindings())
        for seen in records:
            try:
                self._take(seen, decode_event(seen.raw), found, today)
            except (BadMessage, ValueError):
                # What can't be read stands in nobody's marks either; the daybook said so.
                continue
        self._date_anew(found)
        return found.whole(today)

    def _date_anew(self, found: _Found) -> None:
        """A backlog may date one box twenty times; its taps are gone through once."""
        days, books = self._store.days, self._store.ledger.books
        of_boots = (tap for journal, boot in found.dated for tap in days.taps_of_boot(journal, boot))
        # It bounds what other boots of the same box have no time for.
        devices = {books.numbered(journal).device for journal, _ in found.dated} - {None}
        beside = (
            tap for name in devices for own in books.of_device(str(name)) for tap in days.unanchored_of(own.number)
        )
        for taps, anchored in ((of_boots, False), (beside, True)):
            for tap in taps:
                with suppress(ValueError):
                    found.tap(tap, anchored=anchored)

    def _take(self, seen: Seen, event: Event, found: _Found, today: date) -> None:
        book = self._store.ledger.books.numbered(seen.journal)
        if event.name in TAP_TYPES:
            tap = self._store.days.tap(seen.journal, seen.sequence)
            if tap is not None:
                found.tap(tap)
        elif event.name == "boot.anchored" and book.device is not None:
            # Its taps have other times now, and may have left the day where they stood.
            found.dated.add((seen.journal, decode_data(event, BootAnchored).boot))
        elif book.device is None:
            self._hear(event, found, today)

    def _hear(self, event: Event, found: _Found, today: date) -> None:
        match event.name:
            case "attendance.rollcall":
                said = decode_data(event, RollCall)
                day = date.fromisoformat(said.day)
                # Who signs the list speaks of all.
                members = self._store.people.of(day, day, said.school_class) if said.confirms else ()
                found.days[day] |= {*said.states, *(one.key for one in members)}
            case "attendance.leave":
                notice = decode_data(event, LeaveNotice)
                first = max(date.fromisoformat(notice.first.day), today - timedelta(days=DAYS_MAX))
                for day in days_between(first, min(date.fromisoformat(notice.last.day), today)):
                    found.days[day].add(notice.student)
            case "attendance.correction":
                corrected = decode_data(event, TapCorrection)
                name = parse_tap_id(corrected.tap)
                book = None if name is None else self._store.ledger.books.find(name.journal)
                tap = None if name is None or book is None else self._store.days.tap(book.number, name.sequence)
                if tap is not None:
                    found.at(tap, {str(pupil) for pupil in (corrected.was, corrected.student) if pupil is not None})
