"""Lines: what each kind of list says, one value a row, checked cell by cell; who and what is known the store knows."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, time
from typing import Literal

from protocol.records import Half

Standing = Literal["attending", "left"]


@dataclass(frozen=True, slots=True)
class PupilLine:
    """A pupil as a list has them.

    What is None the list doesn't say, and what is known stays. `key` is ours, `code` the school's, `city_id` the
    city's; at least one is there. `state_day` is since when `state` holds; `where` sheet and row.
    `only_known`: it may be no pupil at all; it counts for one who is known.
    """

    name: str | None
    school_class: str | None
    state: Standing = "attending"
    code: str | None = None
    city_id: str | None = None
    key: str | None = None
    birth: date | None = None
    sex: str | None = None
    state_day: date | None = None
    cards: tuple[str, ...] = ()
    where: str = ""
    only_known: bool = False


@dataclass(frozen=True, slots=True)
class StaffLine:
    """A member of staff. `until` ends a substitute's roles."""

    code: str
    name: str
    roles: tuple[str, ...]
    homeroom: tuple[str, ...]
    until: date | None
    where: str = ""


@dataclass(frozen=True, slots=True)
class LeaveLine:
    """A leave notice of a pupil by the school's code, from one half-day to another, both included.

    `name` and `school_class` are there for whoever writes; the store holds them against the code.
    """

    code: str
    name: str | None
    school_class: str | None
    first: tuple[date, Half]
    last: tuple[date, Half]
    reason: str
    where: str = ""


@dataclass(frozen=True, slots=True)
class BoardingLine:
    """A pupil who eats at school, from a day to another, on some weekdays (0 is Monday) and some meals."""

    code: str
    name: str | None
    school_class: str | None
    first: date
    last: date | None
    weekdays: tuple[int, ...]
    meals: tuple[str, ...]
    where: str = ""


@dataclass(frozen=True, slots=True)
class DietLine:
    """What a pupil eats and must not eat. Health data; `confirmed` by the school, or only told."""

    code: str
    name: str | None
    school_class: str | None
    diet: str
    allergies: tuple[str, ...]
    note: str
    confirmed: bool
    first: date | None
    where: str = ""


@dataclass(frozen=True, slots=True)
class ConsentLine:
    """A consent that a pupil's legal representative, and from 7 years on the pupil, gave or refused on a day."""

    code: str
    name: str | None
    school_class: str | None
    purpose: str
    given: bool
    pupil_agrees: bool | None
    by: str
    day: date
    where: str = ""


@dataclass(frozen=True, slots=True)
class CalendarLine:
    """Days, both included, on which the timetable doesn't hold: `kind` holiday, no-school, or make-up of a weekday.

    `half` None: the whole day; `classes` empty: the whole school; `as_weekday`: whose lessons a make-up day has.
    """

    first: date
    last: date
    kind: str
    half: Half | None
    classes: tuple[str, ...]
    as_weekday: int | None
    name: str
    where: str = ""


@dataclass(frozen=True, slots=True)
class TimetableLine:
    """The bells of a grade or class on weekdays in one half-day; see hub.attendance.evidence.Session.

    `of` is a grade such as `3`, classes, or empty for the whole school.
    """

    of: tuple[str, ...]
    weekdays: tuple[int, ...]
    half: Half
    opens: time
    starts: time
    late_after: time
    final: time
    ends: time
    stays: bool
    where: str = ""


@dataclass(frozen=True, slots=True)
class MenuLine:
    """A dish of a day's meal. `lot` and `supplier` are where it came from; `allergens` what it holds."""

    day: date
    meal: str
    dish: str
    diet: str
    allergens: tuple[str, ...]
    lot: str
    supplier: str
    where: str = ""
