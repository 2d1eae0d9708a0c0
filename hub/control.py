"""The hub's local socket: commands reach a running hub by it, and work on the store themselves where none runs."""

from __future__ import annotations

import logging
import os
import secrets
import socket
import threading
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Final

import msgspec

from host.accounts import account_name, peer_uid
from host.lock import InstanceLock
from hub.config import HubConfig
from hub.papers import HANDED_BYTES_MAX, PAPER_BYTES_MAX, read_paper, unwrapped, wrapped, write_paper
from protocol.errors import AlreadyRunning, BadMessage, K12EdgeError, NeedsHands

log = logging.getLogger("k12edge.control")

SOCKET_NAME: Final = "hub.sock"
LINE_BYTES_MAX: Final = PAPER_BYTES_MAX * 4 // 3 + 64 * 1024
"""One paper, as it travels, and some words."""
ANSWER_BYTES_MAX: Final = HANDED_BYTES_MAX * 4 // 3 + 64 * 1024
"""The same of what a hub hands out."""
TIMEOUT_S: Final = 30.0
SLOW_S: Final = 600.0
SLOW: Final = ("meal-audit", "meal-days", "meal-paper")
"""Actions that go through a whole month of meals, and how long their answer is waited for."""
ASKING_S: Final = 2.0
"""Whoever connects and says nothing for so long is hung up on."""
PAUSE_S: Final = 0.1
TALKERS_MAX: Final = 16
"""Connections served at once; what they ask is done one after the other."""

Carry = Callable[[str, Mapping[str, str | None]], tuple[str, bytes | None]]
"""Action and words -> what to say, and what the person gets as a file."""
IMPORTS: Final = ("roster-import", "roster-check", "roster-apply", "keys-import", "meal-plan-set")
"""Actions that are handed a file; the others get one, if any."""


class Request(msgspec.Struct):
    """One line of JSON: what is asked, and its words."""

    action: str
    words: dict[str, str | None]


class Reply(msgspec.Struct):
    """One line of JSON: the answer, or what is wrong."""

    text: str
    code: str | None = None
    hint: str | None = None
    paper: str | None = None


def read_request(line: bytes) -> Request:
    """One line taken apart; raises BadMessage."""
    try:
        return msgspec.json.decode(line, type=Request)
    except (msgspec.DecodeError, RecursionError, ValueError) as problem:
        raise BadMessage(f"not a request: {problem}") from problem


class HubRefused(NeedsHands):
    """A running hub didn't do what was asked."""

    code = "hub-refused"


def socket_path(data_dir: Path) -> Path:
    """Where a running hub listens; only its user may connect."""
    return data_dir / SOCKET_NAME


def carry_out(config: HubConfig, action: str, words: Mapping[str, object]) -> str:
    """Ask the running hub, or do it here; the answer for people. A `file` of the words is read or written here.

    Raises NeedsHands.
    """
    texts = {
        name: str(value.absolute()) if isinstance(value, Path) else None if value is None else str(value)
        for name, value in words.items()
    }
    file = words.get("file")
    if isinstance(file, Path) and action in IMPORTS:
        texts["paper"] = wrapped(read_paper(file))
    reply = _answered(config, action, texts)
    if reply.paper is None or not isinstance(file, Path):
        return reply.text
    write_paper(file, unwrapped(reply.paper))
    return f"{file}: {reply.text}"


def handed_out(config: HubConfig, action: str) -> bytes:
    """What the running hub, or the store here, gives as a file. Raises NeedsHands."""
    reply = _answered(config, action, {})
    assert reply.paper is not None, action
    return unwrapped(reply.paper)


def exchanged(
    config: HubConfig, action: str, words: Mapping[str, str | None], paper: bytes | None = None
) -> tuple[str, bytes | None]:
    """Ask the running hub, or do it here, handing `paper` over; the answer for people, and what came back as a file.

    Raises NeedsHands.
    """
    given = {} if paper is None else {"paper": wrapped(paper)}
    reply = _answered(config, action, {**words, **given})
    return reply.text, None if reply.paper is None else unwrapped(reply.paper)


def _answered(config: HubConfig, action: str, words: Mapping[str, str | None]) -> Reply:
    reply = _ask(socket_path(config.data_dir), Request(action, dict(words))) or _alone(config, action, words)
    if reply.code is not None:
        problem = HubRefused(reply.text, hint=reply.hint)
        problem.code = reply.code
        raise problem
    return reply


def _alone(config: HubConfig, action: str, words: Mapping[str, str | None]) -> Reply:
    # Here, since a command to a running hub needs nothing of the store: three times faster without it.
    from hub.backups.restoring import finish_restore
    from hub.parts import Store

    try:
        with InstanceLock(config.data_dir):
            finish_restore(config.data_dir)
            store = Store(config)
            try:
                # What was kept apart of a device accepted now is counted when a hub runs.
                outcome = store.carry_out(action, words)
                return Reply(outcome.text, paper=None if outcome.paper is None else wrapped(outcome.paper))
            finally:
                store.database.close()
    except AlreadyRunning as problem:
        raise AlreadyRunning(f"{problem}, but doesn't answer on its socket", hint="Try again in a moment.") from problem


