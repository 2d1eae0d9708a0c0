"""What lies underneath the parts: storage and chance. Here a part crashes between two steps, and its disk fails.

While it is entered, `sqlite3.connect`, `os.fsync`, `os.rename`, `secrets` and the ephemeral key of a sealed box come
from here, so that production rooms run unchanged, and the same seed gives the same bytes.
"""

from __future__ import annotations

import hashlib
import os
import secrets
import shutil
import sqlite3
from collections import OrderedDict
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from random import Random
from typing import Any, Final
from unittest.mock import patch

import nacl.bindings

SIGNED_KEPT: Final = 8_192
"""Signed bytes that are remembered with what they say: those that travel at any moment are far fewer."""
WRITES: Final = ("INSERT", "UPDATE", "DELETE", "COMMIT", "REPLACE", "BEGIN", "CREATE")


class Crash(BaseException):
    """A part stopped between two steps, as by kill -9 or a power cut. No room may catch it."""


class StorageFault:
    """How a disk fails: `full`, `error` (nothing was written), `late` (written, but the sync failed); `left` times."""

    def __init__(self, kind: str, left: int, fired: Callable[[], None]) -> None:
        """`fired` is told each time."""
        self.kind, self.left, self.fired = kind, left, fired


class Storage:
    """One part's disk: the folder that it runs on, one after each crash, and what befalls it.

    `statements` counts what its connections ran, apart from those that only read beside them.
    """

    def __init__(self, underneath: Underneath, name: str, folder: Path) -> None:
        """An empty folder, made now."""
        self._underneath, self.name, self._root = underneath, name, folder
        self._number = 0
        self.connections: list[sqlite3.Connection] = []
        self.statements = 0
        self.crash_in: int | None = None
        self.crashed_at = ""
        self.fault: StorageFault | None = None
        self.folder = self._next()

    def _next(self) -> Path:
        self._number += 1
        folder = self._root / str(self._number)
        folder.mkdir(parents=True)
        return folder

    def point(self, what: str) -> None:
        """A step that a crash may come before: it leaves the disk as it is now. Raises Crash."""
        if self.crash_in is not None:
            self.crash_in -= 1
            if self.crash_in <= 0:
                self.crash_in = None
                self.crashed_at = what
                self.cut()
                raise Crash(what)

    def cut(self) -> None:
        """The disk as it is now is what the next run finds; whoever still uses the old one writes into the air."""
        before, self.folder = self.folder, self._next()
        copy(before, self.folder)
        self._gone = before

    def replace(self, source: Path | None) -> None:
        """Another disk: empty, or a copy made before. The part must be down."""
        before, self.folder = self.folder, self._next()
        if source is not None:
            copy(source, self.folder)
        shutil.rmtree(before)

    def keep(self, name: str) -> Path:
        """A copy of the disk as it is, such as a backup."""
        target = self._root / name
        shutil.rmtree(target, ignore_errors=True)
        target.mkdir(parents=True)
        copy(self.folder, target)
        return target

    def release(self) -> None:
        """Close what a stopped part left open, and drop the disks that nobody will see again."""
        for connection in self.connections:
            connection.close()
        self.connections.clear()
        for old in self._root.iterdir():
            if old.name.isdigit() and old != self.folder:
                shutil.rmtree(old)


def copy(source: Path, target: Path) -> None:
    """Copy a data directory as a reader of the raw disk would: the log's index is no part of it."""
    for path in sorted(source.iterdir()):
        if path.is_file() and not path.name.endswith("-shm") and path.name != "lock":
            shutil.copyfile(path, target / path.name)


class Connection(sqlite3.Connection):
    """A connection of a part, with a place to crash or to fail before each statement."""

    storage: Storage

    def execute(self, sql: str, *parameters: Any) -> sqlite3.Cursor:
        """See sqlite3; a fault of the disk comes as SQLite would tell it."""
        storage = self.storage
        storage.statements += 1
        if storage.crash_in is not None:
            storage.point(_first_word(sql))
        if storage.fault is not None and _first_word(sql) in WRITES:
            return self._faulty(lambda: sqlite3.Connection.execute(self, sql, *parameters), sql)
        return super().execute(sql, *parameters)

    def executemany(self, sql: str, parameters: Any) -> sqlite3.Cursor:
        """See sqlite3."""
        self.storage.statements += 1
        self.storage.point("INSERT many")
        if self.storage.fault is not None:
            return self._faulty(lambda: sqlite3.Connection.executemany(self, sql, parameters), "INSERT")
        return super().executemany(sql, parameters)

    def executescript(self, sql: str) -> sqlite3.Cursor:
        """See sqlite3."""
        self.storage.statements += 1
        self.storage.point("script")
        return super().executescript(sql)

    def _faulty(self, run: Callable[[], sqlite3.Cursor], sql: str) -> sqlite3.Cursor:
        fault = self.storage.fault
        assert fault is not None
        word = _first_word(sql)
        syncs = word == "COMMIT" or (word in WRITES and word != "BEGIN" and not self.in_transaction)
        if fault.kind == "full":
            if word in ("BEGIN", "DELETE"):
                return run()
            fault.fired()
            raise _failure("database or disk is full", "SQLITE_FULL", sqlite3.SQLITE_FULL)
        if not syncs:
            return run()
        fault.left -= 1
        if fault.left <= 0:
            self.storage.fault = None
        if fault.kind == "late":
            run()
        fault.fired()
        raise _failure("disk I/O error", "SQLITE_IOERR_FSYNC", 1034)


