"""A bench of emulated readers: one thread drives them all, waking only for bytes and for answers that fall due."""

from __future__ import annotations

import os
import select
import threading
import time
from collections.abc import Callable
from pathlib import Path
from types import TracebackType

from sim.emulators.pn532 import Pn532Emulator


class Bench:
    """Owns the emulators' thread. Changes to an emulator's plug go through `do`, which runs on that thread."""

    def __init__(self) -> None:
        """An empty bench, running."""
        self.emulators: list[Pn532Emulator] = []
        self._wake_out, self._wake_in = os.pipe()
        os.set_blocking(self._wake_in, False)
        self._jobs: list[tuple[Callable[[], None], threading.Event]] = []
        self._lock = threading.Lock()
        self._stopping = False
        self._thread = threading.Thread(target=self._run, name="reader-bench", daemon=True)
        self._thread.start()

    def add(self, link: Path, seed: int = 0) -> Pn532Emulator:
        """A new chip, plugged in under `link`."""
        made: list[Pn532Emulator] = []

        def plug() -> None:
            made.append(Pn532Emulator(link, seed))
            self.emulators.append(made[0])

        self.do(plug)
        return made[0]

    def do(self, job: Callable[[], None]) -> None:
        """Run a job between two steps of the bench; returns when it is done."""
        done = threading.Event()
        with self._lock:
            self._jobs.append((job, done))
        os.write(self._wake_in, b".")
        if not done.wait(10):
            raise TimeoutError("the bench of emulators does not answer")

    def close(self) -> None:
        """Unplug all and end the thread."""
        if self._thread.is_alive():
            self.do(self._stop)
            self._thread.join(5)

    def _stop(self) -> None:
        self._stopping = True
        for emulator in self.emulators:
            emulator.unplug()

    def _run(self) -> None:
        while not self._stopping:
            now_s = time.monotonic()
            plugged = {emulator.master: emulator for emulator in self.emulators if emulator.master >= 0}
            dues = [due for emulator in plugged.values() if (due := emulator.next_due_s()) is not None]
            wait_s = max(0.0, min(dues) - now_s) if dues else None
            readable, _, _ = select.select([self._wake_out, *plugged], [], [], wait_s)
            now_s = time.monotonic()
            for descriptor in readable:
                if descriptor == self._wake_out:
                    os.read(self._wake_out, 4096)
                    self._work()
                elif plugged[descriptor].master == descriptor:
                    plugged[descriptor].readable(now_s)
            for emulator in self.emulators:
                if emulator.master >= 0:
                    emulator.tick(now_s)
        os.close(self._wake_out)
        os.close(self._wake_in)

    def _work(self) -> None:
        with self._lock:
            jobs, self._jobs = self._jobs, []
        for job, done in jobs:
            job()
            done.set()

    def __enter__(self) -> Bench:
        """For a block."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Close it."""
        self.close()
