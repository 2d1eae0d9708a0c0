"""The gateway under power cuts: recorded while it takes taps, then opened from every state that a cut could leave."""

from __future__ import annotations

import os
import secrets
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from random import Random
from typing import Final

import msgspec

from edge.bookcopy import journal_files, opened
from edge.clock import SystemClock
from edge.devicekeys import DeviceKeys
from edge.salvage import open_journal, salvage
from edge.verify import VALID, verify_path
from protocol.taps import Draft
from sim.powercut.disk import CUTS, Disk, lay_out, mark_of
from sim.powercut.recording import RecordingRefused, Step, Write, read_recording, recording_words
from sim.reckoning import answers_in

ANSWERS: Final = ("accepted", "repeated", "refused")
RUN_S: Final = 60.0
SETTINGS: Final = """[gateway]
id = "cut"
school = "s1"
data_dir = "{data}"

[signals]
sinks = ["jsonl:{signals}"]
"""
STATION: Final = """
[[station]]
name = "{name}"
kind = "gate"
reader = "replay:{replay}"
"""


@dataclass(slots=True)
class Outcome:
    """What was found: states rebuilt, those that differ, and by name whatever broke the promise."""

    points: int = 0
    states: int = 0
    taps: int = 0
    lost: list[str] = field(default_factory=list)
    double: list[str] = field(default_factory=list)
    corrupt: list[str] = field(default_factory=list)
    seconds: float = 0.0

    @property
    def kept(self) -> bool:
        """Whether the promise was kept in every state."""
        return not (self.lost or self.double or self.corrupt)

    def __str__(self) -> str:
        """One line for people."""
        return (
            f"{self.points} points, {self.states} states, {self.taps} taps signalled: {len(self.lost)} lost,"
            f" {len(self.double)} double, {len(self.corrupt)} corrupt; {self.states / max(self.seconds, 0.001):.0f}/s"
        )


class GatewayCut:
    """One recorded run of a real gateway in `folder`; `prepare` may have left a data directory there before."""

    def __init__(self, folder: Path, rng: Random) -> None:
        """Nothing runs yet."""
        self.folder, self._rng = folder, rng
        self.data = folder / "data"
        self.signals = folder / "signals.jsonl"

    def run(self, taps: int, stations: int, *, end: signal.Signals, record: bool = True) -> list[Step]:
        """Have the gateway take `taps` a station, then end it; the steps recorded. Raises RecordingRefused."""
        before = self._signalled()
        config = self._configure(taps, stations)
        trace = self.folder / "trace"
        words = [sys.executable, "-m", "k12edge", "gateway", "--config", str(config)]
        with (self.folder / "gateway.log").open("ab") as log:
            process = subprocess.Popen(
                [*(recording_words(trace) if record else ()), *words], stdout=log, stderr=log, start_new_session=True
            )
        try:
            self._await(before + taps * stations, process)
            children = Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text(encoding="ascii").split()
            # strace passes the signal on to nobody, so the gateway itself, its child, is told.
            for number in map(int, children if record else [str(process.pid)]):
                os.kill(number, end)
            process.wait(20)
        finally:
            if process.poll() is None:
                process.kill()
                process.wait(5)
        if not record:
            return []
        with trace.open(encoding="ascii", errors="replace") as lines:
            return list(read_recording(lines, self.data, self.signals))

    def _configure(self, taps: int, stations: int) -> Path:
        text = SETTINGS.format(data=self.data, signals=self.signals)
        for number in range(stations):
            replay = self.folder / f"replay-{number}.txt"
            cards = [f"a:04{self._rng.randbytes(6).hex().upper()}" for _ in range(taps)]
            replay.write_text("".join(f"{self._rng.randint(2, 25)} {card} 20\n" for card in cards), encoding="ascii")
            text += STATION.format(name=f"gate-{number}", replay=replay)
        path = self.folder / "gateway.toml"
        path.write_text(text, encoding="utf-8")
        return path

    def _signalled(self) -> int:
        return answers_in(self.signals)

    def _await(self, lines: int, process: subprocess.Popen[bytes]) -> None:
        deadline = time.monotonic() + RUN_S
        while self._signalled() < lines:
            if process.poll() is not None or time.monotonic() > deadline:
                log = (self.folder / "gateway.log").read_text(encoding="utf-8", errors="replace")[-800:]
                raise RecordingRefused(f"the recorded gateway gave {self._signalled()} of {lines} signals: {log}")
            time.sleep(0.01)

    def truth(self) -> dict[str, bytes]:
        """Every record of the run as it ended: id -> exact bytes."""
        return dict(records_of(self.data))


