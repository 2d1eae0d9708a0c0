"""The school's network as counters use it among themselves: datagrams that may be lost, doubled, or have no way."""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Callable, Collection, Iterable
from random import Random
from typing import Final

from edge.canteen.addresses import Address
from sim.world.loop import MS, Loop

LATENCY_NS: Final = (MS // 5, 4 * MS)
"""Of a datagram in a school's network."""
PORT: Final = 8078
QUEUE_MAX: Final = 256
"""Datagrams that wait to be read; what comes beyond is dropped, as a kernel drops it."""


class Lan:
    """See the room. `lose` and `double` are shares of 1; `down`: how many faults leave no way between any two."""

    def __init__(self, loop: Loop, rng: Random, count: Callable[[str], None]) -> None:
        """Everybody reaches everybody."""
        self._loop, self._rng, self._count = loop, rng, count
        self._ports: dict[Address, Port] = {}
        self.lose = self.double = 0.0
        self.down = 0
        self.alone: Counter[str] = Counter()
        """Hosts that no way leads to or from, and how many faults say so."""

    def open(self, listen: Address, woken: Callable[[], None]) -> Port:
        """A host's port; one that its last process left open is taken over."""
        port = self._ports[listen] = Port(self, listen, woken)
        return port

    def closed(self, port: Port) -> None:
        """Nobody listens there any more."""
        if self._ports.get(port.address) is port:
            del self._ports[port.address]

    def passes(self, one: str, other: str) -> bool:
        """Whether there is any way between two hosts, be it a bad one."""
        return not (self.down or self.alone[one] or self.alone[other])

    def clear(self, one: str, other: str) -> bool:
        """Whether everything arrives between two hosts."""
        return self.passes(one, other) and not self.lose

    def send(self, octets: bytes, source: Address, target: Address) -> None:
        """One datagram."""
        if not self.passes(source[0], target[0]) or (self.lose and self._rng.random() < self.lose):
            self._count("word lost between counters")
            return
        times = 1
        if self.double and self._rng.random() < self.double:
            self._count("word doubled between counters")
            times = 2
        for _ in range(times):
            wait_ns = LATENCY_NS[0] + int(self._rng.random() * (LATENCY_NS[1] - LATENCY_NS[0]))
            self._loop.after(wait_ns, lambda: self._arrive(octets, source, target))

    def _arrive(self, octets: bytes, source: Address, target: Address) -> None:
        port = self._ports.get(target)
        if port is not None:
            port.arrive(octets, source)


class Port:
    """A host's open port: what edge.canteen.lan.Lan is to the product."""

    def __init__(self, lan: Lan, address: Address, woken: Callable[[], None]) -> None:
        """Nothing came yet."""
        self._lan, self.address, self._woken = lan, address, woken
        self._came: deque[tuple[bytes, Address]] = deque()

    def arrive(self, octets: bytes, source: Address) -> None:
        """A datagram is here."""
        if len(self._came) < QUEUE_MAX:
            self._came.append((octets, source))
        self._woken()

    def close(self) -> None:
        """See edge.canteen.lan.Lan.close."""
        self._lan.closed(self)

    def descriptors(self) -> list[int]:
        """Nobody waits on it here."""
        return []

    def keep_near(self, answered: Collection[Address]) -> None:
        """Nobody floods it here."""

    def read(self, each: int) -> tuple[list[tuple[bytes, Address]], bool]:
        """See edge.canteen.lan.Lan.read."""
        came = [self._came.popleft() for _ in range(min(each, len(self._came)))]
        return came, bool(self._came)

    def send(self, octets: bytes, addresses: Iterable[Address]) -> int:
        """See edge.canteen.lan.Lan.send."""
        taken = 0
        for address in addresses:
            if address != self.address:
                self._lan.send(octets, self.address, address)
                taken += 1
        return taken
