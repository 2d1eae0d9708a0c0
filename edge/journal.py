"""The gateway's journal: records committed with fsync, chained by digest, named for life. See ports.Journal."""

from __future__ import annotations

import sqlite3
from collections import deque
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Final

from edge.journalfile import STORAGE_ERRORS, Places, copy_out, explained, move_log, moved, open_for_writing, places
from edge.journalrows import SEQUENCE_BITS, JournalRow, Marks, head_of, head_text, ranges_text, read_journals
from edge.ports import Recorded, Signal
from edge.slots import CommitLock, Slot, fail, take_all, tell
from edge.soundness import check_rows
from host.durable import prove_committed
from protocol.envelope import clock_data, digest, encode_event
from protocol.errors import BadMessage, JournalDamaged, JournalFailed, JournalFull, K12EdgeError
from protocol.ranges import RangeSet
from protocol.taps import Draft, JsonObject, TapId

if TYPE_CHECKING:
    from msgspec import Struct

    from edge.ports import Clock
    from protocol.signing import Identity

HEAD_EVERY_RECORDS: Final = 1000
HEAD_EVERY_MS: Final = 600_000
MARKS_RIDE_MS: Final = 10_000
"""Marks of what is settled go along with a tap's commit at most this often; apart from one after MARKS_ALONE_MS."""
MARKS_ALONE_MS: Final = 60_000
NOT_RECORDED: Final = "the tap was not recorded"
ABOUT: Final = ("journal.head", "device.watermark")
"""Records about the records before them: by themselves they are no reason for another one."""

_INSERT = "INSERT INTO event (position, raw) VALUES (?, ?)"


