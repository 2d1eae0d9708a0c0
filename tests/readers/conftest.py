"""A PN532 and its reader, for the tests of this folder; the folders below it have readers of their own."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from edge.readers.pn532 import Pn532Reader
from sim.emulators.bench import Bench
from sim.emulators.pn532 import Pn532Emulator
from tests.contracts.watching import Watch, watching


@pytest.fixture
def chip(bench: Bench, tmp_path: Path) -> Pn532Emulator:
    return bench.add(tmp_path / "đầu đọc 1")


@pytest.fixture
def kept(chip: Pn532Emulator) -> Iterator[Watch]:
    """The chip's reader on its thread, open."""
    with watching(Pn532Reader(str(chip.link))) as made:
        made.await_ready()
        yield made
