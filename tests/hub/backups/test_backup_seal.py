"""Sealed backups: opened by their passphrase alone, and by nothing that was changed."""

from __future__ import annotations

import io
import os
from pathlib import Path

import pytest

from hub.backups.seal import (
    MEMORY_BYTES,
    PIECE_BYTES,
    SealBroken,
    SealPlan,
    key_of,
    new_plan,
    opened_pieces,
    read_passphrase,
    sealed_pieces,
)
from protocol.envelope import text_of
from protocol.errors import ConfigError

PLAN = SealPlan(text_of(b"0123456789abcdef"), 1, 64 * 1024)
"""Cheaper than a true one: what is tested here isn't how hard guessing is."""
KEY = key_of(b"six words that never met", PLAN)
NAME = "ledger.db"


def sealed(octets: bytes, name: str = NAME) -> bytes:
    return b"".join(sealed_pieces(io.BytesIO(octets), KEY, name))


def opened(octets: bytes, name: str = NAME, key: bytes = KEY) -> bytes:
    return b"".join(opened_pieces(io.BytesIO(octets), key, name))


@pytest.mark.parametrize("size", [0, 1, PIECE_BYTES - 1, PIECE_BYTES, PIECE_BYTES + 1, 3 * PIECE_BYTES])
def test_what_was_sealed_opens_to_the_same_bytes(size: int) -> None:
    octets = os.urandom(size)
    closed = sealed(octets)
    assert opened(closed) == octets
    assert size < 32 or octets[:32] not in closed


def test_a_changed_cut_swapped_or_foreign_file_does_not_open() -> None:
    octets = os.urandom(3 * PIECE_BYTES)
    closed = sealed(octets)
    piece = PIECE_BYTES + 17
    for at in (0, 23, 24, 24 + piece, len(closed) - 1):
        changed = bytearray(closed)
        changed[at] ^= 1
        with pytest.raises(SealBroken):
            opened(bytes(changed))
    for cut in (closed[:10], closed[: 24 + piece], closed[:-1], b""):
        with pytest.raises(SealBroken):
            opened(cut)
    swapped = closed[:24] + closed[24 + piece : 24 + 2 * piece] + closed[24 : 24 + piece] + closed[24 + 2 * piece :]
    for wrong in (swapped, closed + b"x", closed + closed):
        with pytest.raises(SealBroken):
            opened(wrong)
    with pytest.raises(SealBroken):
        opened(closed, "keys.json")
    with pytest.raises(SealBroken):
        opened(closed, key=key_of(b"other words", PLAN))


def test_a_hostile_manifest_asks_for_no_endless_work() -> None:
    for plan in (
        SealPlan(PLAN.salt, 1_000_000, 64 * 1024),
        SealPlan(PLAN.salt, 1, 1 << 40),
        SealPlan(PLAN.salt, 1, 1),
        SealPlan("short", 1, 64 * 1024),
    ):
        with pytest.raises(SealBroken):
            key_of(b"anything at all", plan)
    assert new_plan().salt != new_plan().salt
    assert new_plan().memory_bytes == MEMORY_BYTES == 64 * 1024 * 1024


def test_a_passphrase_is_long_and_its_owners_alone(tmp_path: Path) -> None:
    path = tmp_path / "passphrase"
    path.write_text("  một hai ba bốn năm sáu \n", encoding="utf-8")
    path.chmod(0o644)
    with pytest.raises(ConfigError, match="others could read it"):
        read_passphrase(path)
    path.chmod(0o600)
    assert read_passphrase(path) == "một hai ba bốn năm sáu".encode()
    path.write_text("short", encoding="utf-8")
    with pytest.raises(ConfigError, match="less than 12"):
        read_passphrase(path)
    with pytest.raises(ConfigError, match="can't be read"):
        read_passphrase(tmp_path / "none")
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(ConfigError, match="no file"):
        read_passphrase(tmp_path / "pipe")
