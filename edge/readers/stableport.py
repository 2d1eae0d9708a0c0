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


_claims: Final[dict[str, int]] = {}
"""Names of sockets -> the port (by its id()) of this process that is there, or was when it was last seen."""


class StablePort:
    """Where a port is now. At each opening its stable names are noted; a later opening goes by them.

    Adapters without a serial number share their name below by-id, and udev gives it to whichever is left. So a port
    that is found by that name alone is taken only where its socket is no other port's.
    """

    def __init__(self, path: str, folders: Sequence[str] = FOLDERS) -> None:
        """`path` as it is configured: a name of udev's, or the kernel's (`/dev/ttyUSB0`)."""
        self._path, self._folders = path, tuple(folders)
        self._names: list[str] = []
        self._claim(self._path)

    def find(self) -> str:
        """The path to open now. Raises ReaderLost when the port isn't there, or another device has its name."""
        for name in self._names:
            if os.path.exists(name) and not self._is_anothers(name):
                return name
        if self._names:
            # The kernel gives the name to whatever is plugged in next, and udev's names come a moment later.
            there = self._stable_names() if os.path.exists(self._path) else []
            other = f"{self._path} is another device than before: {there[0]}" if there else ""
            raise ReaderLost(other or f"{self._path} can't be opened: {self._names[0]} is not there")
        # Now, while it is there: it may be gone before it is opened.
        self._note()
        return self._path

    def opened(self, path: str) -> None:
        """It was opened at `path`; what udev calls it is how it is found from now on."""
        self._claim(path)
        if path not in self._names:
            self._note()

    def _note(self) -> None:
        # A name below one of the folders is stable by itself, and what the configuration says.
        inside = any(os.path.abspath(self._path).startswith(f"{folder}/") for folder in self._folders)
        names = [] if inside else self._stable_names()
        # Gone since it was found, it has no names any more; those that it had lead back to it.
        self._names = names or self._names

    def _claim(self, path: str) -> None:
        if os.path.exists(path):
            # It is in one socket at a time; the one that it left may become another's.
            for socket in [socket for socket, owner in _claims.items() if owner == id(self)]:
                del _claims[socket]
            for socket in self._sockets(path):
                _claims[socket] = id(self)

    def _is_anothers(self, name: str) -> bool:
        """Whether a name that adapters may share leads to a socket of another port."""
        if Path(name).parent != Path(self._folders[-1]):
            return False
        return any(_claims.get(socket, id(self)) != id(self) for socket in self._sockets(name))

    def _sockets(self, path: str) -> list[str]:
        """The names of the USB socket in which a port is, not those of its adapter."""
        return [name for name in self._stable_names(path) if Path(name).parent != Path(self._folders[-1])]

    def _stable_names(self, path: str | None = None) -> list[str]:
        device = os.path.realpath(self._path if path is None else path)
        found: list[str] = []
        for folder in self._folders:
            try:
                names = sorted(Path(folder).iterdir())
            except OSError:
                continue
            found += [str(name) for name in names if os.path.realpath(name) == device]
        return found
