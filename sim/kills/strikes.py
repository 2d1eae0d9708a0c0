"""Strikes: a part is killed -9 or held still (SIGSTOP), alone or with others, and comes back."""

from __future__ import annotations

import os
import signal
import time
from collections import Counter
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from random import Random
from typing import Final

from sim.parts import Part, pid_in

DOWN_S_MAX: Final = 1.2
"""How long a killed part stays away at most before it is started again."""
TOGETHER: Final = 0.25
"""Share of the strikes that hit two or more parts at once."""
STILL: Final = 0.3
"""Where parts are stopped too: the share of hits that stop one instead of killing it."""
STILL_S_MIN: Final = 0.2


@dataclass(slots=True)
class Target:
    """A part that can be hit. `pid` is None while there is none; one without `start` is brought back by another."""

    name: str
    pid: Callable[[], int | None]
    kill: Callable[[], bool]
    start: Callable[[], None] | None
    back_s: float | None = None
    still_s: float | None = None
    _still_pid: int | None = None

    @property
    def up(self) -> bool:
        """Whether it may be hit: it isn't away. A stopped one can be killed."""
        return self.back_s is None

    def killed(self, away_s: float) -> bool:
        """Kill -9; back after `away_s`. False where there was nobody. Raises PartFailed when it had ended by itself."""
        if not self.kill():
            return False
        self.still_s = self._still_pid = None
        if self.start is not None:
            self.back_s = time.monotonic() + away_s
        return True

    def stopped(self, still_s: float) -> bool:
        """SIGSTOP for so long: it neither answers nor ends. False where nobody was, or one that is still."""
        pid = self.pid()
        if pid is None or self.still_s is not None:
            return False
        os.kill(pid, signal.SIGSTOP)
        self.still_s, self._still_pid = time.monotonic() + still_s, pid
        return True

    def tend(self, now_s: float) -> None:
        """Go on, or start again, when it is time."""
        if self.still_s is not None and now_s >= self.still_s:
            # The one that was stopped, unless it is gone: its hub may have been killed, and it with it.
            if self._still_pid is not None and self.pid() == self._still_pid:
                with suppress(ProcessLookupError):
                    os.kill(self._still_pid, signal.SIGCONT)
            self.still_s = self._still_pid = None
        if self.back_s is not None and now_s >= self.back_s:
            assert self.start is not None
            self.start()
            self.back_s = None


def of_part(part: Part) -> Target:
    """A part that the campaign itself brings back."""

    def kill() -> bool:
        part.kill()
        return True

    return Target(part.name, lambda: part.process.pid if part.process else None, kill, partial(part.start, wait=False))


def of_embedded_broker(pid_file: Path) -> Target:
    """The hub's own broker, which the hub brings back."""
    pid = partial(pid_in, pid_file, "nats-server")

    def kill() -> bool:
        number = pid()
        if number is None:
            return False
        with suppress(ProcessLookupError):
            os.kill(number, signal.SIGKILL)
            return True
        return False

    return Target("broker", pid, kill, None)


@dataclass(slots=True)
class Strikes:
    """Chooses whom to hit. `still_s_max`: the longest that a part is held still, 0 where none is."""

    targets: Sequence[Target]
    rng: Random
    still_s_max: float = 0.0
    kills: Counter[str] = field(default_factory=Counter)
    stops: Counter[str] = field(default_factory=Counter)
    together: int = 0

    def strike(self) -> bool:
        """Hit one part or several; False when nobody could be hit. Raises PartFailed when one ended by itself.

        The first strikes kill each part once: what chance hits afterwards depends on who is up then.
        """
        up = [target for target in self.targets if target.up]
        if not up:
            return False
        spared = [target for target in up if not self.kills[target.name]]
        if spared:
            return self._kill(self.rng.choice(spared))
        count = self.rng.randint(2, len(up)) if len(up) > 1 and self.rng.random() < TOGETHER else 1
        hits = sum(self._hit(target) for target in self.rng.sample(up, count))
        self.together += hits > 1
        return hits > 0

    def _hit(self, target: Target) -> bool:
        if self.still_s_max and self.rng.random() < STILL:
            # Short ones mostly, as a busy machine makes them; some outlast keepalives and every look of a watchdog.
            still_s = STILL_S_MIN + (self.still_s_max - STILL_S_MIN) * self.rng.random() ** 3
            hit = target.stopped(still_s)
            self.stops[target.name] += hit
            return hit
        return self._kill(target)

    def _kill(self, target: Target) -> bool:
        hit = target.killed(self.rng.random() * DOWN_S_MAX)
        self.kills[target.name] += hit
        return hit

    def tend(self, within_s: float = 0.0) -> None:
        """Bring back what has been away or still for long enough; with `within_s`, what would be by then."""
        for target in self.targets:
            target.tend(time.monotonic() + within_s)
