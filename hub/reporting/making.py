"""Reporting: the store's marks as the files that a school asks for, each under a number of its own.

What a report says is made from the records when it is asked for, day by day: a day costs as much for all classes as for
three of them. Of a whole school's month only marks are kept meanwhile, not what each rests on.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import date
from typing import TYPE_CHECKING, Any, BinaryIO, Final, Literal, get_args

from hub.attendance.evidence import Session
from hub.attendance.knowndays import beyond
from hub.attendance.marks import RULES, Judged, Mark
from hub.attendance.redink import Place, corrections_of
from hub.attendance.schoolday import Marked, Pupil
from hub.city.files import CityFiles, Manifest, Piece
from hub.days.classbook import days_between, today_at
from hub.reports.labels import Labels
from hub.reports.monthfiles import month_csv, write_month_json
from hub.reports.monthsheet import MonthSheet, Stamp, Standing, month_sheets
from hub.reports.printed import printed
from hub.reports.summaries import (
    Line,
    Span,
    TermRow,
    day_csv,
    day_header,
    day_json,
    day_rows,
    day_summary,
    term_csv,
    term_header,
    term_json,
    term_rows,
    term_totals,
)
from hub.reports.tablebook import write_table_workbook
from hub.reports.words import WORDS, Language, day_text
from hub.reports.workbook import month_workbook, write_month_workbook
from protocol.envelope import unix_ms_of
from protocol.errors import NeedsHands
from protocol.names import class_order

if TYPE_CHECKING:
    from hub.parts import Store

MONTH_DAYS_MAX: Final = 62
"""A sheet with more columns fits no page."""
TERM_DAYS_MAX: Final = 400
NAME_CHARACTERS_MAX: Final = 40
"""Of a class within a file's name."""
Form = Literal["xlsx", "csv", "json"]
FORMS: Final[tuple[Form, ...]] = get_args(Form)
SETTING: Final = "reports"
"""The last number of a report that was given, among the settings of the ledger's file."""
FILES_SETTING: Final = "city-files"
"""The last number of files for the city, which count for themselves: the city asks after a number that it lacks."""


class ReportRefused(NeedsHands):
    """The report that was asked for can't be made."""

    code = "report-refused"
    hint = "Give days that were, a month for a month sheet, and who makes the report."


@dataclass(frozen=True, slots=True)
class Report:
    """A report as files, under its number."""

    number: int
    pieces: tuple[Piece, ...]


