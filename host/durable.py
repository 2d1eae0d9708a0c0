"""Durable files: written whole or not at all, and still there after a power cut once the call has returned."""

from __future__ import annotations

import os
import secrets
from pathlib import Path


def sync_folder(folder: Path) -> None:
    """Make the folder's entries durable. Raises OSError."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


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
