"""Weather on the wires: they lose, starve, slow down, go silent and cut connections, each for some seconds."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from random import Random
from typing import Final

from sim.wire.line import Terms
from sim.wire.segment import Segment

SPELLS: Final = {
    "fair": Terms(),
    "lossy": Terms(delay_ms=15, loss=0.2, rate_kbit=4_000),
    "very lossy": Terms(delay_ms=30, loss=0.4, rate_kbit=2_000),
    "thin": Terms(delay_ms=40, loss=0.02, rate_kbit=256),
    "far": Terms(delay_ms=1_000, loss=0.01),
    "silent": Terms(away=False, home=False),
    "half-open away": Terms(away=False),
    "half-open home": Terms(home=False),
    "cutting": Terms(cut=0.3),
}
SPELL_S_MIN: Final = 0.5


@dataclass(slots=True)
class Weather:
    """Each wire has its own. `spell_s_max`: the longest spell; more than a keepalive makes silence be noticed."""

    wires: Sequence[Segment]
    rng: Random
    spell_s_max: float = 6.0
    spells: Counter[str] = field(default_factory=Counter)
    _until_s: dict[str, float] = field(default_factory=dict)

    def tend(self) -> None:
        """Change what has lasted long enough."""
        now_s = time.monotonic()
        for wire in self.wires:
            if now_s < self._until_s.get(wire.name, 0.0):
                continue
            name = self.rng.choice(list(SPELLS))
            wire.set(SPELLS[name])
            self.spells[name] += 1
            length_s = SPELL_S_MIN + (self.spell_s_max - SPELL_S_MIN) * self.rng.random() ** 2
            self._until_s[wire.name] = now_s + length_s

    def clear(self) -> None:
        """Fair on all wires."""
        for wire in self.wires:
            wire.set(SPELLS["fair"])

    def figures(self) -> dict[str, float | int | str]:
        """What was seen on the wires: spells by name, packets lost, silenced, cut."""
        counts = [way for wire in self.wires for way in wire.counts().values()]
        return {
            **{f"spells {name}": self.spells[name] for name in SPELLS},
            **{f"packets {what}": sum(count[what] for count in counts) for what in ("lost", "silenced", "reset")},
        }
