"""Golden days: files, marks made of them, byte for byte, whatever the order of the lines; and files that are wrong."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path
from random import Random

import pytest

from hub.attendance.csvcells import DayRefused
from hub.attendance.goldenday import FILES, counts_csv, marks_csv
from hub.attendance.marks import FLAGS, MARKS
from hub.attendance.schoolday import marks_of
from k12edge.days import read_day, replay_day
from protocol.envelope import unix_ms_of

GOLDEN = Path(__file__).parents[2] / "fixtures" / "golden"
DAYS = sorted(folder.name for folder in GOLDEN.iterdir())
MOMENTS = sorted(path.relative_to(GOLDEN).as_posix() for path in GOLDEN.glob("*/marks-at-*.csv"))
"""`marks-at-08-10.csv` and its counts: the day as it stood then, at the clock of its last date."""


def replay(*words: str | Path) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "k12edge", "hub", "replay-day", *map(str, words)]
    return subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)


@pytest.mark.parametrize("day", DAYS)
def test_a_golden_day_gives_its_marks_and_counts_byte_for_byte(day: str, tmp_path: Path) -> None:
    # As the command does it; the first day is held to the command itself.
    if day == DAYS[0]:
        done = replay(GOLDEN / day, "--into", tmp_path / "mới")
        assert done.returncode == 0, done.stderr
    else:
        assert list(replay_day(GOLDEN / day, None, tmp_path / "mới", as_json=False))
    for name in ("marks.csv", "counts.csv"):
        assert (tmp_path / "mới" / name).read_bytes() == (GOLDEN / day / name).read_bytes()


@pytest.mark.parametrize("moment", MOMENTS)
def test_a_golden_day_as_it_stood_at_a_moment_byte_for_byte(moment: str) -> None:
    marks = GOLDEN / moment
    known = read_day(marks.parent)
    day, clock = max(date for date, _, _ in known.sessions), marks.stem[-5:].replace("-", ":")
    marked = list(marks_of(known, unix_ms_of(f"{day}T{clock}:00.000+07:00")))
    assert marks_csv(marked).encode() == marks.read_bytes()
    assert counts_csv(marked).encode() == marks.with_name(marks.name.replace("marks", "counts")).read_bytes()


def test_the_golden_days_tell_of_every_mark_and_every_flag() -> None:
    told = "".join((GOLDEN / day / "marks.csv").read_text(encoding="utf-8") for day in DAYS)
    cells = {cell for line in told.splitlines() for field in line.split(",") for cell in field.split(" ")}
    assert set(MARKS) | set(FLAGS) <= cells


@pytest.mark.parametrize("day", DAYS)
@pytest.mark.parametrize("seed", range(3))
def test_the_order_in_which_things_came_to_be_known_changes_nothing(day: str, seed: int, tmp_path: Path) -> None:
    rng = Random(seed)
    for name in FILES:
        header, *lines = (GOLDEN / day / name).read_text(encoding="utf-8").splitlines(keepends=True)
        rng.shuffle(lines)
        (tmp_path / name).write_text("".join((header, *lines)), encoding="utf-8")
    marked = list(marks_of(read_day(tmp_path)))
    assert marks_csv(marked).encode() == (GOLDEN / day / "marks.csv").read_bytes()
    assert counts_csv(marked).encode() == (GOLDEN / day / "counts.csv").read_bytes()


def test_as_it_stood_at_a_moment_nobody_was_absent_yet() -> None:
    done = replay(GOLDEN / "thu-hai", "--at", "2026-11-23T07:30:00.000+07:00", "--json")
    whole, *_ = json.loads(done.stdout)
    assert whole == {
        "date": "2026-11-23",
        "half": "am",
        "class": "*",
        "present": 6,
        "late": 1,
        "left-early": 0,
        "absent": 0,
        "excused": 1,
        "unexcused": 0,
        "not-known": 4,
    }
    assert {found["half"] for found in json.loads(done.stdout)} == {"am"}, "the afternoon had not begun"


@pytest.mark.parametrize(
    ("name", "line", "told"),
    [
        ("roster.csv", "st-x,,3/2,,", "display_name is empty"),
        ("roster.csv", "st-x,Y,3/2,23/11/2026,", "is no date"),
        ("cards.csv", "a:00,st-nobody,,", "st-nobody is not in roster.csv"),
        ("timetable.csv", "2026-11-23,3/2,am,05:30,07:15,07:20,07:45,10:30,", "two lines"),
        ("timetable.csv", "2026-11-23,3/3,am,05:30,07:15,07:10,07:45,10:30,", "don't follow"),
        ("timetable.csv", "9999-12-31,3/3,am,05:30,07:15,,,10:30,", "date 9999-12-31 is no day that a hub"),
        (
            "rollcall.csv",
            "x.1,2026-11-23T07:00:00.000+07:00,co,st-an,1900-01-01,am,absent,",
            "date 1900-01-01 is no day",
        ),
        ("timetable.csv", "2026-11-23,3/3,am,5h30,07:15,,,10:30,", "time of day"),
        ("taps.csv", "x.1,cong,a,up,2026-11-23T07:00:00.000+07:00,,,a:00", "dir 'up'"),
        ("taps.csv", "x.1,cong,a,,2026-11-23T07:00:00,,,a:00", "is no time"),
        ("taps.csv", "x.1,cong,a,,2026-11-23T07:00:00.000+07:00,2026-11-23T07:01:00.000+07:00,,a:00", "between"),
        ("rollcall.csv", "x.1,2026-11-23T07:00:00.000+07:00,co,st-an,2026-11-23,am,P,", "state 'P'"),
        ("leave.csv", "x.1,2026-11-23T07:00:00.000+07:00,co,st-an,2026-11-24,am,2026-11-23,am", "before it begins"),
        ("watermarks.csv", "x.1,2026-11-23T07:00:00.000+07:00,cong,waived,2026-11-23T08:00:00.000+07:00,,,,", "by is"),
        ("watermarks.csv", "x.1,2026-11-23T07:00:00.000+07:00,cong,complete,,,,,", "complete_to is empty"),
        ("roster.csv", "st-x,Y", "2 columns, 5 expected"),
        ("roster.csv", "st-an,Y,9/9,2026-11-24,", "st-an is of two classes on 2026-11-24"),
        ("roster.csv", "st-x,Y,9/9,2026-11-24,2026-11-23", "leaves 9/9 before the first day"),
        (
            "taps.csv",
            "0b6f5c9e7d2a4f18.4,cong,a,,2026-11-23T07:00:00.000+07:00,,,a:00",
            "id 0b6f5c9e7d2a4f18.4 stands on 2 lines",
        ),
        ("taps.csv", "x.\x001,cong,a,,2026-11-23T07:00:00.000+07:00,,,a:00", "can't be seen"),
    ],
)
def test_a_wrong_line_is_named_and_nothing_is_written(name: str, line: str, told: str, tmp_path: Path) -> None:
    folder = tmp_path / "ngày"
    shutil.copytree(GOLDEN / "thu-hai", folder)
    with (folder / name).open("a", encoding="utf-8") as file:
        file.write(f"{line}\n")
    with pytest.raises(DayRefused, match=told) as refused:
        read_day(folder)
    assert name in str(refused.value)
    done = replay(folder, "--into", tmp_path / "out")
    assert done.returncode == 1 and told in done.stderr and not (tmp_path / "out").exists()


def test_a_missing_file_another_header_and_another_encoding_are_told(tmp_path: Path) -> None:
    shutil.copytree(GOLDEN / "thu-hai", tmp_path / "d")
    (tmp_path / "d" / "leave.csv").unlink()
    assert "leave.csv can't be read" in replay(tmp_path / "d").stderr
    (tmp_path / "d" / "leave.csv").write_text("id,from\n", encoding="utf-8")
    assert "the header must be id,at,by" in replay(tmp_path / "d").stderr
    (tmp_path / "d" / "leave.csv").write_bytes("id,ngày\n".encode("utf-16"))
    assert "can't be read" in replay(tmp_path / "d").stderr
    assert replay(GOLDEN / "thu-hai", "--at", "07:30").returncode == 1
