"""The words of `k12edge incident` and `k12edge hub incident`: which meals, who is ill, an exercise or not, where to."""

from __future__ import annotations

import argparse
from pathlib import Path


def add_incident_words(parser: argparse.ArgumentParser) -> None:
    """What both commands take."""
    parser.add_argument("--meal", metavar="MEAL", help="breakfast, lunch, snack or dinner")
    parser.add_argument("--date", metavar="DATE", help="the meal's day, such as 2026-11-23; absent: today")
    parser.add_argument("--last-hours", metavar="N", help="every meal of the last N hours, such as 72")
    parser.add_argument(
        "--ill", type=Path, metavar="FILE", help="who is ill: a pupil's key or code a line, behind it ill or well"
    )
    parser.add_argument("--drill", action="store_true", help="an exercise: DIỄN TẬP stands on everything")
    parser.add_argument(
        "--out", required=True, type=Path, metavar="DIR", help="where the files go; it is made where it is missing"
    )
