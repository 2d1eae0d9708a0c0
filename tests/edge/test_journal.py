"""The journal: commits shared by threads, exact bytes, the chain, pragmas, schema, and files that aren't as left."""

from __future__ import annotations

import shutil
import sqlite3
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from edge.journal import HEAD_EVERY_RECORDS, SqliteJournal
from edge.journalfile import APPLICATION_ID, FILE_NAME, PAGE_BYTES, explained, open_for_writing
from edge.journalrows import head_text
from edge.ports import Recorded
from edge.salvage import open_journal, salvage
from host.lock import InstanceLock
from protocol.envelope import EVENT_BYTES_MAX, decode_event, digest, encode_event, unix_ms_of
from protocol.errors import BadMessage, JournalFailed, JournalFull, SchemaTooNew
from protocol.ranges import RangeSet
from protocol.signing import verify
from protocol.taps import Draft
from tests.edge.room import SOURCE, begin, chain_holds, data_of, draft, events, parts, records, tap

THREADS, EACH = 8, 40


def test_eight_threads_share_commits_and_every_record_is_there_once_with_its_exact_bytes(tmp_path: Path) -> None:
    statements: list[str] = []

    def traced(path: Path) -> sqlite3.Connection:
        database = open_for_writing(path)
        database.set_trace_callback(statements.append)
        return database

    (tmp_path / "d").mkdir()
    journal = SqliteJournal(tmp_path / "d" / FILE_NAME, opener=traced, **parts(tmp_path / "d"))
    statements.clear()
    got: dict[str, Recorded] = {}
    start = threading.Barrier(THREADS)

    def take(thread: int) -> None:
        start.wait()
        for number in range(EACH):
            card = f"hk1:{thread}-{number}"
            got[card] = journal.append(draft(card), "cong", card, "accepted")

    threads = [threading.Thread(target=take, args=(thread,)) for thread in range(THREADS)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    commits = sum(1 for text in statements if text == "COMMIT")
    alone = sum(1 for text in statements if text.startswith("INSERT")) - sum(
        1 for text in statements if text == "BEGIN IMMEDIATE"
    )
    journal.close()

    lines = records(tmp_path / "d")
    assert chain_holds(lines)
    found = [decode_event(raw) for raw in lines]
    assert [event.tap.sequence for event in found] == list(range(1, THREADS * EACH + 3))
    assert {data_of(event)["card"]: event.tap for event in found[1:-1]} == {card: r.tap for card, r in got.items()}
    assert commits < THREADS * EACH / 2, "most taps came while a commit ran, and were taken along by the next"
    assert commits + alone <= THREADS * EACH
    for raw, event in zip(lines, found, strict=True):
        again = encode_event(
            event.tap,
            source=SOURCE,
            kind=event.name,
            time_ms=unix_ms_of(event.time),
            recorded_ms=unix_ms_of(event.recordedtime),
            prev=event.prev,
            data=data_of(event),
            subject=event.subject,
        )
        assert again == raw


def test_each_tap_is_shown_once_it_is_durable_and_before_its_call_returns(tmp_path: Path) -> None:
    journal = begin(tmp_path)
    reader = sqlite3.connect(f"file:{journal.path}?mode=ro", uri=True, check_same_thread=False)
    shown: dict[str, bool] = {}
    late: list[str] = []
    start = threading.Barrier(THREADS)

    def show(recorded: Recorded) -> None:
        position = journal.number << 40 | recorded.tap.sequence
        shown[recorded.card] = reader.execute("SELECT 1 FROM event WHERE position = ?", (position,)).fetchone() == (1,)
        if recorded.card.endswith("-3"):
            raise RuntimeError("a sink that breaks")

    def take(thread: int) -> None:
        start.wait()
        for number in range(EACH):
            card = f"hk1:{thread}-{number}"
            journal.append(draft(card), "cong", card, "accepted", show)
            if card not in shown:
                late.append(card)

    threads = [threading.Thread(target=take, args=(thread,)) for thread in range(THREADS)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    journal.close()
    reader.close()
    assert late == []
    assert len(shown) == THREADS * EACH and all(shown.values())


def test_what_is_not_stored_is_not_shown(tmp_path: Path) -> None:
    journal, shown = begin(tmp_path), []
    with pytest.raises(BadMessage):
        journal.append(draft("x" * EVENT_BYTES_MAX), "cong", "x", "accepted", shown.append)
    journal.close()
    with pytest.raises(JournalFailed):
        journal.append(draft("hk1:a"), "cong", "hk1:a", "accepted", shown.append)
    assert shown == []


def test_each_threads_own_taps_keep_their_order(tmp_path: Path) -> None:
    journal = begin(tmp_path)
    sequences: dict[int, list[int]] = {}

    def take(thread: int) -> None:
        sequences[thread] = [tap(journal) for _ in range(20)]

    threads = [threading.Thread(target=take, args=(thread,)) for thread in range(THREADS)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    journal.close()
    assert all(mine == sorted(mine) for mine in sequences.values())
    assert sorted(s for mine in sequences.values() for s in mine) == list(range(2, 2 + THREADS * 20))


def test_a_draft_too_large_fails_alone(tmp_path: Path) -> None:
    journal = begin(tmp_path)
    with pytest.raises(BadMessage):
        journal.append(Draft("attendance.tap", 0, {"x": "x" * EVENT_BYTES_MAX}), "cong", "c", "accepted")
    assert tap(journal) == 2
    journal.close()
    assert chain_holds(records(tmp_path))


def test_a_run_names_the_one_before_with_its_last_record_and_head(tmp_path: Path) -> None:
    first = begin(tmp_path)
    tap(first)
    first.close()
    second = begin(tmp_path)
    second.close()
    lines = records(tmp_path)
    opened = [decode_event(raw) for raw in lines if decode_event(raw).name == "journal.opened"]
    assert data_of(opened[0])["previous"] is None
    assert data_of(opened[1])["previous"] == {"journal": first.journal, "last": 3, "head": digest(lines[2])}
    assert first.journal != second.journal


def test_a_clean_end_and_every_thousand_records_sign_the_head(tmp_path: Path) -> None:
    journal = begin(tmp_path)
    for number in range(HEAD_EVERY_RECORDS):
        assert journal.head_due() == (number >= HEAD_EVERY_RECORDS - 1)
        if not journal.head_due():
            journal.note("device.alarm", {"code": "x", "detail": ""})
    journal.sign_head()
    assert not journal.head_due()
    tap(journal)
    journal.close()
    found = events(tmp_path)
    heads = [event for event in found if event.name == "journal.head"]
    assert [data_of(event)["through"] for event in heads] == [event.tap.sequence - 1 for event in heads] == [1000, 1002]
    key = data_of(found[0])["key"]
    for event in heads:
        data = data_of(event)
        assert data["head"] == event.prev
        verify(key, head_text(journal.journal, data["through"], data["head"]), data["sig"])


def test_pragmas_of_every_opening(tmp_path: Path) -> None:
    for _ in range(2):
        journal = begin(tmp_path)
        run = journal._database.execute
        assert run("PRAGMA journal_mode").fetchone()[0] == "wal"
        assert run("PRAGMA synchronous").fetchone()[0] == 2
        assert run("PRAGMA page_size").fetchone()[0] == PAGE_BYTES
        assert run("PRAGMA secure_delete").fetchone()[0] == 1
        assert run("PRAGMA application_id").fetchone()[0] == APPLICATION_ID
        assert run("PRAGMA user_version").fetchone()[0] == 1
        indexes = run("SELECT count(*) FROM sqlite_master WHERE type = 'index' AND tbl_name = 'event'").fetchone()[0]
        assert indexes == 0, "a tap touches one table with no secondary index"
        journal.close()


def test_a_newer_schema_is_refused_and_left_as_it_is(tmp_path: Path) -> None:
    begin(tmp_path).close()
    path = tmp_path / FILE_NAME
    with sqlite3.connect(path) as database:
        database.execute("PRAGMA user_version = 99")
    database.close()
    before = path.read_bytes()
    with pytest.raises(SchemaTooNew, match="schema 99"):
        open_journal(tmp_path, **parts(tmp_path))
    assert path.read_bytes() == before
    assert sorted(p.name for p in tmp_path.iterdir()) == [FILE_NAME, "keys-copy.json", "keys.json"]


@pytest.mark.parametrize("kind", ["other tables", "other id", "other pages", "no database", "cut"])
def test_a_file_that_is_no_journal_is_set_aside_and_a_fresh_one_begun(tmp_path: Path, kind: str) -> None:
    path = tmp_path / FILE_NAME
    if kind == "no database":
        path.write_bytes(b"not a database, " * 512)
    elif kind == "cut":
        begin(tmp_path).close()
        path.write_bytes(path.read_bytes()[: PAGE_BYTES + 100])
    else:
        database = sqlite3.connect(path)
        if kind == "other pages":
            database.execute("PRAGMA page_size = 8192")
        database.execute("CREATE TABLE x (y)")
        if kind != "other tables":
            database.execute("PRAGMA user_version = 1")
            database.execute(f"PRAGMA application_id = {APPLICATION_ID if kind == 'other pages' else 7}")
        database.close()
    before = path.read_bytes()
    journal, aside = open_journal(tmp_path, **parts(tmp_path))
    assert tap(journal) == 2
    journal.close()
    assert [(tmp_path / name).read_bytes() for name in aside] == [before]
    assert len(records(path)) == 3


def test_damaged_marks_count_for_nothing(tmp_path: Path) -> None:
    journal = begin(tmp_path)
    journal.settle(journal.journal, RangeSet([(1, 1)]), None)
    journal.flush_marks(force=True)
    assert journal._database.execute("SELECT hub_held FROM journal").fetchone()[0] == "[[1,1]]"
    journal._database.execute("UPDATE journal SET hub_held = '[[1,', city_held = '[[5,2]]'")
    journal.close()
    begin(tmp_path).close()


@pytest.mark.parametrize(
    ("column", "value"), [("number", 1 << 60), ("number", 0), ("pruned_through", -5), ("pruned_through", 1 << 50)]
)
def test_a_row_that_can_not_be_ours_is_damage(tmp_path: Path, column: str, value: int) -> None:
    begin(tmp_path).close()
    database = sqlite3.connect(tmp_path / FILE_NAME)
    with database:
        database.execute(f"UPDATE journal SET {column} = ?", (value,))
    database.close()
    journal, aside = open_journal(tmp_path, **parts(tmp_path))
    assert len(aside) == 1 and tap(journal) == 2
    salvage(tmp_path, journal)
    journal.close()
    assert len(records(tmp_path)) == 5, "opened and head of the first run, opened, tap and head of this one"


def test_marks_ride_with_a_later_commit(tmp_path: Path) -> None:
    journal = begin(tmp_path)
    journal.settle(journal.journal, RangeSet([(1, 1)]), RangeSet([(1, 1)]))
    tap(journal)
    read = "SELECT hub_held, city_held FROM journal"
    assert journal._database.execute(read).fetchone() == ("[]", "[]"), "not with each tap"
    journal._marks_flushed_ms -= 10_000
    tap(journal)
    assert journal._database.execute(read).fetchone() == ("[[1,1]]", "[[1,1]]")
    journal.close()


def test_a_tap_after_the_end_is_refused_and_says_nothing_about_the_file(tmp_path: Path) -> None:
    journal = begin(tmp_path)
    journal.close()
    with pytest.raises(JournalFailed):
        tap(journal)
    with pytest.raises(JournalFailed):
        journal.maintain(lambda _: None)
    assert isinstance(explained(sqlite3.ProgrammingError("Cannot operate on a closed database."), "x"), JournalFailed)


def test_full_by_the_files_own_limit_refuses_whole_groups_and_recovers(tmp_path: Path) -> None:
    journal = begin(tmp_path)
    run = journal._database.execute
    journal.checkpoint(truncate=True)
    run(f"PRAGMA max_page_count = {run('PRAGMA page_count').fetchone()[0]}")
    taken = []
    for _ in range(40):
        try:
            taken.append(tap(journal))
        except JournalFull:
            break
    else:
        pytest.fail("the file never filled")
    before = records(tmp_path / FILE_NAME)
    with pytest.raises(JournalFull):
        tap(journal)
    run("PRAGMA max_page_count = 100000")
    assert tap(journal) == (taken[-1] if taken else 1) + 1
    journal.close()
    after = records(tmp_path / FILE_NAME)
    assert after[: len(before)] == before
    assert chain_holds(after)


def test_reopening_after_an_error_keeps_what_was_acknowledged(tmp_path: Path) -> None:
    journal = begin(tmp_path)
    for _ in range(30):
        tap(journal)
    wal = tmp_path / (FILE_NAME + "-wal")
    assert wal.stat().st_size > 30 * PAGE_BYTES
    journal._failed = JournalFailed("as after an error of the storage")
    assert tap(journal) == 32
    assert wal.stat().st_size < 8 * PAGE_BYTES, "the log was moved and synced before anything was built upon it"
    journal.close()
    assert chain_holds(records(tmp_path))


def test_a_rolled_back_file_is_never_built_upon(tmp_path: Path) -> None:
    journal = begin(tmp_path)
    journal.checkpoint(truncate=True)
    old = (tmp_path / FILE_NAME).read_bytes()
    tap(journal)
    journal._database.close()
    for path in tmp_path.glob(FILE_NAME + "*"):
        path.unlink()
    (tmp_path / FILE_NAME).write_bytes(old)
    journal._places = None  # The file kept its place; another one is left alone before it is looked at.
    journal._failed = JournalFailed("as after an error of the storage")
    with pytest.raises(Exception, match="was acknowledged and is gone"):
        tap(journal)


def test_an_instance_holds_its_directory_alone(tmp_path: Path) -> None:
    script = "import sys; from host.lock import InstanceLock; from pathlib import Path; InstanceLock(Path(sys.argv[1]))"
    with InstanceLock(tmp_path):
        refused = subprocess.run([sys.executable, "-c", script, str(tmp_path)], capture_output=True, check=False)
        assert refused.returncode != 0 and b"is held by process" in refused.stderr
    assert subprocess.run([sys.executable, "-c", script, str(tmp_path)], check=False).returncode == 0


def test_a_copied_directory_never_reuses_a_name(tmp_path: Path) -> None:
    """A cloned card: both go on, and each names the record where they parted."""
    one = begin(tmp_path / "one")
    tap(one)
    one.close()
    shutil.copytree(tmp_path / "one", tmp_path / "two")
    runs = [begin(tmp_path / name) for name in ("one", "two")]
    for run in runs:
        tap(run)
        run.close()
    ids = [{event.id for event in events(tmp_path / name)} for name in ("one", "two")]
    assert len(ids[0] & ids[1]) == 3
    opened = [
        next(data_of(e) for e in events(tmp_path / n) if e.tap.journal == run.journal)
        for n, run in zip(("one", "two"), runs, strict=True)
    ]
    assert opened[0]["previous"] == opened[1]["previous"]
