"""Rows of the city's roster: what of OneRoster's objects is read, each held to its types.

See docs/reference/oneroster.md.

Telephone numbers, addresses, parents and personal numbers stand in such objects, too; they are neither asked for nor
read. A row that can't be understood still counts as there: nobody goes because somebody mistyped their birthday.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any, Final, Literal

import msgspec

from hub.fitting import unfit
from protocol.errors import BadMessage
from protocol.names import spelled

ID_CHARACTERS_MAX: Final = 255
"""OneRoster 1.2 gives a sourcedId so many."""
NAME_CHARACTERS_MAX: Final = 120
CLASS_CHARACTERS_MAX: Final = 40
CODE_CHARACTERS_MAX: Final = 40
WORD_CHARACTERS_MAX: Final = 100
PAGE_ROWS_MAX: Final = 20_000
LINKS_MAX: Final = 100
_HIDDEN: Final = re.compile("[\x00-\x1f\x7f-\x9f\u200b-\u200f\u2028-\u202e\u2060-\u2069\ufeff]")
"""Controls, and marks that turn the direction of what stands behind them: no id has them."""


Sex = Literal["m", "f"]


@dataclass(frozen=True, slots=True)
class Org:
    """A school, or what is above it."""

    kind: str
    name: str
    identifier: str | None


@dataclass(frozen=True, slots=True)
class Session:
    """A school year or a part of one; both days are included."""

    kind: str
    title: str
    first: date
    last: date
    parent: str | None


@dataclass(frozen=True, slots=True)
class SchoolClass:
    """A class; only those of the kind `homeroom` are pupils' classes."""

    kind: str
    title: str
    school: str | None
    terms: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Enrolment:
    """Who belongs to a class, and from when to when; both days are included."""

    user: str
    school_class: str
    role: str
    primary: bool
    first: date | None
    last: date | None


@dataclass(frozen=True, slots=True)
class User:
    """A person; `code` is the school's own name for them."""

    name: str
    code: str | None
    roles: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Demographics:
    """Of the user with the same id."""

    birth: date | None
    sex: Sex | None


@dataclass(frozen=True, slots=True)
class Owned:
    """Something of a user's: a card, a meal entitlement, a dietary alert. Whose it is, is all that is read yet."""

    user: str


Facts = Org | Session | SchoolClass | Enrolment | User | Demographics | Owned


@dataclass(frozen=True, slots=True)
class Row:
    """A row as it came. `facts` is None where it can't be understood; `active` is False where it says that it goes."""

    id: str
    modified_ms: int | None
    active: bool
    facts: Facts | None


# --- as they travel ---------------------------------------------------------------------------------------------------


class _Ref(msgspec.Struct):
    sourcedId: str


class _Head(msgspec.Struct):
    sourcedId: str
    status: str = "active"
    dateLastModified: Any = None


class _Org(msgspec.Struct):
    name: str
    type: str
    identifier: str | None = None


class _Session(msgspec.Struct):
    title: str
    type: str
    startDate: str
    endDate: str
    parent: _Ref | None = None


class _Class(msgspec.Struct):
    title: str
    classType: str
    school: _Ref | None = None
    terms: list[_Ref] = []


class _Enrolment(msgspec.Struct):
    user: _Ref
    class_: _Ref = msgspec.field(name="class")
    role: str
    primary: bool = False
    beginDate: str | None = None
    endDate: str | None = None


class _Role(msgspec.Struct):
    role: str


class _User(msgspec.Struct):
    familyName: str
    givenName: str
    middleName: str | None = None
    identifier: str | None = None
    roles: list[_Role] = []


class _Demographics(msgspec.Struct):
    birthDate: str | None = None
    sex: str | None = None


class _Owned(msgspec.Struct):
    user: _Ref


def _org(raw: bytes) -> Org:
    found = msgspec.json.decode(raw, type=_Org)
    identifier = None if found.identifier is None else _word(found.identifier)
    return Org(_word(found.type), _text(found.name, NAME_CHARACTERS_MAX), identifier)


def _session(raw: bytes) -> Session:
    found = msgspec.json.decode(raw, type=_Session)
    first, last = _day(found.startDate), _day(found.endDate)
    if last < first:
        raise ValueError("it ends before it begins")
    parent = None if found.parent is None else _name(found.parent)
    return Session(_word(found.type), _text(found.title, NAME_CHARACTERS_MAX), first, last, parent)


def _class(raw: bytes) -> SchoolClass:
    found = msgspec.json.decode(raw, type=_Class)
    if len(found.terms) > LINKS_MAX:
        raise ValueError("too many terms")
    school = None if found.school is None else _name(found.school)
    return SchoolClass(
        _word(found.classType),
        _text(found.title, CLASS_CHARACTERS_MAX),
        school,
        tuple(_name(term) for term in found.terms),
    )


def _enrolment(raw: bytes) -> Enrolment:
    found = msgspec.json.decode(raw, type=_Enrolment)
    first = None if found.beginDate is None else _day(found.beginDate)
    last = None if found.endDate is None else _day(found.endDate)
    return Enrolment(_name(found.user), _name(found.class_), _word(found.role), found.primary, first, last)


