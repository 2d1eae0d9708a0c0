"""How soon something has to come: as written where a test runs alone, later where tests run beside each other.

A bound that tells "held up" from "at once" holds as written in `python -m tests.mutants`, which runs one at a time.
"""

from __future__ import annotations

import os
from typing import Final

FACTOR: Final = 4 if "PYTEST_XDIST_WORKER" in os.environ else 1
"""Several tests on each core, each with processes of its own: nothing comes at once there."""


def within(seconds: float) -> float:
    """A bound in seconds, for the machine's load."""
    return seconds * FACTOR
