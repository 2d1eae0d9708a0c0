"""A whole chain on each broker, its parts killed -9 at random while pupils tap: everything arrives exactly once."""

from __future__ import annotations

from pathlib import Path

import pytest

from sim.kills import KillCampaign

PUPILS, STRIKES = 1030, 45
TAPS_MIN, KILLS_MIN = 2000, 40


@pytest.mark.parametrize(("broker", "seed"), [("embedded", 11), ("mosquitto", 12)])
def test_kills_lose_and_double_nothing(broker: str, seed: int, tmp_path: Path) -> None:
    outcome = KillCampaign(tmp_path, broker=broker, pupils=PUPILS, kills=STRIKES, seed=seed).run()
    print(outcome.as_json())
    assert outcome.found is not None
    assert outcome.taps >= TAPS_MIN
    assert outcome.kills.total() >= KILLS_MIN
    broker_part = "broker" if broker == "embedded" else "mosquitto"
    assert {"cong", "bep", "hub", "city", broker_part} <= set(outcome.kills)
    found = outcome.found
    assert found.signals >= TAPS_MIN
    assert (found.lost, found.double, found.changed, found.phantom, found.unexplained) == ([], [], [], [], [])
    assert found.journal == found.hub == found.city
    assert outcome.ends == dict.fromkeys(outcome.ends, 0)
