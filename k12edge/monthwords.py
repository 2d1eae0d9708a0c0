"""`k12edge hub audit`, `meal-paper` and `complaint`: meals as files, and what parents say of them."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

from k12edge.words import add_config, person

if TYPE_CHECKING:
    from collections.abc import Callable

    from k12edge.words import Command


def add_months(actions: argparse._SubParsersAction[argparse.ArgumentParser], asking: Callable[..., Command]) -> None:
    """Each of them; `asking` makes what a command runs."""
    audit = actions.add_parser("audit", help="a month's meals as a zip that `k12edge verify` counts again, offline")
    _month(audit)
    audit.add_argument(
        "--out", dest="file", required=True, type=Path, metavar="FILE", help="where to write; must not exist"
    )
    add_config(audit, asking("meal-audit", "month", "file", "by"))
    paper = actions.add_parser("meal-paper", help="a paper of meals as a file: sheet, slip, month, ratings, links")
    paper.add_argument("what", metavar="WHAT", help="kitchen, public, ratings, food, month or slip")
    paper.add_argument("--date", metavar="DATE", help="of this day, such as 2026-11-23")
    paper.add_argument("--month", metavar="MONTH", help="of this month; month and slip need one")
    paper.add_argument("--meal", metavar="MEAL", help="breakfast, lunch, snack or dinner; absent: lunch")
    paper.add_argument("--student", metavar="KEY", help="whose slip it is")
    paper.add_argument("--names", action="store_true", help="a month with names, not keys alone")
    paper.add_argument("--format", metavar="FORM", help="pdf, xlsx, csv or json; absent: as FILE ends")
    paper.add_argument(
        "--into", dest="file", required=True, type=Path, metavar="FILE", help="where to write; must not exist"
    )
    paper.set_defaults(by=person())
    words = ("what", "date", "month", "meal", "student", "names", "format", "file", "by")
    add_config(paper, asking("meal-paper", *words))
    _complaints(actions, asking)


def _complaints(actions: argparse._SubParsersAction[argparse.ArgumentParser], asking: Callable[..., Command]) -> None:
    word = actions.add_parser("complaint", help="what parents say of meals").add_subparsers(
        required=True, metavar="ACTION"
    )
    add = word.add_parser("add", help="take what a parent says of their child's meals; a record")
    add.add_argument("student", metavar="KEY", help="the pupil's key")
    _month(add)
    add.add_argument("--date", metavar="DATE", help="of this day only")
    add.add_argument("--meal", metavar="MEAL", help="of this meal only")
    add.add_argument("--says", required=True, metavar="TEXT", help="one line, at most 400 characters")
    add_config(add, asking("complaint-add", "student", "month", "date", "meal", "says", "by"))
    answer = word.add_parser("answer", help="answer a complaint; a record")
    answer.add_argument("record", metavar="RECORD", help="the complaint's record, as the list has it")
    answer.add_argument("--says", required=True, metavar="TEXT", help="one line, at most 400 characters")
    answer.set_defaults(by=person())
    add_config(answer, asking("complaint-answer", "record", "says", "by"))
    known = word.add_parser("list", help="a month's complaints and answers")
    _month(known)
    known.add_argument("--json", action="store_true", help="print one JSON array")
    add_config(known, asking("complaint-list", "month", "json", "by"))


def _month(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--month", required=True, metavar="MONTH", help="such as 2026-11")
    parser.set_defaults(by=person())
