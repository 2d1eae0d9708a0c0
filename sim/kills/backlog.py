"""A backlog that drains while hub, gateway and broker are killed in the middle of it."""

from __future__ import annotations

import time
from pathlib import Path
from random import Random
from typing import Final

from sim.kills.campaign import BrokerKind
from sim.kills.outcome import Outcome
from sim.kills.queues import Queues
from sim.kills.strikes import Strikes, of_embedded_broker, of_part
from sim.parts import PartFailed, free_ports, mosquitto, until
from sim.road import Road

GATEWAY: Final = "cong"
STATIONS: Final = 8
ROUND_TAPS: Final = 20_000
"""Taps of one run of the gateway; every other run ends by a kill."""


def backlog(folder: Path, *, seed: int, broker: BrokerKind, taps: int, kills: int) -> Outcome:
    """A real gateway writes `taps` while nobody hears it; then it drains through `kills` strikes. Raises PartFailed."""
    outcome = Outcome(f"backlog over {broker}", seed)
    began_s = time.monotonic()
    rng = Random(seed)
    own = mosquitto(folder, free_ports(1)[0]) if broker == "mosquitto" else None
    road = Road(folder, broker_url=None if own is None else f"mqtt://127.0.0.1:{own.port}")
    queues = Queues(folder, GATEWAY, STATIONS, rng)
    gateway = road.add_gateway(GATEWAY, queues.stations)
    targets = [of_part(gateway), of_part(road.hub), of_part(road.city)]
    targets.append(of_embedded_broker(folder / "hub" / "broker" / "pid") if own is None else of_part(own))
    strikes = Strikes(targets, rng)
    try:
        fill(road, queues, taps)
        if own is not None:
            own.start()
        road.city.start()
        road.hub.start()
        road.accept()
        queues.line_up(0)
        drain_s = time.monotonic()
        gateway.start()
        for number in range(kills):
            # The first and the last tenth are left alone: a strike is to hit a drain in full course.
            wanted = taps * (1 + 8 * number // max(1, kills)) // 10

            def struck(wanted: int = wanted) -> bool:
                strikes.tend()
                return _arrived(road) >= wanted and strikes.strike()

            until(struck, "nothing drains", moving=road.progress)
        strikes.tend(within_s=float("inf"))
        until(road.drained, "not everything arrived", also=road.check, within_s=90, moving=road.progress)
        outcome.figures |= {
            "taps": taps,
            "kills": strikes.kills.total(),
            **{f"kills of {name}": count for name, count in sorted(strikes.kills.items())},
            "drain_s": round(time.monotonic() - drain_s, 1),
        }
        # A kill while it filled may leave a record of each station without a signal.
        outcome.compared(road.reckon(STATIONS))
    except PartFailed as problem:
        raise PartFailed(f"{problem}; kills {dict(strikes.kills)}; status {road.status()}") from None
    finally:
        strikes.tend(within_s=float("inf"))
        ends = road.stop()
        if own is not None:
            own.stop()
    outcome.ended(ends)
    outcome.seconds = time.monotonic() - began_s
    return outcome


def fill(road: Road, queues: Queues, taps: int) -> None:
    """Have the one gateway of a road write `taps`, in several runs of it; nothing else runs. Raises PartFailed."""
    gateway = road.gateways[GATEWAY]
    rounds = 0
    # Where a full lane turned somebody away, another comes in the next round.
    while (left := taps - road.answered(GATEWAY)) > 0:
        count = min(left, ROUND_TAPS)
        queues.line_up(count)
        gateway.start()
        until(
            lambda: queues.served(road.signals_of(GATEWAY)),
            "not everybody was signalled",
            also=gateway.check,
            moving=lambda: road.answered(GATEWAY),
        )
        rounds += 1
        if rounds % 2 == 0:
            gateway.kill()
        elif code := gateway.stop():
            raise PartFailed(f"the gateway ended with {code}")


def _arrived(road: Road) -> int:
    state = road.status()
    return 0 if state is None else int(state["records"])
