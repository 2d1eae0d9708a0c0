"""The model of a disk that loses its power, and the recording that feeds it, held against a real process."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from random import Random

import pytest

from sim.powercut.disk import CUTS, Disk, lay_out
from sim.powercut.recording import (
    Make,
    RecordingRefused,
    Remove,
    Rename,
    Sent,
    Step,
    Sync,
    Truncate,
    Write,
    read_recording,
    recording_words,
)
from sim.powercut.replay import drawn_points

RNG = Random(1)


def _disk(*steps: Step) -> Disk:
    disk = Disk()
    for number, step in enumerate(steps):
        disk.step(Sync(step.path, number) if isinstance(step, Sync) else step)
    return disk


def test_only_what_was_synced_is_sure() -> None:
    disk = _disk(Make("/d/f"), Write("/d/f", 0, b"one"), Sync("/d/f"), Sync("/d"), Write("/d/f", 3, b"two"))
    assert disk.after("nothing", RNG) == {"/d/f": b"one"}
    assert disk.after("everything", RNG) == {"/d/f": b"onetwo"}


def test_a_name_lasts_from_the_sync_of_its_folder() -> None:
    made = (Make("/d/f"), Write("/d/f", 0, b"one"), Sync("/d/f"))
    assert _disk(*made).after("nothing", RNG) == {}
    assert _disk(*made, Sync("/d")).after("nothing", RNG) == {"/d/f": b"one"}


def test_a_rename_may_be_undone_until_its_folder_is_synced() -> None:
    steps = (Make("/d/new"), Write("/d/new", None, b"2"), Sync("/d/new"), Make("/d/f"), Sync("/d/f"), Sync("/d"))
    disk = _disk(*steps, Rename("/d/new", "/d/f"))
    assert disk.after("nothing", RNG) == {"/d/new": b"2", "/d/f": b""}
    assert disk.after("everything", RNG) == {"/d/f": b"2"}


def test_what_was_written_while_a_sync_ran_may_have_missed_it() -> None:
    disk = Disk()
    for step in (Make("/d/f"), Write("/d/f", 0, b"a"), Write("/d/f", 1, b"b"), Sync("/d/f", 2), Sync("/d", 4)):
        disk.step(step)
    assert disk.after("nothing", RNG) == {"/d/f": b"a"}


def test_a_write_is_torn_at_sectors_and_never_within() -> None:
    disk = _disk(Make("/d/f"), Write("/d/f", 0, b"x" * 4096), Sync("/d/f"), Sync("/d"), Write("/d/f", 0, b"y" * 4096))
    found = {disk.after("parts", Random(seed))["/d/f"] for seed in range(40)}
    assert len(found) > 10
    for content in found:
        assert all(len(set(content[at : at + 512])) == 1 for at in range(0, 4096, 512))


def test_truncate_and_remove() -> None:
    disk = _disk(Make("/d/f"), Write("/d/f", 0, b"12345"), Truncate("/d/f", 2), Sync("/d/f"), Sync("/d"))
    assert disk.after("nothing", RNG) == {"/d/f": b"12"}
    disk.step(Remove("/d/f"))
    assert disk.after("nothing", RNG) == {"/d/f": b"12"}
    assert disk.after("everything", RNG) == {}


def test_a_recording_leads_to_the_very_files_of_the_process(tmp_path: Path) -> None:
    data, trace = tmp_path / "dữ liệu", tmp_path / "trace"
    data.mkdir()
    script = """
import os, sqlite3, sys, threading
folder = sys.argv[1]
database = sqlite3.connect(folder + "/a.db", isolation_level=None)
database.execute("PRAGMA journal_mode=WAL")
database.execute("PRAGMA synchronous=FULL")
database.execute("CREATE TABLE t (x)")
for number in range(300):
    database.execute("INSERT INTO t VALUES (?)", (os.urandom(900),))
def write(name):
    for _ in range(20):
        with open(f"{folder}/{name}.new", "wb") as file:
            file.write(os.urandom(100)); file.flush(); os.fsync(file.fileno())
        os.replace(f"{folder}/{name}.new", f"{folder}/{name}")
