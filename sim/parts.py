"""The parts of a chain as real processes: city, hub with its broker, gateways; started, killed, started again."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from random import Random
from typing import IO, Any, Final, Protocol

import msgspec

from hub.broker import PORTS
from protocol.errors import NeedsHands

START_S: Final = 60.0
"""A part is ready in 2 s; not where a dozen others want to run as well."""
STOP_S: Final = 15.0
"""A part ends in 4 s; on a machine where a dozen others want to run it may take longer, but it must end."""
LOOK_S: Final = 0.02
PROGRAM: Final = (sys.executable, "-m", "k12edge")


class Process(Protocol):
    """A process that was begun: what of `subprocess.Popen` is asked of it."""

    pid: int
    returncode: int | Any

    def poll(self) -> int | None:
        """Its exit code once it has ended."""

    def wait(self, timeout: float | None = None) -> int:
        """Its exit code. Raises subprocess.TimeoutExpired."""

    def send_signal(self, sig: int, /) -> None:
        """Nothing where it has ended."""

    def terminate(self) -> None:
        """SIGTERM."""

    def kill(self) -> None:
        """SIGKILL."""


def begin(command: list[str], log: IO[bytes]) -> Process:
    """Start a command whose output goes to `log`."""
    return subprocess.Popen(command, stdout=log, stderr=log, stdin=subprocess.DEVNULL)


@dataclass(slots=True)
class Beginning:
    """How commands are started whose environment is ours; tests have a cheaper way, see tests/nursery.py."""

    by: Callable[[list[str], IO[bytes]], Process] = begin


BEGINNING: Final = Beginning()


class PartFailed(NeedsHands):
    """A part of the chain doesn't run as it must."""

    code = "part-failed"
    hint = "See the part's log in the working directory (--keep DIR leaves it)."


@dataclass(slots=True)
class Part:
    """One process of the chain. Its output goes to `<name>.log`; `kills` counts how often it was killed.

    `environment` instead of ours, where given.
    """

    name: str
    words: list[str]
    folder: Path
    ready: Callable[[], bool] | None = None
    process: Process | None = None
    program: tuple[str, ...] = PROGRAM
    kills: int = 0
    environment: dict[str, str] | None = None

    def start(self, *, wait: bool = True) -> None:
        """Start it; with `wait` return when it is ready. Raises PartFailed."""
        with (self.folder / f"{self.name}.log").open("ab") as log:
            command = [*self.program, *self.words]
            if self.environment is None:
                self.process = BEGINNING.by(command, log)
            else:
                self.process = subprocess.Popen(
                    command, stdout=log, stderr=log, stdin=subprocess.DEVNULL, env=self.environment
                )
        if wait and self.ready is not None:
            until(self.ready, f"{self.name} is not ready", also=self.check)

    def check(self) -> None:
        """Raise PartFailed when it ended by itself."""
        if self.process is not None and self.process.poll() is not None:
            tail = (self.folder / f"{self.name}.log").read_text(encoding="utf-8", errors="replace")[-600:]
            raise PartFailed(f"{self.name} ended with {self.process.returncode}: {tail}")

    def kill(self) -> None:
        """Kill -9. Raises PartFailed when it had ended by itself."""
        assert self.process is not None
        self.check()
        self.process.send_signal(signal.SIGKILL)
        self.process.wait(10)
        self.kills += 1

    def stop(self) -> int:
        """SIGTERM; the exit code. Kills it when it takes longer than promised."""
        process = self.process
        if process is None or process.poll() is not None:
            return 0 if process is None else int(process.returncode)
        process.send_signal(signal.SIGTERM)
        try:
            return process.wait(STOP_S)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait(5)
            return -9


def until(
    true: Callable[[], bool],
    what: str,
    *,
    also: Callable[[], None] | None = None,
    within_s: float = START_S,
    moving: Callable[[], object] | None = None,
) -> None:
    """Wait for a condition; raises PartFailed saying `what` when it doesn't come.

    With `moving` the time starts anew whenever what it tells has changed: a slow disk isn't a standstill.
    """
    last = None if moving is None else moving()
    deadline = time.monotonic() + within_s
    while not true():
        if also is not None:
            also()
        if time.monotonic() > deadline:
            now = None if moving is None else moving()
            if now == last:
                raise PartFailed(f"{what} after {within_s:g} s")
            last, deadline = now, time.monotonic() + within_s
        time.sleep(LOOK_S)


