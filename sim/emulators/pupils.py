"""Pupils at readers: each holds the card to the reader until the station signals, then makes room for the next."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from pathlib import Path
from random import Random

import msgspec

from sim.emulators.pn532 import FieldCard, Pn532Emulator

ANSWERS = ("accepted", "repeated", "refused")


class Shown(msgspec.Struct, frozen=True):
    """A signal as a gateway's jsonl sink wrote it."""

    signal: str
    tap: str | None
    station: str | None
    card: str | None
    mono_ms: int


class SignalTail:
    """Follows a gateway's jsonl sink, also over the gateway's restarts."""

    def __init__(self, path: Path) -> None:
        """The file may appear later."""
        self.path = path
        self._at = 0
        self._rest = b""

    def read(self) -> list[Shown]:
        """The signals written since the last look."""
        try:
            with self.path.open("rb") as file:
                file.seek(self._at)
                octets = file.read()
        except FileNotFoundError:
            return []
        self._at += len(octets)
        *lines, self._rest = (self._rest + octets).split(b"\n")
        return [msgspec.json.decode(line, type=Shown) for line in lines if line]


@dataclass(slots=True)
class Queue:
    """The pupils before one reader. `held_s` is when the present card came into the field."""

    station: str
    reader: Pn532Emulator
    waiting: deque[bytes] = field(default_factory=deque)
    present: bytes | None = None
    next_s: float = 0.0


class Crowd:
    """All queues of a phase. `step` moves everybody on; times are of the monotonic clock."""

    def __init__(self, readers: dict[str, Pn532Emulator], rng: Random, gap_s: float) -> None:
        """`gap_s` passes on average between a signal and the next pupil's card."""
        self._queues = {station: Queue(station, reader) for station, reader in readers.items()}
        self._rng, self._gap_s = rng, gap_s
        self.answered = 0
        self.waited_s: list[float] = []
        self._placed_s: dict[str, float] = {}

    def line_up(self, stations: Iterable[str], uids: Iterable[bytes]) -> None:
        """Spread the pupils over these stations."""
        queues = [self._queues[station] for station in stations]
        for number, uid in enumerate(uids):
            queues[number % len(queues)].waiting.append(uid)

    def left(self) -> int:
        """How many haven't been answered."""
        return sum(len(queue.waiting) + (queue.present is not None) for queue in self._queues.values())

    def step(self, shown: Iterable[Shown]) -> None:
        """Take the signals in, and let the next pupils come."""
        now_s = time.monotonic()
        for signal in shown:
            queue = self._queues.get(signal.station or "")
            if queue is not None and queue.present is not None and signal.signal in ANSWERS:
                queue.reader.remove()
                queue.present = None
                queue.next_s = now_s + self._gap_s * (0.5 + self._rng.random())
                self.answered += 1
                self.waited_s.append(now_s - self._placed_s[queue.station])
        for queue in self._queues.values():
            if queue.present is None and queue.waiting and now_s >= queue.next_s:
                queue.present = queue.waiting.popleft()
                queue.reader.place(FieldCard(queue.present))
                self._placed_s[queue.station] = now_s

    def run(self, tails: Iterable[SignalTail], on_step: Callable[[], None], deadline_s: float) -> bool:
        """Until everybody is answered; False when the deadline of the monotonic clock came first."""
        followed = list(tails)
        while self.left():
            if time.monotonic() > deadline_s:
                return False
            self.step([shown for tail in followed for shown in tail.read()])
            on_step()
            time.sleep(0.004)
        return True
