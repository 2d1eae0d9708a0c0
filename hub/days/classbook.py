"""The class book: a day's evidence gathered from the store, and the marks that follow from it; nothing is kept."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping
from datetime import date, datetime, timedelta
from typing import TYPE_CHECKING, Any, Final

import msgspec

from hub.attendance.bounds import OPEN_MS, bounds_of
from hub.attendance.completeness import completeness
from hub.attendance.evidence import Direction, Leave, Session, Statement, Tap, Watermark, in_order
from hub.attendance.firsttimetable import first_timetable
from hub.attendance.knowndays import school_year_of
from hub.attendance.onsite import Seen, on_site
from hub.attendance.schoolday import VIETNAM, Marked, SchoolDay, attributed, marks_of
from hub.attendance.timetable import Timetable, calendar_of, direction_of
from protocol.envelope import rfc3339
from protocol.names import class_order
from protocol.records import Half

if TYPE_CHECKING:
    from hub.cards.holders import Holders
    from hub.store.anchorrows import AnchorRows
    from hub.store.books import Book
    from hub.store.database import Database
    from hub.store.dayrows import DayRows, TapRow
    from hub.store.ledger import Ledger
    from hub.store.peoplerows import PeopleRows
    from hub.store.timetablerows import TimetableRows
    from protocol.time import Effective

DAY_MS: Final = 86_400_000
HOUR_MS: Final = 3_600_000
"""Taps are looked for so far around their day: where a row says that it is, is as near as its clock was."""


class ClassBook:
    """See the room. Asked under the ledger's lock."""

    def __init__(
        self,
        database: Database,
        ledger: Ledger,
        anchors: AnchorRows,
        people: PeopleRows,
        days: DayRows,
        holders: Holders,
        timetables: TimetableRows,
        words: Callable[[int, int, int | None], Iterable[Watermark]],
        now_ms: Callable[[], int],
    ) -> None:
        """Everything that is asked for evidence; `words`: what is known in a span of who holds all its taps, by
        what gates had said until a moment (None: until now).
        """
        self._database, self._ledger, self._anchors = database, ledger, anchors
        self._people, self._days, self._holders = people, days, holders
        self._timetables, self._words, self._now_ms = timetables, words, now_ms

    def marks(self, day: date, school_class: str | None = None, at_ms: int | None = None) -> list[Marked]:
        """The marks of a day, of one class or of all, by class and name; `at_ms`: as they stood then."""
        return list(marks_of(self.evidence(day, school_class, at_ms), at_ms))

    def evidence(self, day: date, school_class: str | None = None, at_ms: int | None = None) -> SchoolDay:
        """All that is known of a day. What is withdrawn by `at_ms`, or now, is left out."""
        with self._database.lock:
            pupils = tuple(self._people.of(day, day, school_class))
            of_class = None if school_class is None else {pupil.key for pupil in pupils}
            bindings = self._holders.bindings()
            timetables = self.timetables(day)
            said, seen = self._said(day, of_class, at_ms)
            taps = [*self._taps(day, of_class, timetables), *seen]
            return SchoolDay(
                pupils,
                bindings,
                self._sessions(timetables, day, {pupil.school_class for pupil in pupils}),
                tuple(taps),
                said,
                self._leaves(day, of_class, at_ms),
                tuple(self._watermarks(day, at_ms)),
                self._now_ms(),
            )

    def lessons(self, day: date, school_class: str) -> Mapping[Half, Session]:
        """The half-days that a class has on a day."""
        sessions = self._sessions(self.timetables(day), day, [school_class])
        return {half: session for (_, _, half), session in sessions.items()}

    def on_site(self, at_ms: int, school_class: str | None = None) -> list[Seen]:
        """Where every pupil is at a moment, of one class or of all; taps of every station count."""
        day = today_at(at_ms)
        with self._database.lock:
            known = self.evidence(day, school_class)
            pupils = {pupil.key for pupil in known.pupils}
            document = next(iter(self.timetables(day).values()))
            elsewhere = []
            for row in self._rows_of(day, None if school_class is None else pupils):
                tap = msgspec.structs.replace(self.tap(row, document), direction=None)
                if row.kind not in ("gate", "desk") and midnight_ms(day) <= tap.best_ms:
                    # Who eats, or goes to the sick bay, is there; a card at an office's desk is in anybody's hand.
                    elsewhere.append((row.card, tap))
        taps = attributed([*known.taps, *elsewhere], known.bindings)
        return list(on_site(known.pupils, taps, known.statements, known.sessions, day, at_ms))

    def completeness(self, day: date) -> list[dict[str, Any]]:
        """Of each moment at which half-days of a day become final: who is waited for, who waived whom."""
        with self._database.lock:
            classes = self._people.classes(day)
            sessions = self._sessions(self.timetables(day), day, classes)
            words = list(self._watermarks(day))
        finals: dict[tuple[Half, int], list[str]] = {}
        opens: dict[tuple[Half, int], int] = {}
        for (_, school_class, half), session in sessions.items():
            moment = half, session.final_ms
            finals.setdefault(moment, []).append(school_class)
            opens[moment] = min(session.opens_ms, opens.get(moment, session.opens_ms))
        found = []
        for (half, final_ms), members in sorted(finals.items()):
            known = completeness(words, final_ms, self._now_ms(), opens[half, final_ms])
            found.append(
                {
                    "half": half,
                    "final": rfc3339(final_ms),
                    "classes": sorted(members, key=class_order),
                    "complete": known.complete,
                    "waiting": list(known.waiting),
                    "waived": [{"device": device, "by": by} for device, by in known.waived],
                }
            )
        return found

    def timetables(self, day: date) -> Mapping[date, Timetable]:
        """The timetable that holds on a day, by since when; where nobody made one, the first that there is."""
        version = self._timetables.for_day(day)
        if version is not None:
            return {version.first_day: version.document}
        return {date.min: first_timetable(school_year_of(day))}

    def _sessions(
        self, timetables: Mapping[date, Timetable], day: date, classes: Iterable[str]
    ) -> dict[tuple[date, str, Half], Session]:
        return dict(calendar_of(timetables, [day], classes))

    def _watermarks(self, day: date, at_ms: int | None = None) -> Iterable[Watermark]:
        return self._words(midnight_ms(day), midnight_ms(day) + DAY_MS, at_ms)

    # --- taps ---------------------------------------------------------------------------------------------------------

    def _taps(
        self, day: date, of_class: set[str] | None, timetables: Mapping[date, Timetable]
    ) -> Iterator[tuple[str, Tap]]:
        begin_ms, end_ms = midnight_ms(day), midnight_ms(day) + DAY_MS
        document = next(iter(timetables.values()))
        for row in self._rows_of(day, of_class):
            if row.kind == "gate":
                tap = self.tap(row, document)
                if tap.not_before_ms < end_ms and tap.not_after_ms >= begin_ms:
                    yield row.card, tap

    def _rows_of(self, day: date, of_class: set[str] | None) -> Iterator[TapRow]:
        """The taps to be looked at for a day; some are of the days beside."""
        first_ms, until_ms = midnight_ms(day) - HOUR_MS, midnight_ms(day) + DAY_MS + HOUR_MS
        if of_class is None:
            return self._days.taps_between(first_ms, until_ms)
        return self._days.taps_of(self._holders.texts_of_pupils(of_class), of_class, first_ms, until_ms)

    def tap(self, row: TapRow, document: Timetable) -> Tap:
        """A tap as evidence, at the time that is known for it now; its pupil is whom the gateway took it for."""
        book = self._ledger.books.numbered(row.journal)
        when = self._anchors.of(book.source).effective_at(book.journal, row.reading())
        not_before_ms, not_after_ms = self._bounds(book, row, when)
        told: Direction | None = "in" if row.dir == "in" else "out" if row.dir == "out" else None
        way = told
        if document.windows:
            way = direction_of(
                document, book.device or "", row.point, when.best_ms, told, (not_before_ms, not_after_ms)
            )
        name = f"{book.journal}.{row.sequence}"
        return Tap(name, row.student or "", when.best_ms, not_before_ms, not_after_ms, way)

    def _bounds(self, book: Book, row: TapRow, when: Effective) -> tuple[int, int]:
        """See bounds_of."""
        known = when.not_before_ms is not None and when.not_after_ms is not None
        return bounds_of(when, None if known else self._ledger.received_ms(book, row.sequence))

    # --- people's words -----------------------------------------------------------------------------------------------

    def _said(
        self, day: date, of_class: set[str] | None, at_ms: int | None
    ) -> tuple[tuple[Statement, ...], list[tuple[str, Tap]]]:
        """What was said; and who was seen coming in without a card, as what a gate would have said.

        An admission that was not said yet by `at_ms`, or taken back by then, or now, is left out.
        """
        said: list[Statement] = []
        admitted: dict[tuple[str, int], list[Statement]] = defaultdict(list)
        seen: list[tuple[str, Tap]] = []
        for statement, how, seen_ms in self._days.statements(day, day):
            if of_class is not None and statement.pupil not in of_class:
                continue
            if how != "gate" or seen_ms is None:
                said.append(statement)
            elif at_ms is None or statement.at_ms <= at_ms:
                admitted[statement.pupil, seen_ms].append(statement)
        for (pupil, seen_ms), words in admitted.items():
            last = in_order(words)[-1]
            if last.state != "withdrawn":
                seen.append(("", Tap(last.id, pupil, seen_ms, seen_ms, seen_ms, "in")))
        return tuple(said), seen

    def _leaves(self, day: date, of_class: set[str] | None, at_ms: int | None) -> tuple[Leave, ...]:
        until_ms = OPEN_MS if at_ms is None else at_ms
        return tuple(
            leave
            for leave, withdrawn_ms in self._days.leaves(day, day)
            if (withdrawn_ms is None or withdrawn_ms > until_ms) and (of_class is None or leave.pupil in of_class)
        )


def midnight_ms(day: date) -> int:
    """When a day begins at the school, Unix ms."""
    return int(datetime(day.year, day.month, day.day, tzinfo=VIETNAM).timestamp() * 1000)


def today_at(now_ms: int) -> date:
    """The school's date at a moment."""
    return datetime.fromtimestamp(now_ms / 1000, VIETNAM).date()


def days_between(first: date, last: date) -> Iterator[date]:
    """Every day of a span, both ends included."""
    for number in range((last - first).days + 1):
        yield first + timedelta(days=number)
