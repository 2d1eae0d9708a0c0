"""Uploads: files that somebody brought for a second step of a page, kept in memory for a quarter of an hour."""

from __future__ import annotations

import secrets
import threading
from dataclasses import dataclass
from typing import Final

KEPT_MS: Final = 15 * 60_000
"""Time to read a preview, and to ask a colleague."""
FILES_MAX: Final = 40
"""Files of all people together; a list has some 200 kB."""
EACH_MAX: Final = 1
"""Of one person: the next one takes its place."""
LARGEST: Final = 4
"""So many of the largest files that a page takes are kept: memory is bounded by them."""


@dataclass(frozen=True, slots=True)
class Upload:
    """A file by the name that its person knows, and whose it is; `mono_ms` when it came."""

    owner: str
    name: str
    octets: bytes
    mono_ms: int


class Uploads:
    """See the room. Whoever brought a file, and nobody else, gets it again; where it is needed the oldest make room."""

    def __init__(self, file_bytes_max: int) -> None:
        """Nothing is kept. `file_bytes_max`: of one file, as its page takes it."""
        self._kept: dict[str, Upload] = {}
        self._bytes_max = LARGEST * (file_bytes_max + 1)
        self._lock = threading.Lock()

    def keep(self, owner: str, name: str, octets: bytes, mono_ms: int) -> str:
        """Keep a file; the secret by which it is asked for."""
        assert len(octets) <= self._bytes_max
        secret = secrets.token_urlsafe(16)
        with self._lock:
            self._forget(mono_ms)
            mine = [key for key, upload in self._kept.items() if upload.owner == owner]
            for key in mine[: len(mine) + 1 - EACH_MAX]:
                del self._kept[key]
            while len(self._kept) >= FILES_MAX or self._bytes() + len(octets) > self._bytes_max:
                del self._kept[next(iter(self._kept))]
            self._kept[secret] = Upload(owner, name, octets, mono_ms)
        return secret

    def find(self, owner: str, secret: str, mono_ms: int) -> Upload | None:
        """The file; None where it is gone, or somebody else's."""
        with self._lock:
            self._forget(mono_ms)
            found = self._kept.get(secret)
            return found if found is not None and found.owner == owner else None

    def drop(self, secret: str) -> None:
        """It is done with."""
        with self._lock:
            self._kept.pop(secret, None)

    def _bytes(self) -> int:
        return sum(len(upload.octets) for upload in self._kept.values())

    def _forget(self, mono_ms: int) -> None:
        for key, upload in list(self._kept.items()):
            if mono_ms - upload.mono_ms > KEPT_MS:
                del self._kept[key]
