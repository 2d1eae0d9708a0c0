"""A nursery: one Python that has read the programs already, and forks for each process of ours that a test starts.

A hub reads 900 modules before it listens, for a second of a processor's time; hundreds of hubs are started here. What
is forked is a process of its own all the same: its own memory, threads, files and signals, killed and waited for like
any other, and it runs `k12edge` from its first word to the interpreter's own end. Who needs another environment, a
tracer before it or a library under it starts it as people do; so do the demonstration, campaigns and figures.
"""

from __future__ import annotations

import atexit
import gc
import json
import os
import selectors
import signal
import socket
import struct
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from contextlib import suppress
from functools import cache
from importlib import import_module
from pathlib import Path
from typing import IO, Final

import httpcore2

from sim.parts import PROGRAM, Process
from sim.parts import begin as begun
from tests.trust import read_once

READ: Final = (
    "edge.app",
    "edge.mqtt",
    "hub.app",
    "hub.cards.sun",
    "hub.city.k12records",
    "hub.city.oneroster",
    "hub.web.lines",
    "hub.web.site",
    "k12edge.cli",
    "sim.city.app",
    "uvicorn",
)
"""What hubs, gateways and cities read at a start, also what they read later; none of it begins a thread."""
ASKED_BYTES_MAX: Final = 1 << 18
NUMBER: Final = struct.Struct("<i")
ROOT: Final = Path(__file__).resolve().parents[1]


class Child:
    """A process from the nursery, as `subprocess.Popen` has it: `returncode` is None until somebody looked."""

    def __init__(self, line: socket.socket) -> None:
        self._line = line
        self.pid: int = NUMBER.unpack(line.recv(NUMBER.size))[0]
        self.returncode: int | None = None

    def poll(self) -> int | None:
        """Its exit code, or the signal that ended it below zero; None while it runs."""
        with suppress(subprocess.TimeoutExpired):
            self.wait(0)
        return self.returncode

    def wait(self, timeout: float | None = None) -> int:
        """The same once it ended. Raises subprocess.TimeoutExpired after `timeout` seconds."""
        if self.returncode is None:
            self._line.settimeout(timeout)
            try:
                said = self._line.recv(NUMBER.size)
            except (TimeoutError, BlockingIOError):
                raise subprocess.TimeoutExpired(PROGRAM, timeout or 0.0) from None
            assert said, "the nursery itself ended"
            self.returncode = NUMBER.unpack(said)[0]
            self._line.close()
        return self.returncode

    def send_signal(self, number: int) -> None:
        """Nothing where it has ended, as with Popen."""
        if self.poll() is None:
            with suppress(ProcessLookupError):
                os.kill(self.pid, number)

    def terminate(self) -> None:
        """SIGTERM."""
        self.send_signal(signal.SIGTERM)

    def kill(self) -> None:
        """SIGKILL."""
        self.send_signal(signal.SIGKILL)


def begin(
    words: Sequence[str], output: IO[bytes], errors: IO[bytes], given: IO[bytes] | None = None, **environment: str
) -> Child:
    """Start `python -m k12edge WORDS` in this process's folder; its input is empty if none is given.

    `environment` is added to this process's; what an interpreter reads at its own start comes too late.
    """
    with open(os.devnull, "rb") as nothing:
        near, far = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        with far:
            asked = json.dumps([list(words), os.getcwd(), {**os.environ, **environment}]).encode()
            files = [stream.fileno() for stream in (given or nothing, output, errors, far)]
            socket.send_fds(_nursery()[0], [asked], files)
    return Child(near)


def part(command: list[str], log: IO[bytes]) -> Process:
    """A part of a chain, from here where it is one of our programs; as `sim.parts.begin`."""
    forked = tuple(command[: len(PROGRAM)]) == PROGRAM
    return begin(command[len(PROGRAM) :], log, log) if forked else begun(command, log)


