"""`python -m bench`: measures everything, prints the table, writes RESULTS.md.

Exit codes: 0 the table was measured, also where a figure is missed; 1 a figure couldn't be measured, or taps were lost
or doubled; 2 wrong usage.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
import traceback
from collections.abc import Callable
from pathlib import Path

from bench.burst import measure_burst
from bench.counters import measure_counters
from bench.drain import measure_drain
from bench.durable import measure_durable_tap
from bench.figure import Figure
from bench.footprint import measure_footprint
from bench.incident import measure_incident
from bench.intake import measure_intake
from bench.kiosk import measure_kiosk
from bench.kitchen import measure_kitchen
from bench.lists import measure_lists
from bench.lunch import measure_lunch
from bench.machine import describe_machine
from bench.reaction import measure_reaction
from bench.readers import measure_readers
from bench.reports import measure_reports
from bench.roster import measure_roster
from bench.schoolyear import measure_school_year
from bench.staffpages import measure_staff_pages
from bench.storage import measure_storage
from bench.table import as_markdown, as_text, write_json
from bench.workshop import Workshop

MEASUREMENTS: dict[str, Callable[[Workshop], list[Figure]]] = {
    "durable": measure_durable_tap,
    "burst": measure_burst,
    "reaction": measure_reaction,
    "drain": measure_drain,
    "intake": measure_intake,
    "footprint": measure_footprint,
    "storage": measure_storage,
    "readers": measure_readers,
    "reports": measure_reports,
    "lists": measure_lists,
    "roster": measure_roster,
    "pages": measure_staff_pages,
    "schoolyear": measure_school_year,
    "incident": measure_incident,
    "counters": measure_counters,
    "kiosk": measure_kiosk,
    "kitchen": measure_kitchen,
    "lunch": measure_lunch,
}
FOLDER = Path(__file__).parents[1] / "build"
"""On the repository's disk: a temporary directory may live in memory, where a sync costs nothing."""
RESULTS = Path(__file__).parent / "RESULTS.md"


def build_parser() -> argparse.ArgumentParser:
    """The options."""
    parser = argparse.ArgumentParser(prog="python -m bench", description="Measure what k12edge says of its speed.")
    parser.add_argument(
        "--only", action="append", choices=MEASUREMENTS, metavar="NAME", help=f"one of {', '.join(MEASUREMENTS)}; again"
    )
    parser.add_argument("--quick", action="store_true", help="fewer rounds, a smaller backlog: rough numbers soon")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the figures for programs")
    parser.add_argument(
        "--folder",
        type=Path,
        metavar="DIR",
        default=FOLDER,
        help="measure the disk of this directory (default: build/)",
    )
    return parser


def main() -> int:
    """Measure; the exit code."""
    arguments = build_parser().parse_args()
    began_s = time.monotonic()
    figures: list[Figure] = []
    failed: list[str] = []
    arguments.folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="k12edge-bench-", dir=arguments.folder) as folder:
        shop = Workshop(Path(folder), quick=arguments.quick)
        machine = describe_machine(shop.folder)
        for name in arguments.only or MEASUREMENTS:
            try:
                figures += MEASUREMENTS[name](shop)
            except Exception as problem:
                # The other figures are still worth having; the exit code tells.
                traceback.print_exc()
                failed.append(f"{name}: {type(problem).__name__}: {problem}")
    figures.sort(key=lambda figure: figure.row)
    print(as_text(machine, figures))
    for text in failed:
        print(f"NOT MEASURED {text}")
    if arguments.json is not None:
        write_json(arguments.json, machine, figures, time.monotonic() - began_s)
    if not (failed or arguments.only or arguments.quick):
        RESULTS.write_text(as_markdown(machine, figures), encoding="utf-8")
    shop.say("done")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
