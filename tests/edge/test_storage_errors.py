"""A journal whose storage failed once: nothing is acknowledged, shown or built upon that isn't proven to be there."""

from __future__ import annotations

import os
import sqlite3
from pathlib import Path

import pytest

import edge.journalfile
from edge.bookreader import BookReader
from edge.journal import SqliteJournal
from edge.journalfile import FILE_NAME, PAGE_BYTES
from protocol.envelope import decode_event, encode_event
from protocol.errors import BadMessage, JournalFailed, JournalFull
from protocol.taps import TapId
from tests.edge.room import SOURCE, begin, chain_holds, draft, records, tap


def fill(journal: SqliteJournal) -> None:
    """As on a full disk: the file may not grow any more."""
    journal.checkpoint(truncate=True)
    run = journal._database.execute
    run(f"PRAGMA max_page_count = {run('PRAGMA page_count').fetchone()[0]}")


def empty(journal: SqliteJournal) -> None:
    journal._database.execute("PRAGMA max_page_count = 100000")


def test_a_commit_that_failed_shows_nothing(tmp_path: Path) -> None:
    journal, shown = begin(tmp_path), []
    fill(journal)
    for _ in range(40):
        stored = len(records(tmp_path))
        shown.clear()
        try:
            journal.append(draft(), "cong", "hk1:a", "accepted", shown.append)
        except JournalFull:
            break
        assert len(shown) == 1 and len(records(tmp_path)) == stored + 1
    else:
        pytest.fail("the file never filled")
    assert shown == [] and len(records(tmp_path)) == stored
    journal.close()


def test_what_failed_halfway_is_rolled_back_before_the_next_record_is_acknowledged(tmp_path: Path) -> None:
    journal = begin(tmp_path)
    tap(journal)
    fill(journal)

    def work(database: sqlite3.Connection) -> None:
        database.execute("INSERT INTO boot VALUES ('7d3e0c2a', 1)")
        database.execute("INSERT INTO event VALUES (99, zeroblob(?))", (40 * PAGE_BYTES,))

    with pytest.raises(JournalFull):
        journal.maintain(work)
    empty(journal)
    assert tap(journal) == 3
    assert len(records(tmp_path)) == 3, "another process, and the next start, see what was acknowledged"
    reader = BookReader(journal.path)
    assert reader.boot_offsets() == {}
    reader.close()
    journal.close()


@pytest.mark.parametrize("fault", [KeyError, MemoryError, OverflowError, BadMessage, KeyboardInterrupt])
def test_a_fault_of_ours_within_a_transaction_leaves_none_open(tmp_path: Path, fault: type[BaseException]) -> None:
    """The next record would be written within it, and acknowledged without a commit."""
    journal = begin(tmp_path)

    def work(database: sqlite3.Connection) -> None:
        database.execute("INSERT INTO boot VALUES ('7d3e0c2a', 1)")
        raise fault("x")

    with pytest.raises(fault):
        journal.maintain(work)
    assert tap(journal) == 2
    assert len(records(tmp_path)) == 2
    reader = BookReader(journal.path)
    assert reader.boot_offsets() == {}
    reader.close()
    journal.close()


def test_after_an_error_the_log_is_moved_and_synced_although_somebody_reads_the_file(tmp_path: Path) -> None:
    """Closing the last connection moves the log; with a reader beside it only being told does."""
    journal = begin(tmp_path)
    for _ in range(30):
        tap(journal)
    reader = BookReader(journal.path)
    assert [row.last for row in reader.journals()] == [31]
    journal._failed = JournalFailed("as after an error of the storage")
    assert tap(journal) == 32
    assert (tmp_path / (FILE_NAME + "-wal")).stat().st_size < 8 * PAGE_BYTES
    assert [row.last for row in reader.journals()] == [32]
    reader.close()
    journal.close()


def test_a_record_whose_commit_failed_and_is_there_all_the_same_is_built_upon(tmp_path: Path) -> None:
    """A failed fsync may have stored what it was asked for: its record was not acknowledged, and is in the chain."""
    journal = begin(tmp_path)
    tap(journal)
    raw = encode_event(
        TapId(journal.journal, 3),
        source=SOURCE,
        kind="device.alarm",
        time_ms=0,
        recorded_ms=0,
        prev=journal.head,
        data={"code": "x", "detail": "y"},
    )
    journal._database.execute("INSERT INTO event VALUES (?, ?)", (journal._base + 3, raw))
    journal._failed = JournalFailed("as after an error of the storage")
    assert tap(journal) == 4
    journal.close()
    found = records(tmp_path)
    assert raw in found and chain_holds(found) and decode_event(found[3]).tap.sequence == 4


def test_another_file_under_the_name_is_never_opened_after_an_error(tmp_path: Path) -> None:
    journal = begin(tmp_path)
    tap(journal)
    other = tmp_path / "other"
    begin(other).close()
    os.replace(other / FILE_NAME, tmp_path / FILE_NAME)
    journal._failed = JournalFailed("as after an error of the storage")
    with pytest.raises(JournalFailed, match="is gone"):
        tap(journal)


def test_a_journal_that_was_copied_out_takes_nothing_any_more(tmp_path: Path) -> None:
    """Whatever it took would stand in a file that nobody opens again."""
    journal = begin(tmp_path / "data")
    tap(journal)
    journal.copy_out(tmp_path / "copy.db")
    with pytest.raises(JournalFailed, match="closed"):
        tap(journal)
    with pytest.raises(JournalFailed, match="closed"):
        journal.note("device.alarm", {"code": "x", "detail": "y"})
    assert len(records(tmp_path / "data")) == 2
    journal.close()


def test_a_copy_that_is_removed_while_it_is_made_is_no_copy(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    journal = begin(tmp_path / "data")
    tap(journal)
    sync = edge.journalfile.sync_folder

    def removed(folder: Path) -> None:
        (folder / "copy.db").unlink()
        sync(folder)

    monkeypatch.setattr(edge.journalfile, "sync_folder", removed)
    with pytest.raises(JournalFailed, match="can't be written"):
        journal.copy_out(tmp_path / "copy.db")
    assert tap(journal) == 3, "then all is as before"
    journal.close()
