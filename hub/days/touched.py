"""What records touch: the days, and of each the pupils, whose marks may be others by what the ledger holds anew."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
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


class Touching:
    """See the room; under the database's lock. What touches days that nobody can name - a gateway's watermark, a
    waiver - is found otherwise: such days are open until they are complete.
    """

    def __init__(self, store: Store) -> None:
        """Look into this store."""
        self._store = store

    def by(self, records: Iterable[Seen], today: date) -> Touched:
        """Day -> pupils, of the last DAYS_MAX days, and of none to come."""
        found: Touched = defaultdict(set)
        bindings = self._store.holders.bindings()
        for seen in records:
            try:
                event = decode_event(seen.raw)
                for day, pupil in self._of(seen, event, bindings, today):
                    if today - timedelta(days=DAYS_MAX) <= day <= today:
                        found[day].add(pupil)
            except (BadMessage, ValueError):
                # What can't be read stands in nobody's marks either; the daybook said so.
                continue
        return dict(found)

    def _of(
        self, seen: Seen, event: Event, bindings: Mapping[str, Sequence[Binding]], today: date
    ) -> Iterator[tuple[date, str]]:
        book = self._store.ledger.books.numbered(seen.journal)
        if event.name in TAP_TYPES:
            tap = self._store.days.tap(seen.journal, seen.sequence)
            yield from () if tap is None else _whose(tap, bindings, today)
        elif event.name == "boot.anchored" and book.device is not None:
            # Its taps have other times now, and may have left the day where they stood.
            boot = decode_data(event, BootAnchored).boot
            for tap in self._store.days.taps_of_boot(seen.journal, boot):
                yield from _whose(tap._replace(anchored=0), bindings, today)
            # It bounds what other boots of the same box have no time for.
            for own in self._store.ledger.books.of_device(book.device):
                for tap in self._store.days.unanchored_of(own.number):
                    yield from _whose(tap, bindings, today)
        elif book.device is None:
            yield from self._said(event, bindings, today)

    def _said(self, event: Event, bindings: Mapping[str, Sequence[Binding]], today: date) -> Iterator[tuple[date, str]]:
        match event.name:
            case "attendance.rollcall":
                said = decode_data(event, RollCall)
                day = date.fromisoformat(said.day)
                # Who signs the list speaks of all.
                members = self._store.people.of(day, day, said.school_class) if said.confirms else ()
                yield from ((day, pupil) for pupil in {*said.states, *(one.key for one in members)})
            case "attendance.leave":
                notice = decode_data(event, LeaveNotice)
                first = max(date.fromisoformat(notice.first.day), today - timedelta(days=DAYS_MAX))
                for day in days_between(first, min(date.fromisoformat(notice.last.day), today)):
                    yield day, notice.student
            case "attendance.correction":
                corrected = decode_data(event, TapCorrection)
                name = parse_tap_id(corrected.tap)
                book = None if name is None else self._store.ledger.books.find(name.journal)
                tap = None if name is None or book is None else self._store.days.tap(book.number, name.sequence)
                if tap is not None:
                    days = {day for day, _ in _whose(tap, bindings, today)} | {today_at(tap.best_ms)}
                    pupils = {corrected.was, corrected.student} - {None}
                    yield from ((day, str(pupil)) for day in days for pupil in pupils)


def _whose(tap: TapRow, bindings: Mapping[str, Sequence[Binding]], today: date) -> Iterator[tuple[date, str]]:
    """The days on which a tap may stand or have stood, and whose it may be."""
    known = bindings.get(tap.card, ())
    pupils = {tap.student, *holders_of(known, tap.best_ms), *holders_of(known, tap.stated_ms)} - {None}
    days = {today_at(tap.best_ms), today_at(tap.stated_ms)}
    if not tap.anchored:
        # It may be of any day on which its box was without a time.
        days |= {today - timedelta(days=back) for back in range(UNTIMED_MS // DAY_MS + 2)}
    for day in days:
        yield from ((day, str(pupil)) for pupil in pupils)
