"""A hub restored from an older copy, and one replaced by an empty machine: the gateways fill it again."""

from __future__ import annotations

import shutil
from pathlib import Path
from random import Random

import pytest

from edge.lane import WAITING_MAX
from sim.parts import until
from sim.road import Road

TAPS = WAITING_MAX - 4
"""At once, so no more than a lane holds: on a slow disk those beyond would get an alarm, as they should."""


class Day:
    """A road with one gateway, whose pupils tap in portions."""

    def __init__(self, folder: Path) -> None:
        self.road = Road(folder)
        self.queue = folder / "queue.txt"
        self.gateway = self.road.add_gateway("cong", {"cong-a": ("gate", f"replay:{self.queue}")})
        self._rng = Random(5)

    def tap(self) -> None:
        """The gateway starts (again), and TAPS pupils tap."""
        lines = (f"5 a:04{self._rng.randbytes(6).hex().upper()} 20\n" for _ in range(TAPS))
        self.queue.write_text("".join(lines), encoding="ascii")
        before = self.road.answered("cong")
        self.gateway.stop()
        self.gateway.start()
        until(
            lambda: self.road.answered("cong") >= before + TAPS,
            "not everybody was signalled",
            also=self.road.check,
            moving=self.road.progress,
        )

    def drained(self) -> None:
        until(
            self.road.drained,
            f"not everything arrived: {self.road.status()}",
            also=self.road.check,
            within_s=40,
            moving=self.road.progress,
        )

    def hold(self) -> None:
        found = self.road.reckon(1)
        assert found.kept, found.as_json()
        assert found.signals >= 3 * TAPS
        assert found.signals == found.journal == found.hub == found.city


@pytest.fixture
def day(tmp_path: Path) -> Day:
    made = Day(tmp_path)
    made.road.city.start()
    made.road.hub.start()
    made.road.accept()
    return made


def test_a_hub_restored_from_an_older_copy_is_filled_again(day: Day, tmp_path: Path) -> None:
    try:
        day.tap()
        day.drained()
        assert day.road.hub.stop() == 0
        shutil.copytree(tmp_path / "hub", tmp_path / "backup")
        day.road.hub.start()
        day.tap()
        day.drained()
        day.road.hub.kill()
        shutil.rmtree(tmp_path / "hub")
        shutil.copytree(tmp_path / "backup", tmp_path / "hub")
        day.road.hub.start()
        day.tap()
        day.drained()
        day.hold()
    finally:
        ends = day.road.stop()
    assert ends == dict.fromkeys(ends, 0)


def test_a_hub_replaced_by_an_empty_machine_is_filled_again(day: Day, tmp_path: Path) -> None:
    keys = tmp_path / "keys.export"
    try:
        day.tap()
        day.drained()
        day.road.command("keys", "export", str(keys))
        day.tap()
        day.drained()
        day.road.hub.kill()
        shutil.rmtree(tmp_path / "hub")
        day.road.command("keys", "import", str(keys))
        day.road.hub.start()
        day.tap()
        day.drained()
        day.hold()
    finally:
        ends = day.road.stop()
    assert ends == dict.fromkeys(ends, 0)
