"""The timetable: the school's year, its bells and weeks, as one document. Pure.

| asked | what decides, the first that speaks |
| --- | --- |
| is there school | outside the year: no; a holiday of the class: no, also on a make-up day; else as below |
| taught as which weekday | a make-up day of the class; else the day's own weekday |
| which half-days | the week that names the class, then its grade, then the default one; each weekday by itself |
| when bells ring | the bells that name the class, then its grade, then the default ones; each half-day by itself |
| which way a tap goes | the windows of its gate; where a gate has none, what the gate itself says |

A class's grade is the number that its name begins with: `1A` is 1, `3/2` is 3, `8.10` is 8, `12A7` is 12.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from datetime import date, datetime, time, timedelta
from functools import lru_cache
from typing import Annotated, Final, Literal, TypeVar, get_args

import msgspec

from hub.attendance.evidence import HALVES, Direction, Session
from hub.attendance.knowndays import DOCUMENT_YEARS
from hub.attendance.schoolday import VIETNAM
from protocol.errors import NeedsHands
from protocol.names import spelled
from protocol.records import Half

Weekday = Literal["monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday"]
WEEKDAYS: Final[tuple[Weekday, ...]] = get_args(Weekday)
Grade = Literal["1", "2", "3", "4", "5", "6", "7", "8", "9", "10", "11", "12"]
GRADES: Final[tuple[Grade, ...]] = get_args(Grade)
DOCUMENT_BYTES_MAX: Final = 256 * 1024
MINUTE_MS: Final = 60_000
DAY_MS: Final = 1_440 * MINUTE_MS

T = TypeVar("T")
Text = Annotated[str, msgspec.Meta(min_length=1, max_length=120)]
CLOCK: Final = r"\A(?:[01][0-9]|2[0-3]):[0-5][0-9]\Z"
Clock = Annotated[str, msgspec.Meta(pattern=CLOCK)]
"""A time of day, `07:15`, of Vietnam (UTC+7, no summer time)."""
ClassName = Annotated[str, msgspec.Meta(min_length=1, max_length=40)]
SLUG: Final = r"\A[a-z0-9](?:[a-z0-9-]{0,62}[a-z0-9])?\Z"
Slug = Annotated[str, msgspec.Meta(pattern=SLUG)]
SlugOrNone = Annotated[str, msgspec.Meta(pattern=r"\A(?:[a-z0-9](?:[a-z0-9-]{0,62}[a-z0-9])?)?\Z")]
Shift = Annotated[int, msgspec.Meta(ge=-120, le=120, multiple_of=15)]


class TimetableRefused(NeedsHands):
    """The document is no timetable, or contradicts itself; nothing was changed."""

    code = "timetable-refused"
    hint = "Correct what is named; docs/operating/calendar.md shows a whole document."

    def __init__(self, message: str, *, hint: str | None = None, vi: str = "") -> None:
        """See K12EdgeError; `vi` is the message for people at a page, empty where it has none."""
        super().__init__(message, hint=hint)
        self.vi = vi


class Unfit(ValueError):
    """A value of the document that nobody means; `vi` says it in Vietnamese."""

    def __init__(self, message: str, vi: str) -> None:
        """Both say what is wrong; where it stands is found out by whoever reads the document."""
        super().__init__(message)
        self.vi = vi


class Scope(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Whom an entry is for: the classes and grades named; with neither, the whole school."""

    grades: Annotated[tuple[Grade, ...], msgspec.Meta(max_length=12)] = ()
    classes: Annotated[tuple[ClassName, ...], msgspec.Meta(max_length=200)] = ()

    def __post_init__(self) -> None:
        """Keep names as everything else spells them."""
        msgspec.structs.force_setattr(self, "classes", tuple(map(spelled, self.classes)))

    def rank(self, school_class: str) -> int | None:
        """How closely it speaks of a class: 2 by name, 1 by grade, 0 as the default; None: not at all."""
        if not self.grades and not self.classes:
            return 0
        if school_class in self.classes:
            return 2
        return 1 if self.grades and grade_of(school_class) in self.grades else None


