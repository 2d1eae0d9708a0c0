"""A real process under strace: started, ended by a signal to itself, and read back as the steps that it took."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Final

import msgspec

from sim.powercut.recording import RecordingRefused, Step, read_recording, recording_words

END_S: Final = 30.0
"""Longer than any part takes to end, under strace and on a loaded machine."""


class Traced:
    """One process of ours. Its output goes to `<name>.log`, its trace to `<name>.trace`, both in `folder`."""

    def __init__(
        self, folder: Path, name: str, words: Sequence[str], *, record: bool = True, sent: bool = False
    ) -> None:
        """Start it; `words` follow `python -m`. `sent`: what it sends over sockets is recorded too."""
        self.log, self.trace = folder / f"{name}.log", folder / f"{name}.trace"
        self._record = record
        before = recording_words(self.trace, sent=sent) if record else []
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(
                [*before, sys.executable, "-m", *words],
                stdout=log,
                stderr=log,
                stdin=subprocess.DEVNULL,
                start_new_session=True,
            )

    def check(self) -> None:
        """Raise RecordingRefused when it ended by itself."""
        if self.process.poll() is not None:
            raise RecordingRefused(f"{self.log.stem} ended with {self.process.returncode}: {self.told()}")

    def told(self) -> str:
        """The end of what it said."""
        return self.log.read_text(encoding="utf-8", errors="replace")[-800:]

    def number(self) -> int:
        """Its own process id; strace stands before it and passes no signal on."""
        if not self._record:
            return self.process.pid
        tasks = Path(f"/proc/{self.process.pid}/task/{self.process.pid}/children").read_text(encoding="ascii").split()
        if not tasks:
            raise RecordingRefused(f"{self.log.stem} is gone: {self.told()}")
        return int(tasks[0])

    def end(self, how: signal.Signals) -> None:
        """Send it this signal and wait for its end."""
        self.check()
        os.kill(self.number(), how)
        self.wait()

    def wait(self) -> None:
        """Wait for its end. Raises RecordingRefused when it doesn't come."""
        try:
            self.process.wait(END_S)
        except subprocess.TimeoutExpired as problem:
            raise RecordingRefused(f"{self.log.stem} does not end: {self.told()}") from problem
        finally:
            self.leave()

    def leave(self) -> None:
        """Kill whatever still runs of it."""
        if self.process.poll() is None:
            with suppress(OSError, RecordingRefused):
                os.kill(self.number(), signal.SIGKILL)
            self.process.kill()
            self.process.wait(5)

    def steps(self, *folders: Path, apart: Sequence[Path] = ()) -> list[Step]:
        """What it did below these folders, but not below those `apart`, in order."""
        with self.trace.open(encoding="ascii", errors="replace") as lines:
            return list(read_recording(lines, *folders, apart=apart))


def lowered(limits: Mapping[str, object], *words: str) -> list[str]:
    """The words for `k12edge` with some of its limits lowered, so that a short recording meets them (see `small`)."""
    return ["sim.powercut.small", msgspec.json.encode(limits).decode("ascii"), *words]
