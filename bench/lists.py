"""Lists: the reference school's pupils from an Excel file as every school has it, parsed, checked and diffed."""

from __future__ import annotations

import io
import time
from datetime import date, timedelta
from random import Random
from statistics import median

import xlsxwriter

from bench.figure import Broken, Figure
from bench.workshop import Workshop
from hub.lists.changes import plan
from hub.lists.known import Enrolment, KnownPupil
from hub.lists.lines import PupilLine
from hub.lists.people import read_people

PUPILS = 2_000
TODAY = date(2026, 11, 26)
ROUNDS = 9
REACH_MS = 500.0
COLUMNS = (
    "STT", "Mã lớp", "Mã học sinh", "Họ tên", "Ngày sinh", "Giới tính", "Trạng thái HS", "Ngày nhập trạng thái",
    "Số định danh cá nhân", "Nơi sinh", "Dân tộc", "Quốc tịch", "Tỉnh", "Huyện", "Xã", "Địa chỉ", "SĐT liên hệ",
    "Khu vực", "Đối tượng chính sách", "Con liệt sĩ", "Miễn học phí", "Bán trú", "Họ tên cha", "Nghề nghiệp cha",
    "Năm sinh cha", "SĐT cha", "Họ tên mẹ", "Nghề nghiệp mẹ", "Năm sinh mẹ", "SĐT mẹ",
)  # fmt: skip
"""As many as C1-HocSinh commonly has; the first eight are read, but for the first."""


def measure_lists(shop: Workshop) -> list[Figure]:
    """Row 11 of the table."""
    shop.say("11: 2,000 pupils from Excel, parsed, checked and diffed")
    octets, known = _school()
    whole, read = [], []
    for _ in range(shop.rounds(ROUNDS)):
        began_s = time.perf_counter()
        people = read_people("C1-HocSinh.xlsx", octets, TODAY)
        read.append((time.perf_counter() - began_s) * 1000)
        made = plan(known, people.pupils, TODAY, complete=people.complete)
        whole.append((time.perf_counter() - began_s) * 1000)
        if not people.sound or made.counts != {
            "new": 20, "updated": 0, "moved": 40, "left": 5, "returns": 0, "missing": 15, "bad": 0, "same": 1_935,
        }:  # fmt: skip
            raise Broken(f"the list of {PUPILS} pupils is read otherwise than it was written: {made.counts}")
    return [
        Figure(
            11,
            "2,000 pupils from Excel, parsed, checked, diffed",
            median(whole),
            "ms",
            REACH_MS,
            low=min(whole),
            high=max(whole),
            note=f"{len(octets) / 1024:,.0f} KiB, {len(COLUMNS)} columns; opened in a process of its own and parsed in"
            f" {median(read):.0f} ms; 20 new, 40 moved, 5 leave, 15 missing; {len(whole)} rounds",
        )
    ]


def _school() -> tuple[bytes, list[KnownPupil]]:
    """The file, and what the hub knows: 15 who aren't in it, all but 20 of it, 40 of another class."""
    rng = Random(11)
    lines = []
    for number in range(PUPILS):
        name = " ".join(rng.choice(words) for words in (("Nguyễn", "Trần", "Đặng"), ("Văn", "Thị"), ("An", "Hòa", "Ý")))
        birth = date(2016, 1, 1) + timedelta(days=rng.randrange(1_500))
        state = "left" if number < 5 else "attending"
        lines.append(
            PupilLine(name, f"{1 + number // 400}/{1 + number // 45 % 9}", state, f"79{number:08d}", birth=birth)
        )
    known = [
        KnownPupil(
            f"st-{number}", line.name or "", line.code, None, line.birth, "f", "enrolled",
            "list", 0, (Enrolment("9/9" if 100 <= number < 140 else line.school_class or "", date(2026, 9, 1)),),
        )
        for number, line in enumerate(lines[:-20])
    ]  # fmt: skip
    gone = [
        KnownPupil(f"st-x{n}", f"Lê {n}", f"x{n}", None, None, "m", "enrolled", "list", 0,
                   (Enrolment("1/1", date(2026, 9, 1)),))
        for n in range(15)
    ]  # fmt: skip
    stream = io.BytesIO()
    book = xlsxwriter.Workbook(stream, {"in_memory": True})
    day = book.add_format({"num_format": "dd/mm/yyyy"})
    sheet = book.add_worksheet("C1-HocSinh")
    sheet.write_row(0, 0, ["SỞ GIÁO DỤC VÀ ĐÀO TẠO"])
    sheet.write_row(2, 0, ["DANH SÁCH HỌC SINH NĂM HỌC 2026-2027"])
    sheet.write_row(4, 0, COLUMNS)
    for number, line in enumerate(lines, 5):
        state = "Chuyển đi" if line.state == "left" else "Đang học"
        sheet.write_row(number, 0, [number, line.school_class, line.code, line.name, None, "Nữ", state, "05/09/2026"])
        sheet.write_datetime(number, 4, line.birth, day)
        sheet.write_row(number, 8, [f"0792150{number:05d}", *(f"{word} {number}" for word in COLUMNS[9:])])
    book.close()
    return stream.getvalue(), [*known, *gone]
