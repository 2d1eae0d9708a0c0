"""A pcscd of one's own: Debian's daemon and virtual reader on a private socket and private ports, killed at will."""

from __future__ import annotations

import atexit
import contextlib
import os
import random
import shutil
import signal
import socket
import subprocess
import tempfile
import threading
from collections import deque
from functools import cache
from pathlib import Path
from types import TracebackType
from typing import Final

from protocol.errors import NeedsHands
from sim.emulators.pcsccard import Slot

DRIVER: Final = "/usr/lib/pcsc/drivers/serial/libifdvpcd.so"
DRIVER_SONAME: Final = "libifdvpcd.so.0"
SOCKET_WORD: Final = "PCSCLITE_CSOCK_NAME"
"""Where libpcsclite looks for pcscd; it asks once in a process, so that a process keeps to one path."""
PORTS: Final = range(20_000, 32_000, 2)
"""Below the ports that the kernel gives away by itself. The driver takes two, one a slot."""
READY_S: Final = 20.0
LINES_KEPT: Final = 40
BRISK: Final = Path(__file__).parent / "brisk.c"
ESCAPE: Final = Path(__file__).parent / "escape.c"


class PcscdRefused(NeedsHands):
    """A pcscd of one's own can't be run here."""

    code = "pcscd-refused"
    hint = "Install pcscd, vsmartcard-vpcd, gcc and util-linux (sh tests/install-system-packages), and be root."


@cache
def own_folder() -> Path:
    """This process's folder for a pcscd: its socket is told to libpcsclite, which has to hear it at its first call."""
    folder = Path(tempfile.mkdtemp(prefix="k12edge-pcscd-"))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    os.environ[SOCKET_WORD] = str(folder / "pcscd.comm")
    return folder


@cache
def built(source: Path) -> Path:
    """Compile brisk.c or escape.c; the library's path. Raises PcscdRefused."""
    library = own_folder() / f"{source.stem}.so"
    words = ["gcc", "-O2", "-Wall", "-Werror", "-shared", "-fPIC", "-o", str(library), str(source), "-ldl"]
    if source == ESCAPE:
        # The driver calls itself otherwise than its file is called.
        (own_folder() / DRIVER_SONAME).symlink_to(DRIVER)
        words += ["-Wl,--no-as-needed", f"-Wl,-rpath,{own_folder()}", DRIVER]
    try:
        subprocess.run(words, capture_output=True, text=True, timeout=120, check=True)
    except (OSError, subprocess.SubprocessError) as problem:
        raise PcscdRefused(f"{source} can't be compiled: {problem}") from problem
    return library


