"""Two gateways' journals as they should be, and what a hub holds of them: what every tampering starts from."""

from __future__ import annotations

import json
import sqlite3
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from random import Random
from typing import Final

from edge.clock import SystemClock
from edge.devicekeys import DeviceKeys
from edge.journalfile import FILE_NAME
from edge.journalrows import SEQUENCE_BITS, head_text
from edge.salvage import open_journal
from protocol.envelope import clock_data, decode_event, digest
from protocol.taps import Draft, TapData
from protocol.topics import device_source

SCHOOL: Final = "79000701"
RUNS: Final = 3
PRUNED: Final = 6
"""Records pruned from the front of the first run, with a signed checkpoint."""


@dataclass(frozen=True, slots=True)
class Original:
    """A gateway's file: its records by position, the copies of it after each run, and the witness's file."""

    file: bytes
    rows: tuple[tuple[int, bytes], ...]
    older: tuple[bytes, ...]
    journals: tuple[str, ...]


def original(folder: Path, name: str, taps: int, rng: Random) -> tuple[Original, dict[str, object]]:
    """Make a gateway's journal of RUNS runs of so many taps, the last one killed; and what its hub holds."""
    folder.mkdir(parents=True)
    source = device_source(SCHOOL, name)
    identity, clock = DeviceKeys(folder, None).identity, SystemClock()
    older: list[bytes] = []
    for run in range(RUNS):
        journal, _ = open_journal(
            folder, journal=rng.randbytes(8).hex(), source=source, identity=identity, clock=clock, version="campaign"
        )
        for number in range(taps):
            reading = clock.read()
            card = f"hk1:{rng.randbytes(8).hex()[:11]}"
            data = TapData(
                kind="gate",
                point="cong",
                dir="in",
                card=card,
                student=f"st-{number}",
                decision="accepted",
                reason=None,
                signal="ok",
                roster="r-1",
                clock=clock_data(reading),
            )
            journal.append(
                Draft("attendance.tap", reading.best_ms, data, f"student/st-{number}"), "cong", card, "accepted"
            )
            if number == taps // 2:
                journal.sign_head()
        if run < RUNS - 1:
            journal.close()
        else:
            # Killed: no head is signed at its end, but all is in the file.
            journal.checkpoint(truncate=True)
            octets = (folder / FILE_NAME).read_bytes()
            journal.close()
            (folder / FILE_NAME).write_bytes(octets)
            for suffix in ("-wal", "-shm"):
                (folder / f"{FILE_NAME}{suffix}").unlink(missing_ok=True)
        if run == 0:
            _prune(folder / FILE_NAME, identity.sign)
        older.append((folder / FILE_NAME).read_bytes())
    with closing(sqlite3.connect(folder / FILE_NAME)) as database:
        rows = tuple(database.execute("SELECT position, raw FROM event ORDER BY position"))
        names = tuple(row[0] for row in database.execute("SELECT journal FROM journal ORDER BY number"))
    return Original(older[-1], rows, tuple(older[:-1]), names), _witness(rows, names, source)


def _prune(file: Path, sign: object) -> None:
    assert callable(sign)
    with closing(sqlite3.connect(file)) as database, database:
        name = database.execute("SELECT journal FROM journal WHERE number = 1").fetchone()[0]
        position = 1 << SEQUENCE_BITS | PRUNED
        head = digest(database.execute("SELECT raw FROM event WHERE position = ?", (position,)).fetchone()[0])
        database.execute("DELETE FROM event WHERE position <= ?", (position,))
        database.execute(
            "UPDATE journal SET pruned_through = ?, pruned_head = ?, pruned_sig = ? WHERE number = 1",
            (PRUNED, head, sign(head_text(name, PRUNED, head))),
        )


def _witness(rows: tuple[tuple[int, bytes], ...], names: tuple[str, ...], source: str) -> dict[str, object]:
    held: dict[str, object] = {}
    for number, name in enumerate(names, 1):
        mine = [raw for position, raw in rows if position >> SEQUENCE_BITS == number]
        held[name] = {
            "source": source,
            "through": decode_event(mine[-1]).tap.sequence,
            "previous": names[number - 2] if number > 1 else None,
            "head": digest(mine[-1]),
            "missing": [],
            "pruned_through": PRUNED if number == 1 else 0,
        }
    return held


def write_witness(file: Path, held: dict[str, object]) -> None:
    """Save a hub's answer, as `k12edge verify --witness` reads it."""
    file.write_text(json.dumps({"journals": held}), encoding="utf-8")
