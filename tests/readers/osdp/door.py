"""The door of these tests: its reader's key, the driver for it, its frames, and polls until something holds."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path

from edge.ports import CardRead
from edge.readers.opening import make_reader
from edge.readers.osdp import OsdpReader
from edge.readers.osdpwire import check
from protocol.cards import CardUid
from sim.emulators.osdppd import OsdpPd

KEY = bytes.fromhex("00112233445566778899AABBCCDDEEFF")
OTHER_KEY = bytes.fromhex("F0E1D2C3B4A5968778695A4B3C2D1E0F")
UID = bytes.fromhex("04A1B2C3D4E580")
CARD = CardUid("a", "04A1B2C3D4E580")


def key_file(folder: Path, text: str = KEY.hex(), mode: int = 0o600) -> Path:
    path = folder / "key"
    path.unlink(missing_ok=True)
    path.write_text(text)
    path.chmod(mode)
    return path


def reader_of(pd: OsdpPd, options: str = "") -> OsdpReader:
    path = key_file(pd.link.parent)
    made = make_reader(f"osdp://{pd.link}?address={pd.address}&key-file={path}&baud=115200{options}")
    assert isinstance(made, OsdpReader)
    return made


def polled(reader: OsdpReader, until: Callable[[list[CardRead]], bool], within_s: float = 10) -> list[CardRead]:
    reads: list[CardRead] = []
    deadline = time.monotonic() + within_s
    while not until(reads):
        assert time.monotonic() < deadline, reads
        reads += reader.poll()
    return reads


def reply(address: int, body: bytes, control: int = 0x04) -> bytes:
    head = bytes((0x53, 0x80 | address, 7 + len(body), 0, control)) + body
    return head + check(head)


def command(address: int, body: bytes, control: int = 0x04) -> bytes:
    head = bytes((0x53, address, 7 + len(body), 0, control)) + body
    return head + check(head)
