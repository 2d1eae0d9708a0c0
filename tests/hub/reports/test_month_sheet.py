"""The month sheet: the school's book as values, as a workbook that another program reads, as a page for print."""

from __future__ import annotations

import io
import re
import zipfile
from dataclasses import replace
from datetime import date, timedelta
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from jinja2 import Environment
from python_calamine import CalamineWorkbook

from hub.attendance.evidence import STATES, Statement
from hub.attendance.marks import MARKS, Judged
from hub.attendance.redink import corrections_of
from hub.attendance.schoolday import Marked, Pupil
from hub.reports.labels import DEFAULTS, STANDARD, LabelsRefused, labels_from
from hub.reports.monthsheet import MonthSheet, Standing, month_sheets, totals_of
from hub.reports.printed import printed
from hub.reports.workbook import LEFT, TOP, month_workbook, sheet_name
from tests.hub.reports.book import FIRST, LAST, MONDAY, STAMP, Book, at, session

TUESDAY = MONDAY + timedelta(days=1)


def sheets_of(book: Book, **words: Any) -> list[MonthSheet]:
    marked = book.marked()
    sessions = {(one.pupil.key, one.session.day, one.session.half): one.session for one in marked}
    return month_sheets(marked, book.pupils, FIRST, LAST, corrections_of(book.statements, sessions), **words)


def read(octets: bytes) -> dict[str, list[list[Any]]]:
    workbook = CalamineWorkbook.from_filelike(io.BytesIO(octets))
    return {name: workbook.get_sheet_by_name(name).to_python(skip_empty_area=False) for name in workbook.sheet_names}


def inside(octets: bytes, name: str) -> str:
    with zipfile.ZipFile(io.BytesIO(octets)) as archive:
        return archive.read(name).decode("utf-8")


# --- the page ---------------------------------------------------------------------------------------------------------


def test_classes_and_names_stand_in_the_order_of_the_book() -> None:
    sheets = sheets_of(Book())
    assert [sheet.school_class for sheet in sheets] == ["3/2", "3/10"], "as numbers, not as text"
    names = [row.name for row in sheets[0].rows]
    assert names == ["Trần Thị Ái", "Đặng An", "Phạm Ánh", "Lê Văn Dũng", "Nguyễn Thị Đào", '=HYPERLINK("x")']
    assert [row.number for row in sheets[0].rows] == [1, 2, 3, 4, 5, 6]
    assert sheets[0].columns == ((MONDAY, "am"), (MONDAY, "pm"), (TUESDAY, "am"), (TUESDAY, "pm"))


def test_totals_are_half_days_and_a_day_is_two_of_them() -> None:
    book = Book()
    book.tap("st-3/2-0", "06:58")
    book.tap("st-3/2-0", "09:00", TUESDAY)
    book.say("st-3/2-0", "excused", "11:30", half="pm", day=TUESDAY)
    row = next(row for row in sheets_of(book)[0].rows if row.key == "st-3/2-0")
    assert [cell.judged.mark for cell in row.cells if cell] == ["present", "present", "late", "excused"]
    assert (row.totals.excused, row.totals.unexcused, row.totals.late, row.totals.there) == (1, 0, 1, 3)
    assert row.totals.days == 1.5 and row.totals.all == 4
    assert sheets_of(book)[0].totals[0].there == 1 and sheets_of(book)[0].totals[0].absent == 5


def test_what_is_not_known_yet_is_a_question_mark_and_never_k() -> None:
    book = Book(complete=False)
    book.say("st-3/2-1", "unexcused", "07:30")
    for sheet in sheets_of(book):
        shown = {STANDARD.of(cell.judged.mark) for row in sheet.rows for cell in row.cells if cell}
        assert shown == ({"?", "K"} if sheet.school_class == "3/2" else {"?"})
        assert sheet.not_known == 24 - (sheet.school_class == "3/2")
        assert sum(row.totals.unexcused for row in sheet.rows) == (sheet.school_class == "3/2")
    page = read(month_workbook(sheets_of(book), STAMP))["3-10"]
    assert {cell for line in page[TOP : TOP + 6] for cell in line[LEFT : LEFT + 4]} == {"?"}
    assert "24 ô chưa rõ (?)" in page[2][0]


