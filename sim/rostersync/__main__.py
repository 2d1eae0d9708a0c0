"""The campaign from the command line: `python -m sim.rostersync --seeds 200`; exit 0 when nobody was lost or stayed."""

from __future__ import annotations

import argparse
import json
import multiprocessing
import os
import sys
import time
from collections import Counter
from collections.abc import Iterator
from functools import partial
from pathlib import Path

from sim.rostersync.story import INCIDENTS, Told, tell

PUPILS = 2000
EVERY_SEEDS = 100
"""From so many seeds on an incident that never happened, or a naive walk that lost nobody, fails the campaign."""
SHOWN_MAX = 20


def main() -> int:
    """Live through every seed."""
    parser = argparse.ArgumentParser(prog="python -m sim.rostersync", description=__doc__.partition("\n")[0])
    parser.add_argument("--seed", type=int, default=1, help="the first seed (default: %(default)s)")
    parser.add_argument("--seeds", type=int, default=5, help="how many seeds (default: %(default)s)")
    parser.add_argument("--pupils", type=int, default=PUPILS, help="pupils of the school (default: %(default)s)")
    parser.add_argument("--jobs", type=int, default=os.cpu_count() or 1, help="processes (default: one a core)")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write figures and problems there")
    asked = parser.parse_args()
    if min(asked.seeds, asked.pupils, asked.jobs) < 1:
        parser.error("seeds, pupils and jobs are whole numbers from 1")
    began_s = time.monotonic()
    figures: Counter[str] = Counter({"seeds": asked.seeds, "lost": 0, "ghosts": 0, "guard tripped for nothing": 0})
    problems: list[str] = []
    for told in _told(range(asked.seed, asked.seed + asked.seeds), asked.pupils, asked.jobs):
        figures.update(told.figures)
        problems += told.problems
    problems += judged(figures, asked.seeds)
    took_s = time.monotonic() - began_s
    for name, value in figures.items():
        print(f"{value:>10,} {name}")
    print(f"{'kept' if not problems else 'BROKEN'}; {took_s:.1f} s", flush=True)
    for wrong in problems[:SHOWN_MAX]:
        print(f"  {wrong}", file=sys.stderr, flush=True)
    if asked.json is not None:
        said = {
            "name": "sim.rostersync",
            "seed": asked.seed,
            "seconds": round(took_s, 1),
            "kept": not problems,
            "figures": figures,
            "problems": problems,
        }
        asked.json.write_text(json.dumps(said, ensure_ascii=False, indent=1) + "\n", encoding="utf-8")
    return 1 if problems else 0


def _told(seeds: range, pupils: int, jobs: int) -> Iterator[Told]:
    live = partial(tell, pupils=pupils)
    if jobs == 1 or len(seeds) == 1:
        yield from map(live, seeds)
        return
    with multiprocessing.get_context("spawn").Pool(min(jobs, len(seeds))) as pool:
        yield from pool.imap(live, seeds)


def judged(figures: Counter[str], seeds: int) -> list[str]:
    """What is wrong with the figures of a campaign: it looked at too little, or its judge can't see a loss."""
    wrong = []
    if figures["guard tripped"] != figures["guard had to trip"]:
        wrong.append(f"the guard tripped {figures['guard tripped']} of {figures['guard had to trip']} times")
    if seeds >= EVERY_SEEDS:
        wrong += [f"{name} never happened" for name in INCIDENTS if not figures[name]]
        wrong += [
            f"{name} is 0: the judge can't see a loss"
            for name in figures
            if name.startswith("naive") and not figures[name]
        ]
    return wrong


if __name__ == "__main__":
    sys.exit(main())
