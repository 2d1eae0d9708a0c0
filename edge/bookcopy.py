"""A journal opened for looking only: beside a running gateway, or as a private copy of what a power cut left behind."""

from __future__ import annotations

import shutil
import sqlite3
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from edge.journalfile import FILE_NAME, open_for_reading
from host.lock import is_held
from protocol.errors import JournalFailed


def journal_files(path: Path) -> list[Path]:
    """The journal files that a PATH stands for: itself, or those of a data directory, damaged ones included.

    Raises JournalFailed where there is none.
    """
    if path.is_dir():
        files = [path / FILE_NAME, *sorted(path.glob("journal-damaged-*.db"))]
        found = [file for file in files if file.exists()]
        if not found:
            raise JournalFailed(f"{path} holds no {FILE_NAME}", hint="Give a gateway's data_dir or a journal file.")
        return found
    if not path.is_file():
        raise JournalFailed(f"{path} does not exist", hint="Give a gateway's data_dir or a journal file.")
    return [path]


@contextmanager
def opened(path: Path) -> Iterator[sqlite3.Connection]:
    """A connection that sees what a gateway would see, and leaves every byte as it is. Raises JournalFailed.

    Where no gateway runs, the file and its log are copied first: reading a log that a power cut left behind would
    otherwise write to it.
    """
    if is_held(path.parent):
        database = open_for_reading(path)
        try:
            yield database
        finally:
            database.close()
        return
    with tempfile.TemporaryDirectory(prefix="k12edge-") as folder:
        copy = Path(folder) / "journal.db"
        try:
            for suffix in ("", "-wal"):
                source = path.with_name(path.name + suffix)
                if source.exists():
                    shutil.copyfile(source, copy.with_name(copy.name + suffix))
        except OSError as problem:
            raise JournalFailed(f"{path} can't be read: {problem.strerror}") from problem
        database = sqlite3.connect(copy, isolation_level=None)
        try:
            yield database
        finally:
            database.close()
