"""The classes of a sitting: how many of each were expected, were served, and are still to come. Pure.

Numbers alone: who is missing stands on no counter's screen, and what a class paid is not known here.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from edge.canteen.census import Census, MealKey
from edge.canteen.ports import ClassTally
from edge.canteen.servings import Book, Count

CLASSES_MAX: Final = 200
"""Classes of a sitting that are told of one by one, as lists sort them; a school of 2,000 has 25 in a shift."""


def class_tallies(census: Census, book: Book, key: MealKey, shift: int) -> tuple[ClassTally, ...]:
    """Each class of which somebody is expected or was served; behind CLASSES_MAX the rest of them as one.

    At the end, nameless, whom the sheet doesn't know. Summed up they are the sitting's own numbers. It takes a step for
    each class of the shift, none for a pupil.
    """
    counts = book.classes(key, shift)
    found = [_tally(name, expected, counts.get(name, Count())) for name, expected in census.classes(key, shift) if name]
    told = [one for one in found if one.expected or one.served]
    if len(told) > CLASSES_MAX:
        told[CLASSES_MAX:] = [_together(told[CLASSES_MAX:])]
    unnamed = _tally("", dict(census.classes(key, shift)).get("", 0), counts.get("", Count()))
    return (*told, unnamed) if unnamed.expected or unnamed.served else tuple(told)


def _together(rest: Sequence[ClassTally]) -> ClassTally:
    """One line for all of these, so that nothing is left out unsaid."""
    expected, served, left = (sum(getattr(one, name) for one in rest) for name in ("expected", "served", "left"))
    return ClassTally("", expected, served, left, len(rest))


def _tally(name: str, expected: int, count: Count) -> ClassTally:
    return ClassTally(name, expected, count.served, max(0, expected - count.due))