def _first_word(sql: str) -> str:
    return sql.lstrip()[:8].split(None, 1)[0].upper()


def _failure(text: str, name: str, code: int) -> sqlite3.OperationalError:
    problem = sqlite3.OperationalError(text)
    problem.sqlite_errorname = name
    problem.sqlite_errorcode = code
    return problem


class Genuine:
    """Signatures that were made here: opened by their own key they are what was signed, and needn't be reckoned again.

    Whatever else comes - other bytes, another key, or what was forgotten - libsodium judges.
    """

    def __init__(self) -> None:
        """None was made yet."""
        self._sign, self._open = nacl.bindings.crypto_sign, nacl.bindings.crypto_sign_open
        self._made: OrderedDict[tuple[bytes, bytes], bytes] = OrderedDict()

    def sign(self, message: bytes, secret: bytes) -> bytes:
        """See nacl.bindings.crypto_sign; a secret ends with its public key (RFC 8032, as libsodium keeps it)."""
        signed: bytes = self._sign(message, secret)
        self._keep((signed, secret[32:]), message)
        return signed

    def open(self, signed: bytes, key: bytes) -> bytes:
        """See nacl.bindings.crypto_sign_open; the same bytes come to several."""
        found = self._made.get((signed, key))
        if found is None:
            found = self._open(signed, key)
            self._keep((signed, key), found)
        return found

    def _keep(self, name: tuple[bytes, bytes], message: bytes) -> None:
        self._made[name] = message
        if len(self._made) > SIGNED_KEPT:
            self._made.popitem(last=False)


class Underneath:
    """See the room."""

    def __init__(self, root: Path, rng: Random) -> None:
        """Everything lies below `root`; chance is drawn from `rng`."""
        self.root, self._rng = root, rng
        self._storages: dict[str, Storage] = {}
        self._connect = sqlite3.connect

    def storage(self, name: str) -> Storage:
        """A part's disk, made new."""
        made = self._storages[name] = Storage(self, name, self.root / name)
        return made

    @contextmanager
    def entered(self) -> Iterator[None]:
        """Lie underneath everything that runs meanwhile."""
        fsync, rename = os.fsync, os.rename
        genuine = Genuine()

        def synced(descriptor: int) -> None:
            # Memory has nothing to sync; a crash may come before.
            self._point(os.readlink(f"/proc/self/fd/{descriptor}"), "fsync")

        def renamed(source: Any, target: Any) -> None:
            self._point(str(target), "rename")
            rename(source, target)

        with ExitStack() as stack:
            for target, replacement in (
                (sqlite3, {"connect": self._connected}),
                (os, {"fsync": synced, "rename": renamed}),
                (
                    secrets,
                    {
                        "token_bytes": lambda size=32: self._rng.randbytes(size),
                        "token_hex": lambda size=32: self._rng.randbytes(size).hex(),
                        "randbits": self._rng.getrandbits,
                    },
                ),
                (
                    nacl.bindings,
                    {
                        "crypto_box_seal": self._sealed,
                        "crypto_sign": genuine.sign,
                        "crypto_sign_open": genuine.open,
                    },
                ),
            ):
                stack.enter_context(patch.multiple(target, **replacement))
            yield
        assert os.fsync is fsync

    def _storage_of(self, path: str) -> Storage | None:
        inside = os.path.relpath(path, self.root)
        return self._storages.get(inside.partition(os.sep)[0])

    def _point(self, path: str, what: str) -> None:
        storage = self._storage_of(path)
        if storage is not None:
            storage.point(what)

    def _connected(self, database: Any, **words: Any) -> sqlite3.Connection:
        path = str(database)
        if path.startswith("file:"):
            # A reader beside the writer: it changes nothing, so it neither crashes nor fails.
            made: sqlite3.Connection = self._connect(database, **words)
        else:
            made = self._connect(database, **words, factory=Connection)
        plain = path.removeprefix("file://").removeprefix("file:").partition("?")[0]
        storage = self._storage_of(plain)
        assert storage is not None, path
        if isinstance(made, Connection):
            made.storage = storage
        storage.connections.append(made)
        return made

    def _sealed(self, message: bytes, key: bytes) -> bytes:
        """A sealed box as libsodium's crypto_box_seal makes it (nonce: BLAKE2b over both keys), from our chance."""
        public, secret = nacl.bindings.crypto_box_seed_keypair(self._rng.randbytes(32))
        nonce = hashlib.blake2b(public + key, digest_size=24).digest()
        return public + nacl.bindings.crypto_box(message, nonce, key, secret)
