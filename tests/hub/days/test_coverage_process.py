"""A gate that is offline with taps, with real processes: nothing is complete until it is back and has said so."""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import pytest

from hub.attendance.completeness import Completeness, completeness
from hub.attendance.coverage import words
from hub.attendance.coveragewords import CoverageWords, coverage_words
from hub.config import load_hub_config
from hub.parts import FILE_NAME, Store
from tests.edge.room import DEVICE
from tests.edge.running import GatewayProcess, card
from tests.hub.running import HubProcess, until

HOUR_MS = 3_600_000


@pytest.fixture
def hub(tmp_path: Path) -> Iterator[HubProcess]:
    made = HubProcess(tmp_path).start()
    yield made
    made.end()


PATIENCE_S = 40.0
"""A loaded machine starts a gateway in twenty seconds."""


def look(hub: HubProcess, at_ms: int) -> tuple[Completeness, CoverageWords, int]:
    """What a hub knows of a moment, by a copy of its ledger: as marks see it, as people read it, how many taps."""
    folder = hub.folder / f"copy-{time.monotonic_ns()}"
    folder.mkdir()
    with (
        closing(sqlite3.connect(f"file:{hub.data_dir / FILE_NAME}?mode=ro", uri=True)) as live,
        closing(sqlite3.connect(folder / FILE_NAME)) as copy,
    ):
        live.backup(copy)
    store = Store(replace(load_hub_config(hub.config), data_dir=folder))
    with closing(store.database):
        facts, waivers = store.coverage.facts(at_ms - HOUR_MS, at_ms + HOUR_MS), store.coverage.waivers(at_ms)
        told = words(facts, waivers, at_ms - HOUR_MS)
        page = coverage_words(facts, waivers, at_ms - HOUR_MS, at_ms, "vi")
        taps = store.database.connection.execute("SELECT count(*) FROM taps").fetchone()[0]
    return completeness(told, at_ms), page, taps


def test_a_gate_that_was_offline_is_complete_when_it_is_back(hub: HubProcess, tmp_path: Path) -> None:
    assert hub.ask("devices", "accept", DEVICE).returncode == 0
    folder = tmp_path / "gate"
    folder.mkdir()
    offline = configured(GatewayProcess(folder))
    offline.play((0, card(1)), (50, card(2)))
    offline.start().await_signal("accepted", count=2)
    tapped_ms = time.time_ns() // 1_000_000
    known, page, taps = look(hub, tapped_ms)
    assert known.waiting == (DEVICE,) and taps == 0
    assert page.total == "đủ 0/1 cổng" and "chưa nghe thấy lần nào" in page.lines[0].why
    assert offline.end() == 0

    back = configured(GatewayProcess(folder, uplink=hub.broker_url))
    back.play((600_000, card(3)))
    back.start()
    known, page, taps = until(
        lambda: (found := look(hub, tapped_ms))[0].complete and found, "the gate's word is here", PATIENCE_S
    )
    assert (page.total, taps, known.flawed) == ("đủ 1/1 cổng", 2, ())

    # Killed, it may have seen somebody since: what it said counts, and no further.
    back.end(9)
    killed_ms = time.time_ns() // 1_000_000 + 5_000
    known, page, _ = look(hub, killed_ms)
    # Its last word may have gone out, and be lost on its way with the broker's line.
    assert known.waiting == (DEVICE,)
    assert any(why in page.lines[0].why for why in ("chưa có lời báo nào", "còn thiếu"))
    assert look(hub, tapped_ms)[0].complete


def configured(gateway: GatewayProcess) -> GatewayProcess:
    """Its clock is right by a person's word, and it speaks each second."""
    text = gateway.config.read_text(encoding="utf-8").replace("[gateway]\n", "[gateway]\nwatermark_s = 1\n")
    text += '[time]\nsource = "declared"\ndeclared_error_ms = 5\n'
    gateway.config.write_text(text, encoding="utf-8")
    return gateway
