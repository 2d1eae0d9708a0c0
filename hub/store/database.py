"""The ledger's database file: opened with its promises asserted, migrated by numbered steps, written by one thread."""

from __future__ import annotations

import sqlite3
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Final

from host.durable import prove_committed
from protocol.errors import NeedsHands, SchemaTooNew, Transient

SCHEMA: Final = Path(__file__).parent / "schema"
APPLICATION_ID: Final = 0x4B313248
"""`K12H`: tells the file from any other SQLite database."""
CACHE_KIB: Final = 8192
JOURNAL_BYTES_MAX: Final = 64 * 1024 * 1024


class LedgerFull(Transient):
    """The hub's disk took no more; nothing was accepted, gateways keep and offer again."""

    code = "ledger-full"
    hint = "Free space on the hub's disk; accepting resumes by itself."


class LedgerFailed(NeedsHands):
    """The hub's storage reported an error; nothing of the transaction was accepted."""

    code = "ledger-failed"
    hint = "Check the hub's disk. Gateways keep everything until the hub works again."


class LedgerDamaged(LedgerFailed):
    """The ledger's file is no longer what was written; it is set aside, and the hub goes on with a fresh one."""

    code = "ledger-damaged"
    hint = "Nothing to do now: gateways and the city fill the hub again. Look at its disk, and import the roster."


SUSPECT_NAME: Final = "ledger-suspect"
"""A file of this name says that the ledger broke under the last run."""
CORRUPT: Final = ("SQLITE_CORRUPT", "SQLITE_NOTADB")
"""SQLite says that the file can't be what was written."""
DAMAGE: Final = ("SQLITE_IOERR", "SQLITE_CANTOPEN", "SQLITE_READONLY", *CORRUPT)
"""Names of SQLite's errors after which the file is opened anew before anything is called stored again."""


def explained(problem: sqlite3.Error, what: str) -> LedgerFull | LedgerFailed:
    """The error of ours for one of SQLite's."""
    name = getattr(problem, "sqlite_errorname", "")
    if name.startswith(CORRUPT):
        return LedgerDamaged(f"{what}: {problem}")
    if name in ("SQLITE_FULL", "SQLITE_IOERR_WRITE", "SQLITE_TOOBIG"):
        return LedgerFull(f"{what}: {problem}")
    return LedgerFailed(f"{what}: {problem}")


