"""A disk that loses its power: what is synced stays, of what is not any part may be there. Pure but for `lay_out`.

Stricter than ext4: a new name lasts only when its folder was synced, writes that wait for a sync may reach the disk in
any order, in sectors, or not at all.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path, PurePosixPath
from random import Random
from typing import Final, Literal

from sim.powercut.recording import Make, Remove, Rename, Sent, Step, Sync, Truncate, Write

SECTOR_BYTES: Final = 512
SHARED: Final = "-shm"
"""SQLite's shared index of a log: written through memory, never synced, and rebuilt by whoever opens first."""
Cut = Literal["nothing", "everything", "parts"]
CUTS: Final[tuple[Cut, ...]] = ("nothing", "everything", "parts")
"""Of what was not synced, a cut leaves: nothing, everything, or a part drawn by chance, torn within sectors."""


@dataclass(slots=True, eq=False)
class _File:
    """One file: its bytes on the disk, and what was done to it since."""

    durable: bytearray = field(default_factory=bytearray)
    waiting: list[tuple[int, Write | Truncate]] = field(default_factory=list)
    size: int = 0
    whole: bytes | None = None

    def synced(self) -> bytes:
        """What is on the disk for sure; the same object until the next sync."""
        if self.whole is None:
            self.whole = bytes(self.durable)
        return self.whole


@dataclass(frozen=True, slots=True)
class _Entry:
    """A change of a folder, by its step's number: a name that now stands for `file`, or for nothing."""

    number: int
    path: str
    file: _File | None


class Disk:
    """What is below some folders. Feed it the recording's steps; ask it for what a cut now would leave."""

    def __init__(self) -> None:
        """An empty disk."""
        self._names: dict[str, _File] = {}
        self._durable_names: dict[str, _File] = {}
        self._waiting_names: list[_Entry] = []
        self._number = 0

    def load(self, folder: Path) -> None:
        """Begin with what lies in a folder, all of it durable."""
        for path in folder.rglob("*"):
            if path.is_file():
                content = path.read_bytes()
                self._names[str(path)] = _File(bytearray(content), [], len(content))
        self._durable_names = dict(self._names)

    def step(self, step: Step) -> None:
        """Take one step of the recording."""
        match step:
            case Make(path, folder):
                if not folder and path not in self._names:
                    self._name(path, _File())
            case Write(path, offset, data):
                file = self._names[path]
                at = file.size if offset is None else offset
                file.waiting.append((self._number, Write(path, at, data)))
                file.size = max(file.size, at + len(data))
            case Truncate(path, size):
                self._names[path].waiting.append((self._number, step))
                self._names[path].size = size
            case Rename(path, to):
                moved = self._names[path]
                self._name(to, moved)
                self._name(path, None)
            case Remove(path):
                if path in self._names:
                    self._name(path, None)
            case Sync(path, began):
                self._sync(path, began)
            case Sent():
                pass  # It leaves the disk as it is; it takes a number, which syncs count by.
        self._number += 1

    def _name(self, path: str, file: _File | None) -> None:
        if file is None:
            del self._names[path]
        else:
            self._names[path] = file
        self._waiting_names.append(_Entry(self._number, path, file))

    def _sync(self, path: str, began: int) -> None:
        file = self._names.get(path)
        if file is not None:
            for number, step in file.waiting:
                if number < began:
                    _apply(file.durable, step)
                    file.whole = None
            # What was written while the sync ran may have missed it.
            file.waiting = [(number, step) for number, step in file.waiting if number >= began]
            return
        left: list[_Entry] = []
        for entry in self._waiting_names:
            if entry.number < began and str(PurePosixPath(entry.path).parent) == path.rstrip("/"):
                _apply_name(self._durable_names, entry)
            else:
                left.append(entry)
        self._waiting_names = left

    def waits(self) -> bool:
        """Whether anything was done that no sync has made sure yet."""
        names = any(not entry.path.endswith(SHARED) for entry in self._waiting_names)
        return names or any(file.waiting for path, file in self._names.items() if not path.endswith(SHARED))

    def after(self, cut: Cut, rng: Random) -> dict[str, bytes]:
        """Path -> bytes as found when the power comes back."""
        names = dict(self._durable_names)
        kept = {"nothing": 0, "everything": len(self._waiting_names)}.get(cut)
        # A journalling file system keeps the order of its names: what is lost is lost from some point on.
        for entry in self._waiting_names[: rng.randint(0, len(self._waiting_names)) if kept is None else kept]:
            _apply_name(names, entry)
        return {path: self._content(file, cut, rng) for path, file in sorted(names.items())}

    @staticmethod
    def _content(file: _File, cut: Cut, rng: Random) -> bytes:
        if cut == "nothing" or not file.waiting:
            return file.synced()
        content = bytearray(file.durable)
        for _, step in file.waiting:
            if cut == "everything":
                _apply(content, step)
            elif isinstance(step, Truncate):
                if rng.random() < 0.5:
                    _apply(content, step)
            else:
                _tear(content, step, rng)
        return bytes(content)


def _apply_name(names: dict[str, _File], entry: _Entry) -> None:
    if entry.file is None:
        names.pop(entry.path, None)
    else:
        names[entry.path] = entry.file


def _apply(content: bytearray, step: Write | Truncate) -> None:
    if isinstance(step, Truncate):
        del content[step.size :]
        content.extend(bytes(step.size - len(content)))
        return
    assert step.offset is not None
    _put(content, step.offset, step.data)


def _put(content: bytearray, at: int, data: bytes) -> None:
    if len(content) < at:
        content.extend(bytes(at - len(content)))
    content[at : at + len(data)] = data


def _tear(content: bytearray, step: Write, rng: Random) -> None:
    """Write some of the sectors that a write touches."""
    assert step.offset is not None
    at, end = step.offset, step.offset + len(step.data)
    share = rng.choice((0.0, 0.5, 0.9, 1.0))
    while at < end:
        until = min(end, (at // SECTOR_BYTES + 1) * SECTOR_BYTES)
        if rng.random() < share:
            _put(content, at, step.data[at - step.offset : until - step.offset])
        at = until


@lru_cache(maxsize=32)
def _digest(content: bytes) -> bytes:
    return hashlib.sha256(content).digest()


def mark_of(state: dict[str, bytes]) -> bytes:
    """A digest of a state, to know one that was seen before."""
    whole = hashlib.sha256()
    for path, content in state.items():
        if path.endswith(SHARED):
            continue
        whole.update(path.encode("utf-8", "surrogateescape") + b"\0" + _digest(content))
    return whole.digest()


def lay_out(state: dict[str, bytes], root: Path, into: Path) -> None:
    """Write a state's files below `root` into another folder."""
    for path, content in state.items():
        target = into / Path(path).relative_to(root)
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(content)
