"""OSDP readers and turnstiles on RS-485: a control panel for one reader, through libosdp, Secure Channel or nothing.

Of libosdp only its C part is used, on our own thread: `poll` turns it. What it calls back must not raise, since its
exceptions would cross C code, and it never lets go of what it was given: one channel object for a reader's life.
"""

from __future__ import annotations

import logging
import re
import termios
import time
from collections.abc import Sequence
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any, Final

import serial

from edge.ports import CardRead, Caution, ReaderGone, Signal
from edge.readers.osdpcards import BitPlans
from edge.readers.osdpfeedback import OsdpFeedback, lamp_command, sound_command
from edge.readers.osdpwire import IDENTIFY, LAMP, SOUND, OsdpWire
from edge.readers.seldom import seldom
from edge.readers.stableport import StablePort
from edge.readers.tty import why
from host.secretfile import SecretNotRead, read_secret
from protocol.cardforms import PartialPlan
from protocol.errors import CardNumberError, ReaderInsecure, ReaderKeyWrong, ReaderLost, ReaderRefused

BAUDS: Final = (9600, 19200, 38400, 57600, 115200, 230400)
"""The speeds of OSDP 2.2; the first is every reader's at first."""
KEY_BYTES: Final = 16
"""AES-128."""
KEY_FILE_BYTES_MAX: Final = 100
"""32 hex digits, a line's end, and blanks."""
DEFAULT_KEY: Final = bytes(range(0x30, 0x40))
"""SCBK-D, which every reader has at first and everybody knows (OSDP 2.2)."""
OPEN_S: Final = 1.9
"""The handshake has four exchanges; the rest of the 3 s of Reader.open is for asking before it, and why it failed."""
POLL_S: Final = 0.1
EVERY_S: Final = 0.0515
"""libosdp asks a reader 50 ms after its last reply (OSDP_PD_POLL_TIMEOUT_MS), compared in whole milliseconds."""
SILENT_S: Final = 3.0
"""Three questions without a sound reply; libosdp itself would wait for nine seconds."""
STEPS: Final = 3
"""Turns of libosdp from a reply to the next command: it makes one step at a time."""
IDLE_S: Final = 0.01
ASKED_MAX: Final = 3
"""A first question may meet a reader that is in the middle of something."""

log = logging.getLogger("k12edge.osdp")


class _Channel:
    """What libosdp calls for bytes; it holds no line of its own, so that a line which ended is let go of."""

    id = 0

    def __init__(self) -> None:
        self.wire: OsdpWire | None = None

    def read(self, limit: int) -> bytes:
        return b"" if self.wire is None else self.wire.read(limit)

    def write(self, frame: bytes) -> int:
        return 0 if self.wire is None else self.wire.write(frame)

    def flush(self) -> None:
        if self.wire is not None:
            self.wire.flush()


