"""`k12edge hub meal-days`, `meal-slip`, `meal-report`, `complaint` and `audit`: the words of a month's meals."""

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
    days = actions.add_parser("meal-days", help="a month's meals pupil by pupil, as counted now and as stated")
    _month(days)
    days.add_argument("--json", action="store_true", help="print one JSON object")
    days.add_argument("--state", action="store_true", help="state what counts otherwise than it was stated; a record")
    days.add_argument("--reason", metavar="TEXT", help="why a month is stated anew; it needs one")
    add_config(days, asking("meal-days", "month", "json", "state", "reason", "by"))
    audit = actions.add_parser("audit", help="a month's meals as a zip that `k12edge verify` counts again, offline")
    _month(audit)
    audit.add_argument(
        "--out", dest="file", required=True, type=Path, metavar="FILE", help="where to write; must not exist"
    )
    add_config(audit, asking("meal-audit", "month", "file", "by"))


def _month(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--month", required=True, metavar="MONTH", help="such as 2026-11")
    parser.set_defaults(by=person())
