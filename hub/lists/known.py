"""Known pupils: who is of the school, and in which class from day to day, as the hub has them. Pure values."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from typing import Literal

Origin = Literal["city", "list", "hand"]
PupilState = Literal["enrolled", "provisional", "left"]


@dataclass(frozen=True, slots=True)
class Enrolment:
    """A class from a day to another, both included; `last` None: until further notice."""

    school_class: str
    first: date
    last: date | None = None


@dataclass(frozen=True, slots=True)
class KnownPupil:
    """A pupil as the tables `pupils` and `enrolments` have them; `enrolments` by their days, never overlapping.

    `key` is the hub's own name for them for ever. `missing` is 0 while lists name them.
    """

    key: str
    name: str
    code: str | None
    city_id: str | None
    birth: date | None
    sex: str | None
    state: PupilState
    origin: Origin
    missing: int
    enrolments: tuple[Enrolment, ...]


def class_on(pupil: KnownPupil, day: date) -> str | None:
    """The pupil's class on a day."""
    for piece in pupil.enrolments:
        # Of our own roster's pupils some have no class.
        if piece.school_class and piece.first <= day and (piece.last is None or day <= piece.last):
            return piece.school_class
    return None
