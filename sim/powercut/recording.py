"""The recording: what a real process wrote, synced, made, renamed and removed below some folders, from strace."""

from __future__ import annotations

import re
import shutil
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

from protocol.errors import NeedsHands

CALLS: Final = (
    "openat,open,creat,write,pwrite64,writev,pwritev,ftruncate,truncate,fallocate,fsync,fdatasync,sync_file_range,"
    "rename,renameat,renameat2,unlink,unlinkat,mkdir,mkdirat,rmdir,link,linkat"
)
REFUSED: Final = {"writev", "pwritev", "fallocate", "truncate", "link", "linkat", "sync_file_range", "open", "creat"}
"""Calls that nothing recorded so far makes; the model doesn't know them, so meeting one is an error, not a guess."""


class RecordingRefused(NeedsHands):
    """The recording can't be made, or holds what the model of a disk doesn't know."""

    code = "recording-refused"
    hint = "strace must be installed and allowed to trace its own children."


@dataclass(frozen=True, slots=True)
class Write:
    """Bytes put into a file at an offset; None appends."""

    path: str
    offset: int | None
    data: bytes


@dataclass(frozen=True, slots=True)
class Truncate:
    """A file cut, or grown with zeros, to a size."""

    path: str
    size: int


@dataclass(frozen=True, slots=True)
class Sync:
    """fsync or fdatasync of a file or folder has returned; it covers the first `began` steps of the recording."""

    path: str
    began: int = 0


@dataclass(frozen=True, slots=True)
class Make:
    """A file opened with O_CREAT (made where it is missing), or a folder made."""

    path: str
    folder: bool = False


@dataclass(frozen=True, slots=True)
class Rename:
    """A name moved, over another one if need be."""

    path: str
    to: str


@dataclass(frozen=True, slots=True)
class Remove:
    """A name removed."""

    path: str


Step = Write | Truncate | Sync | Make | Rename | Remove


def recording_words(output: Path) -> list[str]:
    """What to put before a command to have it recorded into `output`. Raises RecordingRefused without strace."""
    strace = shutil.which("strace")
    if strace is None:
        raise RecordingRefused("strace is not installed")
    return [strace, "-f", "-y", "-xx", "-s", "1000000", "--seccomp-bpf", "-e", f"trace={CALLS}", "-o", str(output)]


_LINE = re.compile(r"^(?P<thread>\d+)\s+(?P<call>\w+)\((?P<rest>.*)$")
_RESUMED = re.compile(r"^(?P<thread>\d+)\s+<\.\.\. (?P<call>\w+) resumed>(?P<rest>.*)$")
_HEX = re.compile(r"(?:\\x[0-9a-f]{2})+")
_RESULT = re.compile(r"=\s+(-?\d+)")
_FD = re.compile(r"^\d+<(?P<path>[^>]*)>")
_TEXT = re.compile(r'"((?:\\x[0-9a-f]{2})*)"(\.\.\.)?')


def read_recording(lines: Iterable[str], *folders: Path) -> Iterator[Step]:
    """The steps below these folders, in order. A write counts when it began, a sync when it returned.

    Raises RecordingRefused for a call that the model doesn't know.
    """
    roots = tuple(str(folder) for folder in folders)
    taken = 0
    begun: dict[str, tuple[str, int]] = {}
    for line in lines:
        whole = _whole_call(line, begun, taken)
        if whole is None:
            continue
        call, rest, began = whole
        for step in _steps(call, rest, roots):
            yield replace(step, began=began) if isinstance(step, Sync) else step
            taken += 1


def _whole_call(line: str, begun: dict[str, tuple[str, int]], taken: int) -> tuple[str, str, int] | None:
    """A call with its words and the steps taken when it began; None for a line that doesn't complete one."""
    resumed = _RESUMED.match(line)
    if resumed is not None:
        call = resumed["call"]
        rest, began = begun.pop(resumed["thread"] + call, ("", 0))
        return (call, rest + resumed["rest"], began) if rest else None
    match = _LINE.match(line)
    if match is None:
        return None
    call, rest = match["call"], match["rest"]
    if "<unfinished ...>" not in rest:
        return call, rest, taken
    rest = rest.partition("<unfinished ...>")[0]
    if call in ("write", "pwrite64"):
        return call, rest + ") = 1", taken
    begun[match["thread"] + call] = (rest, taken)
    return None


def _steps(call: str, rest: str, roots: tuple[str, ...]) -> Iterator[Step]:
    result = _RESULT.search(rest[rest.rfind(")") :])
    if result is None or int(result[1]) < 0:
        return
    for step in _read(call, rest):
        if step.path.startswith(roots):
            if call in REFUSED:
                raise RecordingRefused(f"{call} on {step.path} is not known to the model of a disk")
            yield step


def _read(call: str, rest: str) -> Iterator[Step]:
    texts = [_bytes(text[1]) for text in _TEXT.finditer(rest)]
    names = [text.decode("utf-8", "surrogateescape") for text in texts]
    found = _FD.match(rest)
    path = _plain(found["path"]) if found else ""
    if path.endswith("(deleted)") or rest.startswith("(deleted)"):
        return
    match call:
        case "openat" | "open" | "creat":
            # The name after `=` is the file that was opened, links followed.
            opened = _plain(rest.rpartition("<")[2].partition(">")[0])
            if "O_CREAT" in rest:
                yield Make(opened)
            if "O_TRUNC" in rest:
                yield Truncate(opened, 0)
        case "write" | "writev" | "pwritev":
            yield Write(path, None, texts[0] if texts else b"")
        case "pwrite64":
            assert texts
            yield Write(path, int(rest.partition('"')[2].partition('"')[2].split(",")[2].split(")")[0]), texts[0])
        case "ftruncate":
            yield Truncate(path, _whole(rest.split(",")[1]))
        case "fsync" | "fdatasync" | "fallocate" | "sync_file_range":
            yield Sync(path)
        case "rename" | "renameat" | "renameat2" | "link" | "linkat":
            yield Rename(names[0], names[1])
        case "unlink" | "unlinkat" | "rmdir" | "truncate":
            yield Remove(names[0])
        case "mkdir" | "mkdirat":
            yield Make(names[0], folder=True)
        case _:
            return


def _whole(text: str) -> int:
    return int(text.strip().split(")")[0], 0)


def _bytes(text: str) -> bytes:
    return bytes.fromhex(text.replace("\\x", ""))


def _plain(text: str) -> str:
    return _HEX.sub(lambda match: _bytes(match[0]).decode("utf-8", "surrogateescape"), text)
