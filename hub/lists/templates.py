"""Templates: every list that a school fills in, declared once; the empty sheet and its reading both follow from it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import Any, Final

from hub.access.rights import CLASS_ROLES
from hub.lists.columns import Column, Template
from hub.lists.lines import (
    BoardingLine,
    CalendarLine,
    ConsentLine,
    DietLine,
    LeaveLine,
    MenuLine,
    PupilLine,
    StaffLine,
    TimetableLine,
)
from hub.lists.rows import Row
from hub.lists.vocabulary import (
    ALLERGENS,
    DAYS_OFF,
    DIETS,
    GUARDIANS,
    MEALS,
    PURPOSES,
    ROLES,
    SEXES,
    STATES,
    WEEKDAYS,
)
from protocol.records import Half

_CODE: Final = Column(
    "code",
    ("Mã học sinh", "Pupil code", "Mã HS", "Mã số học sinh", "student_code", "pupil_code"),
    "code",
    needed=True,
    most=40,
    private=True,
    example="7901234567",
    note=("mã của trường, không phải số định danh cá nhân", "the school's code, not the personal number"),
)
_NAME: Final = Column(
    "name",
    ("Họ tên", "Full name", "Họ và tên", "Họ tên học sinh", "Họ và tên học sinh", "display_name", "student name"),
    "name",
    private=True,
    example="Nguyễn Văn An",
)
_CLASS: Final = Column(
    "class",
    ("Mã lớp", "Class", "Lớp", "Tên lớp", "Lớp học"),
    "class",
    most=40,
    example="3/2",
    note=("gõ dạng chữ: 3/2, 8.10", "typed as text: 3/2, 8.10"),
)
_CLASSES: Final = Column("classes", ("Các lớp", "Classes", "Lớp", "Class", "Khối lớp"), "classes", most=400)


def _pupil(cells: Mapping[str, Any], row: Row) -> PupilLine:
    return PupilLine(
        name=cells["name"],
        school_class=cells["class"],
        state=cells["state"] or "attending",
        code=cells["code"],
        city_id=cells["city_id"],
        birth=cells["birth"],
        sex=cells["sex"],
        state_day=cells["state_day"],
        where=row.where,
    )


PUPILS: Final = Template(
    "pupils",
    ("Danh sách học sinh", "Pupils"),
    (
        replace(_CLASS, needed=True),
        _CODE,
        replace(_NAME, needed=True),
        Column("birth", ("Ngày sinh", "Birth date", "Ngày tháng năm sinh", "date of birth"), "day", years=(80, None),
               example="05/09/2018", note=("dd/mm/yyyy", "dd/mm/yyyy")),
        Column("sex", ("Giới tính", "Sex", "gender", "phái"), "word", words=SEXES),
        Column("state", ("Trạng thái HS", "State", "Trạng thái học sinh", "Trạng thái", "status"), "word",
               words=STATES),
        Column("state_day", ("Ngày nhập trạng thái", "State since", "Ngày trạng thái", "Ngày chuyển"), "day",
               years=(20, 1)),
        Column("city_id", ("Mã thành phố", "City id", "sourcedId"), "code", most=64, private=True),
    ),
    _pupil,
    identity=("code",),
)  # fmt: skip
"""C1-HocSinh and lists like it. Telephones, parents and the 12-digit personal number stand in such files, too; no
column here is theirs, so they are not read."""


def _staff(cells: Mapping[str, Any], row: Row) -> StaffLine:
    if "substitute" in cells["roles"] and cells["until"] is None:
        row.wrong("until", "needs", "Đến ngày / Until")
    of_a_class = bool(CLASS_ROLES & set(cells["roles"]))
    if of_a_class != bool(cells["homeroom"]):
        row.wrong("homeroom", "needs", "Lớp chủ nhiệm ⇔ Giáo viên chủ nhiệm, dạy thay / Homeroom class ⇔ its teacher")
    return StaffLine(cells["code"], cells["name"], cells["roles"], cells["homeroom"], cells["until"], row.where)


STAFF: Final = Template(
    "staff",
    ("Nhân sự", "Staff"),
    (
        Column("code", ("Mã cán bộ", "Staff code", "Mã giáo viên", "Mã GV", "Mã nhân sự", "Mã CBGV", "Mã định danh CB"),
               "code", needed=True, most=40, private=True, example="GV001"),
        replace(_NAME, needed=True, headers=("Họ tên", "Full name", "Họ và tên", "Họ tên giáo viên", "Họ tên cán bộ")),
        Column("roles", ("Vai trò", "Roles", "Chức vụ", "Nhiệm vụ", "role"), "words", needed=True, words=ROLES,
               note=("nhiều vai trò cách nhau bằng dấu phẩy", "several are separated by commas")),
        Column("homeroom", ("Lớp chủ nhiệm", "Homeroom class", "Chủ nhiệm lớp", "CN lớp"), "classes", most=200,
               example="3/2"),
        Column("until", ("Đến ngày", "Until"), "day", years=(0, 2), note=("của giáo viên thay", "of a substitute")),
    ),
    _staff,
    identity=("code",),
)  # fmt: skip


def _leave(cells: Mapping[str, Any], row: Row) -> LeaveLine:
    first, last = cells["first"], cells["last"] or cells["first"]
    first_half: Half = cells["first_half"] or "am"
    last_half: Half = cells["last_half"] or "pm"
    if (last, last_half) < (first, first_half):
        row.wrong("last", "order", "Đến ngày / To", "Từ ngày / From")
    return LeaveLine(
        cells["code"], cells["name"], cells["class"], (first, first_half), (last, last_half), cells["reason"] or "",
        row.where,
    )  # fmt: skip


LEAVE: Final = Template(
    "leave",
    ("Đơn xin nghỉ", "Leave notices"),
    (
        _CODE, _NAME, _CLASS,
        Column("first", ("Nghỉ từ ngày", "Leave from", "Từ ngày"), "day", needed=True, example="23/11/2026"),
        Column("first_half", ("Từ buổi", "From half-day"), "half", note=("trống: sáng", "empty: morning")),
        Column("last", ("Nghỉ đến ngày", "Leave to", "Đến ngày"), "day", note=("trống: một ngày", "empty: one day")),
        Column("last_half", ("Đến buổi", "To half-day"), "half", note=("trống: chiều", "empty: afternoon")),
        Column("reason", ("Lý do", "Reason"), "text", most=200, private=True),
    ),
    _leave,
    identity=("code", "first", "first_half"),
)  # fmt: skip


def _boarding(cells: Mapping[str, Any], row: Row) -> BoardingLine:
    if cells["last"] is not None and cells["last"] < cells["first"]:
        row.wrong("last", "order", "Bán trú đến ngày / Boarding to", "Bán trú từ ngày / Boarding from")
    return BoardingLine(
        cells["code"], cells["name"], cells["class"], cells["first"], cells["last"],
        _weekdays(cells["weekdays"]) or (0, 1, 2, 3, 4), cells["meals"] or ("lunch",), row.where,
    )  # fmt: skip


def _weekdays(words: Iterable[str]) -> tuple[int, ...]:
    """Python's numbers of weekdays: Monday is 0."""
    return tuple(sorted(map(list(WEEKDAYS).index, words)))


