"""The web server: pages and API on a listening socket, its libraries loaded on its own thread."""

from __future__ import annotations

import socket
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from hub.parts import Store
    from hub.web.status import Status


class WebServer:
    """Pages and API on their own thread; its libraries are loaded there, when records can be taken already."""

    def __init__(self, listener: socket.socket, store: Store, status: Status, wake: Callable[[], None]) -> None:
        """Nothing is loaded yet."""
        self._listener, self._store, self._status, self._wake = listener, store, status, wake
        self._stopping = False
        self._server: Any = None
        self.progress: int | None = None
        """Ticks of the server's loop, None while its libraries are loaded: the watchdog's pulse."""

    def run(self) -> None:
        """Serve until `stop`."""
        import uvicorn

        from hub.web.api import make_app

        app = make_app(self._store, self._status, self._wake)
        config = uvicorn.Config(
            app, log_level="warning", access_log=False, server_header=False, timeout_graceful_shutdown=1
        )
        self._server = server = uvicorn.Server(config)
        tick = server.on_tick

        async def ticked(counter: int) -> bool:
            self.progress = counter
            return await tick(counter)

        server.on_tick = ticked  # type: ignore[method-assign]  # Called by its loop ten times a second.
        self._server.should_exit = self._stopping
        if not self._stopping:
            self._server.run(sockets=[self._listener])

    def stop(self) -> None:
        """End `run` soon."""
        self._stopping = True
        if self._server is not None:
            self._server.should_exit = True