class Reporting:
    """See the room. Looks take the ledger's lock for a class and day each, so that taps go on coming in."""

    def __init__(
        self, store: Store, labels: Labels | None = None, language: Language = "vi", *, reasons: bool = True
    ) -> None:
        """Reports of one school, with the signs that it writes; without `reasons` nothing says why it was corrected."""
        self._store, self._labels, self._language = store, labels or store.labels, language
        self._reasons = reasons
        place = store.config.city.files_dir
        self._files = None if place is None else CityFiles(place)

    # --- what is asked for --------------------------------------------------------------------------------------------

    def month(self, by: str, first: date, last: date, school_class: str | None = None) -> Report:
        """The month sheets of one class or of all, as a workbook. Raises ReportRefused."""
        self._check(by, first, last, MONTH_DAYS_MAX)
        number = self.next_number()
        return Report(number, (self._month(self._stamp(number, by, first, last), first, last, school_class),))

    def page(self, by: str, first: date, last: date, school_class: str) -> dict[str, Any]:
        """A class's month for a template; see printed. Raises ReportRefused."""
        self._check(by, first, last, MONTH_DAYS_MAX)
        self.check_class(first, last, school_class)
        stamp = self._stamp(self.next_number(), by, first, last)
        sheets = self._sheets(stamp.made_ms, first, last, school_class)
        return printed(sheets[0], stamp, self._labels, self._language)

    def month_into(
        self, out: BinaryIO, form: Form, by: str, first: date, last: date, school_class: str | None = None
    ) -> str:
        """The month sheets of one class or of all into a file; its name. Raises ReportRefused."""
        self._check(by, first, last, MONTH_DAYS_MAX)
        self.check_class(first, last, school_class)
        stamp = self._stamp(self.next_number(), by, first, last)
        sheets = self._sheets(stamp.made_ms, first, last, school_class, evidence=form == "json")
        match form:
            case "xlsx":
                write_month_workbook(out, sheets, stamp, self._labels, self._language)
            case "csv":
                out.write(month_csv(sheets, self._labels, self._language))
            case "json":
                write_month_json(out, sheets, stamp, (RULES,), self._labels)
        return f"so-diem-danh{_whose(school_class)}-{first.isoformat()}.{form}"

    def day(self, by: str, day: date) -> Report:
        """A day's summary as CSV and JSON. Raises ReportRefused."""
        stamp, lines = self.day_lines(by, day)
        name = f"ngay-{day.isoformat()}"
        pieces = (
            Piece(f"{name}.csv", day_csv(lines, self._language), {"rows": len(lines)}),
            Piece(f"{name}.json", day_json(lines, stamp, (RULES,)), {"rows": len(lines)}),
        )
        return Report(stamp.number, pieces)

    def day_lines(self, by: str, day: date, school_class: str | None = None) -> tuple[Stamp, list[Line]]:
        """A day's summary: the school and each class, or one class alone. Raises ReportRefused."""
        self._check(by, day, day, 1)
        stamp = self._stamp(self.next_number(), by, day, day)
        lines = day_summary(self._store.classbook.marks(day, school_class, stamp.made_ms))
        return stamp, [line for line in lines if school_class in (None, line.school_class)]

    def day_into(self, out: BinaryIO, form: Form, by: str, day: date, school_class: str | None = None) -> str:
        """A day's summary into a file; its name. Raises ReportRefused."""
        stamp, lines = self.day_lines(by, day, school_class)
        language = self._language
        match form:
            case "xlsx":
                title = f"{WORDS[language]['day']} {day_text(day)}"
                write_table_workbook(out, title, stamp, day_header(language), day_rows(lines, language), language)
            case "csv":
                out.write(day_csv(lines, language))
            case "json":
                out.write(day_json(lines, stamp, (RULES,)))
        return f"ngay{_whose(school_class)}-{day.isoformat()}.{form}"

    def terms(self, by: str, spans: Sequence[Span]) -> Report:
        """Every pupil's totals of terms, for the transcript, as CSV and JSON. Raises ReportRefused."""
        stamp, rows = self.term_totals(by, spans)
        return Report(stamp.number, _term_pieces(stamp, spans, rows, self._language))

    def term_totals(
        self, by: str, spans: Sequence[Span], school_class: str | None = None
    ) -> tuple[Stamp, list[TermRow]]:
        """Pupils' totals of terms: of all, or of who was in a class last, with what they had elsewhere before.

        Raises ReportRefused.
        """
        first, last = _ends(spans)
        self._check(by, first, last, TERM_DAYS_MAX)
        stamp = self._stamp(self.next_number(), by, first, last)
        if school_class is None:
            return stamp, term_totals(self._marks(stamp.made_ms, first, last, None), spans, self._codes())
        rows = term_totals(self._marks_of_members(stamp.made_ms, first, last, school_class), spans, self._codes())
        return stamp, [row for row in rows if row.school_class == school_class]

    def term_into(
        self, out: BinaryIO, form: Form, by: str, spans: Sequence[Span], school_class: str | None = None
    ) -> str:
        """Pupils' totals of terms into a file; its name. Raises ReportRefused."""
        stamp, rows = self.term_totals(by, spans, school_class)
        first, last = _ends(spans)
        language = self._language
        match form:
            case "xlsx":
                title = f"{WORDS[language]['term']} {day_text(first)} – {day_text(last)}"
                write_table_workbook(out, title, stamp, term_header(language), term_rows(rows, language), language)
            case "csv":
                out.write(term_csv(rows, language))
            case "json":
                out.write(term_json(rows, stamp, (RULES,)))
        return f"tong-hop{_whose(school_class)}-{first.isoformat()}.{form}"

    def lay(self, by: str, first: date, last: date) -> Manifest:
        """A span's month sheets and totals among the files for the city. Raises ReportRefused, FilesRefused."""
        if self._files is None:
            raise ReportRefused("no files are laid for the city", hint='Set [city] kind = "files" and files_dir.')
        self._check(by, first, last, MONTH_DAYS_MAX)

        def made(number: int) -> tuple[Stamp, Sequence[Piece]]:
            stamp = self._stamp(number, by, first, last)
            spans = [Span(f"{first.isoformat()}..{last.isoformat()}", first, last)]
            rows = term_totals(self._marks(stamp.made_ms, first, last, None), spans, self._codes())
            return stamp, [self._month(stamp, first, last, None), *_term_pieces(stamp, spans, rows, self._language)]

        manifest = self._files.lay("month", (first, last), (RULES,), made, self._last_laid())
        with self._store.database.transaction():
            self._remember(manifest.number, FILES_SETTING)
        return manifest

    # --- how it is made -----------------------------------------------------------------------------------------------

    def _month(self, stamp: Stamp, first: date, last: date, school_class: str | None) -> Piece:
        sheets = self._sheets(stamp.made_ms, first, last, school_class)
        octets = month_workbook(sheets, stamp, self._labels, self._language)
        name = f"so-diem-danh{_whose(school_class)}-{first.isoformat()}.xlsx"
        return Piece(name, octets, {"rows": sum(len(sheet.rows) for sheet in sheets)})

    def _sheets(
        self, at_ms: int, first: date, last: date, school_class: str | None, *, evidence: bool = False
    ) -> list[MonthSheet]:
        store = self._store
        with store.database.lock:
            said = [statement for statement, how, _ in store.days.statements(first, last) if how != "gate"]
            pupils = list(store.people.of(first, last, school_class))
        if not self._reasons:
            said = [replace(statement, reason="") for statement in said]
        marked = list(_slim(self._marks(at_ms, first, last, school_class), evidence=evidence))
        places = {(one.pupil, one.day, one.half) for one in said}
        sessions: dict[Place, Session] = {}
        for one in marked:
            place = one.pupil.key, one.session.day, one.session.half
            if place in places:
                sessions[place] = one.session
        red = corrections_of((one for one in said if (one.pupil, one.day, one.half) in sessions), sessions)
        return month_sheets(marked, pupils, first, last, red, self._codes())

    def _codes(self) -> dict[str, str]:
        """The school's code of each pupil that has one."""
        with self._store.database.lock:
            return {person.key: person.code for person in self._store.people.all() if person.code is not None}

    def _marks(self, at_ms: int, first: date, last: date, school_class: str | None) -> Iterator[Marked]:
        """The marks of a span as they stood at a moment; days to come have none."""
        for day in days_between(first, min(last, today_at(at_ms))):
            yield from self._store.classbook.marks(day, school_class, at_ms)

    def _marks_of_members(self, at_ms: int, first: date, last: date, school_class: str) -> Iterator[Marked]:
        """The marks of whoever was in a class on one of the days, in whichever class they were."""
        with self._store.database.lock:
            members = {pupil.key for pupil in self._store.people.of(first, last, school_class)}
            classes = sorted({one.school_class for one in self._store.people.of(first, last) if one.key in members})
        for name in classes:
            yield from (one for one in self._marks(at_ms, first, last, name) if one.pupil.key in members)

    # --- what it says of itself ---------------------------------------------------------------------------------------

    def _stamp(self, number: int, by: str, first: date, last: date) -> Stamp:
        now_ms = self._store.clock.now_ms()
        return Stamp(number, self._store.config.school, now_ms, by.strip(), self._standing(first, last, now_ms))

    def _standing(self, first: date, last: date, now_ms: int) -> Standing:
        """How far the span's data reaches without a gap, and who is waited for or was waived in what is over."""
        found: list[tuple[int, dict[str, Any]]] = []
        for day in days_between(first, min(last, today_at(now_ms))):
            finals = ((unix_ms_of(one["final"]), one) for one in self._store.classbook.completeness(day))
            found += [(final_ms, one) for final_ms, one in finals if final_ms <= now_ms]
        complete_to_ms = None
        for final_ms, known in sorted(found, key=lambda one: one[0]):
            if not known["complete"]:
                break
            complete_to_ms = final_ms
        waiting = {name for _, known in found for name in known["waiting"]}
        waived = {(one["device"], one["by"]) for _, known in found for one in known["waived"]}
        return Standing(complete_to_ms, tuple(sorted(waiting)), tuple(sorted(waived)))

    def _check(self, by: str, first: date, last: date, days_max: int) -> None:
        if not by.strip():
            raise ReportRefused("nobody is named who makes the report")
        for day in (first, last):
            if (unknown := beyond(day)) is not None:
                raise ReportRefused(unknown)
        if last < first or (last - first).days >= days_max:
            raise ReportRefused(f"{first} to {last} is no span of at most {days_max} days")
        if first > today_at(self._store.clock.now_ms()):
            raise ReportRefused(f"{first} is still to come")

    def check_class(self, first: date, last: date, school_class: str | None) -> None:
        """That a class had pupils in a span. Raises ReportRefused, which names those that did."""
        with self._store.database.lock:
            classes = {pupil.school_class for pupil in self._store.people.of(first, last)}
        if school_class is None or school_class in classes:
            return
        known = ", ".join(sorted(classes, key=class_order)) or "–"
        raise ReportRefused(
            f"lớp {school_class} không có học sinh từ {first} đến {last}; có: {known}"
            f" / class {school_class} has no pupils from {first} to {last}; there are: {known}",
            hint="Name one of these classes, or none for all.",
        )

    # --- numbers ------------------------------------------------------------------------------------------------------

    def next_number(self) -> int:
        """A number that no report of this hub had; it is remembered."""
        with self._store.database.transaction():
            number = self._number() + 1
            self._remember(number)
        return number

    def _last_laid(self) -> int:
        """The last number of files that this hub knows of: also one that lay here before it was restored."""
        with self._store.database.lock:
            return max([self._number(FILES_SETTING), *(one.number for one in self._store.sent.all())])

    def _number(self, setting: str = SETTING) -> int:
        with self._store.database.lock:
            run = self._store.database.connection.execute
            row = run("SELECT value FROM settings WHERE name = ?", (setting,)).fetchone()
        return 0 if row is None else int(bytes(row[0]))

    def _remember(self, number: int, setting: str = SETTING) -> None:
        value = str(max(number, self._number(setting))).encode("ascii")
        self._store.database.connection.execute(
            "INSERT OR REPLACE INTO settings (name, value) VALUES (?, ?)", (setting, value)
        )