class Term(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A term of the school year, both days included."""

    name: Text
    first: date
    last: date

    def __post_init__(self) -> None:
        """Refuse days that nobody means."""
        _sound_span(self.first, self.last)


class Holiday(Scope, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Days without lessons, both included; `halves`: of each day only these half-days."""

    first: date
    last: date
    why: Text
    halves: Annotated[tuple[Half, ...], msgspec.Meta(min_length=1, max_length=2)] = HALVES

    def __post_init__(self) -> None:
        """Refuse days that nobody means."""
        Scope.__post_init__(self)
        _sound_span(self.first, self.last)


class MakeUp(Scope, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """A day that is taught as another weekday, such as a Saturday as a Monday."""

    day: date
    taught_as: Weekday
    why: Text

    def __post_init__(self) -> None:
        """Refuse days that nobody means."""
        Scope.__post_init__(self)
        _sound_span(self.day, self.day)


class Bell(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The times of one half-day; see evidence.Session for what each means."""

    opens: Clock
    starts: Clock
    late_after: Clock
    final: Clock
    ends: Clock

    def __post_init__(self) -> None:
        """Refuse times that don't follow each other."""
        if not self.opens <= self.starts <= self.late_after <= self.final <= self.ends:
            raise Unfit(
                "opens, starts, late_after, final and ends must follow each other",
                "opens, starts, late_after, final và ends phải nối tiếp nhau: giờ sau không được sớm hơn giờ trước",
            )


class Bells(Scope, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """The bells of a grade, a class or the school; `weekdays`: on these only, and then before those of every day."""

    am: Bell | None = None
    pm: Bell | None = None
    weekdays: Annotated[tuple[Weekday, ...], msgspec.Meta(max_length=7)] = ()

    def of(self, half: Half) -> Bell | None:
        """The bell of a half-day, where it has one."""
        return self.am if half == "am" else self.pm


class Week(Scope, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """The half-days with lessons, by weekday; a weekday that isn't named is left to the next closest week.

    `stays`: whether pupils stay over noon, so that who was there in the morning is there in the afternoon.
    """

    days: dict[Weekday, Annotated[tuple[Half, ...], msgspec.Meta(max_length=2)]]
    stays: bool | None = None


class Window(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """A time of day at which taps at a gate mean one way; `point` empty: at every station of the device."""

    device: Slug
    begins: Clock
    ends: Clock
    way: Direction
    point: SlugOrNone = ""
    weekdays: Annotated[tuple[Weekday, ...], msgspec.Meta(max_length=7)] = ()

    def __post_init__(self) -> None:
        """Refuse a window that is never open."""
        if not self.begins < self.ends:
            raise Unfit("a window must begin before it ends", "begins phải sớm hơn ends")

    def at(self, device: str, point: str) -> bool:
        """Whether it speaks of that station."""
        return self.device == device and self.point in ("", point)


class Timetable(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """The whole document. `shift_min`: the school's place among those of its street; bells and windows move by it.

    `note` says why this version was made; a version that holds for days of the past needs one.
    """

    name: Text
    first: date
    last: date
    terms: Annotated[tuple[Term, ...], msgspec.Meta(max_length=6)] = ()
    holidays: Annotated[tuple[Holiday, ...], msgspec.Meta(max_length=200)] = ()
    make_up: Annotated[tuple[MakeUp, ...], msgspec.Meta(max_length=100)] = ()
    bells: Annotated[tuple[Bells, ...], msgspec.Meta(max_length=200)]
    weeks: Annotated[tuple[Week, ...], msgspec.Meta(max_length=300)]
    windows: Annotated[tuple[Window, ...], msgspec.Meta(max_length=200)] = ()
    shift_min: Shift = 0
    note: Annotated[str, msgspec.Meta(max_length=400)] = ""

    def __post_init__(self) -> None:
        """Refuse days that nobody means."""
        _sound_span(self.first, self.last)


def _sound_span(first: date, last: date) -> None:
    for day in (first, last):
        if not DOCUMENT_YEARS[0] <= day.year <= DOCUMENT_YEARS[1]:
            first_year, last_year = DOCUMENT_YEARS
            raise Unfit(
                f"{day} is no day of a school year, give one from {first_year} to {last_year}",
                f"{day} không phải là ngày của năm học; hãy ghi ngày từ năm {first_year} đến {last_year}",
            )
    if first > last:
        raise Unfit(
            f"it ends on {last}, before it begins on {first}", f"kết thúc ngày {last}, trước khi bắt đầu ngày {first}"
        )


def timetable_from(name: str, octets: bytes) -> Timetable:
    """The document of a file or row; raises TimetableRefused, which names what is wrong and where."""
    if len(octets) > DOCUMENT_BYTES_MAX:
        raise TimetableRefused(f"{name} has {len(octets):,} bytes, at most {DOCUMENT_BYTES_MAX:,} are read")
    try:
        return msgspec.json.decode(octets, type=Timetable)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as problem:
        raise TimetableRefused(f"{name}: {_in_words(str(problem))}") from problem


def _in_words(problem: str) -> str:
    """What msgspec says, with examples in the place of patterns."""
    for pattern, example in ((CLOCK, "a time of day such as 07:15"), (SLUG, "an id such as gate-a")):
        problem = problem.replace(f"`str` matching regex {pattern!r}", example)
    return problem


def timetable_bytes(document: Timetable) -> bytes:
    """The document as JSON for people and machines; `timetable_from` gives the same value again."""
    return msgspec.json.format(msgspec.json.encode(document), indent=1) + b"\n"


@lru_cache(maxsize=1024)
def grade_of(school_class: str) -> Grade | None:
    """The grade that a class's name begins with, behind an optional `Lớp`; None where it begins with none of 1..12."""
    found = re.match(r"(?:lớp\s+)?([0-9]+)", spelled(school_class), re.IGNORECASE)
    number = int(found[1][:4]) if found else 0
    return GRADES[number - 1] if 1 <= number <= len(GRADES) else None


def weekday_of(day: date) -> Weekday:
    """The day's own weekday."""
    return WEEKDAYS[day.weekday()]


def term_of(document: Timetable, day: date) -> Term | None:
    """The term that a day lies in."""
    return next((term for term in document.terms if term.first <= day <= term.last), None)


def taught_as(document: Timetable, day: date, school_class: str) -> Weekday:
    """The weekday that a day is taught as; the closest of its make-up days, else its own."""
    found = _closest((made.rank(school_class), made) for made in document.make_up if made.day == day)
    return weekday_of(day) if found is None else found.taught_as


def holiday_of(document: Timetable, day: date, half: Half, school_class: str) -> Holiday | None:
    """The holiday for which a class has no lessons in a half-day."""
    for holiday in document.holidays:
        if holiday.first <= day <= holiday.last and half in holiday.halves and holiday.rank(school_class) is not None:
            return holiday
    return None


def halves_of(document: Timetable, weekday: Weekday, school_class: str) -> tuple[Half, ...]:
    """The half-days that a class has on a weekday, in their order. A free afternoon is simply none of them."""
    weeks = ((week.rank(school_class), week) for week in document.weeks if weekday in week.days)
    found = _closest(weeks)
    return () if found is None else tuple(half for half in HALVES if half in found.days[weekday])


def bell_of(document: Timetable, weekday: Weekday, half: Half, school_class: str) -> Bell | None:
    """The bell of a class on a weekday: the closest entry, among equals one that names the weekday."""
    best: tuple[tuple[int, bool], Bell] | None = None
    for bells in document.bells:
        rank, bell = bells.rank(school_class), bells.of(half)
        if rank is None or bell is None or (bells.weekdays and weekday not in bells.weekdays):
            continue
        place = rank, bool(bells.weekdays)
        if best is None or place > best[0]:
            best = place, bell
    return None if best is None else best[1]


def stays_of(document: Timetable, school_class: str) -> bool:
    """Whether a class's pupils stay over noon, as boarders do."""
    found = _closest((week.rank(school_class), week) for week in document.weeks if week.stays is not None)
    return found is not None and bool(found.stays)


def sessions_of(document: Timetable, day: date, school_class: str) -> list[Session]:
    """The half-days in which a class has lessons on a day; [] where it has none."""
    school_class = spelled(school_class)
    if not document.first <= day <= document.last:
        return []
    weekday = taught_as(document, day, school_class)
    found = []
    for half in halves_of(document, weekday, school_class):
        bell = bell_of(document, weekday, half, school_class)
        # Without a bell nobody could be late or missing; `problems` names it before such a document is kept.
        if bell is not None and holiday_of(document, day, half, school_class) is None:
            found.append(_session(document, day, half, bell, stays=half == "pm" and stays_of(document, school_class)))
    return found


def calendar_of(
    versions: Mapping[date, Timetable], days: Iterable[date], classes: Iterable[str]
) -> Iterator[tuple[tuple[date, str, Half], Session]]:
    """The sessions of classes on days, each day by the version that holds for it; for SchoolDay.sessions.

    `versions`: each document by the day from which on it holds.
    """
    classes = tuple(classes)
    for day in days:
        since = max((first for first in versions if first <= day), default=None)
        if since is not None:
            for school_class in classes:
                for session in sessions_of(versions[since], day, school_class):
                    yield (day, school_class, session.half), session


def direction_of(
    document: Timetable,
    device: str,
    point: str,
    best_ms: int,
    told: Direction | None,
    bounds_ms: tuple[int, int] | None = None,
) -> Direction | None:
    """Which way a tap went; None at a gate for both ways, at a time that says nothing.

    A gate that the document has windows for is for both ways, whatever its own configuration says: outside its
    windows, or where the clock's error (`bounds_ms`) reaches over a window's edge, nothing is known. What was tapped
    before never says anything.
    """
    mine = [window for window in document.windows if window.at(device, point)]
    if not mine:
        return told
    first_ms, last_ms = bounds_ms or (best_ms, best_ms)
    if last_ms - first_ms >= DAY_MS:
        # Of whatever day it may be: no window says anything of it.
        return None
    moments = {first_ms, best_ms, last_ms, *range(first_ms - first_ms % MINUTE_MS + MINUTE_MS, last_ms, MINUTE_MS)}
    ways = {_way(document, mine, at_ms) for at_ms in moments}
    return ways.pop() if len(ways) == 1 else None


def _way(document: Timetable, windows: Iterable[Window], at_ms: int) -> Direction | None:
    moment = datetime.fromtimestamp(at_ms / 1000, VIETNAM)
    weekday = weekday_of(moment.date())
    minute = moment.hour * 60 + moment.minute - document.shift_min
    ways: set[Direction] = {
        window.way
        for window in windows
        if minute_of(window.begins) <= minute < minute_of(window.ends)
        and (not window.weekdays or weekday in window.weekdays)
    }
    return ways.pop() if len(ways) == 1 else None


def minute_of(clock: str) -> int:
    """The minute of the day."""
    return int(clock[:2]) * 60 + int(clock[3:])


def _session(document: Timetable, day: date, half: Half, bell: Bell, *, stays: bool) -> Session:
    midnight = datetime.combine(day, time(), VIETNAM) + timedelta(minutes=document.shift_min)
    start_ms = int(midnight.timestamp() * 1000)
    clocks = (bell.opens, bell.starts, bell.late_after, bell.final, bell.ends)
    opens, starts, late_after, final, ends = (start_ms + minute_of(clock) * MINUTE_MS for clock in clocks)
    return Session(day, half, opens, starts, late_after, final, ends, stays)


def _closest(ranked: Iterable[tuple[int | None, T]]) -> T | None:
    """The entry of the highest rank, the first among equals."""
    best: tuple[int, T] | None = None
    for rank, entry in ranked:
        if rank is not None and (best is None or rank > best[0]):
            best = rank, entry
    return None if best is None else best[1]
