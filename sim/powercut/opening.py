"""A gateway's state after a cut, opened as a starting gateway opens it, and held against what was promised."""

from __future__ import annotations

import secrets
import sqlite3
import time
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import msgspec

from edge.bookcopy import journal_files, opened
from edge.bookreader import BookReader
from edge.clock import SystemClock
from edge.devicekeys import DeviceKeys
from edge.journalfile import FILE_NAME
from edge.journalrows import SEQUENCE_BITS
from edge.rosterstore import RosterStore
from edge.salvage import DAMAGED, open_journal, salvage, set_suspect_aside
from edge.verify import VALID, verify_path
from edge.waterline import Waterline
from host.lock import InstanceLock
from protocol.errors import K12EdgeError
from protocol.taps import STATION_KINDS, Draft
from protocol.topics import device_source
from sim.powercut.outcome import Outcome
from sim.powercut.recording import Rename, Step, Sync, Write
from sim.reckoning import ANSWERS
from sim.road import SCHOOL

SMALL_FILES: Final = ("keys.json", "waterline.json", *(f"roster-{kind}.gz" for kind in STATION_KINDS))
"""Files that are replaced whole or not at all, and never go back once the replacing returned."""


SOURCE: Final = device_source(SCHOOL, "cut")


class _Shown(msgspec.Struct):
    signal: str
    tap: str | None


_shown = msgspec.json.Decoder(_Shown)


def records_of(data: Path) -> Iterator[tuple[str, bytes]]:
    """Every record in a data directory, by id; damaged files that were set aside count as well."""
    for file in journal_files(data):
        with opened(file) as database:
            yield from _records(database)


def _records(database: sqlite3.Connection) -> Iterator[tuple[str, bytes]]:
    """By the name that a record's place gives it; that its bytes say the same name is for `k12edge verify`."""
    for journal, sequence, raw in database.execute(
        f"SELECT journal, position - (number << {SEQUENCE_BITS}), raw FROM event"
        f" LEFT JOIN journal ON number = position >> {SEQUENCE_BITS} WHERE raw IS NOT NULL ORDER BY position"
    ):
        yield f"{journal}.{sequence}", bytes(raw)


def records_in(file: Path) -> dict[str, bytes]:
    """Every record of a journal's file that nobody has open for writing and no log belongs to."""
    database = sqlite3.connect(f"{file.as_uri()}?mode=ro", uri=True)
    try:
        return dict(_records(database))
    finally:
        database.close()


def shown_before(signals: Path) -> set[str]:
    """The taps that a jsonl sink names as signalled."""
    if not signals.exists():
        return set()
    return {tap for line in signals.read_bytes().splitlines() if (tap := tap_shown(line)) is not None}


def tap_shown(line: bytes) -> str | None:
    """The tap whose answer this line of a jsonl sink is."""
    told = _shown.decode(line)
    return told.tap if told.signal in ANSWERS else None


class SmallFiles:
    """Which contents each small file may have after a cut: the one last promised, or any that was begun since."""

    def __init__(self, data: Path) -> None:
        """Begin with what lies there, all of it promised."""
        self._data = data
        self._drafts: dict[str, bytes] = {}
        self._begun: dict[str, list[bytes | None]] = {}
        for name in SMALL_FILES:
            path = data / name
            self._begun[name] = [path.read_bytes() if path.exists() else None]

    def hear(self, step: Step) -> None:
        """A draft is written, takes its name, and the folder is synced: from then on the content is promised."""
        match step:
            case Write(path, _, data):
                self._drafts[path] = self._drafts.get(path, b"") + data
            case Rename(path, to):
                content = self._drafts.pop(path, None)
                name = Path(to).name
                if content is not None and name in self._begun and Path(to).parent == self._data:
                    self._begun[name].append(content)
            case Sync(path) if path.rstrip("/") == str(self._data):
                self._begun = {name: begun[-1:] for name, begun in self._begun.items()}

    def wrong(self, folder: Path) -> list[str]:
        """The files of a state that are neither."""
        found = []
        for name, begun in self._begun.items():
            path = folder / name
            if (path.read_bytes() if path.exists() else None) not in begun:
                found.append(f"{name} is none of the {len(begun)} that it may be")
        return found


@dataclass(slots=True)
class Opened:
    """What a starting gateway found."""

    journal: str
    aside: list[str]
    key: str
    damaged: list[str]
    alarms: list[str]
    ready_s: float


