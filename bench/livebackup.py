"""Backups of a ledger under taps: what each way of copying does to the commits that run beside it.

`python -m bench.livebackup [FOLDER]` prints the table of docs/decisions/0026-live-backup.md. FOLDER lies on the disk
that is to be measured; a card in a reader is the one that matters.
"""

from __future__ import annotations

import os
import secrets
import shutil
import sqlite3
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

from bench.figure import percentile
from hub.backups.copying import BackupFailed, Pace, copy_ledger
from hub.store.database import Database, open_for_reading

ROWS = 150_000
"""About 130 MB: two months of a school of 1,763 pupils."""
ROW_BYTES = 700
BETWEEN_S = 0.02
"""Fifty commits a second, as in a crowd at the gates."""
GIVE_UP_S = 60.0


def fill(path: Path) -> None:
    database = Database(path)
    number = 0
    while number < ROWS:
        with database.transaction() as run:
            run.executemany(
                "INSERT INTO events (journal, sequence, digest, raw, received_ms) VALUES (1, ?, ?, ?, 0)",
                [(number + k, secrets.token_bytes(32), secrets.token_bytes(ROW_BYTES)) for k in range(5_000)],
            )
        number += 5_000
    database.close()


def ours(source: Path, target: Path) -> None:
    copy_ledger(source, target, Pace())


def one_step(source: Path, target: Path) -> None:
    with closing(open_for_reading(source)) as reader, closing(sqlite3.connect(target)) as writer:
        reader.backup(writer, pages=-1)
    synced(target)


def without_moment(source: Path, target: Path) -> None:
    began_s = time.monotonic()

    def stepped(_status: int, _remaining: int, _total: int) -> None:
        if time.monotonic() - began_s > GIVE_UP_S:
            raise BackupFailed("it begins anew after each commit")
        time.sleep(0.002)

    with closing(open_for_reading(source)) as reader, closing(sqlite3.connect(target)) as writer:
        reader.backup(writer, pages=128, progress=stepped)
    synced(target)


def vacuum_into(source: Path, target: Path) -> None:
    # A connection that is held to reading (query_only) doesn't vacuum, not even elsewhere.
    with closing(sqlite3.connect(f"file:{source}?mode=ro", uri=True, isolation_level=None)) as reader:
        reader.execute("VACUUM INTO ?", (str(target),))
    synced(target)


def synced(target: Path) -> None:
    descriptor = os.open(target, os.O_RDONLY)
    os.fsync(descriptor)
    os.close(descriptor)


def measure(path: Path, copy: Callable[[Path, Path], None] | None, folder: Path) -> str:
    database = Database(path)
    taken: list[float] = []
    stop = threading.Event()

    def taps() -> None:
        while not stop.is_set():
            began_s = time.perf_counter()
            with database.transaction() as run:
                run.execute(
                    "INSERT INTO events (journal, sequence, digest, raw, received_ms) VALUES (2, ?, ?, ?, 0)",
                    (int(time.time_ns()), secrets.token_bytes(32), secrets.token_bytes(ROW_BYTES)),
                )
            taken.append((time.perf_counter() - began_s) * 1000)
            time.sleep(BETWEEN_S)

    thread = threading.Thread(target=taps)
    thread.start()
    target = folder / "copy.db"
    began_s = time.monotonic()
    said = ""
    try:
        if copy is None:
            time.sleep(8)
        else:
            copy(path, target)
    except BackupFailed as problem:
        said = str(problem)
    took_s = time.monotonic() - began_s
    stop.set()
    thread.join()
    log_bytes = path.with_name(f"{path.name}-wal").stat().st_size
    database.close()
    size = target.stat().st_size if target.exists() else 0
    target.unlink(missing_ok=True)
    return (
        f"{took_s:6.1f} s  copy {size / 1e6:6.1f} MB  log {log_bytes / 1e6:5.1f} MB  {len(taken):5d} commits"
        f"  p50 {percentile(taken, 0.5):6.1f}  p99 {percentile(taken, 0.99):6.1f}  max {max(taken):6.1f} ms  {said}"
    )


def main() -> None:
    within = Path(sys.argv[1]) if len(sys.argv) > 1 else Path(__file__).parents[1] / "build"
    within.mkdir(parents=True, exist_ok=True)
    folder = Path(tempfile.mkdtemp(prefix="k12edge-livebackup-", dir=within))
    try:
        path = folder / "ledger.db"
        fill(path)
        ways = {
            "nothing": None,
            "paced steps, one moment held": ours,
            "online backup in one step": one_step,
            "online backup in steps, no moment held": without_moment,
            "VACUUM INTO": vacuum_into,
        }
        for name, way in ways.items():
            print(f"{name:40s} {measure(path, way, folder)}", flush=True)
    finally:
        shutil.rmtree(folder)


if __name__ == "__main__":
    main()
