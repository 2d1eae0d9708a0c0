"""Patterns of light and sound, one for each signal, as a table; docs/reference/signals.md gives the reasons."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Literal

from edge.ports import Caution, Signal

Lamp = Literal["green", "yellow", "red"]

LENGTH_MAX_MS: Final = 1200
"""No pattern is longer, so that what is shown still belongs to whoever stands there."""


@dataclass(frozen=True, slots=True)
class Step:
    """One state of lamps and buzzer, held for `ms`: the lamp that is lit, or None for dark."""

    lamp: Lamp | None
    buzzer: bool
    ms: int


PATTERNS: Final[dict[Signal | Caution, tuple[Step, ...]]] = {
    # One long light that begins with one beep.
    "accepted": (Step("green", True, 160), Step("green", False, 340)),
    # Short, then long; two quick beeps.
    "repeated": (
        Step("green", True, 80),
        Step(None, False, 80),
        Step("green", True, 80),
        Step("green", False, 260),
    ),
    # Two calm lights; two beeps, the shortest of all and far apart.
    "refused": (
        Step("yellow", True, 60),
        Step("yellow", False, 100),
        Step(None, False, 180),
        Step("yellow", True, 60),
        Step("yellow", False, 100),
    ),
    # A flutter without a sound: a beep is a promise, and this isn't one.
    "wait": (Step("yellow", False, 100), Step(None, False, 100)) * 6,
    # Three long beeps with three lights: the box calls for help, not for a pupil.
    "alarm": (Step("red", True, 240), Step(None, False, 120)) * 3,
}
"""What is played for each signal. Ends dark: whoever plays it switches all off after the last step."""
