"""Durable files: written whole or not at all, and still there after a power cut once the call has returned."""

from __future__ import annotations

import errno
import os
import secrets
import sqlite3
from pathlib import Path
from typing import Final

NO_ATTRIBUTE: Final = "user.k12edge.none"
"""An extended attribute that no file of ours has."""
GIVEN_UP: Final = (errno.EROFS, errno.EIO)
"""What a file system answers that takes nothing any more."""


def prove_synced(path: Path | str) -> None:
    """Ask whether the file system still took what was synced before this call. Raises OSError where it had given up.

    An ext4 that meets an error of its disk ends its journal, and with it the transaction under way. A sync that comes
    a moment later says that all is well (Linux 6.18: in 13 of 300 errors while a program wrote and synced), and what
    it was asked for is gone. Neither a second sync nor opening the file tells of it; the next handle of the journal
    is refused at once. To remove an attribute that isn't there takes a handle and changes
    nothing. Other file systems say that there is none, or that they know none.
    """
    try:
        os.removexattr(path, NO_ATTRIBUTE)
    except OSError as problem:
        if problem.errno in GIVEN_UP:
            raise


def prove_committed(path: Path) -> None:
    """The same behind a commit or a checkpoint of a database. Raises what SQLite does where a sync fails."""
    try:
        prove_synced(path)
    except OSError as problem:
        failed = sqlite3.OperationalError(f"the file system gave up under a sync: {problem.strerror}")
        failed.sqlite_errorcode, failed.sqlite_errorname = sqlite3.SQLITE_IOERR_FSYNC, "SQLITE_IOERR_FSYNC"
        raise failed from problem


def sync_folder(folder: Path) -> None:
    """Make the folder's entries durable. Raises OSError."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
    prove_synced(folder)


def write_new(path: Path, content: bytes, mode: int = 0o600) -> None:
    """A file that wasn't there, synced; its name is durable once `sync_folder` was called. Raises OSError."""
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, mode)
    try:
        view = memoryview(content)
        while view:
            view = view[os.write(descriptor, view) :]
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def write_durably(path: Path, content: bytes, mode: int = 0o600) -> None:
    """Replace a small file whole or not at all, durable when this returns. Raises OSError."""
    draft = path.with_name(path.name + ".new")
    # One that was left by a cut may have another mode.
    draft.unlink(missing_ok=True)
    write_new(draft, content, mode)
    os.rename(draft, path)
    sync_folder(path.parent)


def out_of_the_way(path: Path) -> str | None:
    """Rename what lies under a file's name and is no file, such as a folder; its new name, None where all is well.

    Raises OSError.
    """
    if not path.exists() or path.is_file():
        return None
    aside = path.with_name(f"no-file-{secrets.token_hex(4)}-{path.name}")
    os.rename(path, aside)
    sync_folder(path.parent)
    return aside.name
