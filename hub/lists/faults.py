"""Faults: what is wrong in a list and where, by a closed list of codes, each with its words in two languages."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from hub.fitting import PROBLEMS
from protocol.errors import NeedsHands

FAULTS_MAX: Final = 1_000
"""So many are named of one file; what follows is counted."""

WORDS: Final[Mapping[str, tuple[str, str]]] = {
    # The file as a whole.
    "too-large": ("tệp có {0} byte, nhiều nhất {1}", "the file has {0} bytes, at most {1} are taken"),
    "empty": ("tệp trống", "the file is empty"),
    "locked": ("tệp có mật khẩu; hãy lưu lại không có mật khẩu", "the file has a password; save it without one"),
    "macros": ("tệp có macro; hãy lưu thành .xlsx", "the file has macros; save it as .xlsx, which has none"),
    "bomb": (
        "tệp nén quá {0} MiB khi mở ra, hoặc nén theo cách lạ",
        "the file unpacks to more than {0} MiB, or is packed in a way of its own",
    ),
    "no-zip": ("tệp nén bị hỏng", "the packed file is damaged"),
    "unknown-zip": (
        "tệp nén này không phải Excel (.xlsx) cũng không phải OneRoster CSV (thiếu manifest.csv)",
        "this packed file is neither an Excel file (.xlsx) nor OneRoster CSV (manifest.csv is missing)",
    ),
    "no-book": (
        "không đọc được như tệp Excel; hãy mở bằng Excel và lưu thành .xlsx",
        "it can't be read as an Excel file; open it with Excel and save it as .xlsx",
    ),
    "too-far": (
        "có ô ở quá xa bảng, hoặc tệp cần quá nhiều bộ nhớ; Ctrl+End cho thấy ô cuối, hãy xóa phần thừa",
        "a cell stands too far from the table, or the file needs too much memory; Ctrl+End shows the last cell,"
        " delete what isn't needed",
    ),
    "unreadable": ("không mở được tệp: {0}", "the file can't be opened: {0}"),
    "unwritten": ("không ghi được tệp: {0}", "the file can't be written: {0}"),
    "no-day-given": (
        "ngày áp dụng (ở dòng lệnh: --day) phải là một ngày như 2027-08-16, từ hôm nay và trong 400 ngày tới",
        "the day (at the command line: --day) is a day such as 2027-08-16, from today on and at most 400 days ahead",
    ),
    "no-list": ("không có danh sách này; có: {0}", "there is no such list; there are {0}"),
    "no-reader": ("thiếu phần đọc Excel: pip install 'k12edge[hub]'", "no Excel reader: pip install 'k12edge[hub]'"),
    "is-document": (
        "đây là {0}, không phải bảng tính; hãy mở và lưu thành .xlsx",
        "this is {0}, no spreadsheet; open it and save it as .xlsx",
    ),
    "no-text": (
        "không phải Excel, cũng không phải văn bản UTF-8 (byte {0}); hãy lưu thành .xlsx hoặc CSV UTF-8",
        "neither an Excel file nor text in UTF-8 (byte {0}); save it as .xlsx or as CSV UTF-8",
    ),
    "no-csv": ("không phải CSV, dòng {0}: {1}", "no CSV, line {0}: {1}"),
    "too-many-sheets": ("có {0} trang tính, nhiều nhất {1}", "has {0} sheets, at most {1} are taken"),
    "too-many-cells": (
        "nhiều hơn {0} dòng hoặc {1} cột",
        "more than {0} rows or {1} columns",
    ),
    "long-text": ("ô có hơn {0} ký tự", "a text of more than {0} characters"),
    "no-table": ("không có bảng với {0}", "there is no table with {0}"),
    "nearest": ("dòng tiêu đề gần nhất, thiếu {0}", "the nearest header; it lacks {0}"),
    "hidden": (
        "trang tính bị ẩn, không được đọc; hãy bỏ ẩn nếu danh sách ở đó",
        "the sheet is hidden and isn't read; unhide it if the list is there",
    ),
    "other-list": ("tệp này trông như danh sách khác: {0}", "this looks like another list: {1}"),
    "column-twice": ("hai cột cùng tên", "two columns have this header"),
    "no-rows": ("không có dòng nào dưới tiêu đề", "there is no row below the header"),
    "sheets-overlap": (
        "cùng danh sách như trang tính {0}; hãy giữ một",
        "the same list as sheet {0}; keep one of them",
    ),
    "more": ("và {0} lỗi nữa", "and {0} more faults"),
    # A cell.
    "missing": ("ô trống", "is empty"),
    "not-text": ("không phải chữ; định dạng ô là Text rồi gõ lại", "is no text; make the format Text, type it again"),
    "lost-digits": (
        "số đã mất chữ số; định dạng cột là Text rồi gõ lại",
        "a number that has lost digits; make the column's format Text and type it again",
    ),
    "too-long": ("dài hơn {0} ký tự", "has more than {0} characters"),
    "characters": PROBLEMS["characters"],
    "formula": PROBLEMS["formula"],
    "number-in-name": PROBLEMS["number-in-name"],
    "no-letters": PROBLEMS["no-letters"],
    "personal-number": (
        "là số định danh cá nhân 12 chữ số, không được dùng; hãy dùng mã học sinh của trường",
        "is a 12-digit personal number, which isn't taken; use the school's own code",
    ),
    "personal-number-short": (
        "trông như số định danh cá nhân đã mất số 0 đầu, không được dùng; hãy dùng mã của trường",
        "looks like a personal number whose leading zero was lost, which isn't taken; use the school's own code",
    ),
    "class-is-date": PROBLEMS["class-is-date"],
    "class-is-fraction": (
        "là số: Excel có thể đã đổi 8.10 thành 8.1; định dạng cột là Text rồi gõ lại lớp",
        "is a number: a spreadsheet may have changed 8.10 to 8.1; make the column's format Text and type it again",
    ),
    "no-day": ("không phải ngày dạng dd/mm/yyyy", "is no date as dd/mm/yyyy"),
    "day-is-number": (
        "là số, không phải ngày; định dạng ô là ngày, hoặc gõ dd/mm/yyyy",
        "is a number, no date; format the cell as a date, or type dd/mm/yyyy",
    ),
    "day-range": ("không nằm giữa {0} và {1}", "is not between {0} and {1}"),
    "no-clock": ("không phải giờ như 07:05", "is no time of day such as 07:05"),
    "no-whole": ("không phải số nguyên từ {0} đến {1}", "is no whole number from {0} to {1}"),
    "no-word": ("không thuộc: {0}", "is none of: {0}"),
    "order": ("{0} không sau {1}", "{0} is not after {1}"),
    "needs": ("thiếu {0}", "needs {0}"),
    "code-twice": ("đã có ở {0}", "stands at {0} already"),
    "line-twice": ("trùng với {0}", "says the same as {0}"),
    "cells-short": ("{0} ô, cần {1}", "{0} cells, {1} are expected"),
    "half-twice": ("buổi này của lớp đã có ở {0}", "this half-day of the class stands at {0} already"),
    "one-day": ("ngày học bù chỉ là một ngày", "a make-up day is one day"),
    # Beside what the hub knows.
    "no-pupil": ("không có học sinh mang mã này", "no pupil has this code"),
    "pupil-left": ("học sinh đã rời trường", "the pupil has left"),
    "name-differs": ("mã này là của học sinh tên khác", "this code is of a pupil with another name"),
    "class-differs": ("học sinh ở lớp khác", "the pupil is in another class"),
    # OneRoster.
    "no-file": ("manifest nói có {0}, nhưng không có trong tệp nén", "the manifest names {0}, which isn't there"),
    "no-version": (
        "manifest: oneroster.version là {0}, cần 1.1 hoặc 1.2",
        "the manifest's oneroster.version is {0}; 1.1 and 1.2 are known",
    ),
    "no-mode": ("manifest: {0} phải là bulk, delta hoặc absent", "the manifest's {0} must be bulk, delta or absent"),
    "no-column": ("thiếu cột {0}", "the column {0} is missing"),
    "no-status": ("status phải là active hoặc tobedeleted", "status must be active or tobedeleted"),
    "no-moment": ("dateLastModified không phải thời điểm ISO 8601", "dateLastModified is no ISO 8601 moment"),
    "no-such": ("{0} không có trong {1}", "{0} isn't in {1}"),
    "no-homeroom": ("học sinh chưa có lớp chủ nhiệm", "the pupil is in no class"),
    "two-homerooms": ("học sinh ở hai lớp: {0} và {1}", "the pupil is in two classes: {0} and {1}"),
    "several-schools": ("tệp có học sinh của {0} trường", "the file has pupils of {0} schools"),
    "roster-day": (
        "danh sách có thẻ chỉ có hiệu lực từ hôm nay",
        "a roster with cards holds from today on, not from another day",
    ),
    "roster": ("không đúng dạng roster", "is not as a roster has it"),
    # Only to be looked at; the list is taken.
    "row-skipped": ("dòng dưới danh sách, không được đọc", "stands below the list and isn't read"),
    "same-person": ("cùng tên, ngày sinh và lớp với {0}", "same name, birth date and class as {0}"),
    "large-class": (
        "lớp có {0} học sinh; 8.10 có bị đổi thành 8.1 không?",
        "a class of {0} pupils; did 8.10 become 8.1?",
    ),
    "class-spelled": ("cũng viết là {0}", "also written {0}"),
    "class-ended": ("thôi lớp cũ mà chưa có lớp mới", "left a class, and no new one is named"),
    "leave-withdrawn": (
        "đơn đúng như vậy đã được rút, nên không ghi lại; nếu em vẫn nghỉ, hãy nhập tay ở trang của lớp",
        "a notice just like this was withdrawn since, and isn't entered again; if the pupil is on leave after all,"
        " enter it by hand on the class's page",
    ),
    "login-stands": (
        "tên đăng nhập {0} của người này vẫn dùng được, cho một lớp hay một việc không còn trong danh sách; hãy thu hồi"
        " ở trang người dùng nếu không cần",
        "the login {0} of this person stands, for a class or a job that the list no longer names; revoke it on the page"
        " of users if it isn't needed",
    ),
    "consent-older": (
        "ký ngày {0}, trước lời đang có hiệu lực ({1}), nên không ghi; nếu gia đình nay nói như vậy, hãy nhập tay ở"
        " trang đồng ý nhận tin",
        "signed on {0}, before the word that stands ({1}), and isn't entered; if the family says so now, enter it by"
        " hand on the page of consent",
    ),
}
"""Code -> what it says, Vietnamese and English; `{0}` is what it is about, never a name or a pupil's code."""
NOTES: Final = frozenset((
    "row-skipped", "same-person", "large-class", "class-spelled", "class-ended", "hidden", "leave-withdrawn",
    "consent-older", "login-stands",
))  # fmt: skip
"""Codes that stop nothing."""


