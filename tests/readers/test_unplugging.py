"""Readers of five kinds at one gateway, unplugged again and again; and the gateway killed while they look."""

from __future__ import annotations

from pathlib import Path

from sim.readers.stories import killed, unplugged


def test_unplugged_again_and_again_every_tap_is_once_and_no_descriptor_is_left(tmp_path: Path) -> None:
    figures, problems = unplugged(tmp_path, 5, 5)
    print(figures)
    assert problems == []


def test_killed_again_and_again_every_reader_reads_again_within_five_seconds(tmp_path: Path) -> None:
    figures, problems = killed(tmp_path, 5, 15)
    print(figures)
    assert problems == []
