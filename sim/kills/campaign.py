"""The campaign itself: pupils tap while parts of a whole chain are killed and stopped, on clean or on lossy links."""

from __future__ import annotations

import time
from contextlib import ExitStack
from functools import partial
from pathlib import Path
from random import Random
from typing import Final, Literal

from sim.demo.chain import COUNTERS, GATES, GATEWAYS, IN_FLIGHT_MAX, Chain
from sim.emulators.pupils import Crowd, SignalTail
from sim.kills.outcome import Outcome
from sim.kills.strikes import Strikes, of_embedded_broker, of_part
from sim.kills.weather import Weather
from sim.parts import PartFailed, free_ports, mosquitto, until
from sim.reckoning import Reckoning
from sim.school import make_school, write_roster
from sim.wire.segment import Segment

BrokerKind = Literal["embedded", "mosquitto"]
STANDSTILL_S: Final = 120.0
"""Pupils without an answer for so long, though everything is up or comes back by itself: the chain stands."""
DRAIN_S: Final = 90.0
STILL_S_MAX: Final = 40.0
SAME_TAP_S: Final = 600
"""A gate takes a card that is there still after 5 s for another tap; here a gateway may be away for longer."""


class KillCampaign:
    """One run in an empty folder."""

    def __init__(
        self,
        folder: Path,
        *,
        broker: BrokerKind,
        pupils: int,
        kills: int,
        seed: int,
        still_s_max: float = 0.0,
        lossy: bool = False,
    ) -> None:
        """`pupils` tap once at a gate and once at a counter, both crowds at the same time; `kills` strikes meanwhile.

        With `still_s_max` parts are stopped too, at most so long. `lossy` needs a namespace (see sim.wire.segment).
        """
        self._folder, self._kills, self._rng = folder, kills, Random(seed)
        self._pupils = make_school(pupils, seed)
        self._stack = ExitStack()
        wires = [self._stack.enter_context(Segment(number, seed + number)) for number in (1, 2, 3)] if lossy else []
        self._weather = Weather(wires, Random(seed))
        self._broker = mosquitto(folder, free_ports(1)[0], everywhere=lossy) if broker == "mosquitto" else None
        self._chain = Chain(
            folder,
            None if self._broker is None else f"mqtt://127.0.0.1:{self._broker.port}",
            city_beyond=wires[0] if lossy else None,
            gateways_beyond=dict(zip(GATEWAYS, wires[1:], strict=True)) if lossy else None,
            repeat_window_s=SAME_TAP_S,
        )
        chain = self._chain
        targets = [of_part(part) for part in (*chain.gateways.values(), chain.hub, chain.city)]
        if self._broker is None:
            targets.append(of_embedded_broker(folder / "hub" / "broker" / "pid"))
        else:
            targets.append(of_part(self._broker))
        self.strikes = Strikes(targets, self._rng, still_s_max)
        self.outcome = Outcome(f"kills over {broker}{', lossy links' if lossy else ''}", seed)
        self.found: Reckoning | None = None
        self.ends: dict[str, int] = {}

    def run(self) -> Outcome:
        """The whole campaign. Raises NeedsHands when a part can't start or the chain doesn't drain."""
        began_s = time.monotonic()
        roster = self._folder / "roster.csv"
        write_roster(roster, self._pupils)
        try:
            if self._broker is not None:
                self._broker.start()
            self._chain.start(roster)
            self._tap()
            self.strikes.tend(within_s=float("inf"))
            self._weather.clear()
            until(
                self._chain.drained,
                "not everything arrived",
                also=self._chain.check,
                within_s=DRAIN_S,
                moving=self._chain.progress,
            )
            self.found = self._chain.reckon(IN_FLIGHT_MAX)
            self.outcome.compared(self.found)
            self.outcome.figures |= self._weather.figures() if self._weather.wires else {}
        except PartFailed as problem:
            raise PartFailed(f"{problem}; {self.outcome}; status {self._chain.status()}") from None
        finally:
            self._end()
        self.outcome.ended(self.ends)
        self.outcome.seconds = time.monotonic() - began_s
        return self.outcome

    def _end(self) -> None:
        self.strikes.tend(within_s=float("inf"))
        self.ends = self._chain.stop()
        if self._broker is not None:
            self._broker.stop()
        self._stack.close()

    def _tap(self) -> None:
        readers = {name: self._chain.readers[name] for name in (*GATES, *COUNTERS)}
        crowd = Crowd(readers, self._rng, 0.05)
        for stations in (GATES, COUNTERS):
            order = [pupil.uid for pupil in self._pupils]
            self._rng.shuffle(order)
            crowd.line_up(stations, order)
        tails = [SignalTail(self._chain.signals_of(name)) for name in self._chain.gateways]
        everybody = crowd.left()
        # Strikes are spread over the taps, the last ones before everybody has tapped.
        strikes = sorted(self._rng.randint(10, int(everybody * 0.97)) for _ in range(self._kills))
        moved = [0, time.monotonic()]

        def on_step() -> None:
            self._weather.tend()
            self.strikes.tend()
            if strikes and crowd.answered >= strikes[0] and self.strikes.strike():
                strikes.pop(0)
            if crowd.answered != moved[0]:
                moved[:] = crowd.answered, time.monotonic()
            if time.monotonic() - moved[1] > STANDSTILL_S:
                raise PartFailed(f"{crowd.left()} pupils got no signal for {STANDSTILL_S:g} s")

        crowd.run(tails, on_step, float("inf"))
        while strikes:
            self._weather.tend()
            self.strikes.tend()
            if self.strikes.strike():
                strikes.pop(0)
            time.sleep(0.05)
        self.outcome.figures |= {
            "taps": crowd.answered,
            "kills": self.strikes.kills.total(),
            "stops": self.strikes.stops.total(),
            "hits together": self.strikes.together,
            **{f"kills of {name}": count for name, count in sorted(self.strikes.kills.items())},
            **{f"stops of {name}": count for name, count in sorted(self.strikes.stops.items())},
        }


def campaign(
    folder: Path, seed: int, broker: BrokerKind, kills: int, pupils: int, *, stops: bool, lossy: bool
) -> Outcome:
    """One campaign; see KillCampaign."""
    made = partial(KillCampaign, folder, broker=broker, pupils=pupils, kills=kills, seed=seed, lossy=lossy)
    return made(still_s_max=STILL_S_MAX if stops else 0.0).run()