def run(words: Sequence[str], given: str | None, timeout_s: float) -> subprocess.CompletedProcess[str]:
    """`python -m k12edge WORDS` to its end, and what it said. Raises subprocess.TimeoutExpired."""
    with tempfile.TemporaryFile() as output, tempfile.TemporaryFile() as errors, tempfile.TemporaryFile() as spoken:
        spoken.write((given or "").encode())
        spoken.seek(0)
        child = begin(words, output, errors, spoken)
        try:
            code = child.wait(timeout_s)
        finally:
            child.kill()
        said = []
        for stream in (output, errors):
            stream.seek(0)
            said.append(stream.read().decode())
    return subprocess.CompletedProcess([*PROGRAM, *words], code, *said)


@cache
def _nursery() -> tuple[socket.socket, subprocess.Popen[bytes]]:
    """The way to this process's own one, begun when the first is asked for; it ends when this process does."""
    near, far = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    near.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, ASKED_BYTES_MAX)
    with far:
        words = [sys.executable, "-m", "tests.nursery", str(far.fileno())]
        # Not from wherever a test went: a copy of the tree with a fault in it reads its own modules.
        nothing = subprocess.DEVNULL
        nursery = subprocess.Popen(words, cwd=ROOT, pass_fds=[far.fileno()], stdin=nothing, stdout=nothing)

    def leave() -> None:
        near.close()
        nursery.wait(10)

    atexit.register(leave)
    return near, nursery


# --- in the nursery ---------------------------------------------------------------------------------------------------


class _Nursery:
    """Forks when it is asked to, and says how each child ended."""

    def __init__(self, door: socket.socket) -> None:
        self._door = door
        self._lines: dict[int, tuple[int, socket.socket]] = {}
        self._selector = selectors.DefaultSelector()
        self._selector.register(door, selectors.EVENT_READ)

    def serve(self) -> list[str]:
        """In a child: the words of the program that it is from now on. Ends this process with whoever began it."""
        while True:
            for key, _ in self._selector.select():
                if key.fileobj is not self._door:
                    self._ended(int(key.fd))
                elif (words := self._asked()) is not None:
                    return words

    def _asked(self) -> list[str] | None:
        asked, files, _, _ = socket.recv_fds(self._door, ASKED_BYTES_MAX, 4)
        if not asked:
            sys.exit(0)
        child = os.fork()
        if child == 0:
            return self._born(asked, files)
        for number in files[:3]:
            os.close(number)
        line = socket.socket(fileno=files[3])
        line.send(NUMBER.pack(child))
        watched = os.pidfd_open(child)
        self._lines[watched] = (child, line)
        self._selector.register(watched, selectors.EVENT_READ)
        return None

    def _born(self, asked: bytes, files: list[int]) -> list[str]:
        """Become a process as any other: nothing of the nursery stays open."""
        self._selector.close()
        self._door.close()
        for watched, (_, line) in self._lines.items():
            os.close(watched)
            line.close()
        for number, wanted in zip(files, (0, 1, 2), strict=False):
            os.dup2(number, wanted)
        for number in files:
            os.close(number)
        words, folder, environment = json.loads(asked)
        os.environ.clear()
        os.environ.update(environment)
        time.tzset()
        os.chdir(folder)
        return list(words)

    def _ended(self, watched: int) -> None:
        child, line = self._lines.pop(watched)
        self._selector.unregister(watched)
        os.close(watched)
        code = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
        # Whoever asked for it may have gone.
        with line, suppress(OSError):
            line.send(NUMBER.pack(code))


def main() -> None:
    """Read the programs, then serve; return in each child that is born, whose end is that of any interpreter."""
    door = socket.socket(fileno=int(sys.argv[1]))
    for name in READ:
        import_module(name)
    # A hub's client for the city reads it too, before it's known whether it's needed.
    read_once()
    httpcore2.default_ssl_context(_trust_env=False)
    # What has been read is never looked through again: its pages stay shared by all.
    gc.collect()
    gc.freeze()
    words = _Nursery(door).serve()
    program = import_module("k12edge")
    assert program.__file__ is not None
    sys.argv = [str(Path(program.__file__).with_name("__main__.py")), *words]
    sys.exit(import_module("k12edge.cli").main())


if __name__ == "__main__":
    main()
