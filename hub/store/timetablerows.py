"""The timetable's versions in the ledger's file, each by the day from which on it holds; what was is not changed.

A day's marks are derived by the version that held on it, so a change from a day on leaves all days before as they are.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, timedelta
from typing import Final

from hub.attendance.contradictions import Problem, judged
from hub.attendance.firsttimetable import first_timetable
from hub.attendance.knowndays import school_year_of
from hub.attendance.timetable import Timetable, TimetableRefused, timetable_bytes, timetable_from
from hub.store.database import Database
from hub.store.notes import CalendarBack, Notes
from hub.store.toldrows import ToldRows

VERSIONS_MAX: Final = 400
"""More than one for every school day of two years; a row is a document."""
RETOLD_DAYS_MAX: Final = 400
"""A change of older days is not told to the city by itself."""


@dataclass(frozen=True, slots=True)
class Version:
    """A document, from when on it holds (until the next one), when and by whom it was made."""

    first_day: date
    document: Timetable
    made_ms: int
    by: str


class TimetableRows:
    """See the room. Changes run within a transaction."""

    def __init__(self, database: Database) -> None:
        """The table is the state."""
        self._database = database

    def put(
        self,
        first_day: date,
        document: Timetable,
        today: date,
        now_ms: int,
        by: str,
        *,
        past: bool = False,
        classes: tuple[str, ...] = (),
    ) -> Version:
        """Let a document hold from a day on, until the next version's day. Raises TimetableRefused; nothing is changed.

        Days before `today` are changed only with `past`, and then the document's `note` says why. Today is no past:
        an afternoon that a storm makes free is entered on its morning. `classes`: those of the school, where known.
        A contradiction that stood before may stay; a new one is refused.
        """
        if not by.strip():
            raise TimetableRefused("nobody is named who changes the timetable")
        if first_day < today:
            if not past:
                what = f"{first_day} is past: marks of days that were would change"
                hint = "Give today or a later day; or say that the past is meant (--past)."
                raise TimetableRefused(what, hint=hint, vi=f"{first_day} đã qua: điểm danh của ngày đã qua sẽ thay đổi")
            if not document.note.strip():
                what = f"{first_day} is past, and the document's note doesn't say why its days change"
                vi = f"{first_day} đã qua, và chưa ghi vì sao các ngày đó thay đổi"
                raise TimetableRefused(what, hint="Write the reason into the document's `note`.", vi=vi)
        found, _ = judged(self._before(first_day), document, classes)
        if found:
            raise _contradicted(found)
        run = self._database.connection.execute
        count = run("SELECT count(*) FROM timetables WHERE first_day <> ?", (first_day.isoformat(),)).fetchone()[0]
        if count >= VERSIONS_MAX:
            raise TimetableRefused(f"{count} versions are kept, no more", hint="Replace one by giving its first day.")
        version = Version(first_day, document, now_ms, by)
        run(
            "INSERT OR REPLACE INTO timetables (first_day, document, made_ms, by) VALUES (?, ?, ?, ?)",
            (first_day.isoformat(), timetable_bytes(document).decode("utf-8"), now_ms, by),
        )
        # What was told of past days may be otherwise now.
        since = max(first_day, today - timedelta(days=RETOLD_DAYS_MAX))
        ToldRows(self._database.connection).open(
            since + timedelta(days=number) for number in range((today - since).days)
        )
        return version

    def confirm(self, now_ms: int, by: str) -> None:
        """A person has looked at the whole of it after the ledger was replaced; nothing where it wasn't.

        A change says nothing of the rest, nor of the days before it: none confirms by itself.
        """
        notes = Notes(self._database)
        note = notes.calendar_in_doubt()
        if note is not None:
            notes.write(CalendarBack(note.asked_ms, note.backup_ms, now_ms, by))

    def _before(self, first_day: date) -> Timetable:
        """What held on a day so far; where nobody made a timetable, the first that there is."""
        version = self.for_day(first_day)
        return first_timetable(school_year_of(first_day)) if version is None else version.document

    def for_day(self, day: date) -> Version | None:
        """The version that holds on a day: the last one that begins on it or before."""
        row = self._database.connection.execute(
            "SELECT first_day, document, made_ms, by FROM timetables WHERE first_day <= ?"
            " ORDER BY first_day DESC LIMIT 1",
            (day.isoformat(),),
        ).fetchone()
        return None if row is None else _version(row)

    def versions(self) -> dict[date, Version]:
        """All of them, by the day from which on each holds."""
        rows = self._database.connection.execute(
            "SELECT first_day, document, made_ms, by FROM timetables ORDER BY first_day"
        )
        return {version.first_day: version for version in map(_version, rows)}

    def holds_until(self, first_day: date) -> date | None:
        """The day of the next version, from which on that of `first_day` no longer holds; None: it is the last."""
        row = self._database.connection.execute(
            "SELECT min(first_day) FROM timetables WHERE first_day > ?", (first_day.isoformat(),)
        ).fetchone()
        return None if row[0] is None else date.fromisoformat(row[0])


def _version(row: tuple[str, str, int, str]) -> Version:
    first_day, document, made_ms, by = row
    return Version(
        date.fromisoformat(first_day),
        timetable_from(f"the timetable of {first_day}", document.encode("utf-8")),
        made_ms,
        by,
    )


def _contradicted(found: list[Problem]) -> TimetableRefused:
    told = [f"{len(found)} contradictions", *map(str, found)]
    said = [f"{len(found)} chỗ mâu thuẫn", *(one.said("vi") for one in found)]
    return TimetableRefused("\n  ".join(told), vi="\n  ".join(said))
