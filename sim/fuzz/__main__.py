"""The campaign from the command line: `python -m sim.fuzz --seed N --count N`; exit 0 when every parser held.

An input is named by parser, seed and number: `--parser NAME --seed N --only NUMBER` takes it again and shows it.
"""

from __future__ import annotations

import argparse
import json
import shutil
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

from sim.fuzz.counters import CounterWords
from sim.fuzz.driver import DriverLine
from sim.fuzz.files import KeyStores, Pages, Witnesses
from sim.fuzz.gateway import Configurations, DeviceConfigs, HubStates, Pn532Frames, Receipts, Replays
from sim.fuzz.language import Batches, DeviceStates, Records, SignedMessages, Words
from sim.fuzz.lists import Books, Lists, OneRosters
from sim.fuzz.numbers import CardForms, SerialLines
from sim.fuzz.packs import Packs
from sim.fuzz.parser import Parser
from sim.fuzz.piles import Piles
from sim.fuzz.proofs import RawReads
from sim.fuzz.queries import Queries
from sim.fuzz.readers import OsdpLine, PcscAnswers
from sim.fuzz.rosters import Rosters
from sim.fuzz.running import Outcome, explained, own_folder, run
from sim.fuzz.school import CityAnswers, ControlRequests, KeyFiles, RosterSheets
from sim.fuzz.typed import TypedKeys

PARSERS: Final[dict[str, type[Parser]]] = {
    parser.name: parser
    for parser in (
        Pn532Frames, Batches, Records, Receipts, Rosters, Configurations, CityAnswers, DeviceStates, HubStates,
        DeviceConfigs, SignedMessages, Words, ControlRequests, RosterSheets, KeyFiles, KeyStores, Replays, Pages,
        Witnesses, RawReads, CounterWords,
        SerialLines, TypedKeys, PcscAnswers, OsdpLine, CardForms,
        Lists, OneRosters, Books, Packs, Piles,
        Queries, DriverLine,
    )
}  # fmt: skip
"""Every parser. The first seven, and those of the readers, take whatever a stranger's line, card or server can send."""


def main(words: list[str] | None = None) -> int:
    """Run the parsers asked for."""
    options = argparse.ArgumentParser(prog="python -m sim.fuzz", description=__doc__)
    options.add_argument("--seed", type=int, default=1)
    options.add_argument("--count", type=int, default=100_000, help="inputs a parser (default: %(default)s)")
    options.add_argument("--first", type=int, default=0, help="number of the first input, to go on with a run")
    options.add_argument("--parser", choices=tuple(PARSERS), action="append", help="only this one; may be repeated")
    options.add_argument("--only", type=int, metavar="NUMBER", help="take this input of one parser again and show it")
    options.add_argument("--jobs", type=int, default=1, help="processes (default: %(default)s)")
    options.add_argument("--json", type=Path, metavar="FILE")
    asked = options.parse_args(words)
    names = asked.parser or list(PARSERS)
    if asked.only is not None:
        if len(names) != 1:
            options.error("--only needs one --parser")
        return _again(PARSERS[names[0]], asked.seed, asked.only)
    if asked.count < 1 or asked.jobs < 1 or asked.seed < 0 or asked.first < 0:
        options.error("--count and --jobs begin at 1, --seed and --first at 0")
    begun_s = time.monotonic()
    outcomes = []
    for name in names:
        parser = PARSERS[name]
        outcomes.append(run(parser, asked.seed, max(1, asked.count // parser.share), asked.jobs, asked.first))
        print(outcomes[-1], flush=True)
        for what, (number, times) in outcomes[-1].problems.items():
            print(f"  --parser {name} --seed {asked.seed} --only {number} ({times} times): {what}", flush=True)
    kept = not any(outcome.problems for outcome in outcomes)
    if asked.json is not None:
        told = _told(outcomes, asked.seed, time.monotonic() - begun_s)
        asked.json.write_text(json.dumps(told, indent=1) + "\n", encoding="utf-8")
    return 0 if kept else 1


def _again(make: Callable[[Path], Parser], seed: int, number: int) -> int:
    folder = own_folder()
    try:
        parser = make(folder)
        text, kept = explained(parser, seed, number)
        parser.close()
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    print(text)
    return 0 if kept else 1


def _told(outcomes: list[Outcome], seed: int, seconds: float) -> dict[str, Any]:
    figures: dict[str, float] = {}
    problems = []
    for one in outcomes:
        numbers = {
            "inputs": one.inputs,
            "taken": one.taken,
            "followed": one.followed,
            "refusal_sites": len(one.sites),
            "slowest_ms": round(one.slowest_ms, 3),
            "peak_bytes": one.peak_bytes,
            "growth_bytes": one.growth_bytes,
            "seconds": round(one.seconds, 1),
        }
        figures |= {f"{one.parser}_{name}": value for name, value in numbers.items()}
        problems += [
            f"{one.parser} --seed {seed} --only {at} ({n} times): {what}" for what, (at, n) in one.problems.items()
        ]
    return {
        "name": "fuzz", "seed": seed, "seconds": round(seconds, 1), "kept": not problems, "figures": figures,
        "problems": problems,
    }  # fmt: skip


if __name__ == "__main__":
    sys.exit(main())