def _user(raw: bytes) -> User:
    found = msgspec.json.decode(raw, type=_User)
    if len(found.roles) > LINKS_MAX:
        raise ValueError("too many roles")
    # Vietnamese names are written family, middle, given, and so they are kept.
    name = _text(f"{found.familyName} {found.middleName or ''} {found.givenName}", NAME_CHARACTERS_MAX)
    code = None if found.identifier is None or not found.identifier.strip() else found.identifier
    return User(
        name,
        None if code is None else _text(code, CODE_CHARACTERS_MAX),
        tuple(sorted({_word(role.role) for role in found.roles})),
    )


def _demographics(raw: bytes) -> Demographics:
    found = msgspec.json.decode(raw, type=_Demographics)
    birth = None if not found.birthDate else _day(found.birthDate)
    return Demographics(birth, SEXES.get((found.sex or "").casefold()))


SEXES: Final[Mapping[str, Sex]] = {"male": "m", "female": "f"}


def _owned(raw: bytes) -> Owned:
    return Owned(_name(msgspec.json.decode(raw, type=_Owned).user))


NEEDED: Final = ("orgs", "academicSessions", "classes", "enrollments", "users")
"""The collections that every server has, in the order in which they are asked for."""
OPTIONAL: Final = ("demographics", "cards", "mealEntitlements", "dietaryAlerts")
"""Those that a server may lack: it says so by 403, 404 or 501."""
_READERS: Final[Mapping[str, tuple[Callable[[bytes], Facts], str]]] = {
    "orgs": (_org, "name,type,identifier"),
    "academicSessions": (_session, "title,type,startDate,endDate,parent"),
    "classes": (_class, "title,classType,school,terms"),
    "enrollments": (_enrolment, "user,class,role,primary,beginDate,endDate"),
    "users": (_user, "familyName,middleName,givenName,identifier,roles"),
    "demographics": (_demographics, "birthDate,sex"),
    "cards": (_owned, "user"),
    "mealEntitlements": (_owned, "user"),
    "dietaryAlerts": (_owned, "user"),
}


FACTS: Final[Mapping[str, type[Facts]]] = {
    "orgs": Org,
    "academicSessions": Session,
    "classes": SchoolClass,
    "enrollments": Enrolment,
    "users": User,
    "demographics": Demographics,
    "cards": Owned,
    "mealEntitlements": Owned,
    "dietaryAlerts": Owned,
}
"""Collection -> what is read of its rows."""


def fields_of(collection: str) -> str:
    """The `fields` parameter: what isn't read needn't travel."""
    return f"sourcedId,status,dateLastModified,{_READERS[collection][1]}"


def read_page(collection: str, body: bytes) -> tuple[Row, ...]:
    """The rows of an answer, in its order. Raises BadMessage where it is no list of rows that each have an id."""
    try:
        whole = msgspec.json.decode(body, type=dict[str, msgspec.Raw])
        raws = msgspec.json.decode(whole[collection], type=list[msgspec.Raw])
        if len(raws) > PAGE_ROWS_MAX:
            raise ValueError(f"more than {PAGE_ROWS_MAX} rows")
        return tuple(_row(collection, bytes(raw)) for raw in raws)
    except (msgspec.MsgspecError, KeyError, ValueError, RecursionError) as problem:
        # What stood there may be somebody's name.
        raise BadMessage(f"an answer without rows of {collection}: {type(problem).__name__}") from problem


def _row(collection: str, raw: bytes) -> Row:
    head = msgspec.json.decode(raw, type=_Head)
    if not 0 < len(head.sourcedId) <= ID_CHARACTERS_MAX or _HIDDEN.search(head.sourcedId):
        raise ValueError("a row's id is empty, too long, or holds a control")
    facts: Facts | None = None
    with suppress(msgspec.ValidationError, ValueError):
        facts = _READERS[collection][0](raw)
    # What a server calls inactive in its own words is there until it is deleted.
    return Row(head.sourcedId, _moment_ms(head.dateLastModified), head.status.casefold() != "tobedeleted", facts)


def _moment_ms(text: Any) -> int | None:
    if not isinstance(text, str):
        return None
    try:
        moment = datetime.fromisoformat(text)
        return None if moment.tzinfo is None else int(moment.timestamp() * 1000)
    except (ValueError, OverflowError):
        return None


def _day(text: str) -> date:
    """A day, also where a server writes a moment; its first ten characters are the day either way."""
    day = date.fromisoformat(text[:10])
    if not 1900 < day.year < 2200:
        raise ValueError("no day of anybody's life")
    return day


def _name(reference: _Ref) -> str:
    if not 0 < len(reference.sourcedId) <= ID_CHARACTERS_MAX:
        raise ValueError("a reference to nothing")
    return reference.sourcedId


def _word(text: str) -> str:
    """A word of a vocabulary that servers extend as they like."""
    if len(text) > WORD_CHARACTERS_MAX:
        raise ValueError("a word that is none")
    return text


def _text(text: str, most: int) -> str:
    found = spelled(text)
    if not 0 < len(found) <= most or unfit(found, symbols=True) is not None:
        raise ValueError("a text that is empty, too long, unseen, markup, or a formula")
    return found