class ListRefused(NeedsHands):
    """The list isn't taken; what is wrong is named by sheet, row and column, and nothing was changed."""

    code = "list-refused"
    hint = "Correct what is named and give the file again; nothing was changed."

    def __init__(self, fault: Fault) -> None:
        """Keep the fault for whoever shows it in one language."""
        super().__init__(str(fault))
        self.fault = fault


@dataclass(frozen=True, slots=True)
class Fault:
    """What is wrong, and where: `row` as a spreadsheet counts (0: the whole sheet), `column` its letters.

    `said` is what stands there, for the person who brought the file and nobody else: it is in no text that is logged.
    """

    code: str
    sheet: str = ""
    row: int = 0
    column: str = ""
    header: str = ""
    said: str = ""
    about: tuple[str, ...] = ()
    file: str = ""

    @property
    def stops(self) -> bool:
        """Whether the list can't be taken with it."""
        return self.code not in NOTES

    @property
    def vi(self) -> str:
        """What is wrong, in Vietnamese."""
        return WORDS[self.code][0].format(*self.about)

    @property
    def en(self) -> str:
        """What is wrong, in English."""
        return WORDS[self.code][1].format(*self.about)

    @property
    def place(self) -> str:
        """Where: file, sheet, cell and its column's header, as far as it has them."""
        cell = f"{self.column}{self.row or ''}"
        named = f"{cell} ({self.header})" if self.header else cell
        return ", ".join(part for part in (self.file, self.sheet, named) if part)

    def __str__(self) -> str:
        """For people, in both languages; without what the cell holds."""
        return f"{self.place}: {self.vi} / {self.en}" if self.place else f"{self.vi} / {self.en}"


class Faults:
    """The faults of one file as they are found; bounded."""

    def __init__(self, file: str) -> None:
        """`file` as the person knows it."""
        self.file = file
        self._found: list[Fault] = []
        self._further = 0

    def add(
        self,
        code: str,
        *about: str,
        sheet: str = "",
        row: int = 0,
        column: str = "",
        header: str = "",
        said: str = "",
    ) -> None:
        """One more; see Fault."""
        if len(self._found) < FAULTS_MAX:
            self._found.append(Fault(code, sheet, row, column, header, said, about, self.file))
        else:
            self._further += 1

    @property
    def all(self) -> tuple[Fault, ...]:
        """All of them, and how many weren't kept."""
        if not self._further:
            return tuple(self._found)
        return (*self._found, Fault("more", about=(str(self._further),), file=self.file))