def test_late_is_counted_as_there_and_not_as_absent() -> None:
    totals = totals_of(["late", "late", "left-early", "absent"])
    assert (totals.there, totals.absent, totals.excused, totals.unexcused) == (3, 1, 0, 0)


def test_pupils_have_rows_while_they_belong_to_the_class() -> None:
    book = Book()
    book.pupils.append(Pupil("st-moi", "Vũ Bình", "3/2", TUESDAY, date.max))
    book.pupils.append(Pupil("st-cu", "Vũ Cúc", "3/2", date.min, date(2026, 10, 31)))
    book.pupils.append(Pupil("st-trong", "Vũ Dậu", "4/1", date.min, date.max))
    sheets = sheets_of(book)
    moved = next(row for row in sheets[0].rows if row.key == "st-moi")
    assert [cell is None for cell in moved.cells] == [True, True, False, False] and moved.totals.all == 2
    assert "st-cu" not in {row.key for row in sheets[0].rows}
    assert sheets[2].school_class == "4/1" and sheets[2].columns == () and len(sheets[2].rows) == 1


# --- red ink ----------------------------------------------------------------------------------------------------------


def said(*words: tuple[str, str, str]) -> list[Statement]:
    return [
        Statement(f"r.{number}", "p", MONDAY, "am", state, at(clock), by, f"vì {number}")  # type: ignore[arg-type]
        for number, (clock, state, by) in enumerate(words)
    ]


@pytest.mark.parametrize(
    ("words", "red"),
    [
        ((), None),
        ((("07:30", "unexcused", "co-lan"),), None),
        ((("07:30", "unexcused", "co-lan"), ("07:31", "unexcused", "co-lan")), None),
        ((("07:30", "unexcused", "co-lan"), ("08:30", "excused", "co-mai")), ("co-mai", "unexcused", "excused")),
        ((("10:31", "excused", "co-mai"),), ("co-mai", None, "excused")),
        ((("07:30", "unexcused", "co-lan"), ("08:00", "withdrawn", "co-mai")), ("co-mai", "unexcused", "withdrawn")),
        ((("07:30", "withdrawn", "co-lan"), ("08:00", "excused", "co-mai")), ("co-mai", None, "excused")),
        (
            (("07:30", "unexcused", "a"), ("08:00", "excused", "b"), ("08:30", "excused", "c")),
            ("c", "unexcused", "excused"),
        ),
    ],
)
def test_red_ink_is_for_words_that_replace_words_or_come_after_the_last_bell(
    words: tuple[tuple[str, str, str], ...], red: tuple[str, str | None, str] | None
) -> None:
    sessions: Any = {("p", MONDAY, "am"): session(MONDAY, "am")}
    for order in (said(*words), said(*words)[::-1]):
        found = corrections_of(order, sessions).get(("p", MONDAY, "am"))
        assert (None if found is None else (found.by, found.before, found.after)) == red


def test_a_corrected_cell_is_red_with_who_when_and_why() -> None:
    book = Book()
    book.say("st-3/2-0", "unexcused", "07:30")
    book.say("st-3/2-0", "excused", "08:12", "co-mai", reason="mẹ báo ốm <b>")
    octets = month_workbook(sheets_of(book), STAMP)
    assert read(octets)["3-2"][TOP + 4][LEFT] == "P"
    comments = inside(octets, "xl/comments1.xml")
    assert "Sửa 08:12 23/11/2026 bởi co-mai: K → P" in comments and "Lý do: mẹ báo ốm &lt;b&gt;" in comments
    assert comments.count("<comment ") == 1
    page = inside(octets, "xl/worksheets/sheet1.xml")
    cell = re.search(r'<c r="D12" s="(\d+)"', page)
    assert cell
    styles = inside(octets, "xl/styles.xml")
    form = re.findall(r"<xf [^>]*>", styles.partition("<cellXfs")[2])[int(cell[1])]
    font = re.findall(r"<font>.*?</font>", styles)[int(re.search(r'fontId="(\d+)"', form)[1])]  # type: ignore[index]
    assert "FFC00000" in font


