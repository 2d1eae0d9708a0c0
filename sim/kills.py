"""The kill campaign: pupils tap while parts of a whole chain are killed -9 at random, alone and together.

`python -m sim.kills --broker embedded|mosquitto --kills N --pupils N --seed N`; exit 0 when the promise was kept.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from random import Random
from typing import Any, Final

from protocol.errors import NeedsHands
from sim.demo.chain import COUNTERS, GATES, Chain
from sim.emulators.pupils import Crowd, SignalTail
from sim.parts import PartFailed, free_ports, kill_by_pid_file, mosquitto, until
from sim.reckoning import Reckoning
from sim.school import make_school, write_roster

DOWN_S_MAX: Final = 1.2
"""How long a killed part stays away at most before it is started again."""
TOGETHER: Final = 0.25
"""Share of the strikes that hit two or more parts at once."""
RUN_S: Final = 400.0
DRAIN_S: Final = 90.0


@dataclass(slots=True)
class Target:
    """A part that can be killed and comes back."""

    name: str
    kill: Callable[[], bool]
    start: Callable[[], None] | None
    back_s: float | None = None


@dataclass(slots=True)
class Campaign:
    """What happened: kills by part and the reckoning."""

    kills: Counter[str] = field(default_factory=Counter)
    found: Reckoning | None = None
    taps: int = 0
    seconds: float = 0.0
    ends: dict[str, int] = field(default_factory=dict)

    @property
    def kept(self) -> bool:
        """Whether the promise was kept, and every part still ended cleanly."""
        return self.found is not None and self.found.kept and not any(self.ends.values())

    def as_json(self) -> dict[str, Any]:
        """For programs."""
        assert self.found is not None
        return {
            **self.found.as_json(),
            "taps": self.taps,
            "kills": dict(self.kills),
            "seconds": round(self.seconds, 1),
            "unclean_ends": {name: code for name, code in self.ends.items() if code},
        }


class KillCampaign:
    """One run in an empty folder."""

    def __init__(self, folder: Path, *, broker: str, pupils: int, kills: int, seed: int) -> None:
        """`pupils` tap once at a gate and once at a counter, both crowds at the same time."""
        self._folder, self._kills, self._rng = folder, kills, Random(seed)
        self._pupils = make_school(pupils, seed)
        self._broker = mosquitto(folder, free_ports(1)[0]) if broker == "mosquitto" else None
        url = None if self._broker is None else f"mqtt://127.0.0.1:{self._broker.words[-1]}"
        self._chain = Chain(folder, url)
        self._targets = self._all_targets()
        self.outcome = Campaign()

    def _all_targets(self) -> list[Target]:
        chain = self._chain
        parts = [*chain.gateways.values(), chain.hub, chain.city, *([] if self._broker is None else [self._broker])]
        targets = [Target(part.name, _killing(part.kill), partial(part.start, wait=False)) for part in parts]
        if self._broker is None:
            pid = self._folder / "hub" / "broker" / "pid"
            # The hub brings its broker back by itself.
            targets.append(Target("broker", lambda: kill_by_pid_file(pid, "nats-server"), None))
        return targets

    def run(self) -> Campaign:
        """The whole campaign. Raises NeedsHands when a part can't start or the chain doesn't drain."""
        began_s = time.monotonic()
        roster = self._folder / "roster.csv"
        write_roster(roster, self._pupils)
        try:
            if self._broker is not None:
                self._broker.start()
            self._chain.start(roster)
            self._tap()
            self._all_back(within_s=5)
            until(
                self._chain.drained,
                "not everything arrived",
                also=self._chain.check,
                within_s=DRAIN_S,
                moving=self._chain.progress,
            )
            self.outcome.found = self._chain.reckoned()
        except PartFailed as problem:
            raise PartFailed(f"{problem}; kills {dict(self.outcome.kills)}; status {self._chain.status()}") from None
        finally:
            self.outcome.ends = self._chain.stop()
            if self._broker is not None:
                self._broker.stop()
        self.outcome.seconds = time.monotonic() - began_s
        return self.outcome

    # --- taps and kills -----------------------------------------------------------------------------------------------

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

        def on_step() -> None:
            self._all_back()
            if strikes and crowd.answered >= strikes[0] and self._strike():
                strikes.pop(0)

        if not crowd.run(tails, on_step, time.monotonic() + RUN_S):
            raise PartFailed(f"{crowd.left()} pupils got no signal within {RUN_S:g} s")
        self.outcome.taps = crowd.answered
        while strikes:
            self._all_back()
            if self._strike():
                strikes.pop(0)

    def _strike(self) -> bool:
        up = [target for target in self._targets if target.back_s is None]
        if not up:
            return False
        count = self._rng.randint(2, len(up)) if len(up) > 1 and self._rng.random() < TOGETHER else 1
        hit = False
        for target in self._rng.sample(up, count):
            if not target.kill():
                continue
            hit = True
            self.outcome.kills[target.name] += 1
            if target.start is not None:
                target.back_s = time.monotonic() + self._rng.random() * DOWN_S_MAX
        return hit

    def _all_back(self, within_s: float = 0.0) -> None:
        """Start again what has been away long enough; with `within_s`, whatever is away."""
        for target in self._targets:
            if target.back_s is not None and time.monotonic() + within_s >= target.back_s:
                assert target.start is not None
                target.start()
                target.back_s = None


def _killing(kill: Callable[[], None]) -> Callable[[], bool]:
    def killed() -> bool:
        kill()
        return True

    return killed


def main() -> int:
    """One campaign from the command line."""
    parser = argparse.ArgumentParser(prog="python -m sim.kills", description=__doc__)
    parser.add_argument("--broker", choices=("embedded", "mosquitto"), default="embedded")
    parser.add_argument("--kills", type=int, default=45, help="strikes, some of which hit several parts")
    parser.add_argument("--pupils", type=int, default=1050, help="each taps twice (default: %(default)s)")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--keep", type=Path, help="work in this folder and leave it")
    asked = parser.parse_args()
    try:
        with tempfile.TemporaryDirectory(prefix="k12edge-kills-") as made:
            folder = asked.keep or Path(made)
            folder.mkdir(parents=True, exist_ok=True)
            outcome = KillCampaign(
                folder.absolute(), broker=asked.broker, pupils=asked.pupils, kills=asked.kills, seed=asked.seed
            ).run()
    except NeedsHands as problem:
        print(problem, file=sys.stderr)
        return 1
    print(json.dumps(outcome.as_json(), ensure_ascii=False))
    return 0 if outcome.kept else 1


if __name__ == "__main__":
    sys.exit(main())
