"""The web server: pages and API on a listening socket, its libraries loaded on its own thread."""

from __future__ import annotations

import logging
import socket
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from protocol.errors import K12EdgeError

if TYPE_CHECKING:
    from hub.parts import Store
    from hub.tls import Certificates
    from hub.web.pulse import Pulse
    from hub.web.status import Status

log = logging.getLogger("k12edge.web")

REFRESH_TICKS = 36_000
"""Ten a second: once an hour."""


class WebServer:
    """Pages and API on their own thread; its libraries are loaded there, when records can be taken already."""

    def __init__(
        self,
        listener: socket.socket,
        store: Store,
        status: Status,
        wake: Callable[[], None],
        certificates: Certificates | None = None,
    ) -> None:
        """Nothing is loaded yet. With `certificates` it speaks TLS only."""
        self._certificates = certificates
        self._listener, self._store, self._status, self._wake = listener, store, status, wake
        self._stopping = False
        self._server: Any = None
        self._pulse: Pulse | None = None
        self.progress: int | None = None
        """Ticks of the server's loop, None while its libraries are loaded: the watchdog's pulse."""

    def run(self) -> None:
        """Serve until `stop`."""
        import uvicorn

        from hub.web.lines import BoundedProtocol
        from hub.web.site import make_app

        certificates, clock = self._certificates, self._store.clock
        app = make_app(self._store, self._status, self._wake, certificates)
        self._pulse = app.state.pulse
        config = uvicorn.Config(
            app,
            http=BoundedProtocol,
            log_level="warning",
            access_log=False,
            server_header=False,
            timeout_graceful_shutdown=1,
        )
        if certificates is not None:
            context = certificates.context(clock.now_ms())
            config.ssl_context_factory = lambda _config, _default: context
        self._server = server = uvicorn.Server(config)
        tick = server.on_tick

        async def ticked(counter: int) -> bool:
            self.progress = counter
            if certificates is not None and counter % REFRESH_TICKS == REFRESH_TICKS - 1:
                try:
                    certificates.refresh(clock.now_ms())
                except (K12EdgeError, OSError) as problem:
                    log.warning("the certificate could not be renewed: %s", problem)
            return await tick(counter)

        server.on_tick = ticked  # type: ignore[method-assign]  # Called by its loop ten times a second.
        self._server.should_exit = self._stopping
        if not self._stopping:
            self._server.run(sockets=[self._listener])

    def streams(self) -> int:
        """How many streams are open."""
        return 0 if self._pulse is None else self._pulse.open

    def stop(self) -> None:
        """End `run` soon."""
        self._stopping = True
        if self._pulse is not None:
            self._pulse.stop()
        if self._server is not None:
            self._server.should_exit = True
