"""The addresses: where other counters may be reached on the network of the school, as configured and as they came."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Final

Address = tuple[str, int]
"""IPv4 address and port."""

UNPROVEN_MS: Final = 3_000
"""A genuine word from an address may be a recording that somebody sends: it is answered for this long, and no longer
unless the answer was named."""
PROVEN_MS: Final = 3_600_000
"""An address that answered stays for an hour of silence, for a counter that comes back without having our name."""


class Addresses:
    """Pure. Of each counter the last that answered and the last that only spoke; and those of the configuration."""

    def __init__(self, peers: Iterable[Address]) -> None:
        """`peers` are asked always; whoever is there must prove itself like everybody."""
        self._peers = tuple(peers)
        self._proven: dict[str, tuple[Address, int]] = {}
        self._spoke: dict[str, tuple[Address, int]] = {}

    def came(self, device: str, address: Address, now_ms: int, *, proven: bool) -> None:
        """A genuine word of the counter came from there; `proven`: it named a young word of ours."""
        (self._proven if proven else self._spoke)[device] = address, now_ms

    def keep(self, devices: Iterable[str]) -> None:
        """Forget all other counters."""
        wanted = set(devices)
        self._proven = {device: found for device, found in self._proven.items() if device in wanted}
        self._spoke = {device: found for device, found in self._spoke.items() if device in wanted}

    def trusted(self, address: Address) -> bool:
        """Whether a counter answered from there, or somebody wrote it down: no stranger takes its share of our time."""
        return address in self._peers or any(address == known for known, _ in self._proven.values())

    def answered(self) -> Sequence[Address]:
        """Where each counter answered from last."""
        return tuple(address for address, _ in self._proven.values())

    def all(self, now_ms: int) -> Sequence[Address]:
        """Where a word is to be sent, each address once."""
        proven = [address for address, at_ms in self._proven.values() if now_ms - at_ms < PROVEN_MS]
        spoke = [address for address, at_ms in self._spoke.values() if now_ms - at_ms < UNPROVEN_MS]
        return tuple(dict.fromkeys((*self._peers, *proven, *spoke)))
