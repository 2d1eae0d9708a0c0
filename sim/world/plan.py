"""A plan: everything that a run depends on, drawn from a seed. The same plan is the same run, bit for bit."""

from __future__ import annotations

from collections.abc import Sequence
from random import Random
from typing import Final

import msgspec

PUPILS: Final = 1763
FAULTS_A_DAY: Final = (4, 14)
MEALTIME: Final = 1
CROWDS_MIN: Final = ((50, 25), (330, 14), (640, 10))
"""When pupils tap, in minutes from the day's beginning (05:50): arrival, lunch, going home; the middle, and how far
from it the first and last ones come. At the height of lunch each counter serves somebody every 2 s; the wider a crowd,
the more of a seed's time goes into what gateways and hub do every few seconds, whoever comes."""


AT_LUNCH: Final = frozenset({"counters-cut", "counters-lossy", "counter-alone", "hub-gone-at-lunch"})
"""Kinds of faults that strike around lunch: at other times they would meet nobody."""


def pace(pupils: int) -> float:
    """How much of a crowd's time a smaller school needs, for the same press at the readers."""
    return min(1.0, max(0.02, pupils / PUPILS))


class Fault(msgspec.Struct, frozen=True):
    """A fault as planned: its kind, its beginning (seconds from the first day's), how long, by which chance."""

    kind: str
    at_s: float
    for_s: float
    seed: int


class Plan(msgspec.Struct, frozen=True):
    """What a run is: who taps for how many days, and what goes wrong. `noise` draws arrivals, latencies, clocks.

    `crowds`: how many of a day's crowds there are; with one the day ends when all have arrived.
    """

    noise: int
    days: int
    pupils: int
    faults: tuple[Fault, ...] = ()
    crowds: int = len(CROWDS_MIN)


def draw(seed: int, days: int, pupils: int, kinds: Sequence[tuple[str, float, float]]) -> Plan:
    """The plan of a seed; `kinds` are (name, shortest, longest) in seconds."""
    rng = Random(f"k12edge plan {seed}")
    faults: list[Fault] = []
    for day in range(days):
        for _ in range(rng.randint(*FAULTS_A_DAY)):
            kind, shortest_s, longest_s = rng.choice(kinds)
            crowd = rng.choice(CROWDS_MIN)
            middle_min, around_min = CROWDS_MIN[MEALTIME] if kind in AT_LUNCH else crowd
            near_min = around_min * 1.3 * max(0.05, pace(pupils))
            at_s = day * 86_400 + 60 * rng.uniform(middle_min - near_min, middle_min + near_min)
            # Short ones are as likely as long ones.
            for_s = shortest_s * (longest_s / shortest_s) ** rng.random() if shortest_s else 0.0
            faults.append(Fault(kind, round(at_s, 3), round(for_s, 3), rng.getrandbits(32)))
    return Plan(seed, days, pupils, tuple(sorted(faults, key=lambda fault: fault.at_s)))
