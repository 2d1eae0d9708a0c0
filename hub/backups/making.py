"""The making of a backup: a folder written file by file, verified, and only then named a backup by its manifest."""

from __future__ import annotations

import errno
import fcntl
import hashlib
import io
import logging
import os
import sqlite3
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, Final

import msgspec

from host.durable import sync_folder, write_new
from hub.backups import seal
from hub.backups.copying import BackupFailed, Pace, check_copy, copy_ledger, ledger_bytes, open_copy
from hub.backups.manifest import (
    AUTHORITY_NAME,
    BEGUN_NAME,
    FORMAT,
    KEYS_NAME,
    LEDGER_NAME,
    MANIFEST_NAME,
    OURS,
    Authority,
    BackupRefused,
    Begun,
    File,
    Journal,
    Manifest,
    backups_in,
    check_files,
    is_ours,
    read_manifest,
    write_manifest,
    written,
)
from hub.backups.plan import NEWEST_SAME_DISK, NUMBER_MAX, Named, folder_name, kept
from hub.store.notes import BackedUp
from hub.tls import CA_KEY_NAME, CA_NAME, FOLDER
from protocol.envelope import rfc3339, text_of
from protocol.errors import NeedsHands, Transient

log = logging.getLogger("k12edge.backup")

DRAFT_NAME: Final = "backup-draft.db"
"""In data_dir, while a sealed backup is made: what lies on a stick was never open there."""
LEAVE_BYTES: Final = 8 * 1024 * 1024
"""Left free where backups go: the manifest, and what file systems need for themselves."""
LEAVE_HOME_BYTES: Final = 128 * 1024 * 1024
"""Left free on the disk of the ledger: a hub that can't store takes no tap."""
COUNTED: Final = ("events", "devices", "parked", "forks", "pupils", "card_keys")
"""Tables whose rows a manifest counts, where the ledger's schema has them."""
OWN_MAX: Final = 2_000
"""Journals of the hub's own that a note of a backup lists, the newest: one a start."""


class BackupFull(NeedsHands):
    """There is no room for another backup; none was deleted for it but older ones of this hub."""

    code = "backup-full"
    hint = "Free space where backups go, or give a larger disk; the last good backup is still there."


class BackupWaits(Transient):
    """The place where backups go is not there: a stick that isn't plugged in, a disk that isn't mounted."""

    code = "backup-waits"
    hint = "Plug the stick in; the backup is made by itself once it is mounted."


@dataclass(frozen=True, slots=True)
class Hub:
    """What of a hub a backup is made of. `keys` gives the key paper, `now_ms` its clock."""

    school: str
    hub: str
    version: str
    data_dir: Path
    ledger: Path
    keys: Callable[[], bytes]
    now_ms: Callable[[], int]


@dataclass(frozen=True, slots=True)
class Made:
    """A finished backup: its folder, its manifest, and the note that the hub keeps of it."""

    folder: Path
    manifest: Manifest
    note: BackedUp


def make_backup(hub: Hub, place: Path, passphrase: bytes | None, pace: Pace) -> Made:
    """Make one more backup in a folder that exists.

    Raises BackupWaits, BackupFull, BackupFailed, BackupRefused, Stopped.
    """
    try:
        with _alone_in(place):
            _sweep(hub, place)
            same_disk = _device(place) == _device(hub.data_dir)
            _make_room(hub, place, sealed=passphrase is not None, same_disk=same_disk)
            made = _made(hub, place, passphrase, pace)
            _thin(hub, place, same_disk=same_disk)
            return made
    except OSError as problem:
        if problem.errno in (errno.ENOSPC, errno.EDQUOT):
            raise BackupFull(f"{place} is full") from problem
        raise BackupFailed(f"no backup could be written to {place}: {problem}") from problem
    finally:
        (hub.data_dir / DRAFT_NAME).unlink(missing_ok=True)


def _device(folder: Path) -> int:
    return os.stat(folder).st_dev


