"""The public sheet: a meal of a day in numbers that a school posts at its door, no names; and of each counter. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import date

import msgspec

from hub.meals.portions import Expected
from hub.meals.servings import Aside, Serving
from protocol.meals import Meal


class PublicSheet(msgspec.Struct, frozen=True):
    """A meal of a day. `expected`: registered and not cut; `present`: of these who are at school, None where unknown.

    `served`: pupils, each once; `seconds`: further helpings. `unclaimed`: expected and not served. `strangers`:
    servings of nobody who is known; `adults`: of staff. `unconfirmed`: servings to be seen to. `referred`: cards that
    staff were asked to see to, and nothing is written of a serving.
    """

    day: date
    meal: Meal
    registered: int
    cut: int
    expected: int
    present: int | None
    served: int
    seconds: int
    unclaimed: int
    strangers: int
    adults: int
    unconfirmed: int
    referred: int
    closed: bool = False


class CounterLine(msgspec.Struct, frozen=True):
    """What a counter served in a shift: first helpings, seconds, strangers; when the last one was, Unix ms."""

    device: str
    point: str
    shift: int
    served: int
    seconds: int
    strangers: int
    last_ms: int


def public_sheet(
    day: date,
    meal: Meal,
    registered: Sequence[Expected],
    servings: Iterable[Serving],
    aside: Iterable[Aside] = (),
    present: Iterable[str] | None = None,
    *,
    closed: bool = False,
) -> PublicSheet:
    """The numbers of a meal; `servings` and `aside` of any meals, `present`: pupils who are at school that day."""
    mine = [one for one in servings if (one.day, one.meal) == (day, meal)]
    expected = {one.pupil for one in registered if not one.cut}
    eaters = {one.pupil for one in mine if one.pupil is not None}
    return PublicSheet(
        day=day,
        meal=meal,
        registered=len(registered),
        cut=len(registered) - len(expected),
        expected=len(expected),
        present=None if present is None else len(expected.intersection(present)),
        served=len(eaters),
        seconds=sum(one.pupil is not None and one.second for one in mine),
        unclaimed=len(expected - eaters),
        strangers=sum(one.pupil is None and one.adult is None for one in mine),
        adults=sum(one.adult is not None for one in mine),
        unconfirmed=sum(not one.confirmed for one in mine),
        referred=sum(one.what == "referred" and (one.day, one.meal) == (day, meal) for one in aside),
        closed=closed,
    )


def counter_lines(day: date, meal: Meal, servings: Iterable[Serving]) -> list[CounterLine]:
    """Of each counter and shift what it served, by their names; class lists are no counter's."""
    found: dict[tuple[str, str, int], CounterLine] = {}
    for one in servings:
        if (one.day, one.meal) != (day, meal) or one.how == "list":
            continue
        place = one.device, one.point, one.shift
        line = found.get(place, CounterLine(*place, 0, 0, 0, one.when.best_ms))
        nobody = one.pupil is None and one.adult is None
        found[place] = msgspec.structs.replace(
            line,
            served=line.served + (not nobody and not one.second),
            seconds=line.seconds + (not nobody and one.second),
            strangers=line.strangers + nobody,
            last_ms=max(line.last_ms, one.when.best_ms),
        )
    return [line for _, line in sorted(found.items())]
