"""A slow card: the word `wait` in time, the signal after the sync, the other reader polled on."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path
from random import Random
from typing import Any, Final

from edge.journalfile import FILE_NAME
from protocol.envelope import decode_data, decode_event
from protocol.taps import TapData
from sim.preload.control import SYNC
from sim.stores.gate import Gate, records_of
from sim.stores.running import Told, kept_by, made_gate

WAIT_MAX_MS: Final = 300
"""From a card to its `wait` where the storage is slow."""
SLACK_MS: Final = 200
"""What a loaded machine may take on top."""


def slow(folder: Path, seed: int, count: int) -> Told:
    """Syncs of 0.3 to 5 s: `wait` soon after the card, no signal before the sync, the other reader polled on."""
    rng = Random(seed)
    gate, control = made_gate(folder, count, stations=2)
    problems: list[str] = []
    worst_ms = 0
    gate.start()
    try:
        gate.await_more("accepted", count=4)
        for number in range(max(2, count // 4)):
            delay_s = 5.0 if number == count // 4 - 1 and count > 8 else rng.choice((0.3, 0.7, 1.5))
            before = len(gate.words())
            control.rule(0, SYNC, FILE_NAME, times=1, delay_s=delay_s)
            gate.await_true(lambda: control.hits(0) == 1, f"sync {number} isn't slowed down")
            slow_until_ms = time.clock_gettime_ns(time.CLOCK_BOOTTIME) // 1_000_000 + int(delay_s * 900)

            def on_again(until_ms: int = slow_until_ms) -> bool:
                since = [one for one in gate.shown() if one["signal"] == "accepted" and one["mono_ms"] >= until_ms]
                return len(since) >= 8

            gate.await_true(on_again, f"8 times accepted after sync {number}")
            shown = gate.shown()[before:]
            worst_ms = max(worst_ms, *_waits(gate, shown, delay_s, problems))
            stations = {one["station"] for one in shown if one["signal"] in ("wait", "accepted")}
            if len(stations) < 2:
                problems.append(f"sync {number}: the other reader stood still")
        figures = kept_by(gate, problems)
    finally:
        gate.end()
    return {**figures, "wait_worst_ms": worst_ms}, problems


def _waits(gate: Gate, shown: list[dict[str, Any]], delay_s: float, problems: list[str]) -> Iterator[int]:
    """For each card that waited: ms from the card (as recorded) to its `wait`, which came before its answer."""
    seen = {}
    for raw in records_of(gate.data / FILE_NAME).values():
        event = decode_event(raw)
        if event.name == "attendance.tap":
            data = decode_data(event, TapData)
            seen[event.id] = data.clock.mono
    waits = [one for one in shown if one["signal"] == "wait"]
    yield 0
    if not waits and delay_s >= 0.5:
        problems.append(f"a sync of {delay_s} s: nobody was told to wait")
    for one in waits:
        # A card is held there again and again: the answer is the next one behind the wait.
        later = [
            at
            for at in shown
            if at["card"] == one["card"] and at["signal"] != "wait" and at["mono_ms"] >= one["mono_ms"]
        ]
        if not later:
            if shown[-1]["mono_ms"] - one["mono_ms"] > delay_s * 1000 + SLACK_MS:
                problems.append(f"{one['card']} was told to wait, and nothing after it")
            continue
        if later[0]["tap"] is None:
            continue
        waited_ms = one["mono_ms"] - seen[later[0]["tap"]]
        if waited_ms < 0:
            problems.append(f"{one['card']} was answered before it was told to wait")
        if waited_ms > WAIT_MAX_MS + SLACK_MS:
            problems.append(f"{one['card']} was told to wait after {waited_ms} ms")
        yield waited_ms
