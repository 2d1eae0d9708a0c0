"""The manifest of a backup: what lies in its folder, of which hub, and the digests by which that is known.

It is written last. A folder without a sound one is no backup.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Final

import msgspec

from host.durable import write_durably
from hub.backups.plan import Named, named
from hub.backups.seal import SealPlan
from protocol.errors import NeedsHands

FORMAT: Final = "k12edge-backup-1"
MANIFEST_NAME: Final = "manifest.json"
BEGUN_NAME: Final = "begun.json"
"""The first file of a folder: whose it is to be, as long as no manifest says so."""
LEDGER_NAME: Final = "ledger.db"
KEYS_NAME: Final = "keys.json"
AUTHORITY_NAME: Final = "authority.json"
"""The hub's own certificate authority, which phones were taught to trust; only where it has one."""
OURS: Final = (BEGUN_NAME, LEDGER_NAME, KEYS_NAME, AUTHORITY_NAME, MANIFEST_NAME)
MANIFEST_BYTES_MAX: Final = 64 * 1024 * 1024
READ_BYTES: Final = 256 * 1024
"""At once."""


class BackupRefused(NeedsHands):
    """A folder is no backup that can be used."""

    code = "backup-refused"
    hint = "Take another backup; nothing was changed."


class File(msgspec.Struct, frozen=True):
    """A file of the folder as it was written: its length and SHA-256 (hex)."""

    length_bytes: int
    sha256: str


class Journal(msgspec.Struct, frozen=True):
    """A journal in the ledger's copy: whose, how many records, the last one and its digest."""

    source: str
    count: int
    last: int
    head: str


class Manifest(msgspec.Struct, frozen=True):
    """See the room. `journals` by id; `files` by name in the folder; `seal` is null where they lie open."""

    format: str
    school: str
    hub: str
    version: str
    schema: int
    number: int
    made: str
    made_ms: int
    counts: dict[str, int]
    journals: dict[str, Journal]
    files: dict[str, File]
    seal: SealPlan | None = None

    def file_of(self, name: str) -> str:
        """The name in the folder of `ledger.db` or `keys.json`. Raises BackupRefused."""
        for found in self.files:
            if found.partition(".sealed")[0] == name:
                return found
        raise BackupRefused(f"the manifest names no {name}")


def read_manifest(folder: Path) -> Manifest:
    """A folder's manifest. Raises BackupRefused."""
    try:
        with (folder / MANIFEST_NAME).open("rb") as file:
            octets = file.read(MANIFEST_BYTES_MAX + 1)
    except FileNotFoundError as problem:
        raise BackupRefused(f"{folder} is half written, or no backup: it has no {MANIFEST_NAME}") from problem
    except OSError as problem:
        raise BackupRefused(f"{folder / MANIFEST_NAME} can't be read: {problem.strerror}") from problem
    try:
        found = msgspec.json.decode(octets, type=Manifest)
    except (msgspec.DecodeError, ValueError, RecursionError) as problem:
        raise BackupRefused(f"{folder / MANIFEST_NAME} is not a manifest: {problem}") from problem
    if found.format != FORMAT:
        raise BackupRefused(f"{folder} is a {found.format[:40]!r}, this software reads {FORMAT}")
    if any(Path(name).name != name for name in found.files):
        raise BackupRefused(f"{folder / MANIFEST_NAME} names files elsewhere")
    for name in (LEDGER_NAME, KEYS_NAME):
        found.file_of(name)
    return found


def write_manifest(folder: Path, manifest: Manifest) -> None:
    """The last step: only from here on the folder is a backup. Raises OSError."""
    write_durably(folder / MANIFEST_NAME, msgspec.json.format(msgspec.json.encode(manifest), indent=1) + b"\n")


def written(path: Path, octets: bytes) -> File:
    """A file that only its owner reads, whole or not at all. Raises OSError."""
    write_durably(path, octets)
    return File(len(octets), hashlib.sha256(octets).hexdigest())


def pieces_of(path: Path, pause: Callable[[], None] = lambda: None) -> Iterator[bytes]:
    """A file's content as it lies on the disk, not as it is still remembered; `pause` is called after each piece."""
    with path.open("rb", buffering=0) as file:
        with suppress(OSError):
            os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)
        while piece := file.read(READ_BYTES):
            yield piece
            pause()


def check_files(folder: Path, manifest: Manifest, pause: Callable[[], None] = lambda: None) -> None:
    """Read every file and hold it to its digest. Raises BackupRefused."""
    for name, wanted in manifest.files.items():
        found, size = hashlib.sha256(), 0
        try:
            for piece in pieces_of(folder / name, pause):
                found.update(piece)
                size += len(piece)
        except OSError as problem:
            raise BackupRefused(f"{folder / name} can't be read: {problem.strerror}") from problem
        if size != wanted.length_bytes or found.hexdigest() != wanted.sha256:
            raise BackupRefused(f"{folder / name} is not what was written: {size} bytes, another digest or length")


class Authority(msgspec.Struct, frozen=True):
    """The authority's certificate and key (PEM), as they lie in data_dir/tls."""

    certificate: str
    key: str


class Begun(msgspec.Struct, frozen=True):
    """Whose folder it is to be."""

    school: str
    hub: str


def is_ours(folder: Path, school: str, hub: str) -> bool:
    """Whether a folder, whole or half written, was made by this hub: nothing else of anybody's is ever deleted."""
    try:
        octets = (folder / BEGUN_NAME).read_bytes()
        return msgspec.json.decode(octets, type=Begun) == Begun(school, hub)
    except (OSError, msgspec.DecodeError, ValueError, RecursionError):
        # Without its first file it may be ours all the same, and is empty then; whoever lies there is left alone.
        return False


def backups_in(place: Path, school: str, hub: str) -> list[tuple[Named, Path]]:
    """The folders that this hub's backups are called like, newest first; whether they can be used isn't looked at."""
    try:
        entries = list(place.iterdir())
    except OSError:
        return []
    found = [(name, path) for path in entries if (name := named(path.name, school, hub)) is not None]
    return sorted(found, key=lambda one: one[0].number, reverse=True)
