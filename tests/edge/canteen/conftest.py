"""A counter that runs, with a roster and today's sheet."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.edge.canteen.canteen import Canteen


@pytest.fixture
def canteen(tmp_path: Path) -> Iterator[Canteen]:
    made = Canteen(tmp_path)
    made.roster()
    made.lay()
    made.run()
    yield made
    made.close()