threads = [threading.Thread(target=write, args=(f"n{n}",)) for n in range(3)]
[t.start() for t in threads]; [t.join() for t in threads]
with open(folder + "/n0", "r+b") as file:
    file.truncate(10)
database.close()
"""
    subprocess.run([*recording_words(trace), sys.executable, "-c", script, str(data)], check=True)
    disk = Disk()
    with trace.open(encoding="ascii", errors="replace") as lines:
        for step in read_recording(lines, data):
            disk.step(step)
    real = {str(path): path.read_bytes() for path in data.iterdir()}
    assert disk.after("everything", RNG) == real
    lay_out(disk.after("everything", RNG), data, tmp_path / "again")
    assert {path.name: path.read_bytes() for path in (tmp_path / "again").iterdir()} == {
        Path(path).name: content for path, content in real.items()
    }


def test_a_call_that_the_model_does_not_know_is_refused() -> None:
    line = "7 fallocate(3<\\x2f\\x64\\x2f\\x66>, 0, 0, 4096) = 0"
    with pytest.raises(RecordingRefused, match="fallocate"):
        list(read_recording([line], Path("/d")))


def test_what_a_killed_thread_began_counts_and_what_failed_does_not() -> None:
    path = "\\x2f\\x64\\x2f\\x66"
    lines = [
        f'7 pwrite64(3<{path}>, "\\x61", 1, 0 <unfinished ...>',
        f'8 pwrite64(3<{path}>, "\\x62", 1, 1) = 1',
        "7 <... pwrite64 resumed>) = -1 ENOSPC (No space left on device)",
        f'8 pwrite64(3<{path}>, "\\x63", 1, 2 <unfinished ...>',
    ]
    assert list(read_recording(lines, Path("/d"))) == [Write("/d/f", 1, b"b"), Write("/d/f", 2, b"c")]


def test_of_what_is_sent_the_part_that_was_taken_counts_in_its_place() -> None:
    lines = [
        '7 sendto(5<socket:[9]>, "\\x61\\x62\\x63", 3, 0, NULL, 0 <unfinished ...>',
        '8 pwrite64(3<\\x2f\\x64\\x2f\\x66>, "\\x61", 1, 0) = 1',
        "7 <... sendto resumed>) = 2",
    ]
    assert list(read_recording(lines, Path("/d"))) == [Sent("socket:[9]", b"ab"), Write("/d/f", 0, b"a")]


def test_folders_beside_and_apart_are_no_part_of_a_recording() -> None:
    lines = [
        f'7 pwrite64(3<{"".join(f"{chr(92)}x{octet:02x}" for octet in name.encode())}>, "\\x61", 1, 0) = 1'
        for name in ("/d/f", "/d2/f", "/d/apart/f", "/d")
    ]
    assert [step.path for step in read_recording(lines, Path("/d"), apart=[Path("/d/apart")])] == ["/d/f", "/d"]


def test_what_is_written_to_a_deleted_file_is_lost() -> None:
    line = '7 pwrite64(3<\\x2f\\x64\\x2f\\x66>(deleted), "\\x61", 1, 0) = 1'
    assert list(read_recording([line], Path("/d"))) == []


def test_of_so_many_points_one_is_drawn_and_the_last_never_left_out() -> None:
    assert drawn_points(3, 20, 1, 7) == list(range(3, 21))
    points = drawn_points(0, 3000, 3, 7)
    assert [at // 3 for at in points] == list(range(1001)) and points[-1] == 3000
    # No stride that keeps pace with what is repeated.
    assert {at % 3 for at in points[:100]} == {0, 1, 2} and points != drawn_points(0, 3000, 3, 8)


def test_every_way_of_a_cut_is_known() -> None:
    disk = _disk(Make("/d/f"), Sync("/d"))
    assert all(disk.after(way, RNG) == {"/d/f": b""} for way in CUTS)
