"""The waterline: what was synced and is gone is named at the next start; nothing else is."""

from __future__ import annotations

import json
import secrets
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from edge import waterline
from edge.bookreader import BookReader
from edge.clock import SystemClock
from edge.journal import SqliteJournal
from edge.waterline import EVERY_MS, FILE_NAME, Waterline, packed
from protocol.signing import Identity
from protocol.taps import Draft

IDENTITY = Identity(bytes(32), bytes(32))


class Run:
    """A journal with its waterline, opened on a folder as often as one likes."""

    def __init__(self, folder: Path) -> None:
        self.journal = SqliteJournal(
            folder / "journal.db",
            journal=secrets.token_hex(8),
            source="urn:k12edge:dev:s1-cong",
            identity=IDENTITY,
            clock=SystemClock(),
            version="0",
        )
        self.told: list[tuple[str, str]] = []
        self.reader = BookReader(folder / "journal.db")
        self.line = Waterline(self.journal, lambda *told: self.told.append(told), 0)

    def taps(self, count: int) -> None:
        for _ in range(count):
            self.journal.append(Draft("attendance.tap", 0, {"kind": "gate"}), "gate-0", "hk0:x", "accepted")

    def look(self) -> list[tuple[str, str]]:
        self.line.look(self.reader)
        return self.told

    def close(self) -> None:
        self.reader.close()
        self.journal.close()


@pytest.fixture
def folder(tmp_path: Path) -> Iterator[Path]:
    (tmp_path / "data").mkdir()
    return tmp_path / "data"


def _ended(folder: Path, taps: int) -> str:
    """A run that wrote its waterline after its taps; the journal's id."""
    run = Run(folder)
    run.look()
    run.taps(taps)
    run.line.write(0)
    run.close()
    return run.journal.journal


def test_a_sound_file_is_not_blamed_however_it_ended(folder: Path) -> None:
    for _ in range(3):
        _ended(folder, 3)
    run = Run(folder)
    assert run.look() == []
    run.close()


def test_synced_records_that_are_gone_are_named(folder: Path, tmp_path: Path) -> None:
    run = Run(folder)
    run.look()
    run.taps(2)
    # The journal's file as the card keeps it, whatever is synced from here on.
    for name in ("journal.db", "journal.db-wal"):
        shutil.copyfile(folder / name, tmp_path / name)
    run.taps(5)
    run.line.write(0)
    run.close()
    for name in ("journal.db", "journal.db-wal"):
        shutil.copyfile(tmp_path / name, folder / name)
    again = Run(folder)
    journal = run.journal.journal
    assert again.look() == [
        ("records-gone", f"{journal}: records 4 to 8 were synced, and the journal's file lacks them")
    ]
    again.close()


def test_a_file_that_is_gone_whole_is_named(folder: Path) -> None:
    journal = _ended(folder, 3)
    (folder / "journal.db").unlink()
    run = Run(folder)
    assert run.look() == [("records-gone", f"{journal}: records 1 to 4 were synced, and the journal's file lacks them")]
    run.close()


def test_another_record_under_the_name_is_named(folder: Path) -> None:
    journal = _ended(folder, 3)
    line = json.loads((folder / FILE_NAME).read_text(encoding="ascii"))
    (folder / FILE_NAME).write_bytes(packed(journal, line["last"], "A" * 43))
    run = Run(folder)
    assert run.look() == [("records-gone", f"{journal}.4 is not the record that was synced")]
    run.close()


def test_it_waits_for_what_a_damaged_file_gives_back(folder: Path) -> None:
    _ended(folder, 3)
    (folder / "journal.db").rename(folder / "journal-damaged-1.db")
    run = Run(folder)
    assert run.look() == []
    run.line.write(0)
    (folder / "journal-damaged-1.db").rename(folder / "refused-1.db")
    assert run.look()[0][0] == "records-gone"
    run.close()


@pytest.mark.parametrize("text", ["", "{", "[]", '{"journal": 1}'])
def test_a_waterline_that_cannot_be_read_says_nothing_and_is_written_anew(folder: Path, text: str) -> None:
    _ended(folder, 3)
    (folder / FILE_NAME).write_text(text, encoding="ascii")
    run = Run(folder)
    assert run.look() == []
    run.line.write(0)
    assert json.loads((folder / FILE_NAME).read_text(encoding="ascii"))["journal"] == run.journal.journal
    run.close()


def test_a_flipped_bit_in_the_waterline_says_nothing(folder: Path) -> None:
    _ended(folder, 3)
    whole = (folder / FILE_NAME).read_bytes()
    run = Run(folder)
    for bit in range(len(whole) * 8):
        octets = bytearray(whole)
        octets[bit // 8] ^= 1 << bit % 8
        (folder / FILE_NAME).write_bytes(octets)
        Waterline(run.journal, lambda *told: run.told.append(told), 0).look(run.reader)
        assert run.told == [], (bit, bytes(octets))
    run.close()


def test_it_is_written_after_the_look_once_a_while_and_only_with_something_new(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    written: list[Path] = []
    monkeypatch.setattr(waterline, "write_durably", lambda path, _: written.append(path))
    run = Run(folder)
    run.line.write(0)
    assert not written
    run.look()
    run.line.write(0)
    run.line.write(2 * EVERY_MS)
    assert len(written) == 1
    run.taps(1)
    run.line.write(2 * EVERY_MS)
    run.taps(1)
    run.line.write(2 * EVERY_MS + 1)
    assert len(written) == 2
    run.close()


def test_a_disk_that_takes_no_waterline_is_no_trouble_of_a_tap(folder: Path) -> None:
    run = Run(folder)
    run.look()
    (folder / (FILE_NAME + ".new")).mkdir()
    run.line.write(0)
    assert not (folder / FILE_NAME).exists()
    run.close()
