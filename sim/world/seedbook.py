"""What each seed of a long campaign came to, a line each: a campaign of hours that was stopped goes on where it was."""

from __future__ import annotations

import hashlib
import os
import platform
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

import msgspec

from sim.world.run import Outcome

ROOT: Final = Path(__file__).resolve().parents[2]
SOURCES: Final = ("protocol", "host", "edge", "hub", "sim")
"""The folders whose code a seed runs through: with any file of theirs changed, what a seed came to is unknown again."""


class SeedKept(msgspec.Struct, frozen=True):
    """What is told of a seed that kept every promise. `passed_s` is how long the campaign had taken by then."""

    seed: int
    faults: int
    signals: int
    city: int
    steps: int
    digest: str
    seconds: float
    passed_s: float
    anchored: int
    worst_ms: int
    fired: dict[str, int]


class _Opening(msgspec.Struct, frozen=True):
    """The first line: what the seeds of this book have in common."""

    days: int
    pupils: int
    faults: bool
    code: str
    python: str


class ForeignBook(ValueError):
    """This file tells of other code or of days of another size, or is no book, so nothing in it can be gone on from."""


@dataclass(slots=True)
class SeedBook:
    """A file of lines of JSON; a line that was cut is as if it weren't there.

    Raises ForeignBook where the file tells of something else, OSError where it can't be read or written.
    """

    path: Path
    kept: dict[int, SeedKept] = field(default_factory=dict)

    @classmethod
    def opened(cls, path: Path, days: int, pupils: int, *, faults: bool) -> SeedBook:
        """Open a book, a new one where there is none."""
        opening = msgspec.json.encode(_Opening(days, pupils, faults, code_digest(), platform.python_version()))
        begun, end, rest = (path.read_bytes() if path.exists() else b"").partition(b"\n")
        if not end and opening.startswith(begun):
            # Nothing, or cut while its first line was written.
            path.write_bytes(opening + b"\n")
            return cls(path)
        if begun != opening:
            raise ForeignBook(f"{path} was begun with other code, days or pupils; name another file, or remove it")
        *whole, cut = rest.split(b"\n")
        book = cls(path)
        for number, line in enumerate(whole, start=2):
            try:
                seed = msgspec.json.decode(line, type=SeedKept)
            except msgspec.DecodeError as problem:
                raise ForeignBook(
                    f"{path}, line {number}: {problem}; remove the line, its seed is run again"
                ) from problem
            book.kept[seed.seed] = seed
        if cut:
            os.truncate(path, path.stat().st_size - len(cut))
        return book

    @property
    def passed_s(self) -> float:
        """How long the campaign has taken so far."""
        return max((seed.passed_s for seed in self.kept.values()), default=0.0)

    def write(self, seed: SeedKept) -> None:
        """Note a seed that kept every promise; one that broke one is never noted, so it's run and told again."""
        with self.path.open("ab") as file:
            file.write(msgspec.json.encode(seed) + b"\n")
        self.kept[seed.seed] = seed


def told(outcome: Outcome, passed_s: float) -> SeedKept:
    """An outcome as a line."""
    return SeedKept(
        outcome.plan.noise,
        len(outcome.plan.faults),
        outcome.signals,
        outcome.city,
        outcome.steps,
        outcome.digest,
        round(outcome.seconds, 2),
        round(passed_s, 1),
        outcome.times.anchored,
        outcome.times.worst_ms,
        dict(outcome.fired),
    )


def code_digest() -> str:
    """SHA-256 over every source file that a seed runs through, as 16 hex digits."""
    digest = hashlib.sha256()
    for folder in SOURCES:
        for path in sorted((ROOT / folder).rglob("*")):
            if path.is_file() and "__pycache__" not in path.parts:
                content = path.read_bytes()
                digest.update(f"{path.relative_to(ROOT)} {len(content)}\n".encode())
                digest.update(content)
    return digest.hexdigest()[:16]
