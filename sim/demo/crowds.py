"""The demonstration's crowds: pupils in lines before readers until everybody has a signal, with kills on the way."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from random import Random
from typing import Final

from protocol.errors import NeedsHands
from sim.demo.chain import Chain
from sim.demo.teller import Teller
from sim.emulators.pupils import Crowd, SignalTail
from sim.school import Pupil

GAP_S: Final = 0.012
"""Between one pupil's signal and the next one's card; a real gate sees about one a second."""
PHASE_S: Final = 600.0
Lines = Mapping[str, Sequence[Pupil]]
"""Station -> who stands there, the first one first."""
Kills = Iterable[tuple[float, Callable[[], None]]]
"""After which share of a crowd what is done."""


class Crowds:
    """See the room."""

    def __init__(self, chain: Chain, rng: Random, teller: Teller, gap_s: float = GAP_S) -> None:
        """Before the readers of a chain; see GAP_S."""
        self._chain, self._rng, self._teller, self._gap_s = chain, rng, teller, gap_s
        self.waited_s: list[float] = []
        """From each card's touch to its signal, as we saw it, in their order."""

    def lines(self, stations: Sequence[str], pupils: Iterable[Pupil]) -> Lines:
        """Spread pupils over stations, in any order."""
        order = list(pupils)
        self._rng.shuffle(order)
        return {station: order[at :: len(stations)] for at, station in enumerate(stations)}

    def run(self, lines: Lines, kills: Kills = ()) -> None:
        """Until everybody has a signal. Raises NeedsHands."""
        chain = self._chain
        count = sum(map(len, lines.values()))
        crowd = Crowd({name: chain.readers[name] for name in lines}, self._rng, self._gap_s)
        for station, pupils in lines.items():
            crowd.line_up((station,), (pupil.uid for pupil in pupils))
        tails = [SignalTail(chain.signals_of(name)) for name in chain.gateways]
        for tail in tails:
            tail.read()
        due = [(int(share * count), kill) for share, kill in kills]

        with self._teller.bar("đã quẹt / tapped", count) as bar:

            def on_step() -> None:
                if due and crowd.answered >= due[0][0]:
                    due.pop(0)[1]()
                bar.show(crowd.answered)

            within_s = PHASE_S + count * self._gap_s
            if not crowd.run(tails, on_step, time.monotonic() + within_s):
                raise NeedsHands(f"{crowd.left()} pupils got no signal within {within_s:g} s")
        self.waited_s += crowd.waited_s
