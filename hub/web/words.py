"""Words of the pages: Vietnamese in code and templates, English from a gettext catalog; times as people read them."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta, timezone
from functools import cache
from pathlib import Path
from typing import Final, Literal

Language = Literal["vi", "en"]
CATALOG: Final = Path(__file__).parent / "locale" / "en" / "LC_MESSAGES" / "hub.po"
LOCAL: Final = timezone(timedelta(hours=7))
"""Vietnam has one time and no summer time."""
WEEKDAYS: Final = {
    "vi": ("Thứ Hai", "Thứ Ba", "Thứ Tư", "Thứ Năm", "Thứ Sáu", "Thứ Bảy", "Chủ nhật"),
    "en": ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun"),
}


@cache
def catalog() -> dict[str, tuple[str, ...]]:
    """What the English catalog says: Vietnamese text -> English (one, and many where it counts something)."""
    from babel.messages.pofile import read_po

    found: dict[str, tuple[str, ...]] = {}
    with CATALOG.open("rb") as file:
        for message in read_po(file, locale="en", abort_invalid=True):
            if not message.id:
                continue
            one = message.id if isinstance(message.id, str) else message.id[0]
            told = (message.string,) if isinstance(message.string, str) else tuple(message.string or ())
            if all(told):
                found[one] = told
    return found


def translated(language: Language, text: str) -> str:
    """A text in a language; what the catalog lacks stays Vietnamese."""
    return text if language == "vi" else catalog().get(text, (text,))[0]


def counted(language: Language, one: str, many: str, count: int) -> str:
    """A text that counts something; Vietnamese has one form for all numbers."""
    if language == "vi":
        return one
    forms = catalog().get(one, (one, many))
    return forms[0] if count == 1 else forms[-1]


def moment(at_ms: int) -> datetime:
    """Unix ms as a time in Vietnam."""
    return datetime.fromtimestamp(at_ms / 1000, UTC).astimezone(LOCAL)


def shown_time(at_ms: int) -> str:
    """`07:10:05 26/11/2026`: always with the date."""
    return moment(at_ms).strftime("%H:%M:%S %d/%m/%Y")


def shown_day(day: date, language: Language) -> str:
    """`Thứ Năm 26/11/2026`."""
    return f"{WEEKDAYS[language][day.weekday()]} {day:%d/%m/%Y}"
