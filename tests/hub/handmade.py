"""A gateway made by hand: it signs and chains as a real one does, and anything else when a test asks for it."""

from __future__ import annotations

import secrets
from dataclasses import dataclass, field, replace
from typing import Any

import msgspec

from protocol.batch import encode_batch
from protocol.envelope import clock_data, digest, encode_event
from protocol.signing import Identity, sign_message
from protocol.status import DeviceState, HeldJournal
from protocol.taps import ClockData, ClockReading, TapData, TapId
from protocol.topics import device_source, device_topic

SCHOOL = "79000701"
T0_MS = 1_795_000_000_000
BOOT = "7d3e0c2a"


def new_identity() -> Identity:
    return Identity(secrets.token_bytes(32), secrets.token_bytes(32))


def tap_data(number: int, clock: ClockData) -> TapData:
    return TapData(
        "gate",
        "cong-a",
        "in",
        f"hk1:{number:011d}",
        f"st-{number}",
        "accepted",
        None,
        "ok",
        "r-20261122T180011Z-1",
        clock,
    )


@dataclass
class Run:
    """One journal: its records' exact bytes, from sequence 1."""

    source: str
    journal: str = field(default_factory=lambda: secrets.token_hex(8))
    boot: str = BOOT
    lines: list[bytes] = field(default_factory=list)

    def add(
        self, kind: str, data: Any, *, err_ms: int | None = 15, prev: str | None = None, mono_ms: int | None = None
    ) -> bytes:
        """Append a record; `prev` replaces the true one, `mono_ms` the second that is its own."""
        sequence = len(self.lines) + 1
        mono_ms = sequence * 1000 if mono_ms is None else mono_ms
        at_ms = T0_MS + mono_ms
        reading = ClockReading(self.boot, mono_ms, at_ms, at_ms, "none" if err_ms is None else "ntp", err_ms)
        clock = clock_data(reading)
        raw = encode_event(
            TapId(self.journal, sequence),
            source=self.source,
            kind=kind,
            time_ms=at_ms,
            recorded_ms=at_ms + 3,
            prev=None if sequence == 1 else prev or digest(self.lines[-1]),
            data=data(clock) if callable(data) else {**data, "clock": clock},
        )
        self.lines.append(raw)
        return raw

    def open(self, *, after: Run | None = None, **more: Any) -> Run:
        previous = None
        if after is not None:
            previous = {"journal": after.journal, "last": len(after.lines), "head": digest(after.lines[-1])}
        self.add("journal.opened", {"journal": self.journal, "previous": previous, "key": "-", "version": "0"}, **more)
        return self

    def taps(self, count: int, **more: Any) -> Run:
        for _ in range(count):
            number = len(self.lines)
            self.add("attendance.tap", lambda clock, number=number: tap_data(number, clock), **more)
        return self


@dataclass
class Gateway:
    """A device with one identity and its runs."""

    device: str = "cong"
    identity: Identity = field(default_factory=new_identity)
    runs: dict[str, Run] = field(default_factory=dict)
    mono_ms: int = 5_000

    @property
    def source(self) -> str:
        return device_source(SCHOOL, self.device)

    def topic(self, leaf: str) -> str:
        return device_topic(SCHOOL, self.device, leaf)

    def run(self, taps: int = 0, *, after: Run | None = None, **more: Any) -> Run:
        """A new journal with its first record and so many taps."""
        run = Run(self.source)
        self.runs[run.journal] = run
        return run.open(after=after, **more).taps(taps, **more)

    def batch(self, run: Run, first: int = 1, last: int | None = None, lines: list[bytes] | None = None) -> bytes:
        """Records `first` to `last` of a journal, signed; or other `lines` under those names."""
        taken = run.lines[first - 1 : last] if lines is None else lines
        return encode_batch(self.identity, run.journal, first, taken)

    def state(self, runs: list[Run] | None = None, **changes: Any) -> bytes:
        """A signed state message that lists these runs (all of them)."""
        listed = list(self.runs.values()) if runs is None else runs
        held = {
            run.journal: HeldJournal(1, len(run.lines), digest(run.lines[-1]) if run.lines else None, 0)
            for run in listed
        }
        state = DeviceState(
            state="ready",
            connection=1,
            key=self.identity.key,
            box=self.identity.box,
            boot=BOOT,
            mono=self.mono_ms,
            wall="2026-11-23T06:58:12.417+07:00",
            sync="ntp",
            version="0",
            journal=listed[-1].journal if listed else "0" * 16,
            journals=held,
            owed=sum(len(run.lines) for run in listed),
        )
        fields = {name: getattr(state, name) for name in DeviceState.__struct_fields__} | changes
        return self.signed("state", msgspec.json.encode(DeviceState(**fields)))

    def signed(self, leaf: str, body: bytes) -> bytes:
        return sign_message(self.identity, self.topic(leaf), body)

    def lost(self) -> bytes:
        """What the broker says when the connection dies."""
        return self.signed("state", b'{"state":"lost"}')

    def impostor(self) -> Gateway:
        """Another key under the same name."""
        return replace(self, identity=new_identity(), runs={})
