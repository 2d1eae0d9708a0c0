"""The roster releases under fuzz: kept by a gateway, and judged by at a station with a real journal."""

from __future__ import annotations

import secrets
import zlib
from pathlib import Path
from random import Random
from typing import Any

import msgspec

from edge.clock import SystemClock
from edge.config import StationPlan
from edge.decide import RecentTaps, decide
from edge.journal import SqliteJournal
from edge.ports import CardSeen, Recorded, Warning_
from edge.rosterstore import RosterStore
from edge.station import Station
from protocol.cards import CardKey, CardUid
from protocol.envelope import clock_data, encode_event
from protocol.errors import BadMessage
from protocol.roster import RELEASE_BYTES_MAX, Release, pack_release, unpack_release
from protocol.taps import SIGNAL_WORDS, ClockReading, TapData, TapId
from sim.fuzz.messages import BOOT, GATEWAY, JOURNALS, SCHOOL, SOURCE, T0_MS, example
from sim.fuzz.mutator import Mutator, sound_bytes, sound_json
from sim.fuzz.parser import Parser, must


class Rosters(Parser):
    """`roster`: a release as it comes, packed; the gateway keeps it and judges by it."""

    name = "roster"
    every = 200
    cpu_ms_max = 1500.0
    bytes_max = 256 * 1024 * 1024

    def __init__(self, folder: Path) -> None:
        """See Parser."""
        super().__init__(folder)
        gate = Release(
            "r-20261122T180011Z-2", 2, SCHOOL, "gate", [1, 2],
            {"hk1:sNZBLYvYFfc": ["st-1"], "hk2:AAAAAAAAAAA": ["st-2"]}, {"hk1:BBBBBBBBBBB": "lost"},
        )  # fmt: skip
        sound = [msgspec.json.encode(gate), example("roster")]
        self._mutator = Mutator([sound_json(raw) for raw in sound])
        self._packed = Mutator([sound_bytes(_packed(raw)) for raw in sound])
        self._bombs = (
            _packed(bytes(RELEASE_BYTES_MAX + 2)), _packed(sound[0] + b" " * (RELEASE_BYTES_MAX - len(sound[0]))),
            _packed(sound[0] + b" " * RELEASE_BYTES_MAX), _packed(b"[" * 1_000_000),
            _packed(sound[0]) + _packed(bytes(9_000_000)),
            _packed(b'{"release":"' + b"r" * 9_000_000 + sound[0][12:]),
        )  # fmt: skip
        self._clock = ClockReading(BOOT, 1, T0_MS, T0_MS, "ntp", 15)
        self._keep: _Keeper | None = None

    def made(self, rng: Random) -> bytes:
        """See Parser."""
        draw = rng.random
        kind = draw()
        if kind < 0.0002:
            return self._bombs[int(draw() * len(self._bombs))]
        if kind < 0.15:
            return self._packed.mutated(rng)
        return _packed(self._mutator.mutated(rng))

    def take(self, octets: bytes) -> Release:
        """See Parser."""
        release = unpack_release(octets)
        if len(octets) < 4096:
            must(unpack_release(pack_release(release)) == release, "it reads otherwise when written")
        for keyed in (*list(release.cards)[:3], *list(release.blocked)[:2], "hk1:sNZBLYvYFfc"):
            judged = decide(
                CardUid("a", "04A1B2C3"), keyed, school_key=True, release=release, recent=RecentTaps(5000), at_ms=1
            )
            data = TapData(
                "gate", "cong", "in", keyed[:40], judged.student, judged.outcome, judged.reason,
                SIGNAL_WORDS[judged.outcome], judged.roster, clock_data(self._clock),
            )  # fmt: skip
            subject = None if judged.student is None else f"student/{judged.student}"
            try:
                encode_event(
                    TapId(JOURNALS[0], 1), source=SOURCE, kind="attendance.tap", time_ms=T0_MS, recorded_ms=T0_MS,
                    prev=None, data=data, subject=subject,
                )  # fmt: skip
            except BadMessage as problem:
                must(False, f"by this roster no tap can be written: {problem}")
        return release

    def follow(self, octets: bytes, taken: Release) -> None:
        """It goes to the disk and comes back; a station takes a tap by it, and shows it."""
        if self._keep is None:
            self._keep = _Keeper(self.folder / "gate")
        self._keep.take(octets, taken)

    def close(self) -> None:
        """See Parser."""
        if self._keep is not None:
            self._keep.journal.close()


def _packed(raw: bytes) -> bytes:
    packer = zlib.compressobj(1, wbits=31)
    return packer.compress(raw) + packer.flush()


class _Keeper:
    """A station with a real journal and roster store."""

    def __init__(self, folder: Path) -> None:
        folder.mkdir(parents=True)
        self._folder, self.clock = folder, SystemClock()
        self.journal = SqliteJournal(
            folder / "journal.db",
            journal=secrets.token_hex(8),
            source=SOURCE,
            identity=GATEWAY,
            clock=self.clock,
            version="0",
        )
        self.shown: list[Recorded] = []
        self.warned: list[Warning_] = []

    def show(self, recorded: Recorded) -> None:
        """See Signals."""
        self.shown.append(recorded)

    def warn(self, warning: Warning_) -> None:
        """See Signals."""
        self.warned.append(warning)

    def take(self, octets: bytes, release: Release) -> None:
        for path in self._folder.glob("roster-*"):
            path.unlink()
        kind: Any = release.kind
        store = RosterStore(self._folder, release.school)
        must(store.take(kind, octets), "a first release isn't taken")
        must(not store.take(kind, octets), "the same release is taken twice")
        again = RosterStore(self._folder, release.school)
        must(again.current(kind) == release and not again.damaged, "it reads otherwise from the disk")
        key = CardKey(max(1, *release.keys), bytes(32))
        station = Station(
            StationPlan("cong", kind, None, 0), clock=self.clock, journal=self.journal, signals=self,
            card_key=lambda _: key, roster=again.current,
        )  # fmt: skip
        self.shown.clear()
        station.take(CardSeen(CardUid("a", "04A1B2C3D4E580"), self.clock.mono_ns()))
        must(len(self.shown) == 1 and not self.warned, f"a tap by this roster shows {self.shown}, {self.warned}")
