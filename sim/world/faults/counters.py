"""Faults between counters, and of the hub and broker that they don't need."""

from __future__ import annotations

from collections.abc import Callable
from random import Random
from typing import TYPE_CHECKING, Final

from sim.world.faults.kind import Kind

if TYPE_CHECKING:
    from sim.world.school import School


def _cut(school: School, _rng: Random) -> Callable[[], None]:
    """The network between counters is gone: a switch without power. The broker may still carry their words."""
    school.lan.down += 1
    return _once(lambda: setattr(school.lan, "down", school.lan.down - 1))


def _lossy(school: School, rng: Random) -> Callable[[], None]:
    school.lan.lose, school.lan.double = rng.choice((0.1, 0.3, 0.6)), rng.choice((0.0, 0.1, 0.5))

    def end() -> None:
        school.lan.lose = school.lan.double = 0.0

    return end


def _alone(school: School, rng: Random) -> Callable[[], None]:
    """A gateway with counters reaches nobody: neither others, nor the broker."""
    box = rng.choice([one for one in school.gateways if one.has_counters])
    school.truth.count("counter alone")
    school.lan.alone[box.host] += 1
    box.line.cut()

    def end() -> None:
        school.lan.alone[box.host] -= 1
        box.line.mend()

    return _once(end)


def _hub_gone(school: School, rng: Random) -> Callable[[], None]:
    """The office's machine is gone, with hub and broker; both come back, the broker without what it kept."""
    school.truth.count("hub and broker gone")
    school.broker.stop(forget=rng.random() < 0.5)
    school.hub.kill()

    def end() -> None:
        school.broker.start()
        school.hub.start()

    return end


def _once(end: Callable[[], None]) -> Callable[[], None]:
    """What ends a fault may be asked for again when all is mended."""
    ended: list[bool] = []

    def once() -> None:
        if not ended:
            ended.append(True)
            end()

    return once


KINDS: Final = (
    Kind("counters-cut", "the network between counters is cut", _cut, 2, 900, ("word lost between counters",)),
    Kind(
        "counters-lossy",
        "the network between counters loses and doubles",
        _lossy,
        5,
        900,
        ("word lost between counters", "word doubled between counters"),
    ),
    Kind("counter-alone", "a counter reaches nobody", _alone, 5, 900, ("counter alone",)),
    Kind("hub-gone-at-lunch", "hub and broker are gone", _hub_gone, 60, 5400, ("hub and broker gone",)),
)
