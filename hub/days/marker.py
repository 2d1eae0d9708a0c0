"""The marker: one thread that tells the city what stands of each class's half-day, once it is final, and what changes.

What was told stands in rows that follow from the records themselves; how far it was seen to, beside them. After a kill
it looks again at what it had begun, and finds nothing to say of what it had said.
"""

from __future__ import annotations

import logging
import sqlite3
from collections import defaultdict, deque
from collections.abc import Callable, Mapping
from datetime import date, timedelta
from typing import TYPE_CHECKING, Final

from hub.attendance.completeness import completeness, session_completeness
from hub.attendance.daymarks import HalfDay, News, Told, gone, news, records
from hub.attendance.schoolday import marks_of
from hub.days.classbook import days_between, midnight_ms, today_at
from hub.days.touched import Touching
from hub.worker import RowsWorker
from protocol.envelope import unix_ms_of
from protocol.errors import K12EdgeError
from protocol.records import Half

if TYPE_CHECKING:
    from hub.attendance.completeness import Completeness
    from hub.parts import Store

log = logging.getLogger("k12edge.marker")

GATHER_MS: Final = 60_000
"""Between two looks: who comes late is told within a minute, and a crowd at a gate costs one look a minute."""
BETWEEN_MS: Final = 20
"""After a class of which something was told, and after a page, for others who wait for the ledger."""
NOTHING_MS: Final = 2
"""After a class of which nothing was: of a backlog's months that is almost every one."""
WAIT_MS: Final = 5_000
"""While the clock isn't set, records are regained, or nobody has looked at a calendar that came back."""
BEHIND_MS: Final = 250
"""While the daybook reads."""
FAILED_PAUSE_MS: Final = 10_000
PAGE: Final = 2_000
"""Records looked at in one turn."""
PAGES_MAX: Final = 20
"""Of a backlog so many pages are gathered before anything of it is told: four days of a school of 1,763. Else each page
would have the same classes looked through again, and of a box that had no time the same months."""
OPEN_MAX: Final = 60
"""Days that are looked at again at most; older ones are told when something of them changes."""


