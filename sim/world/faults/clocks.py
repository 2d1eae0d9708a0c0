"""Faults of clocks: steps, lost synchronisation, late synchronisation."""

from __future__ import annotations

from collections.abc import Callable
from random import Random
from typing import TYPE_CHECKING, Final

from sim.world.faults.kind import Kind
from sim.world.loop import HOUR, SECOND

if TYPE_CHECKING:
    from sim.world.school import School


def _step_gateway(school: School, rng: Random) -> None:
    school.truth.count("gateway clock stepped")
    machine = rng.choice(school.gateways).machine
    machine.step_wall(rng.choice((-1, 1)) * rng.choice((HOUR, 3 * SECOND, 24 * HOUR)))


def _lose_gateway(school: School, rng: Random) -> Callable[[], None]:
    school.truth.count("gateway lost NTP")
    machine = rng.choice(school.gateways).machine
    machine.lose_time()
    return machine.synchronise


def _late_gateway(school: School, rng: Random) -> None:
    """NTP comes late to a gateway that had none: a jump to the right time."""
    school.truth.count("gateway found NTP")
    rng.choice(school.gateways).machine.synchronise()


def _lose_hub(school: School, _rng: Random) -> Callable[[], None]:
    school.truth.count("hub lost NTP")
    school.hub.machine.lose_time()
    return school.hub.machine.synchronise


def _step_hub(school: School, rng: Random) -> Callable[[], None]:
    school.truth.count("hub clock stepped")
    school.hub.machine.step_wall(rng.choice((-1, 1)) * rng.choice((HOUR, 24 * HOUR)))
    return school.hub.machine.synchronise


KINDS: Final = (
    Kind("gateway-clock-step", "a gateway's clock is set wrong", _step_gateway, effects=("gateway clock stepped",)),
    Kind("gateway-ntp-lost", "a gateway loses NTP", _lose_gateway, 60, 7200, ("gateway lost NTP",)),
    Kind("gateway-ntp-late", "a gateway finds NTP", _late_gateway, effects=("gateway found NTP",)),
    Kind("hub-ntp-lost", "the hub loses NTP", _lose_hub, 60, 7200, ("hub lost NTP",)),
    Kind("hub-clock-step", "the hub's clock is set wrong", _step_hub, 60, 3600, ("hub clock stepped",)),
)
