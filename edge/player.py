"""The player of patterns: a thread of its own that plays the newest one, so that no tap ever waits for a lamp."""

from __future__ import annotations

import logging
import threading
from contextlib import suppress
from typing import Final, Protocol, get_args

from edge.patterns import PATTERNS, Lamp, Step
from edge.ports import Caution, Signal

log = logging.getLogger("k12edge.lamps")

PROMISES: Final = get_args(Signal)
GRACE_S: Final = 0.6
"""At the end, a recorded tap's pattern may be played to its own end; it takes 0.5 s."""
BREAK_S: Final = 0.015
"""Dark and silent between a pattern that is cut off and the next, so that two beeps are two; the light is still there
within 20 ms."""
CUT_S: Final = 0.3
"""Then it is cut off, and the thread has this long to switch the lamps off."""
DARK: Final = Step(None, buzzer=False, ms=0)


class Panel(Protocol):
    """Lamps and a buzzer that the player switches; only its thread calls, so calls may block and may raise."""

    def switch(self, lamp: Lamp | None, *, buzzer: bool) -> None:
        """Light this lamp and no other, sound the buzzer or not."""

    def close(self) -> None:
        """Switch all off, and give the lines back."""


class Player:
    """See ports.Feedback. One pattern waits at most: a newer one takes its place, and cuts off what is being played.

    So a light that is seen belongs to the last who tapped; nothing piles up behind a burst.
    """

    def __init__(self, panel: Panel) -> None:
        """Start the thread; `panel` is its own from now on, and closed by `close`."""
        self._panel = panel
        self._changed = threading.Condition()
        self._next: Signal | Caution | None = None
        self._later: Signal | Caution | None = None
        self._ending = self._cut = False
        self.failed = 0
        self._thread = threading.Thread(target=self._run, name="lamps", daemon=True)
        self._thread.start()

    def pattern(self, name: Signal | Caution) -> None:
        """See Feedback.pattern."""
        with self._changed:
            if not self._ending:
                self._next = name
                self._changed.notify()

    def later(self, name: Signal | Caution) -> None:
        """Play a pattern that is nobody's (an alarm of the whole box) once no person's is being played."""
        with self._changed:
            if not self._ending:
                self._later = name
                self._changed.notify()

    def end(self) -> None:
        """Take nothing more; a recorded tap's pattern may still end, what promises nothing is cut off."""
        with self._changed:
            self._ending = True
            self._changed.notify()

    def close(self, grace_s: float = GRACE_S) -> None:
        """`end`, and have everything dark after `grace_s`; never raises, may be called twice."""
        self.end()
        self._thread.join(grace_s)
        with self._changed:
            self._cut = True
            self._changed.notify()
        self._thread.join(CUT_S)

    # --- the thread ---------------------------------------------------------------------------------------------

    def _run(self) -> None:
        while (name := self._take()) is not None:
            self._play(name)
        self._switch(DARK)
        with suppress(Exception):
            self._panel.close()

    def _take(self) -> Signal | Caution | None:
        """The pattern to play; None at the end."""
        with self._changed:
            self._changed.wait_for(lambda: self._next or self._later or self._ending)
            name = self._next or self._later
            if self._next is not None:
                self._next = None
            else:
                self._later = None
            return None if name is None or self._over(name) else name

    def _over(self, name: Signal | Caution) -> bool:
        return self._cut or (self._ending and name not in PROMISES)

    def _play(self, name: Signal | Caution) -> None:
        for step in PATTERNS[name]:
            self._switch(step)
            with self._changed:
                if self._changed.wait_for(lambda: self._next or self._over(name), step.ms / 1000):
                    break
        self._switch(DARK)
        with self._changed:
            self._changed.wait_for(lambda: self._cut, BREAK_S)

    def _switch(self, step: Step) -> None:
        try:
            self._panel.switch(step.lamp, buzzer=step.buzzer)
        except Exception:
            # A lamp that fails must take neither the others with it nor the next pattern.
            self.failed += 1
            if self.failed == 1:
                log.exception("lamps or buzzer can't be switched; this is told once")
