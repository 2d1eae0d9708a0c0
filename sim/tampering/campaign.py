"""Tampering upon tampering: each on a fresh copy, each proven by `edge.verify`, each to be found and rightly named."""

from __future__ import annotations

import sqlite3
import time
from collections import Counter
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from random import Random
from typing import Any, Final

from edge.journalfile import FILE_NAME
from edge.verify import VALID, verify_path
from sim.tampering.kinds import ALONE, KINDS, Bench
from sim.tampering.original import Original, original, write_witness

TAPS: Final = 14
"""A run; enough for every kind to have a choice, few enough for thousands of copies."""
SPEED_TAPS: Final = 4_000


@dataclass(slots=True)
class Outcome:
    """How many tamperings of which kind were found, and how many named; records a second of a whole file proven."""

    count: int = 0
    found: int = 0
    named: int = 0
    kinds: Counter[str] = field(default_factory=Counter)
    problems: list[str] = field(default_factory=list)
    verified_per_s: float = 0.0
    seconds: float = 0.0

    def as_json(self, seed: int) -> dict[str, Any]:
        """For programs."""
        figures = {
            "tamperings": self.count,
            "found": self.found,
            "named": self.named,
            "verified_per_s": round(self.verified_per_s),
            **{f"found {kind}": count for kind, count in sorted(self.kinds.items())},
        }
        return {
            "name": "sim.tampering",
            "seed": seed,
            "seconds": round(self.seconds, 1),
            "kept": not self.problems,
            "figures": figures,
            "problems": self.problems,
        }


def tamper_all(folder: Path, seed: int, count: int) -> Outcome:
    """`count` tamperings, the kinds in turn."""
    began_s = time.monotonic()
    rng, outcome = Random(seed), Outcome()
    mine, held = original(folder / "mine", "cong-a", TAPS, rng)
    other, others = original(folder / "other", "cong-b", TAPS, rng)
    witness, data = folder / "witness.json", folder / "tampered"
    write_witness(witness, {**held, **others})
    data.mkdir()
    file = data / FILE_NAME
    file.write_bytes(mine.file)
    sound = verify_path(data, str(witness))
    if sound.exit_code != VALID:
        outcome.problems.append(f"the original isn't valid: {sound.lines}")
    kinds = [*KINDS, "rollback"]
    for number in range(count):
        kind = kinds[number % len(kinds)]
        _one(outcome, file, witness, mine, other, kind, Random(seed * 1_000_003 + number), number)
    outcome.verified_per_s = _speed(folder / "speed", rng)
    outcome.seconds = time.monotonic() - began_s
    return outcome


def _one(
    outcome: Outcome, file: Path, witness: Path, mine: Original, other: Original, kind: str, rng: Random, number: int
) -> None:
    if kind == "rollback":
        older = rng.randrange(len(mine.older))
        file.write_bytes(mine.older[older])
        expected = {f"{name}.1" for name in mine.journals[older + 1 :]}
    else:
        file.write_bytes(mine.file)
        with closing(sqlite3.connect(file, isolation_level=None)) as database:
            # Nothing here has to survive a power cut.
            database.execute("PRAGMA journal_mode = MEMORY")
            database.execute("PRAGMA synchronous = OFF")
            database.execute("BEGIN")
            expected = KINDS[kind](Bench(database, mine, other, rng))
            database.execute("COMMIT")
    report = verify_path(file.parent, None if kind in ALONE else str(witness))
    outcome.count += 1
    if report.exit_code == VALID or not report.bad:
        outcome.problems.append(f"tampering {number}, {kind}: not found")
        return
    outcome.found += 1
    outcome.kinds[kind] += 1
    first = report.bad[0]["record"]
    if first in expected:
        outcome.named += 1
    else:
        outcome.problems.append(f"tampering {number}, {kind}: {first} is named, not one of {sorted(expected)[:4]}")


def _speed(folder: Path, rng: Random) -> float:
    """Records a second that a file of three runs is proven at; the best of three."""
    made, _ = original(folder, "cong-c", SPEED_TAPS, rng)
    best = 0.0
    for _ in range(3):
        began_s = time.perf_counter()
        report = verify_path(folder, None)
        assert report.exit_code == VALID, report.lines
        best = max(best, len(made.rows) / (time.perf_counter() - began_s))
    return best
