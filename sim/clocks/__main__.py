"""The campaign from the command line: `python -m sim.clocks --seed N --size small|full`; exit 0 when all was right."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Final

from sim.campaign import Figures, run_campaign
from sim.clocks.stories import STORIES, tell

SIZES: Final = {"small": 2, "full": 12}


def main() -> int:
    """Every story, or those named; taps at each turn by size."""
    return run_campaign("sim.clocks", __doc__ or "", list(STORIES), SIZES, _told)


def _told(name: str, folder: Path, seed: int, count: int) -> tuple[Figures, list[str]]:
    found = tell(name, folder, seed, count)
    figures: Figures = {
        "taps": found.taps,
        "exact": found.exact,
        "worst_exact_ms": round(found.worst_exact_ms, 1),
        "anchored": found.bounded,
        "open": found.open,
        "widest_ms": round(found.widest_ms, 1),
    }
    return figures, found.problems


if __name__ == "__main__":
    sys.exit(main())
