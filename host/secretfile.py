"""Secret files: a key or passphrase in a small file that nobody but its owner can read."""

from __future__ import annotations

import os
import stat
from pathlib import Path
from typing import Final

MODES: Final = (0o600, 0o400)


class SecretNotRead(Exception):
    """Why a secret wasn't read, as the end of a sentence that began with the file's name; `open_to_others` by mode."""

    def __init__(self, why: str, *, open_to_others: bool = False) -> None:
        """Say why."""
        super().__init__(why)
        self.open_to_others = open_to_others


def read_secret(path: Path, bytes_max: int) -> bytes:
    """What stands in the file, one byte more than `bytes_max` at most: who gets that many refuses it.

    Raises SecretNotRead.
    """
    try:
        # A pipe under that name would be waited for.
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
        with os.fdopen(descriptor, "rb") as opened:
            found = os.fstat(descriptor)
            if not stat.S_ISREG(found.st_mode):
                raise SecretNotRead("is no file")
            if (mode := stat.S_IMODE(found.st_mode)) not in MODES:
                raise SecretNotRead(f"has mode {mode:04o}: others could read it", open_to_others=True)
            return opened.read(bytes_max + 1)
    except OSError as problem:
        raise SecretNotRead(f"can't be read: {problem.strerror}") from problem
