"""Hubs for the tests of this folder."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.hub.room import HubRoom


@pytest.fixture
def room(tmp_path: Path) -> Iterator[HubRoom]:
    made = HubRoom(tmp_path / "hub")
    yield made
    made.close()
