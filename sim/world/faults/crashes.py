"""Crashes: a part stops before a step that it is about to make, and comes back later."""

from __future__ import annotations

from random import Random
from typing import TYPE_CHECKING, Final

from sim.world.faults.kind import Kind

if TYPE_CHECKING:
    from sim.world.gateway import GatewayBox
    from sim.world.school import School

STEPS_MAX: Final = 60
"""Statements and messages of a part until it stops; small numbers hit the first ones of a start as well."""


def _gateway(school: School, rng: Random) -> None:
    box = rng.choice(school.gateways)
    box.storage.crash_in = rng.randint(1, STEPS_MAX)


def _gateway_again(school: School, rng: Random) -> None:
    """It stops, and stops again while it comes back."""
    box = rng.choice(school.gateways)
    box.storage.crash_in = rng.randint(1, STEPS_MAX)
    restart = box.on_crash

    def again(crashed: GatewayBox) -> None:
        box.on_crash = restart
        school.truth.count("gateway crashed while it came back")
        box.storage.crash_in = rng.randint(1, 25)
        restart(crashed)

    box.on_crash = again


def _gateway_power(school: School, rng: Random) -> None:
    """The power goes: a new boot, and without a battery the clock is at 1970 until somebody tells it."""
    box = rng.choice(school.gateways)
    school.truth.count("gateway lost its power")
    box.kill()
    battery = rng.random() < 0.3
    box.machine.reboot(battery=battery)
    if rng.random() < 0.4:
        school.loop.after(rng.randrange(10**9, 600 * 10**9), box.machine.synchronise)
    if not battery:
        school.truth.count("gateway booted in 1970")
    school.restart_later(box.start, rng)


def _hub(school: School, rng: Random) -> None:
    school.hub.storage.crash_in = rng.randint(1, STEPS_MAX * 4)


def _hub_power(school: School, rng: Random) -> None:
    school.truth.count("hub lost its power")
    school.hub.kill()
    school.hub.machine.reboot(battery=True)
    school.loop.after(rng.randrange(10**9, 60 * 10**9), school.hub.machine.synchronise)
    school.restart_later(school.hub.start, rng)


def _city(school: School, rng: Random) -> None:
    school.city.storage.crash_in = rng.randint(1, STEPS_MAX)
    # Its own process, which another one starts again.
    school.loop.after(rng.randrange(10**9, 120 * 10**9), school.city.start)


def _city_killed(school: School, rng: Random) -> None:
    school.truth.count("city killed")
    school.city.kill()
    school.restart_later(school.city.start, rng)


def _everything(school: School, rng: Random) -> None:
    """The school's power goes: gateways, hub and broker at once."""
    school.truth.count("everything lost its power")
    for box in school.gateways:
        box.kill()
        box.machine.reboot(battery=False)
        school.restart_later(box.start, rng)
    school.hub.kill()
    school.hub.machine.reboot(battery=True)
    school.loop.after(rng.randrange(10**9, 60 * 10**9), school.hub.machine.synchronise)
    school.restart_later(school.hub.start, rng)
    school.broker.stop(forget=rng.random() < 0.5)
    school.restart_later(school.broker.start, rng)


def _gateway_stalls(school: School, rng: Random) -> None:
    """It stands still and goes on, as a stopped process or an overloaded machine does."""
    school.truth.count("gateway stalled")
    box = rng.choice(school.gateways)
    box.stalled_until_ns = school.loop.now_ns + int(10 ** rng.uniform(8, 10.8))


def _hub_stalls(school: School, rng: Random) -> None:
    school.truth.count("hub stalled")
    school.hub.stalled_until_ns = school.loop.now_ns + int(10 ** rng.uniform(8, 11.5))


KINDS: Final = (
    Kind("gateway-stalls", "a gateway stands still for a while", _gateway_stalls, effects=("gateway stalled",)),
    Kind("hub-stalls", "the hub stands still for a while", _hub_stalls, effects=("hub stalled",)),
    Kind("gateway-crashes", "a gateway is killed between two steps", _gateway, effects=("gateway crashed before",)),
    Kind(
        "gateway-crashes-twice",
        "a gateway is killed, and again while it comes back",
        _gateway_again,
        effects=("gateway crashed while it came back",),
    ),
    Kind("gateway-power", "a gateway's power is cut", _gateway_power, effects=("gateway lost its power",)),
    Kind("hub-crashes", "the hub is killed between two steps", _hub, effects=("hub crashed before",)),
    Kind("hub-power", "the hub's power is cut", _hub_power, effects=("hub lost its power",)),
    Kind("city-crashes", "the city's service is killed between two steps", _city, effects=("city crashed before",)),
    Kind("city-killed", "the city's service is killed", _city_killed, effects=("city killed",)),
    Kind("power-cut", "the school's power is cut", _everything, effects=("everything lost its power",)),
)
