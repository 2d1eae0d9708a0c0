"""Files for the city: numbered folders with a manifest, laid whole, never overwritten, and sent by a person.

`FOLDER/000007/` holds the files and `manifest.json`, which names each with its SHA-256. A folder appears by one rename,
so nobody ever sees half of one. That somebody sent it is a person's word, no receipt: because of it nothing is let go.
"""

from __future__ import annotations

import os
import re
import shutil
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import date
from hashlib import sha256
from pathlib import Path
from typing import Final

import msgspec

from host.durable import sync_folder, write_new
from hub.reports.monthsheet import Stamp
from protocol.envelope import rfc3339
from protocol.errors import NeedsHands
from protocol.taps import JsonObject

FORMAT: Final = "k12edge.files.v1"
MANIFEST: Final = "manifest.json"
MANIFEST_BYTES_MAX: Final = 1024 * 1024
NUMBER: Final = re.compile(r"[0-9]{6}")
NUMBER_MAX: Final = 999_999
NAME: Final = re.compile(r"[a-z0-9][a-z0-9._-]{0,99}")
"""Names that every file system, mail and archive carries as they are."""
LAYING: Final = ".laying-"
FILE_MODE: Final = 0o640
"""Whoever sends the files is in the hub's group."""
TRIES_MAX: Final = 3
SAID_MAX: Final = 12
"""Numbers, the newest ones, that are named to whoever asks for one that isn't there."""


class FilesRefused(NeedsHands):
    """Files for the city can't be laid, or aren't what was laid; nothing was overwritten."""

    code = "city-files-refused"
    hint = "Look at [city] files_dir: the hub must be able to write there, and nobody else should change what it laid."


@dataclass(frozen=True, slots=True)
class Piece:
    """A file to be laid; `counts` are its numbers for the manifest, such as rows or pupils."""

    name: str
    octets: bytes
    counts: Mapping[str, int] = field(default_factory=dict)


class LaidFile(msgspec.Struct, frozen=True):
    """A file as the manifest names it."""

    name: str
    bytes: int
    sha256: str
    counts: dict[str, int]


class Manifest(msgspec.Struct, frozen=True):
    """What was laid under a number: which report, of which days, made when and by whom, on which data."""

    format: str
    number: int
    kind: str
    school: str
    first: date
    last: date
    made: str
    by: str
    rules: tuple[str, ...]
    complete_to: str | None
    waiting: tuple[str, ...]
    waived: tuple[tuple[str, str], ...]
    files: tuple[LaidFile, ...]


@dataclass(frozen=True, slots=True)
class Sent:
    """A named person's word that they sent what was laid under a number: to whom, when. It settles no record."""

    number: int
    manifest: str
    by: str
    to: str
    at_ms: int

    def data(self) -> JsonObject:
        """As the data of a record of the hub's own journal."""
        return {"number": self.number, "manifest": self.manifest, "by": self.by, "to": self.to}


