"""Summaries: a day by class and a term by pupil, whose every number leads back to the records it was counted from."""

from __future__ import annotations

import csv
import io
import json
from datetime import date, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hub.attendance.marks import MARKS
from hub.attendance.schoolday import Pupil
from hub.reports.summaries import Span, day_csv, day_json, day_summary, term_csv, term_json, term_totals
from hub.reports.tables import BOM, csv_bytes
from hub.reports.words import class_text
from tests.hub.reports.book import MONDAY, STAMP, Book

TUESDAY = MONDAY + timedelta(days=1)
TERMS = (Span("HK1", date(2026, 9, 5), MONDAY), Span("HK2", TUESDAY, date(2027, 5, 31)))


def rows(octets: bytes) -> list[list[str]]:
    assert octets.startswith(BOM)
    return list(csv.reader(io.StringIO(octets.decode("utf-8-sig"), newline="")))


def morning() -> tuple[Book, list[str]]:
    book = Book()
    ids = [book.tap("st-3/2-0", "06:58"), book.tap("st-3/2-1", "09:00"), book.say("st-3/2-2", "unexcused", "07:30")]
    return book, ids


def test_a_day_by_class_and_the_school_is_the_sum_of_its_classes() -> None:
    lines = day_summary(morning()[0].marked())
    first = [line for line in lines if (line.day, line.half) == (MONDAY, "am")]
    assert [line.school_class for line in first] == ["*", "3/2", "3/10"]
    for mark in MARKS:
        assert first[0].count(mark) == first[1].count(mark) + first[2].count(mark)
    assert (first[1].count("present"), first[1].count("late"), first[1].count("unexcused")) == (1, 1, 1)
    assert (first[0].enrolled, first[1].enrolled) == (12, 6)
    table = rows(day_csv(lines))
    assert table[1][:4] == ["2026-11-23", "Sáng", "Toàn trường", "12"] and table[2][2] == "Lớp 3/2"


def test_every_number_of_a_day_leads_to_its_raw_taps_and_words() -> None:
    book, ids = morning()
    document = json.loads(day_json(day_summary(book.marked()), STAMP, ("attendance-1",)))
    assert (document["number"], document["rules"], document["waiting"]) == (7, ["attendance-1"], [])
    line = next(line for line in document["lines"] if (line["class"], line["half"]) == ("3/2", "am"))
    assert line["pupils"]["present"] == [{"pupil": "st-3/2-0", "evidence": [ids[0]]}]
    assert line["pupils"]["late"] == [{"pupil": "st-3/2-1", "evidence": [ids[1]]}]
    assert line["pupils"]["unexcused"] == [{"pupil": "st-3/2-2", "evidence": [ids[2]]}]
    for line in document["lines"]:
        if line["class"] != "*":
            assert line["counts"] == {mark: len(line["pupils"].get(mark, [])) for mark in MARKS}


def test_a_term_s_totals_are_by_pupil_and_follow_them_to_another_class() -> None:
    book, ids = morning()
    book.pupils = [pupil for pupil in book.pupils if pupil.key != "st-3/2-2"]
    book.pupils += [
        Pupil("st-3/2-2", "Phạm Ánh", "3/2", date.min, MONDAY),
        Pupil("st-3/2-2", "Phạm Ánh", "3/10", TUESDAY, date.max),
    ]
    book.say("st-3/2-2", "excused", "07:30", day=TUESDAY)
    whole = term_totals(book.marked(), (Span("Cả năm", date(2026, 9, 5), date(2027, 5, 31)),))
    moved = next(row for row in whole if row.key == "st-3/2-2")
    assert (moved.school_class, moved.totals.unexcused, moved.totals.excused, moved.totals.all) == ("3/10", 1, 1, 4)
    assert moved.evidence[0] == (MONDAY, "am", "unexcused", (ids[2],))
    split = term_totals(book.marked(), TERMS)
    mine = {row.term: row for row in split if row.key == "st-3/2-2"}
    assert mine["HK1"].totals.unexcused == 1 and mine["HK2"].totals.unexcused == 0
    assert [row.term for row in split] == ["HK1"] * 12 + ["HK2"] * 12
    names = [row.name for row in split if (row.term, row.school_class) == ("HK1", "3/10")]
    assert names[:-1] == ["Trần Thị Ái", "Đặng An", "Phạm Ánh", "Lê Văn Dũng", "Nguyễn Thị Đào"]


def test_a_term_s_files_say_the_same_and_the_json_names_nobody() -> None:
    book, ids = morning()
    totals = term_totals(book.marked(), TERMS, {"st-3/2-1": "079201"})
    table = rows(term_csv(totals))
    late = next(line for line in table if line[-1] == "st-3/2-1")
    assert late[:4] == ["HK1", "Lớp 3/2", "079201", "Lê Văn Dũng"] and late[6] == "1"
    octets = term_json(totals, STAMP, ("attendance-1",))
    assert "Dũng" not in octets.decode("utf-8")
    found = next(row for row in json.loads(octets)["rows"] if row["pupil"] == "st-3/2-1" and row["term"] == "HK1")
    assert found["evidence"][0] == {"date": "2026-11-23", "half": "am", "mark": "late", "records": [ids[1]]}
    assert found["half_days"] == 2


@pytest.mark.parametrize("start", ["=", "+", "-", "@", "\t", "\r", "\n", "＝", " =", "  @"])
def test_no_text_of_a_csv_is_a_formula(start: str) -> None:
    octets = csv_bytes(("tên",), [(f"{start}cmd|' /C calc'!A0",), (-3,)])
    found = rows(octets)
    assert found[1][0].startswith("'") and found[2] == ["-3"], "numbers stay numbers"


def test_a_class_is_no_date_and_no_number_to_a_spreadsheet() -> None:
    assert class_text("vi", "3/2") == "Lớp 3/2" and class_text("en", "8.10") == "Class 8.10"


def test_a_table_is_in_one_language() -> None:
    lines, totals = day_summary(morning()[0].marked()), term_totals(morning()[0].marked(), TERMS)
    vietnamese, english = rows(day_csv(lines)), rows(day_csv(lines, "en"))
    assert vietnamese[0][:5] == ["Ngày", "Buổi", "Lớp", "Sĩ số", "có mặt"]
    assert english[0] == [
        "Date", "Half-day", "Class", "Enrolled", "present", "late", "left early", "absent, not classified", "excused",
        "unexcused", "not known",
    ]  # fmt: skip
    assert [row[1:3] for row in english[1:3]] == [["Morning", "Whole school"], ["Morning", "Class 3/2"]]
    for table in (vietnamese, rows(term_csv(totals))):
        assert not {cell for row in table for cell in row} & {*MARKS, "am", "pm"}
    assert rows(term_csv(totals, "en"))[0][:5] == ["Term", "Class", "Pupil code", "Name", "excused (half-days)"]
    assert rows(term_csv(totals))[0][:5] == ["Học kỳ", "Lớp", "Mã học sinh", "Họ và tên", "có phép (buổi)"]


@given(st.lists(st.lists(st.text(), min_size=2, max_size=2), max_size=8))
def test_whatever_is_written_is_read_again_cell_by_cell(cells: list[list[str]]) -> None:
    found = rows(csv_bytes(("a", "b"), cells))
    for asked, got in zip(cells, found[1:], strict=True):
        for one, other in zip(asked, got, strict=True):
            assert other in (one, "'" + one)
