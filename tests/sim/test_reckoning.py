"""The reckoning: what it calls broken, beside taps that are lost or double."""

from __future__ import annotations

import time
from pathlib import Path

from edge.ports import Warning_
from edge.signals import LineSignals
from sim.reckoning import faults_in, reckon


def test_an_alarm_from_a_fault_of_ours_breaks_the_promise_and_one_from_a_full_lane_does_not(tmp_path: Path) -> None:
    file = tmp_path / "cong.signals.jsonl"
    signals = LineSignals([f"jsonl:{file}"], time.monotonic_ns)
    signals.warn(Warning_("alarm", "cong-1", None, "lane-full"))
    found = reckon({}, {}, [], [], 0)
    found.faults += faults_in([file, tmp_path / "never-written.jsonl"])
    assert found.kept
    signals.warn(Warning_("alarm", "cong-2", None, "internal-fault"))
    signals.close()
    found.faults += faults_in([file])
    assert not found.kept
    assert "cong-2" in found.faults[0]
