"""The fitting: which texts can be names, classes and what people write beside them, wherever they come in. Pure.

One rule for lists, card rosters, the city's roster and the calendar: no unseen or turning marks, no markup, no
beginning of a formula. Pages and files show what is kept without looking again.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Mapping
from functools import lru_cache
from typing import Final

UNSEEN: Final = frozenset(("Cc", "Cf", "Co", "Cs", "Cn", "Zl", "Zp"))
"""General categories (Unicode 4.5) of what isn't seen, or turns and hides what is."""
FORMULA: Final = ("=", "+", "-", "@", "\t", "|")
"""What spreadsheets take for the beginning of a formula when the text comes back to one (OWASP, CSV injection)."""
SYMBOLS: Final = frozenset(("Sm", "Sc", "Sk", "So"))
MARKS_MAX: Final = 2
"""A Vietnamese letter has at most two marks, none of which stands alone in NFC; more hide the text."""
LONG_NUMBER: Final = re.compile(r"\d[\d .-]{6,}\d")
_DATED_CLASS: Final = re.compile(
    r"\d{1,2}[/-]\d{1,2}[/-](?:\d{2}|\d{4})|\d{4}-\d{2}-\d{2}.*"
    r"|\d{1,2}[ -](?:jan|feb|mar|apr|may|jun|jul|aug|sep|oct|nov|dec|thg ?\d{1,2})[a-z]*(?:[ -]\d{2,4})?"
    r"|(?:jan|feb|mar|apr|may|jun|jul|aug|sep|oct|nov|dec)-\d{2}",
    re.IGNORECASE,
)
"""A class such as 3/2 in a CSV that a spreadsheet wrote after it had made a date of it."""
PROBLEMS: Final[Mapping[str, tuple[str, str]]] = {
    "characters": (
        "có ký tự không hợp lệ (ký tự ẩn, đảo chiều chữ, ký hiệu, phông chữ cũ)",
        "holds what doesn't belong there (unseen or turning marks, symbols, letters of an old font)",
    ),
    "formula": ("bắt đầu như công thức (= + - @)", "begins like a formula (= + - @)"),
    "number-in-name": (
        "tên có dãy số dài, như số điện thoại hoặc số định danh",
        "a name with a long number, such as of a telephone or a person",
    ),
    "no-letters": ("tên không có chữ cái", "a name without a letter"),
    "class-is-date": (
        "là ngày: Excel đã đổi lớp (như 3/2) thành ngày; định dạng cột là Text rồi gõ lại lớp",
        "is a date: a spreadsheet changed a class such as 3/2; make the column's format Text and type the class again",
    ),
}
"""Code -> what is wrong with a text, Vietnamese and English."""


def unfit(text: str, *, symbols: bool = False) -> str | None:
    """The fault of a text that is kept nowhere: unseen and turning marks, markup, the beginning of a formula, symbols.

    `symbols` other than markup's are taken where people write sentences.
    """
    if text.startswith(FORMULA):
        return "formula"
    marks = 0
    for character in text:
        category = _category(character)
        marks = marks + 1 if category == "Mn" else 0
        if category in UNSEEN or marks > MARKS_MAX or character in "<>" or (category in SYMBOLS and not symbols):
            return "characters"
    return None


def name_problem(text: str) -> str | None:
    """The fault of a text, spelled and not unfit, that is no name; None where it can be one."""
    if LONG_NUMBER.search(text):
        return "number-in-name"
    return None if any(map(str.isalpha, text)) else "no-letters"


def dated_class(text: str) -> bool:
    """Whether a class was 3/2 before a spreadsheet made a date of it."""
    return _DATED_CLASS.fullmatch(text) is not None


_category = lru_cache(maxsize=4096)(unicodedata.category)
