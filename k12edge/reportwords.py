"""`k12edge hub report` and `hub files`: the words of reports, and of the files that a person sends to the city."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

from k12edge.words import add_config, person

if TYPE_CHECKING:
    from collections.abc import Callable

    from k12edge.words import Command


def add_reports(actions: argparse._SubParsersAction[argparse.ArgumentParser], asking: Callable[..., Command]) -> None:
    """`report month|day|term` and `files make|list|sent`; `asking` makes what a command runs."""
    report = actions.add_parser("report", help="reports as files").add_subparsers(required=True, metavar="ACTION")
    month = report.add_parser("month", help="month sheets as in the school's book, of a class or of all")
    month.add_argument("month", metavar="MONTH", help="such as 2026-11")
    _into(month)
    add_config(month, asking("report-month", "month", "class", "format", "file", "by"))
    day = report.add_parser("day", help="a day's counts, of the school and each class")
    day.add_argument("day", metavar="DATE", help="such as 2026-11-23")
    _into(day)
    add_config(day, asking("report-day", "day", "class", "format", "file", "by"))
    term = report.add_parser("term", help="half-days of each pupil in a term, for the transcript")
    term.add_argument("first", metavar="FIRST", help="the term's first day")
    term.add_argument("last", metavar="LAST", help="its last day")
    _into(term)
    add_config(term, asking("report-term", "first", "last", "class", "format", "file", "by"))
    files = actions.add_parser("files", help="numbered files for the city").add_subparsers(
        required=True, metavar="ACTION"
    )
    make = files.add_parser("make", help="lay a month's files under the next number")
    make.add_argument("month", metavar="MONTH", help="such as 2026-11")
    make.set_defaults(by=person())
    add_config(make, asking("files-make", "month", "by"))
    known = files.add_parser("list", help="every number: days, files, who sent it")
    known.add_argument("--json", action="store_true", help="print one JSON array")
    add_config(known, asking("files-list", "json"))
    sent = files.add_parser("sent", help="say that a number was sent; recorded under your name")
    sent.add_argument("number", metavar="NUMBER", help="the files' number")
    sent.add_argument("--to", required=True, metavar="TEXT", help="to whom, and how")
    sent.set_defaults(by=person())
    add_config(sent, asking("files-sent", "number", "to", "by"))


def _into(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--class", metavar="CLASS", help="of this class only")
    parser.add_argument("--format", metavar="FORM", help="xlsx, csv or json; absent: as FILE ends")
    parser.add_argument(
        "--into", dest="file", required=True, type=Path, metavar="FILE", help="where to write; must not exist"
    )
    parser.set_defaults(by=person())
