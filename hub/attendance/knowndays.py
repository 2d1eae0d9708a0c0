"""The known days: those that a hub speaks of, whoever asks and whatever for; all others are refused by name. Pure.

Days beyond are slips of a hand or of a spreadsheet, which likes to say 1900, 1970 and 9999. Within them every room may
count on days before and after, on a school year, and on a moment of the day, without asking.
"""

from __future__ import annotations

from datetime import date, datetime
from typing import Final

from hub.attendance.schoolday import VIETNAM

FIRST_DAY: Final = date(2020, 1, 1)
LAST_DAY: Final = date(2099, 12, 31)
"""Both included."""
DOCUMENT_YEARS: Final = (2000, 2100)
"""A timetable may be one of before, and the last known day's school year ends in the year behind it."""
YEAR_BEGINS: Final = 8
"""School years begin in August (the ministry's frame plan); before, a day belongs to the one that began last."""


def beyond(day: date) -> str | None:
    """What is wrong with a day that isn't known; None where it is."""
    if FIRST_DAY <= day <= LAST_DAY:
        return None
    return f"{day.isoformat()} is no day that a hub speaks of: give one from {FIRST_DAY} to {LAST_DAY}"


def beyond_ms(at_ms: int) -> str | None:
    """The same of a moment, Unix ms."""
    first, last = (datetime(day.year, day.month, day.day, tzinfo=VIETNAM) for day in (FIRST_DAY, LAST_DAY))
    if first.timestamp() * 1000 <= at_ms < last.timestamp() * 1000:
        return None
    return f"the moment lies on no day that a hub speaks of: give one from {FIRST_DAY} to {LAST_DAY}"


def school_year_of(day: date) -> int:
    """The year in which the school year of a day began; of a day that isn't known, the nearest that is."""
    year = day.year if day.month >= YEAR_BEGINS else day.year - 1
    return min(max(year, FIRST_DAY.year - 1), LAST_DAY.year)
