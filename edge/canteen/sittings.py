"""Sittings: which meal, shift and day a moment belongs to at a station, by the counters' sheet. Pure.

A sheet of an earlier day still tells the hours, which seldom change, and names; never who is expected on another day.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from typing import Final

from edge.canteen.ports import Sitting
from protocol.countersheet import CounterSheet
from protocol.envelope import SCHOOL_ZONE, rfc3339, unix_ms_of
from protocol.errors import BadMessage
from protocol.taps import ClockReading

BEFORE_MINUTES: Final = 60
"""Who comes so early is served, and counts for the sitting that opens next; before that, for none."""
AFTER_MINUTES: Final = 90
"""The same for who comes late; a second shift's last ones eat an hour after its end at most."""
UNSURE_MS: Final = 2 * 3_600_000
"""What a clock that nothing vouches for is taken to be wrong by, to either side: over midnight it names no day."""
MADE_SLACK_MS: Final = 3_600_000
"""Earlier than so long before its sheet was made, the clock is plainly wrong, such as 1970 after a boot."""
DAY_MS: Final = 86_400_000
ZONE_MS: Final = int(SCHOOL_ZONE.utcoffset(None).total_seconds()) * 1000
ROWS_MAX: Final = 64
"""Shifts of a day that are looked at."""


@dataclass(frozen=True, slots=True)
class _Row:
    """A shift: minutes of the day from which and until when, its sitting without a day, its stations or none."""

    opens: int
    closes: int
    sitting: Sitting
    stations: frozenset[str]


def minutes_of(clock: str) -> int:
    """Minutes since midnight of HH:MM."""
    return int(clock[:2]) * 60 + int(clock[3:])


def local_day(unix_ms: int) -> str:
    """The ISO day of a moment, in the school's zone."""
    return _iso_day(_day_number(unix_ms))


def _day_number(unix_ms: int) -> int:
    return (unix_ms + ZONE_MS) // DAY_MS


@lru_cache(maxsize=16)
def _iso_day(number: int) -> str:
    return rfc3339(number * DAY_MS)[:10]


class Sittings:
    """The hours of one sheet; no sheet has none."""

    def __init__(self, sheet: CounterSheet | None = None) -> None:
        """Read the sheet's hours once; a shift that closes before it opens is left out."""
        self._rows = tuple(_rows(sheet)) if sheet is not None else ()
        self._made_ms = made_ms(sheet)

    def at(self, station: str, clock: ClockReading) -> Sitting | None:
        """The sitting of a moment at a station: the one open, else the nearest of the day, else None."""
        err_ms = UNSURE_MS if clock.err_ms is None else clock.err_ms
        earliest_ms, latest_ms = clock.best_ms - err_ms, clock.best_ms + err_ms
        if earliest_ms < 0 or latest_ms < self._made_ms - MADE_SLACK_MS:
            return None
        number = _day_number(clock.best_ms)
        if _day_number(earliest_ms) != number or _day_number(latest_ms) != number:
            return None
        found = self._nearest(station, (clock.best_ms + ZONE_MS) // 60_000 % 1440)
        if found is None:
            return None
        return Sitting(local_day(clock.best_ms), found.meal, found.shift, found.opens, found.closes, found.hall)

    def _nearest(self, station: str, minute: int) -> Sitting | None:
        """Of several that are open the one that opened last; of two equally near the one that comes."""
        best: tuple[int, int] | None = None
        sitting: Sitting | None = None
        for row in self._rows:
            if row.stations and station not in row.stations:
                continue
            early, late = row.opens - minute, minute - row.closes
            if early > BEFORE_MINUTES or late >= AFTER_MINUTES:
                continue
            away = early if early > 0 else late + 1 if late >= 0 else 0
            if best is None or (away, -row.opens) < best:
                best, sitting = (away, -row.opens), row.sitting
        return sitting


def made_ms(sheet: CounterSheet | None) -> int:
    """When a sheet was made, Unix ms; 0 where it doesn't say it rightly, or there is none."""
    try:
        return 0 if sheet is None else unix_ms_of(sheet.made)
    except BadMessage:
        return 0


def _rows(sheet: CounterSheet) -> Iterator[_Row]:
    count = 0
    for plan in sheet.meals:
        for shift in plan.shifts:
            opens, closes = minutes_of(shift.opens), minutes_of(shift.closes)
            if opens < closes and count < ROWS_MAX:
                count += 1
                sitting = Sitting("", plan.meal, shift.number, shift.opens, shift.closes, shift.hall)
                yield _Row(opens, closes, sitting, frozenset(shift.stations))
