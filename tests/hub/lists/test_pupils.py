"""C1-HocSinh and lists like it: found by their words, read cell by cell, and every fault with its place and words."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import date, datetime, time, timedelta
from random import Random
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hub.lists.cells import Cell, Sheet
from hub.lists.faults import NOTES, Fault
from hub.lists.lines import PupilLine
from hub.lists.people import People, read_people
from hub.lists.pupils import read_pupils
from hub.lists.reading import Listed
from sim.emulators.oldbook import old_book
from tests.hub.lists.school import HEADER, TODAY, book, c1, decomposed, pupils, row_of, sheet_of

PLAIN = ("Mã lớp", "Mã học sinh", "Họ tên", "Ngày sinh", "Trạng thái HS")


def read(octets: bytes, name: str = "c1.xlsx") -> People:
    return read_people(name, octets, TODAY)


def cells(*rows: Sequence[Cell], header: Sequence[Cell] = PLAIN) -> Listed[PupilLine]:
    """A sheet of these rows, without a file around it."""
    return read_pupils("c1.xlsx", (Sheet("HS", (tuple(header), *map(tuple, rows))),), TODAY)


def codes(found: People | Listed[PupilLine]) -> list[str]:
    return [fault.code for fault in found.faults if fault.stops]


def one_fault(found: People | Listed[PupilLine]) -> Fault:
    stopping = [fault for fault in found.faults if fault.stops]
    assert len(stopping) == 1, stopping
    assert not found.sound
    return stopping[0]


def same(found: Sequence[PupilLine], lines: Sequence[PupilLine]) -> bool:
    return [replace(line, where="") for line in found] == [replace(line, where="") for line in lines]


# --- real-shaped files ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("real_dates", [False, True])
def test_a_school_of_2000_is_read_as_it_stands(real_dates: bool) -> None:
    lines = pupils(2000)
    found = read(c1(lines, real_dates=real_dates))
    assert found.kind == "pupils" and found.sound and found.complete and same(found.pupils, lines)
    assert found.pupils[0].where == "HocSinh, 8", "a row as the spreadsheet counts"
    assert [fault.code for fault in found.faults] == ["row-skipped"] * 3, "total, date and signatures below the list"
    assert found.ignored == ("STT", "Số định danh cá nhân", "SĐT cha", "Họ tên cha", "Địa chỉ")


def test_nothing_of_parents_telephones_and_personal_numbers_is_anywhere_in_what_was_read() -> None:
    said = repr(read(c1(pupils(40))))
    assert not any(word in said for word in ("0903123456", "Trần Văn Cha", "Lê Lợi", "079215000"))


@pytest.mark.parametrize("seed", range(6))
def test_the_header_is_found_by_its_words_in_any_order_spelling_and_row(seed: int) -> None:
    rng = Random(seed)
    lines = pupils(70)
    rows = [list(HEADER), *(row_of(line, number) for number, line in enumerate(lines, 1))]
    order = list(range(len(HEADER)))
    rng.shuffle(order)
    rows = [[row[place] for place in order] for row in rows]
    dressed = [
        lambda word: decomposed(word), lambda word: word.upper() + " *", lambda word: word.replace(" ", "\n"),
        lambda word: f"  {word}: ", lambda word: word.replace(" ", "\u00a0"),
    ]  # fmt: skip
    rows[0] = [rng.choice(dressed)(word) for word in rows[0]]
    above = [[f"dòng {number}"] for number in range(rng.randrange(12))]
    found = read(book(("Bìa", [["SỞ GD&ĐT"]]), ("Khối 1", [*above, *rows])))
    assert found.sound and same(found.pupils, lines) and found.sheets == ("Khối 1",)


def test_a_header_in_row_13_is_none() -> None:
    assert one_fault(read(book(("HS", [[]] * 12 + [list(PLAIN)])))).code == "no-table"


def test_names_and_classes_are_composed_whatever_the_file_has() -> None:
    found = cells([decomposed("8.10"), "7901", decomposed("  Đặng   Thị Hoà "), None, decomposed("Đang học")])
    assert found.sound and found.lines[0].name == "Đặng Thị Hoà" and found.lines[0].school_class == "8.10"


def test_an_old_xls_and_a_plain_csv_with_simple_names_say_the_same() -> None:
    lines = pupils(30)
    rows = [["class", "code", "name", "birth", "sex"]]
    rows += [[str(p.school_class), str(p.code), str(p.name), f"{p.birth:%d/%m/%Y}", str(p.sex)] for p in lines]
    assert same(read(old_book(rows), "ds.xls").pupils, lines)
    text = "\n".join(";".join(row) for row in rows)
    assert same(read(text.encode(), "ds.csv").pupils, lines)
    assert same(read(text.encode("utf-16"), "ds.txt").pupils, lines)


def test_a_sheet_for_each_class_is_one_list_and_a_copy_of_a_sheet_is_told_once() -> None:
    first, second = pupils(30, 1, ["1/1"]), [replace(line, code=f"x{line.code}") for line in pupils(30, 2, ["1/2"])]
    header = list(HEADER)
    sheets = [
        (name, [header, *(row_of(line, 1) for line in lines)]) for name, lines in (("1-1", first), ("1-2", second))
    ]
    found = read(book(*sheets))
    assert found.sound and same(found.pupils, first + second) and found.sheets == ("1-1", "1-2")
    fault = one_fault(read(book(*sheets, ("Bản cũ", sheets[0][1]))))
    assert (fault.code, fault.sheet, fault.about) == ("sheets-overlap", "Bản cũ", ("1-1",))


def test_cells_merged_over_a_class_and_a_name_in_two_cells_are_read_as_they_look() -> None:
    rows = [["Mã lớp", "Mã học sinh", "Họ và tên", None], ["1/1", "1", "Nguyễn Văn", "An"], [None, "2", "Lê", "Bình"]]

    def prepare(made: Any, sheet: Any) -> None:
        sheet.merge_range(0, 2, 0, 3, "Họ và tên")
        sheet.merge_range(1, 0, 2, 0, "1/1")

    found = read(book(("HS", rows), prepare=prepare))
    assert found.sound and [(line.school_class, line.name) for line in found.pupils] == [
        ("1/1", "Nguyễn Văn An"),
        ("1/1", "Lê Bình"),
    ]


@pytest.mark.parametrize("family", ["Họ và tên đệm", "Họ đệm", "HỌ"])
def test_a_name_in_two_columns_is_one(family: str) -> None:
    header = ("Mã lớp", "Mã học sinh", family, "Tên", "Ngày sinh")
    found = cells(["1/1", "1", "Nguyễn Văn", "An", None], ["1/1", "2", None, "Bình", None], header=header)
    assert found.sound and [line.name for line in found.lines] == ["Nguyễn Văn An", "Bình"] and not found.ignored
    assert not cells(
        ["1/1", "1", "Nguyễn Văn", None, "An"], header=("Mã lớp", "Mã học sinh", family, "STT", "Tên")
    ).lines


def test_a_header_repeated_on_each_page_is_no_pupil() -> None:
    found = cells(["1/1", "1", "An", None, None], PLAIN, ["1/1", "2", "Bình", None, None])
    assert found.sound and not found.faults and len(found.lines) == 2


def test_a_hidden_list_is_told() -> None:
    found = read(book(("A", [["x"]]), ("HS", [list(PLAIN), ["1/1", "1", "An"]]), prepare=lambda _, s: s.hide()))
    assert codes(found) == ["no-table"] and [f.sheet for f in found.faults if f.code == "hidden"] == ["HS"]


# --- what a spreadsheet does to numbers -------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("cell", "code"),
    [
        (date(2026, 2, 3), "class-is-date"),
        (datetime(2026, 2, 3), "class-is-date"),  # noqa: DTZ001
        (time(3, 2), "class-is-date"),
        ("03/02/2026", "class-is-date"),
        ("3-Feb", "class-is-date"),
        ("2-thg 3", "class-is-date"),
        ("Feb-03", "class-is-date"),
        ("2026-02-03 00:00:00", "class-is-date"),
        (8.1, "class-is-fraction"),
        (float("nan"), "class-is-fraction"),
        (True, "not-text"),
        (timedelta(hours=3), "not-text"),
        ("=1A", "formula"),
        ("1\u202eA", "characters"),
        ("1" * 41, "too-long"),
        (None, "missing"),
        ("  ", "missing"),
    ],
)
def test_a_class_that_a_spreadsheet_changed_is_refused_with_its_row(cell: Cell, code: str) -> None:
    found = cells(["1/1", "1", "An", None, None], [cell, "2", "Bình", None, None])
    fault = one_fault(found)
    assert (fault.code, fault.sheet, fault.row, fault.column, fault.header) == (code, "HS", 3, "A", "Mã lớp")


@pytest.mark.parametrize("name", ["3/2", "8.10", "1A", "12A7", "Lá 1", "10 Anh", "6/12"])
def test_classes_are_text(name: str) -> None:
    assert cells([name, "1", "An", None, None]).lines[0].school_class == name
    assert cells([9.0, "1", "An", None, None]).lines[0].school_class == "9"


@pytest.mark.parametrize(
    ("cell", "code"),
    [
        ("7901234567", "7901234567"),
        (7901234567.0, "7901234567"),
        (7901234567, "7901234567"),
        ("  HS 001 ", "HS 001"),
        ("0012", "0012"),
    ],
)
def test_codes_are_text_also_where_they_came_as_numbers(cell: Cell, code: str) -> None:
    assert cells(["1/1", cell, "An", None, None]).lines[0].code == code


@pytest.mark.parametrize(
    ("cell", "code"),
    [
        ("079215001234", "personal-number"),
        ("079 215 001 234", "personal-number"),
        (179215001234.0, "personal-number"),
        (79215001234.0, "personal-number-short"),
        (79215001234.5, "lost-digits"),
        (1e17, "lost-digits"),
        (-5.0, "lost-digits"),
        ("7.92E+11", "lost-digits"),
        (date(2026, 1, 1), "not-text"),
        (True, "not-text"),
        ("@cmd", "formula"),
        ("79<b>", "characters"),
        ("7" * 41, "too-long"),
        (None, "missing"),
    ],
)
def test_personal_numbers_and_codes_that_lost_digits_are_refused_and_never_quoted(cell: Cell, code: str) -> None:
    fault = one_fault(cells(["1/1", cell, "An", None, None]))
    assert (fault.code, fault.row, fault.column, fault.said) == (code, 2, "B", "")
    assert cell is None or str(cell) not in str(fault)


@pytest.mark.parametrize(
    ("cell", "day"),
    [
        ("05/09/2018", date(2018, 9, 5)),
        ("5/9/2018", date(2018, 9, 5)),
        ("5-9-2018", date(2018, 9, 5)),
        ("05.09.2018", date(2018, 9, 5)),
        ("2018-09-05", date(2018, 9, 5)),
        (date(2018, 9, 5), date(2018, 9, 5)),
        (datetime(2018, 9, 5, 1), date(2018, 9, 5)),  # noqa: DTZ001
        (None, None),
    ],
)
def test_dates_are_read_day_first(cell: Cell, day: date | None) -> None:
    assert cells(["1/1", "1", "An", cell, None]).lines[0].birth == day


@pytest.mark.parametrize(
    ("cell", "code"),
    [
        ("31/02/2018", "no-day"),
        ("00/01/2018", "no-day"),
        ("5/9/18", "no-day"),
        ("13/13/2018", "no-day"),
        ("hôm qua", "no-day"),
        (time(1, 2), "no-day"),
        (True, "no-day"),
        (43_000.0, "day-is-number"),
        (date(1900, 1, 1), "day-range"),
        ("31/12/9999", "day-range"),
        (date(9999, 12, 31), "day-range"),
        (TODAY + timedelta(days=1), "day-range"),
    ],
)
def test_dates_that_are_none_are_refused(cell: Cell, code: str) -> None:
    fault = one_fault(cells(["1/1", "1", "An", cell, None]))
    assert (fault.code, fault.row, fault.column, fault.header) == (code, 2, "D", "Ngày sinh")


# --- people -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "code"),
    [
        ("<script>alert(1)</script>", "characters"),
        ("Nguyễn\u202eVăn An", "characters"),
        ("Nguyễn\u200bVăn An", "characters"),
        ("Nguyễn\u2028Văn\u0007", "characters"),
        ("A\u0300\u0301\u0302\u0303\u0304n", "characters"),
        ("NguyÔn V¨n An", "characters"),
        ("An 😀", "characters"),
        ("=HYPERLINK(1)", "formula"),
        ("+84 An", "formula"),
        ("-An", "formula"),
        ("@An", "formula"),
        ("An 0903 123 456", "number-in-name"),
        ("An 079215001234", "number-in-name"),
        ("...", "no-letters"),
        ("x" * 121, "too-long"),
        (12.0, "not-text"),
        (date(2026, 1, 1), "not-text"),
        (None, "missing"),
    ],
)
def test_hostile_names_are_refused_and_never_quoted(name: Cell, code: str) -> None:
    fault = one_fault(cells(["1/1", "1", name, None, None], ["1/1", "2", "Bình", None, None]))
    assert (fault.code, fault.row, fault.column, fault.said) == (code, 2, "C", "")


@pytest.mark.parametrize(
    "name", ["O'Neil", "Anna-Lena Müller", "Nguyễn Văn An 2", "H’Hen Niê", "Trần T. Bình", "Y Blô"]
)
def test_names_of_all_peoples_are_taken(name: str) -> None:
    assert cells(["1/1", "1", name, None, None]).lines[0].name == name


@pytest.mark.parametrize(
    ("word", "state"),
    [
        (None, "attending"), ("Đang học", "attending"), ("CHUYỂN ĐẾN KỲ 1", "attending"), ("Chuyển đi", "left"),
        ("Thôi  học", "left"), ("Bảo lưu", "left"), (decomposed("Đã tốt nghiệp"), "left"),
    ],
)  # fmt: skip
def test_states_say_whether_the_pupil_comes(word: Cell, state: str) -> None:
    assert cells(["1/1", "1", "An", None, word]).lines[0].state == state


def test_an_unknown_state_and_sex_are_asked_about_in_both_languages() -> None:
    fault = one_fault(cells(["1/1", "1", "An", None, "Đang ngủ"]))
    assert (fault.code, fault.said) == ("no-word", "Đang ngủ")
    assert "không thuộc: Đang học, Chuyển đi" in fault.vi and "none of" in fault.en
    header = (*PLAIN, "Giới tính", "Ngày nhập trạng thái")
    found = cells(["1/1", "1", "An", None, "Chuyển đi", "x", "01/10/2026"], header=header)
    assert codes(found) == ["no-word"]
    found = cells(["1/1", "1", "An", None, "Chuyển đi", "Nữ", "01/10/2026"], header=header)
    assert (found.lines[0].sex, found.lines[0].state_day) == ("f", date(2026, 10, 1))


def test_a_code_that_stands_twice_is_named_with_its_first_row() -> None:
    found = cells(["1/1", 12.0, "An", None, None], ["1/1", "2", "Bình", None, None], ["1/2", "12", "Cẩm", None, None])
    fault = one_fault(found)
    assert (fault.code, fault.row, fault.column, fault.about) == ("code-twice", 4, "B", ("HS, 2",))
    assert len(found.lines) == 2


def test_what_is_worth_a_look_stops_nothing() -> None:
    twin = ["1/1", "An", "05/09/2018"]
    rows = [[twin[0], str(number), twin[1], twin[2], None] for number in range(2)]
    rows += [["8.1", f"x{number}", "Bình", None, None] for number in range(61)] + [["1 / 1", "y", "Cẩm", None, None]]
    found = cells(*rows)
    assert found.sound and [fault.code for fault in found.faults] == ["same-person", "large-class", "class-spelled"]
    assert {fault.code for fault in found.faults} <= NOTES


def test_every_fault_of_a_row_is_told_and_the_other_rows_too() -> None:
    found = cells([date(2026, 2, 3), "079215001234", "<b>", "31/02/2018", "?"], [8.1, "2", "Bình", None, None])
    assert codes(found) == ["class-is-date", "personal-number", "characters", "no-day", "no-word", "class-is-fraction"]
    assert [(fault.row, fault.column) for fault in found.faults] == [*((2, letter) for letter in "ABCDE"), (3, "A")]


def test_a_pupil_without_class_and_code_among_others_is_a_fault_and_below_the_list_is_told() -> None:
    found = cells([None, None, "An", None, None], ["1/1", "2", "Bình", None, None], [None, None, "Cẩm", None, None])
    assert codes(found) == ["missing", "missing"]
    assert [(fault.code, fault.row) for fault in found.faults if not fault.stops] == [("row-skipped", 4)]


# --- files that are something else ------------------------------------------------------------------------------------


def test_a_list_without_pupils_says_so() -> None:
    fault = one_fault(read(sheet_of()))
    assert (fault.code, fault.sheet, fault.row) == ("no-rows", "HS", 1)


def test_what_the_nearest_header_lacks_is_named() -> None:
    found = read(book(("HS", [["Danh sách"], ["Mã lớp", "Họ tên", "Ngày sinh"], ["1/1", "An", None]])))
    nearest = next(fault for fault in found.faults if fault.code == "nearest")
    assert (nearest.sheet, nearest.row, nearest.about) == ("HS", 2, ("Mã học sinh",)) and found.kind == "unknown"


@pytest.mark.parametrize(
    ("header", "title"),
    [
        (["Mã giáo viên", "Họ và tên", "Chức vụ", "Lớp chủ nhiệm"], "Nhân sự"),
        (["Ngày", "Bữa", "Món ăn"], "Thực đơn"),
    ],
)
def test_another_categorys_sheet_is_named(header: list[str], title: str) -> None:
    found = read(book(("X", [header, ["a"] * len(header)])))
    assert codes(found) == ["no-table", "other-list"] and title in found.faults[1].vi


def test_two_columns_of_one_name_are_refused_and_the_better_word_wins_otherwise() -> None:
    fault = one_fault(cells(["1/1", "1", "An", "1/2"], header=("Mã lớp", "Mã học sinh", "Họ tên", "mã lớp")))
    assert (fault.code, fault.row, fault.column) == ("column-twice", 1, "A")
    found = cells(["Một", "1", "An", "1/2"], header=("Tên lớp", "Mã học sinh", "Họ tên", "Mã lớp"))
    assert found.sound and found.lines[0].school_class == "1/2" and found.ignored == ("Tên lớp",)


# --- our own roster ---------------------------------------------------------------------------------------------------


def test_our_own_roster_comes_through_the_same_door_with_its_cards() -> None:
    rows = ("st-1,Trần An,6A1,04A1B2C3D4E580", "st-2,Lê Hoa,,", "st-1,Trần An,6A1,em:0123456789")
    text = "\n".join(("\ufeffpupil_key,display_name,class,card_uid", *rows))
    found = read(text.encode(), "roster.csv")
    assert (found.kind, found.sound, found.complete) == ("roster", True, True)
    assert found.pupils == (
        PupilLine("Trần An", "6A1", key="st-1", cards=("a:04A1B2C3D4E580", "em:0123456789"), where="roster.csv, 2"),
        PupilLine("Lê Hoa", None, key="st-2", where="roster.csv, 3"),
    )


def test_a_wrong_roster_is_faults_by_line_and_names_nobody_in_what_may_be_logged() -> None:
    text = "pupil_key,display_name,class,card_uid\n079215001234,A,1,\nst-2,Secret Name,1,zz\n"
    found = read(text.encode(), "roster.csv")
    assert found.kind == "roster" and [fault.row for fault in found.faults] == [2, 3] and not found.pupils
    assert "12-digit" in found.faults[0].said and "zz" not in "".join(map(str, found.faults))
    assert [fault.code for fault in read(text[:38].encode(), "roster.csv").faults] == ["roster"]


# --- whatever stands in a cell ----------------------------------------------------------------------------------------

CELL = st.one_of(
    st.none(),
    st.text(max_size=20),
    st.sampled_from(["3/2", "Đang học", "Nam", "=1", "079215001234", "05/09/2018", "\u202e", "12", *PLAIN]),
    st.floats(),
    st.integers(-(10**20), 10**20),
    st.booleans(),
    st.dates(),
    st.datetimes(),
    st.times(),
    st.timedeltas(),
)


@given(st.lists(st.lists(CELL, max_size=7), max_size=8), st.permutations(PLAIN), st.integers(0, 4))
@settings(max_examples=250, deadline=None)
def test_any_cells_give_faults_and_never_an_exception(rows: list[list[Cell]], header: list[str], above: int) -> None:
    table: list[Sequence[Cell]] = [*rows[:above], header, *rows[above:]]
    found = read_pupils("x", (Sheet("HS", tuple(map(tuple, table))),), TODAY)
    taken = {line.where for line in found.lines}
    for line in found.lines:
        assert line.name and line.code and line.school_class
        assert not any(character in line.name + line.code for character in "<>\u202e\u200b")
    stopping = {fault.row for fault in found.faults if fault.stops and fault.row}
    assert not {int(where.split(", ")[1]) for where in taken} & stopping, "a row with a fault is never taken"
    for fault in found.faults:
        assert fault.vi and fault.en and len(fault.said) <= 60
