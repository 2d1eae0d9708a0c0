"""The plan of backups: how they are called, which stay, when one is due, and what is safe where. Pure."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Final, Literal

from protocol.envelope import SCHOOL_ZONE
from protocol.ranges import RangeSet

DAY_MS: Final = 86_400_000
DAY_S: Final = 86_400
LATE_MS: Final = 36 * 3_600_000
"""A day and a half without a backup is told: one evening may be missed, two may not."""
INTERVAL_S_MAX: Final = 90 * DAY_S
"""Gateways keep records twice as long as this, and no longer: their disks are small."""
NEWEST: Final = 3
DAYS: Final = 7
WEEKS: Final = 4
NEWEST_SAME_DISK: Final = 2
"""On the hub's own disk a copy helps against a broken file only, so two are enough."""
NUMBER_MAX: Final = 999_999_999
_TAIL: Final = re.compile(r"(\d{8}T\d{6}Z)-([1-9]\d{0,8})")
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)

Where = Literal["city", "backup", "here"]


@dataclass(frozen=True, slots=True)
class Named:
    """What a folder's name says: its number, and when it was begun by the hub's clock."""

    number: int
    made_ms: int


@dataclass(frozen=True, slots=True)
class Standing:
    """How many of the hub's own records are safe where; `here_only`: nowhere but at this hub."""

    records: int
    at_city: int
    in_backup: int
    here_only: int


def folder_name(school: str, hub: str, made_ms: int, number: int) -> str:
    """`k12edge-<school>-<hub>-<UTC>-<number>`."""
    moment = _EPOCH + timedelta(milliseconds=max(0, made_ms))
    return f"{_prefix(school, hub)}{moment.strftime('%Y%m%dT%H%M%SZ')}-{number}"


def _prefix(school: str, hub: str) -> str:
    return f"k12edge-{school}-{hub}-"


def named(name: str, school: str, hub: str) -> Named | None:
    """A folder's name taken apart; None for every name that this hub gave to none of its backups."""
    prefix = _prefix(school, hub)
    found = _TAIL.fullmatch(name[len(prefix) :]) if name.startswith(prefix) else None
    if found is None:
        return None
    try:
        moment = datetime.strptime(found[1], "%Y%m%dT%H%M%SZ").replace(tzinfo=UTC)
    except ValueError:
        return None
    return Named(int(found[2]), (moment - _EPOCH) // timedelta(milliseconds=1))


def kept(backups: Sequence[Named], *, same_disk: bool) -> set[int]:
    """The numbers of those that stay: the newest ones, the last one of each of 7 days and of 4 weeks.

    By number, which only grows: a clock that was wrong for a day makes no backup older than it is.
    """
    newest = sorted(backups, key=lambda one: one.number, reverse=True)
    if same_disk:
        return {one.number for one in newest[:NEWEST_SAME_DISK]}
    stays = {one.number for one in newest[:NEWEST]}
    days: dict[object, int] = {}
    weeks: dict[object, int] = {}
    for one in newest:
        day = (_EPOCH + timedelta(milliseconds=one.made_ms)).astimezone(SCHOOL_ZONE).date()
        days.setdefault(day, one.number)
        weeks.setdefault(day.isocalendar()[:2], one.number)
    return stays | set(list(days.values())[:DAYS]) | set(list(weeks.values())[:WEEKS])


def slot_ms(at_minutes: int, now_ms: int) -> int:
    """The last moment, up to now, at which a backup was to be made by the school's clock."""
    zone_ms = int(SCHOOL_ZONE.utcoffset(None).total_seconds() * 1000)
    offset_ms = at_minutes * 60_000 - zone_ms
    return (now_ms - offset_ms) // DAY_MS * DAY_MS + offset_ms


def due(at_minutes: int | None, since_ms: int, now_ms: int) -> bool:
    """Whether a backup is to be made now; `since_ms`: the last one, or where there is none the first record."""
    # A clock that was ahead when the last one was made mustn't keep the next one off for years.
    return at_minutes is not None and (since_ms < slot_ms(at_minutes, now_ms) or since_ms > now_ms + DAY_MS)


def late(at_minutes: int | None, since_ms: int, now_ms: int) -> bool:
    """Whether people should be told that there was none for too long."""
    return at_minutes is not None and now_ms - since_ms > LATE_MS


def interval_s(since_ms: int, now_ms: int) -> int:
    """What gateways are told as the time between backups: a day, or what it really is by now if that is more."""
    return max(DAY_S, min(INTERVAL_S_MAX, (now_ms - since_ms) // 1000))


def safe_where(sequence: int, at_city: RangeSet, backed_up_through: int) -> Where:
    """Where a record of the hub's own is safe beside the hub; `here`: nowhere yet, saved here only."""
    if sequence in at_city:
        return "city"
    return "backup" if sequence <= backed_up_through else "here"


def standing(held: RangeSet, at_city: RangeSet, backed_up_through: int) -> Standing:
    """The same, counted over one journal of the hub's own.

    `at_city`: what the city answered to hold (what it refused is not held there); `backed_up_through`: the journal's
    last record in the last good backup, 0 where there is none.
    """
    elsewhere = RangeSet()
    city = 0
    for first, last in held:
        for low, high in at_city:
            if low <= last and high >= first:
                elsewhere.add(max(low, first), min(high, last))
                city += min(high, last) - max(low, first) + 1
    here = 0
    for first, last in held:
        for low, high in elsewhere.gaps(first, last):
            here += max(0, high - max(low, backed_up_through + 1) + 1)
    return Standing(len(held), city, len(held) - city - here, here)
