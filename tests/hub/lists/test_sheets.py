"""Files that people bring: what is a table in them, and those that are refused in words, the hostile ones too."""

from __future__ import annotations

import io
import struct
import zipfile
from datetime import date, time, timedelta
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hub.lists import books
from hub.lists.cells import CELL_CHARACTERS_MAX, ROWS_MAX, Merge, column_letters, shown
from hub.lists.faults import WORDS, Fault, Faults, ListRefused
from hub.lists.people import read_people
from hub.lists.sheets import FILE_BYTES_MAX, read_sheets
from sim.emulators.oldbook import compound, locked_old_book, old_book
from tests.hub.lists.school import TODAY, book, oneroster, packed, sheet_of


def refused(octets: bytes, name: str = "f.xlsx") -> Fault:
    with pytest.raises(ListRefused) as problem:
        read_sheets(name, octets)
    assert problem.value.fault.file == name and problem.value.code == "list-refused"
    people = read_people(name, octets, TODAY)
    assert not people.sound and not people.pupils and not people.complete
    return problem.value.fault


def test_cells_are_what_they_are_in_the_book() -> None:
    def prepare(made: Any, sheet: Any) -> None:
        sheet.write_datetime(1, 0, date(2019, 2, 3), made.add_format({"num_format": "dd/mm/yyyy"}))
        sheet.write_number(1, 1, 0.3, made.add_format({"num_format": "hh:mm"}))
        sheet.write_number(1, 2, 1.5, made.add_format({"num_format": "[h]:mm"}))
        sheet.write_boolean(1, 3, True)
        sheet.write_formula(1, 4, "=1/0", None, "#DIV/0!")
        sheet.write_blank(1_048_575, 5, None, made.add_format({"bold": True}))
        sheet.merge_range(2, 0, 3, 1, "3/2")

    found = read_sheets("f.xlsx", book(("Lớp", [["a", 8.1, 7.0, None, "x"]]), prepare=prepare))
    (sheet,) = found.sheets
    assert sheet.name == "Lớp" and found.hidden == () and sheet.merges == (Merge(2, 0, 3, 1),)
    assert sheet.rows[0] == ("a", 8.1, 7.0, None, "x")
    assert sheet.rows[1] == (date(2019, 2, 3), time(7, 12), timedelta(days=1.5), True, None)
    assert len(sheet.rows) == 3, "a blank cell with a colour, a million rows below, is no row"


def test_hidden_sheets_are_not_read_and_named() -> None:
    octets = book(("A", [["x"]]), ("B", [["y"]]), prepare=lambda _, sheet: sheet.hide())
    assert [sheet.name for sheet in read_sheets("f", octets).sheets] == ["A"]
    assert read_sheets("f", octets).hidden == ("B",)


def test_an_old_xls_is_read_by_its_bytes_whatever_its_name() -> None:
    (sheet,) = read_sheets("ds.csv", old_book([["Họ tên", "Mã lớp"], ["Nguyễn Văn Ấn", 8.1]])).sheets
    assert sheet.name == "HS" and sheet.rows == (("Họ tên", "Mã lớp"), ("Nguyễn Văn Ấn", 8.1))


def test_files_that_end_their_reader_end_nothing_else() -> None:
    """One cell in the last row and column: the library asks for half a TiB and ends its process."""
    far = book(("A", [["x"]]), prepare=lambda _, sheet: sheet.write(1_048_575, 16_383, "y"))
    assert len(far) < 10_000
    assert refused(far).code == "too-far"
    assert refused(book(("A", [["x"]] * (ROWS_MAX + 1)))).code == "too-many-cells"
    wide = book(("A", [["x"] * 201]))
    fault = refused(wide)
    assert fault.code == "too-many-cells" and fault.sheet == "A"


def test_a_text_that_half_a_million_cells_share_is_no_list() -> None:
    shared = book(("A", [["x" * 1900] * 200] * 500))
    assert len(shared) < 500_000 and refused(shared).code == "too-far"


def bomb(size: int) -> bytes:
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", zipfile.ZIP_DEFLATED) as zipped:
        zipped.writestr("xl/workbook.xml", bytes(size))
    return stream.getvalue()


def test_a_zip_bomb_is_refused_also_one_that_lies_of_its_size() -> None:
    octets = bomb(books.UNPACKED_BYTES_MAX + 1)
    assert len(octets) < 100_000 and refused(octets).code == "bomb"
    size = struct.pack("<I", books.UNPACKED_BYTES_MAX + 1)
    assert octets.count(size) == 2, "in the file's header and in the directory"
    assert refused(octets.replace(size, struct.pack("<I", 100))).code == "no-zip"


def test_entries_that_share_a_name_or_are_packed_oddly_are_refused() -> None:
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w") as zipped:
        zipped.writestr("xl/workbook.xml", "a")
        with pytest.warns(UserWarning, match="Duplicate"):
            zipped.writestr("xl/workbook.xml", "b")
    assert refused(stream.getvalue()).code == "bomb"
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", zipfile.ZIP_LZMA) as zipped:
        zipped.writestr("xl/workbook.xml", "a")
    assert refused(stream.getvalue()).code == "bomb"


