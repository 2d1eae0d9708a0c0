"""libosdp's own reader on a real pseudo-terminal for each test, and the driver on its thread."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from sim.emulators.osdppd import OsdpPd
from tests.contracts.watching import Watch, watching
from tests.readers.osdp.door import KEY, reader_of


@pytest.fixture
def pd(tmp_path: Path) -> Iterator[OsdpPd]:
    with OsdpPd(tmp_path / "cổng 1", KEY, address=9) as made:
        yield made


@pytest.fixture
def kept(pd: OsdpPd) -> Iterator[Watch]:
    with watching(reader_of(pd)) as made:
        yield made
