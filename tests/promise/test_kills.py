"""A whole chain on each broker, its parts killed -9 and stopped at random while pupils tap: everything arrives once."""

from __future__ import annotations

import json
import subprocess
import sys
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import sqlite_utils

from hub.attendance.schoolday import VIETNAM
from sim.kills.__main__ import STORIES, parsed
from sim.kills.campaign import BrokerKind, KillCampaign
from sim.kills.outcome import Outcome
from sim.preload.control import Control, build
from sim.wire.segment import missing

PUPILS, STRIKES = 300, 16
TAPS_MIN, KILLS_MIN, STOPS_MIN = 550, 7, 1
"""About half of what chance brings: it depends on who is up when a strike comes."""
STILL_S_MAX = 3.0


@pytest.mark.parametrize(("broker", "seed"), [("embedded", 11), ("mosquitto", 12)])
def test_kills_lose_and_double_nothing(broker: BrokerKind, seed: int, tmp_path: Path) -> None:
    campaign = KillCampaign(tmp_path, broker=broker, pupils=PUPILS, kills=STRIKES, seed=seed, still_s_max=STILL_S_MAX)
    outcome = campaign.run()
    print(outcome)
    assert outcome.problems == []
    assert outcome.figures["taps"] >= TAPS_MIN
    assert campaign.strikes.kills.total() >= KILLS_MIN
    assert campaign.strikes.stops.total() >= STOPS_MIN
    broker_part = "broker" if broker == "embedded" else "mosquitto"
    assert {"cong", "bep", "hub", "city", broker_part} <= set(campaign.strikes.kills)
    found = campaign.found
    assert found is not None
    assert found.signals >= TAPS_MIN
    assert (found.lost, found.double, found.changed, found.phantom, found.unexplained) == ([], [], [], [], [])
    assert found.journal == found.hub == found.city
    assert campaign.ends == dict.fromkeys(campaign.ends, 0)
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


def test_kills_and_stops_on_lossy_links_lose_and_double_nothing(tmp_path: Path) -> None:
    """Wires with weather between gateways, hub and city: packets lost, silence, half-open and cut connections."""
    why = missing()
    if why is not None:
        pytest.skip(why)
    found = _told("campaign", "--links", "lossy", "--broker", "mosquitto", "--kills", "8", "--pupils", "150", tmp_path)
    figures = {name.partition(": ")[2]: value for name, value in found["figures"].items()}
    assert figures["signals"] >= 300
    assert figures["kills"] >= 5
    assert figures["packets lost"] + figures["packets silenced"] + figures["packets reset"] > 0


@pytest.mark.parametrize("story", ["together", "queue-limit", "echoes"])
def test_story(story: str, tmp_path: Path) -> None:
    """All gateways back at once; a broker over its queue's limit; everything said again: see python -m sim.kills."""
    _run(story, "--broker", "embedded", tmp_path)


def test_a_lunch_whose_hub_and_broker_die_goes_on(tmp_path: Path) -> None:
    """Nobody waits, second helpings are known from counter to counter, and hub, city and drill come to the same.

    It is half past ten by every clock of it, whatever the hour is here.
    """
    now = datetime.now(VIETNAM)
    clocks = Control(tmp_path / "clocks", build(tmp_path))
    ahead = now.replace(hour=10, minute=30, second=0, microsecond=0) - now
    clocks.clocks(ahead // timedelta(microseconds=1) * 1000, 0, maxerror_us=5000)
    figures = _told("lunch", "--broker", "mosquitto", tmp_path, **clocks.environment())["figures"]
    assert figures["lunch over mosquitto: trays"] >= 160
    assert figures["lunch over mosquitto: second helpings"] >= 8
    assert figures["lunch over mosquitto: left to a person"] >= 2


def test_live_taps_go_before_a_backlog_on_a_thin_line(tmp_path: Path) -> None:
    """Two days of 150 taps over 256 kbit/s with loss; the story itself says whether live taps stood behind them."""
    why = missing()
    if why is not None:
        pytest.skip(why)
    found = _told("thin-line", tmp_path)
    assert found["figures"]["thin-line: live_taps"] >= 2


def _run(*words: str | Path) -> Outcome:
    """A story without wires of its own, in this process, so that its parts come from the nursery."""
    *asked, folder = words
    told = parsed([str(word) for word in asked])
    (run,) = STORIES[told.story].runs(told)
    outcome = run(Path(folder))
    print(outcome)
    assert outcome.kept, outcome.problems
    return outcome


def _told(*words: str | Path, **environment: str) -> dict[str, Any]:
    """What a story's command wrote; the last of `words` is a folder for it. `environment` instead of ours, if given."""
    *asked, folder = words
    answer = Path(folder) / "outcome.json"
    done = subprocess.run(
        [sys.executable, "-m", "sim.kills", *map(str, asked), "--keep", str(Path(folder) / "run"), "--json", answer],
        capture_output=True,
        text=True,
        timeout=280,
        check=False,
        env=environment or None,
    )
    print(done.stdout)
    assert done.returncode == 0, done.stdout + done.stderr
    found: dict[str, Any] = json.loads(answer.read_text())
    return found
