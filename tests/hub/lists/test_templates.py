"""Every list that a school fills in: the empty sheet and its reading follow from one declaration."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date, time
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hub.lists.cells import Cell, Sheet
from hub.lists.columns import Template
from hub.lists.emptybook import HEADER_ROW, WORDS_SHEET, empty_book, offered
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
from hub.lists.reading import Listed, read_list, which_is_it
from hub.lists.rows import plain
from hub.lists.sheets import read_sheets
from hub.lists.table import word_of
from hub.lists.templates import TEMPLATES
from hub.lists.vocabulary import WEEKDAYS
from k12edge.listwords import LISTS
from tests.hub.lists.school import TODAY, decomposed

WEEK = (0, 1, 2, 3, 4)
FILLED: dict[str, tuple[list[str], Any]] = {
    "pupils": (
        ["3/2", "0012", "Nguyễn Văn An", "05/09/2018", "Nữ", "Đang học", "01/09/2026", ""],
        PupilLine("Nguyễn Văn An", "3/2", "attending", "0012", None, None, date(2018, 9, 5), "f", date(2026, 9, 1)),
    ),
    "staff": (
        ["GV001", "Lê Thị Hoa", "Giáo viên thay, y tế", "3/2; 8.10", "31/12/2026"],
        StaffLine("GV001", "Lê Thị Hoa", ("substitute", "nurse"), ("3/2", "8.10"), date(2026, 12, 31)),
    ),
    "leave": (
        ["7901", "", "3/2", "23/11/2026", "Chiều", "24/11/2026", "", "Sốt > 38°, theo đơn"],
        None,
    ),
    "boarding": (
        ["7901", "An", "3/2", "07/09/2026", "", "T2, thứ sáu", "Trưa, xế"],
        BoardingLine("7901", "An", "3/2", date(2026, 9, 7), None, (0, 4), ("lunch", "snack")),
    ),
    "diet": (
        ["7901", "An", "3/2", "Cháo", "Tôm cua, sữa", "theo toa", "Có", "07/09/2026"],
        DietLine("7901", "An", "3/2", "porridge", ("crustacean", "milk"), "theo toa", True, date(2026, 9, 7)),
    ),
    "consent": (
        ["7901", "An", "3/2", "Ảnh", "Không", "Có", "Mẹ", "05/09/2026"],
        ConsentLine("7901", "An", "3/2", "photo", False, True, "mother", date(2026, 9, 5)),
    ),
    "calendar": (
        ["09/01/2027", "", "Học bù", "Sáng", "3/2, 3/3", "thứ hai", "Bù Tết Dương lịch"],
        CalendarLine(date(2027, 1, 9), date(2027, 1, 9), "make-up", "am", ("3/2", "3/3"), 0, "Bù Tết Dương lịch"),
    ),
    "timetable": (
        ["3", "T2, T3, T4, T5, T6", "Sáng", "06:30", "7h15", "", "07:45", "10.30", ""],
        TimetableLine(
            ("3",), WEEK, "am", time(6, 30), time(7, 15), time(7, 15), time(7, 45), time(10, 30), False
        ),
    ),
    "menus": (
        ["23/11/2026", "Trưa", "Canh bí đỏ & thịt", "", "Không", "L-01", "Bếp Sạch"],
        MenuLine(date(2026, 11, 23), "lunch", "Canh bí đỏ & thịt", "regular", (), "L-01", "Bếp Sạch"),
    ),
}  # fmt: skip


def read(name: str, octets: bytes) -> Listed[Any]:
    found = read_sheets(f"{name}.xlsx", octets)
    others = [template for template in TEMPLATES.values() if template.name != name]
    return read_list(TEMPLATES[name], f"{name}.xlsx", found.sheets, TODAY, found.hidden, others)


def cells(name: str, *rows: Sequence[Cell], header: Sequence[Cell] | None = None) -> Listed[Any]:
    above = header or [column.headers[0] for column in TEMPLATES[name].columns]
    return read_list(TEMPLATES[name], "f", (Sheet("S", (tuple(above), *map(tuple, rows))),), TODAY)


def wrong(name: str, **changed: Cell) -> list[tuple[str, str]]:
    """The faults of the filled row with some cells changed, by code and column."""
    template = TEMPLATES[name]
    row: list[Cell] = [cell or None for cell in FILLED[name][0]]
    for key, cell in changed.items():
        row[[column.key for column in template.columns].index(key)] = cell
    return [(fault.code, fault.header) for fault in cells(name, row).faults]


def test_the_commands_lists_are_the_templates() -> None:
    assert tuple(TEMPLATES) == LISTS == tuple(FILLED)


@pytest.mark.parametrize("name", TEMPLATES)
def test_an_empty_sheet_reads_as_empty_and_a_filled_one_as_what_it_says(name: str) -> None:
    empty = read(name, empty_book(TEMPLATES[name]))
    assert [(fault.code, fault.row) for fault in empty.faults] == [("no-rows", HEADER_ROW + 1)]
    assert empty_book(TEMPLATES[name]) == empty_book(TEMPLATES[name])
    row, line = FILLED[name]
    found = read(name, empty_book(TEMPLATES[name], [row]))
    if line is not None:
        assert not found.faults and found.lines == (type(line)(**{**fields(line), "where": f"{found.sheets[0]}, 4"}),)
    assert found.ignored == () and len(found.sheets) == 1


def fields(line: Any) -> dict[str, Any]:
    return {name: getattr(line, name) for name in type(line).__slots__}


def test_markup_is_refused_also_in_sentences_and_other_signs_are_taken() -> None:
    assert wrong("leave") == [("characters", "Lý do")]
    assert wrong("leave", reason="Sốt 38° + ho, 100 % nghỉ") == []
    assert wrong("leave", reason="=cmd()") == [("formula", "Lý do")]
    (line,) = cells("leave", ["7901", None, None, "23/11/2026", None, None, None, None]).lines
    day = date(2026, 11, 23)
    assert line == LeaveLine("7901", None, None, (day, "am"), (day, "pm"), "", "S, 2")


@pytest.mark.parametrize("name", TEMPLATES)
def test_english_headers_words_and_simple_names_are_read_as_well(name: str) -> None:
    template = TEMPLATES[name]
    english = [column.headers[1] for column in template.columns]
    keys = [column.key for column in template.columns]
    rows = [[cell or None for cell in FILLED[name][0]]]
    wanted = cells(name, *rows)
    for header in (english, keys, [word.upper() for word in english]):
        assert cells(name, *rows, header=header).lines == wanted.lines
    translated = [_in_english(column, cell) for column, cell in zip(template.columns, rows[0], strict=True)]
    assert cells(name, translated, header=english).lines == wanted.lines


def _in_english(column: Any, cell: str | None) -> str | None:
    words = {plain(vi): en for vi, en, *_ in offered(column).values()}
    if cell is None or not words:
        return cell
    return ", ".join(words.get(plain(piece), piece) for piece in cell.split(", "))


@pytest.mark.parametrize("name", TEMPLATES)
def test_no_word_means_two_things(name: str) -> None:
    template = TEMPLATES[name]
    for column in template.columns:
        words = offered(column)
        spellings = [plain(spelling) for word, told in words.items() for spelling in {*map(plain, told), word}]
        assert len(set(spellings)) == len(spellings), column.key
        assert all(len(told) >= 2 for told in words.values()), "Vietnamese and English"
        assert words or column.kind not in ("word", "words"), column.key
    firsts = [word_of(word) for column in template.columns for word in (column.headers[0], column.headers[1])]
    assert len(set(firsts)) == len(firsts)
    assert {column.key for column in template.columns} >= set(template.identity)


@pytest.mark.parametrize("name", TEMPLATES)
def test_each_empty_sheet_is_told_from_all_others(name: str) -> None:
    sheets = read_sheets("f.xlsx", empty_book(TEMPLATES[name])).sheets
    assert [sheet.name for sheet in sheets] == [TEMPLATES[name].title[0], WORDS_SHEET]
    found: Template | None = which_is_it(sheets, tuple(TEMPLATES.values()))
    assert found is TEMPLATES[name]


def test_the_empty_sheet_offers_words_as_text_with_its_header_frozen() -> None:
    import io
    import zipfile

    with zipfile.ZipFile(io.BytesIO(empty_book(TEMPLATES["pupils"]))) as packed:
        sheet = packed.read("xl/worksheets/sheet1.xml").decode()
        styles = packed.read("xl/styles.xml").decode()
    assert 'state="frozen"' in sheet and f'ySplit="{HEADER_ROW + 1}"' in sheet
    assert '"Nam,Nữ"<' in sheet and '"Đang học,Chuyển đi"<' in sheet and 'numFmtId="49"' in styles


@pytest.mark.parametrize(
    ("name", "changed", "faults"),
    [
        ("staff", {"roles": "Giáo viên thay", "until": None}, [("needs", "Đến ngày")]),
        ("staff", {"roles": "Y tế", "until": None}, [("needs", "Lớp chủ nhiệm")]),
        ("staff", {"homeroom": None}, [("needs", "Lớp chủ nhiệm")]),
        ("staff", {"roles": "Vua"}, [("no-word", "Vai trò")]),
        ("staff", {"homeroom": date(2026, 2, 3)}, [("class-is-date", "Lớp chủ nhiệm")]),
        ("staff", {"homeroom": 8.1}, [("class-is-fraction", "Lớp chủ nhiệm")]),
        ("staff", {"code": "079215001234"}, [("personal-number", "Mã cán bộ")]),
        ("leave", {"last": "22/11/2026", "reason": None}, [("order", "Nghỉ đến ngày")]),
        ("leave", {"last": "23/11/2026", "last_half": "Sáng", "reason": None}, [("order", "Nghỉ đến ngày")]),
        ("leave", {"first": "23/11/1999", "reason": None}, [("day-range", "Nghỉ từ ngày")]),
        ("leave", {"first_half": "Đêm", "reason": None}, [("no-word", "Từ buổi")]),
        ("boarding", {"last": "01/09/2026"}, [("order", "Bán trú đến ngày")]),
        ("boarding", {"weekdays": "T9"}, [("no-word", "Thứ")]),
        ("diet", {"allergies": "Không, sữa"}, [("no-word", "Dị ứng")]),
        ("diet", {"allergies": "Khác", "note": None}, [("needs", "Ghi chú")]),
        ("consent", {"given": "chắc"}, [("no-word", "Đồng ý")]),
        ("consent", {"day": "01/01/2030"}, [("day-range", "Ngày ký")]),
        ("calendar", {"as_weekday": None}, [("needs", "Học bù theo thứ")]),
        ("calendar", {"kind": "Nghỉ lễ"}, [("needs", "Học bù theo thứ")]),
        ("calendar", {"last": "08/01/2027"}, [("order", "Đến ngày")]),
        ("timetable", {"starts": "06:00"}, [("order", "Vào học")]),
        ("timetable", {"ends": "25:00"}, [("no-clock", "Tan học")]),
        ("timetable", {"ends": time(10, 30)}, []),
        ("timetable", {"stays": True}, [("no-word", "Ở lại trưa")]),
        ("menus", {"day": "23/11/2020"}, [("day-range", "Ngày")]),
    ],
)  # fmt: skip
def test_what_contradicts_itself_is_named(name: str, changed: dict[str, Cell], faults: list[tuple[str, str]]) -> None:
    assert wrong(name, **changed) == faults


def test_the_same_thing_twice_is_named() -> None:
    row = [cell or None for cell in FILLED["menus"][0]]
    other = [*row[:2], "Cơm", *row[3:]]
    found = cells("menus", row, other, row)
    assert [(fault.code, fault.row, fault.about) for fault in found.faults] == [("code-twice", 4, ("S, 2",))]
    assert len(found.lines) == 2


def test_health_data_and_who_it_is_of_are_never_quoted() -> None:
    row: list[Cell] = ["@7901", "<An>", "3/2", "Chua", "Rất nhiều", "<note>", None, None]
    found = cells("diet", row)
    assert [fault.said for fault in found.faults] == ["", "", "Chua", "", ""]


def test_weekdays_are_counted_as_vietnamese_do() -> None:
    assert next(iter(WEEKDAYS)) == "mon" and WEEKDAYS["mon"][0] == "T2"
    (line,) = cells("boarding", ["7901", None, None, "07/09/2026", None, "thứ 2, CN", None]).lines
    assert line.weekdays == (0, 6)
    (line,) = cells("boarding", ["7901", None, None, "07/09/2026", None, 2.0, None]).lines
    assert line.weekdays == (0,) and line.meals == ("lunch",)


CELL = st.one_of(
    st.none(), st.text(max_size=12), st.floats(), st.booleans(), st.dates(), st.times(),
    st.sampled_from(["Có", "T2,T3", "07:05", "23/11/2026", "Sáng", decomposed("Mẹ"), "Học bù", "3/2", "=x", "Khác"]),
)  # fmt: skip


@given(st.sampled_from(list(TEMPLATES)), st.lists(st.lists(CELL, max_size=11), max_size=4))
@settings(max_examples=300, deadline=None)
def test_any_cells_of_any_list_give_faults_and_never_an_exception(name: str, rows: list[list[Cell]]) -> None:
    found = cells(name, *rows)
    for fault in found.faults:
        assert fault.vi and fault.en and str(fault)
    assert found.lines or found.faults
