"""The demonstration's chain: a road with two gateways, whose nine readers are emulated PN532 chips."""

from __future__ import annotations

from collections.abc import Mapping
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
GATEWAYS: Final = {"cong": ("gate", GATES), "bep": ("canteen", COUNTERS)}
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
    ) -> None:
        """Write the configurations and plug the readers in; see Road."""
        super().__init__(folder, broker_url=broker_url, city_beyond=city_beyond, gateways_beyond=gateways_beyond)
        self.bench = Bench()
        self.readers: dict[str, Pn532Emulator] = {}
        for name, (kind, stations) in GATEWAYS.items():
            urls: dict[str, tuple[str, str]] = {}
            for number, station in enumerate(stations):
                link = folder / f"reader-{station}"
                self.readers[station] = self.bench.add(link, seed=number)
                urls[station] = (kind, f"pn532://{link}")
            # Soon after each bell, as a demonstration's day has its bells close together.
            self.add_gateway(name, urls, repeat_window_s=repeat_window_s, gateway=f"watermark_s = {WATERMARK_S}")

    def start(self, roster: Path) -> None:
        """Start everything; returns when every gateway has its roster and every reader polls."""
        self.city.start(wait=False)
        self.hub.start()
        self.accept()
        self.command("roster", "import", str(roster))
        for gateway in self.gateways.values():
            gateway.start()
        until(self._all_ready, "the gateways have no roster or reader", also=self.check, within_s=30)

    def _all_ready(self) -> bool:
        if not all(reader.looks > 2 for reader in self.readers.values()) or not self.connected():
            return False
        rosters = {device["device"]: device["rosters"] for device in self.status()["devices"]}
        return all(kind in rosters[name] for name, (kind, _) in GATEWAYS.items())

    def reckoned(self) -> Reckoning:
        """See Road.reckon."""
        return self.reckon(IN_FLIGHT_MAX)

    def stop(self) -> dict[str, int]:
        """End everything cleanly; exit code by part."""
        codes = super().stop()
        self.bench.close()
        return codes