# --- the workbook -----------------------------------------------------------------------------------------------------


def test_a_workbook_says_what_it_rests_on() -> None:
    stamp = replace(STAMP, standing=Standing(at("13:45"), ("cong-b",), (("cong-c", "thay-minh"),)))
    page = read(month_workbook(sheets_of(Book()), stamp))["3-2"]
    assert page[0][0] == "SỔ ĐIỂM DANH – Lớp 3/2 – Từ 01/11/2026 đến 30/11/2026"
    assert page[1][0] == (
        "Trường: Tiểu học Hoa Mai · Báo cáo số 7 · Lập lúc 17:05 23/11/2026, người lập thay-minh · quy tắc attendance-1"
    )
    assert page[2][0] == (
        "CHƯA ĐỦ, còn chờ: cong-b · Đủ dữ liệu đến 13:45 23/11/2026 · không chờ cong-c theo thay-minh"
    )
    assert "K không phép" in page[3][0] and "? chưa rõ" in page[3][0]
    assert "INCOMPLETE" in read(month_workbook(sheets_of(Book()), stamp, language="en"))["3-2"][2][0]


def test_dates_are_dates_texts_are_texts_and_a_name_is_no_formula() -> None:
    book = Book()
    codes = {"st-3/2-0": "0790001234", "st-3/2-1": "=1+1"}
    octets = month_workbook(sheets_of(book, codes=codes), STAMP)
    page = read(octets)["3-2"]
    assert page[4][LEFT] == MONDAY and page[4][LEFT + 2] == TUESDAY
    assert page[5][LEFT] == "T2" and page[6][LEFT : LEFT + 4] == ["S", "C", "S", "C"]
    by_name = {line[2]: line for line in page[TOP : TOP + 6]}
    assert by_name["Nguyễn Thị Đào"][1] == "0790001234" and by_name["Lê Văn Dũng"][1] == "=1+1"
    assert '=HYPERLINK("x")' in by_name
    for name in ("xl/worksheets/sheet1.xml", "xl/worksheets/sheet2.xml"):
        text = inside(octets, name)
        assert "<f>" not in text and "<hyperlink" not in text
        assert '<pane xSplit="3" ySplit="7"' in text and 'state="frozen"' in text
        assert 'paperSize="9"' in text and 'orientation="landscape"' in text and 'fitToHeight="0"' in text


def test_totals_in_the_workbook_are_those_of_the_sheet_under_the_school_s_own_labels() -> None:
    book = Book()
    book.tap("st-3/2-0", "07:50")
    book.say("st-3/2-1", "unexcused", "07:30")
    labels = labels_from({"excused": "CP", "unexcused": "KP", "late": "T", "present": ""})
    page = read(month_workbook(sheets_of(book), STAMP, labels))["3-2"]
    assert page[6][LEFT + 4 :][:8] == ["CP", "KP", "T", "VS", "V", "?", "Buổi có mặt", "Số ngày (½ mỗi buổi)"]
    late = next(line for line in page if line[2] == "Nguyễn Thị Đào")
    assert late[LEFT:][:4] == ["T", "", "V", "V"] and late[LEFT + 4 :][:8] == [0, 0, 1, 0, 2, 0, 2, 1]
    assert page[TOP + 6][2:5] == ["Có mặt", 1, 1] and page[TOP + 7][2:5] == ["Vắng", 5, 5]


def test_the_same_marks_give_the_same_bytes() -> None:
    assert month_workbook(sheets_of(Book()), STAMP) == month_workbook(sheets_of(Book()), STAMP)


def test_an_empty_school_gives_a_workbook_that_opens() -> None:
    assert list(read(month_workbook([], STAMP))) == ["-"]


@given(st.lists(st.text(max_size=40), unique=True, max_size=12))
@settings(max_examples=60)
def test_every_class_has_a_sheet_of_its_own_that_excel_takes(classes: list[str]) -> None:
    taken: set[str] = set()
    names = [sheet_name(school_class, taken) for school_class in classes]
    assert len({name.casefold() for name in names}) == len(taken) == len(classes)
    for name in names:
        assert 1 <= len(name) <= 31 and not re.search(r"[\[\]:*?/\\]", name)
        assert not name.startswith("'") and not name.endswith("'") and name.casefold() != "history"