BOARDING: Final = Template(
    "boarding",
    ("Đăng ký bán trú", "Boarding enrolment"),
    (
        _CODE, _NAME, _CLASS,
        Column("first", ("Bán trú từ ngày", "Boarding from", "Từ ngày"), "day", needed=True, example="07/09/2026"),
        Column("last", ("Bán trú đến ngày", "Boarding to", "Đến ngày"), "day"),
        Column("weekdays", ("Thứ", "Weekdays", "Các thứ"), "words", words=WEEKDAYS, example="T2, T3, T4, T5, T6",
               note=("trống: T2 đến T6", "empty: Monday to Friday")),
        Column("meals", ("Bữa", "Meals", "Bữa ăn"), "words", words=MEALS, note=("trống: trưa", "empty: lunch")),
    ),
    _boarding,
    identity=("code", "first"),
)  # fmt: skip


def _diet(cells: Mapping[str, Any], row: Row) -> DietLine:
    allergies = cells["allergies"]
    if "none" in allergies and len(allergies) > 1:
        row.wrong("allergies", "no-word", "Không / None")
    if "other" in allergies and not cells["note"]:
        row.wrong("note", "needs", "Ghi chú / Note")
    return DietLine(
        cells["code"], cells["name"], cells["class"], cells["diet"],
        tuple(word for word in allergies if word != "none"), cells["note"] or "", cells["confirmed"] or False,
        cells["first"], row.where,
    )  # fmt: skip


