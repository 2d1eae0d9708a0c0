"""The demonstration's chain: a road with gateways, two if nothing else is said, whose nine readers are emulated."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Final

from sim.emulators.bench import Bench
from sim.emulators.pn532 import Pn532Emulator
from sim.parts import until
from sim.reckoning import Reckoning
from sim.road import Road
from sim.wire.segment import Segment

GATES: Final = ("cong-a", "cong-b", "cong-c", "cong-d", "cong-e")
COUNTERS: Final = ("quay-1", "quay-2", "quay-3", "quay-4")
Gateways = Mapping[str, tuple[str, tuple[str, ...]]]
"""Gateway -> the kind of its stations, and their names."""
GATEWAYS: Final[Gateways] = {"cong": ("gate", GATES), "bep": ("canteen", COUNTERS)}
READY_S: Final = 120
WATERMARK_S: Final = 5
IN_FLIGHT_MAX: Final = max(len(GATES), len(COUNTERS))
"""Records that a kill may leave without a signal: one for each station of the gateway."""


class Chain(Road):
    """A road with its readers plugged in."""

    def __init__(
        self,
        folder: Path,
        broker_url: str | None = None,
        *,
        city_beyond: Segment | None = None,
        gateways_beyond: Mapping[str, Segment] | None = None,
        repeat_window_s: int | None = None,
        gateways: Gateways = GATEWAYS,
        more: Callable[[str], str] = lambda _name: "",
    ) -> None:
        """Write the configurations and plug the readers in; see Road. `more`: TOML of a gateway, by its name."""
        super().__init__(folder, broker_url=broker_url, city_beyond=city_beyond, gateways_beyond=gateways_beyond)
        self.bench = Bench()
        self.readers: dict[str, Pn532Emulator] = {}
        self.kinds = {name: kind for name, (kind, _) in gateways.items()}
        self.gateway_of = {station: name for name, (_, stations) in gateways.items() for station in stations}
        for name, (kind, stations) in gateways.items():
            urls: dict[str, tuple[str, str]] = {}
            for number, station in enumerate(stations):
                link = folder / f"reader-{station}"
                self.readers[station] = self.bench.add(link, seed=number)
                urls[station] = (kind, f"pn532://{link}")
            # Soon after each bell, as a demonstration's day has its bells close together.
            watermark = f"watermark_s = {WATERMARK_S}"
            self.add_gateway(name, urls, repeat_window_s=repeat_window_s, gateway=watermark, more=more(name))

    def start(self, roster: Path) -> None:
        """Start everything; returns when every gateway has its roster and every reader polls."""
        self.city.start(wait=False)
        self.hub.start()
        self.accept()
        self.command("roster", "import", str(roster))
        for gateway in self.gateways.values():
            gateway.start()
        until(self._all_ready, "the gateways have no roster or reader", also=self.check, within_s=READY_S)

    def _all_ready(self) -> bool:
        if not all(reader.looks > 2 for reader in self.readers.values()) or not self.connected():
            return False
        rosters = {device["device"]: device["rosters"] for device in self.status()["devices"]}
        return all(kind in rosters[name] for name, kind in self.kinds.items())

    def reckoned(self, trays: Mapping[str, int] | None = None) -> Reckoning:
        """See Road.reckon."""
        return self.reckon(IN_FLIGHT_MAX, trays)

    def stop(self) -> dict[str, int]:
        """End everything cleanly; exit code by part."""
        codes = super().stop()
        self.bench.close()
        return codes
