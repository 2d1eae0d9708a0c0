"""Thirty days offline, then a thin line: 3,000 taps a day drain over 256 kbit/s with loss, and live taps go first."""

from __future__ import annotations

import time
from pathlib import Path
from random import Random
from statistics import median
from typing import Final

from sim.emulators.pupils import SignalTail
from sim.kills.listener import Listener
from sim.kills.live import LiveTaps, now_ms
from sim.kills.outcome import Outcome
from sim.kills.queues import Queues
from sim.parts import PartFailed, until
from sim.road import Road
from sim.school import PUPILS, make_school, write_roster
from sim.wire.line import Terms
from sim.wire.segment import Segment

GATEWAY: Final = "cong"
STATIONS: Final = 8
LIVE_GAP_MS: Final = 7_000
"""Longer than the gateway paces its backlog after a tap, so that each tap meets a backlog at full speed."""
LIVE_LATE_S: Final = 10.0
"""A live tap that takes longer to the hub, in the median, was not sent first."""


def thin_line(folder: Path, *, seed: int, days: int, taps_a_day: int, live: int, terms: Terms) -> Outcome:
    """`days` runs of a real gateway without a network, every other one killed; then it drains over `terms`.

    Raises PartFailed.
    """
    outcome = Outcome("thin-line", seed)
    began_s = time.monotonic()
    rng = Random(seed)
    with Segment(1, seed) as wire:
        queues = Queues(folder, GATEWAY, STATIONS, rng)
        road = Road(folder, gateways_beyond={GATEWAY: wire})
        gateway = road.add_gateway(GATEWAY, queues.stations)
        try:
            for day in range(days):
                queues.line_up(taps_a_day)
                gateway.start()
                until(
                    lambda: queues.served(road.signals_of(GATEWAY)),
                    "not everybody was signalled",
                    also=gateway.check,
                    moving=road.progress,
                )
                if day % 2:
                    gateway.kill()
                elif gateway.stop():
                    raise PartFailed("the gateway didn't end cleanly")
            _drain(road, queues, wire, terms, live, outcome)
            outcome.compared(road.reckon(STATIONS))
        finally:
            outcome.ended(road.stop())
    outcome.seconds = time.monotonic() - began_s
    return outcome


def _drain(road: Road, queues: Queues, wire: Segment, terms: Terms, live: int, outcome: Outcome) -> None:
    road.city.start()
    road.hub.start()
    road.accept()
    # The roster goes the other way over the same line, at each connection.
    write_roster(road.folder / "roster.csv", make_school(PUPILS, outcome.seed))
    road.command("roster", "import", str(road.folder / "roster.csv"))
    listener = Listener("127.0.0.1", int(road.broker_url.rpartition(":")[2]))
    wire.set(terms)
    before = wire.counts()
    tail = SignalTail(road.signals_of(GATEWAY))
    tail.read()
    # On a line with a long delay it takes some round trips until the hub is met.
    queues.line_up(0, then=live, then_gap_ms=LIVE_GAP_MS + 8 * terms.delay_ms)
    taps = LiveTaps(tail, now_ms())
    began_s = time.monotonic()
    road.gateways[GATEWAY].start()
    owed_when_tapped = 0
    looked_s = 0.0

    def drained() -> bool:
        nonlocal owed_when_tapped, looked_s
        taps.look(road.held() if taps.waiting() or len(taps.shown) < live else None)
        if time.monotonic() - looked_s < 1.0:
            return False
        looked_s = time.monotonic()
        if len(taps.shown) < live:
            owed_when_tapped = _owed(road)
            return False
        return len(taps.late_s) == live and road.drained()

    until(drained, "the backlog stands still", also=road.check, within_s=180, moving=road.progress)
    seconds = time.monotonic() - began_s
    after = wire.counts()
    carried = after["home"]["octets"] - before["home"]["octets"]
    late = sorted(taps.late_s.values())
    outcome.figures |= {
        "rate_kbit": terms.rate_kbit,
        "loss": terms.loss,
        "delay_ms": terms.delay_ms,
        "drain_s": round(seconds, 1),
        "records_sent": listener.records,
        "records_again": listener.records_again,
        "payload_bytes": listener.octets,
        "payload_bytes_again": listener.octets_again,
        "payload_bytes_zlib": listener.packed,
        "wire_bytes": carried,
        "wire_kbit_s": round(carried * 8 / seconds / 1000, 1),
        "packets_lost": after["home"]["lost"] + after["away"]["lost"],
        "live_taps": len(late),
        "live_median_s": round(median(late), 2),
        "live_worst_s": round(late[-1], 2),
        "owed_after_live": owed_when_tapped,
    }
    listener.close()
    if median(late) > LIVE_LATE_S:
        outcome.problems.append(f"live taps took {median(late):.1f} s in the median: the backlog stood before them")


def _owed(road: Road) -> int:
    held = road.held()
    got = sum(book["through"] for book in held["journals"].values()) if held else 0
    return int(road.answered(GATEWAY)) - got