class OsdpReader:
    """See ports.Reader. One reader on its line; a card is reported once for each time that the reader says it."""

    pause_s = 0.0
    moments = True

    def __init__(self, path: str, key_file: str, address: int, baud: int, plans: BitPlans) -> None:
        """`path` of the tty, which may appear later, as may the file with the reader's key in 32 hex digits."""
        self._path, self._key_file, self._address, self._baud = path, key_file, address, baud
        self._plans = plans
        self.feedback = OsdpFeedback()
        self._port = StablePort(path)
        self._channel = _Channel()
        self._library: Any = None
        self._panel: Any = None
        self._came: list[tuple[int, bytes]] = []
        self._resting: tuple[bytes, Any] | None = None
        self._steps = 0
        self._mute: set[int] = set()
        self.unread = 0

    @property
    def partials(self) -> tuple[PartialPlan, ...]:
        """See Reader.partials."""
        return self._plans.partials()

    def open(self) -> None:
        """See Reader.open: a fresh context each time; libosdp leaves a reader alone for 300 s after a fault."""
        self.close()
        self._library = _library()
        key = read_key(self._key_file)
        path = self._port.find()
        try:
            self._channel.wire = OsdpWire(path, self._baud, self._address)
        except (OSError, serial.SerialException, termios.error) as problem:
            raise ReaderLost(f"{self._path} can't be opened: {why(problem)}") from problem
        self._port.opened(path)
        try:
            self._begin(key)
        except BaseException:
            self.close()
            raise

    def _begin(self, key: bytes) -> None:
        wire = self._channel.wire
        assert wire is not None
        # Who doesn't answer at all gets no context: libosdp 3.2.9 loses some bytes of memory with each.
        if not any(wire.ask(bytes((IDENTIFY, 0))) for _ in range(ASKED_MAX)):
            raise self._unsafe(wire)
        self._steps = 0
        self._panel = self._revived(key) or self._made(key)
        deadline_s = time.monotonic() + OPEN_S
        while not self._secure():
            left_s = deadline_s - time.monotonic()
            if left_s <= 0 or self._turn(wire, left_s):
                self._resting = key, self._panel
                raise self._unsafe(wire)

    def _made(self, key: bytes) -> Any:
        # Its log lines go to standard error, and speak of 300 s that don't concern us.
        self._library.set_loglevel(self._library.LOG_EMERG)
        # Never without FLAG_ENFORCE_SECURE: libosdp would send our key to a reader under the key that everybody knows.
        flags = self._library.FLAG_ENFORCE_SECURE
        reader = {"name": "", "address": self._address, "flags": flags, "scbk": key, "channel": self._channel}
        panel = self._library.ControlPanel([reader])
        panel.set_event_callback(self._happened)
        return panel

    def _revived(self, key: bytes) -> Any:
        """The context of a reader whose handshake failed, back at its beginning; None where a new one is needed."""
        resting, self._resting = self._resting, None
        if resting is None or resting[0] != key:
            return None
        panel = resting[1]
        panel.disable_pd(0)
        panel.refresh()
        if panel.is_pd_enabled(0):
            return None
        panel.enable_pd(0)
        panel.refresh()
        return panel

    def _secure(self) -> bool:
        return bool(self._panel.status() & 1 and self._panel.sc_status() & 1)

    def _unsafe(self, wire: OsdpWire) -> ReaderLost:
        """What keeps a reader that may be there from being taken."""
        who = f"the OSDP reader {self._address} on {self._path}"
        match wire.verdict():
            case "plain":
                return ReaderInsecure(f"{who} has no Secure Channel; none of its cards is taken")
            case "default key":
                return ReaderInsecure(f"{who} still takes the default key (install mode); none of its cards is taken")
            case "other key":
                return ReaderKeyWrong(f"{who} has another key than {self._key_file}; none of its cards is taken")
            case "ended":
                return ReaderGone(f"{self._path}: the line has ended")
            case _:
                return ReaderLost(f"no OSDP reader answers as {self._address} on {self._path} at {self._baud} baud")

    def poll(self) -> Sequence[CardRead]:
        """See Reader.poll: turns libosdp until a card comes, for 100 ms at most."""
        wire = self._channel.wire
        if self._panel is None or wire is None:
            raise ReaderLost("the reader is not open")
        deadline_s = time.monotonic() + POLL_S
        while not self._came and (left_s := deadline_s - time.monotonic()) > 0:
            if wire.silent_s() > SILENT_S:
                raise ReaderLost(f"the OSDP reader {self._address} on {self._path} is silent")
            self._show()
            if self._turn(wire, left_s):
                self._declined(wire)
                raise ReaderLost(f"the OSDP reader {self._address} on {self._path} left the Secure Channel")
        came, self._came = self._came, []
        return tuple(read for bits, data in came if (read := self._read(bits, data)) is not None)

    def _read(self, bits: int, data: bytes) -> CardRead | None:
        try:
            return self._plans.read(bits, data)
        except CardNumberError as problem:
            self.unread += 1
            if seldom(self.unread):
                log.warning("%s: %d reads were no card, the last: %s", self._path, self.unread, problem)
            return None

    def _turn(self, wire: OsdpWire, patience_s: float) -> bool:
        """One step of libosdp, and the wait until the next makes sense, at most `patience_s`. Whether it gave up."""
        self._panel.refresh()
        if wire.ended:
            raise ReaderGone(f"{self._path}: the line has ended")
        if wire.awaiting:
            self._steps = 0
            wire.wait(min(patience_s, EVERY_S))
            return False
        self._steps += 1
        if self._steps <= STEPS:
            return False
        self._steps = 0
        if wire.handshake.settled and not self._panel.status() & 1:
            # It has its reply, isn't on line, and says nothing more: it is off line, for 300 s if it were for libosdp.
            return True
        rest_s = wire.heard_s + EVERY_S - time.monotonic()
        pause = self.feedback.wanted.wait if self._secure() else time.sleep
        pause(min(patience_s, rest_s if rest_s > 0 else IDLE_S))
        return False

    def _happened(self, _reader: int, event: dict[str, Any]) -> None:
        """An event, called from within libosdp: note it."""
        try:
            if event["event"] == self._library.EVENT_CARDREAD and "length" in event and self._panel.sc_status() & 1:
                self._came.append((event["length"], event["data"]))
        except Exception:
            log.exception("%s: an event of libosdp can't be understood", self._path)
        finally:
            # libosdp 3.2.9 never releases the dictionary; emptied it has 80 bytes.
            event.clear()

    def _declined(self, wire: OsdpWire) -> None:
        # What a reader declines takes it off line each time, and cards matter more than its lamp.
        command = {LAMP: self._library.CMD_LED, SOUND: self._library.CMD_BUZZER}.get(wire.handshake.declined or 0)
        if command is not None and command not in self._mute:
            self._mute.add(command)
            log.warning("%s: the reader declines what its lamp or buzzer was told; it isn't told again", self._path)

    def _show(self) -> None:
        """Hand the newest pattern to libosdp, which sends it before it asks again."""
        if not self.feedback.wanted.is_set() or not self._secure():
            return
        pattern = self.feedback.take()
        if pattern is None:
            return
        library, panel = self._library, self._panel
        panel.flush_commands(0)
        for capability, command in (
            (library.CAP_READER_LED_CONTROL, lamp_command(library, pattern)),
            (library.CAP_READER_AUDIBLE_OUTPUT, sound_command(library, pattern)),
        ):
            if command["command"] not in self._mute and all(panel.check_capability(0, capability)):
                panel.submit_command(0, command)
        self._steps = 0

    def pattern(self, name: Signal | Caution) -> None:
        """See ports.Feedback."""
        self.feedback.pattern(name)

    def close(self) -> None:
        """See Reader.close."""
        # libosdp's context ends with its last reference; none of its calls is under way on this thread.
        self._panel = None
        self._came = []
        wire, self._channel.wire = self._channel.wire, None
        if wire is not None:
            wire.close()


