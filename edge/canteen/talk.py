"""The talk between counters without a socket: bytes come in and are sifted and heard, bytes to be sent come out."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import msgspec

from edge.canteen.addresses import Address, Addresses
from edge.canteen.neighbours import Neighbours, Refusal
from edge.canteen.sifting import Fault, Genuine, Sieve
from edge.canteen.telling import Telling
from protocol.served import Told
from protocol.signing import Identity, sign_message
from protocol.topics import device_topic

QUIET: Final[frozenset[Fault | Refusal]] = frozenset({"own", "copy", "old", "foreign", "past"})
"""Of these nobody is told: networks give back and double what is sent, and schools may share one. They are counted."""


@dataclass(frozen=True, slots=True)
class Taken:
    """What came of some bytes: new servings of `device`, in order; or why nothing did, in `refused`.

    `twice`: two processes run with that device's key.
    """

    device: str = ""
    told: Sequence[Told] = ()
    twice: bool = False
    refused: Fault | Refusal | None = None


@dataclass(frozen=True, slots=True)
class Saying:
    """A signed word to be sent to all addresses; by the broker too where it tells something, or somebody needs it."""

    octets: bytes
    by_broker: bool


class Talk:
    """Pure; times are ms of CLOCK_BOOTTIME, passed in. Not for two threads at once."""

    def __init__(self, school: str, device: str, run: str, identity: Identity, peers: Sequence[Address] = ()) -> None:
        """We are `device` of `school`, in a process whose journal is `run`."""
        self.topic = device_topic(school, device, "served")
        self.addresses = Addresses(peers)
        self.refused: Counter[Fault | Refusal] = Counter()
        self.twice = 0
        self._identity = identity
        self._telling = Telling()
        self._neighbours = Neighbours(device, run, self._telling)
        self._sieve = Sieve(school, device)
        self._keys: dict[str, str] = {}

    def know(self, keys: Mapping[str, str]) -> None:
        """The counters' sheet names these, device -> public key, without us."""
        if keys != self._keys:
            self._keys = dict(keys)
            self._neighbours.know(keys)
            self.addresses.keep(keys)

    def said(self, told: Told) -> bool:
        """One of our stations served, or took back; False where that was told already."""
        return self._telling.add(told)

    def take(self, octets: bytes, source: Address | None, now_ms: int) -> Taken:
        """Hear what came from an address, or by the broker (None). Never raises for what anybody may send."""
        trusted = source is None or self.addresses.trusted(source)
        found = self._sieve.sift(octets, self._keys, source and source[0], now_ms, trusted=trusted)
        if not isinstance(found, Genuine):
            self.refused[found] += 1
            return Taken(refused=found)
        hearing = self._neighbours.hear(found.device, found.word, now_ms, direct=source is not None)
        if hearing.refused is not None:
            self.refused[hearing.refused] += 1
            return Taken(found.device, refused=hearing.refused)
        self.twice += hearing.twice
        if source is not None:
            self.addresses.came(found.device, source, now_ms, proven=hearing.proven)
        return Taken(found.device, hearing.told, twice=hearing.twice)

    def due_ms(self, now_ms: int) -> int | None:
        """When `say` has something to say; None where no other counter is known."""
        return self._neighbours.due_ms(now_ms)

    def say(self, now_ms: int) -> list[Saying]:
        """What is due, signed; to be asked again until `due_ms` lies ahead."""
        needed = self._neighbours.needs_broker(now_ms)
        return [
            Saying(sign_message(self._identity, self.topic, msgspec.json.encode(word)), needed or bool(word.told))
            for word in self._neighbours.say(now_ms)
        ]

    def heard_until(self) -> dict[str, int]:
        """See Neighbours.heard_until."""
        return self._neighbours.heard_until()
