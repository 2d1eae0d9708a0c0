"""The journal's file: opened with asserted pragmas, brought to the current schema, or set aside when damaged."""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Callable
from contextlib import suppress
from importlib import resources
from pathlib import Path
from typing import Final

from host.durable import prove_committed, sync_folder
from protocol.errors import JournalDamaged, JournalFailed, JournalFull, K12EdgeError, SchemaTooNew

FILE_NAME: Final = "journal.db"
PAGE_BYTES: Final = 4096
"""One page is one write of a tap; SD cards and SSDs write no less. Five taps fit."""
CHECKPOINT_PAGES: Final = 4000
"""The WAL's size at which a tap itself checkpoints (16 MB); long before, an idle moment does."""
BUSY_MS: Final = 2_000
"""How long one connection waits for another; only opening and reopening ever do."""
TRUNCATE_PATIENCE_MS: Final = 20
APPLICATION_ID: Final = 0x6B313265
"""`k12e` in ASCII, in the file's header, so that no other database is taken for a journal."""

PRAGMAS: Final = {"journal_mode": "wal", "synchronous": 2, "page_size": PAGE_BYTES, "locking_mode": "normal"}
"""What must hold at every open; WAL with synchronous=FULL syncs the log at each commit."""


def schema_steps() -> list[str]:
    """The numbered schema files' texts, in order; step n brings user_version from n-1 to n."""
    folder = resources.files("edge") / "schema"
    names = sorted(entry.name for entry in folder.iterdir() if entry.name.endswith(".sql"))
    assert [int(name[:3]) for name in names] == list(range(1, len(names) + 1))
    return [(folder / name).read_text(encoding="utf-8") for name in names]


STORAGE_ERRORS: Final = (sqlite3.Error, UnicodeDecodeError)
"""What SQLite's library raises; the second where a damaged file's bytes get into the text of an error."""

DAMAGED: Final = (
    sqlite3.SQLITE_CORRUPT,
    sqlite3.SQLITE_NOTADB,
    sqlite3.SQLITE_SCHEMA,
    sqlite3.SQLITE_ERROR,
    sqlite3.SQLITE_CONSTRAINT,
)
"""What a file can't answer that holds what we wrote: the last two are a table or column gone, a position taken."""

Recovered = Callable[[sqlite3.Connection], None]
"""Looks at a file that SQLite has just recovered from its log, before anything is written to either."""


def open_for_writing(path: Path, recovered: Recovered | None = None) -> sqlite3.Connection:
    """The one connection that writes and checkpoints.

    Creates the file when missing. Raises JournalDamaged, SchemaTooNew, JournalFull, JournalFailed.
    """
    try:
        database = sqlite3.connect(path, isolation_level=None, check_same_thread=False, timeout=BUSY_MS / 1000)
    except STORAGE_ERRORS as problem:
        raise explained(problem, f"{path} can't be opened") from problem
    try:
        _prepare(database, path, recovered)
    except STORAGE_ERRORS as problem:
        database.close()
        raise explained(problem, f"{path} can't be opened") from problem
    except BaseException:
        database.close()
        raise
    return database


def _prepare(database: sqlite3.Connection, path: Path, recovered: Recovered | None) -> None:
    version = int(database.execute("PRAGMA user_version").fetchone()[0])
    if recovered is not None:
        recovered(database)
    steps = schema_steps()
    if version > len(steps):
        raise SchemaTooNew(f"{path} has schema {version}, this software knows up to {len(steps)}")
    if version == 0:
        tables = database.execute("SELECT count(*) FROM sqlite_master").fetchone()[0]
        if tables:
            raise JournalDamaged(f"{path} is another program's database, or its header is damaged")
        database.execute(f"PRAGMA page_size = {PAGE_BYTES}")
        database.execute(f"PRAGMA application_id = {APPLICATION_ID}")
    elif database.execute("PRAGMA application_id").fetchone()[0] != APPLICATION_ID:
        raise JournalDamaged(f"{path} is another program's database, or its header is damaged")
    if (size := database.execute("PRAGMA page_size").fetchone()[0]) != PAGE_BYTES:
        raise JournalDamaged(f"{path} has pages of {size} bytes; it wasn't made by this software")
    database.execute("PRAGMA journal_mode = WAL")
    database.execute("PRAGMA synchronous = FULL")
    database.execute(f"PRAGMA wal_autocheckpoint = {CHECKPOINT_PAGES}")
    database.execute("PRAGMA secure_delete = ON")
    database.execute("PRAGMA cache_size = -1024")
    for number, step in enumerate(steps[version:], start=version + 1):
        database.executescript(f"BEGIN IMMEDIATE;\n{step}\nPRAGMA user_version = {number};\nCOMMIT;")
    found = {name: database.execute(f"PRAGMA {name}").fetchone()[0] for name in PRAGMAS}
    assert found == PRAGMAS, f"the journal must be opened as {PRAGMAS}, it is {found}"
    if version == 0:
        sync_folder(path.parent)


