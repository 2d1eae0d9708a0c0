"""The register: the school's pupils on a day, as the city's rows say, and what doesn't fit together in them.

A pupil is a student with an enrolment in a homeroom class of the school year that has begun. Whose newest class is of
the year before is *held over* until a person begins the new year, since an enrolment that the city hasn't entered yet
looks like one who left.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date
from typing import Final, Literal, TypeVar

from hub.rostersync.held import Held, HeldRow
from hub.rostersync.rows import Demographics, Enrolment, Org, Owned, SchoolClass, Session, Sex, User
from protocol.errors import NeedsHands

PERSONAL_NUMBER: Final = re.compile(r"\d{12}")
"""Số định danh cá nhân (Law on Identification 26/2023/QH15): it tells sex, birth year and place, and is not taken."""
PARENTS_MAX: Final = 8
NOTES_MAX: Final = 2_000
_Kind = TypeVar("_Kind", Org, Session, SchoolClass, Enrolment, User, Demographics, Owned)

NoteCode = Literal[
    "row-unreadable",
    "class-unknown",
    "pupil-unknown",
    "two-classes",
    "double-code",
    "personal-number",
    "pupil-unclear",
    "card-holder-unknown",
    "not-at-city",
    "provisional-waits",
    "provisional-expired",
]


class SchoolUnknown(NeedsHands):
    """The city's roster names several schools, and none of them is this hub's."""

    code = "roster-school-unknown"
    hint = (
        "Ask the city's operators that this client sees its own school only, or that its `identifier` is [hub] school."
    )


@dataclass(frozen=True, slots=True)
class Note:
    """A discrepancy, for the report: `about` is an id of the city's or a pupil's key, never a name."""

    code: NoteCode
    about: str
    detail: str = ""


@dataclass(frozen=True, slots=True)
class CityPupil:
    """A pupil as the master says. `school_class` None: the city names a class that it doesn't have.

    `since`: from when they are in it; `held_over`: it is last year's; `missing`: they are there by grace.
    """

    city_id: str
    code: str | None
    name: str
    birth: date | None
    sex: Sex | None
    school_class: str | None
    since: date | None = None
    held_over: bool = False
    missing: bool = False


@dataclass(frozen=True, slots=True)
class Year:
    """A school year; both days are included."""

    id: str
    title: str
    first: date
    last: date


@dataclass(frozen=True, slots=True)
class Register:
    """See the room. `ended`: whose enrolment ended, and when; `opaque`: who is there, and can't be read.

    `adrift`: students who are there and in no class. Somebody who is moved while one pages looks like that.
    """

    pupils: Mapping[str, CityPupil]
    ended: Mapping[str, date]
    opaque: frozenset[str]
    adrift: frozenset[str]
    notes: tuple[Note, ...]
    year: Year | None
    before: Year | None
    next: Year | None


def rows_of(held: Held, collection: str, kind: type[_Kind]) -> Iterator[tuple[str, _Kind, HeldRow]]:
    """The rows of a collection that are there and can be read, by id."""
    for name, one in sorted(held.get(collection, {}).items()):
        if one.row.active and isinstance(one.row.facts, kind):
            yield name, one.row.facts, one


def years_of(held: Held) -> list[Year]:
    """The school years, first ones first."""
    found = [
        Year(name, session.title, session.first, session.last)
        for name, session, _ in rows_of(held, "academicSessions", Session)
        if session.kind == "schoolYear"
    ]
    return sorted(found, key=lambda year: (year.first, year.id))


def register(held: Held, school: str, day: date, begun: str | None) -> Register:
    """The pupils on a day. `begun`: the id of the year that a person began last. Raises SchoolUnknown."""
    years = years_of(held)
    started = [year for year in years if year.first <= day]
    # Before the first year that the city knows, its classes are the only ones there are.
    current = started[-1] if started else years[0] if years else None
    later = [year for year in years if current is not None and year.first > current.first]
    work = _Work(held, current, _school(held, school), day, begun)
    pupils = work.pupils()
    return Register(
        pupils,
        work.ended,
        frozenset(_opaque(held)),
        frozenset(work.students() - pupils.keys()),
        tuple([*work.notes, *_doubled(pupils.values()), *_owners(held)][:NOTES_MAX]),
        current,
        started[-2] if len(started) > 1 else None,
        later[0] if later else None,
    )


@dataclass(frozen=True, slots=True)
class _Place:
    """An enrolment with its class, whose year it is of (None: nothing says), and whether it is there by grace."""

    enrolment: Enrolment
    title: str
    year: Year | None
    missing: bool
    id: str

    def rank(self) -> tuple[bool, bool, date, str]:
        """Of several the greatest counts: one that was seen, that is primary, the newest."""
        return (not self.missing, self.enrolment.primary, self.enrolment.first or date.min, self.id)

    def in_force(self, day: date) -> bool:
        """Whether it holds on a day; within a year's holidays as at its nearest end."""
        first = day if self.year is None else max(day, self.year.first)
        last = day if self.year is None else min(day, self.year.last)
        begin, end = self.enrolment.first, self.enrolment.last
        return (begin is None or begin <= first) and (end is None or end >= last)