class CityFiles:
    """See the room. One process lays at a time: the hub, which holds its instance lock."""

    def __init__(self, folder: Path) -> None:
        """Nothing is touched yet."""
        self._folder = folder

    def lay(
        self,
        kind: str,
        span: tuple[date, date],
        rules: Sequence[str],
        make: Callable[[int], tuple[Stamp, Sequence[Piece]]],
        after: int = 0,
    ) -> Manifest:
        """Lay a new number; `make` gets it and gives the files, which state it. Raises FilesRefused.

        `after`: the last number that the hub's records know, so that none comes twice where a folder was deleted.
        """
        try:
            self._folder.mkdir(parents=True, exist_ok=True)
            self._sweep()
            for _ in range(TRIES_MAX):
                number = max([after, *self.numbers()]) + 1
                if number > NUMBER_MAX:
                    raise FilesRefused(f"{self._folder} has no number left behind {NUMBER_MAX}")
                stamp, pieces = make(number)
                manifest = _manifest(number, kind, span, rules, stamp, pieces)
                if self._laid(manifest, pieces):
                    return manifest
        except OSError as problem:
            raise FilesRefused(f"{self._folder}: {problem.strerror or problem}") from problem
        raise FilesRefused(f"{self._folder}: another program lays files there")

    def numbers(self) -> list[int]:
        """The numbers that are taken, in order."""
        with suppress(FileNotFoundError):
            return sorted(int(name) for name in os.listdir(self._folder) if NUMBER.fullmatch(name))
        return []

    def manifest(self, number: int) -> Manifest:
        """What was laid under a number. Raises FilesRefused."""
        return self._read(number)[0]

    def all(self) -> Iterator[Manifest]:
        """Every manifest, by number. Raises FilesRefused at one that can't be read."""
        return map(self.manifest, self.numbers())

    def faults(self, number: int) -> list[str]:
        """What of a number isn't as it was laid: missing, changed or added files. Raises FilesRefused."""
        manifest = self.manifest(number)
        folder = self._place(number)
        found = []
        for file in manifest.files:
            try:
                same = sha256((folder / file.name).read_bytes()).hexdigest() == file.sha256
            except OSError as problem:
                found.append(f"{file.name} can't be read: {problem.strerror}")
                continue
            if not same:
                found.append(f"{file.name} was changed")
        known = {MANIFEST, *(file.name for file in manifest.files)}
        return found + [f"{name} was added" for name in sorted(os.listdir(folder)) if name not in known]

    def octets(self, number: int, name: str) -> bytes:
        """A file of a number. Raises FilesRefused where it isn't one, or isn't what was laid."""
        manifest = self.manifest(number)
        laid = next((file for file in manifest.files if file.name == name), None)
        if laid is None:
            raise FilesRefused(f"number {number} has no such file")
        try:
            octets = (self._place(number) / laid.name).read_bytes()
        except OSError as problem:
            raise FilesRefused(f"{laid.name} can't be read: {problem.strerror}") from problem
        if sha256(octets).hexdigest() != laid.sha256:
            raise FilesRefused(f"{laid.name} was changed")
        return octets

    def sent(self, number: int, by: str, to: str, at_ms: int) -> Sent:
        """A person's word that they sent a number, as it was laid. Raises FilesRefused; the caller records it."""
        if not by.strip() or not to.strip():
            raise FilesRefused("who sent the files, and to whom, must be named", hint="Name both.")
        known = self.numbers()
        if number not in known:
            raise no_number(number, known)
        _, octets = self._read(number)
        found = self.faults(number)
        if found:
            raise FilesRefused(f"number {number} isn't what was laid: {'; '.join(found[:5])}", hint="Lay a new number.")
        return Sent(number, sha256(octets).hexdigest(), by.strip(), to.strip(), at_ms)

    def _place(self, number: int) -> Path:
        return self._folder / f"{number:06}"

    def _read(self, number: int) -> tuple[Manifest, bytes]:
        path = self._place(number) / MANIFEST
        try:
            with path.open("rb") as file:
                octets = file.read(MANIFEST_BYTES_MAX + 1)
            manifest = msgspec.json.decode(octets, type=Manifest)
        except (OSError, msgspec.DecodeError, UnicodeDecodeError, RecursionError) as problem:
            raise FilesRefused(f"{path} can't be read: {problem}") from problem
        if manifest.number != number or manifest.format != FORMAT:
            raise FilesRefused(f"{path} is of number {manifest.number}, {manifest.format}")
        if not all(NAME.fullmatch(file.name) for file in manifest.files):
            # A name with a way in it would have us read, and vouch for, what stands elsewhere.
            raise FilesRefused(f"{path} names a file that can't be one of ours")
        return manifest, octets

    def _laid(self, manifest: Manifest, pieces: Sequence[Piece]) -> bool:
        """Whether the folder is there now, whole; False where its number was taken meanwhile."""
        work = Path(tempfile.mkdtemp(prefix=LAYING, dir=self._folder))
        try:
            for piece in pieces:
                write_new(work / piece.name, piece.octets, FILE_MODE)
            write_new(work / MANIFEST, msgspec.json.format(msgspec.json.encode(manifest), indent=1) + b"\n", FILE_MODE)
            sync_folder(work)
            work.chmod(0o750)
            target = self._place(manifest.number)
            if target.exists():
                return False
            # Onto a folder that holds something a rename fails, so that nothing is ever overwritten.
            work.rename(target)
            sync_folder(self._folder)
        finally:
            shutil.rmtree(work, ignore_errors=True)
        return True

    def _sweep(self) -> None:
        """Take away what a crash left half laid."""
        for name in os.listdir(self._folder):
            if name.startswith(LAYING):
                shutil.rmtree(self._folder / name, ignore_errors=True)


def no_number(number: int, known: Sequence[int]) -> FilesRefused:
    """What is said to whoever names a number under which nothing lies."""
    last = ", ".join(map(str, known[-SAID_MAX:]))
    more = "…, " if len(known) > SAID_MAX else ""
    return FilesRefused(
        f"không có số {number}; có: {more}{last or 'chưa có số nào'}"
        f" / there is no number {number}; there are: {more}{last or 'none yet'}",
        hint="k12edge hub files list",
    )


def _manifest(
    number: int, kind: str, span: tuple[date, date], rules: Sequence[str], stamp: Stamp, pieces: Sequence[Piece]
) -> Manifest:
    names = [piece.name for piece in pieces]
    assert stamp.number == number, "a report states the number that it is laid under"
    assert names and len(set(names)) == len(names) and MANIFEST not in names, "each file has a name of its own"
    assert all(NAME.fullmatch(name) for name in names), names
    standing = stamp.standing
    files = tuple(
        LaidFile(piece.name, len(piece.octets), sha256(piece.octets).hexdigest(), dict(piece.counts))
        for piece in pieces
    )
    return Manifest(
        FORMAT,
        number,
        kind,
        stamp.school,
        *span,
        rfc3339(stamp.made_ms),
        stamp.by,
        tuple(rules),
        None if standing.complete_to_ms is None else rfc3339(standing.complete_to_ms),
        standing.waiting,
        standing.waived,
        files,
    )
