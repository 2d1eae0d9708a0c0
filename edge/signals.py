"""Signals to their sinks: lines for people and machines, patterns for lamps and buzzers on pins and on readers."""

from __future__ import annotations

import errno
import os
import select
import stat
import sys
import threading
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

import msgspec

from edge.pinplan import SCHEME as GPIO
from edge.pinplan import parse_pins
from edge.pins import PinPanel
from edge.player import GRACE_S, Player
from edge.ports import Caution, Feedback, Recorded, Signal, Warning_
from protocol.errors import ConfigError

WORDS = {
    "accepted": "✓ đã ghi / recorded",
    "repeated": "✓ đã ghi rồi / already recorded",
    "refused": "✗ mời gặp thầy cô / please see a teacher",
    "wait": "… chờ một chút / please wait",
    "alarm": "! thiết bị lỗi / device fault",
}
"""What each signal says to people, Vietnamese first."""


TERMINAL: Final = 2
SINK_PATIENCE_S: Final = 0.05
"""How long a signal waits for a pipe or terminal that takes nothing; those that follow don't, until it takes one."""


@dataclass(slots=True, eq=False)
class _Sink:
    """Where lines go. A named pipe without a reader has no descriptor: opening is tried again at the next signal.

    `lock`: what is closed here must not be written by another lane, under a number that is another file's by then.
    """

    descriptor: int | None
    path: Path | None = None
    may_block: bool = False
    torn: bool = False
    stuck: bool = False
    lock: threading.Lock = field(default_factory=threading.Lock)

    def open(self) -> None:
        """Open what has a path, never waiting for whoever is to read it. Raises OSError."""
        assert self.path is not None
        flags = os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC | os.O_NONBLOCK
        try:
            self.descriptor = os.open(self.path, flags, 0o644)
        except OSError as problem:
            if problem.errno != errno.ENXIO or not stat.S_ISFIFO(os.stat(self.path).st_mode):
                raise
        self.torn = self.stuck = False

    def close(self) -> None:
        """Close what was opened here; standard output and the terminal stay."""
        if self.path is not None and self.descriptor is not None:
            descriptor, self.descriptor = self.descriptor, None
            os.close(descriptor)


@dataclass(frozen=True, slots=True)
class _Lamps:
    """Lamps and a buzzer on pins; `station` as in PinPlan."""

    station: str | None
    player: Player


class _Line(msgspec.Struct, frozen=True):
    """A `jsonl` signal; docs/reference/signals.md."""

    signal: str
    tap: str | None
    station: str | None
    card: str | None
    mono_ms: int
    code: str | msgspec.UnsetType = msgspec.UNSET


