"""`k12edge hub roster check|template`: the command people run, in its own process; no hub, no configuration."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import pytest

from hub.lists.lines import PupilLine
from hub.lists.sheets import FILE_BYTES_MAX
from k12edge.cli import main
from k12edge.listwords import LISTS
from sim.emulators.oldbook import old_book
from tests.hub.lists.school import c1, oneroster, packed, pupils, sheet_of

Run = Callable[..., "Done"]


class Done(NamedTuple):
    returncode: int
    stdout: str
    stderr: str


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str]) -> Run:
    """The command in this process; one test below starts it as people do."""

    def run_command(*words: str | Path) -> Done:
        try:
            code = main(["hub", "roster", *map(str, words)])
        except SystemExit as end:
            code = int(end.code or 0)
        return Done(code, *capsys.readouterr())

    return run_command


def test_a_sound_list_is_counted_and_ends_with_0(tmp_path: Path, run: Run) -> None:
    lines = [*pupils(69), PupilLine("Lê Đi", "1/1", "left", "x")]
    (tmp_path / "C1-HocSinh.xlsx").write_bytes(c1(lines))
    done = run("check", tmp_path / "C1-HocSinh.xlsx")
    assert done.returncode == 0, done.stderr
    assert "C1-HocSinh.xlsx: Danh sách học sinh / Pupils (HocSinh)" in done.stdout
    assert "70 học sinh / pupils: 69 đang học / attending, 1 đã rời / left; 2 lớp / classes" in done.stdout
    assert "không lấy / not taken: STT, Số định danh cá nhân, SĐT cha, Họ tên cha, Địa chỉ" in done.stdout
    assert "không có lỗi / no faults, 3 lưu ý / notes" in done.stdout
    assert not any(line.name in done.stdout for line in lines if line.name)


def test_faults_are_told_with_file_sheet_row_and_column_in_both_languages_and_end_with_1(
    tmp_path: Path, run: Run
) -> None:
    path = tmp_path / "lớp.xls"
    path.write_bytes(
        old_book([["Mã lớp", "Mã học sinh", "Họ tên"], [8.1, "079215001234", "Canary Secret"], ["1", "2", "An"]])
    )
    done = run("check", path)
    assert done.returncode == 1 and not done.stderr
    assert "lớp.xls, HS, A2 (Mã lớp): là số: Excel có thể đã đổi 8.10 thành 8.1" in done.stdout
    assert "/ is a number: a spreadsheet may have changed 8.10 to 8.1" in done.stdout and "[8.1]" in done.stdout
    assert "lớp.xls, HS, B2 (Mã học sinh): là số định danh cá nhân" in done.stdout
    assert "2 lỗi / faults, 0 lưu ý / notes: không ghi gì / nothing would be written" in done.stdout
    assert "079215001234" not in done.stdout and "Canary" not in done.stdout
    told = json.loads(run("check", path, "--json").stdout)
    assert (told["kind"], told["sound"], told["counts"]["pupils"], told["plan"]) == ("pupils", False, 1, None)
    assert [(fault["code"], fault["row"], fault["column"], fault["said"]) for fault in told["faults"]] == [
        ("class-is-fraction", 2, "A", "8.1"),
        ("personal-number", 2, "B", ""),
    ]
    assert "079215001234" not in json.dumps(told) and "Canary" not in json.dumps(told)


def test_oneroster_and_our_own_roster_are_checked_by_the_same_command(tmp_path: Path, run: Run) -> None:
    (tmp_path / "or.zip").write_bytes(packed(oneroster()))
    assert "2 đang học / attending" in run("check", tmp_path / "or.zip").stdout
    (tmp_path / "r.csv").write_text("pupil_key,display_name,class,card_uid\nst-1,A,1,\nst-1,B,1,\n", encoding="utf-8")
    done = run("check", tmp_path / "r.csv")
    assert done.returncode == 1 and "r.csv, 3: không đúng dạng roster" in done.stdout


@pytest.mark.parametrize("case", ["missing", "folder", "large"])
def test_a_file_that_can_not_be_read_is_told(case: str, tmp_path: Path, run: Run) -> None:
    path = tmp_path / "f.xlsx"
    if case == "folder":
        path.mkdir()
    elif case == "large":
        with path.open("wb") as file:
            file.truncate(50 * 1024 * 1024)
    done = run("check", path)
    assert done.returncode == 1 and "[list-refused]" in done.stderr and not done.stdout
    wanted = {"missing": "No such file", "folder": "directory", "large": f"at most {FILE_BYTES_MAX:,}"}
    assert wanted[case] in done.stderr


def test_a_template_is_written_once_and_checked_as_its_list(tmp_path: Path, run: Run) -> None:
    path = tmp_path / "nghỉ.xlsx"
    done = run("template", "leave", path)
    assert done.returncode == 0 and "Đơn xin nghỉ / Leave notices" in done.stdout
    again = run("template", "leave", path)
    assert again.returncode == 1 and "[list-refused]" in again.stderr
    empty = run("check", path, "--as", "leave")
    assert empty.returncode == 1 and "không có dòng nào dưới tiêu đề" in empty.stdout
    other = run("check", path, "--as", "staff")
    assert other.returncode == 1 and "trông như danh sách khác: Đơn xin nghỉ" in other.stdout
    as_pupils = run("check", path, "--json")
    assert [fault["code"] for fault in json.loads(as_pupils.stdout)["faults"]] == ["other-list"]
    assert run("template", "nothing", path).returncode == 2
    assert len(LISTS) == 9


def test_lines_of_another_list_are_counted(tmp_path: Path, run: Run) -> None:
    header = ("Mã học sinh", "Chế độ ăn", "Dị ứng")
    (tmp_path / "d.xlsx").write_bytes(sheet_of(["1", "Chay", "Sữa"], ["2", "Mặn", None], header=header))
    done = run("check", tmp_path / "d.xlsx", "--as", "diet")
    assert done.returncode == 0 and "2 dòng / lines" in done.stdout
    (tmp_path / "x.pdf").write_bytes(b"%PDF-1.4")
    done = run("check", tmp_path / "x.pdf", "--as", "diet", "--json")
    assert [fault["code"] for fault in json.loads(done.stdout)["faults"]] == ["is-document"] and done.returncode == 1


def test_the_command_as_people_start_it(tmp_path: Path) -> None:
    (tmp_path / "ds.csv").write_text("Mã lớp;Mã học sinh;Họ tên\n3/2;1;Nguyễn Văn An\n", encoding="utf-8-sig")
    command = [sys.executable, "-m", "k12edge", "hub", "roster", "check", str(tmp_path / "ds.csv")]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0 and "1 học sinh / pupils" in done.stdout and not done.stderr
