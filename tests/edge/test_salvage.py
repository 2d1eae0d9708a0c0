"""Damaged files: kept aside, a fresh one begun, and what can be read comes back under its own ids."""

from __future__ import annotations

import shutil
import sqlite3
from contextlib import suppress
from pathlib import Path
from random import Random

import pytest

from edge.bookreader import BookReader
from edge.carving import carve
from edge.journalfile import FILE_NAME, PAGE_BYTES
from edge.salvage import mark_damaged, open_journal, read_damaged, salvage, set_suspect_aside
from edge.verify import VALID, verify_path
from protocol.envelope import decode_event
from protocol.errors import JournalDamaged, SchemaTooNew
from tests.edge.room import begin, chain_holds, data_of, events, parts, records, tap

TAPS = 60
FRAME = PAGE_BYTES + 24


@pytest.fixture
def killed(tmp_path: Path) -> tuple[Path, dict[str, bytes]]:
    """A directory as a kill -9 leaves it, half of the taps moved into the file, half in the log; and the truth."""
    journal = begin(tmp_path / "run")
    for number in range(TAPS):
        if number == TAPS // 2:
            journal.checkpoint(truncate=True)
        tap(journal, f"hk1:{number:011d}")
    left = tmp_path / "left"
    left.mkdir()
    for path in (tmp_path / "run").iterdir():
        shutil.copyfile(path, left / path.name)
    journal.close()
    return left, {decode_event(raw).id: raw for raw in records(left)}


def reopened(data: Path) -> tuple[list[str], dict[str, bytes]]:
    """What a starting gateway sets aside, and every record that is there after the salvage."""
    journal, aside = open_journal(data, **parts(data))
    sequence = tap(journal)
    assert sequence == 2
    salvage(data, journal)
    assert tap(journal) > 2
    journal.close()
    lines = records(data / FILE_NAME)
    held = {decode_event(raw).id: raw for raw in lines}
    assert len(held) == len(lines), "no record twice"
    return aside, held


def test_a_sound_directory_is_left_alone(killed: tuple[Path, dict[str, bytes]]) -> None:
    data, truth = killed
    aside, held = reopened(data)
    assert aside == []
    assert truth.items() <= held.items()


