"""A real gateway as a process, with replayed cards, whose signals a test follows."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

import msgspec

from sim.parts import Process
from tests import nursery
from tests.edge.room import DEVICE, SCHOOL, events
from tests.patience import within

WAIT_S = 20.0
PROGRAM = ("-m", "k12edge")
STRACE = shutil.which("strace")


def until(true: Callable[[], Any], what: str, within_s: float = WAIT_S) -> Any:
    """Wait for a condition that another process makes true, and give it back."""
    deadline = time.monotonic() + within(within_s)
    while not (found := true()):
        assert time.monotonic() < deadline, f"{what}: not within {within_s} s"
        time.sleep(0.01)
    return found


def card(number: int) -> str:
    """A card's canonical number."""
    return f"a:04{number:012X}"


class GatewayProcess:
    """`k12edge gateway` in `folder`; `before` goes before its command (strace and its arguments).

    `program`: what Python runs; `sinks`: further ones beside the file that `shown` reads.
    """

    def __init__(
        self,
        folder: Path,
        *,
        data: Path | None = None,
        stations: int = 1,
        uplink: str | None = None,
        before: Sequence[str] = (),
        program: Sequence[str] = PROGRAM,
        sinks: Sequence[str] = (),
    ) -> None:
        self.folder, self.before, self.program = folder, list(before), list(program)
        self.data = data or folder / "data"
        self.signals = folder / "signals.jsonl"
        self.config = folder / "gateway.toml"
        self.log = folder / "gateway.log"
        self.replays = [folder / f"replay-{number}.txt" for number in range(stations)]
        text = f'[gateway]\nid = "{DEVICE}"\nschool = "{SCHOOL}"\ndata_dir = "{self.data}"\n'
        listed = ", ".join(f'"{sink}"' for sink in (f"jsonl:{self.signals}", *sinks))
        text += f"[signals]\nsinks = [{listed}]\n"
        if uplink is not None:
            text += f'[uplink]\nurl = "{uplink}"\n'
        for number, replay in enumerate(self.replays):
            text += f'[[station]]\nname = "cong-{number}"\nkind = "gate"\nreader = "replay:{replay}"\n'
        self.config.write_text(text, encoding="utf-8")
        self.process: Process | None = None
        self.tracer: Process | None = None

    def play(self, *lines: tuple[int, str], station: int = 0) -> None:
        """Have the station's reader show cards: milliseconds to wait, and the card."""
        text = "".join(f"{delay_ms} {name} 30\n" for delay_ms, name in lines)
        self.replays[station].write_text(text, encoding="ascii")

    def start(self) -> GatewayProcess:
        """Start it, without waiting."""
        with self.log.open("ab") as log:
            if not self.before and tuple(self.program) == PROGRAM:
                self.tracer = nursery.begin(["gateway", "--config", str(self.config)], log, log)
                return self
            self.tracer = subprocess.Popen(
                [*self.before, sys.executable, *self.program, "gateway", "--config", str(self.config)],
                stdout=log,
                stderr=log,
            )
        return self

    @property
    def pid(self) -> int:
        """The gateway's own process."""
        assert self.tracer is not None
        if not self.before:
            return self.tracer.pid
        children = Path(f"/proc/{self.tracer.pid}/task/{self.tracer.pid}/children")
        return int(until(lambda: children.read_text(encoding="ascii").split(), "the traced gateway runs")[0])

    def end(self, number: int = signal.SIGTERM, within_s: float = 10) -> int:
        """Send a signal and give the exit code."""
        assert self.tracer is not None
        if self.tracer.poll() is None:
            with suppress(ProcessLookupError):
                os.kill(self.pid, number)
        try:
            return self.tracer.wait(within_s)
        finally:
            if self.tracer.poll() is None:
                self.tracer.kill()
                self.tracer.wait(5)

    def shown(self) -> list[dict[str, Any]]:
        """Every signal so far."""
        if not self.signals.exists():
            return []
        return [msgspec.json.decode(line) for line in self.signals.read_bytes().split(b"\n")[:-1] if line]

    def words(self) -> list[str]:
        """Their words alone."""
        return [shown["signal"] for shown in self.shown()]

    def await_signal(self, *words: str, count: int = 1) -> list[dict[str, Any]]:
        """Wait until `count` signals of these words were shown, and give them."""

        def found() -> list[dict[str, Any]] | None:
            assert self.tracer is not None and self.tracer.poll() is None, self.log.read_text(encoding="utf-8")
            mine = [shown for shown in self.shown() if shown["signal"] in words]
            return mine if len(mine) >= count else None

        return list(until(found, f"{count} times {' or '.join(words)}"))

    def names(self) -> set[str]:
        """The ids of all records on the disk."""
        return {event.id for event in events(self.data)}

    def promised(self) -> set[str]:
        """The records that signals stand for."""
        return {shown["tap"] for shown in self.shown() if shown["tap"] is not None}
