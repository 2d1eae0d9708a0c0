"""The key files of cards that prove themselves: read once at the hub's start, refused where others could read them."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Final

from host.secretfile import SecretNotRead, read_secret
from hub.cards.sun import KEY_BYTES, SunKeys
from hub.config import SunPlan
from protocol.errors import ConfigError

FILE_BYTES_MAX: Final = 256
"""A key, a line's end, and blanks."""
UNREADABLE: Final = "Let the hub's user own the file, or take the key out of the configuration"


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
        text = read_secret(path, FILE_BYTES_MAX)
    except SecretNotRead as problem:
        mend = "Let the hub's user own it, and run chmod 0600 {path}" if problem.open_to_others else UNREADABLE
        raise ConfigError(f"{where} {problem}", hint=f"{mend.format(path=path)}; then start again.") from problem
    digits = text.decode("ascii", "replace").strip()
    if not re.fullmatch(f"[0-9A-Fa-f]{{{2 * KEY_BYTES}}}", digits):
        raise ConfigError(
            f"{where} doesn't hold {2 * KEY_BYTES} hex digits and nothing else",
            hint="Write the key as the cards' issuer gives it, 32 hex digits in one line; then start again.",
        )
    return bytes.fromhex(digits)
