"""An ACR122's lamp and buzzer: the commands for each signal, and the newest signal until it is stale.

Its lamp has a red and a green light, both together are amber. While it blinks it reads no card, and answers when the
last blink is over; so each pattern is short. And it is one command: played by parts, a `refused` whose second half got
lost with the card would sound like a promise. See docs/decisions/0022-pcsc.md.
"""

from __future__ import annotations

import threading
import time
from dataclasses import dataclass
from typing import Final

from edge.ports import Caution, Signal

NAME: Final = "acr122"
"""Within the name that pcscd gives such a reader, such as `ACS ACR122U PICC Interface 00 00`."""
QUIET: Final = bytes.fromhex("FF00520000")
"""No beep when a card is detected, until its power goes (ACR122U API 2.04, 6.7)."""
RED, GREEN = 1, 2
STALE_S: Final = 1.0
"""A pattern that couldn't be played for so long would be taken for the next pupil's."""


@dataclass(frozen=True, slots=True)
class Pattern:
    """Lights in turn with darkness, so many times, in tenths of a second, with or without sound; ends dark.

    `times` 0: lit from now on, until the next pattern or what the reader itself shows.
    """

    lights: int
    lit_ds: int = 0
    dark_ds: int = 0
    times: int = 0
    sounds: bool = True


PATTERNS: Final[dict[Signal | Caution, Pattern]] = {
    "accepted": Pattern(GREEN, 2, 1, 1),
    "repeated": Pattern(GREEN, 1, 1, 2),
    "refused": Pattern(RED | GREEN, 1, 2, 2),
    # One of the others follows, and mustn't wait for this one's end.
    "wait": Pattern(RED | GREEN, sounds=False),
    "alarm": Pattern(RED, 2, 1, 3),
}
"""As near to edge/patterns.py as its units come: one sound, two quick ones, two far apart, none, three longer ones."""


class Acr122Feedback:
    """See ports.Feedback. `take` gives the commands to the thread that speaks to pcscd."""

    def __init__(self) -> None:
        """Nothing is to be shown."""
        self._lock = threading.Lock()
        self._next: tuple[Pattern, float] | None = None

    def pattern(self, name: Signal | Caution) -> None:
        """See Feedback.pattern."""
        pattern = PATTERNS.get(name)
        if pattern is not None:
            with self._lock:
                self._next = pattern, time.monotonic() + STALE_S

    def take(self) -> tuple[bytes, ...]:
        """The commands for what is to be shown now, once."""
        with self._lock:
            wanted, self._next = self._next, None
        return () if wanted is None or time.monotonic() > wanted[1] else commands_of(wanted[0])


def is_acr122(name: str) -> bool:
    """Whether a reader's name says that it takes these commands."""
    return NAME in name.casefold()


def commands_of(pattern: Pattern) -> tuple[bytes, ...]:
    """A pattern as commands, one after the other: the lamp as it is to begin, and where it blinks, how."""
    if not pattern.times:
        return (lamp_command(RED | GREEN, pattern.lights),)
    # A light that doesn't blink stays as it was: the reader's own red one would make green amber.
    link = 1 if pattern.sounds else 0
    blinks = lamp_command(RED | GREEN, 0, pattern.lights, (pattern.lit_ds, pattern.dark_ds, pattern.times, link))
    return lamp_command(RED | GREEN, 0), blinks


def lamp_command(lights: int, lit: int, blink: int = 0, rhythm: tuple[int, int, int, int] = (0, 0, 0, 0)) -> bytes:
    """Set `lights` to those of them that are `lit`, after those of `blink` blinked (ACR122U API 2.04, 6.2).

    `rhythm`: tenths of a second lit and dark, how often, and 1 for a sound while lit. P2 has, from its lowest bit, the
    lights at the end, which of them to change, the lights in the first half of a blink, which of them blink.
    """
    return bytes((0xFF, 0x00, 0x40, lit | lights << 2 | blink << 4 | blink << 6, 4, *rhythm))
