"""The campaign from the command line: `python -m sim.readers --size small|full`; exit 0 when all was right."""

from __future__ import annotations

import sys
from typing import Final

from sim.campaign import Stories, run_stories
from sim.readers.stories import killed, unplugged

STORIES: Final[Stories] = {
    "unplugged": unplugged,
    "killed": killed,
}
SIZES: Final = {"small": 6, "full": 300}


def main() -> int:
    """Every story, or those named; a count is pulls of each reader."""
    return run_stories("sim.readers", __doc__ or "", STORIES, SIZES)


if __name__ == "__main__":
    sys.exit(main())
