"""The truth: which card was held where and when, what the person was shown, and what broke the promise.

Only the simulation knows it; no part ever sees it.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import Final

from sim.world.loop import MS, Loop

PROBLEMS_MAX: Final = 50


@dataclass(slots=True)
class Held:
    """A card held to a reader: where, its canonical number, the true time in ns; what followed, and under which id."""

    box: str
    station: str
    card: str
    at_ns: int
    shown: str | None = None
    tap: str | None = None
    crashed: bool = False


@dataclass(frozen=True, slots=True)
class Problem:
    """A broken promise: which rule, when (true ns), and what was seen."""

    rule: str
    at_ns: int
    detail: str


class Truth:
    """See the room. Sightings are known by boot, CLOCK_BOOTTIME in ms and station, as their records say them."""

    def __init__(self, loop: Loop) -> None:
        """Nothing has happened."""
        self._loop = loop
        self.held: dict[tuple[str, int, str], Held] = {}
        self.signals: dict[str, Held] = {}
        self.problems: list[Problem] = []
        self.fired: Counter[str] = Counter()
        self.seen: Counter[str] = Counter()
        self.lost_with_a_card: set[str] = set()
        self.lost: set[str] = set()
        """Records, taps among them, that only a destroyed disk held: the hub's own or of a gateway, by their ids."""

    def count(self, what: str) -> None:
        """A fault took effect."""
        self.fired[what] += 1

    def broken(self, rule: str, detail: str) -> None:
        """A rule was broken."""
        if len(self.problems) < PROBLEMS_MAX:
            self.problems.append(Problem(rule, self._loop.now_ns, detail))

    def sighted(self, boot: str, mono_ns: int, held: Held) -> None:
        """A card was held to a reader."""
        key = boot, mono_ns // MS, held.station
        assert key not in self.held, key
        self.held[key] = held
        self.seen["sighting"] += 1

    def shown(self, held: Held, signal: str, tap: str) -> None:
        """The person was shown the word that stands for a record."""
        if held.shown is not None:
            self.broken("one answer a card", f"{held.station}: {held.card} was shown {held.shown} and then {signal}")
        held.shown, held.tap = signal, tap
        self.signals[tap] = held
        self.seen[signal] += 1

    def alarmed(self, held: Held, code: str) -> None:
        """The person was shown an alarm instead: nothing was promised."""
        held.shown = f"alarm {code}"
        self.seen[f"alarm {code}"] += 1
