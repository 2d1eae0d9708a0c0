"""The school's network as counters use it: datagrams on one UDP port, and broadcasts so that they find each other."""

from __future__ import annotations

import fcntl
import logging
import socket
import struct
from collections.abc import Collection, Iterable
from contextlib import suppress
from typing import Final

from edge.canteen.addresses import Address
from edge.canteen.sifting import SIGNED_BYTES_MAX

log = logging.getLogger("k12edge.counters")

ANYWHERE: Final = "0.0.0.0"
"""What a person writes who wants counters to find each other."""
NEAR_MAX: Final = 64
"""Sockets of their own for counters that answered; a sheet names as many at most."""
RECEIVE_BYTES: Final = 256 * 1024
"""Of the kernel's for datagrams not read yet; it gives what net.core.rmem_max allows."""
SIOCGIFFLAGS: Final = 0x8913
SIOCGIFBRDADDR: Final = 0x8919
"""linux/sockios.h; answers are a name of 16 bytes and then a number or an address (netdevice(7))."""
IFF_UP: Final = 0x1
IFF_BROADCAST: Final = 0x2
IFF_LOOPBACK: Final = 0x8


class Lan:
    """An open port. A counter that answered has a socket of its own there, so that no flood of others fills it."""

    def __init__(self, listen: Address) -> None:
        """Bind it; raises OSError. Bound to one address it hears no broadcast, so it says none either."""
        self._socket = _opened()
        try:
            self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_BROADCAST, 1)
            self._socket.bind(listen)
            # Only now: so a second gateway on this port is refused, and our own sockets beside this one are not.
            self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        except OSError:
            self._socket.close()
            raise
        self.address: Address = self._socket.getsockname()
        self._discovers = listen[0] == ANYWHERE
        self._near: dict[Address, socket.socket] = {}

    def close(self) -> None:
        """Close every socket."""
        for one in (self._socket, *self._near.values()):
            one.close()
        self._near.clear()

    def descriptors(self) -> list[int]:
        """What to wait on."""
        return [self._socket.fileno(), *(one.fileno() for one in self._near.values())]

    def keep_near(self, answered: Collection[Address]) -> None:
        """Give each of these a socket of its own, and take back those of others."""
        for gone in self._near.keys() - set(answered):
            self._near.pop(gone).close()
        for address in answered:
            if address in self._near or len(self._near) >= NEAR_MAX:
                continue
            one = _opened()
            try:
                one.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
                one.bind(self.address)
                one.connect(address)
            except OSError as problem:
                # Its words come by the common socket as before.
                log.debug("no socket for %s: %s", address, problem)
                one.close()
                continue
            self._near[address] = one

    def read(self, each: int) -> tuple[list[tuple[bytes, Address]], bool]:
        """What came, at most `each` of every socket; and whether one of them may have more."""
        came: list[tuple[bytes, Address]] = []
        more = False
        for one in (*self._near.values(), self._socket):
            for count in range(each):
                try:
                    came.append(one.recvfrom(SIGNED_BYTES_MAX + 1))
                except OSError:
                    # Nothing more, or a counter whose port is closed said so.
                    break
                more |= count == each - 1
        return came, more

    def send(self, octets: bytes, addresses: Iterable[Address]) -> int:
        """Send to each, and to all where counters find each other; how often the network took it. Never waits."""
        taken = 0
        for address in (*addresses, *(self._broadcasts() if self._discovers else ())):
            with suppress(OSError):
                self._socket.sendto(octets, address)
                taken += 1
        return taken

    def _broadcasts(self) -> list[Address]:
        """The broadcast address of each network that we are in now; the one for all of them needs a route."""
        found = []
        for _, name in socket.if_nameindex():
            with suppress(OSError):
                asked = struct.pack("256s", name.encode()[:15])
                flags = struct.unpack("H", fcntl.ioctl(self._socket, SIOCGIFFLAGS, asked)[16:18])[0]
                if flags & IFF_UP and flags & IFF_BROADCAST and not flags & IFF_LOOPBACK:
                    answer = fcntl.ioctl(self._socket, SIOCGIFBRDADDR, asked)
                    found.append((socket.inet_ntoa(answer[20:24]), self.address[1]))
        return found


def _opened() -> socket.socket:
    made = socket.socket(socket.AF_INET, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC)
    made.setblocking(False)
    made.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, RECEIVE_BYTES)
    return made
