"""A configuration's file read into a document, within bounds: what it costs is known before it is understood."""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import Any, Final

from protocol.errors import ConfigError

FILE_BYTES_MAX: Final = 128 * 1024
"""A gateway's with 64 stations, each with comments, has a third of it."""
PIECE_BYTES: Final = 8 * 1024
LINE_DOTS_MAX: Final = 32
"""Dots in a line that is no comment: a key of thousands of parts costs the reader of TOML their square in memory."""


def read_toml(path: Path) -> dict[str, Any]:
    """The file's document; raises ConfigError."""
    octets = b""
    try:
        with path.open("rb") as file:
            # Piece by piece: asked for all at once, as much is put by for each file, and the heap frays.
            while len(octets) <= FILE_BYTES_MAX and (piece := file.read(PIECE_BYTES)):
                octets += piece
    except OSError as problem:
        raise ConfigError(f"{path} can't be read: {problem.strerror}") from problem
    if len(octets) > FILE_BYTES_MAX:
        raise ConfigError(f"{path} is larger than {FILE_BYTES_MAX} bytes")
    try:
        text = octets.decode("utf-8-sig").replace("\r\n", "\n").replace("\r", "\n")
        for number, line in enumerate(text.split("\n"), 1):
            if line.count(".") > LINE_DOTS_MAX and not line.lstrip().startswith("#"):
                raise ConfigError(f"{path}: line {number} has more than {LINE_DOTS_MAX} dots")
        return tomllib.loads(text)
    except (ValueError, RecursionError) as problem:
        # Beside tomllib's own: bytes that are no text, numbers of thousands of digits, tables within tables.
        raise ConfigError(f"{path} is not TOML: {problem}") from problem
