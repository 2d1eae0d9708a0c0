"""The city's store: events by (source, id), each once, with their exact bytes; committed before it is answered."""

from __future__ import annotations

import fcntl
import os
import sqlite3
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Literal

import msgspec

from protocol.anchors import BootAnchors, Timeline
from protocol.envelope import Event, decode_event, digest_bytes
from protocol.errors import AlreadyRunning, BadMessage, NeedsHands

SCHEMA: Final = Path(__file__).parent / "schema" / "001.sql"
PROBLEM: Final = "urn:k12edge:problem:"
Status = Literal["stored", "duplicate", "rejected"]


class _Belief(msgspec.Struct):
    student: str | None = None


@dataclass(frozen=True, slots=True)
class Answered:
    """What became of one event; `problem` (the type's last word) and `retryable` go with `rejected`."""

    source: str
    event_id: str
    status: Status
    problem: str | None = None
    title: str = ""
    retryable: bool = False

    def told(self) -> dict[str, Any]:
        """The answer as it stands among the results."""
        told: dict[str, Any] = {"source": self.source, "id": self.event_id, "status": self.status}
        if self.problem is not None:
            told["problem"] = {
                "type": f"{PROBLEM}{self.problem}",
                "title": self.title[:300],
                "retryable": self.retryable,
            }
        return told


