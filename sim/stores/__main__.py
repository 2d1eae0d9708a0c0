"""The campaign from the command line: `python -m sim.stores --seed N --size small|full`; exit 0 when all was right."""

from __future__ import annotations

import sys
from typing import Final

from sim.campaign import Stories, run_stories
from sim.stores import copies, hubs, running, slow
from sim.stores.boot import boots

STORIES: Final[Stories] = {
    "boots": boots,
    "failing-once": running.failing_once,
    "read-only": running.read_only,
    "real-read-only": running.real_read_only,
    "slow": slow.slow,
    "no-inodes": running.no_inodes,
    "no-descriptors": running.no_descriptors,
    "no-memory": running.no_memory,
    "no-log": running.no_log,
    "twice": running.twice,
    "live-copy": copies.live_copy,
    "newer-schema": copies.newer_schema,
    "hub-boots": hubs.hub_boots,
    "hub-failing-once": hubs.hub_failing_once,
    "hub-read-only": hubs.hub_read_only,
    "hub-slow": hubs.hub_slow,
}
SIZES: Final = {"small": 12, "full": 100}


def main() -> int:
    """Every story, or those named; `count` damages by size."""
    return run_stories("sim.stores", __doc__ or "", STORIES, SIZES)


if __name__ == "__main__":
    sys.exit(main())