class SqliteJournal:
    """The book on SQLite: WAL, synchronous=FULL, one writing connection, commits shared by leader and followers.

    The thread that finds the journal idle commits by itself; those that come meanwhile are taken along by the next.
    """

    def __init__(
        self,
        path: Path,
        *,
        journal: str,
        source: str,
        identity: Identity,
        clock: Clock,
        version: str,
        opener: Callable[[Path], sqlite3.Connection] = open_for_writing,
    ) -> None:
        """Open the file and write this run's first record; raises what journalfile.open_for_writing raises."""
        self.path = path
        self.journal = journal
        self._source = source
        self._identity = identity
        self._clock = clock
        self._opener = opener
        self._waiting: deque[Slot] = deque()
        self._commit_lock = CommitLock(self._waiting)
        self._marks: dict[str, Marks] = {}
        self._marks_changed: set[str] = set()
        self._marks_flushed_ms = clock.read().mono_ms
        self._heads_at = (0, 0, self._marks_flushed_ms)
        self._failed: K12EdgeError | None = None
        self._closed = False
        self._last = self.plain = 0
        # `plain`: of these, the records that are about something else than the records before them.
        self._head: str | None = None
        self._database = opener(path)
        try:
            self.previous = self._open_run(version)
            self._places: Places | None = places(path)
        except BaseException:
            self._database.close()
            raise

    def _open_run(self, version: str) -> JournalRow | None:
        """Number this run and commit `journal.opened`, which names the journal before it."""
        try:
            rows = read_journals(self._database)
            check_rows(self._database, rows, self._identity.key)
        except STORAGE_ERRORS as problem:
            raise explained(problem, f"{self.path} can't be read") from problem
        before = next((row for row in reversed(rows) if not row.salvaged), None)
        self._number = 1 + max((row.number for row in rows), default=0)
        self._base = self._number << SEQUENCE_BITS
        reading = self._clock.read()
        previous = None
        if before is not None and before.last:
            previous = {"journal": before.journal, "last": before.last, "head": head_of(self._database, before)}
        draft = Draft(
            "journal.opened",
            reading.best_ms,
            {
                "journal": self.journal,
                "previous": previous,
                "key": self._identity.key,
                "version": version,
                "clock": clock_data(reading),
            },
        )
        self._row = (self._number, self.journal, reading.boot)
        slot = Slot(draft)
        self._commit([slot], opening=True)
        if slot.error is not None:
            raise slot.error
        return before

    @property
    def last(self) -> int:
        """This run's last sequence."""
        return self._last

    @property
    def head(self) -> str | None:
        """The digest of this run's last record."""
        return self._head

    @property
    def failing(self) -> bool:
        """Whether the storage failed at the last commit."""
        return self._failed is not None

    @property
    def number(self) -> int:
        """This run's number in the file."""
        return self._number

    def append(
        self, draft: Draft, station: str, card: str, signal: Signal, show: Callable[[Recorded], None] | None = None
    ) -> Recorded:
        """See Journal.append."""
        if show is None:
            return Recorded(self._append(draft), station, card, signal)

        def then(tap: TapId) -> None:
            show(Recorded(tap, station, card, signal))

        return Recorded(self._append(draft, then), station, card, signal)

    def note(self, kind: str, data: JsonObject | Struct) -> TapId:
        """See Journal.note."""
        return self._append(Draft(kind, self._clock.read().best_ms, data))

    def _append(self, draft: Draft, then: Callable[[TapId], None] | None = None) -> TapId:
        slot = Slot(draft, then)
        self._waiting.append(slot)
        with self._commit_lock:
            if not slot.done:
                slots = take_all(self._waiting)
                self._commit(slots)
                # Here, while those who wait still sleep: woken first, they would take turns with us at the interpreter.
                tell(slots)
        if slot.tap is None:
            raise slot.error or JournalFailed(NOT_RECORDED)
        return slot.tap

    def _commit(self, slots: Sequence[Slot], *, opening: bool = False) -> None:
        """Store all of the slots or none, in order; every slot is done afterwards. Runs under the commit lock."""
        stored = False
        try:
            if self._closed:
                raise JournalFailed(f"the journal is closed; {NOT_RECORDED}")
            if self._failed is not None:
                self._reopen()
            rows, last, head = self._encoded(slots)
            if not rows:
                return
            self._store(rows, opening=opening)
            self._last, self._head, stored = last, head, True
            self.plain += sum(slot.tap is not None and slot.draft.kind not in ABOUT for slot in slots)
        except (K12EdgeError, *STORAGE_ERRORS, OSError) as problem:
            fail(slots, explained(problem, NOT_RECORDED) if isinstance(problem, STORAGE_ERRORS) else problem)
        finally:
            for slot in slots:
                if not stored:
                    # Whatever ended it, memory that ran short as well: a name without a record is a false promise.
                    slot.tap = None
                slot.done = True

    def _encoded(self, slots: Sequence[Slot]) -> tuple[list[tuple[int, bytes]], int, str | None]:
        """The slots' records, each naming the one before; a draft too large fails alone."""
        sequence, head = self._last, self._head
        recorded_ms = self._clock.read().wall_ms
        rows: list[tuple[int, bytes]] = []
        for slot in slots:
            tap = TapId(self.journal, sequence + 1)
            try:
                raw = encode_event(
                    tap,
                    source=self._source,
                    kind=slot.draft.kind,
                    time_ms=slot.draft.time_ms,
                    recorded_ms=recorded_ms,
                    prev=head,
                    data=slot.draft.data,
                    subject=slot.draft.subject,
                )
            except BadMessage as problem:
                slot.error = problem
                continue
            slot.tap = tap
            rows.append((self._base + tap.sequence, raw))
            sequence, head = tap.sequence, digest(raw)
        return rows, sequence, head

    def _store(self, rows: list[tuple[int, bytes]], *, opening: bool) -> None:
        """One transaction: a single row commits by itself, more (or due marks) between BEGIN and COMMIT."""
        database = self._database
        now_ms = self._clock.mono_ns() // 1_000_000
        riding = bool(self._marks_changed) and now_ms - self._marks_flushed_ms >= MARKS_RIDE_MS
        changed = set[str]()
        try:
            if len(rows) == 1 and not opening and not riding:
                database.execute(_INSERT, rows[0])
            else:
                database.execute("BEGIN IMMEDIATE")
                database.executemany(_INSERT, rows)
                if opening:
                    database.execute("INSERT INTO journal (number, journal, boot) VALUES (?, ?, ?)", self._row)
                changed = self._write_marks() if riding else changed
                database.execute("COMMIT")
            prove_committed(self.path)
        except BaseException as problem:
            self._undo(problem)
            raise
        if changed:
            self._marks_changed -= changed
            self._marks_flushed_ms = now_ms

    def _undo(self, problem: BaseException) -> None:
        """After a failed commit, or a fault of ours within one: roll back; unless the disk was full, reopen next."""
        try:
            if self._database.in_transaction:
                self._database.execute("ROLLBACK")
        except STORAGE_ERRORS as second:
            problem = second
        ours = JournalFailed(f"the commit failed: {type(problem).__name__}")
        error = explained(problem, "the commit failed") if isinstance(problem, STORAGE_ERRORS) else ours
        if not isinstance(error, JournalFull):
            self._failed = error

    def _reopen(self) -> None:
        """Make the storage prove itself after an error: everything it shows is written and synced anew.

        A failed fsync may leave pages that look written and are not (the kernel marks them clean). So the log is
        moved into the database and synced there, and the tail is read again, before anything is built upon it.
        """
        if moved(self.path, self._places):
            raise JournalFailed(f"{self.path} is gone, and only the open file still holds its records")
        # Closing removes the log, so its place is unknown until everything is open again.
        self._places = None
        self._database.close()
        self._database = self._opener(self.path)
        try:
            busy, _, _ = self._database.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()
            if busy:
                raise JournalFailed("the log can't be moved into the database while it is being read")
            prove_committed(self.path)
            found = self._database.execute(
                "SELECT position, raw FROM event WHERE position BETWEEN ? AND ? ORDER BY position DESC LIMIT 1",
                (self._base, self._base + (1 << SEQUENCE_BITS) - 1),
            ).fetchone()
        except STORAGE_ERRORS as problem:
            raise explained(problem, "the storage failed again") from problem
        sequence = 0 if found is None else found[0] - self._base
        if sequence < self._last or (found is not None and not isinstance(found[1], bytes)):
            raise JournalDamaged(f"record {self.journal}.{self._last} was acknowledged and is gone")
        self._last, self._head = sequence, None if found is None else digest(found[1])
        self._places = places(self.path)
        self._failed = None

    def gone(self) -> bool:
        """Whether another file than the one opened, or none, lies under the file's name or its log's."""
        with self._commit_lock:
            return not self._closed and moved(self.path, self._places)

    def copy_out(self, target: Path) -> None:
        """Write everything to a new file and take nothing afterwards. Raises like append; then all is as before."""
        with self._commit_lock:
            if self._closed:
                raise JournalFailed("the journal is closed")
            copy_out(self._database, target)
            self._closed = True

    def end(self) -> tuple[str, int, str | None]:
        """This run's id, its last sequence and that record's digest, all of one moment; synced when this returns."""
        with self._commit_lock:
            return self.journal, self._last, self._head

    def head_due(self) -> bool:
        """Whether a signed head should be appended: 1,000 records, or 10 minutes with others than watermarks, since."""
        _, before, at_ms = self._heads_at
        fresh = self.plain - before
        aged = self._clock.mono_ns() // 1_000_000 - at_ms >= HEAD_EVERY_MS
        return fresh >= HEAD_EVERY_RECORDS or (fresh > 0 and aged)

    def sign_head(self) -> TapId:
        """Append a record that signs the chain so far, so that a file proves itself."""
        sign = self._identity.sign

        def signed(through: int, head: str) -> JsonObject:
            return {"through": through, "head": head, "sig": sign(head_text(self.journal, through, head))}

        plain, tap = self.plain, self.conclude("journal.head", signed)
        self._heads_at = (tap.sequence, plain, self._clock.mono_ns() // 1_000_000)
        return tap

    def conclude(self, kind: str, made: Callable[[int, str], JsonObject | Struct], at_ms: int | None = None) -> TapId:
        """Append what is `made` of the last sequence and its digest, behind the taps that wait. Raises like append."""
        with self._commit_lock.behind():
            assert self._head is not None
            time_ms = self._clock.read().best_ms if at_ms is None else at_ms
            slot = Slot(Draft(kind, time_ms, made(self._last, self._head)))
            self._commit([slot])
        if slot.error is not None or slot.tap is None:
            raise slot.error or JournalFailed(f"the {kind} was not recorded")
        return slot.tap

    def settle(self, journal: str, hub: RangeSet | None, city: RangeSet | None) -> None:
        """Remember what is held elsewhere; it becomes durable with a later commit, or by `flush_marks`."""
        with self._commit_lock:
            marks = self._marks.setdefault(journal, Marks())
            if hub is not None:
                marks.hub = hub.copy()
            if city is not None:
                marks.city = city.copy()
            self._marks_changed.add(journal)

    def flush_marks(self, *, force: bool = False) -> None:
        """Write the marks by themselves when they have waited for MARKS_ALONE_MS, or now."""
        now_ms = self._clock.mono_ns() // 1_000_000
        with self._commit_lock.behind():
            if not self._marks_changed or not (force or now_ms - self._marks_flushed_ms >= MARKS_ALONE_MS):
                return
            self._within_transaction(lambda: None)
            self._marks_flushed_ms = now_ms

    def maintain(self, work: Callable[[sqlite3.Connection], None]) -> None:
        """Run `work` in a transaction of the writing connection, the marks included. Raises like append."""
        with self._commit_lock.behind():
            self._within_transaction(lambda: work(self._database))

    def _within_transaction(self, work: Callable[[], None]) -> None:
        if self._closed:
            raise JournalFailed("the journal is closed")
        if self._failed is not None:
            self._reopen()
        try:
            self._database.execute("BEGIN IMMEDIATE")
            changed = self._write_marks()
            work()
            self._database.execute("COMMIT")
            prove_committed(self.path)
        except BaseException as problem:
            self._undo(problem)
            if isinstance(problem, STORAGE_ERRORS):
                raise explained(problem, "maintenance of the journal failed") from problem
            raise
        self._marks_changed -= changed

    def _write_marks(self) -> set[str]:
        changed = set(self._marks_changed)
        for journal in changed:
            marks = self._marks[journal]
            self._database.execute(
                "UPDATE journal SET hub_held = ?, city_held = ? WHERE journal = ?",
                (ranges_text(marks.hub), ranges_text(marks.city), journal),
            )
        return changed

    def checkpoint(self, *, truncate: bool = False) -> bool:
        """Move the log into the database in an idle moment; True when all of it went."""
        with self._commit_lock.behind():
            if self._failed is not None or self._closed:
                return False
            try:
                return move_log(self._database, self.path, truncate=truncate)
            except STORAGE_ERRORS as problem:
                self._undo(problem)
                return False

    def close(self) -> None:
        """Write marks, sign the head where the storage still works, and close."""
        # The records are safe without a head; it only spares the hub's help in a later audit.
        with suppress(K12EdgeError):
            if self._failed is None:
                self.flush_marks(force=True)
                if self._last > self._heads_at[0]:
                    self.sign_head()
        with self._commit_lock:
            self._closed = True
            self._database.close()
