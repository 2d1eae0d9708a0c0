"""Power cuts while a gateway mends: a damaged file set aside and its records brought back, a deleted file rescued."""

from __future__ import annotations

import signal
import sqlite3
from dataclasses import dataclass
from pathlib import Path
from random import Random
from typing import Final

from edge.carving import WAL_HEADER_BYTES
from edge.journalfile import FILE_NAME, PAGE_BYTES
from sim.powercut.disk import CUTS, Disk
from sim.powercut.gateway import CHECKPOINTS, GatewayCut, Recording, Sizes, recorded
from sim.powercut.opening import GatewayJudge, SmallFiles, key_of, shown_before
from sim.powercut.outcome import Outcome
from sim.powercut.recording import Make, Remove, Step, Sync
from sim.powercut.replay import state_at

FRAME_BYTES: Final = 24 + PAGE_BYTES


def broken_header(data: Path, rng: Random) -> None:
    """The database's first bytes are no header any more, nor does a log hold them."""
    _emptied(data / FILE_NAME)
    with (data / FILE_NAME).open("r+b") as file:
        file.write(rng.randbytes(64))


def _emptied(path: Path) -> int:
    """Move the log into the database; the page of the table that lists the journals."""
    database = sqlite3.connect(path)
    try:
        database.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        return int(database.execute("SELECT rootpage FROM sqlite_master WHERE name = 'journal'").fetchone()[0])
    finally:
        database.close()


def broken_table(data: Path, rng: Random) -> None:
    """The page that lists the journals is noise."""
    path = data / FILE_NAME
    page = _emptied(path)
    with path.open("r+b") as file:
        file.seek((page - 1) * PAGE_BYTES)
        file.write(rng.randbytes(PAGE_BYTES))


def broken_log(data: Path, rng: Random) -> None:
    """A bit fell over in a frame of the log, with whole transactions behind it."""
    path = data / (FILE_NAME + "-wal")
    frames = (path.stat().st_size - WAL_HEADER_BYTES) // FRAME_BYTES
    at = WAL_HEADER_BYTES + rng.randrange(2, frames // 2) * FRAME_BYTES + 24 + rng.randrange(PAGE_BYTES)
    with path.open("r+b") as file:
        file.seek(at)
        octet = file.read(1)[0]
        file.seek(at)
        file.write(bytes((octet ^ 1 << rng.randrange(8),)))


DAMAGES: Final = (broken_header, broken_table, broken_log)


def damaged(cut: GatewayCut, sizes: Sizes, seed: int) -> Recording:
    """The recording of a gateway that starts on a damaged file; which damage comes from the seed."""
    cut.run(sizes.taps, sizes.stations, end=signal.SIGKILL, record=False)
    truth, before = cut.truth(), shown_before(cut.signals)
    DAMAGES[seed % len(DAMAGES)](cut.data, cut.rng)
    run = recorded(cut, max(2, sizes.taps // 5), sizes.stations, end=signal.SIGTERM, truth=truth)
    run.judge.aside_expected = True
    # What the damage itself took isn't the cut's doing; all else must come back from every state.
    came_back = cut.truth()
    run.judge.shown -= {tap for tap in before if tap not in came_back}
    return run


def set_aside(folder: Path, seed: int, sizes: Sizes) -> Outcome:
    """A damaged file is set aside, a fresh one begun, the records brought back, while taps go on."""
    cut = GatewayCut(folder, Random(seed))
    run = damaged(cut, sizes, seed)
    outcome = run.replayed(seed, sizes)
    outcome.more["damaged"] = 1
    outcome.more["taken by the damage"] = len(shown_before(cut.signals)) - outcome.taps
    return outcome


@dataclass(slots=True)
class RescueJudge(GatewayJudge):
    """Between the deletion (step `gone`) and the rescue's last sync (`safe`) only the open file held the records.

    A cut in this while is a second fault on top of the first: what was signalled may be missing then, nothing else.
    """

    gone: int = 0
    safe: int = 0
    heard: int = 0

    def hear(self, step: Step) -> None:
        """See replay.Judge."""
        GatewayJudge.hear(self, step)
        self.excused = self.gone <= self.heard < self.safe
        self.heard += 1


def _rescued(run: Recording) -> tuple[int, int]:
    """The steps at which the file went, and at which its copy was safe: the folder's last sync before the new file."""
    path, folder = str(run.cut.data / FILE_NAME), str(run.cut.data)
    gone = next(at for at, step in enumerate(run.steps) if step == Remove(path))
    anew = next(at for at, step in enumerate(run.steps) if at > gone and step == Make(path))
    syncs = [at for at, step in enumerate(run.steps[:anew]) if isinstance(step, Sync) and step.path == folder]
    assert syncs and syncs[-1] > gone
    return gone, syncs[-1]


def rescue(folder: Path, seed: int, sizes: Sizes) -> Outcome:
    """The file and its log are deleted under the running gateway, which copies them out and begins anew."""
    cut = GatewayCut(folder, Random(seed))
    after = sizes.taps * sizes.stations // 2
    limits = {**CHECKPOINTS, "remove": [str(cut.data), str(cut.signals), after]}
    run = recorded(cut, sizes.taps, sizes.stations, end=signal.SIGTERM, limits=limits, group=5)
    gone, safe = _rescued(run)
    plain = run.judge
    judge = RescueJudge(
        plain.data, plain.signals, plain.truth, plain.shown, plain.key, {}, False, False, plain.small, gone, safe
    )
    outcome = Recording(cut, run.start, run.steps, judge).replayed(seed, sizes)
    outcome.more["excused points"] = safe - gone
    return outcome


def recovery(folder: Path, seed: int, sizes: Sizes, count: int) -> Outcome:
    """Cut again while recovering: a gateway is started on a state that a cut left, recorded, and cut at every step.

    `count` such states; every third one comes from the recovery before it, so that a third cut follows the second.
    Every second story begins with a damaged file, so that setting aside and salvage are what is cut into twice.
    """
    rng = Random(seed)
    (folder / "0").mkdir()
    first = GatewayCut(folder / "0", rng)
    if seed % 2:
        base = damaged(first, sizes, rng.randrange(len(DAMAGES)))
    else:
        first.run(sizes.taps, sizes.stations, end=signal.SIGKILL, record=False)
        base = recorded(first, sizes.taps, sizes.stations, end=signal.SIGTERM, limits=CHECKPOINTS, group=7)
    whole, run = Outcome(), base
    for number in range(1, count + 1):
        run = _recovering(folder / str(number), base if number % 3 else run, rng)
        whole.add(run.replayed(seed + number, sizes))
    whole.more["recoveries"] = count
    return whole


def _recovering(folder: Path, earlier: Recording, rng: Random) -> Recording:
    folder.mkdir()
    cut = GatewayCut(folder, rng)
    at, way = rng.randrange(len(earlier.steps) + 1), rng.choice(CUTS[1:])
    then = state_at(earlier.steps, earlier.start, earlier.cut.data, earlier.judge, at, way, rng, cut.data)
    assert isinstance(then, GatewayJudge)
    start = Disk()
    cut.data.mkdir(exist_ok=True)
    start.load(cut.data)
    small = SmallFiles(cut.data)
    steps = cut.run(2, 1, end=signal.SIGTERM, limits=CHECKPOINTS)
    judge = GatewayJudge(cut.data, cut.signals, {**then.truth, **cut.truth()}, set(then.shown), key_of(cut.data), {})
    judge.small, judge.aside_expected = small, then.aside_expected
    return Recording(cut, start, steps, judge)
