"""Meal days: of each pupil and meal of a month whether they were registered, cut in time, ate, and what is chargeable.

| number | what it counts |
| --- | --- |
| registered | days on which the pupil was registered for the meal, and the school served it |
| cut | registered and cut; and cut by what stood at the money lock, also where it is another word that stands now |
| late | registered, and cut only after it; or enrolled no more by a word of that day after it |
| eaten | some serving of the pupil is confirmed: by card, by hand, or on a class list, as the first such one says |
| unconfirmed | servings, and none of them confirmed: apart, in no claim |
| seconds | further helpings: never charged |
| chargeable | registered and not cut in time, eaten or not |

Who was registered by a word of that day when the meal was over is so only where some serving is confirmed.
Who ate and was not registered, or had cut in time, ate: it is claimed and not charged, and a conflict for people.
A subsidy can be claimed for what was eaten. The months' versions say what changed against the version before.
"""

from __future__ import annotations

import hashlib
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from datetime import date
from typing import Final, Literal

import msgspec

from hub.meals.portions import Said, cuts_of, joined, lapsed, registered
from hub.meals.servings import Serving
from hub.meals.sittings import clock_ms
from hub.meals.wordorder import Until
from protocol.mealrecords import MealDays
from protocol.meals import Meal

Eaten = Literal["card", "hand", "list", "unconfirmed"]
CutTime = Literal["in-time", "late"]
BY: Final[Mapping[str, Eaten]] = {"card": "card", "name": "hand", "stranger": "hand", "list": "list"}


class PupilMeal(msgspec.Struct, frozen=True):
    """A pupil's meal on a day. `servings`, `cuts`: the records that it rests on, oldest first."""

    day: date
    meal: Meal
    pupil: str
    school_class: str
    registered: bool
    cut: CutTime | None
    eaten: Eaten | None
    seconds: int
    servings: tuple[str, ...] = ()
    cuts: tuple[str, ...] = ()

    @property
    def chargeable(self) -> bool:
        """Whether it is charged: registered and not cut by the money lock."""
        return self.registered and self.cut != "in-time"


def meals_of(said: Said, meal: Meal, servings: Iterable[Serving], lock_ms: int | None = None) -> list[PupilMeal]:
    """A meal of a day, of everybody who was registered or ate, by class and pupil. `servings`: of any meals.

    `lock_ms`: the money lock, Unix ms, where it isn't as planned.
    """
    planned = said.plan.of(meal)
    if lock_ms is None:
        lock_ms = 0 if planned is None else clock_ms(said.day, planned.money, planned.money_days_before)
    mine: dict[str, list[Serving]] = defaultdict(list)
    for one in servings:
        if one.pupil is not None and (one.day, one.meal) == (said.day, meal):
            mine[one.pupil].append(one)
    found = []
    then = {} if planned is None else cuts_of(said, planned, Until(lock_ms))
    afterwards = joined(said, meal, lock_ms)
    for expected in [*registered(said, meal), *lapsed(said, meal, lock_ms)]:
        if expected.pupil in afterwards and not any(one.confirmed for one in mine.get(expected.pupil, [])):
            continue
        before = then.get(expected.pupil, []) if expected.cut else []
        cut: CutTime | None = None if not expected.cut else "in-time" if before else "late"
        # A notice that was shortened since is another record; the meal rests on what was said by the lock, too.
        cuts = tuple(dict.fromkeys(record for record, _ in (*before, *expected.cuts)))
        place = expected.pupil, expected.school_class
        found.append(_meal(said.day, meal, place, cut, cuts, mine.pop(expected.pupil, []), expects=True))
    for pupil, served in mine.items():
        found.append(_meal(said.day, meal, (pupil, said.classes.get(pupil, "")), None, (), served, expects=False))
    return sorted(found, key=lambda one: (one.school_class, one.pupil))


def _meal(
    day: date,
    meal: Meal,
    place: tuple[str, str],
    cut: CutTime | None,
    cuts: tuple[str, ...],
    served: Sequence[Serving],
    *,
    expects: bool,
) -> PupilMeal:
    in_order = sorted(served, key=lambda one: one.nth)
    sure = next((one for one in in_order if one.confirmed), None)
    eaten: Eaten | None = BY[sure.how] if sure is not None else "unconfirmed" if in_order else None
    taps = tuple(one.tap for one in in_order)
    return PupilMeal(day, meal, *place, expects, cut, eaten, max(0, len(in_order) - 1), taps, cuts)


def month_of(meals: Iterable[PupilMeal]) -> dict[str, MealDays]:
    """Pupil -> what their meals of a month come to."""
    found: dict[str, MealDays] = {}
    for one in meals:
        found[one.pupil] = found.get(one.pupil, MealDays()).plus(_counted(one))
    return dict(sorted(found.items()))


def _counted(one: PupilMeal) -> MealDays:
    return MealDays(
        registered=int(one.registered),
        cut=int(one.cut == "in-time"),
        late=int(one.cut == "late"),
        card=int(one.eaten == "card"),
        hand=int(one.eaten == "hand"),
        list=int(one.eaten == "list"),
        unconfirmed=int(one.eaten == "unconfirmed"),
        seconds=one.seconds,
        chargeable=int(one.chargeable),
    )


def evidence_lines(meals: Iterable[PupilMeal]) -> list[str]:
    """What a month rests on, a line for each pupil and meal; sorted: `<day> <meal> <pupil> <eaten or -> <records>`."""
    return sorted(
        " ".join(
            (one.day.isoformat(), one.meal, one.pupil, one.eaten or "-", *one.servings, *(f"cut:{c}" for c in one.cuts))
        )
        for one in meals
    )


def evidence_digest(meals: Iterable[PupilMeal]) -> str:
    """SHA-256 (hex) over evidence_lines, each ended by a line break."""
    return hashlib.sha256("".join(f"{line}\n" for line in evidence_lines(meals)).encode()).hexdigest()


def restated(before: Mapping[str, MealDays], now: Mapping[str, MealDays]) -> dict[str, MealDays]:
    """What of each pupil's month is otherwise than it was stated: now less before; empty where nothing is."""
    nothing = MealDays()
    found = {pupil: now.get(pupil, nothing).plus(before.get(pupil, nothing), -1) for pupil in sorted({*before, *now})}
    return {pupil: days for pupil, days in found.items() if days != nothing}
