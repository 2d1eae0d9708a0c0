"""Mending: a ledger opened whatever its file looks like; a damaged one is set aside and the hub stays who it is.

What a hub holds, its gateways and the city hold too, and fill it again. Its keys and the devices that people accepted
only it has: a copy of them lies beside the ledger.
"""

from __future__ import annotations

import logging
import os
import secrets
import sqlite3
from contextlib import suppress
from pathlib import Path
from typing import Final

import msgspec

from host.durable import write_durably
from hub.backups.restoring import finish_restore
from hub.config import HubConfig
from hub.parts import COPY_NAME, FILE_NAME, Store
from hub.store.database import CORRUPT, SUSPECT_NAME, LedgerDamaged, LedgerFailed, explained
from hub.store.ownjournal import OwnJournal
from hub.store.secrets import read_export
from protocol.errors import BadMessage, K12EdgeError

log = logging.getLogger("k12edge.mending")

ASIDE_MAX: Final = 4
"""Damaged ledgers kept for those who look for the cause, the largest: what broke again at once holds nothing."""
HEADER_BYTES: Final = 100
"""Of a database (SQLite's file format, 1.3)."""
_UNSOUND: Final = ("SQLITE_ERROR", "SQLITE_CONSTRAINT", "SQLITE_MISMATCH")
"""What a start meets in a file whose schema or rows were changed: a table gone, a place taken, another type."""
UNREADABLE: Final = (msgspec.DecodeError, BadMessage, ValueError, KeyError, TypeError, AssertionError)
"""What rows lead to that can't be what was written."""


def _is_damage(problem: Exception) -> bool:
    cause = problem if isinstance(problem, sqlite3.Error) else problem.__cause__
    if isinstance(cause, sqlite3.Error) and isinstance(problem, sqlite3.Error | LedgerFailed):
        name = getattr(cause, "sqlite_errorname", "")
        # Without a name it is text that can't be decoded, or a value that can't be.
        return not name or name.startswith((*CORRUPT, *_UNSOUND))
    return isinstance(problem, (LedgerDamaged, *UNREADABLE))


def open_store(config: HubConfig) -> tuple[Store, OwnJournal]:
    """The store, and this run's journal in it. Raises SchemaTooNew, LedgerFull, LedgerFailed, OSError."""
    folder = config.data_dir
    finish_restore(folder)
    aside = _no_files(folder)
    if (folder / SUSPECT_NAME).exists():
        aside += _set_aside(folder)
        (folder / SUSPECT_NAME).unlink()
    elif _is_cut(folder / FILE_NAME):
        aside += _set_aside(folder)
    try:
        store, own = _opened(config)
    except Exception as problem:
        if not _is_damage(problem):
            if isinstance(problem, sqlite3.Error):
                raise explained(problem, "the ledger can't be read") from problem
            raise
        log.error("the ledger is damaged: %s: %s", type(problem).__name__, problem)
        aside += _set_aside(folder)
        store, own = _opened(config)
    if not aside and _lacks(store, config):
        # Its log was damaged, and SQLite reads as far as that; or an older file was put in place.
        log.error("the ledger lacks keys or devices that their copy names")
        aside = ["its log, or an older file:"]
    try:
        if aside:
            _take_over(store, config, aside)
    except BaseException:
        store.database.close()
        raise
    return store, own


def _is_cut(path: Path) -> bool:
    """Whether a ledger was cut to less than its header: SQLite takes one of no byte, or one, for new, with no log."""
    log_of = path.with_name(f"{path.name}-wal")
    size = path.stat().st_size if path.exists() else HEADER_BYTES
    return size == 1 or (size < HEADER_BYTES and log_of.exists() and log_of.stat().st_size > 0)


def _lacks(store: Store, config: HubConfig) -> bool:
    """Whether the copy says what the ledger doesn't: another hub's keys, other card keys, devices accepted."""
    try:
        copied = _said((config.data_dir / COPY_NAME).read_bytes())
        _, octets = store.secrets.export(config.school, store.devices)
        return not copied <= _said(octets)
    except (OSError, K12EdgeError):
        # A damaged copy says nothing, and is written anew.
        return False


def _said(octets: bytes) -> set[tuple[str, str]]:
    """What an export says, piece by piece. Raises KeysRefused."""
    found = read_export(COPY_NAME, octets)
    seeds = {("school", found.school), ("sign_seed", found.sign_seed), ("box_seed", found.box_seed)}
    keys = {(f"card key {number}", secret) for number, secret in found.card_keys}
    return seeds | keys | {(one.device, one.key) for one in found.devices}


def _opened(config: HubConfig) -> tuple[Store, OwnJournal]:
    store = Store(config)
    try:
        return store, store.open_own_journal()
    except BaseException:
        store.database.close()
        raise


def _no_files(folder: Path) -> list[str]:
    """Rename what lies under the ledger's names and is no file."""
    names = []
    for name in (FILE_NAME, f"{FILE_NAME}-wal", f"{FILE_NAME}-shm", SUSPECT_NAME, COPY_NAME):
        path = folder / name
        if path.exists() and not path.is_file():
            names.append(f"no-file-{secrets.token_hex(4)}-{name}")
            os.rename(path, folder / names[-1])
    return names


def _set_aside(folder: Path) -> list[str]:
    """Rename the ledger and its log; of all that were renamed the largest stay. The names."""
    label = f"ledger-damaged-{secrets.token_hex(4)}.db"
    names = []
    for suffix in ("-wal", ""):
        source = folder / f"{FILE_NAME}{suffix}"
        if source.exists():
            names.append(label + suffix)
            os.rename(source, folder / names[-1])
    (folder / f"{FILE_NAME}-shm").unlink(missing_ok=True)
    kept = sorted(folder.glob("ledger-damaged-*.db"), key=lambda path: path.stat().st_size, reverse=True)
    for path in kept[ASIDE_MAX:]:
        path.unlink()
        path.with_name(f"{path.name}-wal").unlink(missing_ok=True)
    return names


def _take_over(store: Store, config: HubConfig, aside: list[str]) -> None:
    """Become who the hub was, where the copy of its keys can be read; tell a person in any case."""
    try:
        octets = (config.data_dir / COPY_NAME).read_bytes()
        now_ms = store.clock.now_ms()
        with store.database.transaction():
            said = store.secrets.restore(COPY_NAME, octets, config.school, store.devices, now_ms)
    except (OSError, K12EdgeError) as problem:
        said = f"the keys can't be restored ({problem}): k12edge hub keys import FILE"
    detail = f"{', '.join(aside)}; {said}"
    log.error("%s: %s", LedgerDamaged.code, detail)
    with store.database.transaction():
        store.ledger.alarm(LedgerDamaged.code, "-", detail, store.clock.now_ms())


def keep_keys(store: Store, config: HubConfig) -> None:
    """Bring the copy of the keys up to date; a disk that takes nothing now gets it later."""
    with store.copying:
        _keep_keys(store, config)


def _keep_keys(store: Store, config: HubConfig) -> None:
    path = config.data_dir / COPY_NAME
    try:
        with store.database.lock:
            _, octets = store.secrets.export(config.school, store.devices)
        with suppress(FileNotFoundError):
            if path.read_bytes() == octets:
                return
        write_durably(path, octets)
    except (OSError, sqlite3.Error, K12EdgeError) as problem:
        log.warning("the copy of the hub's keys could not be written: %s", problem)
