"""The first timetable of a school in Ho Chi Minh City, from which it makes its own. Pure.

The city's frame: gates open at 06:30, first period 07:00 to 08:00, afternoon 13:00 to 13:30, end 16:00 to 17:00;
younger pupils begin later. Within it each school decides, so every time here is a proposal. Tết and the Hùng kings'
day follow the moon and are entered by people; so are the city's own free days.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date
from typing import Final, Literal, get_args

from hub.attendance.timetable import Bell, Bells, Grade, Holiday, Term, Timetable, Week, Weekday

Level = Literal["primary", "lower", "upper"]
LEVELS: Final = get_args(Level)
OF_LEVEL: Final[dict[Level, tuple[Grade, ...]]] = {
    "primary": ("1", "2", "3", "4", "5"),
    "lower": ("6", "7", "8", "9"),
    "upper": ("10", "11", "12"),
}
OPENS: Final = "05:00"
"""The gate opens at 06:30; who is let in before came all the same, so the morning's taps count from here."""
BELLS: Final[dict[Level, tuple[Bell, Bell]]] = {
    "primary": (
        Bell(OPENS, "07:30", "07:35", "08:00", "10:40"),
        Bell("11:00", "13:30", "13:35", "14:00", "16:15"),
    ),
    "lower": (
        Bell(OPENS, "07:15", "07:20", "07:45", "11:15"),
        Bell("11:45", "13:15", "13:20", "13:45", "16:30"),
    ),
    "upper": (
        Bell(OPENS, "07:00", "07:05", "07:30", "11:20"),
        Bell("11:45", "13:00", "13:05", "13:30", "17:00"),
    ),
}
"""Morning and afternoon; late five minutes after the bell, final half an hour after it."""
WORKING: Final[tuple[Weekday, ...]] = ("monday", "tuesday", "wednesday", "thursday", "friday")


def first_timetable(year: int, levels: Sequence[Level] = LEVELS, shift_min: int = 0) -> Timetable:
    """A school year that begins in September of `year`, for a school with these levels.

    A school of one level gets its bells as the default, one of several by grade. Primary pupils stay over noon.
    """
    assert levels and set(levels) <= set(LEVELS), "the levels are those of LEVELS"
    alone = len(set(levels)) == 1
    mine = [level for level in LEVELS if level in levels]
    return Timetable(
        name=f"{year}-{year + 1}",
        # Opening day and the two terms of the ministry's frame plan; the city's own plan may differ by days.
        first=date(year, 9, 5),
        last=date(year + 1, 5, 31),
        terms=(
            Term("HK1", date(year, 9, 5), date(year + 1, 1, 17)),
            Term("HK2", date(year + 1, 1, 18), date(year + 1, 5, 31)),
        ),
        # The days that article 112 of the Labour Code (45/2019/QH14) fixes by the sun within a school year.
        holidays=(
            Holiday(first=date(year + 1, 1, 1), last=date(year + 1, 1, 1), why="Tết Dương lịch"),
            Holiday(first=date(year + 1, 4, 30), last=date(year + 1, 5, 1), why="30/4 - 1/5"),
        ),
        bells=tuple(Bells(grades=() if alone else OF_LEVEL[x], am=BELLS[x][0], pm=BELLS[x][1]) for x in mine),
        weeks=tuple(
            Week(
                grades=() if alone else OF_LEVEL[level],
                days={weekday: ("am", "pm") for weekday in WORKING},
                stays=level == "primary",
            )
            for level in mine
        ),
        shift_min=shift_min,
    )
