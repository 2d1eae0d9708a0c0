"""A line for IP packets: delay, rate, a bounded queue, loss, silence, connections cut in the middle. Pure."""

from __future__ import annotations

import heapq
from dataclasses import dataclass, field
from random import Random
from typing import Final

TCP: Final = 6
FIN_SYN_RST: Final = 0x07
QUEUE_MS: Final = 1_000
"""A packet that would wait longer for its turn is dropped at the end of the queue, as routers do."""


@dataclass(frozen=True, slots=True)
class Terms:
    """How the line is now. `loss` is a share of the packets; `rate_kbit` 0 means no limit; times in ms.

    `away` (from the side of the hub) and `home`: whether packets pass in that direction at all; nobody is told when
    they don't (half-open). `cut`: share of the TCP segments with content that are replaced by a reset.
    """

    delay_ms: int = 0
    loss: float = 0.0
    rate_kbit: int = 0
    away: bool = True
    home: bool = True
    cut: float = 0.0


@dataclass(slots=True)
class Count:
    """What one direction saw: packets and bytes that arrived, packets lost, silenced, over the queue, reset."""

    packets: int = 0
    octets: int = 0
    lost: int = 0
    silenced: int = 0
    overflowed: int = 0
    reset: int = 0


@dataclass(slots=True)
class Way:
    """One direction. `take` says nothing; `due` gives what has arrived by a moment. Times are monotonic, in ms."""

    rng: Random
    count: Count = field(default_factory=Count)
    free_ms: float = 0.0
    _number: int = 0
    _under_way: list[tuple[float, int, bytes]] = field(default_factory=list)

    def take(self, packet: bytes, terms: Terms, passes: bool, now_ms: float) -> None:
        """A packet was sent into the line."""
        if not passes:
            self.count.silenced += 1
            return
        # A lost packet took its time on the line all the same.
        begins_ms = max(now_ms, self.free_ms)
        if begins_ms - now_ms > QUEUE_MS:
            self.count.overflowed += 1
            return
        self.free_ms = begins_ms + (len(packet) * 8 / terms.rate_kbit if terms.rate_kbit else 0.0)
        if terms.loss and self.rng.random() < terms.loss:
            self.count.lost += 1
            return
        if terms.cut and self.rng.random() < terms.cut:
            cut = reset_of(packet)
            if cut is not None:
                self.count.reset += 1
                packet = cut
        self._number += 1
        heapq.heappush(self._under_way, (self.free_ms + terms.delay_ms, self._number, packet))

    def due(self, now_ms: float) -> list[bytes]:
        """What has arrived by now, in order."""
        found: list[bytes] = []
        while self._under_way and self._under_way[0][0] <= now_ms:
            packet = heapq.heappop(self._under_way)[2]
            self.count.packets += 1
            self.count.octets += len(packet)
            found.append(packet)
        return found

    def next_ms(self) -> float | None:
        """When the next packet arrives, None while none is under way."""
        return self._under_way[0][0] if self._under_way else None


def reset_of(packet: bytes) -> bytes | None:
    """The reset that a router or a dying peer would send in place of a TCP segment with content; None for others.

    IPv4 without options is taken (RFC 791); the reset has the segment's own sequence number, so that the receiver
    believes it (RFC 9293, 3.10.7.4). The sender learns when it sends again.
    """
    if len(packet) < 40 or packet[0] != 0x45 or packet[9] != TCP:
        return None
    begin = 20 + (packet[32] >> 4) * 4
    if packet[33] & FIN_SYN_RST or len(packet) <= begin:
        return None
    ip = bytearray(packet[:20])
    ip[2:4] = (40).to_bytes(2, "big")
    ip[10:12] = b"\0\0"
    ip[10:12] = _checksum(bytes(ip)).to_bytes(2, "big")
    tcp = bytearray(packet[20:40])
    tcp[12], tcp[13] = 5 << 4, 0x14
    tcp[14:20] = b"\0" * 6
    pseudo = bytes(ip[12:20]) + bytes((0, TCP)) + (20).to_bytes(2, "big")
    tcp[16:18] = _checksum(pseudo + bytes(tcp)).to_bytes(2, "big")
    return bytes(ip + tcp)


def _checksum(octets: bytes) -> int:
    total = sum(int.from_bytes(octets[at : at + 2], "big") for at in range(0, len(octets), 2))
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return ~total & 0xFFFF
