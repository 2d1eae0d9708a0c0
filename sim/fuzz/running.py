"""One parser's run: a process that takes input after input, watched by another that names the one it hangs at."""

from __future__ import annotations

import ctypes
import gc
import logging
import multiprocessing
import os
import shutil
import tempfile
import time
import traceback
import tracemalloc
from collections.abc import Callable
from dataclasses import dataclass, field
from multiprocessing.connection import Connection
from pathlib import Path
from random import Random
from typing import Any, Final

from sim.fuzz.parser import SETTLING, Broken, Parser

HANG_CPU_S: Final = 20.0
"""An input that has used so much of a processor hangs; the machine may be loaded, so only what it used counts."""
HANG_S: Final = 300.0
"""One that did nothing for so long hangs as well."""
GROWTH_BYTES_MAX: Final = 32 * 1024 * 1024
"""A process may be so much larger at its end than after a tenth of its inputs."""
TRACED_EVERY: Final = 5_000
FAULTS_MAX: Final = 20
SHARED_MEMORY: Final = Path("/dev/shm")


@dataclass(slots=True)
class Outcome:
    """What a run found. `slowest_ms` is processor time, of input `slowest`; `problems` name the first input of each."""

    parser: str
    inputs: int = 0
    taken: int = 0
    followed: int = 0
    seconds: float = 0.0
    slowest_ms: float = 0.0
    slowest: int = 0
    peak_bytes: int = 0
    growth_bytes: int = 0
    sites: set[tuple[str, int]] = field(default_factory=set)
    problems: dict[str, tuple[int, int]] = field(default_factory=dict)

    def add(self, other: Outcome) -> None:
        """Another process's part of the same run."""
        self.inputs += other.inputs
        self.taken += other.taken
        self.followed += other.followed
        if other.slowest_ms > self.slowest_ms:
            self.slowest_ms, self.slowest = other.slowest_ms, other.slowest
        self.peak_bytes = max(self.peak_bytes, other.peak_bytes)
        self.growth_bytes = max(self.growth_bytes, other.growth_bytes)
        self.sites |= other.sites
        for what, (first, times) in other.problems.items():
            known, so_far = self.problems.get(what, (first, 0))
            self.problems[what] = min(known, first), so_far + times

    def blame(self, what: str, number: int) -> None:
        """Something is wrong at input `number`."""
        if what in self.problems or len(self.problems) < FAULTS_MAX:
            first, times = self.problems.get(what, (number, 0))
            self.problems[what] = first, times + 1

    def __str__(self) -> str:
        """One line for people."""
        return (
            f"{self.parser}: {self.inputs:,} inputs, {100 * self.taken / max(self.inputs, 1):.0f} % taken,"
            f" {self.followed:,} in the next room, {len(self.sites)} ways of refusal; slowest {self.slowest_ms:.1f} ms"
            f" (number {self.slowest}), largest {self.peak_bytes / 1048576:.1f} MiB,"
            f" grew {self.growth_bytes / 1048576:.1f} MiB; {self.inputs / max(self.seconds, 0.001):,.0f}/s"
        )


def run(make: Callable[[Path], Parser], seed: int, count: int, jobs: int = 1, first: int = 0) -> Outcome:
    """Inputs `first` to `first` + `count` of a seed, over so many processes."""
    begun_s = time.monotonic()
    outcome = Outcome(getattr(make, "name", "?"))
    context = multiprocessing.get_context("fork")
    workers = []
    for job in range(jobs):
        low, high = first + count * job // jobs, first + count * (job + 1) // jobs
        number = context.Value(ctypes.c_longlong, low, lock=False)
        mine, theirs = context.Pipe()
        process = context.Process(target=_work, args=(make, seed, low, high, number, theirs), daemon=True)
        process.start()
        theirs.close()
        workers.append((process, number, mine))
    for process, number, mine in workers:
        outcome.add(_watched(outcome.parser, process, number, mine))
    outcome.seconds = time.monotonic() - begun_s
    return outcome


def _watched(name: str, process: Any, number: Any, pipe: Connection) -> Outcome:
    """The process's outcome; of one that hangs or dies the input where it did."""
    at, since_s, since_cpu_s = -1, time.monotonic(), 0.0
    while True:
        if pipe.poll(0.5):
            try:
                outcome: Outcome = pipe.recv()
                process.join()
                return outcome
            except EOFError:
                process.join()
                return _ended(name, f"the process ended with {process.exitcode}", number.value)
        now_s, cpu_s = time.monotonic(), _cpu_s(process.pid)
        if number.value != at:
            at, since_s, since_cpu_s = number.value, now_s, cpu_s
        elif cpu_s - since_cpu_s > HANG_CPU_S or now_s - since_s > HANG_S:
            process.kill()
            process.join()
            return _ended(name, f"a hang of more than {cpu_s - since_cpu_s:.0f} s", at)


def _ended(name: str, what: str, number: int) -> Outcome:
    outcome = Outcome(name)
    outcome.blame(what, number)
    return outcome


def _cpu_s(pid: int) -> float:
    try:
        fields = Path(f"/proc/{pid}/stat").read_text(encoding="ascii").rpartition(")")[2].split()
    except OSError:
        return 0.0
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def own_folder() -> Path:
    """A new folder, in memory where the machine has such a place."""
    place = SHARED_MEMORY if os.access(SHARED_MEMORY, os.W_OK) else None
    return Path(tempfile.mkdtemp(prefix="k12edge-fuzz-", dir=place))