class Marker(RowsWorker):
    """See the room. `on_told` hears after each commit that records were appended."""

    def __init__(self, store: Store, on_told: Callable[[], None] = lambda: None) -> None:
        """Nothing was looked at yet in this run."""
        super().__init__(store.database, log, FAILED_PAUSE_MS)
        self._store, self._rows, self._on_told = store, store.days.told, on_told
        self._touching = Touching(store)
        self._due: deque[tuple[date, str]] = deque()
        self._moved_to: tuple[int, date] | None = None
        self._over: list[date] = []
        self._seen: dict[date, str] = {}
        self._people_seen = -1
        self._looked_ms = -(1 << 60)
        self._gathered: defaultdict[date, set[str]] = defaultdict(set)
        self._pages = self._through = 0

    def failed(self) -> None:
        """What was due is found again: the cursor stands where it stood."""
        self._due.clear()
        self._gathered.clear()
        self._pages = 0
        self._moved_to = None
        self._seen.clear()

    def work(self) -> int:
        """Look, or tell what stands of one class; the ms to wait before the next turn."""
        store = self._store
        with store.database.lock:
            if store.clock.error_ms() is None or store.regaining():
                return WAIT_MS
            if store.calendar_in_doubt() is not None:
                # By the bells of a proposal, or of an older calendar, true marks would be taken back.
                return WAIT_MS
            if store.days.cursor() < store.days.newest():
                # What half of the records say would be told, and taken back a moment later.
                return BEHIND_MS
            if self._due:
                day, school_class = self._due[0]
                try:
                    told = self._tell(day, school_class)
                except (K12EdgeError, sqlite3.Error):
                    raise
                except Exception:
                    # A fault of ours about one class mustn't silence all others for good.
                    log.exception("a class's half-days can't be told")
                    told = False
                self._due.popleft()
            else:
                told = False
        if told:
            self._on_told()
        if self._due:
            return BETWEEN_MS if told else NOTHING_MS
        if self._moved_to is not None:
            with store.database.transaction():
                self._rows.move(*self._moved_to)
                for day in self._over:
                    self._rows.close(day)
                    self._seen.pop(day, None)
            self._moved_to = None
        since_ms = store.clock.mono_ms() - self._looked_ms
        if since_ms < GATHER_MS:
            return int(GATHER_MS - since_ms)
        return self._look()

    # --- which classes ------------------------------------------------------------------------------------------------

    def _look(self) -> int:
        """Find the classes whose half-days may be others than was told; the ms to wait."""
        store, now_ms = self._store, self._store.clock.now_ms()
        today = today_at(now_ms)
        with store.database.transaction():
            position, last = self._rows.cursor()
            behind = self._through if self._pages else position
            fresh = list(self._rows.behind(behind, store.days.cursor(), PAGE))
            for day, pupils in self._touching.by(fresh, today).items():
                self._gathered[day] |= pupils
            self._pages, self._through = self._pages + 1, fresh[-1].position if fresh else behind
            if len(fresh) == PAGE and self._pages < PAGES_MAX:
                return BETWEEN_MS
            whole = self._open(today, last, now_ms)
            if store.people.version != self._people_seen:
                whole.add(today)
                self._people_seen = store.people.version
            days = whole | self._gathered.keys()
            everybody = list(store.people.of(min(days), max(days))) if days else []
            # Somebody waits for what is said of today; a gateway that came back may touch months.
            for day in sorted(days, reverse=True):
                classes = {*store.people.classes(day), *self._rows.classes(day)}
                if day not in whole:
                    mine = self._gathered[day]
                    classes &= {
                        one.school_class for one in everybody if one.key in mine and one.first <= day <= one.last
                    }
                self._due.extend((day, name) for name in sorted(classes))
        self._gathered.clear()
        self._pages = 0
        if (self._through, today) != (position, last) or self._over:
            self._moved_to = self._through, today
        if len(fresh) == PAGE:
            return BETWEEN_MS
        self._looked_ms = store.clock.mono_ms()
        return BETWEEN_MS if self._due or self._moved_to else GATHER_MS

    def _open(self, today: date, last: date | None, now_ms: int) -> set[date]:
        """The open days of which something was decided since the last look; complete ones are closed."""
        first = today if last is None else max(last, today - timedelta(days=OPEN_MAX))
        self._rows.open(days_between(first, today))
        found = set()
        self._over = []
        for day in self._rows.open_days():
            finals = self._store.classbook.completeness(day)
            decided = [
                (one["half"], one["final"], one["classes"], one["complete"], one["waived"], passed)
                for one in finals
                if (passed := unix_ms_of(one["final"]) <= now_ms) or day == today
            ]
            if self._seen.get(day) != repr(decided):
                self._seen[day] = repr(decided)
                found.add(day)
            over = all(one["complete"] and unix_ms_of(one["final"]) <= now_ms for one in finals)
            if day < today and (over or day < today - timedelta(days=OPEN_MAX)):
                # It is due now, and then never again by itself.
                self._over.append(day)
        return found

    # --- one class ----------------------------------------------------------------------------------------------------

    def _tell(self, day: date, school_class: str) -> bool:
        """Append what is to be told of a class's day, in one transaction; whether anything was."""
        store, now_ms = self._store, self._store.clock.now_ms()
        signed = {one.half for one in store.days.confirmations(day) if one.school_class == school_class}
        sessions = store.classbook.lessons(day, school_class)
        pupils = {one.key for one in store.people.of(day, day, school_class)}
        told = self._mine(day, school_class, pupils)
        if not any(told.values()) and not any(
            one.final_ms <= now_ms or half in signed for half, one in sessions.items()
        ):
            return False
        known = store.classbook.evidence(day, school_class)
        judged = list(marks_of(known))
        found: list[tuple[Half, int, Completeness, News]] = []
        for half, before in told.items():
            session = sessions.get(half)
            final_ms = midnight_ms(day) if session is None else session.final_ms
            if session is None:
                complete, said = completeness(known.watermarks, final_ms), gone(before)
            else:
                complete = session_completeness(known.watermarks, session, now_ms)
                mine = [one.judged for one in judged if one.session.half == half]
                said = news(HalfDay(session, school_class, mine, complete, half in signed), before, now_ms)
            if said is not None:
                found.append((half, final_ms, complete, said))
        if found:
            with store.database.transaction():
                for half, final_ms, complete, said in found:
                    first = self._rows.last_number(day, half) + 1
                    place = (school_class, day.isoformat(), half)
                    for data in records(said, place, final_ms, complete, first):
                        store.daybook.enter("attendance.mark", data)
        return bool(found)

    def _mine(self, day: date, school_class: str, pupils: set[str]) -> Mapping[Half, Mapping[str, Told]]:
        """What stands told of a class's pupils; and of those who are of no class any more, where it was told of them
        as this one's.
        """
        told = self._rows.of(day, school_class, pupils)
        if all(pupil in pupils for half in told.values() for pupil in half):
            return told
        elsewhere = {one.key for one in self._store.people.of(day, day)} - pupils
        return {
            half: {pupil: one for pupil, one in mine.items() if pupil not in elsewhere} for half, mine in told.items()
        }
