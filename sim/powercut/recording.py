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
SENDS: Final = "sendto,sendmsg"
"""How bytes leave through a socket; recorded where asked."""
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


@dataclass(frozen=True, slots=True)
class Sent:
    """Bytes handed to a socket: from now on somebody else may have them. `path` names the socket."""

    path: str
    data: bytes


Step = Write | Truncate | Sync | Make | Rename | Remove | Sent


def recording_words(output: Path, *, sent: bool = False) -> list[str]:
    """What to put before a command to have it recorded into `output`. Raises RecordingRefused without strace."""
    strace = shutil.which("strace")
    if strace is None:
        raise RecordingRefused("strace is not installed")
    calls = f"{CALLS},{SENDS}" if sent else CALLS
    return [strace, "-f", "-y", "-xx", "-s", "1000000", "--seccomp-bpf", "-e", f"trace={calls}", "-o", str(output)]


_LINE = re.compile(r"^(?P<thread>\d+)\s+(?P<call>\w+)\((?P<rest>.*)$")
_RESUMED = re.compile(r"^(?P<thread>\d+)\s+<\.\.\. (?P<call>\w+) resumed>(?P<rest>.*)$")
_HEX = re.compile(r"(?:\\x[0-9a-f]{2})+")
_RESULT = re.compile(r"=\s+(-?\d+)")
_FD = re.compile(r"^\d+<(?P<path>[^>]*)>")
_PART = re.compile(r'iov_base="((?:\\x[0-9a-f]{2})*)"')
_TEXT = re.compile(r'"((?:\\x[0-9a-f]{2})*)"(\.\.\.)?')


_AT_ONCE: Final = ("write", "pwrite64", "sendto", "sendmsg")
"""What counts from its beginning: the bytes may have arrived long before the call returned."""


def read_recording(lines: Iterable[str], *folders: Path, apart: Iterable[Path] = ()) -> Iterator[Step]:
    """The steps below these folders (not below those `apart`), in order, and all that was sent.

    A write counts when it began, a sync when it returned. Raises RecordingRefused for a call that the model doesn't
    know.
    """
    roots, others = tuple(map(str, folders)), tuple(map(str, apart))
    whole_lines = list(lines)
    ends = _ends(whole_lines)
    taken = 0
    begun: dict[str, tuple[str, int]] = {}
    for number, line in enumerate(whole_lines):
        whole = _whole_call(line, begun, taken, ends.get(number))
        if whole is None:
            continue
        call, rest, began = whole
        for step in _steps(call, rest, roots, others):
            yield replace(step, began=began) if isinstance(step, Sync) else step
            taken += 1


def _ends(lines: list[str]) -> dict[int, str]:
    """Of each call that another thread interrupted: number of its first line -> what its last line says."""
    open_calls: dict[str, int] = {}
    ends: dict[int, str] = {}
    for number, line in enumerate(lines):
        if "resumed>" in line and (resumed := _RESUMED.match(line)) is not None:
            first = open_calls.pop(resumed["thread"] + resumed["call"], None)
            if first is not None:
                ends[first] = resumed["rest"]
        elif "<unfinished ...>" in line and (match := _LINE.match(line)) is not None:
            open_calls[match["thread"] + match["call"]] = number
    return ends


def _whole_call(
    line: str, begun: dict[str, tuple[str, int]], taken: int, end: str | None
) -> tuple[str, str, int] | None:
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
    if call in _AT_ONCE:
        # One that never returned (its process was killed) may have been done.
        return call, rest + (") = 1000000" if end is None or "=" not in end else end), taken
    begun[match["thread"] + call] = (rest, taken)
    return None


def _steps(call: str, rest: str, roots: tuple[str, ...], others: tuple[str, ...]) -> Iterator[Step]:
    result = _RESULT.search(rest[rest.rfind(")") :])
    if result is None or int(result[1]) < 0:
        return
    for step in _read(call, rest):
        if isinstance(step, Sent):
            yield replace(step, data=step.data[: int(result[1])])
        elif _below(step.path, roots) and not _below(step.path, others):
            if call in REFUSED:
                raise RecordingRefused(f"{call} on {step.path} is not known to the model of a disk")
            yield step


def _below(path: str, folders: tuple[str, ...]) -> bool:
    return any(path == folder or path.startswith(folder + "/") for folder in folders)


def _read(call: str, rest: str) -> Iterator[Step]:
    texts = [_bytes(text[1]) for text in _TEXT.finditer(rest)]
    names = [text.decode("utf-8", "surrogateescape") for text in texts]
    found = _FD.match(rest)
    path = _plain(found["path"]) if found else ""
    if found is not None and rest.startswith("(deleted)", found.end()):
        # It has no name any more, so a cut takes it whatever is written there.
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
        case "sendto":
            yield Sent(path, texts[0] if texts else b"")
        case "sendmsg" if "iov_base" in rest:
            yield Sent(path, b"".join(_bytes(part[1]) for part in _PART.finditer(rest)))
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
