"""Clocks that are wrong, stepped, drifting or never set: at the city every tap has its true time within the bound."""

from __future__ import annotations

from pathlib import Path

import pytest

from sim.clocks.stories import STORIES, tell

EXACT = {"anchored-later", "steps", "reboot-before-anchor", "hub-never-ntp", "midnight", "2038", "held-up"}
"""Stories in which an anchor vouches for taps, each of which is dated within a second then."""


@pytest.mark.parametrize("name", STORIES)
def test_the_truth_lies_within_every_bound_at_the_city(name: str, tmp_path: Path) -> None:
    found = tell(name, tmp_path, 5, 1)
    print(found)
    assert found.problems == []
    assert found.taps >= 1
    assert (found.exact > 0) or name not in EXACT
    assert found.worst_exact_ms <= 1_000
