"""A reader that prints card numbers, on a pseudo-terminal."""

from __future__ import annotations

import os
import pty
import select
import time
import tty
from dataclasses import dataclass, field
from pathlib import Path
from random import Random
from typing import Final

from sim.emulators.wires import Wire, clean

REPEAT_S: Final = 0.065
"""The 125 kHz module says the number again so often while the card is there (its data sheet)."""


@dataclass(slots=True)
class Printer:
    """One reader below a link path; it has no thread, whoever prints does it on their own."""

    link: Path
    wire: Wire = clean
    seed: int = 0
    master: int = -1
    _rng: Random = field(default_factory=Random)

    def __post_init__(self) -> None:
        """Plug it in."""
        self._rng = Random(self.seed)
        self.plug()

    def plug(self) -> None:
        """Appear under the link path."""
        self.master, slave = pty.openpty()
        tty.setraw(slave)
        draft = self.link.with_name(self.link.name + ".new")
        draft.unlink(missing_ok=True)
        draft.symlink_to(os.ttyname(slave))
        draft.rename(self.link)
        # Whether anybody has the line open is seen by nobody's having it.
        os.close(slave)

    def unplug(self) -> None:
        """Vanish: the line ends for whoever has it open."""
        self.link.unlink(missing_ok=True)
        if self.master >= 0:
            os.close(self.master)
        self.master = -1

    def await_listener(self, within_s: float = 40.0) -> None:
        """Return once somebody has the line open. Raises TimeoutError."""
        looked = select.poll()
        looked.register(self.master, 0)
        deadline = time.monotonic() + within_s
        while looked.poll(0):
            # A pseudo-terminal that nobody has open tells no more than that, again and again.
            if time.monotonic() > deadline:
                raise TimeoutError(f"nobody opened {self.link}")
            time.sleep(0.002)

    def say(self, text: str | bytes) -> None:
        """Print one text over the wire, as it is."""
        raw = text.encode("ascii") if isinstance(text, str) else text
        for wait_s, octets in self.wire(raw, self._rng):
            time.sleep(wait_s)
            os.write(self.master, octets)

    def frame(self, number: str) -> None:
        """Say what the 125 kHz modules make of ten hex digits and their checksum."""
        self.say(b"\x02" + number.encode("ascii") + b"\x03")
