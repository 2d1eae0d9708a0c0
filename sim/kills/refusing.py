"""Brokers that acknowledge and drop: by a permission that refuses in silence, and over their queue's limit."""

from __future__ import annotations

import os
import signal
import time
from pathlib import Path
from random import Random
from typing import Any, Final

from edge.uplink import SILENCE_MS
from sim.kills.outcome import Outcome
from sim.kills.queues import Queues
from sim.kills.strikes import of_part
from sim.parts import Mosquitto, free_ports, mosquitto, until
from sim.road import SCHOOL, Road

GATEWAY: Final = "cong"
ALARM: Final = "nothing-receipted"
ALARM_SLACK_S: Final = 60.0
STILL_S: Final = 1.5
DROPPED: Final = b"messages are being dropped"
"""What mosquitto 2.0 logs when a client's queue is full."""
ALLOWED: Final = f"""topic readwrite k12/1/{SCHOOL}/hub/#
topic readwrite k12/1/{SCHOOL}/roster/#
topic readwrite k12/1/{SCHOOL}/dev/+/state
topic readwrite k12/1/{SCHOOL}/dev/+/receipt
topic readwrite k12/1/{SCHOOL}/dev/+/cmd
topic readwrite k12/1/{SCHOOL}/dev/+/cfg
"""
SILENT: Final = f"{ALLOWED}topic read k12/1/{SCHOOL}/dev/+/ev\n"
OPEN: Final = f"{ALLOWED}topic readwrite k12/1/{SCHOOL}/dev/+/ev\n"


def _school(folder: Path, seed: int, more: str) -> tuple[Road, Mosquitto, Queues]:
    own = mosquitto(folder, free_ports(1)[0], more=more)
    road = Road(folder, broker_url=f"mqtt://127.0.0.1:{own.port}")
    queues = Queues(folder, GATEWAY, 4, Random(seed))
    road.add_gateway(GATEWAY, queues.stations)
    return road, own, queues


def silent_permission(folder: Path, *, seed: int, taps: int) -> Outcome:
    """A mosquitto whose ACL takes a gateway's batches and drops them: the alarm comes in its 5 minutes, not before.

    Then the permission is mended, and everything arrives. Waits for real: 5 minutes. Raises PartFailed.
    """
    outcome = Outcome("silent permission", seed)
    began_s = time.monotonic()
    rules = folder / "acl"
    _write(rules, SILENT)
    road, own, queues = _school(folder, seed, f"acl_file {rules}\n")
    queues.line_up(taps)
    try:
        own.start()
        road.city.start()
        road.hub.start()
        road.accept()
        road.gateways[GATEWAY].start()
        until(lambda: queues.served(road.signals_of(GATEWAY)), "not everybody was signalled", also=road.check)
        until(road.connected, "the gateway isn't heard", also=road.check)
        silence_s = SILENCE_MS / 1000
        met_s = time.monotonic()
        until(lambda: _told(road), "the alarm doesn't come", also=road.check, within_s=silence_s + ALARM_SLACK_S)
        outcome.figures["alarm_after_s"] = round(time.monotonic() - met_s, 1)
        arrived = int(sum(device["records"] for device in road.status()["devices"]))
        outcome.figures["arrived_before"] = arrived
        if arrived:
            outcome.problems.append(f"{arrived} records came through a permission that should drop them")
        if time.monotonic() - met_s < silence_s - 30:
            outcome.problems.append("the alarm came before its time")
        _write(rules, OPEN)
        assert own.process is not None
        # mosquitto reads its ACL again.
        own.process.send_signal(signal.SIGHUP)
        until(road.drained, "not everything arrived", also=road.check, within_s=120, moving=road.progress)
        outcome.compared(road.reckon(4))
    finally:
        outcome.ended(road.stop())
        own.stop()
    outcome.seconds = time.monotonic() - began_s
    return outcome


def _write(rules: Path, text: str) -> None:
    rules.write_text(text, encoding="ascii")
    # mosquitto wants that nobody else may read it, and none may where it goes on as another user.
    os.chmod(rules, 0o600)


def _told(road: Road) -> bool:
    """Whether the gateway says the alarm in its state, which the permission lets through."""
    state = road.status()
    return state is not None and any(ALARM in device["alarms"] for device in state["devices"])


def queue_limit(folder: Path, *, seed: int, taps: int, stills: int) -> Outcome:
    """A mosquitto that keeps one message for its hub drops batches while the hub stands still. Raises PartFailed."""
    outcome = Outcome("queue limit", seed)
    began_s = time.monotonic()
    road, own, queues = _school(folder, seed, "max_queued_messages 1\nmax_inflight_messages 1\nlog_type all\n")
    queues.line_up(taps)
    still = of_part(road.hub)
    try:
        own.start()
        road.city.start()
        road.hub.start()
        road.accept()
        road.gateways[GATEWAY].start()
        until(lambda: _records(road) > 0, "nothing arrives", also=road.check)
        for _ in range(stills):
            still.stopped(STILL_S)
            time.sleep(STILL_S)
            still.tend(time.monotonic())
        until(lambda: queues.served(road.signals_of(GATEWAY)), "not everybody was signalled", also=road.check)
        until(road.drained, "not everything arrived", also=road.check, within_s=120, moving=road.progress)
        dropped = (folder / "mosquitto.log").read_bytes().count(DROPPED)
        outcome.figures |= {"taps": taps, "stills": stills, "times the broker told of drops": dropped}
        if not dropped:
            outcome.problems.append("the broker dropped nothing: the limit was not met")
        outcome.compared(road.reckon(4))
    finally:
        still.tend(float("inf"))
        outcome.ended(road.stop())
        own.stop()
    outcome.seconds = time.monotonic() - began_s
    return outcome


def _records(road: Road) -> int:
    state: Any = road.status()
    return 0 if state is None else int(state["records"])