def _work(make: Callable[[Path], Parser], seed: int, low: int, high: int, number: Any, pipe: Connection) -> None:
    folder = own_folder()
    # What the rooms say of hostile inputs is said millions of times.
    logging.disable(logging.CRITICAL)
    try:
        parser = make(folder)
        try:
            pipe.send(take_all(parser, seed, low, high, number))
        finally:
            parser.close()
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def input_of(parser: Parser, seed: int, number: int, rng: Random | None = None) -> bytes:
    """Input `number` of a seed: the same at each call, whatever came before."""
    rng = rng or Random()
    rng.seed(seed << 40 | number)
    return parser.made(rng)


def take_all(parser: Parser, seed: int, low: int, high: int, number: Any = None) -> Outcome:
    """Take inputs `low` to `high` in this process."""
    outcome, rng = Outcome(parser.name), Random()
    clock, every = time.thread_time_ns, parser.every
    warm, warm_bytes = low + (high - low) // 10, 0
    for at in range(low, high):
        if number is not None:
            number.value = at
        rng.seed(seed << 40 | at)
        octets = parser.made(rng)
        begun_ns = clock()
        taken = _one(parser, octets, at, outcome)
        spent_ms = (clock() - begun_ns) / 1e6
        if taken is not None and at % every == 0:
            _next(parser, octets, taken, at, outcome)
        if spent_ms > outcome.slowest_ms:
            outcome.slowest_ms, outcome.slowest = spent_ms, at
            if spent_ms > parser.cpu_ms_max:
                _slow(parser, octets, at, outcome)
        if at % TRACED_EVERY == 0:
            _traced(parser, octets, at, outcome)
        if at == warm:
            warm_bytes = _resident_bytes()
    outcome.inputs = high - low
    outcome.growth_bytes = max(0, _resident_bytes() - warm_bytes)
    if outcome.growth_bytes > GROWTH_BYTES_MAX and high - low > TRACED_EVERY:
        outcome.blame(f"the process grew by {outcome.growth_bytes} bytes", high)
    return outcome


def _one(parser: Parser, octets: bytes, at: int, outcome: Outcome) -> tuple[Any] | None:
    """Take one input; what came of it, None where it was refused or broke a rule."""
    try:
        taken = parser.take(octets)
    except parser.refusals as problem:
        outcome.sites.add(_site(problem))
        return None
    except Exception as problem:
        _blame(problem, at, outcome)
        return None
    outcome.taken += 1
    return (taken,)


def _next(parser: Parser, octets: bytes, taken: tuple[Any], at: int, outcome: Outcome) -> None:
    outcome.followed += 1
    try:
        parser.follow(octets, taken[0])
    except Exception as problem:
        _blame(problem, at, outcome)


def _blame(problem: Exception, at: int, outcome: Outcome) -> None:
    place, line = _site(problem)
    said = str(problem) if isinstance(problem, Broken) else ""
    outcome.blame(f"{type(problem).__name__} at {place}:{line} {said[:60]}".rstrip(), at)


def _site(problem: BaseException) -> tuple[str, int]:
    """Where it was raised."""
    trace = problem.__traceback__
    assert trace is not None
    while trace.tb_next is not None:
        trace = trace.tb_next
    return os.path.basename(trace.tb_frame.f_code.co_filename), trace.tb_lineno


def _slow(parser: Parser, octets: bytes, at: int, outcome: Outcome) -> None:
    """Slow once may be the machine; slow each time is the input."""
    least_ms = float("inf")
    for _ in range(SETTLING):
        begun_ns = time.thread_time_ns()
        _one(parser, octets, at, Outcome(parser.name))
        least_ms = min(least_ms, (time.thread_time_ns() - begun_ns) / 1e6)
    outcome.slowest_ms = least_ms
    if least_ms > parser.cpu_ms_max:
        outcome.blame(f"an input takes more than {parser.cpu_ms_max:g} ms", at)


def _traced(parser: Parser, octets: bytes, at: int, outcome: Outcome) -> None:
    """What one input needs at most while it is taken."""
    tracemalloc.start()
    _one(parser, octets, at, Outcome(parser.name))
    peak_bytes = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    outcome.peak_bytes = max(outcome.peak_bytes, peak_bytes)
    if peak_bytes > parser.bytes_max:
        outcome.blame(f"an input needs more than {parser.bytes_max} bytes of memory", at)


def _resident_bytes() -> int:
    gc.collect()
    return int(Path("/proc/self/statm").read_text(encoding="ascii").split()[1]) * os.sysconf("SC_PAGE_SIZE")


def explained(parser: Parser, seed: int, number: int) -> tuple[str, bool]:
    """One input taken again, in words: its bytes and what came of it; False when that breaks a rule."""
    octets = input_of(parser, seed, number)
    shown = f"{parser.name} --seed {seed} --only {number}: {len(octets)} bytes\n{octets[:2000]!r}\n"
    try:
        taken = parser.take(octets)
        parser.follow(octets, taken)
    except parser.refusals as problem:
        return f"{shown}refused: {type(problem).__name__}: {problem}", True
    except Exception:
        return shown + traceback.format_exc(), False
    return f"{shown}taken: {taken!r:.2000}", True
