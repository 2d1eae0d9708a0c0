"""Signals as lines: on a terminal for people, as JSON for machines. GPIO and reader LEDs are further sinks."""

from __future__ import annotations

import os
import select
import stat
import sys
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Final

import msgspec

from edge.ports import Recorded, Warning_
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


class _Line(msgspec.Struct, frozen=True):
    """A `jsonl` signal; docs/reference/signals.md."""

    signal: str
    tap: str | None
    station: str | None
    card: str | None
    mono_ms: int
    code: str | msgspec.UnsetType = msgspec.UNSET


class LineSignals:
    """See ports.Signals: every signal goes to every sink, each by one write(2)."""

    def __init__(self, sinks: Sequence[str], mono_ns: Callable[[], int]) -> None:
        """Open the sinks: `terminal`, `jsonl:-` (standard output), `jsonl:PATH` (appended). Raises ConfigError."""
        self._mono_ns = mono_ns
        self._jsonl: list[int] = []
        self._terminal = False
        self._owned: list[int] = []
        self._torn: set[int] = set()
        self._may_block: set[int] = set()
        self._stuck: set[int] = set()
        self.failed_writes = 0
        for sink in sinks:
            if sink == "terminal":
                self._terminal = True
            elif sink == "jsonl:-":
                self._jsonl.append(sys.stdout.fileno())
            elif sink.startswith("jsonl:"):
                path = Path(sink.removeprefix("jsonl:"))
                try:
                    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o644)
                except OSError as problem:
                    raise ConfigError(f"signals.sinks: {path} can't be written: {problem}") from problem
                self._jsonl.append(descriptor)
                self._owned.append(descriptor)
            else:
                raise ConfigError(f"signals.sinks: {sink!r} is not terminal, jsonl:- or jsonl:PATH")

        for descriptor in (*self._jsonl, *((TERMINAL,) if self._terminal else ())):
            with suppress(OSError):
                if not stat.S_ISREG(os.fstat(descriptor).st_mode):
                    self._may_block.add(descriptor)

    def show(self, recorded: Recorded) -> None:
        """See Signals.show."""
        self._send(_Line(recorded.signal, str(recorded.tap), recorded.station, recorded.card, self._now_ms()))

    def warn(self, warning: Warning_) -> None:
        """See Signals.warn."""
        self._send(_Line(warning.caution, None, warning.station, warning.card, self._now_ms(), warning.code))

    def _now_ms(self) -> int:
        return self._mono_ns() // 1_000_000

    def _send(self, line: _Line) -> None:
        payload = msgspec.json.encode(line) + b"\n"
        for descriptor in self._jsonl:
            self._write(descriptor, payload)
        if self._terminal:
            code = "" if line.code is msgspec.UNSET else f" [{line.code}]"
            self._write(TERMINAL, f"{line.station or '-'}: {WORDS[line.signal]}{code}\n".encode())

    def _write(self, descriptor: int, payload: bytes) -> None:
        """One write; a sink that is gone, full, or read by nobody must not stop the others, nor the tap."""
        if descriptor in self._torn:
            # A full disk took a part of the last line; this one begins anew.
            payload = b"\n" + payload
        try:
            if descriptor in self._may_block and not self._has_room(descriptor):
                raise BlockingIOError
            written = os.write(descriptor, payload)
        except (OSError, ValueError):
            self.failed_writes += 1
            return
        if written == len(payload):
            self._torn.discard(descriptor)
        elif written:
            self._torn.add(descriptor)
            self.failed_writes += 1

    def _has_room(self, descriptor: int) -> bool:
        """Whether a pipe or terminal takes a line now. One that didn't is waited for again only when it did."""
        patience_s = 0.0 if descriptor in self._stuck else SINK_PATIENCE_S
        if select.select([], [descriptor], [], patience_s)[1]:
            self._stuck.discard(descriptor)
            return True
        self._stuck.add(descriptor)
        return False

    def close(self) -> None:
        """Close the files that were opened here."""
        for descriptor in self._owned:
            os.close(descriptor)
        self._owned = []
