"""An OSDP reader's lamp and buzzer: the patterns of signals, told apart by rhythm, without hearing or colour."""

from __future__ import annotations

import threading
import time
from dataclasses import dataclass
from typing import Any, Final

from edge.ports import Caution, Signal

STALE_S: Final = 1.0
"""A pattern that couldn't be sent for so long would be taken for the next pupil's."""


@dataclass(frozen=True, slots=True)
class Pattern:
    """Lamp: colour (its name in libosdp), on and off in turn for a while; buzzer: on and off, so many times."""

    colour: str
    lamp_on_ds: int
    lamp_off_ds: int
    lamp_ds: int
    sound_on_ds: int = 0
    sound_off_ds: int = 0
    sounds: int = 0


PATTERNS: Final[dict[str, Pattern]] = {
    "accepted": Pattern("GREEN", 10, 0, 10, 2, 1, 1),
    "repeated": Pattern("GREEN", 2, 2, 12, 1, 1, 2),
    "refused": Pattern("AMBER", 2, 2, 8, 1, 2, 2),
    "wait": Pattern("AMBER", 5, 5, 30),
    "alarm": Pattern("RED", 1, 1, 30, 3, 3, 3),
}
"""As near to edge/patterns.py as a reader comes, in tenths of a second (osdp_LED's and osdp_BUZ's unit): one sound, two
quick ones, two far apart, none, three long ones. At a counter nobody is told off: `refused` is as short as the rest.
"""


class OsdpFeedback:
    """See ports.Feedback. `take` gives the pattern to the driver's thread, `wanted` wakes it."""

    def __init__(self) -> None:
        """Nothing is to be shown."""
        self._lock = threading.Lock()
        self._next: tuple[Pattern, float] | None = None
        self.wanted = threading.Event()

    def pattern(self, name: Signal | Caution) -> None:
        """See Feedback.pattern."""
        pattern = PATTERNS.get(name)
        if pattern is not None:
            with self._lock:
                self._next = pattern, time.monotonic() + STALE_S
            self.wanted.set()

    def take(self) -> Pattern | None:
        """What is to be shown now, once."""
        self.wanted.clear()
        with self._lock:
            wanted, self._next = self._next, None
        return None if wanted is None or time.monotonic() > wanted[1] else wanted[0]


def lamp_command(library: Any, pattern: Pattern) -> dict[str, Any]:
    """A temporary pattern for the reader's first lamp, as libosdp takes it (osdp_LED)."""
    return {
        "command": library.CMD_LED,
        "reader": 0,
        "led_number": 0,
        "temporary": True,
        "control_code": 2,
        "on_count": pattern.lamp_on_ds,
        "off_count": pattern.lamp_off_ds,
        "on_color": getattr(library, f"LED_COLOR_{pattern.colour}"),
        "off_color": library.LED_COLOR_NONE,
        "timer_count": pattern.lamp_ds,
    }


def sound_command(library: Any, pattern: Pattern) -> dict[str, Any]:
    """The pattern's sounds in the reader's default tone; without sounds, silence (osdp_BUZ)."""
    return {
        "command": library.CMD_BUZZER,
        "reader": 0,
        "control_code": 2 if pattern.sounds else 1,
        "on_count": pattern.sound_on_ds,
        "off_count": pattern.sound_off_ds,
        "rep_count": pattern.sounds,
    }
