"""The pile: journals beside a running gateway, left by a power cut, damaged, copied; nothing of them is changed."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from edge import pile as room
from edge.canteen.sheetstore import FILE_NAME as KEPT_AS
from edge.devicekeys import DeviceKeys, identity_in
from edge.journalfile import FILE_NAME, set_aside
from edge.pile import Pile, pile_of
from edge.sheetbeside import FILE_NAME as SHEET
from edge.sheetbeside import sheet_beside
from host.lock import InstanceLock
from tests.edge.room import CLOCK, begin, tap
from tests.hub.handmade import T0_MS, Gateway, Run
from tests.hub.incidents.schooldays import journal_in

DAY_MS = 86_400_000


def laid(*paths: Path) -> Pile:
    now_ms = CLOCK.read().best_ms
    return pile_of(paths, now_ms - DAY_MS, now_ms + DAY_MS)


def sequences(pile: Pile) -> dict[str, list[int]]:
    return {name: [event.tap.sequence for event in book.near] for name, book in pile.books.items()}


def test_beside_a_running_gateway_and_from_what_a_power_cut_left_the_same_is_read(tmp_path: Path) -> None:
    data, left = tmp_path / "data", tmp_path / "left"
    with_lock = InstanceLock(data)
    journal = begin(data)
    taps = [tap(journal, f"hk1:{number:011d}") for number in range(5)]
    # All of it stands in the log; the gateway runs.
    running = laid(data)
    shutil.copytree(data, left)
    journal.close()
    del with_lock
    (book,) = running.books.values()
    assert sequences(running) == {journal.journal: taps} and book.before is None and not running.faults
    before = {path.name: path.read_bytes() for path in left.iterdir()}
    after = laid(left)
    assert sequences(after) == sequences(running)
    assert {path.name: path.read_bytes() for path in left.iterdir()} == before
    # With its clean end the journal has one record more, and the three are one journal.
    together = laid(data, left, left / FILE_NAME)
    (book,) = together.books.values()
    assert sequences(together) == sequences(running) and len(book.files) == 2 and not together.faults


def test_runs_follow_one_another_and_a_file_that_was_set_aside_is_read_too(tmp_path: Path) -> None:
    data = tmp_path / "data"
    first = begin(data)
    tap(first)
    first.close()
    second = begin(data)
    tap(second)
    second.close()
    pile = laid(data)
    assert pile.books[second.journal].before == (first.journal, pile.books[first.journal].held.last)
    octets = bytearray((data / FILE_NAME).read_bytes())
    octets[30:90] = bytes(60)
    (data / FILE_NAME).write_bytes(octets)
    set_aside(data / FILE_NAME, "00000000")
    third = begin_beside(data)
    pile = laid(data)
    assert {first.journal, second.journal, third} <= pile.books.keys()
    assert [(fault.code, Path(fault.where).name) for fault in pile.faults] == [
        ("damaged", "journal-damaged-00000000.db")
    ]


def begin_beside(data: Path) -> str:
    journal = begin(data)
    tap(journal)
    journal.close()
    return journal.journal


def test_what_is_far_from_the_time_asked_about_gives_its_clock_only(tmp_path: Path) -> None:
    run = Gateway().run(3)
    lost = Run(run.source, boot="00000bad").open(after=run, err_ms=None).taps(2, err_ms=None)
    path = journal_in(tmp_path, [run, lost])
    pile = pile_of([path], 0, DAY_MS)
    assert sequences(pile) == {run.journal: [], lost.journal: [2, 3]}, "what has no clock may be of any time"
    assert pile.timelines[run.source].anchored(run.boot) and len(pile.books[run.journal].held) == 4
    assert sequences(pile_of([path], T0_MS, T0_MS + DAY_MS))[run.journal] == [2, 3, 4]


def test_bounds_are_named_and_nothing_is_read_beyond_them(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    data = tmp_path / "data"
    begin_beside(data)
    monkeypatch.setattr(room, "RECORDS_MAX", 1)
    pile = laid(data)
    (book,) = pile.books.values()
    assert book.held.last == 1 and [fault.code for fault in pile.faults] == ["too-much"]
    monkeypatch.setattr(room, "FILES_MAX", 0)
    assert [fault.code for fault in laid(data).faults] == ["too-much"]


def test_keys_are_only_read_and_a_folder_without_them_is_left_without(tmp_path: Path) -> None:
    assert SHEET == KEPT_AS
    assert identity_in(tmp_path) is None and sheet_beside(tmp_path) == (None, "")
    (tmp_path / SHEET).write_bytes(b"?")
    sheet, why = sheet_beside(tmp_path)
    assert sheet is None and "no keys" in why and [path.name for path in tmp_path.iterdir()] == [SHEET]
    keys = DeviceKeys(tmp_path, None)
    (tmp_path / "keys.json").write_bytes(b"{")
    found = identity_in(tmp_path)
    assert found is not None and found[0] == keys.identity, "the copy says it where the file can't"
    assert "is no counters' sheet" in sheet_beside(tmp_path / FILE_NAME)[1]
    (tmp_path / SHEET).write_bytes(b"x" * (8 * 1024 * 1024 + 1))
    assert "larger" in sheet_beside(tmp_path)[1]
