"""A simulated reader: cards are held to it by a command, for trials without hardware; a driver like any other."""

from __future__ import annotations

import os
import re
import select
import socket
import tempfile
import time
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Final

from edge.ports import CardRead
from edge.readers.presence import CARDS_MAX
from protocol.cardforms import PartialPlan
from protocol.cards import CardUid, parse_card
from protocol.errors import CardNumberError, ReaderLost, ReaderRefused

NAME: Final = re.compile(r"[a-z0-9][a-z0-9-]{0,31}")
HOLD_MS: Final = 300
"""How long a card stays when nothing else is said: a tap of a hand."""
HOLD_MS_MAX: Final = 3_600_000
WORDS_BYTES_MAX: Final = 128
WAIT_S: Final = 0.1
TAKEN_MAX: Final = 64
"""Cards taken in one look; more wait in the socket."""


class SimulatedReader:
    """See ports.Reader. `hold` puts a card before it, from any process of the same user."""

    pause_s = 0.0
    moments = False
    partials: tuple[PartialPlan, ...] = ()
    unread = 0

    def __init__(self, name: str) -> None:
        """Nothing is opened."""
        self._path = socket_path(name)
        self._socket: socket.socket | None = None
        self._until_ns: dict[CardUid, int] = {}

    def open(self) -> None:
        """See Reader.open. One process at a time has a name."""
        self.close()
        made = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        try:
            made.setblocking(False)
            if _somebody_listens(self._path):
                raise ReaderLost(f"another process has the simulated reader {self._path.stem}")
            self._path.unlink(missing_ok=True)
            made.bind(str(self._path))
            self._path.chmod(0o600)
        except OSError as problem:
            made.close()
            raise ReaderLost(f"{self._path} can't be made: {problem}") from problem
        except ReaderLost:
            made.close()
            raise
        self._socket = made

    def poll(self) -> Sequence[CardRead]:
        """See Reader.poll. A card that came and went between two looks is shown all the same, once."""
        if self._socket is None:
            raise ReaderLost("the simulated reader is not open")
        now_ns = time.clock_gettime_ns(time.CLOCK_BOOTTIME)
        there = {card: until_ns for card, until_ns in self._until_ns.items() if until_ns > now_ns}
        # While a card lies there, it is told of at a reader's usual pace.
        wait_s = 0.015 if there else WAIT_S
        select.select([self._socket], [], [], wait_s)
        came: list[CardUid] = []
        for _ in range(TAKEN_MAX):
            try:
                words = self._socket.recv(WORDS_BYTES_MAX)
            except BlockingIOError:
                break
            with suppress(CardNumberError, ValueError):
                card, hold_ms = _read(words)
                came.append(card)
                there[card] = time.clock_gettime_ns(time.CLOCK_BOOTTIME) + hold_ms * 1_000_000
        while len(there) > CARDS_MAX:
            del there[next(iter(there))]
        self._until_ns = there
        return tuple(CardRead(card) for card in dict.fromkeys((*there, *came)))

    def close(self) -> None:
        """See Reader.close; cards that lie there stay."""
        made, self._socket = self._socket, None
        if made is not None:
            made.close()
            with suppress(OSError):
                self._path.unlink()


def socket_path(name: str) -> Path:
    """Where the reader of a name listens, in a folder of this user's alone. Raises ReaderRefused."""
    if not NAME.fullmatch(name):
        raise ReaderRefused(f"simulated:{name[:40]!r}: a name has a-z, 0-9 and -, at most 32 of them")
    folder = Path(os.environ.get("XDG_RUNTIME_DIR") or tempfile.gettempdir()) / f"k12edge-{os.getuid()}"
    try:
        folder.mkdir(mode=0o700, exist_ok=True)
        found = folder.lstat()
    except OSError as problem:
        raise ReaderRefused(f"{folder} can't be made: {problem}") from problem
    if found.st_uid != os.getuid() or found.st_mode & 0o077:
        raise ReaderRefused(f"{folder} is another user's, or open to others")
    return folder / f"{name}.reader"


def hold(name: str, card: CardUid, hold_ms: int = HOLD_MS) -> None:
    """Hold a card to the simulated reader of a name. Raises ReaderLost when nobody reads it, ReaderRefused."""
    path = socket_path(name)
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as line:
        line.settimeout(1.0)
        try:
            line.sendto(f"{card.canonical} {hold_ms}".encode("ascii"), str(path))
        except OSError as problem:
            raise ReaderLost(f"nobody reads simulated:{name} ({problem.strerror or problem})") from problem


def _read(words: bytes) -> tuple[CardUid, int]:
    """`card [hold_ms]`. Raises CardNumberError, ValueError."""
    text, _, hold = words.decode("ascii").strip().partition(" ")
    hold_ms = int(hold or HOLD_MS)
    if not 1 <= hold_ms <= HOLD_MS_MAX:
        raise ValueError(f"{hold_ms} ms")
    return parse_card(text), hold_ms


def _somebody_listens(path: Path) -> bool:
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as line:
        try:
            line.connect(str(path))
        except OSError:
            return False
        return True
