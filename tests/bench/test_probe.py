"""The probe: the shipped gateway records and signals as ever, and every tap is noted."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from bench.probe import read_noted
from sim.parts import until
from sim.reckoning import answers_in


def test_every_tap_is_noted_with_its_append_before_its_signal(tmp_path: Path) -> None:
    queue, signals, noted = tmp_path / "queue.txt", tmp_path / "signals.jsonl", tmp_path / "noted"
    queue.write_text("".join(f"10 a:04A1B2C3D4E58{n} 20\n" for n in range(5)), encoding="ascii")
    config = tmp_path / "gateway.toml"
    config.write_text(
        f'[gateway]\nid = "cong"\nschool = "s1"\ndata_dir = "{tmp_path / "data"}"\n'
        f'[signals]\nsinks = ["jsonl:{signals}"]\n'
        f'[[station]]\nname = "cong-a"\nkind = "gate"\nreader = "replay:{queue}"\n',
        encoding="utf-8",
    )
    process = subprocess.Popen([sys.executable, "-m", "bench.probe", str(noted), str(config)])
    try:
        until(lambda: answers_in(signals) >= 5, "not every tap was signalled")
    finally:
        process.terminate()
        assert process.wait(10) == 0
    found = read_noted(noted)
    assert len(found) == answers_in(signals)
    assert all(began_s < shown_s for began_s, shown_s in found)