class Pcscd:
    """See the room. It takes its socket as systemd hands it over, so that nothing below /run is shared with another.

    Its one virtual reader has two slots, which pcscd calls `NAME 00 00` and `NAME 00 01`; the driver can't keep apart
    more. `activated`: the socket outlives the daemon, as below systemd, and those who come wait for the next. `brisk`:
    it hears of cards at once, as from a real reader (brisk.c); `late_ms`: its first look takes so long; `escapes`: its
    driver takes commands for the reader itself (escape.c), which then stand in `escaped`. One at a time in a process.
    """

    def __init__(
        self,
        folder: Path,
        name: str = "K12 Gate",
        *,
        activated: bool = False,
        brisk: bool = True,
        late_ms: int = 0,
        escapes: bool = False,
    ) -> None:
        """Not started; `folder` is for its configuration."""
        self.name, self._activated, self._brisk, self._late_ms = name, activated, brisk, late_ms
        self.at = own_folder() / "pcscd.comm"
        self._process: subprocess.Popen[str] | None = None
        self._socket: socket.socket | None = None
        self._ready = threading.Event()
        self.lines: deque[str] = deque(maxlen=LINES_KEPT)
        port = free_port()
        self.slots = (Slot(port), Slot(port + 1))
        self._unplugged = folder / "unplugged"
        self._escapes = folder / "escapes" if escapes else None
        self.config = folder / "reader.conf.d" / "vpcd"
        self.config.parent.mkdir(parents=True, exist_ok=True)
        driver = built(ESCAPE) if escapes else DRIVER
        device = f"DEVICENAME /dev/null:0x{port:04X}\nLIBPATH {driver}\nCHANNELID 0x{port:04X}"
        self.config.write_text(f'FRIENDLYNAME "{name}"\n{device}\n', encoding="ascii")

    @property
    def running(self) -> bool:
        """Whether it was started, and not ended by `kill`."""
        return self._process is not None

    @property
    def pid(self) -> int:
        """The daemon's process; it must run."""
        assert self._process is not None
        return self._process.pid

    @property
    def escaped(self) -> list[bytes]:
        """The commands for the reader itself that its driver took."""
        whole = self._escapes.read_text().rpartition("\n")[0] if self._escapes and self._escapes.exists() else ""
        return [bytes.fromhex(line) for line in whole.splitlines()]

    def start(self) -> None:
        """Start the daemon; returns when it is ready. Raises PcscdRefused."""
        assert self._process is None
        program = shutil.which("pcscd", path=f"{os.environ.get('PATH', '')}:/usr/sbin")
        if program is None or not Path(DRIVER).exists():
            raise PcscdRefused("pcscd or its virtual reader is missing")
        listening = self._listening()
        environment = {**os.environ, "LISTEN_FDS": "1"}
        if self._escapes is not None:
            environment["K12EDGE_ESCAPES"] = str(self._escapes)
        if self._brisk:
            environment |= {"LD_PRELOAD": str(built(BRISK)), "K12EDGE_UNPLUGGED": str(self._unplugged)}
            if self._late_ms:
                environment["K12EDGE_LATE_MS"] = str(self._late_ms)
        # The process that systemd would start knows its own number, and finds the socket as descriptor 3.
        words = f"exec 3<&0 </dev/null; LISTEN_PID=$$ exec setpriv --pdeathsig KILL {program} --foreground --info"
        self._ready.clear()
        self.lines.clear()
        self._process = subprocess.Popen(
            ["sh", "-c", f'{words} --config "$1"', "sh", str(self.config.parent)],
            stdin=listening.fileno(),
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            env=environment,
            text=True,
            errors="replace",
        )
        if not self._activated:
            listening.close()
        threading.Thread(target=self._drain, args=(self._process,), name="pcscd-log", daemon=True).start()
        ready = self._ready.wait(READY_S) and self._process.poll() is None
        if not ready or any("Could not initialize" in line for line in self.lines):
            told = " | ".join(self.lines)
            self.stop()
            raise PcscdRefused(f"pcscd did not start: {told}")

    def unplug(self) -> None:
        """Have a brisk pcscd's driver find its reader gone."""
        assert self._brisk
        self._unplugged.touch()

    def replug(self) -> None:
        """Put the reader back."""
        self._unplugged.unlink()

    def _listening(self) -> socket.socket:
        if self._socket is None or not self._activated:
            self.at.unlink(missing_ok=True)
            self._socket = socket.socket(socket.AF_UNIX)
            self._socket.bind(str(self.at))
            self._socket.listen(16)
        return self._socket

    def _drain(self, process: subprocess.Popen[str]) -> None:
        assert process.stdout is not None
        with process.stdout as stream:
            for line in stream:
                self.lines.append(line.rstrip())
                if "daemon ready" in line:
                    self._ready.set()
                for number, slot in enumerate(self.slots):
                    name = f"{self.name} 00 {number:02X}"
                    if self.lines[-1].endswith(f"Card Removed From {name}"):
                        slot.empty.set()
                    elif self.lines[-1].endswith(f"Card inserted into {name}"):
                        slot.told.set()
        # Whoever waits for a daemon that ended is told.
        self._ready.set()
        for slot in self.slots:
            slot.empty.set()

    def kill(self, with_signal: signal.Signals = signal.SIGKILL) -> None:
        """End the daemon; cards stay where they are. Does nothing when it doesn't run."""
        process, self._process = self._process, None
        if process is not None:
            process.send_signal(with_signal)
            try:
                process.wait(10)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait(10)

    def stop(self) -> None:
        """End all, for good."""
        for slot in self.slots:
            slot.close()
        self.kill()
        if self._socket is not None:
            self._socket.close()
            self._socket = None
        with contextlib.suppress(OSError):
            self.at.unlink()

    def __enter__(self) -> Pcscd:
        """Start it."""
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, problem: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Stop it."""
        self.stop()


def free_port() -> int:
    """The first of two ports that nobody listens on, drawn so that others who draw seldom meet."""
    rng = random.Random(os.urandom(8))
    while True:
        port = rng.choice(PORTS)
        if _free(port) and _free(port + 1):
            return port


def _free(port: int) -> bool:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("", port))
        except OSError:
            return False
    return True
