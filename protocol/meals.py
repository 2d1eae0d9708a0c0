"""Meals as counters, hub and city name them: which meal, which portion, what a counter knew of a serving.

What a counter says is what it believed and showed; the hub counts by effective times and by what all counters said.
"""

from __future__ import annotations

from typing import Annotated, Final, Literal, get_args

import msgspec

Meal = Literal["breakfast", "lunch", "snack", "dinner"]
"""`snack` is the school afternoon's bữa xế."""
Portion = Literal["regular", "vegetarian", "porridge", "diet"]
"""Mặn, chay, cháo; `diet`: cooked for this pupil alone, as the school confirmed."""
Face = Literal["good", "fair", "bad"]
"""The three faces at the tray return."""
MEALS: Final[tuple[Meal, ...]] = get_args(Meal)
PORTIONS: Final[tuple[Portion, ...]] = get_args(Portion)
FACES: Final[tuple[Face, ...]] = get_args(Face)

NTH_MAX: Final = 99
"""More helpings of one pupil at one meal are a fault of somebody's; the record says 99."""
SHIFTS_MAX: Final = 8

By = Annotated[str, msgspec.Meta(min_length=1, max_length=64)]


class ByHand(msgspec.Struct, frozen=True, omit_defaults=True):
    """A serving that a person at the counter entered, instead of a card that was accepted.

    `how`: the pupil was found by `name`; or is a `stranger` to the counter, whose card it can't read or doesn't know.
    `by`: who had the shift there; `-` where nobody had said. `of`: the record of the card that was referred to staff
    just before, which this serving answers.
    """

    how: Literal["name", "stranger"]
    by: By
    of: str | None = None


class MealTap(msgspec.Struct, frozen=True, omit_defaults=True):
    """What a counter believed of a serving when it showed it: `meal` of ISO `day`, in `shift` (from 1).

    `nth`: 1 is the first helping, 2 the second. `alone`: at that moment not every other counter was heard, so a first
    one may be a second; the hub tells later. `ask`: the school wants staff to be asked about second helpings.
    """

    day: str
    meal: Meal
    shift: Annotated[int, msgspec.Meta(ge=1, le=SHIFTS_MAX)] = 1
    nth: Annotated[int, msgspec.Meta(ge=1, le=NTH_MAX)] = 1
    alone: bool = False
    ask: bool = False