class _Work:
    """One derivation."""

    def __init__(self, held: Held, current: Year | None, school: str | None, day: date, begun: str | None) -> None:
        self._held, self._current, self._school, self._day, self._begun = held, current, school, day, begun
        self.notes: list[Note] = []
        self.ended: dict[str, date] = {}
        self._years = {year.id: year for year in years_of(held)}
        self._parents = {name: found.parent for name, found, _ in rows_of(held, "academicSessions", Session)}
        self._unplaced: set[str] = set()

    def students(self) -> set[str]:
        """Whom the city has as a student, or as nothing."""
        return {name for name, user, _ in rows_of(self._held, "users", User) if _student(user)}

    def pupils(self) -> dict[str, CityPupil]:
        places = self._places()
        users = {name: (user, row) for name, user, row in rows_of(self._held, "users", User)}
        more = {name: found for name, found, _ in rows_of(self._held, "demographics", Demographics)}
        known = self._held.get("users", {})
        self.notes += [Note("pupil-unknown", name) for name in sorted((places.keys() | self._unplaced) - known.keys())]
        found: dict[str, CityPupil] = {}
        for name in sorted((places.keys() | self._unplaced) & users.keys()):
            user, row = users[name]
            if not _student(user):
                continue
            pupil = self._pupil(name, user, more.get(name, Demographics(None, None)), places.get(name, []))
            if pupil is not None:
                found[name] = replace(pupil, missing=pupil.missing or row.missing > 0)
        return found

    def _pupil(self, name: str, user: User, more: Demographics, places: Sequence[_Place]) -> CityPupil | None:
        code = user.code
        if code is not None and PERSONAL_NUMBER.fullmatch(code):
            self.notes.append(Note("personal-number", name))
            code = None
        unplaced = CityPupil(name, code, user.name, more.birth, more.sex, None)
        now = [place for place in places if self._of_this_year(place)]
        forced = [place for place in now if place.in_force(self._day)]
        if forced:
            seen = {place.title for place in forced if not place.missing}
            if len(seen) > 1:
                self.notes.append(Note("two-classes", name, ", ".join(sorted(seen))))
            return self._placed(unplaced, max(forced, key=_Place.rank))
        if name in self._unplaced:
            return unplaced
        ends = [place.enrolment.last for place in now if place.enrolment.last is not None]
        if ends:
            self.ended[name] = max(ends)
        older = [
            place
            for place in places
            if place.year is not None
            and self._current is not None
            and place.year.first < self._current.first
            and place.in_force(self._day)
        ]
        if ends or not older or self._current is None or self._begun == self._current.id:
            return None
        newest = max(older, key=lambda place: (place.year.first if place.year else date.min, place.rank()))
        return replace(self._placed(unplaced, newest), held_over=True)

    def _placed(self, pupil: CityPupil, place: _Place) -> CityPupil:
        return replace(pupil, school_class=place.title, since=place.enrolment.first, missing=place.missing)

    def _of_this_year(self, place: _Place) -> bool:
        return place.year is None or (self._current is not None and place.year.id == self._current.id)

    def _places(self) -> dict[str, list[_Place]]:
        """Each student's enrolments in homeroom classes of this school."""
        classes = dict(self._held.get("classes", {}))
        found: dict[str, list[_Place]] = defaultdict(list)
        for name, enrolment, row in rows_of(self._held, "enrollments", Enrolment):
            if enrolment.role != "student":
                continue
            at = classes.get(enrolment.school_class)
            if at is None or not isinstance(at.row.facts, SchoolClass):
                self.notes.append(Note("class-unknown", enrolment.user, enrolment.school_class))
                self._unplaced.add(enrolment.user)
            elif at.row.facts.kind == "homeroom" and self._school in (None, at.row.facts.school or self._school):
                year = self._year_of(at.row.facts)
                found[enrolment.user].append(_Place(enrolment, at.row.facts.title, year, row.missing > 0, name))
        return found

    def _year_of(self, school_class: SchoolClass) -> Year | None:
        for term in school_class.terms:
            at: str | None = term
            for _ in range(PARENTS_MAX):
                if at is None:
                    break
                if at in self._years:
                    return self._years[at]
                at = self._parents.get(at)
        return None


def _student(user: User) -> bool:
    return not user.roles or "student" in user.roles


def _school(held: Held, school: str) -> str | None:
    """The org whose classes count; None where nothing tells schools apart."""
    schools = {name: org for name, org, _ in rows_of(held, "orgs", Org) if org.kind == "school"}
    if len(schools) <= 1:
        return next(iter(schools), None)
    mine = [name for name, org in schools.items() if school in (name, org.identifier)]
    if len(mine) != 1:
        raise SchoolUnknown(f"{len(schools)} schools, {len(mine)} of them with the identifier {school}")
    return mine[0]


def _opaque(held: Held) -> Iterator[str]:
    """Whom nobody can read, and never could: they are there all the same."""
    for name, one in held.get("users", {}).items():
        if one.row.active and one.row.facts is None:
            yield name


def _doubled(pupils: Iterable[CityPupil]) -> Iterator[Note]:
    by_code: dict[str, list[str]] = defaultdict(list)
    for pupil in pupils:
        if pupil.code is not None:
            by_code[pupil.code].append(pupil.city_id)
    for names in by_code.values():
        if len(names) > 1:
            yield from (Note("double-code", name, f"{len(names)} pupils have it") for name in names)


def _owners(held: Held) -> Iterator[Note]:
    """Rows that can't be read, and cards of nobody."""
    for collection, rows in sorted(held.items()):
        yield from (Note("row-unreadable", name, collection) for name, one in sorted(rows.items()) if one.unreadable)
    users = held.get("users", {})
    for name, owned, _ in rows_of(held, "cards", Owned):
        if owned.user not in users:
            yield Note("card-holder-unknown", name)
