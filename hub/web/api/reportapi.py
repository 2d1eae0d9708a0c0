"""Reports for programs: month, day and term as JSON, CSV or workbook, of a class or of the school."""

from __future__ import annotations

from typing import Any

from hub.reporting.making import Form
from hub.web.api.attendanceapi import Class
from hub.web.dayforms import AskedDay
from hub.web.ground import Web
from hub.web.handing import handed, maker_of, reporting_for
from hub.web.pages.reportpages import AskedForm, AskedMonth, month_of, span_of
from hub.web.visits import Visitor

JSON: Form = "json"


def add_report_api(web: Web) -> None:
    """`/v1/reports`."""

    @web.api("GET", "/v1/reports/month", "reports", of="class")
    def month_report(visit: Visitor, month: AskedMonth = None, form: AskedForm = JSON, _class: Class = None) -> Any:
        """The month sheets of a class or of all, each mark beside the records that it rests on."""
        first, last = month_of(visit, month)
        making, by, mine = reporting_for(web, visit), maker_of(visit), visit.school_class
        inline = form == JSON
        return handed(web, visit, form, lambda out: making.month_into(out, form, by, first, last, mine), inline=inline)

    @web.api("GET", "/v1/reports/day", "reports", of="class")
    def day_report(visit: Visitor, day: AskedDay = None, form: AskedForm = JSON, _class: Class = None) -> Any:
        """A day's counts of the school and each class, or of one class, with the pupils and records behind each."""
        making, by, mine = reporting_for(web, visit), maker_of(visit), visit.school_class
        when = day or visit.today
        return handed(web, visit, form, lambda out: making.day_into(out, form, by, when, mine), inline=form == JSON)

    @web.api("GET", "/v1/reports/term", "reports", of="class")
    def term_report(
        visit: Visitor, first: AskedDay = None, last: AskedDay = None, form: AskedForm = JSON, _class: Class = None
    ) -> Any:
        """Half-days of each pupil from a day to another, for the transcript, of a class or of all."""
        span = span_of(web, visit, first, last)
        making, by, mine = reporting_for(web, visit), maker_of(visit), visit.school_class
        return handed(web, visit, form, lambda out: making.term_into(out, form, by, [span], mine), inline=form == JSON)
