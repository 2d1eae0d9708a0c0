"""Conflicts: where what counters saw and what was said of a pupil don't go together; for people, never settled here.

| conflict | what stands against what |
| --- | --- |
| `ate-absent` | a serving of the pupil, and every half-day of that day says absent, excused or unexcused |
| `present-not-eaten` | expected at the meal, at school, and no serving; only once all counters' records are there |
| `cut-but-ate` | a serving, and a cut or leave that stands |
| `unregistered` | a serving, and the pupil is not registered for the meal |
| `unconfirmed` | a serving that may be none, or another's, or of another meal |
| `outside` | a serving whose time, by a counter or a person's list, lies out of the meal's hours; it counts |
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator
from datetime import date
from typing import Literal, get_args

import msgspec

from hub.meals.mealdays import PupilMeal
from hub.meals.servings import Serving
from protocol.meals import Meal

ConflictKind = Literal["ate-absent", "present-not-eaten", "cut-but-ate", "unregistered", "unconfirmed", "outside"]
CONFLICT_KINDS: tuple[ConflictKind, ...] = get_args(ConflictKind)


class Conflict(msgspec.Struct, frozen=True):
    """One thing that somebody should look at. `evidence`: the records, servings first."""

    kind: ConflictKind
    day: date
    meal: Meal
    pupil: str
    school_class: str
    evidence: tuple[str, ...]


def conflicts(
    meals: Iterable[PupilMeal],
    servings: Iterable[Serving],
    present: Collection[str],
    absent: Collection[str],
    *,
    complete: bool,
) -> list[Conflict]:
    """Everything that contradicts itself at a meal, by kind, class and pupil.

    `present`, `absent`: pupils of whom that is known of the whole day; `complete`: all counters' records are there.
    """
    mine = [one for one in servings if one.pupil is not None]
    unsure = {(one.pupil, one.tap) for one in mine if not one.confirmed}
    outside = {(one.pupil, one.tap) for one in mine if "outside" in one.flags}
    found = [one for meal in meals for one in _of(meal, unsure, outside, present, absent, complete=complete)]
    return sorted(found, key=lambda one: (CONFLICT_KINDS.index(one.kind), one.school_class, one.pupil))


def _of(
    meal: PupilMeal,
    unsure: Collection[tuple[str | None, str]],
    outside: Collection[tuple[str | None, str]],
    present: Collection[str],
    absent: Collection[str],
    *,
    complete: bool,
) -> Iterator[Conflict]:
    def named(kind: ConflictKind, *evidence: str) -> Conflict:
        return Conflict(kind, meal.day, meal.meal, meal.pupil, meal.school_class, evidence)

    if meal.eaten is not None:
        if meal.pupil in absent:
            yield named("ate-absent", *meal.servings)
        if meal.cut is not None:
            yield named("cut-but-ate", *meal.servings, *meal.cuts)
        if not meal.registered:
            yield named("unregistered", *meal.servings)
        kinds: tuple[tuple[ConflictKind, Collection[tuple[str | None, str]]], ...]
        kinds = ("unconfirmed", unsure), ("outside", outside)
        for kind, flagged in kinds:
            found = [tap for tap in meal.servings if (meal.pupil, tap) in flagged]
            if found:
                yield named(kind, *found)
    elif meal.registered and meal.cut is None and complete and meal.pupil in present:
        yield named("present-not-eaten")