class Database:
    """The one connection that writes and checkpoints; whoever uses it holds `lock`, which `transaction` takes.

    `on_damage` hears of an error after which the kernel may have dropped what it promised to write: nothing more
    is stored by this connection, the file is to be opened anew.
    """

    def __init__(self, path: Path) -> None:
        """Open or make the file; raises SchemaTooNew, LedgerFailed, LedgerFull."""
        self.path = path
        self.lock = threading.RLock()
        self._undo: list[Callable[[], None]] = []
        self._before_commit: list[Callable[[], None]] = []
        self.on_damage: Callable[[], None] | None = None
        self._given_up = False
        try:
            self.connection = sqlite3.connect(path, isolation_level=None, check_same_thread=False, timeout=5)
        except sqlite3.Error as problem:
            raise explained(problem, f"{path} can't be opened") from problem
        try:
            self._prepare()
        except sqlite3.Error as problem:
            # Closed late, it would take the log of the next one along.
            self.connection.close()
            raise explained(problem, f"{path} can't be opened") from problem
        except BaseException:
            self.connection.close()
            raise

    def _prepare(self) -> None:
        run = self.connection.execute
        run(f"PRAGMA cache_size = -{CACHE_KIB}")
        run("PRAGMA journal_mode = WAL")
        run("PRAGMA synchronous = FULL")
        run("PRAGMA foreign_keys = ON")
        run("PRAGMA secure_delete = ON")
        run(f"PRAGMA journal_size_limit = {JOURNAL_BYTES_MAX}")
        # A build or a file that silently keeps other settings would break the promise, so each is read back.
        wanted = {"journal_mode": "wal", "synchronous": 2, "foreign_keys": 1, "secure_delete": 1}
        for name, value in wanted.items():
            found = run(f"PRAGMA {name}").fetchone()[0]
            if found != value:
                raise LedgerFailed(f"{self.path}: PRAGMA {name} is {found!r}, not {value!r}")
        self._migrate()

    def _migrate(self) -> None:
        steps = sorted(SCHEMA.glob("[0-9][0-9][0-9].sql"))
        found = self.connection.execute("PRAGMA user_version").fetchone()[0]
        owner = self.connection.execute("PRAGMA application_id").fetchone()[0]
        if found > len(steps):
            raise SchemaTooNew(f"{self.path} has schema {found}, this software knows {len(steps)}")
        if found and owner != APPLICATION_ID:
            raise LedgerDamaged(f"{self.path} is another program's database, or its header is damaged")
        for number, step in enumerate(steps[found:], found + 1):
            text = step.read_text(encoding="utf-8")
            self.connection.executescript(
                f"BEGIN IMMEDIATE;\n{text}\nPRAGMA application_id = {APPLICATION_ID};\n"
                f"PRAGMA user_version = {number};\nCOMMIT;"
            )

    @contextmanager
    def transaction(self) -> Iterator[sqlite3.Connection]:
        """All within is stored, or nothing and what `on_rollback` was told is undone. Raises LedgerFull, LedgerFailed.

        May be entered again inside itself; then the outer one decides.
        """
        with self.lock:
            if self.connection.in_transaction:
                yield self.connection
                return
            if self._given_up:
                raise LedgerFailed("the storage failed, and the ledger is to be opened anew")
            self._undo.clear()
            try:
                self.connection.execute("BEGIN IMMEDIATE")
                yield self.connection
                for work in self._before_commit:
                    work()
                self.connection.execute("COMMIT")
                prove_committed(self.path)
            except BaseException as problem:
                self._roll_back()
                if isinstance(problem, sqlite3.Error):
                    raise self._told(problem) from problem
                raise
            self._undo.clear()

    def move_log(self) -> bool:
        """Move the log into the database, and empty it; False where a reader kept it. Raises like `transaction`."""
        with self.lock:
            try:
                busy, _, _ = self.connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()
                prove_committed(self.path)
            except sqlite3.Error as problem:
                raise self._told(problem) from problem
        return not busy

    def met(self, problem: Exception) -> None:
        """A thread met an error outside a transaction: where it is of the storage, `on_damage` hears of it."""
        if isinstance(problem, sqlite3.Error):
            self._told(problem)

    def _told(self, problem: sqlite3.Error) -> LedgerFull | LedgerFailed:
        told = explained(problem, "the transaction failed")
        if isinstance(told, LedgerDamaged):
            with suppress(OSError):
                self.path.with_name(SUSPECT_NAME).touch()
        damaged = getattr(problem, "sqlite_errorname", "").startswith(DAMAGE)
        if damaged and isinstance(told, LedgerFailed):
            self._given_up = True
            if self.on_damage is not None:
                self.on_damage()
        return told

    def before_commit(self, work: Callable[[], None]) -> None:
        """Call `work` at the end of every transaction, inside it: for rows that are written once for many changes."""
        self._before_commit.append(work)

    def _roll_back(self) -> None:
        try:
            if self.connection.in_transaction:
                self.connection.execute("ROLLBACK")
        finally:
            for undo in reversed(self._undo):
                undo()
            self._undo.clear()

    def on_rollback(self, undo: Callable[[], None]) -> None:
        """Call `undo` if the transaction under way doesn't commit: for what is remembered beside the file."""
        assert self.connection.in_transaction
        self._undo.append(undo)

    def close(self) -> None:
        """Close the file; SQLite moves the log into it. Whoever comes later meets sqlite3.ProgrammingError."""
        with self.lock:
            # Under another thread's statement the interpreter would crash.
            self.connection.close()


def open_for_reading(path: Path) -> sqlite3.Connection:
    """A connection that can't write, for pages and audits; its reads never wait for the writer."""
    connection = sqlite3.connect(f"file:{path}?mode=ro", uri=True, isolation_level=None, check_same_thread=False)
    connection.execute("PRAGMA query_only = ON")
    connection.row_factory = sqlite3.Row
    return connection