def get_json(url: str, timeout_s: float = 5.0) -> Any:
    """The JSON at an address, None while nobody answers."""
    try:
        with urllib.request.urlopen(url, timeout=timeout_s) as answer:
            return msgspec.json.decode(answer.read())
    except (OSError, urllib.error.URLError, msgspec.DecodeError):
        return None


class _Item(msgspec.Struct):
    event: msgspec.Raw


class _Page(msgspec.Struct):
    items: list[_Item]
    next: str | None


class _Named(msgspec.Struct):
    id: str
    withheld: bool = False


def audit(url: str, token: str | None = None) -> list[tuple[str, bytes]]:
    """Every event of an audit that the token's role may read, in order: id and exact bytes. Raises PartFailed."""
    headers = {} if token is None else {"authorization": f"Bearer {token}"}
    found: list[tuple[str, bytes]] = []
    after = ""
    while True:
        try:
            asked = urllib.request.Request(f"{url}?limit=1000&after={after}", headers=headers)
            with urllib.request.urlopen(asked, timeout=30) as answer:
                page = msgspec.json.decode(answer.read(), type=_Page)
        except (OSError, msgspec.DecodeError) as problem:
            raise PartFailed(f"{url} can't be read: {problem}") from problem
        for item in page.items:
            raw = bytes(item.event)
            named = msgspec.json.decode(raw, type=_Named)
            if not named.withheld:
                found.append((named.id, raw))
        if page.next is None:
            return found
        after = page.next


def pid_in(path: Path, program: str) -> int | None:
    """The process that a pid file names; None where it is gone, or its number another program's by now."""
    with suppress(OSError, ValueError):
        number = int(path.read_text(encoding="ascii"))
        if program.encode() in Path(f"/proc/{number}/cmdline").read_bytes().split(b"\0")[0]:
            return number
    return None


def kill_by_pid_file(path: Path, program: str) -> bool:
    """Kill -9 of the process that a pid file names; False where there is none."""
    number = pid_in(path, program)
    if number is not None:
        with suppress(ProcessLookupError):
            os.kill(number, signal.SIGKILL)
            return True
    return False


@dataclass(slots=True)
class Mosquitto(Part):
    """A stock mosquitto on `port`."""

    port: int = 0


def mosquitto(folder: Path, port: int, *, everywhere: bool = False, more: str = "") -> Mosquitto:
    """A stock mosquitto with default settings, which keeps nothing over its end. Raises PartFailed where none is.

    `everywhere`: not only on loopback, as it would by itself; `more`: lines of its configuration.
    """
    program = shutil.which("mosquitto", path=f"{os.environ.get('PATH', '')}:/usr/sbin")
    if program is None:
        raise PartFailed("mosquitto is not installed (apt install mosquitto)")
    words = ["-p", str(port)]
    if everywhere or more:
        path = folder / "mosquitto.conf"
        host = "0.0.0.0" if everywhere else "127.0.0.1"
        path.write_text(f"listener {port} {host}\nallow_anonymous true\nuser root\n{more}", encoding="utf-8")
        words = ["-c", str(path)]
    ready = partial(answers, "127.0.0.1", port)
    return Mosquitto("mosquitto", words, folder, ready, program=(program,), port=port)


def answers(host: str, port: int) -> bool:
    """Whether somebody listens there."""
    with suppress(OSError), socket.create_connection((host, port), 1):
        return True
    return False


_given: set[int] = set()


def free_ports(count: int) -> list[int]:
    """Free ports of loopback, below the ephemeral ones, for parts that come back on their own; none is given twice."""
    found: list[int] = []
    for port in Random().sample(PORTS, len(PORTS)):
        if len(found) == count:
            return found
        with suppress(OSError), socket.socket() as listener:
            if port not in _given:
                listener.bind(("127.0.0.1", port))
                found.append(port)
                _given.add(port)
    raise PartFailed("no port is free")
