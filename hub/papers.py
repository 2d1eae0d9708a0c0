"""Papers: files that a person hands to a hub, or gets from it. The command reads and writes them, never the service.

So they may lie wherever the person who types may reach, and the service's own walls stay as narrow as its unit says.
"""

from __future__ import annotations

import base64
import binascii
from pathlib import Path
from typing import Final

from host.durable import write_new
from protocol.errors import NeedsHands

PAPER_BYTES_MAX: Final = 8 * 1024 * 1024
"""More than a roster of 20,000 rows, or the keys of 10,000 gateways."""
HANDED_BYTES_MAX: Final = 48 * 1024 * 1024
"""A file that a hub hands out; a month's audit pack of 1,763 pupils takes about 8 MiB."""


class PaperRefused(NeedsHands):
    """A file that a person named can't be read or written."""

    code = "file-refused"
    hint = "Name a file that you may read; to export, a new one where you may write. Nothing was changed."


def read_paper(path: Path) -> bytes:
    """A file, whole. Raises PaperRefused."""
    try:
        with path.open("rb") as file:
            octets = file.read(PAPER_BYTES_MAX + 1)
    except OSError as problem:
        raise PaperRefused(f"{path} can't be read: {problem.strerror}") from problem
    if len(octets) > PAPER_BYTES_MAX:
        raise PaperRefused(f"{path} is larger than {PAPER_BYTES_MAX} bytes")
    return octets


def write_paper(path: Path, octets: bytes) -> None:
    """A new file that only its owner reads, durable at the return. Raises PaperRefused."""
    try:
        try:
            write_new(path, octets)
        except FileExistsError:
            raise
        except OSError:
            path.unlink(missing_ok=True)
            raise
    except OSError as problem:
        raise PaperRefused(f"{path} can't be written: {problem.strerror}") from problem


def wrapped(octets: bytes) -> str:
    """Bytes as they travel within a line of JSON (base64, RFC 4648)."""
    return base64.b64encode(octets).decode("ascii")


def unwrapped(text: str) -> bytes:
    """The bytes again; raises PaperRefused."""
    try:
        return base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError) as problem:
        raise PaperRefused(f"the file did not arrive whole: {problem}") from problem