def _ask(path: Path, request: Request) -> Reply | None:
    """The answer of a running hub, None where none runs. The path may be longer than a socket's name can be."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as line:
        line.settimeout(SLOW_S if request.action in SLOW else TIMEOUT_S)
        try:
            _connect(line, path)
            line.sendall(msgspec.json.encode(request) + b"\n")
            answer = _line(line, ANSWER_BYTES_MAX)
        except (FileNotFoundError, ConnectionRefusedError):
            return None
        except OSError as problem:
            raise HubRefused(
                f"the hub does not answer on {path}: {problem}", hint="Look at the hub's log."
            ) from problem
    return msgspec.json.decode(answer, type=Reply)


def _connect(line: socket.socket, path: Path) -> None:
    with _short(path) as name:
        line.connect(name)


class _short:
    """A name for a socket that fits into sun_path (108 bytes): by way of an open folder where the path is long."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._folder = -1

    def __enter__(self) -> str:
        if len(os.fsencode(self._path)) < 100:
            return str(self._path)
        self._folder = os.open(self._path.parent, os.O_RDONLY | os.O_DIRECTORY)
        return f"/proc/self/fd/{self._folder}/{self._path.name}"

    def __exit__(self, *_: object) -> None:
        if self._folder >= 0:
            os.close(self._folder)


def _line(line: socket.socket, most: int) -> bytes:
    gathered = bytearray()
    while not gathered.endswith(b"\n"):
        piece = line.recv(65536)
        if not piece or len(gathered) > most:
            raise OSError("the other side ended within a line")
        gathered += piece
    return bytes(gathered[:-1])


class ControlSocket:
    """The running hub's end: one request a connection; who connects and is silent keeps nobody waiting for long."""

    def __init__(self, data_dir: Path, carry: Carry) -> None:
        """Listen; the instance lock is held, so a socket that lies there is a dead one."""
        path = socket_path(data_dir)
        if path.is_dir():
            os.rename(path, data_dir / f"no-file-{secrets.token_hex(4)}-{SOCKET_NAME}")
        path.unlink(missing_ok=True)
        self._line = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        before = os.umask(0o177)
        try:
            with _short(path) as name:
                self._line.bind(name)
        finally:
            os.umask(before)
        self._line.listen(8)
        self._path, self._carry = path, carry
        self._places = threading.BoundedSemaphore(TALKERS_MAX)
        self._one = threading.Lock()
        self._closed = threading.Event()
        threading.Thread(target=self._serve, name="control", daemon=True).start()

    def _serve(self) -> None:
        failing = False
        while not self._closed.is_set():
            self._places.acquire()
            line = None
            try:
                line, _ = self._line.accept()
                threading.Thread(target=self._talk, args=(line,), name="command", daemon=True).start()
                failing = False
            except (OSError, RuntimeError) as problem:
                # No descriptor or no thread to be had now: who asked is heard when there is, or sees the line end.
                self._places.release()
                if line is not None:
                    line.close()
                if not self._closed.wait(PAUSE_S) and not failing:
                    failing = True
                    log.warning("a command could not be heard: %s", problem)

    def _talk(self, line: socket.socket) -> None:
        try:
            with line:
                line.settimeout(ASKING_S)
                request = read_request(_line(line, LINE_BYTES_MAX))
                # Root may say for whom, as `sudo` does; anybody else is who the kernel says.
                uid = peer_uid(line)
                if uid != 0 and request.words.get("by") is not None:
                    request.words["by"] = account_name(uid)
                with self._one:
                    answer = self._answer(request)
                line.settimeout(TIMEOUT_S)
                line.sendall(msgspec.json.encode(answer) + b"\n")
        except (OSError, BadMessage) as problem:
            log.warning("a request could not be answered: %s", problem)
        finally:
            self._places.release()

    def _answer(self, request: Request) -> Reply:
        try:
            text, paper = self._carry(request.action, request.words)
            return Reply(text, paper=None if paper is None else wrapped(paper))
        except K12EdgeError as problem:
            return Reply(str(problem), problem.code, problem.hint)
        except Exception as problem:
            log.exception("%s failed", request.action)
            return Reply(f"{type(problem).__name__}: {problem}", "internal-fault", "See the hub's log.")

    def close(self) -> None:
        """Listen no longer."""
        self._closed.set()
        self._path.unlink(missing_ok=True)
        with suppress(OSError):
            self._line.shutdown(socket.SHUT_RDWR)
        self._line.close()
