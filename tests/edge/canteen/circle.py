"""A circle of counters that talk over a network of the test's: lossy, slow, cut, with recordings; no socket."""

from __future__ import annotations

import heapq
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from random import Random

from edge.canteen.addresses import Address
from edge.canteen.neighbours import HEARD_MS
from edge.canteen.talk import Talk
from protocol.served import Told
from protocol.signing import Identity

SCHOOL = "79000701"
NAMES = ("quay-a", "quay-b", "quay-c", "quay-d")
IDENTITIES = {name: Identity(bytes([at]) * 32, bytes([at + 100]) * 32) for at, name in enumerate(NAMES)}
ADDRESSES: dict[str, Address] = {name: (f"10.0.0.{at + 1}", 7914) for at, name in enumerate(NAMES)}


def boottime_ms() -> int:
    return time.clock_gettime_ns(time.CLOCK_BOOTTIME) // 1_000_000


def keys_but(name: str) -> dict[str, str]:
    return {other: one.key for other, one in IDENTITIES.items() if other != name}


def told(tap: str, day: str = "2026-11-23", *, taken_back: bool = False) -> Told:
    return Told(1, tap, "hk1:sNZBLYvYFfc", "st-5f0c2b7e", day, "lunch", taken_back, 1)


@dataclass
class Counter:
    """One counter: its clock runs `ahead_ms` of the test's. `heard`: device -> what was handed on, newest run last."""

    name: str
    ahead_ms: int
    talk: Talk
    run: str
    said: list[str] = field(default_factory=list)
    heard: dict[str, list[Told]] = field(default_factory=dict)


@dataclass
class Circle:
    """`loss`, `twice`: shares of datagrams; `delay_ms`: at most, drawn for each, so they overtake each other.

    `direct`, `broker`: which ways carry words now.
    """

    rng: Random
    loss: float = 0.0
    twice: float = 0.0
    delay_ms: int = 2
    names: tuple[str, ...] = NAMES
    direct: bool = True
    broker: bool = False
    now_ms: int = 1_000
    cut: set[str] = field(default_factory=set)
    counters: dict[str, Counter] = field(default_factory=dict)
    sent: list[tuple[str, bytes]] = field(default_factory=list)
    by_broker: list[tuple[str, bool]] = field(default_factory=list)
    watch: Callable[[], None] = lambda: None
    _flying: list[tuple[int, int, Address | None, str, bytes]] = field(default_factory=list)
    _runs: int = 0
    _sent: int = 0

    def __post_init__(self) -> None:
        for name in self.names:
            self.start(name)

    def start(self, name: str) -> Counter:
        """A new process of this counter; it tells its servings of the day again, and knows nothing of others."""
        before = self.counters.get(name)
        self._runs += 1
        run = f"{self._runs:016x}"
        peers = [ADDRESSES[other] for other in self.names if other != name]
        talk = Talk(SCHOOL, name, run, IDENTITIES[name], peers)
        talk.know({other: key for other, key in keys_but(name).items() if other in self.names})
        made = Counter(name, self.rng.randrange(10**9) if before is None else before.ahead_ms, talk, run)
        self.counters[name] = made
        for tap in () if before is None else before.said:
            self.say(name, tap)
        return made

    def say(self, name: str, tap: str) -> None:
        one = self.counters[name]
        one.said.append(tap)
        one.talk.said(told(tap))

    def heard_at(self, name: str) -> set[str]:
        """Who is heard there now."""
        one = self.counters[name]
        until = one.talk.heard_until()
        return {device for device, at_ms in until.items() if at_ms > self.now_ms + one.ahead_ms}

    def put(self, name: str, octets: bytes, source: Address | None) -> None:
        """Hand bytes to a counter at once."""
        one = self.counters[name]
        taken = one.talk.take(octets, source, self.now_ms + one.ahead_ms)
        if taken.told:
            one.heard.setdefault(taken.device, []).extend(taken.told)

    def run(self, for_ms: int, until: Callable[[], bool] = lambda: False) -> int:
        """Let time pass, to `until` at the longest; how much passed."""
        began_ms = self.now_ms
        while self.now_ms < began_ms + for_ms and not until():
            self._speak()
            due = [one.talk.due_ms(self.now_ms + one.ahead_ms) for one in self.counters.values()]
            ahead = [one.ahead_ms for one in self.counters.values()]
            next_ms = min(at - off for at, off in zip(due, ahead, strict=True) if at is not None)
            if self._flying:
                next_ms = min(next_ms, self._flying[0][0])
            self.now_ms = min(began_ms + for_ms, max(self.now_ms + 1, next_ms))
            while self._flying and self._flying[0][0] <= self.now_ms:
                _, _, source, name, octets = heapq.heappop(self._flying)
                self.put(name, octets, source)
            self.watch()
        return self.now_ms - began_ms

    def _speak(self) -> None:
        for one in self.counters.values():
            now_ms = self.now_ms + one.ahead_ms
            while (due_ms := one.talk.due_ms(now_ms)) is not None and due_ms <= now_ms:
                for saying in one.talk.say(now_ms):
                    self.sent.append((one.name, saying.octets))
                    self.by_broker.append((one.name, saying.by_broker))
                    if self.direct:
                        self._send(one.name, saying.octets, ADDRESSES[one.name])
                    if self.broker and saying.by_broker:
                        self._send(one.name, saying.octets, None)

    def _send(self, sender: str, octets: bytes, source: Address | None) -> None:
        for name in self.names:
            for _ in range(1 + (self.rng.random() < self.twice)):
                if name == sender or self.rng.random() < self.loss or {name, sender} & self.cut:
                    continue
                at_ms = self.now_ms + 1 + self.rng.randrange(self.delay_ms)
                self._sent += 1
                heapq.heappush(self._flying, (at_ms, self._sent, source, name, octets))

    def settled(self) -> bool:
        """Whether everybody knows all that everybody said, of the processes that run now."""
        return all(
            [one.tap for one in mine.heard.get(other.name, [])][-len(other.said) :] == other.said or not other.said
            for mine in self.counters.values()
            for other in self.counters.values()
            if other is not mine
        )

    def meet(self) -> None:
        """Let all of them hear each other."""
        self.run(HEARD_MS, lambda: all(len(self.heard_at(name)) == len(self.names) - 1 for name in self.names))