class LineSignals:
    """See ports.Signals: every signal goes to every sink; to lines by one write(2), to lamps without waiting."""

    def __init__(self, sinks: Sequence[str], mono_ns: Callable[[], int]) -> None:
        """Open the sinks: `terminal`, `jsonl:-` (standard output), `jsonl:PATH` (appended), `gpio:PINS`.

        Raises ConfigError.
        """
        self._mono_ns = mono_ns
        self._jsonl: list[_Sink] = []
        self._terminal: _Sink | None = None
        self._lamps: list[_Lamps] = []
        self._readers: dict[str, Feedback] = {}
        self.failed_writes = 0
        try:
            for sink in sinks:
                self._open(sink)
        except BaseException:
            self.close()
            raise
        for made in (*self._jsonl, *(() if self._terminal is None else (self._terminal,))):
            with suppress(OSError):
                made.may_block = made.descriptor is None or not stat.S_ISREG(os.fstat(made.descriptor).st_mode)

    def _open(self, sink: str) -> None:
        if sink == "terminal":
            self._terminal = _Sink(TERMINAL)
        elif sink == "jsonl:-":
            self._jsonl.append(_Sink(sys.stdout.fileno()))
        elif sink.startswith("jsonl:"):
            made = _Sink(None, Path(sink.removeprefix("jsonl:")))
            try:
                made.open()
            except OSError as problem:
                raise ConfigError(f"signals.sinks: {made.path} can't be written: {problem}") from problem
            self._jsonl.append(made)
        elif sink.startswith(GPIO):
            plan = parse_pins(sink)
            try:
                panel = PinPanel(plan)
            except ConfigError as problem:
                raise ConfigError(f"signals.sinks: {sink}: {problem}", hint=problem.hint) from problem
            self._lamps.append(_Lamps(plan.station, Player(panel)))
        else:
            raise ConfigError(f"signals.sinks: {sink!r} is not terminal, jsonl:-, jsonl:PATH or gpio:PINS")

    def add_reader(self, station: str, feedback: Feedback) -> None:
        """Have a reader's own lamp and buzzer told of its station's signals."""
        self._readers[station] = feedback

    def show(self, recorded: Recorded) -> None:
        """See Signals.show."""
        self._light(recorded.signal, recorded.station)
        self._send(_Line(recorded.signal, str(recorded.tap), recorded.station, recorded.card, self._now_ms()))

    def warn(self, warning: Warning_) -> None:
        """See Signals.warn."""
        self._light(warning.caution, warning.station)
        self._send(_Line(warning.caution, None, warning.station, warning.card, self._now_ms(), warning.code))

    def _light(self, name: Signal | Caution, station: str | None) -> None:
        """Lamps first: their threads start while the lines are written."""
        for lamps in self._lamps:
            if station is None:
                # Nobody's: it cuts off no pupil's light.
                lamps.player.later(name)
            elif lamps.station in (None, station):
                lamps.player.pattern(name)
        if station is not None and (reader := self._readers.get(station)) is not None:
            reader.pattern(name)

    def _now_ms(self) -> int:
        return self._mono_ns() // 1_000_000

    def _send(self, line: _Line) -> None:
        payload = msgspec.json.encode(line) + b"\n"
        for sink in self._jsonl:
            self._write(sink, payload)
        if self._terminal is not None:
            code = "" if line.code is msgspec.UNSET else f" [{line.code}]"
            self._write(self._terminal, f"{line.station or '-'}: {WORDS[line.signal]}{code}\n".encode())

    def _write(self, sink: _Sink, payload: bytes) -> None:
        """One write; a sink that is gone, full, or read by nobody must not stop the others, nor the tap."""
        try:
            with sink.lock:
                whole = self._write_line(sink, payload)
        except (OSError, ValueError):
            whole = False
        self.failed_writes += not whole

    def _write_line(self, sink: _Sink, payload: bytes) -> bool:
        if sink.descriptor is None:
            sink.open()
        if sink.descriptor is None or (sink.may_block and not self._has_room(sink, sink.descriptor)):
            return False
        if sink.torn:
            # A full disk took a part of the last line; this one begins anew.
            payload = b"\n" + payload
        try:
            written = os.write(sink.descriptor, payload)
        except BrokenPipeError:
            # The reader left; the next one finds the pipe under its name.
            sink.close()
            return False
        sink.torn = 0 < written < len(payload) or (sink.torn and not written)
        return written == len(payload)

    def _has_room(self, sink: _Sink, descriptor: int) -> bool:
        """Whether a pipe or terminal takes a line now. One that didn't is waited for again only when it did."""
        patience_s = 0.0 if sink.stuck else SINK_PATIENCE_S
        sink.stuck = not select.select([], [descriptor], [], patience_s)[1]
        return not sink.stuck

    def darken(self, grace_s: float = GRACE_S) -> None:
        """Have the lamps dark from now on, after `grace_s` at most for what recorded taps show; lines go on."""
        lamps, self._lamps = self._lamps, []
        for one in lamps:
            one.player.end()
        for one in lamps:
            one.player.close(grace_s)

    def close(self) -> None:
        """Close the files that were opened here; lamps go dark."""
        self.darken()
        sinks, self._jsonl = self._jsonl, []
        for sink in sinks:
            if not sink.may_block:
                sink.close()
                continue
            with sink.lock:
                sink.close()