def open_for_reading(path: Path) -> sqlite3.Connection:
    """A connection that can't write and never checkpoints, beside the writing one."""
    name = f"{path.absolute().as_uri()}?mode=ro"
    return sqlite3.connect(name, uri=True, isolation_level=None, check_same_thread=False, timeout=BUSY_MS / 1000)


def explained(problem: Exception, what: str) -> K12EdgeError:
    """The error of ours for one of SQLite's: full, damaged, or failed."""
    code = getattr(problem, "sqlite_errorcode", None)
    primary = None if code is None else code & 0xFF
    text = f"{what}: {problem}"
    if isinstance(problem, sqlite3.ProgrammingError | sqlite3.InterfaceError):
        # Our own misuse (a connection closed under a late tap) says nothing about the file.
        return JournalFailed(text)
    if primary == sqlite3.SQLITE_FULL:
        return JournalFull(text)
    if primary in DAMAGED:
        return JournalDamaged(text)
    if code is None and isinstance(problem, sqlite3.DatabaseError | UnicodeDecodeError):
        return JournalDamaged(text)
    return JournalFailed(text)


Places = tuple[tuple[int, int] | None, tuple[int, int] | None]
"""Device and inode of what lies under the names of a database and of its log, None where nothing does."""


def places(path: Path) -> Places:
    """What lies under the names now. Raises OSError; opens nothing, since closing would drop SQLite's locks."""
    name = os.fspath(path)
    return _place(name), _place(name + "-wal")


def _place(name: str) -> tuple[int, int] | None:
    try:
        found = os.stat(name)
    except (FileNotFoundError, NotADirectoryError):
        return None
    return found.st_dev, found.st_ino


def moved(path: Path, known: Places | None) -> bool:
    """Whether something else, or nothing, lies under the names by now; a folder that can't be asked says nothing."""
    try:
        return known is not None and places(path) != known
    except OSError:
        return False


def move_log(database: sqlite3.Connection, path: Path, *, truncate: bool) -> bool:
    """Move the log into the database at `path`; True when all of it went, and was cut where that was asked for.

    Raises what SQLite does.
    """
    run = database.execute
    busy, pages, gone = run("PRAGMA wal_checkpoint(PASSIVE)").fetchone()
    whole = not busy and pages == gone
    if truncate and whole:
        # Somebody who reads the file beside us must not make a tap wait.
        run(f"PRAGMA busy_timeout = {TRUNCATE_PATIENCE_MS}")
        busy = run("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()[0]
        run(f"PRAGMA busy_timeout = {BUSY_MS}")
    # Before the log is written over.
    prove_committed(path)
    return whole and not busy


def copy_out(database: sqlite3.Connection, target: Path) -> None:
    """Write all that an open database holds to a new file, durable when this returns; else none is left.

    Raises JournalFull, JournalFailed, JournalDamaged.
    """
    try:
        database.execute("VACUUM INTO ?", (str(target),))
        descriptor = os.open(target, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
        sync_folder(target.parent)
        # Whoever is removing the folder may have taken this file along.
        target.stat()
    except (*STORAGE_ERRORS, OSError) as problem:
        with suppress(OSError):
            target.unlink(missing_ok=True)
        what = f"{target} can't be written"
        raise (
            JournalFailed(f"{what}: {problem}") if isinstance(problem, OSError) else explained(problem, what)
        ) from problem


def set_aside(path: Path, label: str) -> Path:
    """Rename a damaged file and its log to `journal-damaged-<label>.db`; its bytes stay as they are. Returns the name.

    `label` must be new in the folder. The log goes first: a database without its log is still readable, and a crash
    between the two renames leaves the damaged file in place, to be set aside again.
    """
    target = path.with_name(f"journal-damaged-{label}.db")
    assert not target.exists(), target
    for suffix in ("-wal", ""):
        source = path.with_name(path.name + suffix)
        if source.exists():
            os.rename(source, target.with_name(target.name + suffix))
    shared = path.with_name(path.name + "-shm")
    shared.unlink(missing_ok=True)
    sync_folder(path.parent)
    return target