DIET: Final = Template(
    "diet",
    ("Chế độ ăn và dị ứng", "Diet and allergies"),
    (
        _CODE, _NAME, _CLASS,
        Column("diet", ("Chế độ ăn", "Diet", "Suất ăn", "Loại suất"), "word", needed=True, words=DIETS),
        Column("allergies", ("Dị ứng", "Allergies"), "words", words=ALLERGENS, private=True),
        Column("note", ("Ghi chú", "Note"), "text", most=200, private=True),
        Column("confirmed", ("Nhà trường xác nhận", "Confirmed by the school", "Xác nhận"), "flag"),
        Column("first", ("Từ ngày", "From"), "day"),
    ),
    _diet,
    identity=("code",),
)  # fmt: skip


def _consent(cells: Mapping[str, Any], row: Row) -> ConsentLine:
    return ConsentLine(
        cells["code"], cells["name"], cells["class"], cells["purpose"], cells["given"], cells["pupil_agrees"],
        cells["by"], cells["day"], row.where,
    )  # fmt: skip


CONSENT: Final = Template(
    "consent",
    ("Đồng ý của phụ huynh", "Consent"),
    (
        _CODE, _NAME, _CLASS,
        Column("purpose", ("Mục đích", "Purpose"), "word", needed=True, words=PURPOSES),
        Column("given", ("Đồng ý", "Consent"), "flag", needed=True),
        Column("pupil_agrees", ("Học sinh đồng ý", "Pupil agrees"), "flag",
               note=("từ 7 tuổi (Luật 91/2025)", "from 7 years on (Law 91/2025)")),
        Column("by", ("Người đồng ý", "Given by", "Người ký"), "word", needed=True, words=GUARDIANS),
        Column("day", ("Ngày ký", "Signed on", "Ngày"), "day", needed=True, years=(10, None), example="05/09/2026"),
    ),
    _consent,
    identity=("code", "purpose"),
)  # fmt: skip


def _calendar(cells: Mapping[str, Any], row: Row) -> CalendarLine:
    first, last = cells["first"], cells["last"] or cells["first"]
    if last < first:
        row.wrong("last", "order", "Đến ngày / To", "Từ ngày / From")
    if (cells["kind"] == "make-up") != (cells["as_weekday"] is not None):
        row.wrong("as_weekday", "needs", "Học bù theo thứ / Lessons of ⇔ Học bù / Make-up day")
    if cells["kind"] == "make-up" and last > first:
        row.wrong("last", "one-day")
    weekday = None if cells["as_weekday"] is None else _weekdays([cells["as_weekday"]])[0]
    return CalendarLine(first, last, cells["kind"], cells["half"], cells["classes"], weekday, cells["name"], row.where)


CALENDAR: Final = Template(
    "calendar",
    ("Lịch nghỉ và học bù", "Calendar"),
    (
        Column("first", ("Từ ngày", "From", "Ngày", "Day"), "day", needed=True, years=(2, 2), example="01/01/2027"),
        Column("last", ("Đến ngày", "To"), "day", years=(2, 2)),
        Column("kind", ("Loại ngày", "Kind", "Loại"), "word", needed=True, words=DAYS_OFF),
        Column("half", ("Buổi", "Half-day"), "half", note=("trống: cả ngày", "empty: the whole day")),
        replace(_CLASSES, note=("trống: toàn trường", "empty: the whole school")),
        Column("as_weekday", ("Học bù theo thứ", "Lessons of"), "word", words=WEEKDAYS),
        Column("name", ("Nội dung", "Name", "Tên", "Ghi chú"), "text", needed=True, most=120, example="Tết Dương lịch"),
    ),
    _calendar,
    identity=("first", "half", "classes"),
)  # fmt: skip


