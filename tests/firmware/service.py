"""A service as systemd would run it: a real process, a real notify socket, signals."""

from __future__ import annotations

import os
import select
import signal
import socket
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from types import TracebackType

from sim.parts import Process
from tests import nursery
from tests.patience import within

START_S = within(20.0)
STOP_S = 3.0
"""What the command line promises for a clean end."""

PROGRAM = ("-m", "k12edge")

GATEWAY_TOML = """[gateway]
id = "cong"
school = "thcs-1"
data_dir = "{folder}/gateway"
[[station]]
name = "gate-1"
kind = "gate"
reader = "pn532://{folder}/reader"
[signals]
sinks = ["terminal", "jsonl:{folder}/signals.jsonl"]
[uplink]
url = "mqtt://127.0.0.1:{port}"
"""
HUB_TOML = """[hub]
id = "tram"
school = "thcs-1"
data_dir = "{folder}/hub"
listen = "127.0.0.1:0"
[broker]
listen = "127.0.0.1:0"
"""


def configure(folder: Path, role: str, port: int = 9) -> Path:
    """Write the configuration of a role; `port` is the broker's that a gateway looks for (9: nobody answers)."""
    path = folder / f"{role}.toml"
    path.write_text((GATEWAY_TOML if role == "gateway" else HUB_TOML).format(folder=folder, port=port))
    return path


class Service:
    """One run of `k12edge <role>`. `said` collects what it told the notify socket."""

    def __init__(
        self,
        folder: Path,
        role: str,
        *,
        before: tuple[str, ...] = (),
        program: tuple[str, ...] = PROGRAM,
        anew: bool = False,
        **env: str,
    ) -> None:
        """Start it; `before` are words before the command, such as a tracer's; `program` may stand for k12edge.

        It comes from the nursery where nothing is to be seen of its start: else, or when asked for, from nothing.
        """
        self.role, self.folder = role, folder
        self.said: list[str] = []
        self._place = tempfile.TemporaryDirectory(prefix="k12n-")
        address = f"{self._place.name}/notify"
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._socket.bind(address)
        self.log = folder / f"{role}.log"
        self._log_from = self.log.stat().st_size if self.log.exists() else 0
        with self.log.open("ab") as log:
            words = [role, "--config", str(folder / f"{role}.toml")]
            self.process: Process
            if anew or before or env or program != PROGRAM:
                self.process = subprocess.Popen(
                    [*before, sys.executable, *program, *words],
                    stdout=log,
                    stderr=log,
                    stdin=subprocess.DEVNULL,
                    env={**os.environ, "NOTIFY_SOCKET": address, **env},
                )
            else:
                self.process = nursery.begin(words, log, log, NOTIFY_SOCKET=address)

    def hear(self, word: str, within_s: float = START_S) -> bool:
        """Whether the service says `word` in time."""
        deadline = time.monotonic() + within_s
        while True:
            readable, _, _ = select.select([self._socket], [], [], max(0.0, deadline - time.monotonic()))
            if not readable:
                return False
            self.said += self._socket.recv(4096).decode("ascii").split("\n")
            if self.said[-1] == word:
                return True

    def logged(self, text: str, within_s: float = START_S) -> bool:
        """Whether its output holds `text` in time. The output is a file, so it is looked at again and again."""
        deadline = time.monotonic() + within_s
        while time.monotonic() < deadline and self.process.poll() is None:
            if text in self.words():
                return True
            time.sleep(0.02)
        return text in self.words()

    def words(self) -> str:
        """Its output so far, without that of earlier runs."""
        return self.log.read_bytes()[self._log_from :].decode("utf-8", "replace")

    def end(self, number: int = signal.SIGTERM, *, twice: bool = False) -> tuple[int, float]:
        """Send a signal; exit code, and the seconds it took."""
        began_s = time.monotonic()
        self.process.send_signal(number)
        if twice:
            self.process.send_signal(number)
        code = self.process.wait(30)
        return code, time.monotonic() - began_s

    def __enter__(self) -> Service:
        """For a block."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Nothing is left behind."""
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait(10)
        self._socket.close()
        self._place.cleanup()
