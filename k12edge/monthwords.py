"""`k12edge hub audit`: a month's meals handed over."""

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


def _month(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--month", required=True, metavar="MONTH", help="such as 2026-11")
    parser.set_defaults(by=person())
