"""Sinks: where messages to parents leave the hub - a signed webhook, a file, a terminal - and what each answer means.

A webhook gets a POST of JSON with `idempotency-key` (the message's name for life), `k12edge-timestamp` (Unix
seconds) and `k12edge-signature`: `v1=` and the hex HMAC-SHA256, under the secret, of the timestamp, a full stop and
the body's bytes.
"""

from __future__ import annotations

import hmac
import os
import stat
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Literal, Protocol, TextIO

import httpx2

from hub.city.login import retry_after_ms
from hub.config import MessagesPlan
from protocol.errors import ConfigError

Outcome = Literal["taken", "refused", "again", "wait", "misrouted"]
CONNECT_S: Final = 10.0
READ_S: Final = 10.0
WHOLE_S: Final = 30.0
"""An answer that trickles ends after this time; its status stands at its beginning."""
ANSWER_BYTES_MAX: Final = 64 * 1024
FILE_BYTES_MAX: Final = 256 * 1024 * 1024
SECRET_BYTES_MIN: Final = 32
SECRET_BYTES_MAX: Final = 512
REFUSED: Final = (400, 413, 415, 422)
MISROUTED: Final = (401, 403, 404, 405, 410)


@dataclass(frozen=True, slots=True)
class Delivery:
    """What became of a message.

    `taken`: it is the receiver's now. `refused`: it never will be. `again`, `wait` (for `wait_ms`), `misrouted` (a
    person must look): it is still owed. `left` False: it surely never left the hub, so that nobody can have got it.
    """

    outcome: Outcome
    detail: str = ""
    wait_ms: int = 0
    left: bool = True


class Sink(Protocol):
    """A way out of the hub."""

    def send(self, key: str, body: bytes, text: str) -> Delivery:
        """Hand one message over: `body` for programs, `text` for people. Never raises.

        The same key again is the same message: whoever has it answers that it is taken.
        """

    def close(self) -> None:
        """Give back what is held."""


class Console:
    """Each message as a line on a terminal, for trials."""

    def __init__(self, out: TextIO | None = None) -> None:
        """Write to standard output, or elsewhere."""
        self._out = sys.stdout if out is None else out

    def send(self, key: str, body: bytes, text: str) -> Delivery:
        """See Sink.send."""
        try:
            print(f"[{key[:8]}] {text}", file=self._out, flush=True)  # What it is for.
        except (OSError, ValueError) as problem:
            return Delivery("again", f"{type(problem).__name__}: {problem}"[:100])
        return Delivery("taken")

    def close(self) -> None:
        """See Sink.close."""


class Lines:
    """Each message as a line of JSON at the end of a file, synced; the same key may stand twice after a crash."""

    def __init__(self, path: Path) -> None:
        """The file is made at the first message, for the hub's user alone."""
        self._path = path

    def send(self, key: str, body: bytes, text: str) -> Delivery:
        """See Sink.send."""
        try:
            descriptor = os.open(self._path, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600)
            with open(descriptor, "ab") as file:
                if file.tell() + len(body) > FILE_BYTES_MAX:
                    return Delivery("misrouted", f"the file has {FILE_BYTES_MAX:,} bytes, move it away", left=False)
                file.write(body + b"\n")
                file.flush()
                os.fsync(file.fileno())
        except OSError as problem:
            return Delivery("again", f"{type(problem).__name__}: {problem.strerror}"[:100])
        return Delivery("taken")

    def close(self) -> None:
        """See Sink.close."""


class Webhook:
    """A signed POST for each message. One thread at a time; connections are kept alive, redirects never followed."""

    def __init__(
        self,
        url: str,
        secret: bytes,
        transport: httpx2.BaseTransport | None = None,
        now_s: Callable[[], float] = time.time,
    ) -> None:
        """`transport`: another wire than sockets."""
        self._url, self._secret, self._now_s = url, secret, now_s
        self.whole_s = WHOLE_S
        self._http = httpx2.Client(
            follow_redirects=False,
            timeout=httpx2.Timeout(READ_S, connect=CONNECT_S),
            trust_env=False,
            transport=transport,
        )

    def send(self, key: str, body: bytes, text: str) -> Delivery:
        """See Sink.send."""
        timestamp = str(int(self._now_s()))
        headers = {
            "content-type": "application/json",
            "idempotency-key": key,
            "k12edge-timestamp": timestamp,
            "k12edge-signature": signature(self._secret, timestamp, body),
        }
        try:
            with self._http.stream("POST", self._url, headers=headers, content=body) as response:
                seen, deadline = 0, time.monotonic() + self.whole_s
                for piece in response.iter_raw():
                    seen += len(piece)
                    if seen > ANSWER_BYTES_MAX or time.monotonic() > deadline:
                        break
                return judged(response.status_code, response.headers, self._now_s())
        except (httpx2.ConnectError, httpx2.ConnectTimeout) as problem:
            return Delivery("again", type(problem).__name__, left=False)
        except (httpx2.HTTPError, httpx2.InvalidURL, OSError, ValueError) as problem:
            return Delivery("again", type(problem).__name__)

    def close(self) -> None:
        """Give the connections back."""
        self._http.close()


def signature(secret: bytes, timestamp: str, body: bytes) -> str:
    """What a receiver compares, in constant time, and with a timestamp near its own clock."""
    return "v1=" + hmac.new(secret, timestamp.encode("ascii") + b"." + body, "sha256").hexdigest()


def judged(status: int, headers: httpx2.Headers, now_s: float) -> Delivery:
    """What a status says. 409: the receiver has that key already."""
    told = f"status {status}"
    if 200 <= status < 300 or status == 409:
        return Delivery("taken", told)
    if status in REFUSED:
        return Delivery("refused", told)
    if status == 429 or (status == 503 and "retry-after" in headers):
        return Delivery("wait", told, retry_after_ms(headers.get("retry-after"), now_s))
    if 300 <= status < 400 or status in MISROUTED:
        return Delivery("misrouted", told)
    return Delivery("again", told)


def read_secret(path: Path) -> bytes:
    """The secret that the webhook's receiver knows too: a line of at least 32 characters. Raises ConfigError."""
    where = f"[messages]: secret_file = {path}"
    try:
        # A pipe under that name would be waited for.
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
        with os.fdopen(descriptor, "rb") as file:
            found = os.fstat(descriptor)
            if not stat.S_ISREG(found.st_mode) or found.st_mode & 0o077:
                raise ConfigError(f"{where} is no file that only its owner can read", hint=f"Run chmod 0600 {path}.")
            secret = file.read(SECRET_BYTES_MAX + 1).strip()
    except OSError as problem:
        raise ConfigError(f"{where} can't be read: {problem.strerror}") from problem
    if not SECRET_BYTES_MIN <= len(secret) <= SECRET_BYTES_MAX:
        raise ConfigError(f"{where} has {len(secret)} characters, {SECRET_BYTES_MIN} to {SECRET_BYTES_MAX} are needed")
    return secret


def open_sink(plan: MessagesPlan) -> Sink | None:
    """The sink that a configuration names; None where it names none. Raises ConfigError."""
    match plan.sink:
        case "console":
            return Console()
        case "file":
            assert plan.file is not None
            return Lines(plan.file)
        case "webhook":
            assert plan.url is not None and plan.secret_file is not None
            return Webhook(plan.url, read_secret(plan.secret_file))
        case _:
            return None
