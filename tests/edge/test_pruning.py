"""Pruning: only what hub and city hold, old enough by a certain time, behind a signed checkpoint that proves itself."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from random import Random

import pytest

from edge.bookreader import BookReader
from edge.clock import SystemClock
from edge.devicekeys import DeviceKeys
from edge.journal import SqliteJournal
from edge.journalfile import FILE_NAME
from edge.pruning import JOURNAL_ROWS_MAX, KEEP_MS_MIN, Cut, keep_ms, plan, prune
from edge.rescue import Rescue
from edge.salvage import open_journal
from edge.upkeep import Upkeep
from edge.uplink import Uplink
from edge.verify import VALID, verify_path
from edge.waterline import FILE_NAME as WATERLINE
from edge.waterline import packed
from protocol.envelope import clock_data, digest
from protocol.ranges import RangeSet
from protocol.receipts import JournalMarks, Mark, Receipt
from protocol.taps import Draft
from protocol.time import Anchor
from tests.edge.room import CLOCK, begin, parts, records, tap

TAPS = 20
LATER_MS = 10**14
"""A cutoff that every record is older than."""


class Book:
    """A file with one ended run of records 1 to 22 and a running one, and what the hub said of both."""

    def __init__(self, data: Path, *, anchored: bool = True) -> None:
        self.data = data
        before = begin(data)
        for _ in range(TAPS):
            tap(before)
        before.close()
        self.old = before.journal
        self.journal: SqliteJournal = begin(data)
        self.identity = DeviceKeys(data, None).identity
        self.clock = SystemClock()
        if anchored:
            reading = self.clock.read()
            self.offset(reading.boot, reading.wall_ms - reading.mono_ms)
        for _ in range(TAPS):
            tap(self.journal)
        self.reader = BookReader(self.journal.path)
        self.uplink = Uplink(Random(1))
        for row in self.reader.journals():
            running = row.journal == self.journal.journal
            self.uplink.add_journal(row.journal, row.last, 1, RangeSet(), RangeSet(), running=running)
        self.uplink.connected(0, ready=True, epoch="e")

    def offset(self, boot: str, offset_ms: int) -> None:
        def work(database: sqlite3.Connection) -> None:
            database.execute("INSERT OR REPLACE INTO boot VALUES (?, ?)", (boot, offset_ms))

        self.journal.maintain(work)

    def receipted(self, journal: str, hub: int, city: int) -> None:
        marks = [Mark(n, self.reader.digest_at(journal, n) if n else None) for n in (hub, city)]
        heard = self.uplink.receipt(Receipt("e", {journal: JournalMarks(*marks)}), self.reader.digest_at, 0)
        assert heard.alarms == ()
        for change in heard.settled:
            self.journal.settle(change.journal, change.hub, change.city)

    def cuts(self, cutoff_ms: int = LATER_MS) -> dict[str, int]:
        found = plan(self.reader, self.uplink, self.journal.journal, cutoff_ms)
        return {cut.row.journal: cut.through for cut in found}

    def prune(self) -> int:
        cuts: list[Cut] = plan(self.reader, self.uplink, self.journal.journal, LATER_MS)
        return prune(self.journal, self.identity, self.uplink, cuts, self.reader)


@pytest.fixture
def book(tmp_path: Path) -> Iterator[Book]:
    made = Book(tmp_path)
    yield made
    made.reader.close()
    made.journal.close()


def test_only_what_both_hold_goes_and_the_running_journal_keeps_its_last_record(book: Book) -> None:
    assert book.cuts() == {}
    book.receipted(book.old, TAPS + 2, 0)
    assert book.cuts() == {}, "the hub alone is not the city"
    book.receipted(book.old, TAPS + 2, 9)
    assert book.cuts() == {book.old: 9}
    book.receipted(book.journal.journal, TAPS + 1, TAPS + 1)
    assert book.cuts() == {book.old: 9, book.journal.journal: TAPS}


def test_nothing_young_goes(book: Book) -> None:
    book.receipted(book.old, TAPS + 2, TAPS + 2)
    assert book.cuts(CLOCK.read().best_ms - 60_000) == {}


def test_a_week_at_least_and_twice_the_hubs_backup_interval() -> None:
    assert keep_ms(0) == keep_ms(86_400) == KEEP_MS_MIN == 7 * 86_400_000
    assert keep_ms(30 * 86_400) == 60 * 86_400_000


def test_without_a_certain_time_nothing_goes_and_one_anchor_dates_the_whole_boot(tmp_path: Path) -> None:
    book = Book(tmp_path, anchored=False)
    book.receipted(book.old, TAPS + 2, TAPS + 2)
    if CLOCK.read().err_ms is None:
        assert book.cuts() == {}
    reading = CLOCK.read()
    book.offset(reading.boot, reading.wall_ms - reading.mono_ms)
    assert book.cuts() == {book.old: TAPS + 1}, "the signed head behind them has no clock of its own"
    book.receipted(book.journal.journal, 2, 2)
    assert book.cuts() == {book.old: TAPS + 2, book.journal.journal: 2}, "but it is older than what came after it"
    book.reader.close()
    book.journal.close()


def test_what_is_left_proves_itself_behind_the_checkpoint(book: Book, tmp_path: Path) -> None:
    book.receipted(book.old, TAPS + 2, 9)
    before = records(tmp_path)
    assert book.prune() == 9
    assert records(tmp_path) == before[9:]
    row = next(row for row in book.reader.journals() if row.journal == book.old)
    assert (row.pruned_through, row.pruned_head) == (9, digest(before[8]))
    assert book.reader.digest_at(book.old, 9) == digest(before[8])
    assert RangeSet([(1, 9)]) == row.city, "the city's mark is durable before anything goes"
    assert verify_path(tmp_path, None).exit_code == VALID
    assert book.uplink.owed() == TAPS + 1
    assert (book.old, 10, TAPS + 2) in book.uplink.to_tell(64)


def test_a_receipt_below_or_at_the_checkpoint_is_believed_and_above_it_compared(book: Book) -> None:
    book.receipted(book.old, TAPS + 2, 9)
    book.prune()
    for through, head, alarms in ((4, "A" * 43, ()), (9, None, ()), (12, "A" * 43, ("receipt-contradicts",))):
        mark = Mark(through, head or book.reader.digest_at(book.old, through))
        book.uplink.connected(0, ready=True, epoch=f"e{through}")
        receipt = Receipt(f"e{through}", {book.old: JournalMarks(mark)})
        assert book.uplink.receipt(receipt, book.reader.digest_at, 0).alarms == alarms


def test_a_run_of_which_nothing_is_left_keeps_its_row_for_the_next_to_name(book: Book, tmp_path: Path) -> None:
    book.receipted(book.old, TAPS + 2, TAPS + 2)
    book.receipted(book.journal.journal, 1, 1)
    assert book.prune() == TAPS + 3
    assert [row.journal for row in book.reader.journals()] == [book.old, book.journal.journal]
    assert verify_path(tmp_path, None).exit_code == VALID
    book.journal.close()
    third = begin(tmp_path)
    assert third.previous is not None and third.previous.journal == book.journal.journal
    third.close()


def test_rows_of_emptied_runs_are_bounded_from_the_oldest_on(book: Book, tmp_path: Path) -> None:
    def work(database: sqlite3.Connection) -> None:
        database.execute("UPDATE journal SET number = number + 1000")
        database.execute("UPDATE event SET position = position + (1000 << 40)")
        database.executemany(
            "INSERT INTO journal (number, journal, boot) VALUES (?, ?, 'x')",
            [(number, f"{number:016x}") for number in range(1, JOURNAL_ROWS_MAX + 50)],
        )

    book.journal.maintain(work)
    book.reader.journals()
    book.receipted(book.old, TAPS + 2, 3)
    assert book.prune() == 3
    assert len(book.reader.journals()) == JOURNAL_ROWS_MAX


@pytest.mark.parametrize("salvaged", [0, 1])
def test_a_run_that_still_holds_records_keeps_its_row_however_old_it_is(book: Book, salvaged: int) -> None:
    def work(database: sqlite3.Connection) -> None:
        database.execute("UPDATE journal SET salvaged = ? WHERE number = 1", (salvaged,))
        database.execute("UPDATE journal SET number = number + 1000 WHERE number > 1")
        database.execute("UPDATE event SET position = position + (1000 << 40) WHERE position >= 2 << 40")
        database.executemany(
            "INSERT INTO journal (number, journal, boot, salvaged) VALUES (?, ?, 'x', ?)",
            [(number, f"{number:016x}", number % 2) for number in range(2, JOURNAL_ROWS_MAX + 50)],
        )

    book.journal.maintain(work)
    book.reader.journals()
    book.receipted(book.old, TAPS + 2, 3)
    assert book.prune() == 3
    assert book.reader.journals()[0].journal == book.old
    assert len(book.reader.lines(book.old, 4, TAPS + 2)) == TAPS - 1


@pytest.mark.parametrize(
    ("error_ms", "pruned"), [(1_000, True), (120_000, False), (None, False)], ids=["sure", "less sure", "unsure"]
)
def test_upkeep_prunes_what_is_old_even_if_its_clock_is_ahead(
    tmp_path: Path, error_ms: int | None, pruned: bool
) -> None:
    """Records of a week and a minute ago: by a clock that may be two minutes ahead, or by any bound, not yet."""
    clock = SystemClock("hub") if error_ms is None else SystemClock("declared", error_ms)
    made = {**parts(tmp_path), "clock": SystemClock("hub")}
    journal, _ = open_journal(tmp_path, **made)
    reading = clock.read()
    plain = clock_data(replace(reading, sync="none", err_ms=None))
    for _ in range(TAPS):
        journal.append(Draft("care.tap", 0, {"clock": plain}), "cong", "x", "accepted")
    uplink, reader = Uplink(Random(1)), BookReader(journal.path)
    uplink.add_journal(journal.journal, TAPS + 1, 1, RangeSet(), RangeSet(), running=True)
    uplink.connected(0, ready=True, epoch="e")

    def work(database: sqlite3.Connection) -> None:
        offset_ms = reading.wall_ms - reading.mono_ms - KEEP_MS_MIN - 60_000
        database.execute("INSERT OR REPLACE INTO boot VALUES (?, ?)", (reading.boot, offset_ms))

    journal.maintain(work)
    reader.journals()
    mark = Mark(TAPS + 1, journal.head)
    uplink.receipt(Receipt("e", {journal.journal: JournalMarks(mark, mark)}), reader.digest_at, 0)
    rescue = Rescue(journal, lambda _: None, lambda: None)
    upkeep = Upkeep(journal, made["identity"], clock, lambda: 0, lambda: 0, rescue, lambda *_: None)
    upkeep._prune(reader, uplink)
    assert upkeep.pruned_records == (TAPS if pruned else 0)
    reader.close()
    journal.close()


def test_upkeep_writes_an_anchor_once_and_a_boots_offset(book: Book, tmp_path: Path) -> None:
    told: list[str] = []
    rescue = Rescue(book.journal, told.append, lambda: None)
    upkeep = Upkeep(book.journal, book.identity, book.clock, lambda: 0, lambda: 86_400, rescue, lambda *_: None)
    anchor = book.clock.hear_hub(book.clock.mono_ns() // 1_000_000 - 40, 1_800_000_000_000, 5)
    assert anchor is not None
    upkeep.anchor(anchor)
    now_ms = book.clock.mono_ns() // 1_000_000
    for _ in range(3):
        upkeep(book.reader, book.uplink, now_ms)
    assert book.reader.boot_offsets()[anchor.boot] == anchor.wall_ms - anchor.mono
    found = sqlite3.connect(f"{(tmp_path / FILE_NAME).as_uri()}?mode=ro", uri=True)
    count = found.execute("SELECT count(*) FROM event WHERE instr(raw, 'boot.anchored') AND instr(raw, '\"hub\"')")
    assert count.fetchone()[0] == 1 and told == []
    found.close()


def test_upkeep_looks_at_the_waterline_and_then_moves_it(book: Book, tmp_path: Path) -> None:
    (tmp_path / WATERLINE).write_bytes(packed(book.old, TAPS + 9, "A" * 43))
    told: list[tuple[str, str]] = []
    rescue = Rescue(book.journal, lambda _: None, lambda: None)
    upkeep = Upkeep(
        book.journal, book.identity, book.clock, lambda: 0, lambda: 86_400, rescue, lambda *it: told.append(it)
    )
    upkeep.anchor(Anchor(book.clock.boot, 0, 1_800_000_000_000, 5, "hub"))
    upkeep(book.reader, book.uplink, book.clock.mono_ns() // 1_000_000)
    assert [code for code, _ in told] == ["records-gone"]
    moved = json.loads((tmp_path / WATERLINE).read_text(encoding="ascii"))
    assert (moved["journal"], moved["last"]) == book.journal.end()[:2]