@given(st.lists(st.tuples(st.text(max_size=30), st.sampled_from(MARKS)), min_size=1, max_size=6))
@settings(max_examples=40, deadline=None)
def test_whatever_a_pupil_is_called_the_workbook_opens_with_the_same_marks(rows: list[tuple[str, Any]]) -> None:
    day = session(MONDAY, "am")
    marked = [
        Marked(day, Pupil(f"st-{number}", name, "1A", date.min, date.max), Judged(f"st-{number}", mark))
        for number, (name, mark) in enumerate(rows)
    ]
    sheet = month_sheets(marked, [], FIRST, LAST)
    page = read(month_workbook(sheet, STAMP))["1A"]
    shown = sorted(line[LEFT] for line in page[TOP : TOP + len(rows)])
    assert shown == sorted(DEFAULTS[mark] for _, mark in rows)


# --- labels -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("chosen", "told"),
    [
        ({"sick": "O"}, "no mark"),
        ({"excused": "KHONG"}, "more than 4"),
        ({"unexcused": ""}, "read as present"),
        ({"not-known": "K"}, "not-known is ?"),
        ({"absent": "k"}, "would stand for"),
        ({"present": "?"}, "would stand for"),
        ({"excused": "K"}, "would stand for"),
    ],
)
def test_labels_that_can_t_be_told_apart_are_refused(chosen: dict[str, str], told: str) -> None:
    with pytest.raises(LabelsRefused, match=re.escape(told)):
        labels_from(chosen)


@given(st.dictionaries(st.sampled_from(MARKS), st.text(max_size=4)))
def test_whatever_labels_a_school_chooses_not_known_is_never_read_as_an_absence(chosen: dict[str, str]) -> None:
    try:
        labels = labels_from(chosen)
    except LabelsRefused:
        return
    assert labels.of("not-known") == "?"
    assert len({label.casefold() for label in labels.words.values()}) == len(MARKS)


# --- print ------------------------------------------------------------------------------------------------------------


def test_the_printed_page_has_every_text_ready() -> None:
    book = Book(days=(MONDAY, MONDAY + timedelta(days=2)), complete=False)
    book.say("st-3/2-0", "unexcused", "07:30")
    book.say("st-3/2-0", "excused", "08:12", "co-mai", reason="ốm")
    view = printed(sheets_of(book)[0], STAMP)
    assert [(day["date"], day["weekday"], day["span"]) for day in view["days"]] == [
        ("23/11", "T2", 2),
        ("25/11", "T4", 1),
    ]
    assert view["halves"] == ["S", "C", "S"] and not view["complete"] and view["number"] == 7
    last = view["rows"][4]
    assert last["cells"][0] == {
        "text": "P",
        "kind": "red",
        "title": "Sửa 08:12 23/11/2026 bởi co-mai: K → P\nLý do: ốm",
    }
    assert last["cells"][1] == {"text": "?", "kind": "not-known", "title": ""} and last["totals"] == (
        1,
        0,
        0,
        0,
        0,
        2,
        0,
        0.0,
    )
    page = Environment(autoescape=True).from_string("{% for row in rows %}{{ row.name }};{% endfor %}").render(view)
    assert "=HYPERLINK(&#34;x&#34;)" in page


@given(st.lists(st.tuples(st.sampled_from(STATES), st.integers(0, 600)), max_size=5))
def test_red_ink_and_mark_rest_on_the_same_word(words: list[tuple[Any, int]]) -> None:
    book = Book(complete=False)
    for number, (state, minute) in enumerate(words):
        clock = f"{7 + minute // 60:02}:{minute % 60:02}"
        book.say("st-3/2-0", state, clock, by=f"gv-{number}")
    cell = next(row for row in sheets_of(book)[0].rows if row.key == "st-3/2-0").cells[0]
    assert cell is not None
    if cell.correction is not None and cell.correction.after != "withdrawn":
        assert cell.judged.by == cell.correction.by and cell.judged.mark == cell.correction.after
    if cell.judged.mark in ("excused", "unexcused"):
        assert cell.judged.by, "only ever a person's word"
