"""A backup of a hub that takes taps: none is lost, none waits for it, and what was copied is one moment."""

from __future__ import annotations

import os
import sqlite3
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from hub.backups.copying import open_copy
from hub.backups.restoring import choose
from hub.config import load_hub_config
from hub.parts import FILE_NAME
from tests.hub.handmade import SCHOOL, Gateway
from tests.hub.running import HubProcess, Wire

BALLAST_BYTES = 64 * 1024 * 1024
"""As long as a ledger of some weeks."""
RECEIPT_S_MAX = 2.0
"""A gateway offers again after 10 s; a hub that isn't held up answers in some ms."""


@pytest.fixture
def hub(tmp_path: Path) -> Iterator[HubProcess]:
    running = HubProcess(tmp_path)
    running.start()
    running.stop()
    with closing(sqlite3.connect(running.data_dir / FILE_NAME)) as ledger:
        ledger.execute("CREATE TABLE ballast (octets BLOB)")
        ledger.executemany(
            "INSERT INTO ballast VALUES (?)", ((os.urandom(1 << 20),) for _ in range(BALLAST_BYTES >> 20))
        )
        ledger.commit()
    running.start()
    yield running
    running.end()


def test_taps_go_on_while_a_backup_is_made(hub: HubProcess, tmp_path: Path) -> None:
    gateway = Gateway()
    assert hub.ask("devices", "accept", gateway.device).returncode == 0
    wire = Wire(gateway, hub.broker_url)
    wire.state()
    run = gateway.run(5)
    wire.deliver(run)
    stick = tmp_path / "stick"
    stick.mkdir()
    words = [sys.executable, "-m", "k12edge", "hub", "backup", str(stick), "--config", str(hub.config)]
    backup = subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    waited_s: list[float] = []
    during = 0
    while backup.poll() is None:
        began_s = time.monotonic()
        run.taps(1)
        wire.offer(run, len(run.lines))
        wire.receipted(run, len(run.lines))
        waited_s.append(time.monotonic() - began_s)
        copying = list(stick.glob("*/ledger.db"))
        during += bool(copying and copying[0].stat().st_size < BALLAST_BYTES)
    assert backup.returncode == 0, backup.communicate()[1]
    assert during > 1, "taps came while the ledger was copied"
    assert max(waited_s) < RECEIPT_S_MAX, sorted(waited_s)[-5:]
    assert [raw for _, raw in hub.events()] == run.lines
    wire.close()
    chosen = choose(stick, SCHOOL, "tram")
    with closing(open_copy(chosen.folder / "ledger.db")) as copy:
        lines = [bytes(raw) for (raw,) in copy.execute(
            "SELECT raw FROM events JOIN journals ON number = events.journal WHERE device IS NOT NULL ORDER BY sequence"
        )]  # fmt: skip
    assert 5 <= len(lines) < len(run.lines)
    assert lines == run.lines[: len(lines)], "one moment of it"
    assert chosen.manifest.journals[run.journal].last == len(lines)
    status = hub.status()["backup"]
    assert status["folder"] == chosen.folder.name
    assert load_hub_config(hub.config).backup.at_minutes == 20 * 60
    code, seconds = hub.stop()
    assert code == 0 and seconds < 4
