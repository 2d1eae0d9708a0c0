"""The pages of reports: a class's month as in the school's book, a day's summary, a term's totals; each as a file."""

from __future__ import annotations

import calendar
from datetime import date, timedelta
from typing import TYPE_CHECKING, Annotated, Any, Final

from fastapi import Query
from fastapi.responses import Response

from hub.attendance.knowndays import FIRST_DAY, LAST_DAY
from hub.attendance.marks import MARKS
from hub.attendance.schoolday import WHOLE_SCHOOL
from hub.reporting.making import TERM_DAYS_MAX, Form, ReportRefused
from hub.reports.summaries import Span
from hub.reports.words import stamp_text, standing_text
from hub.web.dayforms import AskedDay, day_words
from hub.web.errors import Refusal
from hub.web.ground import Web
from hub.web.handing import handed, maker_of, refused, reporting_for
from hub.web.pages.cardpages import classes_of
from hub.web.visits import Visit, Visitor

if TYPE_CHECKING:
    from hub.reports.summaries import TermRow

AskedMonth = Annotated[str | None, Query(pattern=r"^\d{4}-\d{2}$", description="YYYY-MM; absent: this month")]
AskedForm = Annotated[Form, Query(alias="format")]
AWAY: Final = ("excused", "unexcused", "late", "left_early", "absent", "not_known")
"""Columns of a term's totals that lead to the half-days behind them."""


def add_report_pages(web: Web) -> None:
    """`/reports` and what hangs on it."""
    _add_choice(web)
    _add_month(web)
    _add_day(web)
    _add_term(web)


def month_of(visit: Visit, month: str | None) -> tuple[date, date]:
    """First and last day of a month as addresses name it; this one where none is named. Raises Refusal."""
    year, number = (visit.today.year, visit.today.month) if month is None else (int(month[:4]), int(month[5:]))
    if not FIRST_DAY.year <= year <= LAST_DAY.year or not 1 <= number <= 12:
        raise Refusal(422, "report-refused", f"{month} is no month from {FIRST_DAY:%Y-%m} to {LAST_DAY:%Y-%m}.")
    return date(year, number, 1), date(year, number, calendar.monthrange(year, number)[1])


def span_of(web: Web, visit: Visit, first: date | None, last: date | None) -> Span:
    """A term: as it is named by its days, else from the school year's first day to today. Raises Refusal."""
    last = last or visit.today
    if first is None:
        with web.store.database.lock:
            document = next(iter(web.store.classbook.timetables(last).values()))
        first = max(min(document.first, last), last - timedelta(days=TERM_DAYS_MAX - 1))
    return Span(f"{first.isoformat()}..{last.isoformat()}", first, last)


def _add_choice(web: Web) -> None:
    @web.page("/reports")
    def reports(visit: Visitor) -> Response:
        with web.store.database.lock:
            document = next(iter(web.store.classbook.timetables(visit.today).values()))
        span = span_of(web, visit, None, None)
        whole = visit.allows("reports", None)
        return web.show(
            visit,
            "reports.html",
            classes=classes_of(web, visit) if whole else [visit.school_class],
            whole=whole,
            month=f"{visit.today:%Y-%m}",
            terms=[term for term in document.terms if term.first <= visit.today],
            span=span,
            files=web.store.config.city.kind == "files" and visit.allows("see-city", None),
        )


def _add_month(web: Web) -> None:
    @web.page("/reports/month")
    def month_page(visit: Visitor, month: AskedMonth = None) -> Response:
        first, last = month_of(visit, month)
        if visit.school_class is None:
            shown = f"{first:%Y-%m}"
            return web.show(visit, "monthclasses.html", classes=classes_of(web, visit), month=shown)
        try:
            view = reporting_for(web, visit).page(maker_of(visit), first, last, visit.school_class)
        except ReportRefused as problem:
            raise refused(problem) from problem
        return web.show(
            visit,
            "month.html",
            view=view,
            school_class=visit.school_class,
            month=f"{first:%Y-%m}",
            before=f"{first - timedelta(days=1):%Y-%m}",
            after=f"{last + timedelta(days=1):%Y-%m}" if last < visit.today else None,
            **_links(visit),
        )

    @web.file("/reports/month/file", "reports", "month sheet taken", of="class")
    def month_file(visit: Visitor, month: AskedMonth = None, form: AskedForm = "xlsx") -> Response:
        first, last = month_of(visit, month)
        making, by = reporting_for(web, visit), maker_of(visit)
        return handed(web, visit, form, lambda out: making.month_into(out, form, by, first, last, visit.school_class))


def _add_day(web: Web) -> None:
    @web.page("/reports/day")
    def day_page(visit: Visitor, day: AskedDay = None) -> Response:
        when = day or visit.today
        try:
            stamp, lines = reporting_for(web, visit).day_lines(maker_of(visit), when, visit.school_class)
        except ReportRefused as problem:
            raise refused(problem) from problem
        return web.show(
            visit,
            "daysummary.html",
            day=when,
            lines=lines,
            whole=WHOLE_SCHOOL,
            marks=MARKS,
            told=(stamp_text(stamp, visit.language), standing_text(stamp.standing, visit.language)),
            complete=not stamp.standing.waiting,
            words=day_words(web, visit),
            **_links(visit),
        )

    @web.file("/reports/day/file", "reports", "day summary taken", of="class")
    def day_file(visit: Visitor, day: AskedDay = None, form: AskedForm = "xlsx") -> Response:
        making, by = reporting_for(web, visit), maker_of(visit)
        return handed(
            web, visit, form, lambda out: making.day_into(out, form, by, day or visit.today, visit.school_class)
        )


def _add_term(web: Web) -> None:
    @web.page("/reports/term")
    def term_page(visit: Visitor, first: AskedDay = None, last: AskedDay = None) -> Response:
        span = span_of(web, visit, first, last)
        if visit.school_class is None:
            return web.show(visit, "termclasses.html", classes=classes_of(web, visit), span=span)
        try:
            stamp, rows = reporting_for(web, visit).term_totals(maker_of(visit), [span], visit.school_class)
        except ReportRefused as problem:
            raise refused(problem) from problem
        return web.show(
            visit,
            "term.html",
            span=span,
            rows=[(row, _behind(row)) for row in rows],
            school_class=visit.school_class,
            told=(stamp_text(stamp, visit.language), standing_text(stamp.standing, visit.language)),
            complete=not stamp.standing.waiting,
            words=day_words(web, visit),
            labels=web.store.labels.words,
            **_links(visit),
        )

    @web.file("/reports/term/file", "reports", "term totals taken", of="class")
    def term_file(visit: Visitor, first: AskedDay = None, last: AskedDay = None, form: AskedForm = "xlsx") -> Response:
        span = span_of(web, visit, first, last)
        making, by = reporting_for(web, visit), maker_of(visit)
        return handed(web, visit, form, lambda out: making.term_into(out, form, by, [span], visit.school_class))


def _behind(row: TermRow) -> list[tuple[date, str, str]]:
    """The half-days that aren't plain presence: day, half, mark."""
    return [(day, half, mark) for day, half, mark, _ in row.evidence]


def _links(visit: Visit) -> dict[str, Any]:
    """Where numbers may lead: to a class's sheet, to a pupil's day with every tap."""
    return {
        "pupil_too": visit.allows("see-pupil", visit.school_class),
        "class_too": visit.allows("see-class", visit.school_class),
    }
