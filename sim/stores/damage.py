"""Files damaged while nobody ran: one file of a directory, one kind of damage, both drawn from a seed."""

from __future__ import annotations

import shutil
from collections.abc import Iterable
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from random import Random
from typing import Final

PAGE: Final = 4096
LOG_HEADER: Final = 32
FRAME: Final = PAGE + 24
"""A page of a database, and what one takes in its log behind the log's header."""
KINDS: Final = ("flip", "cut", "zero", "garbage", "empty", "folder", "gone")


@dataclass(frozen=True, slots=True)
class Damage:
    """What was done: the file, the kind, and the byte ranges of its former content that are still as they were."""

    file: str
    kind: str
    left: tuple[tuple[int, int], ...]

    def __str__(self) -> str:
        return f"{self.kind} {self.file}"

    def untouched(self, first: int, last: int) -> bool:
        """Whether the bytes from `first` to `last` of the former content are still there."""
        return any(start <= first and last < end for start, end in self.left)


def damage(folder: Path, files: Iterable[str], rng: Random, kinds: Iterable[str] = KINDS) -> Damage:
    """Damage one of the files that are there, in one of the ways."""
    name = rng.choice([file for file in files if (folder / file).exists()])
    return spoil(folder / name, rng.choice(list(kinds)), rng)


def spoil(path: Path, kind: str, rng: Random) -> Damage:
    """Damage this file in this way."""
    octets = bytearray(path.read_bytes())
    size = len(octets)
    units = _units(path, size)
    left: list[tuple[int, int]] = []
    if kind == "flip" and size:
        places = sorted(rng.randrange(size) for _ in range(rng.choice((1, 1, 3, 20))))
        for place in places:
            octets[place] ^= 1 << rng.randrange(8)
        left = [(start, end) for start, end in units if not any(start <= place < end for place in places)]
    elif kind == "cut" and size:
        cut = rng.randrange(size)
        del octets[cut:]
        left = [(start, end) for start, end in units if end <= cut]
    elif kind == "zero" and size:
        start, end = rng.choice(units)
        octets[start:end] = bytes(end - start)
        left = [unit for unit in units if unit != (start, end)]
    elif kind == "garbage":
        octets = bytearray(rng.randbytes(rng.choice((1, 100, 5_000, max(1, size)))))
    else:
        octets = bytearray()
    if kind in ("folder", "gone"):
        path.unlink()
        if kind == "folder":
            path.mkdir()
            (path / "somebody's").write_text("file\n", encoding="ascii")
    else:
        path.write_bytes(octets)
    return Damage(path.name, kind, tuple(_joined(left)))


def _units(path: Path, size: int) -> list[tuple[int, int]]:
    """The pages of a file; of a log its header and its frames. What shares one with a damaged byte is damaged."""
    if path.name.endswith("-wal"):
        starts = [0, *range(LOG_HEADER, size, FRAME)]
    else:
        starts = list(range(0, size, PAGE))
    return list(pairwise([*starts, size])) if size else []


def _joined(ranges: list[tuple[int, int]]) -> list[tuple[int, int]]:
    joined: list[tuple[int, int]] = []
    for start, end in ranges:
        if joined and joined[-1][1] == start:
            joined[-1] = (joined[-1][0], end)
        else:
            joined.append((start, end))
    return joined


def copy_folder(source: Path, target: Path) -> Path:
    """A fresh copy of a directory of plain files."""
    if target.exists():
        shutil.rmtree(target)
    shutil.copytree(source, target, ignore=shutil.ignore_patterns("*.sock"))
    return target