@pytest.mark.parametrize(
    ("octets", "code"),
    [
        (b"", "empty"),
        (b" \r\n\t ", "empty"),
        (bytes(FILE_BYTES_MAX + 1), "too-large"),
        (b"PK\x03\x04 and nothing else", "no-zip"),
        (bytes.fromhex("D0CF11E0A1B11AE1") + bytes(600), "no-book"),
        (bytes.fromhex("D0CF11E0A1B11AE1") + "EncryptedPackage".encode("utf-16-le"), "locked"),
        (bytes.fromhex("D0CF11E0A1B11AE1") + "_VBA_PROJECT_CUR".encode("utf-16-le"), "macros"),
        (compound(b"", "WordDocument"), "no-book"),
        (locked_old_book([["a"]]), "locked"),
        (packed({"word/document.xml": "<x/>"}), "unknown-zip"),
        (packed({"xl/workbook.xml": "<x/>", "xl/vbaProject.bin": b"x"}), "macros"),
        (packed({"xl/workbook.xml": "<x/>", "xl/macrosheets/sheet1.xml": b"x"}), "macros"),
        (packed({"xl/workbook.xml": "no XML <<<"}), "no-book"),
        (b"%PDF-1.7", "is-document"),
        (b"\xef\xbb\xbf <html><table>", "is-document"),
        (b"H\xe0 N\xf4i", "no-text"),
        (b"a,b\0c", "no-text"),
        (b'a,"b"c,d', "no-csv"),
        (b"sep=x\na", "no-csv"),
        (b"a\n" * (ROWS_MAX + 1), "too-many-cells"),
        (b"," * 200, "too-many-cells"),
        (b"a" * (CELL_CHARACTERS_MAX + 1), "long-text"),
        (book(("A", [["a" * (CELL_CHARACTERS_MAX + 1)]])), "long-text"),
        (book(*((f"S{number}", [["x"]]) for number in range(61))), "too-many-sheets"),
    ],
)
def test_files_that_are_no_list_are_refused_in_words(octets: bytes, code: str) -> None:
    fault = refused(octets)
    assert fault.code == code and fault.vi and fault.en and fault.vi != fault.en


def test_a_locked_zip_and_a_onerosters_zip_that_is_no_text_are_refused() -> None:
    octets = bytearray(packed({"manifest.csv": "a"}))
    for place in (6, octets.index(b"PK\x01\x02") + 8):
        octets[place] |= 1
    assert [fault.code for fault in read_people("f.zip", bytes(octets), TODAY).faults] == ["locked"]
    files = oneroster() | {"users.csv": "sourcedId,ñ".encode("cp1252")}
    (fault,) = read_people("f.zip", packed(files), TODAY).faults
    assert (fault.code, fault.sheet) == ("no-text", "users.csv")
    twice = oneroster() | {"a/users.csv": "x"}
    assert [fault.code for fault in read_people("f.zip", packed(twice), TODAY).faults] == ["no-zip"]


@pytest.mark.parametrize(
    ("text", "rows"),
    [
        ("a,b\r\n1,2\r\n", (("a", "b"), ("1", "2"))),
        ("\ufeffa;b\n3/2;Nguyễn, An\n", (("a", "b"), ("3/2", "Nguyễn, An"))),
        ("a\tb\n1\t2", (("a", "b"), ("1", "2"))),
        ("TRƯỜNG TIỂU HỌC\n\na;b;c\n1;2;\n", (("TRƯỜNG TIỂU HỌC",), (), ("a", "b", "c"), ("1", "2", None))),
        ("sep=;\na;b,c\n", (("sep=", None), ("a", "b,c"))),
        ('a,"b\nc"\nd,e', (("a", "b\nc"), ("d", "e"))),
    ],
)
def test_csv_of_any_country_is_read(text: str, rows: Any) -> None:
    assert read_sheets("a.csv", text.encode()).sheets[0].rows == rows
    if not text.startswith("\ufeff"):
        assert read_sheets("a.csv", text.encode("utf-16")).sheets[0].rows == rows


def test_a_process_that_answers_nonsense_or_nothing_in_time_is_a_refusal(monkeypatch: pytest.MonkeyPatch) -> None:
    octets = sheet_of(["3/2", "1", "An", None])
    monkeypatch.setattr(books, "PATIENCE_S", 0.001)
    assert refused(octets).code == "too-far"
    monkeypatch.setattr(books, "PATIENCE_S", 20.0)
    monkeypatch.setattr(books.sys, "executable", "/bin/echo")
    assert refused(octets).code == "no-book"
    monkeypatch.setattr(books.sys, "executable", "/nowhere")
    assert refused(octets).code == "unreadable"


def test_letters_of_columns_and_what_is_shown_of_a_cell() -> None:
    assert [column_letters(number) for number in (1, 26, 27, 28, 702, 703)] == ["A", "Z", "AA", "AB", "ZZ", "AAA"]
    assert shown("a\u202eb\n") == "a[U+202E]b[U+000A]"
    assert shown(8.1) == "8.1" and shown(date(2026, 2, 3)) == "03/02/2026" and len(shown("x" * 5000)) == 60


def test_every_fault_has_words_and_faults_are_bounded() -> None:
    for code, (vi, en) in WORDS.items():
        fault = Fault(code, "HS", 7, "B", "Mã lớp", about=("1", "2", "3"), file="a.xlsx")
        assert fault.vi and fault.en and "{" not in fault.vi + fault.en, code
        assert vi.count("{") == en.count("{") or code == "other-list", code
        assert str(fault).startswith("a.xlsx, HS, B7 (Mã lớp): ")
    faults = Faults("a.xlsx")
    for number in range(1_005):
        faults.add("missing", row=number)
    assert len(faults.all) == 1_001 and faults.all[-1].about == ("5",)


@given(st.binary(max_size=300))
@settings(max_examples=200, deadline=None)
def test_any_text_is_read_or_refused(octets: bytes) -> None:
    if not octets.startswith((b"PK\x03\x04", bytes.fromhex("D0CF11E0A1B11AE1"))):
        people = read_people("a.csv", octets, TODAY)
        assert people.faults or people.pupils
