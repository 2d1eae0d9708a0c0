"""The gateway under power cuts: recorded while it takes taps, then opened from every state that a cut could leave."""

from __future__ import annotations

import signal
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from random import Random
from typing import Final

from edge.bookcopy import opened
from edge.journalfile import FILE_NAME
from sim.parts import PartFailed, until
from sim.powercut.disk import Disk
from sim.powercut.opening import GatewayJudge, SmallFiles, key_of, records_of, shown_before
from sim.powercut.outcome import Outcome
from sim.powercut.recording import RecordingRefused, Step, Sync
from sim.powercut.replay import replay
from sim.powercut.small import later_schema
from sim.powercut.traced import Traced, lowered
from sim.reckoning import answers_in
from sim.road import SCHOOL

RUN_S: Final = 60.0
DEVICE: Final = "cut"
SETTINGS: Final = """[gateway]
id = "{device}"
school = "{school}"
data_dir = "{data}"

[signals]
sinks = ["jsonl:{signals}"]

[time]
source = "{time}"
"""
STATION: Final = """
[[station]]
name = "{name}"
kind = "gate"
reader = "replay:{replay}"
"""
CHECKPOINTS: Final[Mapping[str, int]] = {
    "edge.journalfile.CHECKPOINT_PAGES": 12,
    "edge.upkeep.MOVED_EVERY": 6,
    "edge.upkeep.QUIET_MS": 60,
    "edge.upkeep.LOOK_MS": 20,
    "edge.delivery.HEALTH_MS": 20,
    "edge.journal.HEAD_EVERY_RECORDS": 10,
    "edge.waterline.EVERY_MS": 100,
}
"""Limits so low that a few taps meet what a day meets: checkpoints by a tap and in idle moments, signed heads."""
PAUSE_MS: Final = 250
"""Between groups of taps: an idle moment under the limits above."""


@dataclass(frozen=True, slots=True)
class Sizes:
    """How large a story is: taps a station, stations, parts drawn a point, processes that judge; cut before one of each
    `every` steps.
    """

    taps: int = 40
    stations: int = 3
    draws: int = 1
    jobs: int = 1
    every: int = 1


@dataclass(slots=True)
class GatewayCut:
    """Runs of a real gateway in `folder`, on one data directory; `uplink`: the broker's address."""

    folder: Path
    rng: Random
    uplink: str | None = None
    time_source: str = "auto"
    data: Path = field(init=False)
    signals: Path = field(init=False)
    _runs: int = field(init=False, default=0)

    def __post_init__(self) -> None:
        """Nothing runs yet."""
        self.data, self.signals = self.folder / "data", self.folder / "signals.jsonl"

    def start(
        self,
        taps: int,
        stations: int,
        *,
        record: bool = True,
        limits: Mapping[str, object] | None = None,
        group: int = 0,
    ) -> Traced:
        """A gateway whose pupils tap at once; with `group` they pause after so many taps of a station."""
        self._runs += 1
        config = self._configure(taps, stations, group)
        command = ["gateway", "--config", str(config)]
        words = ["k12edge", *command] if limits is None else lowered(limits, *command)
        return Traced(self.folder, f"gateway-{self._runs}", words, record=record)

    def answered(self, traced: Traced, lines: int) -> None:
        """Wait until so many taps have their signal in all. Raises RecordingRefused."""
        try:
            until(
                lambda: answers_in(self.signals) >= lines,
                f"{lines} signals didn't come",
                also=traced.check,
                within_s=RUN_S,
                moving=lambda: answers_in(self.signals),
            )
        except PartFailed as problem:
            raise RecordingRefused(f"{problem}; {answers_in(self.signals)} came: {traced.told()}") from problem

    def run(
        self,
        taps: int,
        stations: int,
        *,
        end: signal.Signals,
        record: bool = True,
        limits: Mapping[str, object] | None = None,
        group: int = 0,
        before_end: Callable[[Traced], None] = lambda _: None,
    ) -> list[Step]:
        """Have the gateway take `taps` a station, wait `before_end`, end it; the steps. Raises RecordingRefused."""
        before = answers_in(self.signals)
        traced = self.start(taps, stations, record=record, limits=limits, group=group)
        try:
            self.answered(traced, before + taps * stations)
            before_end(traced)
            traced.end(end)
        finally:
            traced.leave()
        return self.steps(traced) if record else []

    def steps(self, traced: Traced) -> list[Step]:
        """What a recorded run did to the data directory and the signals."""
        return traced.steps(self.data, self.signals)

    def _configure(self, taps: int, stations: int, group: int) -> Path:
        text = SETTINGS.format(
            device=DEVICE, school=SCHOOL, data=self.data, signals=self.signals, time=self.time_source
        )
        if self.uplink is not None:
            text += f'\n[uplink]\nurl = "{self.uplink}"\n'
        for number in range(stations):
            replay_file = self.folder / f"replay-{self._runs}-{number}.txt"
            lines = []
            for tap in range(taps):
                delay_ms = PAUSE_MS if group and tap and tap % group == 0 else self.rng.randint(2, 25)
                lines.append(f"{delay_ms} a:04{self.rng.randbytes(6).hex().upper()} 20\n")
            replay_file.write_text("".join(lines), encoding="ascii")
            text += STATION.format(name=f"gate-{number}", replay=replay_file)
        path = self.folder / "gateway.toml"
        path.write_text(text, encoding="utf-8")
        return path

    def truth(self) -> dict[str, bytes]:
        """Every record of the directory as the last run left it: id -> exact bytes."""
        return dict(records_of(self.data))


