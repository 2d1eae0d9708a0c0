"""The campaign from the command line: `python -m sim.tampering --count N --seed N`; exit 0 when all were found."""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
from pathlib import Path

from sim.tampering.campaign import tamper_all


def main() -> int:
    """`count` tamperings; one line a kind."""
    parser = argparse.ArgumentParser(prog="python -m sim.tampering", description=__doc__)
    parser.add_argument("--count", type=int, default=1_000, help="tamperings (default: %(default)s)")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--json", type=Path, metavar="FILE", help="write figures and problems there")
    asked = parser.parse_args()
    if asked.count < 1:
        parser.error("--count must be 1 or more")
    with tempfile.TemporaryDirectory(prefix="k12edge-tampering-") as folder:
        outcome = tamper_all(Path(folder), asked.seed, asked.count)
    for kind, count in sorted(outcome.kinds.items()):
        print(f"{kind}: {count} found")
    print(
        f"{outcome.count} tamperings, {outcome.found} found, {outcome.named} named;"
        f" {outcome.verified_per_s:.0f} records/s proven"
    )
    for problem in outcome.problems[:20]:
        print(f"  {problem}", file=sys.stderr)
    if asked.json is not None:
        asked.json.write_text(
            json.dumps(outcome.as_json(asked.seed), ensure_ascii=False, indent=1) + "\n", encoding="utf-8"
        )
    return 0 if not outcome.problems else 1


if __name__ == "__main__":
    sys.exit(main())