class CityStore:
    """See the room. One writing connection, one thread in it at a time."""

    def __init__(self, data_dir: Path) -> None:
        """Take the directory and open the file; raises AlreadyRunning, NeedsHands."""
        data_dir.mkdir(parents=True, exist_ok=True)
        self._lock_file = os.open(data_dir / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(self._lock_file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as problem:
            raise AlreadyRunning(f"{data_dir} is held by another city service") from problem
        self.path = data_dir / "city.db"
        self._students_file = data_dir / "students.txt"
        self._students: tuple[float, frozenset[str]] | None = None
        self.lock = threading.RLock()
        self._database = sqlite3.connect(self.path, isolation_level=None, check_same_thread=False)
        self._prepare()
        self._timelines: dict[str, Timeline] = {}
        self._load_timelines()

    def _prepare(self) -> None:
        run = self._database.execute
        run("PRAGMA journal_mode = WAL")
        run("PRAGMA synchronous = FULL")
        if run("PRAGMA journal_mode").fetchone()[0] != "wal" or run("PRAGMA synchronous").fetchone()[0] != 2:
            raise NeedsHands(f"{self.path} can't be opened with WAL and synchronous=FULL")
        version = run("PRAGMA user_version").fetchone()[0]
        if version > 1:
            raise NeedsHands(f"{self.path} has schema {version}, this software knows 1")
        if version == 0:
            self._database.executescript(
                f"BEGIN IMMEDIATE;\n{SCHEMA.read_text(encoding='utf-8')}\nPRAGMA user_version = 1;\nCOMMIT;"
            )

    def _load_timelines(self) -> None:
        for source, boot, kept in self._database.execute("SELECT source, boot, kept FROM anchors"):
            self.timeline(source).boots[boot] = msgspec.json.decode(kept, type=BootAnchors)
        for (raw,) in self._database.execute("SELECT raw FROM events WHERE sequence = 1"):
            event = decode_event(raw)
            if event.name == "journal.opened":
                self.timeline(event.source).link(event)

    def timeline(self, source: str) -> Timeline:
        """The timeline of one source."""
        return self._timelines.setdefault(source, Timeline())

    def _known_students(self) -> frozenset[str] | None:
        """Pupils the city knows, from `students.txt` in the data directory; None where every pupil is taken."""
        try:
            stamp = self._students_file.stat().st_mtime
        except OSError:
            return None
        if self._students is None or self._students[0] != stamp:
            words = self._students_file.read_text(encoding="utf-8").split()
            self._students = (stamp, frozenset(words))
        return self._students[1]

    def take(self, raws: Sequence[bytes]) -> list[Answered]:
        """Store what is new; every event gets its own answer. Committed when this returns."""
        with self.lock:
            self._database.execute("BEGIN IMMEDIATE")
            try:
                students = self._known_students()
                answers = [self._take_one(raw, students) for raw in raws]
                self._database.execute("COMMIT")
            except BaseException:
                if self._database.in_transaction:
                    self._database.execute("ROLLBACK")
                # What was learnt from events that weren't stored must not count, nor count as written.
                self._timelines.clear()
                self._load_timelines()
                raise
        return answers

    def _take_one(self, raw: bytes, students: frozenset[str] | None) -> Answered:
        try:
            event = decode_event(raw)
        except BadMessage as problem:
            source, name = _names(raw)
            return Answered(source, name, "rejected", "invalid-event", str(problem))
        digest = digest_bytes(raw)
        held = self._database.execute(
            "SELECT digest FROM events WHERE source = ? AND event_id = ?", (event.source, event.id)
        ).fetchone()
        if held is not None:
            return self._again(event, raw, digest, held[0])
        student = _student(event)
        if student is not None and students is not None and student not in students:
            return Answered(
                event.source, event.id, "rejected", "unknown-student", "The city does not know this pupil yet.", True
            )
        tap = event.tap
        self._database.execute(
            "INSERT INTO events (source, event_id, journal, sequence, type, student, digest, raw, received_ms)"
            " VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)",
            (event.source, event.id, tap.journal, tap.sequence, event.name, student, digest, raw, _now_ms()),
        )
        timeline = self.timeline(event.source)
        for boot in timeline.learn(event):
            kept = msgspec.json.encode(timeline.boots[boot]).decode("utf-8")
            self._database.execute(
                "INSERT OR REPLACE INTO anchors (source, boot, kept) VALUES (?, ?, ?)", (event.source, boot, kept)
            )
        return Answered(event.source, event.id, "stored")

    def _again(self, event: Event, raw: bytes, digest: bytes, held: bytes) -> Answered:
        if digest == held:
            return Answered(event.source, event.id, "duplicate")
        self._database.execute(
            "INSERT OR IGNORE INTO conflicts (source, event_id, digest, raw, received_ms) VALUES (?, ?, ?, ?, ?)",
            (event.source, event.id, digest, raw, _now_ms()),
        )
        return Answered(event.source, event.id, "rejected", "conflict", "Other bytes are held under this name.")

    # --- reading ------------------------------------------------------------------------------------------------------

    @contextmanager
    def reading(self) -> Iterator[sqlite3.Connection]:
        """A connection of its own that can't write and waits for nobody."""
        reader = sqlite3.connect(f"{self.path.absolute().as_uri()}?mode=ro", uri=True, isolation_level=None)
        try:
            yield reader
        finally:
            reader.close()

    def page(self, after: int, limit: int) -> list[tuple[int, bytes]]:
        """Up to `limit` records after a position, in commit order."""
        with self.reading() as reader:
            return reader.execute(
                "SELECT position, raw FROM events WHERE position > ? ORDER BY position LIMIT ?", (after, limit)
            ).fetchall()

    def digests(self, journal: str, first: int, last: int) -> list[bytes]:
        """The digests held of a range, in sequence order."""
        with self.reading() as reader:
            rows = reader.execute(
                "SELECT digest FROM events WHERE journal = ? AND sequence BETWEEN ? AND ? ORDER BY sequence",
                (journal, first, last),
            ).fetchall()
        return [row[0] for row in rows]

    def overview(self) -> dict[str, Any]:
        """What the page shows."""
        with self.reading() as reader:
            run = reader.execute
            return {
                "events": run("SELECT count(*) FROM events").fetchone()[0],
                "conflicts": run("SELECT count(*) FROM conflicts").fetchone()[0],
                "types": run("SELECT type, count(*) FROM events GROUP BY type ORDER BY 2 DESC").fetchall(),
                "journals": run(
                    "SELECT source, journal, count(*), max(sequence), max(sequence) - count(*) FROM events"
                    " GROUP BY source, journal ORDER BY max(position) DESC LIMIT 50"
                ).fetchall(),
                "newest": [
                    {"time": event.time, "id": event.id, "source": event.source, "type": event.name}
                    for (raw,) in run("SELECT raw FROM events ORDER BY position DESC LIMIT 20")
                    for event in [decode_event(raw)]
                ],
            }

    def close(self) -> None:
        """Close the file and give the directory back."""
        with self.lock:
            self._database.close()
        os.close(self._lock_file)


def _student(event: Event) -> str | None:
    try:
        return msgspec.json.decode(event.data, type=_Belief).student
    except (msgspec.DecodeError, ValueError):
        return None


class _Named(msgspec.Struct):
    source: str = ""
    id: str = ""


def _names(raw: bytes) -> tuple[str, str]:
    try:
        found = msgspec.json.decode(raw, type=_Named)
    except (msgspec.DecodeError, ValueError, RecursionError):
        return "", ""
    return found.source, found.id


def _now_ms() -> int:
    return time.time_ns() // 1_000_000