@pytest.mark.parametrize("seed", range(12))
def test_a_page_destroyed_anywhere_loses_no_more_than_its_own_records(
    killed: tuple[Path, dict[str, bytes]], seed: int
) -> None:
    data, truth = killed
    rng, path = Random(seed), data / FILE_NAME
    octets = bytearray(path.read_bytes())
    page = seed % (len(octets) // PAGE_BYTES)
    octets[page * PAGE_BYTES : (page + 1) * PAGE_BYTES] = rng.randbytes(PAGE_BYTES)
    path.write_bytes(octets)
    mark_damaged(data)
    aside = set_suspect_aside(data)
    assert len(aside) == 1 and (data / aside[0]).read_bytes() == bytes(octets)
    _, held = reopened(data)
    there = {name: raw for name, raw in held.items() if name in truth}
    assert all(truth[name] == raw for name, raw in there.items())
    assert len(there) >= len(truth) - 6, "five taps fit a page, and a sixth may reach over"
    missing = sorted(int(name.partition(".")[2]) for name in truth.keys() - there.keys())
    gaps = [data_of(event) for event in events(data / FILE_NAME) if event.name == "log.gap"]
    named = [n for gap in gaps for n in range(gap["first"], gap["last"] + 1)]
    assert [n for n in missing if n < TAPS] == [n for n in named if n < TAPS], "what is lost is named"


def _torn(log: bytes, frame: int, older: int, sectors: int) -> bytes:
    """The log, its last frame written in its first sectors only; behind them stands what stood there before."""
    start, before = 32 + frame * FRAME, 32 + older * FRAME
    written = 24 + sectors * 512
    return log[: start + written] + log[before + written : before + FRAME]


def _leaf_frames(log: bytes) -> list[int]:
    """Frames with a leaf page."""
    return [at for at in range((len(log) - 32) // FRAME) if log[32 + at * FRAME + 24] == 0x0D]


@pytest.mark.parametrize("sectors", range(1, 8))
def test_half_of_one_record_and_half_of_another_is_none(killed: tuple[Path, dict[str, bytes]], sectors: int) -> None:
    """A power cut tears the frame under way; without its database nobody but us looks at the log."""
    data, truth = killed
    log = (data / f"{FILE_NAME}-wal").read_bytes()
    leaves, mixed = _leaf_frames(log), 0
    for frame, older in zip(leaves[-5:], leaves[-15:-10], strict=True):
        torn = _torn(log, frame, older, sectors)
        loose = {found.raw for found in carve(b"", torn) if not found.sound}
        mixed += len(loose - set(truth.values()))
        folder = data.parent / f"torn-{frame}"
        folder.mkdir()
        (folder / f"{FILE_NAME}-wal").write_bytes(torn)
        _, held = reopened(folder)
        told = {name: raw for name, raw in held.items() if name in truth}
        assert told and all(truth[name] == raw for name, raw in told.items())
    assert mixed, "some of these records are neither one nor the other"


def test_what_a_true_successor_does_not_name_is_left_out_and_told(killed: tuple[Path, dict[str, bytes]]) -> None:
    """A changed digit in a time is a sound record in every way but one."""
    data, truth = killed
    path = data / FILE_NAME
    octets = path.read_bytes()
    name = next(name for name in truth if name.endswith(".9"))
    wrong = truth[name].replace(b'"recordedtime":"20', b'"recordedtime":"21')
    assert octets.count(truth[name][:90]) == 1
    path.write_bytes(octets.replace(truth[name][:200], wrong[:200]))
    mark_damaged(data)
    set_suspect_aside(data)
    _, held = reopened(data)
    assert name not in held and len(held.keys() & truth.keys()) == len(truth) - 1
    gaps = [data_of(event) for event in events(path) if event.name == "log.gap"]
    assert [(gap["first"], gap["last"]) for gap in gaps] == [(9, 9)]


def test_the_frames_of_a_log_are_held_to_their_checksums(killed: tuple[Path, dict[str, bytes]]) -> None:
    data, _ = killed
    log = bytearray((data / f"{FILE_NAME}-wal").read_bytes())
    assert all(found.sound for found in carve(b"", bytes(log))), "SQLite's own are right"
    leaf = _leaf_frames(bytes(log))[-1]
    whole = {found.raw for found in carve(b"", bytes(log[: 32 + leaf * FRAME])) if found.sound}
    log[32 + leaf * FRAME + 24 + 4_000] ^= 1
    again = list(carve(b"", bytes(log[: 32 + (leaf + 1) * FRAME])))
    assert {found.raw for found in again if found.sound} == whole
    assert any(not found.sound for found in again)


def _ended(data: Path) -> dict[str, bytes]:
    """A run that ended cleanly, all in the file, whose header is then destroyed; the truth."""
    journal = begin(data)
    for number in range(TAPS):
        tap(journal, f"hk1:{number:011d}")
    journal.close()
    truth = {decode_event(raw).id: raw for raw in records(data)}
    path = data / FILE_NAME
    path.write_bytes(b"\xff" * 100 + path.read_bytes()[100:])
    return truth


def test_a_header_destroyed_costs_nothing(tmp_path: Path) -> None:
    truth = _ended(tmp_path)
    aside, held = reopened(tmp_path)
    assert len(aside) == 1
    assert truth.items() <= held.items()
    assert not list(tmp_path.glob("journal-damaged-*")) and list(tmp_path.glob("salvaged-*"))


@pytest.mark.parametrize("frame", [0, 1, 10, 25])
def test_a_bit_changed_in_the_middle_of_the_log_costs_nothing_that_was_acknowledged(
    killed: tuple[Path, dict[str, bytes]], frame: int
) -> None:
    """SQLite alone would drop every tap behind that frame without a word."""
    data, truth = killed
    log = data / f"{FILE_NAME}-wal"
    octets = bytearray(log.read_bytes())
    octets[32 + frame * FRAME + 24 + 2_000] ^= 4
    log.write_bytes(octets)
    copy = sqlite3.connect(shutil.copytree(data, data.parent / "seen") / FILE_NAME)
    assert copy.execute("SELECT count(*) FROM event").fetchone()[0] < len(truth)
    copy.close()
    aside, held = reopened(data)
    assert len(aside) == 2, "the log as it was, and the file"
    assert truth.items() <= held.items()
    assert chain_holds([held[name] for name in truth])


@pytest.mark.parametrize("byte", [0, 9, 17, 25, 32 + 9])
def test_a_bit_changed_in_the_head_of_a_log_in_use_again_costs_nothing(tmp_path: Path, byte: int) -> None:
    """Then SQLite reads no frame of it; those of the round before, longer, still stand behind the present ones."""
    journal = begin(tmp_path / "run")
    for _ in range(TAPS):
        tap(journal)
    assert journal.checkpoint()
    for _ in range(6):
        tap(journal)
    data = tmp_path / "left"
    data.mkdir()
    for path in (tmp_path / "run").iterdir():
        shutil.copyfile(path, data / path.name)
    journal.close()
    truth = {decode_event(raw).id: raw for raw in records(data)}
    log = data / f"{FILE_NAME}-wal"
    octets = bytearray(log.read_bytes())
    assert len(octets) > TAPS * FRAME
    octets[byte] ^= 16
    log.write_bytes(octets)
    aside, held = reopened(data)
    assert len(aside) == 2
    assert len(truth) == TAPS + 7 and truth.items() <= held.items()


def test_a_torn_end_of_the_log_is_no_damage(killed: tuple[Path, dict[str, bytes]]) -> None:
    data, truth = killed
    log = data / f"{FILE_NAME}-wal"
    log.write_bytes(log.read_bytes()[:-700])
    aside, held = reopened(data)
    assert aside == []
    assert len(truth.keys() - held.keys()) == 1


def test_a_last_frame_that_was_written_by_parts_is_no_damage(killed: tuple[Path, dict[str, bytes]]) -> None:
    """A power cut leaves some sectors of the last transaction. Its record may be readable; nobody was told of it."""
    data, truth = killed
    log = data / f"{FILE_NAME}-wal"
    octets = bytearray(log.read_bytes())
    octets[-PAGE_BYTES + 200] ^= 1
    log.write_bytes(octets)
    aside, held = reopened(data)
    assert aside == []
    assert len(truth.keys() - held.keys()) == 1


def test_a_record_that_came_back_is_not_replaced_by_a_later_find(killed: tuple[Path, dict[str, bytes]]) -> None:
    """It may have been offered and receipted meanwhile; other bytes under its name would be a fork."""
    data, truth = killed
    mark_damaged(data)
    set_suspect_aside(data)
    _, first = reopened(data)
    # A copy of the card lived on: a sound chain of other records under the same names.
    journal = next(iter(truth)).partition(".")[0]
    copied = data.with_name("copied")
    copied.mkdir()
    other, _ = open_journal(copied, **{**parts(copied), "journal": journal})
    for _ in range(3):
        tap(other, "hk1:99999999999")
    other.close()
    twin = decode_event(records(copied)[1])
    assert twin.id in truth and b"hk1:99999999999" in records(copied)[1]
    shutil.copyfile(copied / FILE_NAME, data / "journal-damaged-22222222.db")
    _, second = reopened(data)
    assert second[twin.id] == first[twin.id] == truth[twin.id]


def test_a_log_left_alone_between_two_renames_still_counts(killed: tuple[Path, dict[str, bytes]]) -> None:
    data, truth = killed
    whole = read_damaged(data / FILE_NAME)
    (data / FILE_NAME).rename(data / "journal-damaged-00000000.db")
    (data / f"{FILE_NAME}-shm").unlink()
    _, held = reopened(data)
    assert truth.items() <= held.items()
    assert {n for part in whole for n in part.records} == set(range(1, TAPS + 2))


@pytest.mark.parametrize("size", [0, 1, 100, PAGE_BYTES - 1])
def test_a_log_whose_database_was_cut_within_its_first_page_still_counts(
    killed: tuple[Path, dict[str, bytes]], size: int
) -> None:
    data, truth = killed
    log = (data / f"{FILE_NAME}-wal").read_bytes()
    with (data / FILE_NAME).open("r+b") as file:
        # SQLite takes a database of no byte, or one, for a new one, and deletes its log.
        file.truncate(size)
    aside, held = reopened(data)
    assert len(aside) == 1
    readable = {name for name, raw in truth.items() if raw in log}
    assert len(readable) >= TAPS // 2 and {name: truth[name] for name in readable}.items() <= held.items()


def test_a_single_byte_is_no_new_journal(tmp_path: Path) -> None:
    (tmp_path / FILE_NAME).write_bytes(b"?")
    aside, held = reopened(tmp_path)
    assert len(aside) == 1 and len(held) > 2


def test_a_first_start_that_was_cut_off_is_no_damage(tmp_path: Path) -> None:
    (tmp_path / FILE_NAME).touch()
    (tmp_path / f"{FILE_NAME}-wal").touch()
    aside, held = reopened(tmp_path)
    assert aside == [] and len(held) > 2


def test_a_kill_in_the_middle_of_a_salvage_is_repeated_without_doubles(killed: tuple[Path, dict[str, bytes]]) -> None:
    data, truth = killed
    mark_damaged(data)
    set_suspect_aside(data)
    aside = next(data.glob("journal-damaged-*.db"))
    kept = {path.name: path.read_bytes() for path in data.glob("journal-damaged-*")}
    journal, _ = open_journal(data, **parts(data))
    salvage(data, journal)
    journal.close()
    for path in data.glob("salvaged-*"):
        path.unlink()
    for name, content in kept.items():
        (data / name).write_bytes(content)
    assert aside.exists()
    _, held = reopened(data)
    assert truth.items() <= held.items()


def test_salvaged_files_are_bounded_and_one_that_can_not_be_taken_stands_in_nobodys_way(tmp_path: Path) -> None:
    data = tmp_path / "data"
    begin(data).close()
    for number in range(12):
        (data / f"journal-damaged-{number:08x}.db").write_bytes(bytes(PAGE_BYTES))
    (data / "journal-damaged-ffffffff.db").mkdir()
    _, _ = reopened(data)
    assert len(list(data.glob("salvaged-*"))) == 8
    assert [path.name for path in data.glob("refused-*")] == ["refused-ffffffff.db"]


def test_after_a_salvage_the_file_proves_itself(tmp_path: Path) -> None:
    _ended(tmp_path)
    reopened(tmp_path)
    report = verify_path(tmp_path, None)
    assert report.exit_code == VALID, report.lines


@pytest.mark.parametrize("seed", range(4))
def test_no_damage_keeps_a_gateway_from_starting(tmp_path: Path, seed: int) -> None:
    """Bits and stretches changed anywhere in file and log: it opens, takes a tap, salvages, reads, and goes on."""
    clean, killed = tmp_path / "clean", tmp_path / "killed"
    journal = begin(clean)
    for number in range(TAPS):
        tap(journal, f"hk1:{number:011d}")
    shutil.copytree(clean, killed)
    journal.close()
    rng = Random(seed)
    for _ in range(40):
        data = tmp_path / "data"
        shutil.rmtree(data, ignore_errors=True)
        shutil.copytree(rng.choice((clean, killed)), data)
        path = rng.choice([found for found in data.glob(f"{FILE_NAME}*") if not found.name.endswith("-shm")])
        octets = bytearray(path.read_bytes())
        if not octets:
            continue
        at = rng.randrange(min(len(octets), PAGE_BYTES)) if rng.random() < 0.3 else rng.randrange(len(octets))
        if rng.random() < 0.6:
            octets[at] ^= 1 << rng.randrange(8)
        else:
            stretch = len(octets[at : at + rng.choice((16, 512))])
            octets[at : at + stretch] = rng.randbytes(stretch)
        path.write_bytes(octets)
        try:
            journal, _ = open_journal(data, **parts(data))
        except SchemaTooNew:
            continue
        assert tap(journal) == 2
        salvage(data, journal)
        reader = BookReader(journal.path)
        reader.newest(1_000)
        for row in reader.journals():
            reader.digest_at(row.journal, row.last)
            with suppress(JournalDamaged):
                reader.lines(row.journal, row.pruned_through + 1, row.last)
        reader.close()
        assert tap(journal) > 2
        journal.close()
