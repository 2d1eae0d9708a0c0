"""All gateways of a school back at once: nobody starves, and live taps don't wait for other gates' backlogs."""

from __future__ import annotations

import secrets
import time
from pathlib import Path
from random import Random
from statistics import median
from typing import Final

from edge.readers.simulated import hold
from protocol.cards import CardUid
from sim.emulators.pupils import SignalTail
from sim.kills.live import LiveTaps, now_ms
from sim.kills.outcome import Outcome
from sim.kills.queues import GAP_MS, Queues
from sim.parts import until
from sim.road import Road

LIVE_GAP_S: Final = 3.0
LOOK_S: Final = 0.2
STARVED_S: Final = 60.0
"""No tap may take longer once its hub is there: three times the longest pause between two attempts to connect."""


def together(folder: Path, *, seed: int, gateways: int, backlog: int, live: int) -> Outcome:
    """`gateways` with a backlog each wait for their hub, which is killed when half of it is there.

    Measured are the `live` taps of each, made once the hub is started again. Raises PartFailed.
    """
    outcome = Outcome("all back at once", seed)
    began_s = time.monotonic()
    rng = Random(seed)
    road = Road(folder)
    queues = {f"cong-{number:02d}": Queues(folder, f"cong-{number:02d}", 1, rng) for number in range(gateways)}
    run = secrets.token_hex(4)
    for name, queue in queues.items():
        road.add_gateway(name, queue.stations | {f"{name}-live": ("gate", f"simulated:{name}-{run}")})
        queue.line_up(backlog, gap_ms=gateways * GAP_MS // 2)
    try:
        for gateway in road.gateways.values():
            gateway.start()
        until(
            lambda: all(queue.served(road.signals_of(name), backlog) for name, queue in queues.items()),
            "the backlogs are not written",
            within_s=60,
            moving=lambda: [road.answered(name) for name in queues],
        )
        road.city.start()
        road.hub.start()
        road.accept()
        half = gateways * backlog // 2
        until(lambda: _arrived(road) >= half, "nothing drains", also=road.check, within_s=60, moving=road.progress)
        road.hub.kill()
        road.hub.start()
        back_ms = now_ms()
        taps = [LiveTaps(SignalTail(road.signals_of(name)), back_ms) for name in queues]
        looked_s = held_s = 0.0
        made = 0

        def drained() -> bool:
            nonlocal looked_s, held_s, made
            if time.monotonic() - looked_s < LOOK_S:
                return False
            looked_s = time.monotonic()
            if made < live and looked_s - held_s >= LIVE_GAP_S:
                held_s, made = looked_s, made + 1
                for name in queues:
                    hold(f"{name}-{run}", CardUid("a", f"04{rng.randbytes(6).hex().upper()}"))
            held = road.held()
            for one in taps:
                one.look(held)
            everybody = all(queue.served(road.signals_of(name), backlog + live) for name, queue in queues.items())
            return everybody and not any(one.waiting() for one in taps) and road.drained()

        until(drained, "not everything arrived", also=road.check, within_s=120, moving=road.progress)
        late = sorted(late_s for one in taps for late_s in one.late_s.values())
        outcome.figures |= {
            "gateways": gateways,
            "backlog_each": backlog,
            "back_to_drained_s": round((now_ms() - back_ms) / 1000, 1),
            "live_taps": len(late),
            "live_median_s": round(median(late), 2) if late else 0.0,
            "live_worst_s": round(late[-1], 2) if late else 0.0,
        }
        if not late:
            outcome.problems.append("nobody tapped after the hub was back: nothing was measured")
        elif late[-1] > STARVED_S:
            outcome.problems.append(f"a tap waited {late[-1]:.0f} s for a hub that was there")
        outcome.compared(road.reckon(1))
    finally:
        outcome.ended(road.stop())
    outcome.seconds = time.monotonic() - began_s
    return outcome


def _arrived(road: Road) -> int:
    state = road.status()
    return 0 if state is None else int(state["records"])
