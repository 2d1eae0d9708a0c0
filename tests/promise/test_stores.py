"""Storage that fails, fills, turns read-only, lies broken or was copied: no signal without its record; all arrives."""

from __future__ import annotations

from pathlib import Path

import pytest

from sim.campaign import StorySkipped
from sim.stores.__main__ import STORIES

COUNTS = {"boots": 7, "failing-once": 6, "hub-boots": 3, "hub-failing-once": 3}
"""Damages or faults of a story; the campaign takes more."""


@pytest.mark.parametrize("name", STORIES)
def test_whatever_the_storage_does_what_was_signalled_is_there_and_arrives(name: str, tmp_path: Path) -> None:
    try:
        figures, problems = STORIES[name](tmp_path, 4, COUNTS.get(name, 4))
    except StorySkipped as problem:
        pytest.skip(str(problem))
    print(figures)
    assert problems == []
