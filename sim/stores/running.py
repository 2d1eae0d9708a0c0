"""Storage that fails under a running gateway: errors, a mount that turns read-only, slowness, nothing left of it."""

from __future__ import annotations

import errno
import os
import resource
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from random import Random
from typing import Final

from edge.journalfile import FILE_NAME
from edge.verify import VALID, verify_path
from sim.campaign import Figures, StorySkipped
from sim.parts import until
from sim.preload.control import ATTRIBUTE, SYNC, WRITE, Control
from sim.stores.gate import Gate, card

EXIT_RUNNING: Final = 3
Told = tuple[Figures, list[str]]


def made_gate(folder: Path, count: int, **more: object) -> tuple[Gate, Control]:
    """A gateway whose readers show cards for as long as `count` faults take, and what lies beneath it."""
    gate = Gate(folder, shim=True, **more)  # type: ignore[arg-type]  # Gate's own keywords.
    for station in range(len(gate.replays)):
        gate.play([card(station * 100_000 + number) for number in range(40 * count + 600)], station=station)
    assert gate.control is not None
    return gate, gate.control


def kept_by(gate: Gate, problems: list[str]) -> Figures:
    """End the gateway and hold what it promised to its file."""
    if (code := gate.stop()) != 0:
        problems.append(f"it ended with {code}")
    held = gate.records()
    problems += [f"{name}: signalled, not in the journal" for name in gate.promised() - held.keys()]
    report = verify_path(gate.data, None)
    if report.exit_code != VALID:
        problems += report.lines
    words = gate.words()
    return {"signals": len(words), "alarms": words.count("alarm"), "waits": words.count("wait"), "records": len(held)}


def failing_once(folder: Path, seed: int, count: int) -> Told:
    """EIO or no space once at some sync or write, or a sync that was dropped: that tap has an alarm, others none."""
    rng = Random(seed)
    gate, control = made_gate(folder, count)
    problems: list[str] = []
    gate.start()
    struck = 0
    try:
        gate.await_more("accepted", count=3)
        for number in range(count):
            calls, skip = rng.choice((SYNC, SYNC, WRITE, ATTRIBUTE)), rng.randrange(6)
            error = errno.EROFS if calls == ATTRIBUTE else rng.choice((errno.EIO, errno.EIO, errno.ENOSPC))
            before = len(gate.words())
            control.rule(0, calls, FILE_NAME, skip=skip, times=1, error=error)
            gate.await_true(lambda: control.hits(0) == 1, f"fault {number} doesn't strike")
            struck += 1
            gate.await_more("accepted", count=3, after=before + skip)
            words = gate.words()[before:]
            after = words[words.index("alarm") :].count("accepted") if "alarm" in words else 0
            # Opened anew, the log is synced before the next tap is: more syncs than taps.
            if calls == SYNC and error == errno.EIO and control.seen(0) - skip - 1 < after + 1:
                problems.append(f"fault {number}: taps were called recorded without a sync of what lay there before")
            if "alarm" not in gate.words()[before:]:
                problems.append(f"fault {number}: no alarm was shown")
        control.no_rule(0)
        figures = kept_by(gate, problems)
    finally:
        gate.end()
    return {"faults": struck, **figures}, problems


