"""A durable tap: the journal's append beside a raw commit of a row of the same size, and what it asks of the disk."""

from __future__ import annotations

import re
import shutil
import sqlite3
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from statistics import median

from bench.figure import Broken, Figure, ratio
from bench.taps import fill, make_draft, open_book
from bench.workshop import Workshop
from edge.journalfile import CHECKPOINT_PAGES, FILE_NAME, PAGE_BYTES

TAPS_A_ROUND = 100
WARM_TAPS = 25_000
"""Filled in shared commits, they bring the journal's log to its first checkpoint (CHECKPOINT_PAGES)."""
WARM_COMMITS = CHECKPOINT_PAGES + 500
COUNTED_TAPS = 6_000
CALLS = "fdatasync,fsync,pwrite64,write,ftruncate"


class RawCommits:
    """The floor: one table, one row a commit, SQLite WAL with synchronous=FULL, the journal's page size."""

    def __init__(self, path: Path) -> None:
        """Make the file. Its checkpoints come as seldom as the journal's."""
        self._database = sqlite3.connect(path, isolation_level=None)
        run = self._database.execute
        run(f"PRAGMA page_size = {PAGE_BYTES}")
        run("PRAGMA journal_mode = WAL")
        run("PRAGMA synchronous = FULL")
        run(f"PRAGMA wal_autocheckpoint = {CHECKPOINT_PAGES}")
        run("CREATE TABLE row (position INTEGER PRIMARY KEY, raw BLOB NOT NULL) STRICT")
        self._next = 1

    def commit(self, raw: bytes) -> None:
        """One row, durable when this returns."""
        self._database.execute("INSERT INTO row (position, raw) VALUES (?, ?)", (self._next, raw))
        self._next += 1

    def close(self) -> None:
        """Give the file back."""
        self._database.close()


def measure_durable_tap(shop: Workshop) -> list[Figure]:
    """Row 1 of the table."""
    shop.say("1 durable tap: append beside a raw commit, tap by tap")
    return [_append_ratio(shop), *_disk_work(shop)]


def _append_ratio(shop: Workshop) -> Figure:
    room = shop.room("durable")
    journal, _, clock = open_book(room)
    floor = RawCommits(room / "floor.db")
    card = shop.cards[0]
    journal.append(make_draft(card, clock), "cong-a", card.keyed, "accepted")
    raw = _newest(room / FILE_NAME)

    def alternate(rounds: int) -> tuple[list[float], list[float]]:
        appends: list[float] = []
        commits: list[float] = []
        for _ in range(rounds):
            mine: list[float] = []
            theirs: list[float] = []
            for number in range(TAPS_A_ROUND):
                card = shop.cards[number]
                draft = make_draft(card, clock)
                began = time.perf_counter()
                floor.commit(raw)
                between = time.perf_counter()
                journal.append(draft, "cong-a", card.keyed, "accepted")
                mine.append(time.perf_counter() - between)
                theirs.append(between - began)
            appends.append(median(mine))
            commits.append(median(theirs))
        return appends, commits

    growing, raw_growing = alternate(shop.rounds(10))
    # Both logs go through a checkpoint; from then on they are written over, and a sync has no new size to write.
    fill(journal, clock, WARM_TAPS, shop.cards)
    for _ in range(WARM_COMMITS):
        floor.commit(raw)
    appends, commits = alternate(shop.rounds(30))
    journal.close()
    floor.close()
    fresh = f"{median(growing) * 1e6:.0f} µs / {median(raw_growing) * 1e6:.0f} µs"
    return ratio(
        1,
        "durable tap: append / raw commit",
        appends,
        commits,
        1.25,
        beside=f"{median(appends) * 1e6:.0f} µs / {median(commits) * 1e6:.0f} µs, rows of {len(raw)} B",
        note=f"{len(appends)} rounds of {TAPS_A_ROUND} taps, alternating tap by tap, medians; before the first"
        f" checkpoint, while the logs grow, {fresh} = {median(growing) / median(raw_growing):.2f} x",
    )


def _newest(path: Path) -> bytes:
    database = sqlite3.connect(f"file:{path}?mode=ro", uri=True)
    try:
        return bytes(database.execute("SELECT raw FROM event ORDER BY position DESC LIMIT 1").fetchone()[0])
    finally:
        database.close()


