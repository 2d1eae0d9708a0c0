"""The campaign from the command line: `python -m sim.powercut --seed N --taps N`; exit 0 when the promise was kept."""

from __future__ import annotations

import argparse
import sys
import tempfile
from pathlib import Path

from sim.powercut.gateway import after_a_kill, first_boot


def main() -> int:
    """Record two real runs of a gateway and replay every cut of them."""
    parser = argparse.ArgumentParser(prog="python -m sim.powercut", description=__doc__)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--taps", type=int, default=40, help="taps a station and run (default: %(default)s)")
    parser.add_argument("--stations", type=int, default=3)
    asked = parser.parse_args()
    kept = True
    for story in (first_boot, after_a_kill):
        with tempfile.TemporaryDirectory(prefix="k12edge-powercut-") as folder:
            outcome = story(Path(folder), asked.seed, asked.taps, asked.stations)
        print(f"{story.__name__}: {outcome}")
        for problem in [*outcome.lost, *outcome.double, *outcome.corrupt][:20]:
            print(f"  {problem}")
        kept = kept and outcome.kept
    return 0 if kept else 1


if __name__ == "__main__":
    sys.exit(main())
