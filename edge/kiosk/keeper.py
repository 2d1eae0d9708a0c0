"""The kiosk kept running: the screens' server on a thread of the gateway, begun again whenever it fails.

Its libraries are loaded on that thread, when taps can be taken already. Whatever fails here is told in the log; the
gateway goes on, and light and buzzer say everything that a screen would.
"""

from __future__ import annotations

import logging
import secrets
import socket
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any, Final

from edge.canteen.ports import Counter
from protocol.errors import ConfigError
from protocol.settings import is_loopback, parse_listen

if TYPE_CHECKING:
    from edge.kiosk.streams import Streams

log = logging.getLogger("k12edge.kiosk")

AGAIN_S: Final = 2.0
"""Between two attempts to serve: after a port that another program has, or a fault of ours."""
WORKERS: Final = 4
"""Threads for looks, and as many for acts: an act that waits for a slow commit holds up no screen."""


class Kiosk:
    """See the room: `run` on a thread of its own, `stop` from any."""

    def __init__(self, counter: Counter, listen: str, mono_ms: Callable[[], int], pupil: str = "con") -> None:
        """`listen`: HOST:PORT on this machine; `mono_ms` of CLOCK_BOOTTIME; `pupil`: how staff speak to pupils.

        Nothing is opened or loaded yet. Raises ConfigError for an address that others can reach.
        """
        host, port = parse_listen(listen)
        if not is_loopback(host):
            raise ConfigError(f"[kiosk]: listen = {listen!r} is no address of this machine alone, and names are shown")
        self._address = "127.0.0.1" if host == "localhost" else host, port
        self._counter, self._mono_ms, self._pupil = counter, mono_ms, pupil
        self._stopping = threading.Event()
        self._server: Any = None
        self._streams: Streams | None = None
        self.port: int | None = None
        """The port listened on, once it is."""
        self.ready = threading.Event()
        """Set while pages are answered."""

    def run(self) -> None:
        """Serve until `stop`; never raises."""
        while not self._stopping.is_set():
            try:
                self._serve()
            except (Exception, SystemExit):
                # A server that can't start may ask for the end of its process; it is ours too.
                log.exception("kiosk-failed: the screens can't be served now; taps, light and buzzer go on")
            self.ready.clear()
            self._stopping.wait(AGAIN_S)

    def stop(self) -> None:
        """End `run` soon."""
        self._stopping.set()
        if self._streams is not None:
            self._streams.stop()
        if self._server is not None:
            self._server.should_exit = True

    def _serve(self) -> None:
        from edge.kiosk.screens import StationScreens
        from edge.kiosk.server import Site, make_server
        from edge.kiosk.streams import Streams

        family = socket.AF_INET6 if ":" in self._address[0] else socket.AF_INET
        with (
            socket.socket(family, socket.SOCK_STREAM) as listener,
            ThreadPoolExecutor(WORKERS, "kiosk") as workers,
            ThreadPoolExecutor(WORKERS, "kiosk-acts") as acts,
        ):
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            listener.bind(self._address)
            listener.listen()
            self.port = listener.getsockname()[1]
            screens = {
                station: StationScreens(self._counter, station, self._mono_ms, self._pupil)
                for station in self._counter.stations()
            }
            run = secrets.token_hex(8)
            self._streams = streams = Streams(screens, workers, run)
            site = Site(screens, streams, secrets.token_urlsafe(24), run, self._pupil, workers, acts)
            self._server = server = make_server(site, self.port)
            server.should_exit = self._stopping.is_set()
            ended = self._counter.listen(streams.changed)
            try:
                log.info("the counter's screens: http://%s:%d/", self._address[0], self.port)
                self.ready.set()
                server.run(sockets=[listener])
            finally:
                ended()
                for threads in (workers, acts):
                    # What nobody waits for any more isn't made.
                    threads.shutdown(wait=False, cancel_futures=True)
