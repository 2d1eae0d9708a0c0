"""Files copied from under a running process, and older code that meets a newer file: nothing is taken for whole."""

from __future__ import annotations

import json
import shutil
import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path
from typing import Final

from edge.journalfile import FILE_NAME
from edge.verify import VALID, verify_path
from protocol.ranges import RangeSet
from sim.campaign import Figures
from sim.parts import get_json, until
from sim.stores.gate import Gate, card
from sim.stores.hubs import HubStory

EXIT_FAILED: Final = 1
"""What a refused start ends with (docs/reference/cli.md)."""
NEWER: Final = 99
BACKUP: Final = "import sqlite3, sys; sqlite3.connect(sys.argv[1]).backup(sqlite3.connect(sys.argv[2]))"
"""What `sqlite3 ledger.db '.backup FILE'` calls, from another process."""
Told = tuple[Figures, list[str]]


def live_copy(folder: Path, seed: int, count: int) -> Told:
    """A journal and a ledger copied while they are written: without its log a copy is short, a backup is whole."""
    problems: list[str] = []
    made = HubStory(folder / "road", cards=40 + 5 * count)
    try:
        until(lambda: (made.road.status() or {"records": 0})["records"] > 20, "nothing arrives", also=made.road.check)
        bare, gateway = folder / "bare", folder / "road" / "cong"
        bare.mkdir()
        shutil.copyfile(gateway / FILE_NAME, bare / FILE_NAME)
        until(made.road.drained, "not everything arrived", also=made.road.check, moving=made.road.progress, within_s=90)
        alone, witnessed = verify_path(bare, None), verify_path(bare, made.road.hub_url)
        if alone.exit_code == VALID and not all("can't be excluded" in line for line in alone.lines):
            problems.append(f"a copy without its log is called whole: {alone.lines}")
        if witnessed.exit_code == VALID:
            problems.append("a copy without its log is called valid against the witness")
        if verify_path(gateway, made.road.hub_url).exit_code != VALID:
            problems.append("the journal itself is not valid")
        backup = folder / "backup.db"
        words = [sys.executable, "-c", BACKUP, str(made.data / "ledger.db"), str(backup)]
        subprocess.run(words, check=True, timeout=60)
        records = _whole_ledger(backup, problems)
        held = get_json(f"{made.road.hub_url}/v1/ledger/journals")["journals"]
        if records < sum(1 for _ in held):
            problems.append("the backup holds less than was there")
        figures = made.finish(problems)
    finally:
        made.end()
    return {**figures, "backed_up": records}, problems


def _whole_ledger(file: Path, problems: list[str]) -> int:
    """Whether a copy of a ledger holds what it says that it holds; how many records."""
    with closing(sqlite3.connect(file)) as database:
        if database.execute("PRAGMA integrity_check").fetchone()[0] != "ok":
            problems.append("the backup is no sound database")
        total = 0
        for number, held in database.execute("SELECT number, held FROM journals").fetchall():
            rows = database.execute("SELECT sequence FROM events WHERE journal = ?", (number,)).fetchall()
            ranges = RangeSet((row[0], row[0]) for row in rows)
            total += len(rows)
            if [list(pair) for pair in ranges] != json.loads(held):
                problems.append(f"the backup's journal {number} isn't what its row says")
    return total


def newer_schema(folder: Path, seed: int, count: int) -> Told:
    """Gateway and hub meet a file of a later version: they refuse, say so, and leave every byte as it is."""
    problems: list[str] = []
    gate = Gate(folder / "gate")
    gate.play([card(1), card(2)])
    gate.start()
    gate.await_more("accepted", count=2)
    gate.stop()
    made = HubStory(folder / "road", cards=5)
    made.finish(problems)
    for what, file, words in (
        ("gateway", gate.data / FILE_NAME, gate.part.words),
        ("hub", made.data / "ledger.db", made.road.hub.words),
    ):
        with closing(sqlite3.connect(file)) as database:
            database.execute(f"PRAGMA user_version = {NEWER}")
        before = file.read_bytes()
        done = subprocess.run(
            [sys.executable, "-m", "k12edge", *words], capture_output=True, text=True, timeout=60, check=False
        )
        if (
            done.returncode != EXIT_FAILED
            or f"schema {NEWER}" not in done.stderr
            or "[schema-too-new]" not in done.stderr
        ):
            problems.append(f"the {what} ended with {done.returncode}: {done.stderr[-300:]}")
        if file.read_bytes() != before:
            problems.append(f"the {what} changed a file of a later version")
    return {"refused": 2}, problems
