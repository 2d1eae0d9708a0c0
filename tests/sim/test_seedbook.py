"""A long campaign's book: what was run isn't run again, what is foreign or cut isn't believed."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from sim.world.plan import Plan
from sim.world.run import Outcome
from sim.world.seedbook import ForeignBook, SeedBook, told

WORDS = [sys.executable, "-m", "sim", "--pupils", "6", "--no-faults", "--jobs", "1"]


def campaign(*words: object) -> subprocess.CompletedProcess[str]:
    # Given beforehand what the command would begin itself anew with.
    fixed = {**os.environ, "PYTHONHASHSEED": "0"}
    return subprocess.run([*WORDS, *map(str, words)], capture_output=True, text=True, timeout=120, env=fixed)


def test_a_campaign_goes_on_where_it_was_stopped(tmp_path: Path) -> None:
    book = tmp_path / "seeds.jsonl"
    first = campaign("--seeds", 1, "--book", book)
    on = campaign("--seeds", 2, "--book", book)
    assert (first.returncode, on.returncode) == (0, 0), on.stderr
    assert "run before: 1 of 2 seeds" in on.stdout and "seed 1:" not in on.stdout and "seed 2:" in on.stdout
    kept = SeedBook.opened(book, 1, 6, faults=False).kept
    assert set(kept) == {1, 2} and f", {kept[1].digest[:12]}: kept" in first.stdout
    assert f"2 seeds, {kept[1].signals + kept[2].signals} signals, " in on.stdout
    assert kept[2].passed_s > kept[1].passed_s > 0
    other = campaign("--seeds", 3, "--days", 2, "--book", book)
    assert other.returncode == 2 and "was begun with other code, days or pupils" in other.stderr


def book_of(path: Path, seeds: int) -> SeedBook:
    book = SeedBook.opened(path, 1, 60, faults=True)
    for seed in range(1, seeds + 1):
        book.write(told(Outcome(Plan(seed, 1, 60)), passed_s=10.0 * seed))
    return book


def test_a_line_that_was_cut_is_run_again(tmp_path: Path) -> None:
    path = tmp_path / "seeds.jsonl"
    whole = book_of(path, 3).path.read_bytes()
    for cut in (1, 2, 30):
        path.write_bytes(whole[:-cut])
        book = SeedBook.opened(path, 1, 60, faults=True)
        assert set(book.kept) == {1, 2} and book.passed_s == 20.0
        book.write(told(Outcome(Plan(3, 1, 60)), passed_s=30.0))
        assert path.read_bytes() == whole


def test_a_first_line_that_was_cut_is_written_again(tmp_path: Path) -> None:
    path = tmp_path / "seeds.jsonl"
    opening = book_of(path, 0).path.read_bytes()
    for cut in (len(opening), 10, 1):
        path.write_bytes(opening[:-cut])
        assert book_of(path, 1).path.read_bytes().startswith(opening)
        assert set(SeedBook.opened(path, 1, 60, faults=True).kept) == {1}


def test_what_is_no_book_is_refused_by_its_line_and_left_as_it_is(tmp_path: Path) -> None:
    path = book_of(tmp_path / "seeds.jsonl", 2).path
    path.write_bytes(path.read_bytes() + b"{}\n")
    before = path.read_bytes()
    with pytest.raises(ForeignBook, match="line 4"):
        SeedBook.opened(path, 1, 60, faults=True)
    assert path.read_bytes() == before


def test_a_book_of_other_code_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = book_of(tmp_path / "seeds.jsonl", 1).path
    monkeypatch.setattr("sim.world.seedbook.code_digest", lambda: "of other code")
    with pytest.raises(ForeignBook):
        SeedBook.opened(path, 1, 60, faults=True)