def read_only(folder: Path, seed: int, count: int) -> Told:
    """The file system turns read-only under it, as after an error, and back: alarms, no acceptance, then as before."""
    gate, control = made_gate(folder, count)
    problems: list[str] = []
    gate.start()
    try:
        for turn in range(max(1, count // 4)):
            before = len(gate.words())
            gate.await_more("accepted", count=3, after=before)
            control.read_only(0, str(gate.data))
            gate.await_true(lambda: control.hits(0) > 0, "nothing is written")
            before = len(gate.words())
            gate.await_more("alarm", count=3, after=before)
            if "accepted" in gate.words()[before + 1 :]:
                problems.append(f"turn {turn}: a tap was accepted on a file system that takes nothing")
            control.no_rule(0)
        before = len(gate.words())
        gate.await_more("accepted", count=3, after=before)
        # Restarted there, it waits with an alarm, and begins when it can be written again.
        gate.kill()
        control.read_only(0, str(gate.data))
        before = len(gate.words())
        gate.start()
        gate.await_more("alarm", count=1, after=before)
        control.no_rule(0)
        gate.await_more("accepted", "repeated", count=1, after=before)
        figures = kept_by(gate, problems)
    finally:
        gate.end()
    return figures, problems


def real_read_only(folder: Path, seed: int, count: int) -> Told:
    """A real ext4 that meets an error turns itself read-only: alarms, nothing lost; repaired, a new start goes on.

    The error comes at any moment of a commit, so many turns are taken.
    """
    rng, problems, total = Random(seed), list[str](), dict[str, int | float]()
    for turn in range(max(1, count // 4)):
        figures = _real_read_only(folder / str(turn), rng, problems)
        total = {name: total.get(name, 0) + value for name, value in figures.items()}
        if problems:
            break
    return total, problems


def _real_read_only(folder: Path, rng: Random, problems: list[str]) -> Figures:
    image, place = folder / "disk.img", folder / "disk"
    place.mkdir(parents=True)
    with image.open("wb") as file:
        file.truncate(16 << 20)
    made = _ran("mkfs.ext4", "-q", "-F", "-E", "lazy_itable_init=0", str(image))
    if not made or not _ran("mount", "-o", "loop,errors=remount-ro", str(image), str(place)):
        raise StorySkipped("only root mounts an ext4 of its own")
    gate = Gate(folder / "gate", data=place / "data")
    gate.play([card(number) for number in range(4000)], tick_ms=4)
    try:
        device = next(line.split()[0] for line in _mounts() if line.split()[1] == str(place))
        gate.start()
        gate.await_more("accepted", count=5)
        trigger = Path(f"/sys/fs/ext4/{Path(device).name}/trigger_fs_error")
        if not os.access(trigger, os.W_OK):
            raise StorySkipped("this kernel lets no error be triggered in an ext4")
        time.sleep(rng.uniform(0, 0.02))
        trigger.write_text("1\n", encoding="ascii")
        before = len(gate.words())
        gate.await_more("alarm", count=3, after=before)
        if "accepted" in gate.words()[before + 1 :]:
            problems.append("a tap was accepted on a file system that takes nothing")
        if gate.stop() not in (0, -9):
            problems.append("it ended uncleanly")
        subprocess.run(["umount", str(place)], check=True, capture_output=True)
        subprocess.run(["e2fsck", "-fy", str(image)], check=False, capture_output=True)
        subprocess.run(["mount", "-o", "loop", str(image), str(place)], check=True, capture_output=True)
        before = len(gate.words())
        gate.start()
        gate.await_more("accepted", "repeated", count=3, after=before)
        return kept_by(gate, problems)
    finally:
        gate.end()
        _ran("umount", "-l", str(place))


def _ran(*words: str) -> bool:
    try:
        return subprocess.run(words, capture_output=True, check=False).returncode == 0
    except OSError:
        return False


def _mounts() -> list[str]:
    return Path("/proc/self/mounts").read_text(encoding="utf-8").splitlines()


@contextmanager
def small_disk(place: Path, options: str) -> Iterator[Path]:
    """A tmpfs of its own. Raises StorySkipped where none may be mounted."""
    place.mkdir(parents=True)
    words = ["mount", "-t", "tmpfs", "-o", options, "k12edge-story", str(place)]
    if os.geteuid() != 0 or subprocess.run(words, capture_output=True, check=False).returncode:
        raise StorySkipped("only root mounts a small disk")
    try:
        yield place
    finally:
        subprocess.run(["umount", "-l", str(place)], check=False, capture_output=True)


def no_inodes(folder: Path, seed: int, count: int) -> Told:
    """No inode is left, at the start and while it runs: alarms where a file must be made, taps where none must."""
    problems: list[str] = []
    with small_disk(folder / "disk", "size=8m,nr_inodes=24") as disk:
        gate, _ = made_gate(folder / "gate", count, data=disk / "data")
        fillers = _take_inodes(disk)
        gate.start()
        try:
            gate.await_more("alarm")
            if "accepted" in gate.words():
                problems.append("a tap was accepted without a file")
            for filler in fillers:
                filler.unlink()
            gate.await_more("accepted", count=2)
            fillers = _take_inodes(disk)
            before = len(gate.words())
            gate.await_more("accepted", count=5, after=before)
            if "alarm" in gate.words()[before:]:
                problems.append("taps failed, though no file had to be made")
            gate.kill()
            before = len(gate.words())
            gate.start()
            gate.await_more("accepted", "repeated", "alarm", after=before)
            for filler in fillers:
                filler.unlink()
            before = len(gate.words())
            gate.await_more("accepted", "repeated", after=before)
            figures = kept_by(gate, problems)
        finally:
            gate.end()
    return figures, problems


def _take_inodes(disk: Path) -> list[Path]:
    made: list[Path] = []
    try:
        while True:
            made.append(disk / f"filler-{len(made)}")
            made[-1].touch()
    except OSError:
        return made[:-1]


def no_descriptors(folder: Path, seed: int, count: int) -> Told:
    """No file can be opened any more, and then one must be: refused with a signal, then as before."""
    gate, control = made_gate(folder, count)
    problems: list[str] = []
    gate.start()
    try:
        gate.await_more("accepted", count=3)
        assert gate.part.process is not None
        pid = gate.part.process.pid
        soft, hard = resource.prlimit(pid, resource.RLIMIT_NOFILE)
        resource.prlimit(pid, resource.RLIMIT_NOFILE, (3, hard))
        before = len(gate.words())
        gate.await_more("accepted", count=3, after=before)
        # A failed sync closes the file; it can't be opened again now.
        control.rule(0, SYNC, FILE_NAME, times=1, error=errno.EIO)
        before = len(gate.words())
        gate.await_more("alarm", count=4, after=before)
        words = gate.words()[before:]
        if "accepted" in words[words.index("alarm") :]:
            problems.append("a tap was accepted without a file")
        resource.prlimit(pid, resource.RLIMIT_NOFILE, (soft, hard))
        before = len(gate.words())
        gate.await_more("accepted", count=3, after=before)
        figures = kept_by(gate, problems)
    finally:
        gate.end()
    return figures, problems


def no_memory(folder: Path, seed: int, count: int) -> Told:
    """The address space is full: every signal is true, and it records again when there is room, or after a restart."""
    gate, control = made_gate(folder, count)
    problems: list[str] = []
    gate.start()
    try:
        gate.await_more("accepted", count=3)
        assert gate.part.process is not None
        process = gate.part.process
        for extra in (0, 1 << 20, 8 << 20):
            if process.poll() is not None:
                break
            used = int(Path(f"/proc/{process.pid}/statm").read_text(encoding="ascii").split()[0]) * os.sysconf(
                "SC_PAGE_SIZE"
            )
            limits = resource.prlimit(process.pid, resource.RLIMIT_AS, (used + extra, resource.RLIM_INFINITY))
            before = len(gate.words())
            # It has to open its file anew without room for it.
            control.rule(0, SYNC, FILE_NAME, times=1, error=errno.EIO)
            until(partial(_five_more, gate, before), "neither a signal nor an end", within_s=20)
            resource.prlimit(process.pid, resource.RLIMIT_AS, limits)
        ended = process.poll() is not None
        if ended:
            gate.start()
        before = len(gate.words())
        gate.await_more("accepted", "repeated", count=3, after=before)
        figures = kept_by(gate, problems)
    finally:
        gate.end()
    return {**figures, "ended": int(ended)}, problems


def _five_more(gate: Gate, before: int) -> bool:
    assert gate.part.process is not None
    return len(gate.words()) >= before + 5 or gate.part.process.poll() is not None


def _gone(pid: int) -> bool:
    return not Path(f"/proc/{pid}/fd/0").exists()


def no_log(folder: Path, seed: int, count: int) -> Told:
    """Standard output and error are closed, full, or lead to a pipe nobody reads: taps are recorded all the same."""
    problems: list[str] = []
    total: Figures = {}
    for name, redirect in (
        ("closed", ">&- 2>&-"),
        ("full", "> /dev/full 2>&1"),
        ("broken", "2>&1 | true"),
    ):
        gate, control = made_gate(folder / name, count)
        command = f'exec "$0" "$@" {redirect}' if "|" not in redirect else f'"$0" "$@" {redirect}; sleep 60'
        gate.part.program = ("/bin/sh", "-c", command, sys.executable, "-m", "k12edge")
        gate.start()
        try:
            gate.await_more("accepted", count=3)
            # Something to write to the log: an alarm.
            control.rule(0, SYNC, FILE_NAME, times=1, error=errno.EIO)
            gate.await_more("alarm")
            before = len(gate.words())
            gate.await_more("accepted", count=5, after=before)
            pid = int((gate.data / "lock").read_text(encoding="ascii"))
            os.kill(pid, 15)
            until(partial(_gone, pid), "it doesn't end")
            held = gate.records()
            problems += [f"{name}: {tap} signalled, not in the journal" for tap in gate.promised() - held.keys()]
            total[name] = len(held)
        finally:
            gate.end()
    return total, problems


def twice(folder: Path, seed: int, count: int) -> Told:
    """A second gateway on the same directory refuses and says whose it is; the first goes on."""
    gate, _ = made_gate(folder, count)
    problems: list[str] = []
    gate.start()
    try:
        gate.await_more("accepted", count=2)
        second = subprocess.run(
            [sys.executable, "-m", "k12edge", *gate.part.words], capture_output=True, timeout=30, check=False, text=True
        )
        assert gate.part.process is not None
        if second.returncode != EXIT_RUNNING or f"held by process {gate.part.process.pid}" not in second.stderr:
            problems.append(f"the second ended with {second.returncode}: {second.stderr[-200:]}")
        before = len(gate.words())
        gate.await_more("accepted", count=3, after=before)
        figures = kept_by(gate, problems)
    finally:
        gate.end()
    return figures, problems
