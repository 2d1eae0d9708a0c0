"""A lunch on real processes: hub and broker die while pupils are served, and stay away; then the city and a counter.

Two shifts at four counters with a gateway each, as in the demonstration, at a pace of one's own.
"""

from __future__ import annotations

import time
from collections import Counter
from functools import partial
from pathlib import Path
from random import Random
from typing import Final

from protocol.errors import NeedsHands
from sim.demo.canteen import BOXES, Canteen
from sim.demo.chain import COUNTERS
from sim.demo.crowds import Crowds
from sim.demo.kitchen import Kitchen
from sim.demo.lunch import Kills, Lunch
from sim.demo.mealreckoning import reckon_meal
from sim.demo.office import Office
from sim.demo.teller import Teller
from sim.kills.campaign import DRAIN_S, BrokerKind
from sim.kills.outcome import Outcome
from sim.parts import Part, PartFailed, free_ports, mosquitto, until
from sim.school import make_school, write_roster

WAIT_S: Final = 5.0
"""Who holds a card to a counter for so long, waits; more than a busy machine makes of a few milliseconds."""
FEW_S: Final = 15.0
STRUCK: Final = 1
"""Index of the counter that is killed in the second shift."""


class LunchStory:
    """One lunch in an empty folder; `gap_s` passes between a pupil's signal and the next one's card."""

    def __init__(self, folder: Path, *, broker: BrokerKind, pupils: int, gap_s: float, seed: int) -> None:
        """Write the configurations; nothing runs yet."""
        self._folder, self._gap_s, self._rng = folder, gap_s, Random(seed)
        self._pupils = make_school(pupils, seed)
        self._broker = mosquitto(folder, free_ports(1)[0]) if broker == "mosquitto" else None
        self._canteen = Canteen(folder, None if self._broker is None else f"mqtt://127.0.0.1:{self._broker.port}")
        self._gone_s = 0.0
        self.outcome = Outcome(f"lunch over {broker}", seed)

    def run(self) -> Outcome:
        """The whole lunch. Raises NeedsHands when a part can't start, or somebody gets no answer."""
        began_s = time.monotonic()
        roster = self._folder / "roster.csv"
        write_roster(roster, self._pupils)
        office = Office(self._canteen, self._pupils)
        if not office.possible:
            raise NeedsHands("no lunch can be planned so near midnight, or in so small a school")
        try:
            for part in self._dying():
                part.start()
            self._canteen.start(roster)
            self._eat(office)
        except PartFailed as problem:
            raise PartFailed(f"{problem}; status {self._canteen.status()}") from None
        finally:
            office.close()
            ends = self._canteen.stop()
            if self._broker is not None:
                self._broker.stop()
        self.outcome.ended(ends)
        self.outcome.seconds = time.monotonic() - began_s
        return self.outcome

    def _dying(self) -> list[Part]:
        """What dies together with the hub: an embedded broker does so by itself."""
        return [] if self._broker is None else [self._broker]

    def _eat(self, office: Office) -> None:
        canteen, teller = self._canteen, Teller(quiet=True)
        office.open()
        assert office.principal is not None
        kitchen = Kitchen(canteen, office, self._pupils, self._first_s())
        kitchen.open(office.principal)
        # Among other things a leave notice, which cuts a meal.
        office.teach()
        border = kitchen.change(office.principal)
        canteen.await_hearing(COUNTERS)
        crowds = Crowds(canteen, self._rng, teller, self._gap_s)
        lunch = Lunch(canteen, kitchen, crowds, teller)
        kills = Kills(self._hub_dies, partial(_again, canteen.city), partial(_again, canteen.gateways[BOXES[STRUCK]]))
        lunch.first(kills)
        first = len(crowds.waited_s)
        self._hub_returns()
        lunch.await_second(border)
        lunch.second(kills)
        until(canteen.drained, "not everything arrived", also=canteen.check, within_s=DRAIN_S, moving=canteen.progress)
        # Before, it isn't known of who is missing whether they are there, and a drill says so.
        office.await_list()
        self._reckon(kitchen, lunch)
        self._waits(crowds.waited_s[:first], crowds.waited_s[first:])

    def _first_s(self) -> float:
        """How long the first shift takes: half of the school, and some seconds for those who come again."""
        return FEW_S + self._gap_s * len(self._pupils) / 2 / len(COUNTERS)

    def _hub_dies(self) -> None:
        self._gone_s = time.monotonic()
        for part in (self._canteen.hub, *self._dying()):
            part.kill()

    def _hub_returns(self) -> None:
        for part in (*self._dying(), self._canteen.hub):
            part.start()
        self.outcome.figures["hub and broker gone, s"] = round(time.monotonic() - self._gone_s)

    def _reckon(self, kitchen: Kitchen, lunch: Lunch) -> None:
        # Nobody came by a gate today, so nobody is present who didn't eat.
        eaten = reckon_meal(self._canteen, kitchen, lunch, ())
        accepted: Counter[str] = lunch.accepted()
        found = self._canteen.reckoned({f"canteen {key}": count for key, count in accepted.items()})
        self.outcome.figures |= {
            "trays": eaten.trays,
            "second helpings": eaten.seconds,
            "left to a person": eaten.unsettled,
            "adjustments": eaten.adjustments,
            "drill, s": eaten.drill_s,
        }
        self.outcome.compared(found)
        self.outcome.problems += eaten.problems

    def _waits(self, first_s: list[float], second_s: list[float]) -> None:
        """From touch to signal; in the second shift a counter is killed, and whoever stands there waits for it."""
        for name, waited_s in (("first", first_s), ("second", second_s)):
            figures = sorted(waited_s)
            self.outcome.figures[f"{name} shift: p95, ms"] = round(figures[len(figures) * 95 // 100] * 1000)
            self.outcome.figures[f"{name} shift: longest, ms"] = round(figures[-1] * 1000)
        if max(first_s) > WAIT_S:
            self.outcome.problems.append(f"somebody waited {max(first_s):.1f} s at a counter while the hub was gone")


def _again(part: Part) -> None:
    """Kill a part, and start it as whatever watches over it does."""
    part.kill()
    part.start(wait=False)


def lunch(folder: Path, *, seed: int, broker: BrokerKind, pupils: int, gap_s: float) -> Outcome:
    """One lunch; see LunchStory."""
    return LunchStory(folder, broker=broker, pupils=pupils, gap_s=gap_s, seed=seed).run()
