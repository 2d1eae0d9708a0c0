"""`k12edge hub meal-plan` and `hub meal-days`: the words of the school's meal plan and of months of meals."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

from k12edge.words import add_config, person

if TYPE_CHECKING:
    from collections.abc import Callable

    from k12edge.words import Command


def add_meals(actions: argparse._SubParsersAction[argparse.ArgumentParser], asking: Callable[..., Command]) -> None:
    """`meal-plan` and `meal-days`; `asking` makes what a command runs."""
    _plan(actions, asking)
    days = actions.add_parser("meal-days", help="what a month's meals came to, pupil by pupil")
    days.add_argument("--month", required=True, metavar="MONTH", help="such as 2026-11")
    days.add_argument("--meal", metavar="MEAL", help="breakfast, lunch, snack or dinner; absent: each of them")
    days.add_argument("--state", action="store_true", help="record it as the month's next version, if anything changed")
    days.add_argument("--reason", metavar="TEXT", help="why a month that was stated before is stated anew")
    days.add_argument("--json", action="store_true", help="print one JSON array")
    days.set_defaults(by=person())
    add_config(days, asking("meal-days", "month", "meal", "state", "reason", "json", "by"))


def _plan(actions: argparse._SubParsersAction[argparse.ArgumentParser], asking: Callable[..., Command]) -> None:
    word = actions.add_parser("meal-plan", help="which meals the school serves, in which shifts, and their locks")
    plan = word.add_subparsers(required=True, metavar="ACTION")
    show = plan.add_parser("show", help="print the document that holds on a day, to be changed and set again")
    show.add_argument("--date", dest="first", metavar="DATE", help="such as 2026-11-23; absent: today")
    add_config(show, asking("meal-plan-show", "first"))
    take = plan.add_parser("set", help="let a document hold from a day on, today at the earliest")
    take.add_argument("file", type=Path, metavar="FILE", help="JSON as `meal-plan show` prints it")
    take.add_argument("--from", dest="first", metavar="DATE", help="such as 2026-11-23; absent: today")
    take.set_defaults(by=person())
    add_config(take, asking("meal-plan-set", "file", "first", "by"))
