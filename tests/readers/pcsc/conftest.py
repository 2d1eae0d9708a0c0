"""A pcscd of one's own for each test, and its reader, polled by hand or on a thread."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from edge.readers.opening import make_reader
from edge.readers.pcsc import PcscReader
from sim.emulators.pcsccard import Slot
from sim.emulators.pcscdaemon import Pcscd
from tests.contracts.watching import Watch, watching
from tests.readers.pcsc.gate import URL


@pytest.fixture
def daemon(tmp_path: Path) -> Iterator[Pcscd]:
    with Pcscd(tmp_path) as daemon:
        yield daemon


@pytest.fixture
def slot(daemon: Pcscd) -> Slot:
    return daemon.slots[0]


@pytest.fixture
def reader(daemon: Pcscd) -> Iterator[PcscReader]:
    reader = make_reader(URL)
    assert isinstance(reader, PcscReader)
    reader.open()
    yield reader
    reader.close()


@pytest.fixture
def kept(daemon: Pcscd) -> Iterator[Watch]:
    with watching(URL) as made:
        made.await_ready()
        yield made