def open_state(folder: Path) -> Opened:
    """Start in a state as `edge.app.Gateway` does: lock, keys, rosters, journal, a tap; then salvage, then a clean end.

    The tap comes before the salvage, as a waiting card's would. Raises K12EdgeError when it can't start.
    """
    began_s = time.monotonic()
    keys = DeviceKeys(folder, None)
    rosters = RosterStore(folder, SCHOOL)
    aside = set_suspect_aside(folder)
    journal, broken = open_journal(
        folder,
        journal=secrets.token_hex(8),
        source=SOURCE,
        identity=keys.identity,
        clock=SystemClock(),
        version="0",
    )
    try:
        journal.append(Draft("attendance.tap", 0, {"kind": "gate"}), "gate-0", "hk0:x", "accepted")
        ready_s = time.monotonic() - began_s
        salvage(folder, journal)
        alarms: list[str] = []
        reader = BookReader(folder / FILE_NAME)
        try:
            Waterline(journal, lambda code, detail: alarms.append(f"{code}: {detail}"), 0).look(reader)
        finally:
            reader.close()
    finally:
        journal.close()
    damaged = [*rosters.damaged, *keys.damaged]
    return Opened(journal.journal, [*aside, *broken], keys.identity.key, damaged, alarms, ready_s)


@dataclass(slots=True)
class GatewayJudge:
    """See replay.Judge. `truth`: every record that the real process ever wrote; `shown`: signalled before it began.

    `pruned`: journal -> sequence through which records may be gone, since the city holds them. `aside_expected`: the
    story begins with a damaged file, so setting one aside is no fault. While `excused` is set a signalled record may
    be missing (the file was deleted under the gateway); nothing else may be wrong.
    """

    data: Path
    signals: Path
    truth: Mapping[str, bytes]
    shown: set[str]
    key: str
    pruned: Mapping[str, int]
    aside_expected: bool = False
    excused: bool = False
    small: SmallFiles | None = None

    def hear(self, step: Step) -> None:
        """See replay.Judge."""
        if self.small is not None:
            self.small.hear(step)
        if isinstance(step, Write) and step.path == str(self.signals):
            # From the moment of its write the beep is a promise.
            tap = tap_shown(step.data)
            if tap is not None:
                self.shown.add(tap)

    def promised(self) -> int:
        """See replay.Judge."""
        return len(self.shown)

    def judge(self, folder: Path, outcome: Outcome, name: str) -> None:
        """See replay.Judge."""
        if self.small is not None:
            outcome.corrupt += [f"{name}: {wrong}" for wrong in self.small.wrong(folder)]
        had_keys = (folder / "keys.json").exists()
        with InstanceLock(folder):
            try:
                opened_ = open_state(folder)
            except (K12EdgeError, sqlite3.Error, OSError) as problem:
                outcome.corrupt.append(f"{name}: it can't start: {type(problem).__name__}: {problem}")
                return
            outcome.ready(name, opened_.ready_s)
            if opened_.damaged or (self.shown and not (had_keys and opened_.key == self.key)):
                outcome.corrupt.append(f"{name}: the keys or rosters are damaged or gone: {opened_.damaged}")
            if opened_.alarms and not self.excused:
                outcome.corrupt.append(f"{name}: {opened_.alarms}, on a card that doesn't lie")
            if opened_.aside:
                outcome.more["set aside"] += 1
                if not (self.aside_expected or self.excused):
                    outcome.corrupt.append(f"{name}: {', '.join(opened_.aside)} was set aside")
            # The lock is held, so the files are read where they lie; the closing has moved the log into the database.
            database = sqlite3.connect(f"{(folder / FILE_NAME).as_uri()}?mode=ro", uri=True)
            try:
                records = list(_records(database))
                pruned = dict(database.execute("SELECT journal, pruned_through FROM journal").fetchall())
            except (sqlite3.Error, TypeError) as problem:
                outcome.corrupt.append(f"{name}: the records can't be read: {problem}")
                return
            finally:
                database.close()
            self._compare(records, pruned, opened_.journal, outcome, name)
            if left := sorted(path.name for path in folder.glob(DAMAGED + "*")):
                outcome.corrupt.append(f"{name}: {', '.join(left)} is left over")
            report = verify_path(folder, None)
            holes = self.excused and all(one["problem"] == "the record is missing" for one in report.bad)
            if report.exit_code != VALID and not holes:
                outcome.corrupt.append(f"{name}: {report.bad or report.lines}")

    def _compare(
        self, records: list[tuple[str, bytes]], pruned: Mapping[str, int], own: str, outcome: Outcome, name: str
    ) -> None:
        held = dict(records)
        if len(held) < len(records):
            twice = [found for found, count in Counter(found for found, _ in records).items() if count > 1]
            outcome.double += [f"{name}: {found} twice" for found in twice]
        if not self.excused:
            for tap in self.shown - held.keys():
                journal, _, sequence = tap.partition(".")
                gone = min(pruned.get(journal, 0), self.pruned.get(journal, 0))
                if int(sequence) > gone:
                    outcome.lost.append(f"{name}: {tap} was signalled")
        for found, raw in records:
            if not found.startswith(own) and self.truth.get(found) != raw:
                kind = outcome.corrupt if found in self.truth else outcome.phantom
                kind.append(f"{name}: {found} is another record, or none that was written")


def key_of(data: Path) -> str:
    """The public key that a data directory's gateway signs with."""
    with suppress(K12EdgeError):
        return DeviceKeys(data, None).identity.key
    return ""
