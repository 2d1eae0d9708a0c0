"""The end of a service's process: asked for by SIGTERM or SIGINT, once or often, at any moment; clean, and bounded."""

from __future__ import annotations

import os
import select
import signal
import threading
import time
from contextlib import suppress
from typing import Final

END_AT_MOST_S: Final = 2.6
"""From the first signal to the end of the process, whatever hangs (a write to a dying card takes seconds)."""


class Ending:
    """Made on the main thread, first of all. What is recorded is durable, so an end by force loses nothing.

    A handler runs between any two instructions of the main thread, also within another handler or an Event's lock;
    so it only writes to a pipe, and whoever waits reads from there.
    """

    def __init__(self) -> None:
        """Take over the signals."""
        self.asked = False
        self._out, self._in = os.pipe2(os.O_CLOEXEC | os.O_NONBLOCK)
        self._alarm_out, self._alarm_in = os.pipe2(os.O_CLOEXEC)
        threading.Thread(target=self._bound, name="ending", daemon=True).start()
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, self._hear)
        # The kernel may give a signal to any thread (it does where the main one has another pending); the handler
        # then runs only once the main thread wakes, and this byte wakes it.
        signal.set_wakeup_fd(self._in, warn_on_full_buffer=False)

    def _hear(self, _number: int, _frame: object) -> None:
        if not self.asked:
            self.asked = True
            os.write(self._alarm_in, b".")
        self.poke()

    def poke(self) -> None:
        """Let `wait` return; from any thread."""
        with suppress(BlockingIOError):
            os.write(self._in, b".")

    def wait(self, timeout_s: float | None = None) -> None:
        """Return when an end is asked for, at a `poke`, or after `timeout_s`."""
        if self.asked:
            return
        readable, _, _ = select.select([self._out], [], [], timeout_s)
        if readable:
            with suppress(BlockingIOError):
                os.read(self._out, 4096)

    def _bound(self) -> None:
        """On its own thread: end the process when an orderly end takes too long."""
        os.read(self._alarm_out, 1)
        time.sleep(END_AT_MOST_S)
        os._exit(0)
