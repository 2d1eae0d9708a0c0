"""The demonstration's canteen: a chain with a gateway at each counter, which hear each other directly, with screens."""

from __future__ import annotations

from pathlib import Path
from typing import Final

from sim.demo.chain import COUNTERS, GATES, Chain, Gateways
from sim.demo.screens import Screens
from sim.parts import PartFailed, free_ports, until

BOXES: Final = tuple(f"bep-{number}" for number in range(1, len(COUNTERS) + 1))
"""The counters' gateways, in the order of COUNTERS."""
CANTEEN: Final[Gateways] = {
    "cong": ("gate", GATES),
    **{box: ("canteen", (counter,)) for box, counter in zip(BOXES, COUNTERS, strict=True)},
}
READY_S: Final = 60.0


class Canteen(Chain):
    """See the room. `screens`: of each counter, by its station."""

    def __init__(self, folder: Path, broker_url: str | None = None) -> None:
        """Write the configurations; each counter knows the addresses of all others. `broker_url`: see Road."""
        ports = free_ports(2 * len(BOXES))
        self._exchange = dict(zip(BOXES, ports[: len(BOXES)], strict=True))
        self._kiosks = dict(zip(BOXES, ports[len(BOXES) :], strict=True))
        super().__init__(folder, broker_url, gateways=CANTEEN, more=self._more)
        self.screens = {
            counter: Screens(counter, self._kiosks[box]) for box, counter in zip(BOXES, COUNTERS, strict=True)
        }

    def _more(self, name: str) -> str:
        return "" if name not in self._exchange else self._kiosk(name) + self._counters(name)

    def _kiosk(self, name: str) -> str:
        return f'[kiosk]\nlisten = "127.0.0.1:{self._kiosks[name]}"\n\n'

    def _counters(self, name: str) -> str:
        peers = [f"127.0.0.1:{port}" for other, port in self._exchange.items() if other != name]
        return f'[counters]\nlisten = "127.0.0.1:{self._exchange[name]}"\npeers = {peers}\n'.replace("'", '"')

    # --- a counter that nobody reaches --------------------------------------------------------------------------------

    def isolate(self, name: str) -> None:
        """Pull both cables of a counter: it is started without the others' addresses, and with a hub that isn't there.

        It stops cleanly first, as when somebody moves it: what it was sent before, it has. This machine's clock is
        right, which nothing tells it now: from two hours before midnight on it would else name no meal.
        """
        path = self.folder / f"{name}.toml"
        text = path.read_text(encoding="utf-8")
        assert self._counters(name) in text and self.broker_url in text
        nobody = f"mqtt://127.0.0.1:{free_ports(1)[0]}"
        alone = text.replace(self._counters(name), "").replace(self.broker_url, nobody)
        self._restart(name, f'{alone}\n[time]\nsource = "declared"\n')
        self._whole = text

    def rejoin(self, name: str) -> None:
        """Plug both in again."""
        self._restart(name, self._whole)

    def _restart(self, name: str, text: str) -> None:
        station = next(station for station, box in self.gateway_of.items() if box == name)
        part, looks = self.gateways[name], self.readers[station].looks
        code = part.stop()
        if code:
            raise PartFailed(f"{name} ended with {code}")
        (self.folder / f"{name}.toml").write_text(text, encoding="utf-8")
        part.start()
        until(
            lambda: self.readers[station].looks > looks + 2 and self.screens[station].answers(),
            f"{name} isn't back",
            also=self.check,
            within_s=READY_S,
        )

    def await_hearing(self, stations: tuple[str, ...], unheard: tuple[str, ...] = ()) -> None:
        """Until each of these counters hears all others but `unheard` (gateways)."""

        def heard() -> bool:
            return all(self.screens[station].unheard() == unheard for station in stations)

        until(heard, "the counters don't hear each other", also=self.check, within_s=READY_S)
