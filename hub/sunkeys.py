"""The key files of cards that prove themselves: read once at the hub's start, refused where others could read them."""

from __future__ import annotations

import os
import re
import stat
from pathlib import Path
from typing import Final

from hub.config import SunPlan
from hub.sun import KEY_BYTES, SunKeys
from protocol.errors import ConfigError

MODES: Final = (0o600, 0o400)
FILE_BYTES_MAX: Final = 256
"""A key, a line's end, and blanks."""


def read_sun_keys(plan: SunPlan) -> SunKeys | None:
    """The keys that a configuration names; None where it names none. Raises ConfigError."""
    if plan.meta_key_file is None or plan.file_key_file is None:
        return None
    meta, file = (
        _read(name, path)
        for name, path in (("meta_key_file", plan.meta_key_file), ("file_key_file", plan.file_key_file))
    )
    return SunKeys(meta, file, plan.context)


def _read(name: str, path: Path) -> bytes:
    where = f"[sun]: {name} = {path}"
    try:
        # A pipe under that name would be waited for.
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
        with os.fdopen(descriptor, "rb") as opened:
            found = os.fstat(descriptor)
            if not stat.S_ISREG(found.st_mode):
                raise ConfigError(f"{where} is no file")
            if stat.S_IMODE(found.st_mode) not in MODES:
                raise ConfigError(
                    f"{where} has mode {stat.S_IMODE(found.st_mode):04o}: others could read the key",
                    hint=f"Let the hub's user own it, and run chmod 0600 {path}; then start again.",
                )
            text = opened.read(FILE_BYTES_MAX + 1)
    except OSError as problem:
        raise ConfigError(
            f"{where} can't be read: {problem.strerror}",
            hint="Let the hub's user own the file, or take the key out of the configuration; then start again.",
        ) from problem
    digits = text.decode("ascii", "replace").strip()
    if not re.fullmatch(f"[0-9A-Fa-f]{{{2 * KEY_BYTES}}}", digits):
        raise ConfigError(
            f"{where} doesn't hold {2 * KEY_BYTES} hex digits and nothing else",
            hint="Write the key as the cards' issuer gives it, 32 hex digits in one line; then start again.",
        )
    return bytes.fromhex(digits)
