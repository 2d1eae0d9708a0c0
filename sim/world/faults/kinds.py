"""All kinds of faults, by name."""

from __future__ import annotations

from typing import Final

from sim.world.faults import cards, city, clocks, counters, crashes, network, rosters, storage
from sim.world.faults.kind import Kind

KINDS: Final[tuple[Kind, ...]] = (
    *network.KINDS,
    *crashes.KINDS,
    *storage.KINDS,
    *clocks.KINDS,
    *cards.KINDS,
    *city.KINDS,
    *rosters.KINDS,
    *counters.KINDS,
)
BY_NAME: Final = {kind.name: kind for kind in KINDS}
