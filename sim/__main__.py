"""The whole-chain simulator: `python -m sim --seed N [--days D]`; exit 0 when every promise was kept.

One seed is one run, bit for bit: the same faults at the same steps, the same bytes at the city. A seed that breaks a
promise is run again ever smaller, and told as a short story.
"""

from __future__ import annotations

import argparse
import multiprocessing
import os
import sys
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import msgspec

from sim.world.coverage import covered, table, uncovered
from sim.world.faults import KINDS
from sim.world.plan import PUPILS, Plan, draw
from sim.world.run import Outcome, run
from sim.world.seedbook import ForeignBook, SeedBook, SeedKept, told
from sim.world.shrink import shrink, story

TABLE_SEEDS = 200
"""From so many seeds on a fault that never took effect fails the campaign."""


def main() -> int:
    """Run one seed or many."""
    parser = argparse.ArgumentParser(prog="python -m sim", description=__doc__.partition("\n")[0])
    parser.add_argument("--seed", type=int, default=1, help="the seed, or the first of several (default: %(default)s)")
    parser.add_argument("--seeds", type=int, default=1, help="how many seeds (default: %(default)s)")
    parser.add_argument("--days", type=int, default=1, help="school days a seed (default: %(default)s)")
    parser.add_argument("--pupils", type=int, default=PUPILS, help="pupils, three taps a day (default: %(default)s)")
    parser.add_argument("--no-faults", action="store_true", help="a day on which nothing fails")
    parser.add_argument("--twice", action="store_true", help="run each seed twice, and hold the two against each other")
    parser.add_argument("--keep-whole", action="store_true", help="don't shrink a seed that breaks a promise")
    parser.add_argument("--jobs", type=int, default=os.cpu_count() or 1, help="processes (default: one a core)")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the figures there")
    parser.add_argument("--book", type=Path, metavar="FILE", help="note each seed there, and go on from what it holds")
    asked = parser.parse_args()
    if min(asked.seeds, asked.days, asked.pupils, asked.jobs) < 1:
        parser.error("seeds, days, pupils and jobs are whole numbers from 1")
    _fix_hashes()
    try:
        book = asked.book and SeedBook.opened(asked.book, asked.days, asked.pupils, faults=not asked.no_faults)
    except (ForeignBook, OSError) as problem:
        parser.error(f"--book: {problem}")
    return _campaign(asked, book)


def _fix_hashes() -> None:
    """Sets of texts are walked in an order that depends on PYTHONHASHSEED: a replay needs the same one."""
    if os.environ.get("PYTHONHASHSEED") != "0":
        os.environ["PYTHONHASHSEED"] = "0"
        os.execv(sys.executable, [sys.executable, "-m", "sim", *sys.argv[1:]])


def _campaign(asked: argparse.Namespace, book: SeedBook | None) -> int:
    began_s = time.monotonic() - (book.passed_s if book else 0.0)
    kinds = [(kind.name, kind.shortest_s, kind.longest_s) for kind in KINDS]
    plans = [
        Plan(seed, asked.days, asked.pupils) if asked.no_faults else draw(seed, asked.days, asked.pupils, kinds)
        for seed in range(asked.seed, asked.seed + asked.seeds)
    ]
    seeds = [book.kept[plan.noise] for plan in plans if book and plan.noise in book.kept]
    if seeds:
        print(f"run before: {len(seeds)} of {len(plans)} seeds", flush=True)
    problems: list[str] = []
    for outcome in _outcomes([plan for plan in plans if not book or plan.noise not in book.kept], asked.jobs):
        seed = told(outcome, time.monotonic() - began_s)
        seeds.append(seed)
        print(_line(seed, "kept" if outcome.kept else f"BROKEN: {outcome.problems[0].rule}"), flush=True)
        found = _found(outcome, asked)
        problems += found
        if book and not found:
            book.write(seed)
    fired: Counter[str] = Counter()
    for seed in seeds:
        fired.update(seed.fired)
    signals, anchored = sum(seed.signals for seed in seeds), sum(seed.anchored for seed in seeds)
    worst_ms = max(seed.worst_ms for seed in seeds)
    rows = covered(fired)
    print("\n".join(table(rows)))
    if len(plans) >= TABLE_SEEDS and not asked.no_faults:
        problems += [f"fault {name} never took effect" for name in uncovered(rows)]
    passed_s = time.monotonic() - began_s
    print(
        f"{len(plans)} seeds, {signals} signals, {anchored} anchored times, the worst {worst_ms} ms off;"
        f" {sum(seed.seconds for seed in seeds) / len(seeds):.1f} s a seed, {passed_s:.0f} s in all:"
        f" {len(problems)} problems"
    )
    for problem in problems:
        print(f"  {problem}")
    if asked.json is not None:
        figures = {"seeds": len(plans), "days": asked.days, "signals": signals, "worst_ms": worst_ms}
        figures |= {row.name: row.effects for row in rows}
        report = {
            "name": "sim",
            "seed": asked.seed,
            "seconds": round(passed_s, 1),
            "kept": not problems,
            "figures": figures,
            "problems": problems,
        }
        asked.json.write_bytes(msgspec.json.format(msgspec.json.encode(report), indent=1) + b"\n")
    return 1 if problems else 0


def _found(outcome: Outcome, asked: argparse.Namespace) -> list[str]:
    """What is wrong with a seed, in a line each; a broken promise is told as a story."""
    problems = []
    if asked.twice and (other := run(outcome.plan)).digest != outcome.digest:
        problems.append(f"seed {outcome.plan.noise}: two runs differ: {outcome.digest} {other.digest}")
    if not outcome.kept:
        least = outcome if asked.keep_whole else shrink(outcome)
        problems.append(f"seed {outcome.plan.noise}: {outcome.problems[0].rule}")
        print("\n".join(story(least)), flush=True)
    return problems


def _outcomes(plans: list[Plan], jobs: int) -> Iterator[Outcome]:
    if jobs == 1 or len(plans) <= 1:
        yield from map(run, plans)
        return
    with multiprocessing.get_context("spawn").Pool(min(jobs, len(plans))) as pool:
        yield from pool.imap(run, plans)


def _line(seed: SeedKept, words: str) -> str:
    return (
        f"seed {seed.seed}: {seed.faults} faults, {seed.signals} signals,"
        f" {seed.city} records at the city, {seed.steps} steps, {seed.seconds:.1f} s,"
        f" {seed.digest[:12]}: {words}"
    )


if __name__ == "__main__":
    sys.exit(main())
