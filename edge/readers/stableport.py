"""A stable port: a serial port found again when the kernel gave it another name, and no other taken for it."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from protocol.errors import ReaderLost

FOLDERS: Final = ("/dev/k12edge", "/dev/serial/by-path", "/dev/serial/by-id")
"""Where udev keeps names that outlive a replugging, the surest first: a socket is one adapter's, while adapters without
a serial number share the name that is made of it."""


class StablePort:
    """Where a port is now. At each opening its stable names are noted; a later opening goes by them."""

    def __init__(self, path: str, folders: Sequence[str] = FOLDERS) -> None:
        """`path` as it is configured: a name of udev's, or the kernel's (`/dev/ttyUSB0`)."""
        self._path, self._folders = path, tuple(folders)
        self._names: list[str] = []

    def find(self) -> str:
        """The path to open now. Raises ReaderLost when the port isn't there, or another device has its name."""
        for name in self._names:
            if os.path.exists(name):
                return name
        if self._names and os.path.exists(self._path) and self._stable_names():
            raise ReaderLost(f"{self._path} is another device than before: {self._stable_names()[0]}")
        return self._path

    def opened(self, path: str) -> None:
        """It was opened at `path`; what udev calls it is how it is found from now on."""
        if self._names and path in self._names:
            return
        # A name below one of the folders is stable by itself, and what the configuration says.
        inside = any(os.path.abspath(self._path).startswith(f"{folder}/") for folder in self._folders)
        self._names = [] if inside else self._stable_names()

    def _stable_names(self) -> list[str]:
        device = os.path.realpath(self._path)
        found: list[str] = []
        for folder in self._folders:
            try:
                names = sorted(Path(folder).iterdir())
            except OSError:
                continue
            found += [str(name) for name in names if os.path.realpath(name) == device]
        return found
