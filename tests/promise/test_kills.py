"""A whole chain on each broker, its parts killed -9 at random while pupils tap: everything arrives exactly once."""

from __future__ import annotations

from pathlib import Path

import pytest
import sqlite_utils

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
    _the_files_say_the_same(tmp_path, found.signals)


def _the_files_say_the_same(folder: Path, signals: int) -> None:
    """Read apart from the product's own code: every name once, the same bytes in gateway, hub and city."""

    def taps(path: Path, table: str) -> list[tuple[str, bytes]]:
        text = "CAST(raw AS TEXT)"
        query = (
            f"SELECT {text} ->> 'id' AS id, raw FROM {table}"
            f" WHERE {text} ->> 'type' IN ('vn.k12edge.attendance.tap.v1', 'vn.k12edge.meal.pickup.v1')"
        )
        return sorted((row["id"], bytes(row["raw"])) for row in sqlite_utils.Database(path).query(query))

    gateways = sorted(tap for name in ("cong", "bep") for tap in taps(folder / name / "journal.db", "event"))
    assert len(gateways) >= signals
    assert len(dict(gateways)) == len(gateways)
    assert taps(folder / "hub" / "ledger.db", "events") == gateways
    assert taps(folder / "city" / "city.db", "events") == gateways