@dataclass(frozen=True, slots=True)
class Recording:
    """A recorded run: what lay there before, what was done, and the judge who knows what it promised."""

    cut: GatewayCut
    start: Disk
    steps: list[Step]
    judge: GatewayJudge

    def replayed(self, seed: int, sizes: Sizes) -> Outcome:
        """Every cut of it."""
        how = {"draws": sizes.draws, "jobs": sizes.jobs, "every": sizes.every}
        return replay(self.steps, self.start, self.cut.data, self.judge, seed=seed, **how)


def recorded(
    cut: GatewayCut,
    taps: int,
    stations: int,
    *,
    end: signal.Signals,
    limits: Mapping[str, object] | None = None,
    group: int = 0,
    truth: Mapping[str, bytes] | None = None,
    before_end: Callable[[Traced], None] = lambda _: None,
    elsewhere: Callable[[], Mapping[str, bytes]] = dict,
) -> Recording:
    """Record a further run over what lies in the directory now.

    `truth`: what it held, where that can't be read now; `elsewhere` tells at the end which records others hold.
    """
    start = Disk()
    start.load(cut.data)
    small, before = SmallFiles(cut.data), shown_before(cut.signals)
    if truth is None:
        truth = cut.truth() if (cut.data / FILE_NAME).exists() else {}
    steps = cut.run(taps, stations, end=end, limits=limits, group=group, before_end=before_end)
    whole = {**truth, **elsewhere(), **cut.truth()}
    judge = GatewayJudge(cut.data, cut.signals, whole, before, key_of(cut.data), {}, small=small)
    return Recording(cut, start, steps, judge)


def first_boot(folder: Path, seed: int, sizes: Sizes) -> Outcome:
    """From an empty directory through taps to a clean end (the closing checkpoint included)."""
    cut = GatewayCut(folder, Random(seed))
    return recorded(cut, sizes.taps, sizes.stations, end=signal.SIGTERM).replayed(seed, sizes)


def after_a_kill(folder: Path, seed: int, sizes: Sizes) -> Outcome:
    """Over a directory that a kill -9 left, with a log that waits to be recovered; killed again at the end."""
    cut = GatewayCut(folder, Random(seed))
    cut.run(max(4, sizes.taps // 4), sizes.stations, end=signal.SIGKILL, record=False)
    return recorded(cut, sizes.taps, sizes.stations, end=signal.SIGKILL).replayed(seed, sizes)


def checkpoints(folder: Path, seed: int, sizes: Sizes) -> Outcome:
    """The log moved into the database in the middle of taps and between them, begun anew, and written over."""
    cut = GatewayCut(folder, Random(seed))
    cut.run(max(4, sizes.taps // 4), sizes.stations, end=signal.SIGKILL, record=False)
    run = recorded(cut, sizes.taps, sizes.stations, end=signal.SIGKILL, limits=CHECKPOINTS, group=7)
    outcome = run.replayed(seed, sizes)
    outcome.more["checkpoints"] = sum(isinstance(step, Sync) and step.path.endswith(".db") for step in run.steps)
    return outcome


@dataclass(slots=True)
class MigrationJudge(GatewayJudge):
    """Counts the states on both sides of the step; each must end up behind it, whole."""

    def judge(self, folder: Path, outcome: Outcome, name: str) -> None:
        """See replay.Judge."""
        outcome.more[f"states {'after it' if self._migrated(folder) else 'before the step'}"] += 1
        GatewayJudge.judge(self, folder, outcome, name)
        if not self._migrated(folder):
            outcome.corrupt.append(f"{name}: the file was opened, and is of the earlier schema still")

    @staticmethod
    def _migrated(folder: Path) -> bool:
        """Whether the file has what the step makes; it is copied, since a look would recover the log."""
        if not (folder / FILE_NAME).exists():
            return False
        with opened(folder / FILE_NAME) as database:
            return bool(database.execute("SELECT count(*) FROM sqlite_master WHERE name = 'later'").fetchone()[0])


def migration(folder: Path, seed: int, sizes: Sizes) -> Outcome:
    """A later version of the software brings the file one schema further, over a log that a kill left."""
    cut = GatewayCut(folder, Random(seed))
    cut.run(sizes.taps, sizes.stations, end=signal.SIGKILL, record=False)
    with later_schema():
        run = recorded(cut, 4, 1, end=signal.SIGTERM, limits={"later_schema": 1})
        plain = run.judge
        judge = MigrationJudge(plain.data, plain.signals, plain.truth, plain.shown, plain.key, {}, small=plain.small)
        return replace(run, judge=judge).replayed(seed, sizes)
