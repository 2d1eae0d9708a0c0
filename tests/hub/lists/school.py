"""A school's lists as people bring them, built on the spot: titles above, merges, notes below, several sheets, NFD."""

from __future__ import annotations

import io
import unicodedata
import zipfile
from collections.abc import Callable, Mapping, Sequence
from datetime import date, timedelta
from random import Random
from typing import Any

import xlsxwriter

from hub.lists.known import Enrolment, KnownPupil
from hub.lists.lines import PupilLine

TODAY = date(2026, 11, 26)
HEADER = (
    "STT", "Mã lớp", "Mã học sinh", "Họ tên", "Ngày sinh", "Giới tính", "Trạng thái HS", "Ngày nhập trạng thái",
    "Số định danh cá nhân", "SĐT cha", "Họ tên cha", "Địa chỉ",
)  # fmt: skip
"""C1-HocSinh in short."""
FAMILIES = ("Nguyễn", "Trần", "Lê", "Phạm", "Hoàng", "Huỳnh", "Đặng", "Vũ", "Bùi", "Đỗ")
MIDDLES = ("Văn", "Thị", "Minh", "Ngọc", "Hoàng", "Gia", "Thuỳ", "Đức", "Bảo", "Khánh")
GIVENS = ("An", "Bình", "Châu", "Dũng", "Hòa", "Hường", "Khôi", "Lộc", "Ngân", "Phượng", "Quỳnh", "Trí", "Vy", "Ý")

Prepare = Callable[[Any, Any], None]


def book(
    *sheets: tuple[str, Sequence[Sequence[Any]]], prepare: Prepare | None = None, filename: str | None = None
) -> bytes:
    """An .xlsx of sheets (name, rows); dates as dates. `prepare` may do more to the last sheet."""
    stream = io.BytesIO()
    made = xlsxwriter.Workbook(stream, {"in_memory": True})
    day = made.add_format({"num_format": "dd/mm/yyyy"})
    sheet = None
    for name, rows in sheets:
        sheet = made.add_worksheet(name)
        for number, row in enumerate(rows):
            for place, cell in enumerate(row):
                if isinstance(cell, date):
                    sheet.write_datetime(number, place, cell, day)
                elif isinstance(cell, str):
                    sheet.write_string(number, place, cell)
                elif cell is not None:
                    sheet.write(number, place, cell)
    if prepare is not None:
        prepare(made, sheet)
    made.close()
    return stream.getvalue()


def pupils(count: int, seed: int = 1, classes: Sequence[str] | None = None) -> list[PupilLine]:
    """Pupils of classes of 35 as a list has them."""
    rng = Random(seed)
    found = []
    for number in range(count):
        at = classes[number % len(classes)] if classes else f"{1 + number // 35 // 9}/{1 + number // 35 % 9}"
        name = " ".join((rng.choice(FAMILIES), rng.choice(MIDDLES), rng.choice(MIDDLES), rng.choice(GIVENS)))
        birth = date(2016, 1, 1) + timedelta(days=rng.randrange(1500))
        sex = rng.choice("mf")
        found.append(PupilLine(name, at, code=f"79{number:08d}", birth=birth, sex=sex))
    return found


def row_of(line: PupilLine, number: int, *, real_dates: bool = False) -> list[Any]:
    """A pupil's row under HEADER."""
    birth: Any = line.birth
    if birth is not None and not real_dates:
        birth = f"{birth:%d/%m/%Y}"
    state = {"attending": "Đang học", "left": "Chuyển đi"}[line.state]
    return [
        number, line.school_class, line.code, line.name, birth, {"m": "Nam", "f": "Nữ", None: None}[line.sex], state,
        None if line.state_day is None else f"{line.state_day:%d/%m/%Y}", f"079215{number:06d}", "0903123456",
        "Trần Văn Cha", "12 Lê Lợi, Quận 1",
    ]  # fmt: skip


TITLE = (
    ["SỞ GIÁO DỤC VÀ ĐÀO TẠO", None, None, None, "CỘNG HÒA XÃ HỘI CHỦ NGHĨA VIỆT NAM"],
    ["TRƯỜNG TIỂU HỌC KIM ĐỒNG"],
    [],
    [None, None, "DANH SÁCH HỌC SINH NĂM HỌC 2026-2027"],
    [],
)
NOTES = (
    [],
    [None, None, None, "Tổng cộng: 70 học sinh"],
    [None, None, None, None, None, None, "Quận 1, ngày 26 tháng 11 năm 2026"],
    [None, None, None, "Người lập biểu", None, None, "Hiệu trưởng"],
)


