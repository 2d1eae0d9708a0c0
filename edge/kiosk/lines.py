"""Lines: the connections to a counter's screens, bounded in number and patience; the newest gets in, whoever holds.

The screens' own pages come back within a second or two, so that what is cut off here is never a screen for long.
"""

from __future__ import annotations

import asyncio
from typing import Any, Final

from uvicorn.protocols.http.h11_impl import H11Protocol

LINES_MAX: Final = 64
"""Connections at once; a browser takes six. One more ends the one that has waited longest with nothing asked, or else
the longest of all: a process may have 1,024 descriptors, and journal and readers need theirs."""
BACKLOG: Final = 32
"""Connections that wait in the kernel to be taken; further ones wait at their own end."""
UNSEEN_MAX: Final = 3 * BACKLOG
"""Connections beside those of LINES_MAX that have a descriptor: asyncio takes a backlog of them in each round, looks at
them in the second one behind it, and closes in the third."""
HEAD_BYTES_MAX: Final = 16 * 1024
"""Of a request's line and headers."""
LOOK_S: Final = 5.0
"""A request that still arrives at the second look after it began, and an answer of which nothing was read from one look
to the next, are hung up on."""
ARRIVING: Final = ("IDLE", "SEND_BODY")
"""h11's names of a client's states before a request is whole."""


class BoundedLine(H11Protocol):
    """See the room. What is read may take as long as it does: streams stay open."""

    opened_s = 0.0
    """On the loop's clock."""
    _arrived: Any = object()
    """The last request that a look saw arriving; None is the first one's head."""
    _held = False
    """Whether nothing could be written since the last look."""

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Take the line, and end another one where there are too many."""
        super().connection_made(transport)
        self.opened_s = self.loop.time()
        while len(self.connections) > LINES_MAX:
            self._longest().hang_up()
        self.loop.call_later(LOOK_S, self._look)

    def resume_writing(self) -> None:
        """Something was read at the other end."""
        super().resume_writing()
        self._held = False

    @property
    def asks(self) -> bool:
        """Whether a request is being answered."""
        return self.cycle is not None and not self.cycle.response_complete

    def hang_up(self) -> None:
        """End it at once, whatever is still unsent."""
        self.connections.discard(self)
        self.transport.abort()

    def _longest(self) -> BoundedLine:
        others = [one for one in self.connections if isinstance(one, BoundedLine) and one is not self]
        return min(others, key=lambda one: (one.asks, one.opened_s))

    def _look(self) -> None:
        if self not in self.connections:
            return
        arriving = repr(self.conn.their_state) in ARRIVING
        late = arriving and self.timeout_keep_alive_task is None and self._arrived is self.scope
        # What is closing waits for its last octets to be read.
        held = self.flow.write_paused or self.transport.is_closing()
        if late or (held and self._held):
            self.hang_up()
            return
        self._arrived, self._held = self.scope if arriving else self, held
        self.loop.call_later(LOOK_S, self._look)
