"""`k12edge hub meal-days`: the words of months of meals."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING

from k12edge.words import add_config, person

if TYPE_CHECKING:
    from collections.abc import Callable

    from k12edge.words import Command


def add_meals(actions: argparse._SubParsersAction[argparse.ArgumentParser], asking: Callable[..., Command]) -> None:
    """`meal-days`; `asking` makes what a command runs."""
    days = actions.add_parser("meal-days", help="what a month's meals came to, pupil by pupil")
    days.add_argument("--month", required=True, metavar="MONTH", help="such as 2026-11")
    days.add_argument("--meal", metavar="MEAL", help="breakfast, lunch, snack or dinner; absent: each of them")
    days.add_argument("--state", action="store_true", help="record it as the month's next version, if anything changed")
    days.add_argument("--reason", metavar="TEXT", help="why a month that was stated before is stated anew")
    days.add_argument("--json", action="store_true", help="print one JSON array")
    days.set_defaults(by=person())
    add_config(days, asking("meal-days", "month", "meal", "state", "reason", "json", "by"))