def _disk_work(shop: Workshop) -> list[Figure]:
    """Syncs and bytes a tap, counted by strace over a child that appends alone, checkpoints and close included."""
    strace = shutil.which("strace")
    if strace is None:
        raise Broken("strace is not installed; fdatasync and bytes can't be counted")
    room = shop.room("counted")
    output = room / "calls"
    taps = COUNTED_TAPS // 3 if shop.quick else COUNTED_TAPS
    words = [strace, "-f", "-y", "--seccomp-bpf", "-e", f"trace={CALLS}", "-s", "8", "-o", str(output)]
    subprocess.run([*words, sys.executable, "-m", "bench.durable", str(room / "book"), str(taps)], check=True)
    work = count_calls(output.read_text(encoding="ascii", errors="replace"))
    # The signed heads are records too, committed like the taps.
    records = records_of(room / "book" / FILE_NAME) - 1
    if work.commit_syncs < records:
        raise Broken(f"{records} records were committed with {work.commit_syncs} syncs of the log")
    about = f"{taps} taps alone, {records - taps} signed heads, {work.checkpoints} checkpoints, the last at the close"
    total = work.commit_syncs + work.checkpoint_syncs
    return [
        Figure(1, "fdatasync a record, between checkpoints", work.commit_syncs / records, "", 1.00, note=about),
        Figure(1, "fdatasync a tap, averaged over all", total / taps, "", 1.02, note=about),
        Figure(1, "bytes written a tap, all included", work.written / taps, "B", 8192, note=about),
    ]


def records_of(path: Path) -> int:
    """How many records stand in a journal's file."""
    database = sqlite3.connect(f"file:{path}?mode=ro", uri=True)
    try:
        return int(database.execute("SELECT count(*) FROM event").fetchone()[0])
    finally:
        database.close()


_SYNC = re.compile(r"\b(?:fdatasync|fsync)\(\d+<[^>]*/(journal\.db(?:-wal)?)>")
_WRITE = re.compile(r"\b(?:pwrite64|write)\(\d+<[^>]*/(journal\.db(?:-wal)?)>, .*?, \d+(?:, (\d+))?\)\s+= (\d+)$")
WAL_HEADER_BYTES = 32
"""What SQLite writes at the start of the log, and syncs, when the log begins anew after a checkpoint."""


@dataclass(slots=True)
class DiskWork:
    """What a recording shows: syncs that commits made, syncs that checkpoints made, bytes to both files."""

    commit_syncs: int = 0
    checkpoint_syncs: int = 0
    checkpoints: int = 0
    written: int = 0


def count_calls(text: str) -> DiskWork:
    """Of a recording, from its mark on.

    A checkpoint syncs the log (nothing new stands in it then), writes and syncs the database, and lets the log begin
    anew with a header of its own sync. Every other sync of the log is a commit's.
    """
    work = DiskWork()
    lines = text.splitlines()
    fresh = 0
    for line in lines[next(number for number, line in enumerate(lines) if '"begin' in line) :]:
        write = _WRITE.search(line)
        if write is not None:
            work.written += int(write[3])
            if write[1] == "journal.db-wal" and not (write[2] == "0" and int(write[3]) == WAL_HEADER_BYTES):
                fresh += 1
        sync = _SYNC.search(line)
        if sync is None:
            continue
        if sync[1] == "journal.db-wal" and fresh:
            work.commit_syncs += 1
            fresh = 0
        else:
            work.checkpoint_syncs += 1
            work.checkpoints += sync[1] == "journal.db"
    return work


def _append_alone(folder: Path, taps: int) -> None:
    """The counted child: taps one after the other, a signed head where it falls due, a clean close."""
    shop = Workshop(folder)
    journal, _, clock = open_book(folder)
    print("begin", flush=True)
    for number in range(taps):
        card = shop.cards[number % len(shop.cards)]
        journal.append(make_draft(card, clock), "cong-a", card.keyed, "accepted")
        if journal.head_due():
            journal.sign_head()
    journal.close()


if __name__ == "__main__":
    _append_alone(Path(sys.argv[1]), int(sys.argv[2]))