def _timetable(cells: Mapping[str, Any], row: Row) -> TimetableLine:
    late_after = cells["late_after"] or cells["starts"]
    final = cells["final"] or late_after
    bells = (cells["opens"], cells["starts"], late_after, final, cells["ends"])
    names = ("Mở cổng", "Vào học", "Trễ sau", "Chốt vắng", "Tan học")
    keys = ("opens", "starts", "late_after", "final", "ends")
    for (before, name), (after, other), key in zip(
        zip(bells[:-1], names[:-1], strict=True), zip(bells[1:], names[1:], strict=True), keys[1:], strict=True
    ):
        if after < before:
            row.wrong(key, "order", other, name)
    if cells["stays"] and cells["half"] == "am":
        row.wrong("stays", "no-word", "Không / No")
    return TimetableLine(
        cells["classes"], _weekdays(cells["weekdays"]), cells["half"], cells["opens"], cells["starts"], late_after,
        final, cells["ends"], cells["stays"] or False, row.where,
    )  # fmt: skip


def _no_half_twice(found: list[Any]) -> None:
    """A half-day of a class or grade rings by one line."""
    first: dict[tuple[Any, ...], Row] = {}
    for each in found:
        line = each.line
        for of in line.of or ("",):
            for weekday in line.weekdays:
                before = first.setdefault((of, weekday, line.half), each.row)
                if before is not each.row and each.row.sound:
                    each.row.wrong("half", "half-twice", before.where)


TIMETABLE: Final = Template(
    "timetable",
    ("Giờ học theo buổi", "Timetable"),
    (
        replace(_CLASSES, headers=("Khối, lớp", "Grade or class", "Khối", "Lớp", "Class"), example="3",
             note=("khối 3, lớp 3/2; trống: toàn trường", "grade 3, class 3/2; empty: the whole school")),
        Column("weekdays", ("Thứ", "Weekdays", "Các thứ"), "words", needed=True, words=WEEKDAYS,
               example="T2, T3, T4, T5, T6"),
        Column("half", ("Buổi", "Half-day"), "half", needed=True),
        Column("opens", ("Mở cổng", "Gate opens"), "clock", needed=True, example="06:30"),
        Column("starts", ("Vào học", "Lessons start"), "clock", needed=True, example="07:15"),
        Column("late_after", ("Trễ sau", "Late after"), "clock", example="07:20",
               note=("trống: giờ vào học", "empty: the start")),
        Column("final", ("Chốt vắng", "Absent from"), "clock", example="07:45",
               note=("trống: giờ trễ", "empty: when one is late")),
        Column("ends", ("Tan học", "Lessons end"), "clock", needed=True, example="10:30"),
        Column("stays", ("Ở lại trưa", "Stays over noon"), "flag", note=("chỉ buổi chiều", "of an afternoon only")),
    ),
    _timetable,
    examined=_no_half_twice,
)  # fmt: skip


def _menu(cells: Mapping[str, Any], row: Row) -> MenuLine:
    return MenuLine(
        cells["day"], cells["meal"], cells["dish"], cells["diet"] or "regular",
        tuple(word for word in cells["allergens"] if word != "none"), cells["lot"] or "", cells["supplier"] or "",
        row.where,
    )  # fmt: skip


MENUS: Final = Template(
    "menus",
    ("Thực đơn", "Menus"),
    (
        Column("day", ("Ngày", "Day", "Ngày ăn"), "day", needed=True, years=(1, 1), example="23/11/2026"),
        Column("meal", ("Bữa", "Meal", "Bữa ăn"), "word", needed=True, words=MEALS),
        Column("dish", ("Món", "Dish", "Món ăn", "Tên món"), "text", needed=True, most=200, example="Canh bí đỏ"),
        Column("diet", ("Chế độ ăn", "Diet"), "word", words=DIETS, note=("trống: mặn", "empty: regular")),
        Column("allergens", ("Chất gây dị ứng", "Allergens", "Dị ứng"), "words", words=ALLERGENS),
        Column("lot", ("Số lô", "Lot", "Lô"), "text", most=80),
        Column("supplier", ("Nhà cung cấp", "Supplier"), "text", most=120),
    ),
    _menu,
    identity=("day", "meal", "dish", "diet"),
)  # fmt: skip

TEMPLATES: Final[Mapping[str, Template]] = {
    template.name: template for template in (PUPILS, STAFF, LEAVE, BOARDING, DIET, CONSENT, CALENDAR, TIMETABLE, MENUS)
}
"""Every list by its name, in the order in which a school fills them in."""