@contextmanager
def _alone_in(place: Path) -> Iterator[None]:
    """Nobody else makes backups there at the same time. Raises BackupWaits, BackupFailed."""
    try:
        descriptor = os.open(place, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    except (FileNotFoundError, NotADirectoryError) as problem:
        raise BackupWaits(f"{place} is not there") from problem
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as problem:
            raise BackupFailed(f"another backup is being made in {place}", hint="Wait until it is done.") from problem
        yield
    finally:
        os.close(descriptor)


# --- room -----------------------------------------------------------------------------------------------------------


def _sweep(hub: Hub, place: Path) -> None:
    """Remove what a kill or a power cut left half written: ours, and without a manifest."""
    for _, path in backups_in(place, hub.school, hub.hub):
        if not (path / MANIFEST_NAME).exists():
            log.warning("the half-written backup %s is removed", path.name)
            _remove(hub, path)


def _remove(hub: Hub, path: Path) -> None:
    """Delete one of our folders; a file of somebody else's in it stays, and so does the folder."""
    if is_ours(path, hub.school, hub.hub):
        # The manifest goes first: what is half deleted is no backup either; whose it was is known to the end.
        names = (MANIFEST_NAME, *(name for name in OURS if name not in (MANIFEST_NAME, BEGUN_NAME)), BEGUN_NAME)
        for name in names:
            for one in (name, f"{name}.new", f"{name}{seal.SUFFIX}"):
                (path / one).unlink(missing_ok=True)
    with suppress(OSError):
        path.rmdir()


def _usable(hub: Hub, place: Path) -> list[tuple[Named, Path]]:
    """Our finished backups, newest first."""
    found = []
    for name, path in backups_in(place, hub.school, hub.hub):
        with suppress(BackupRefused):
            manifest = read_manifest(path)
            if (manifest.school, manifest.hub) == (hub.school, hub.hub):
                found.append((name, path))
    return found


def _make_room(hub: Hub, place: Path, *, sealed: bool, same_disk: bool) -> None:
    """See that there is room, if need be by removing our oldest ones but the newest two. Raises BackupFull."""
    size = ledger_bytes(hub.ledger)
    needed = size + LEAVE_BYTES
    if sealed and not same_disk and _free(hub.data_dir) < size + LEAVE_HOME_BYTES:
        raise BackupFull(f"a draft of {size} bytes has no room in {hub.data_dir}")
    if same_disk:
        needed = size * (2 if sealed else 1) + LEAVE_HOME_BYTES
    older = [path for _, path in _usable(hub, place)[NEWEST_SAME_DISK:]]
    while _free(place) < needed and older:
        log.warning("%s makes room for the next backup", older[-1].name)
        _remove(hub, older.pop())
    if _free(place) < needed:
        raise BackupFull(f"{place} has {_free(place)} bytes free, a backup needs {needed}")


def _free(folder: Path) -> int:
    found = os.statvfs(folder)
    return found.f_bavail * found.f_frsize


def _thin(hub: Hub, place: Path, *, same_disk: bool) -> None:
    """Remove those of ours that need not stay."""
    usable = _usable(hub, place)
    stays = kept([name for name, _ in usable], same_disk=same_disk)
    for name, path in usable:
        if name.number not in stays:
            _remove(hub, path)


# --- one backup -----------------------------------------------------------------------------------------------------


def _made(hub: Hub, place: Path, passphrase: bytes | None, pace: Pace) -> Made:
    made_ms = hub.now_ms()
    number = max((name.number for name, _ in backups_in(place, hub.school, hub.hub)), default=0) % NUMBER_MAX + 1
    folder = place / folder_name(hub.school, hub.hub, made_ms, number)
    folder.mkdir(mode=0o700)
    sync_folder(place)
    try:
        write_new(folder / BEGUN_NAME, msgspec.json.encode(Begun(hub.school, hub.hub)))
        plan = None if passphrase is None else seal.new_plan()
        key = None if passphrase is None or plan is None else seal.key_of(passphrase, plan)
        copy = folder / LEDGER_NAME if key is None else hub.data_dir / DRAFT_NAME
        copy.unlink(missing_ok=True)
        copy_ledger(hub.ledger, copy, pace)
        papers = {KEYS_NAME: hub.keys(), **_authority(hub.data_dir)}
        files = _write_files(folder, copy, papers, key, pace)
        schema = check_copy(copy, pace)
        counts, journals, own = _told(copy, hub)
        manifest = Manifest(
            FORMAT,
            hub.school,
            hub.hub,
            hub.version,
            schema,
            number,
            rfc3339(made_ms),
            made_ms,
            counts,
            journals,
            files,
            plan,
        )
        sync_folder(folder)
        # What was written is read again before anybody relies on it.
        check_files(folder, manifest, pace.rest)
        if key is not None:
            _check_seal(folder, manifest, copy, key, pace)
        write_manifest(folder, manifest)
        sync_folder(place)
    except BaseException:
        with suppress(OSError):
            _remove(hub, folder)
        raise
    return Made(folder, manifest, BackedUp(made_ms, number, str(folder), plan is not None, own))


def _authority(data_dir: Path) -> dict[str, bytes]:
    """The hub's own certificate authority, where it has one: without it every phone would have to be taught anew."""
    try:
        certificate, key = ((data_dir / FOLDER / name).read_text(encoding="ascii") for name in (CA_NAME, CA_KEY_NAME))
    except FileNotFoundError:
        return {}
    return {AUTHORITY_NAME: msgspec.json.encode(Authority(certificate, key))}


def _write_files(
    folder: Path, copy: Path, papers: Mapping[str, bytes], key: bytes | None, pace: Pace
) -> dict[str, File]:
    """The ledger's copy and the papers as they are to lie there; their lengths and digests."""
    if key is None:
        found = {LEDGER_NAME: _measured(copy, pace)}
        return found | {name: written(folder / name, octets) for name, octets in papers.items()}
    with copy.open("rb") as opened:
        sources: dict[str, BinaryIO] = {LEDGER_NAME: opened}
        sources |= {name: io.BytesIO(octets) for name, octets in papers.items()}
        return {
            f"{name}{seal.SUFFIX}": _sealed(source, folder / f"{name}{seal.SUFFIX}", key, name, pace)
            for name, source in sources.items()
        }


def _measured(path: Path, pace: Pace) -> File:
    found, size = hashlib.sha256(), 0
    with path.open("rb") as file:
        while piece := file.read(seal.PIECE_BYTES):
            found.update(piece)
            size += len(piece)
            pace.rest()
    return File(size, found.hexdigest())


def _sealed(source: BinaryIO, target: Path, key: bytes, name: str, pace: Pace) -> File:
    found, size = hashlib.sha256(), 0
    descriptor = os.open(target, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    with os.fdopen(descriptor, "wb", buffering=0) as out:
        for piece in seal.sealed_pieces(source, key, name):
            out.write(piece)
            found.update(piece)
            size += len(piece)
            os.fdatasync(descriptor)
            pace.rest()
        os.fsync(descriptor)
    return File(size, found.hexdigest())


def _check_seal(folder: Path, manifest: Manifest, copy: Path, key: bytes, pace: Pace) -> None:
    """Open what was sealed, as a restore will, and hold it to the copy that was checked. Raises BackupFailed."""
    opened = hashlib.sha256()
    with (folder / manifest.file_of(LEDGER_NAME)).open("rb") as file:
        for piece in seal.opened_pieces(file, key, LEDGER_NAME):
            opened.update(piece)
            pace.rest()
    if opened.hexdigest() != _measured(copy, pace).sha256:
        raise BackupFailed(f"{folder} doesn't open to what was sealed")


def _told(copy: Path, hub: Hub) -> tuple[dict[str, int], dict[str, Journal], dict[str, int]]:
    """What the copy holds: counts, journals, and the last record of each own one. Raises BackupFailed."""
    try:
        with closing(open_copy(copy)) as reader:
            tables = {name for (name,) in reader.execute("SELECT name FROM sqlite_schema WHERE type = 'table'")}
            counts = {
                table: int(reader.execute(f"SELECT count(*) FROM {table}").fetchone()[0])
                for table in COUNTED
                if table in tables
            }
            journals, own = {}, {}
            for number, journal, source, device in reader.execute(
                "SELECT number, journal, source, device FROM journals ORDER BY number"
            ).fetchall():
                count, last = reader.execute(
                    "SELECT count(*), max(sequence) FROM events WHERE journal = ?", (number,)
                ).fetchone()
                if not count:
                    continue
                head = reader.execute(
                    "SELECT digest FROM events WHERE journal = ? AND sequence = ?", (number, last)
                ).fetchone()[0]
                journals[journal] = Journal(source, count, last, text_of(bytes(head)))
                if device is None:
                    own[journal] = last
    except sqlite3.Error as problem:
        raise BackupFailed(f"the copy for {hub.hub} can't be read: {problem}") from problem
    return counts, journals, dict(list(own.items())[-OWN_MAX:])
