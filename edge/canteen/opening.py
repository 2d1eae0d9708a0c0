"""The opening of a gateway's counter: its parts chosen and put together."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING

from edge.canteen.counter import GatewayCounter
from edge.canteen.hatch import Hatch
from edge.canteen.sheetstore import SheetStore
from edge.canteen.shifts import Shifts
from protocol.topics import device_source

if TYPE_CHECKING:
    from edge.clock import SystemClock
    from edge.config import GatewayConfig
    from edge.devicekeys import DeviceKeys
    from edge.journal import SqliteJournal
    from protocol.roster import Release


def open_counter(
    config: GatewayConfig,
    keys: DeviceKeys,
    journal: SqliteJournal,
    clock: SystemClock,
    *,
    roster: Callable[[], Release | None],
    readers: Callable[[], Mapping[str, str]],
    urgent: Callable[[], None],
) -> GatewayCounter:
    """A counter without lanes yet; see GatewayCounter."""
    made: list[GatewayCounter] = []
    hatch = Hatch(
        [plan for plan in config.stations if plan.kind == "canteen"],
        config.gateway_id,
        roster,
        lambda station, who: made[0].take_shift(station, who),
        lambda: journal.last,
    )
    counter = GatewayCounter(
        hatch,
        SheetStore(config.data_dir, config.school, config.gateway_id, keys),
        Shifts(config.data_dir, clock.boot, clock.mono_ns() // 1_000_000),
        journal,
        clock,
        source=device_source(config.school, config.gateway_id),
        roster=roster,
        readers=readers,
        urgent=urgent,
    )
    made.append(counter)
    return counter
