"""The replay: the power cut before every step of a recording, each distinct state laid out and judged."""

from __future__ import annotations

import multiprocessing
import shutil
import tempfile
import time
from collections.abc import Iterable, Sequence
from copy import deepcopy
from multiprocessing.connection import Connection
from pathlib import Path
from random import Random
from typing import Final, Protocol

from sim.powercut.disk import Cut, Disk, lay_out, mark_of
from sim.powercut.outcome import Outcome
from sim.powercut.recording import Sent, Step

POINTS_TOGETHER: Final = 32
"""Points that one process takes in a row; near ones share states, which are judged once."""


class Judge(Protocol):
    """Knows what was promised so far, and holds a state against it."""

    def hear(self, step: Step) -> None:
        """A step of the recording begins; called before the disk takes it, in order."""

    def promised(self) -> int:
        """How much was promised so far: the same bytes under another promise are another state."""

    def judge(self, folder: Path, outcome: Outcome, name: str) -> None:
        """Open the state in `folder` as the real part would, and add what is wrong. The folder may be changed."""


def state_base() -> str | None:
    """Where states are laid out: memory, where there is any."""
    return "/dev/shm" if Path("/dev/shm").is_dir() else None


def replay(
    steps: Sequence[Step],
    disk: Disk,
    root: Path,
    judge: Judge,
    *,
    seed: int,
    draws: int = 1,
    jobs: int = 1,
    cut_from: int = 0,
    every: int = 1,
) -> Outcome:
    """Cut before every step from `cut_from` on, and after the last; `disk` is as the recording found it.

    With `every` only before one of each so many steps, drawn by the seed: a run repeats the same few steps, and a fixed
    stride could keep pace with them.

    At each point nothing, everything, and `draws` times a part of what was not synced is left. What lies outside of
    `root` is no part of a state. `jobs` processes share the points; the states are the same whatever their number.
    """
    began_s = time.monotonic()
    points = drawn_points(cut_from, len(steps), every, seed)
    if jobs == 1:
        outcome, marks = _part(steps, disk, root, judge, seed, draws, points)
    else:
        outcome, marks = _shared(steps, disk, root, judge, seed, draws, jobs, points)
    outcome.points, outcome.states = len(points), len(marks)
    outcome.seconds = time.monotonic() - began_s
    return outcome


def drawn_points(first: int, last: int, every: int, seed: int) -> list[int]:
    """Of each `every` points from `first` on one, and the last."""
    rng = Random(f"{seed} points")
    return sorted({*(min(low + rng.randrange(every), last) for low in range(first, last + 1, every)), last})


def _on_disk(step: Step, inside: str) -> Step:
    """The step, or for one outside of the folder something that only takes a number."""
    return step if (step.path + "/").startswith(inside) else Sent(step.path, b"")


def state_at(
    steps: Sequence[Step], disk: Disk, root: Path, judge: Judge, at: int, way: Cut, rng: Random, into: Path
) -> Judge:
    """Lay out what a cut before step `at` leaves below `root`; the judge as it was then."""
    disk, judge = deepcopy(disk), deepcopy(judge)
    inside = str(root).rstrip("/") + "/"
    for step in steps[:at]:
        judge.hear(step)
        disk.step(_on_disk(step, inside))
    lay_out({path: content for path, content in disk.after(way, rng).items() if path.startswith(inside)}, root, into)
    return judge


def _shared(
    steps: Sequence[Step], disk: Disk, root: Path, judge: Judge, seed: int, draws: int, jobs: int, points: Sequence[int]
) -> tuple[Outcome, set[bytes]]:
    context = multiprocessing.get_context("fork")
    workers = []
    for job in range(jobs):
        mine = [at for at in points if at // POINTS_TOGETHER % jobs == job]
        here, there = context.Pipe(duplex=False)

        def work(mine: list[int] = mine, there: Connection = there) -> None:
            there.send(_part(steps, disk, root, judge, seed, draws, mine))

        worker = context.Process(target=work)
        worker.start()
        there.close()
        workers.append((worker, here))
    whole, marks = Outcome(), set[bytes]()
    for worker, here in workers:
        # A worker that fell ends its pipe, and EOFError ends the campaign: its points were not judged.
        outcome, found = here.recv()
        worker.join()
        whole.add(outcome)
        marks |= found
    return whole, marks


def _part(
    steps: Sequence[Step], disk: Disk, root: Path, judge: Judge, seed: int, draws: int, points: Iterable[int]
) -> tuple[Outcome, set[bytes]]:
    outcome, marks, began_s = Outcome(), set[bytes](), time.process_time()
    disk, judge, mine = deepcopy(disk), deepcopy(judge), frozenset(points)
    parts: list[Cut] = ["parts"] * draws
    ways: list[Cut] = ["nothing", "everything", *parts]
    inside = str(root).rstrip("/") + "/"
    with tempfile.TemporaryDirectory(prefix="k12edge-cuts-", dir=state_base()) as base:
        kept, tempfile.tempdir = tempfile.tempdir, base
        try:
            for at in range(max(mine, default=-1) + 1):
                if at in mine:
                    rng = Random(f"{seed}.{at}")
                    # Where nothing waits for a sync, a cut can leave one state only.
                    for number, way in enumerate(ways if disk.waits() else ways[:1]):
                        state = {p: content for p, content in disk.after(way, rng).items() if p.startswith(inside)}
                        mark = mark_of(state) + judge.promised().to_bytes(4, "big")
                        if mark not in marks:
                            marks.add(mark)
                            folder = Path(base) / f"{at}-{number}"
                            folder.mkdir()
                            lay_out(state, root, folder)
                            judge.judge(folder, outcome, f"point {at + 1} ({way})")
                            shutil.rmtree(folder)
                if at < len(steps):
                    judge.hear(steps[at])
                    disk.step(_on_disk(steps[at], inside))
        finally:
            tempfile.tempdir = kept
    outcome.taps, outcome.cpu_s = judge.promised(), time.process_time() - began_s
    return outcome, marks