def records_of(data: Path) -> Iterator[tuple[str, bytes]]:
    """Every record in a data directory, by id."""
    for file in journal_files(data):
        with opened(file) as database:
            for (raw,) in database.execute("SELECT raw FROM event WHERE raw IS NOT NULL ORDER BY position"):
                yield msgspec.json.decode(raw, type=_Named).id, bytes(raw)


class _Named(msgspec.Struct):
    id: str


class _Shown(msgspec.Struct):
    signal: str
    tap: str | None


def replay_cuts(
    cut: GatewayCut,
    steps: list[Step],
    start: Disk,
    truth: dict[str, bytes],
    shown: set[str],
    rng: Random,
    each: Callable[[Path], None] | None = None,
) -> Outcome:
    """Cut the power before every step, in every way of CUTS; `shown` was signalled before the recording began.

    `each` may look at a state's folder as well (it must not change it).
    """
    outcome = Outcome()
    seen: set[bytes] = set()
    began_s = time.monotonic()
    base = "/dev/shm" if Path("/dev/shm").is_dir() else None
    for step in [*steps, None]:
        outcome.points += 1
        for way in CUTS:
            state = {path: content for path, content in start.after(way, rng).items() if path != str(cut.signals)}
            mark = mark_of(state) + len(shown).to_bytes(4, "big")
            if mark in seen:
                continue
            seen.add(mark)
            with tempfile.TemporaryDirectory(prefix="k12edge-cut-", dir=base) as folder:
                outcome.states += 1
                lay_out(state, cut.data, Path(folder))
                if each is not None:
                    each(Path(folder))
                judge(Path(folder), truth, shown, outcome, f"point {outcome.points} ({way})")
        if step is not None:
            start.step(step)
            if isinstance(step, Write) and step.path == str(cut.signals):
                told = msgspec.json.decode(step.data, type=_Shown)
                if told.signal in ANSWERS and told.tap is not None:
                    # From the moment of its write the beep is a promise.
                    shown.add(told.tap)
    outcome.taps = len(shown)
    outcome.seconds = time.monotonic() - began_s
    return outcome


def judge(folder: Path, truth: dict[str, bytes], shown: set[str], outcome: Outcome, name: str) -> None:
    """Open a state as a starting gateway does, and hold it against what was signalled."""
    had_keys = (folder / "keys.json").exists()
    keys = DeviceKeys(folder, None)
    if keys.damaged is not None or (shown and not had_keys):
        outcome.corrupt.append(f"{name}: the keys are damaged or gone")
    journal, aside = open_journal(
        folder,
        journal=secrets.token_hex(8),
        source="urn:k12edge:dev:s1-cut",
        identity=keys.identity,
        clock=SystemClock(),
        version="0",
    )
    if aside:
        outcome.corrupt.append(f"{name}: {', '.join(aside)} was set aside")
        salvage(folder, journal)
    journal.note("device.alarm", {"code": "power-cut", "detail": "after"})
    journal.append(Draft("attendance.tap", 0, {"kind": "gate"}), "gate-0", "hk0:x", "accepted")
    journal.close()
    names = [found for found, _ in records_of(folder)]
    held = dict(records_of(folder))
    outcome.double += [f"{name}: {found} twice" for found in {n for n in names if names.count(n) > 1}]
    outcome.lost += [f"{name}: {tap} was signalled" for tap in shown if tap not in held]
    outcome.corrupt += [
        f"{name}: {found} is another record" for found, raw in held.items() if truth.get(found, raw) != raw
    ]
    report = verify_path(folder, None)
    if report.exit_code != VALID:
        outcome.corrupt.append(f"{name}: {report.bad or report.lines}")


def shown_before(signals: Path) -> set[str]:
    """The taps that a jsonl sink names as signalled."""
    if not signals.exists():
        return set()
    told = [msgspec.json.decode(line, type=_Shown) for line in signals.read_bytes().splitlines()]
    return {line.tap for line in told if line.signal in ANSWERS and line.tap is not None}


def first_boot(folder: Path, seed: int, taps: int, stations: int) -> Outcome:
    """From an empty directory through taps to a clean end (the closing checkpoint included)."""
    rng = Random(seed)
    cut = GatewayCut(folder, rng)
    steps = cut.run(taps, stations, end=signal.SIGTERM)
    return replay_cuts(cut, steps, Disk(), cut.truth(), set(), rng)


def after_a_kill(folder: Path, seed: int, taps: int, stations: int) -> Outcome:
    """Over a directory that a kill -9 left, with a log that waits to be recovered; killed again at the end."""
    rng = Random(seed)
    cut = GatewayCut(folder, rng)
    cut.run(taps, stations, end=signal.SIGKILL, record=False)
    start = Disk()
    start.load(cut.data)
    before = shown_before(cut.signals)
    steps = cut.run(taps, stations, end=signal.SIGKILL)
    return replay_cuts(cut, steps, start, cut.truth(), before, rng)