def _slim(marked: Iterable[Marked], *, evidence: bool = False) -> Iterator[Marked]:
    """The same marks, sharing all that a sheet doesn't show: a whole school's month has seventy thousand."""
    shared: dict[tuple[Mark, str, tuple[str, ...]], Judged] = {}
    pupils: dict[Pupil, Pupil] = {}
    for one in marked:
        mark, rules, records = one.judged.mark, one.judged.rules, one.judged.evidence if evidence else ()
        judged = shared.setdefault((mark, rules, records), Judged("", mark, evidence=records, rules=rules))
        yield Marked(one.session, pupils.setdefault(one.pupil, one.pupil), judged)


def _whose(school_class: str | None) -> str:
    """A class within a file's name."""
    if school_class is None:
        return ""
    return "-" + (re.sub("[^a-z0-9]+", "-", school_class.lower()).strip("-") or "x")[:NAME_CHARACTERS_MAX]


def _term_pieces(stamp: Stamp, spans: Sequence[Span], rows: Sequence[TermRow], language: Language) -> tuple[Piece, ...]:
    name = f"tong-hop-{_ends(spans)[0].isoformat()}"
    return (
        Piece(f"{name}.csv", term_csv(rows, language), {"rows": len(rows)}),
        Piece(f"{name}.json", term_json(rows, stamp, (RULES,)), {"rows": len(rows)}),
    )


def _ends(spans: Sequence[Span]) -> tuple[date, date]:
    if not spans:
        raise ReportRefused("no term is named")
    return min(span.first for span in spans), max(span.last for span in spans)
