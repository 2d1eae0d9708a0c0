"""The power-cut campaign: real processes recorded, the power cut at every step, every state opened and judged.

`python -m sim.powercut [--seed N] [--size small|full] [--story NAME] [--json FILE]`; exit 0: the promise was kept.
"""

from __future__ import annotations

import argparse
import json
import logging
import sys
import tempfile
import time
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import Final

from protocol.errors import NeedsHands
from sim.powercut.chain import on_the_road
from sim.powercut.damage import recovery, rescue, set_aside
from sim.powercut.gateway import Sizes, after_a_kill, checkpoints, first_boot, migration
from sim.powercut.hub import hub_after_a_kill, hub_first_boot, hub_migration, keys_import
from sim.powercut.lying import lying_card
from sim.powercut.outcome import Outcome

Story = Callable[[Path, int, Sizes], Outcome]
STORIES: Final[Mapping[str, Story]] = {
    "first-boot": first_boot,
    "after-a-kill": after_a_kill,
    "checkpoints": checkpoints,
    "migration": migration,
    "set-aside": set_aside,
    "rescue": rescue,
    "recovery": partial(recovery, count=4),
    "on-the-road": on_the_road,
    "hub-first-boot": hub_first_boot,
    "hub-after-a-kill": hub_after_a_kill,
    "hub-migration": hub_migration,
    "hub-keys-import": keys_import,
    "lying-card": partial(lying_card, count=80),
}
SIZES: Final = {"small": Sizes(8, 2), "full": Sizes(16, 3, draws=10, jobs=2)}
ROUNDS: Final = {"small": 1, "full": 3}
"""How often each story is told, each time from another seed."""
TOLD_MAX: Final = 40


def main() -> int:
    """Tell the stories; one line each."""
    parser = argparse.ArgumentParser(prog="python -m sim.powercut", description=__doc__)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--size", choices=sorted(SIZES), default="small")
    parser.add_argument("--story", choices=sorted(STORIES), action="append", help="only this one; may be repeated")
    parser.add_argument("--rounds", type=int, help="how often each story is told, each time from another seed")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the figures here")
    asked = parser.parse_args()
    # The code under test says what it mends, once for every state.
    logging.disable(logging.CRITICAL)
    began_s = time.monotonic()
    whole, problems = Outcome(), list[str]()
    for name in asked.story or STORIES:
        for number in range(asked.rounds or ROUNDS[asked.size]):
            seed = asked.seed + number
            outcome = told(name, seed, SIZES[asked.size])
            print(f"{name} {seed}: {outcome}", flush=True)
            found = [f"{name} {seed}: {problem}" for problem in outcome.problems()]
            for problem in found[:TOLD_MAX]:
                print(f"  {problem}", flush=True)
            problems += found
            whole.add(outcome)
    print(f"all: {whole}")
    if asked.json is not None:
        report = {
            "name": "powercut",
            "seed": asked.seed,
            "seconds": round(time.monotonic() - began_s, 1),
            "kept": not problems,
            "figures": whole.figures(),
            "problems": problems[:1000],
        }
        asked.json.write_text(json.dumps(report, ensure_ascii=False, indent=1) + "\n", encoding="utf-8")
    return 1 if problems else 0


def told(name: str, seed: int, sizes: Sizes) -> Outcome:
    """One story in a folder of its own; a part that doesn't run as it must is a problem like any other."""
    with tempfile.TemporaryDirectory(prefix="k12edge-powercut-") as folder:
        try:
            return STORIES[name](Path(folder), seed, sizes)
        except NeedsHands as problem:
            return Outcome(corrupt=[f"the story can't be told: {problem}"])


if __name__ == "__main__":
    sys.exit(main())