def _library() -> Any:
    try:
        import osdp_sys
    except ImportError as problem:
        try:
            version("osdp")
        except PackageNotFoundError:
            raise ReaderRefused("osdp wants a library that is missing: pip install 'k12edge[osdp]'") from problem
        raise ReaderRefused(
            "the package osdp is not the library of this name that is wanted (libosdp):"
            " pip uninstall osdp, then pip install 'k12edge[osdp]'"
        ) from problem
    return osdp_sys


def read_key(path: str) -> bytes:
    """The reader's key; raises ReaderRefused with what to do for a file that others may read, or that holds none."""
    try:
        text = read_secret(Path(path), KEY_FILE_BYTES_MAX)
    except SecretNotRead as problem:
        mend = f"; chmod 600 {path}" if problem.open_to_others else ""
        raise ReaderRefused(f"key-file {path} {problem}{mend}") from problem
    found = re.fullmatch(rb"\s*([0-9A-Fa-f]{32})\s*", text)
    if found is None:
        raise ReaderRefused(f"key-file {path} is not 32 hex digits: write the reader's key into it")
    key = bytes.fromhex(found[1].decode("ascii"))
    if key == DEFAULT_KEY or len(set(key)) == 1:
        raise ReaderRefused(f"key-file {path} holds a key that everybody knows: set one of its own in the reader")
    assert len(key) == KEY_BYTES
    return key
