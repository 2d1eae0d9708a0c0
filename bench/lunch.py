"""Lunch at ten times the real pace: 900 pupils, four counters, hub and broker gone in the middle."""

from __future__ import annotations

from typing import Final

from bench.figure import Broken, Figure
from bench.workshop import Workshop
from sim.kills.lunch import lunch

ROW: Final = 22
PUPILS_AT_LUNCH: Final = 900
GAP_S: Final = 0.8
"""Between two pupils of a counter; eight seconds in a school."""
REACH_MS: Final = 200.0
"""As at a gate: light and sound are to come within it."""


def measure_lunch(shop: Workshop) -> list[Figure]:
    """Row 22 of the table. Raises Broken where a single pupil or tray is missed."""
    pupils = PUPILS_AT_LUNCH // 3 if shop.quick else PUPILS_AT_LUNCH
    shop.say(f"22 {pupils} pupils at four counters, ten times as fast as a school")
    found = lunch(shop.room("lunch"), seed=1, broker="embedded", pupils=pupils, gap_s=GAP_S)
    if not found.kept:
        raise Broken("; ".join(found.problems))
    note = f"{found.figures['trays']} trays, none missed, each once at the city; a look at the signals every 4 ms"
    return [
        Figure(
            ROW,
            f"touch to signal, {'hub and broker gone' if shift == 'first' else 'a counter killed, one alone'}, p95",
            float(found.figures[f"{shift} shift: p95, ms"]),
            "ms",
            REACH_MS,
            note=note,
        )
        for shift in ("first", "second")
    ]
