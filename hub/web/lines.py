"""Lines: the connections to the pages, bounded in number and patience: nobody's silence takes the last descriptor."""

from __future__ import annotations

import asyncio
from typing import Any, Final

from uvicorn.protocols.http.h11_impl import H11Protocol

from protocol.settings import is_loopback

LINES_MAX: Final = 512
"""At once; a process may have 1,024 descriptors, and the ledger and the broker need theirs."""
LINES_EACH_MAX: Final = 64
"""Of one other machine; a browser takes six, a proxy is on this machine."""
LOOK_S: Final = 30.0
"""A request that is still arriving at the second look after it began is hung up on."""
ARRIVING: Final = ("IDLE", "SEND_BODY")
"""h11's names of a client's states before a request is whole."""


class BoundedProtocol(H11Protocol):
    """See the room. What is answered may take as long as it does: streams stay open."""

    _arrived: Any = object()
    """The last request that a look saw arriving; None is the first one's head."""

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Take the line, or hang up where there are too many."""
        super().connection_made(transport)
        if len(self.connections) > LINES_MAX or self._too_many_of_this_machine():
            transport.abort()
            return
        self.loop.call_later(LOOK_S, self._look)

    def _too_many_of_this_machine(self) -> bool:
        if self.client is None or is_loopback(self.client[0]):
            return False
        hosts = [getattr(one, "client", None) for one in self.connections]
        mine = [client for client in hosts if client is not None and client[0] == self.client[0]]
        return len(mine) > LINES_EACH_MAX

    def _look(self) -> None:
        if self.transport.is_closing():
            return
        arriving = repr(self.conn.their_state) in ARRIVING
        # Between two looks at one request that is arriving there was a whole span for it.
        if arriving and self.timeout_keep_alive_task is None and self._arrived is self.scope:
            self.transport.abort()
            return
        self._arrived = self.scope if arriving else self
        self.loop.call_later(LOOK_S, self._look)
