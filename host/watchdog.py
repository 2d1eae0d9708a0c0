"""The watchdog: tied to progress. It tells systemd that all threads move, and ends the process when one hangs."""

from __future__ import annotations

import logging
import os
import socket
import threading
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from typing import Final

log = logging.getLogger("k12edge.watchdog")

LOOK_S: Final = 1.0
LAST_WORD_S: Final = 1.0
WAITS_ROOM_US: Final = 30_000_000
HUNG_EXIT: Final = 70
"""The exit code after a hang (EX_SOFTWARE of sysexits.h); systemd starts the service again."""


@dataclass(slots=True)
class Watched:
    """A thread: `progress` gives a value that changes as it works, None while it has nothing to do."""

    name: str
    progress: Callable[[], object | None]
    patience_looks: int
    seen: object | None = None
    still_looks: int = 0


class Watchdog:
    """Counts looks, not seconds: a machine that slept, or a stopped process, has not hung."""

    def __init__(self, on_hang: Callable[[str], None] | None = None) -> None:
        """`on_hang(name)` instead of ending the process, for tests."""
        self._watched: list[Watched] = []
        self._on_hang = on_hang or _end

    def watch(self, name: str, progress: Callable[[], object | None], patience_s: int) -> None:
        """Expect `progress` to change within `patience_s`, unless it is None."""
        self._watched.append(Watched(name, progress, int(patience_s / LOOK_S)))

    def look(self) -> str | None:
        """The name of a thread that hangs, or None."""
        for watched in self._watched:
            value = watched.progress()
            if value is None or value != watched.seen:
                watched.seen, watched.still_looks = value, 0
                continue
            watched.still_looks += 1
            if watched.still_looks > watched.patience_looks:
                return watched.name
        return None

    def run(self, stop: threading.Event) -> None:
        """Look until `stop`."""
        while not stop.wait(LOOK_S):
            hung = self.look()
            if hung is not None:
                self._on_hang(hung)
                return
            notify("WATCHDOG=1")


def notify(state: str) -> None:
    """Tell systemd (sd_notify(3)); nothing happens where it didn't start us."""
    address = os.environ.get("NOTIFY_SOCKET")
    if not address:
        return
    if address.startswith("@"):
        address = "\0" + address[1:]
    with suppress(OSError), socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC) as line:
        line.connect(address)
        line.send(state.encode("ascii"))


def waits(for_s: float) -> None:
    """Tell systemd that the process waits on purpose (for a disk, say), and will be heard of within `for_s`."""
    notify(f"EXTEND_TIMEOUT_USEC={int(for_s * 1_000_000) + WAITS_ROOM_US}\nWATCHDOG=1")


def _end(name: str) -> None:
    """Leave at once: what is recorded is durable, and a hung thread can't be joined."""
    # The log itself may be what hangs: a terminal or pipe that nobody reads, held by the thread that writes to it.
    words = "%s hangs; the process ends so that it is started anew"
    telling = threading.Thread(target=log.critical, args=(words, name), daemon=True)
    try:
        telling.start()
        telling.join(LAST_WORD_S)
    finally:
        os._exit(HUNG_EXIT)
