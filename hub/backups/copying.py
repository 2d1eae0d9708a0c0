"""The copy of a ledger that is being written to: one moment of it, taken in small steps beside the hub's own work.

A reading connection holds that moment (WAL: the writer waits for no reader), and SQLite's online backup copies it page
by page. After each step what was copied is synced, so that no tap's own sync has to wait behind a disk's whole cache,
and the copier rests as long as the step took. See docs/decisions/0026-live-backup.md.
"""

from __future__ import annotations

import os
import sqlite3
import time
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Final

from hub.store.database import APPLICATION_ID, SCHEMA, open_for_reading
from protocol.errors import NeedsHands

STEP_PAGES: Final = 128
"""Half a MiB: a memory card takes that in some 50 ms, and no tap waits for more."""
REST_S_MIN: Final = 0.002
REST_S_MAX: Final = 0.5
CACHE_KIB: Final = 512
CHECK_STEPS: Final = 200_000
"""Steps of SQLite's machine between two rests of a check: about 10 ms of work."""
HOURS_S_MAX: Final = 6 * 3600
"""A copy that takes longer is given up: the log of the ledger grows as long as its moment is held."""


class BackupFailed(NeedsHands):
    """A backup was begun and could not be finished; what was written of it is never used."""

    code = "backup-failed"
    hint = "Look at the place where backups go, and at the hub's disk; it is tried again by itself."


class Stopped(Exception):
    """The hub ends while a backup is being made; it will be made anew."""


class Pace:
    """How fast a backup goes: half of the time it rests. `stopping` ends it between two steps."""

    def __init__(self, stopping: Callable[[], bool] = lambda: False) -> None:
        """Begin now."""
        self._stopping = stopping
        self._began_s = self._last_s = time.monotonic()

    def rest(self) -> None:
        """After a step. Raises Stopped, BackupFailed."""
        now_s = time.monotonic()
        if self._stopping():
            raise Stopped
        if now_s - self._began_s > HOURS_S_MAX:
            raise BackupFailed(f"the backup took more than {HOURS_S_MAX // 3600} hours")
        time.sleep(max(REST_S_MIN, min(REST_S_MAX, now_s - self._last_s)))
        self._last_s = time.monotonic()


def ledger_bytes(path: Path) -> int:
    """How long a copy of the ledger will be. Raises BackupFailed."""
    try:
        with closing(open_for_reading(path)) as reader:
            pages: int = reader.execute("PRAGMA page_count").fetchone()[0]
            size: int = reader.execute("PRAGMA page_size").fetchone()[0]
            return pages * size
    except sqlite3.Error as problem:
        raise BackupFailed(f"{path} can't be read: {problem}") from problem


def copy_ledger(source: Path, target: Path, pace: Pace) -> None:
    """Copy one moment of a ledger into a new file, synced at the return. Raises BackupFailed, Stopped, OSError."""
    descriptor = os.open(target, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)

    def stepped(_status: int, _remaining: int, _total: int) -> None:
        os.fdatasync(descriptor)
        pace.rest()

    try:
        with closing(open_for_reading(source)) as reader, closing(_new_file(target)) as writer:
            reader.execute(f"PRAGMA cache_size = -{CACHE_KIB}")
            # One transaction holds the moment; without it every tap would make the copy begin anew.
            reader.execute("BEGIN")
            reader.execute("SELECT count(*) FROM sqlite_schema").fetchone()
            reader.backup(writer, pages=STEP_PAGES, progress=stepped)
            reader.execute("COMMIT")
        os.fsync(descriptor)
    except sqlite3.Error as problem:
        if getattr(problem, "sqlite_errorname", "") == "SQLITE_FULL":
            raise OSError(28, "No space left on device", str(target)) from problem
        raise BackupFailed(f"{source} can't be copied to {target}: {problem}") from problem
    finally:
        os.close(descriptor)


def _new_file(target: Path) -> sqlite3.Connection:
    writer = sqlite3.connect(target, isolation_level=None)
    # A copy that isn't whole is thrown away, so it needs no journal; it is synced step by step by its descriptor.
    writer.execute("PRAGMA journal_mode = OFF")
    writer.execute("PRAGMA synchronous = OFF")
    writer.execute(f"PRAGMA cache_size = -{CACHE_KIB}")
    return writer


def open_copy(path: Path) -> sqlite3.Connection:
    """A copy that nobody writes to, read as it lies there, also from a medium that takes no write."""
    return sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro&immutable=1", uri=True, isolation_level=None)


def check_copy(path: Path, pace: Pace | None = None) -> int:
    """Read a copy whole and hold it to SQLite's rules; its schema. Raises BackupFailed, Stopped."""
    met: list[Exception] = []

    def stepped() -> int:
        try:
            if pace is not None:
                pace.rest()
        except (Stopped, BackupFailed) as problem:
            met.append(problem)
            return 1
        return 0

    try:
        with closing(open_copy(path)) as copy:
            copy.set_progress_handler(stepped, CHECK_STEPS)
            said = [str(row[0]) for row in copy.execute("PRAGMA quick_check(3)")]
            owner = copy.execute("PRAGMA application_id").fetchone()[0]
            schema: int = copy.execute("PRAGMA user_version").fetchone()[0]
    except sqlite3.Error as problem:
        if met:
            raise met[0] from problem
        raise BackupFailed(f"the copy {path} can't be read: {problem}") from problem
    if said != ["ok"] or owner != APPLICATION_ID:
        raise BackupFailed(f"the copy {path} is not sound: {'; '.join(said)[:200]}")
    return schema


def schema_known() -> int:
    """The newest schema that this software can open."""
    return len(list(SCHEMA.glob("[0-9][0-9][0-9].sql")))