def c1(lines: Sequence[PupilLine], *, header: Sequence[str] = HEADER, real_dates: bool = False) -> bytes:
    """C1-HocSinh as the ministry's software writes it, real-shaped."""
    rows = [
        *TITLE, header, [f"({number})" for number in range(1, len(header) + 1)],
        *(row_of(line, number, real_dates=real_dates) for number, line in enumerate(lines, 1)), *NOTES,
    ]  # fmt: skip
    return book(
        ("Hướng dẫn", [["Hướng dẫn nhập liệu"], ["Mã lớp: nhập như danh mục"]]),
        ("HocSinh", rows),
        ("DanhMuc", [["Đang học"], ["Chuyển đi"]]),
    )


def decomposed(text: str) -> str:
    return unicodedata.normalize("NFD", text)


def sheet_of(*rows: Sequence[Any], header: Sequence[str] = ("Mã lớp", "Mã học sinh", "Họ tên", "Ngày sinh")) -> bytes:
    """A small plain Excel file."""
    return book(("HS", [header, *rows]))


def known_of(lines: Sequence[PupilLine], first: date = date(2026, 9, 1)) -> list[KnownPupil]:
    """The hub's pupils after it took these lines."""
    return [
        KnownPupil(
            f"st-{number}", line.name or "?", line.code, line.city_id, line.birth, line.sex, "enrolled", "list", 0,
            () if line.school_class is None else (Enrolment(line.school_class, first),),
        )
        for number, line in enumerate(lines)
    ]  # fmt: skip


# --- OneRoster --------------------------------------------------------------------------------------------------------


def packed(files: Mapping[str, str | bytes], folder: str = "") -> bytes:
    """A zip of these files."""
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", zipfile.ZIP_DEFLATED) as zipped:
        for name, text in files.items():
            zipped.writestr(folder + name, text)
    return stream.getvalue()


def manifest(mode: str = "bulk", version: str = "1.2", **modes: str) -> str:
    told = {"users": mode, "enrollments": mode, "classes": mode, "orgs": mode, "roles": "absent"} | modes
    lines = ["propertyName,value", "manifest.version,1.0", f"oneroster.version,{version}"]
    return "\r\n".join([*lines, *(f"file.{name},{mode}" for name, mode in told.items()), ""])


def csv_of(header: str, *rows: str) -> str:
    return "\r\n".join([header, *rows, ""])


ORGS = csv_of("sourcedId,status,dateLastModified,name,type,identifier", "kd,,,Kim Đồng,school,79760")
CLASSES = csv_of(
    "sourcedId,status,dateLastModified,title,grades,courseSourcedId,classCode,classType,location,schoolSourcedId",
    "c32,,,3/2,03,,,homeroom,,kd",
    "c33,,,3/3,03,,,homeroom,,kd",
    "toan,,,Toán 3,03,,,scheduled,,kd",
)
USERS_HEADER = (
    "sourcedId,status,dateLastModified,enabledUser,username,userIds,givenName,familyName,middleName,identifier,"
    "email,phone"
)
USERS = csv_of(
    USERS_HEADER,
    "u1,,,true,an,{vnid:079215000001},An,Nguyễn,Văn,7901,,0903",
    "u2,,,true,binh,,Bình,Trần,,7902,,",
    "u9,,,true,co.hoa,,Hoa,Lê,Thị,GV1,,",
)
ENROLLMENTS_HEADER = (
    "sourcedId,status,dateLastModified,classSourcedId,schoolSourcedId,userSourcedId,role,primary,beginDate,endDate"
)
ENROLLMENTS = csv_of(
    ENROLLMENTS_HEADER,
    "e1,,,c32,kd,u1,student,true,2026-09-01,2027-05-31",
    "e2,,,c33,kd,u2,student,,,",
    "e3,,,toan,kd,u1,student,,,",
    "e4,,,c32,kd,u9,teacher,,,",
)


def oneroster(**changed: str) -> dict[str, str | bytes]:
    """The files of a small school's bulk zip; `changed` by name without `.csv`."""
    files: dict[str, str | bytes] = {
        "manifest.csv": manifest(), "orgs.csv": ORGS, "classes.csv": CLASSES, "users.csv": USERS,
        "enrollments.csv": ENROLLMENTS,
    }  # fmt: skip
    return files | {f"{name}.csv": text for name, text in changed.items()}
