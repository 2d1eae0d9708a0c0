"""The data of the records of meals that hubs write: who eats, what was frozen, and what a month came to."""

from __future__ import annotations

from typing import Annotated, Final, Literal

import msgspec

from protocol.meals import By, Meal, Portion
from protocol.taps import ClockData

CLASS_PUPILS_MAX: Final = 200
STUDENTS_NAMED_MAX: Final = 100
"""Pupils named by an adjustment; `more` counts the others."""

SAYS_CHARACTERS_MAX: Final = 400
"""Of a complaint, and of an answer."""

Weekday = Annotated[int, msgspec.Meta(ge=0, le=6)]
Why = Annotated[str, msgspec.Meta(max_length=200)]


class MealEnrolled(msgspec.Struct, frozen=True, omit_defaults=True):
    """`meal.enrolled`, by a hub: from `first` to `last` (null: until further notice) `student` eats at school.

    `meals` on `weekdays` (0 is Monday). Of several words that speak of a day the newest counts, whole; one without
    meals ends it. `reason`: why days that were are changed.
    """

    student: str
    first: str
    last: str | None
    weekdays: Annotated[list[Weekday], msgspec.Meta(max_length=7)]
    meals: Annotated[list[Meal], msgspec.Meta(max_length=4)]
    by: By
    clock: ClockData
    reason: Why = ""


class MealPortion(msgspec.Struct, frozen=True, omit_defaults=True):
    """`meal.portion`, by a hub: what kitchens cook for `student` from `first` to `last` (null: until further notice).

    The newest word on a day counts; without one it is `regular`. Why stands nowhere: it may be about health.
    """

    student: str
    first: str
    last: str | None
    portion: Portion
    by: By
    clock: ClockData
    reason: Why = ""


class MealCut(msgspec.Struct, frozen=True, omit_defaults=True):
    """`meal.cut`, by a hub: `student` doesn't eat from day `first` to `last`; of `meals`, empty: of all.

    `withdraws`: the cut of this id doesn't count any more. `how` it came; leave notices cut by themselves.
    """

    student: str
    first: str
    last: str
    meals: Annotated[list[Meal], msgspec.Meta(max_length=4)]
    withdraws: str | None
    how: Literal["page", "api", "phone", "paper"]
    by: By
    clock: ClockData
    reason: Why = ""


class MealClosed(msgspec.Struct, frozen=True, omit_defaults=True):
    """`meal.closed`, by a hub: the school serves no `meals` (empty: none at all) on `day`; or, `closed` false, it does.

    The newest word on a meal counts. Who comes to a counter all the same is served all the same.
    """

    day: str
    meals: Annotated[list[Meal], msgspec.Meta(max_length=4)]
    closed: bool
    by: By
    reason: Why
    clock: ClockData


class MealService(msgspec.Struct, frozen=True, omit_defaults=True):
    """`meal.service`, by a hub: `by` says who of a class ate in the classroom, about `seen` (RFC 3339).

    The newest list of a class and meal counts, whole; where a counter served the same pupil, the counter's record does.
    `reason`: why it comes on a later day.
    """

    school_class: str = msgspec.field(name="class")
    day: str
    meal: Meal
    served: Annotated[list[str], msgspec.Meta(max_length=CLASS_PUPILS_MAX)]
    seen: str
    by: By
    clock: ClockData
    reason: Why = ""


class Portions(msgspec.Struct, frozen=True, omit_defaults=True):
    """A class's numbers: `registered` for the meal, `cut` of these, and what is cooked for the others.

    In an adjustment they are differences, and may be below 0.
    """

    registered: int = 0
    cut: int = 0
    regular: int = 0
    vegetarian: int = 0
    porridge: int = 0
    diet: int = 0

    @property
    def total(self) -> int:
        """Everything that is cooked."""
        return self.regular + self.vegetarian + self.porridge + self.diet

    def plus(self, other: Portions, sign: int = 1) -> Portions:
        """Both together, or (`sign` -1) the difference."""
        names = Portions.__struct_fields__
        return Portions(*(getattr(self, name) + sign * getattr(other, name) for name in names))


class SheetLocked(msgspec.Struct, frozen=True, omit_defaults=True):
    """`meal.sheet.locked`, by a hub: the kitchen's sheet of a meal, frozen; one of `parts`, each with some classes.

    `version` grows with each lock of a meal of a day. `due`: when it was to freeze, `frozen`: when it did (RFC 3339).
    What was said until the record stands in it. `digest`: SHA-256 (hex) over `<class> <pupil> <portion or ->`, a line
    for each pupil who is registered, of the whole school, sorted by its bytes, each ended by a line break.
    """

    day: str
    meal: Meal
    lock: Literal["provisional", "final"]
    version: Annotated[int, msgspec.Meta(ge=1)]
    due: str
    frozen: str
    rules: str
    part: Annotated[int, msgspec.Meta(ge=1)]
    parts: Annotated[int, msgspec.Meta(ge=1)]
    classes: dict[str, Portions]
    digest: str
    by: By
    clock: ClockData
    closed: bool = False


class MealAdjusted(msgspec.Struct, frozen=True, omit_defaults=True):
    """`meal.adjusted`, by a hub: after the final lock the kitchen's numbers are others by this, of one or more classes.

    `version`: of the sheet. `number`: of the adjustment, from 1. `why`: `asked`, a person adds or takes portions, or
    `follows` from other words (late cuts, leave, a move). `students`: whom it is about, the first ones; `more` others.
    """

    day: str
    meal: Meal
    version: Annotated[int, msgspec.Meta(ge=1)]
    number: Annotated[int, msgspec.Meta(ge=1)]
    why: Literal["asked", "follows"]
    classes: dict[str, Portions]
    by: By
    reason: Why
    clock: ClockData
    students: Annotated[list[str], msgspec.Meta(max_length=STUDENTS_NAMED_MAX)] = []
    more: Annotated[int, msgspec.Meta(ge=0)] = 0


class MealDays(msgspec.Struct, frozen=True, omit_defaults=True):
    """A pupil's meals of a month, as counts. `registered`; `cut` in time, `late` after the money lock.

    Eaten: by `card`, `hand` or class `list`; `unconfirmed` apart. `seconds` are never charged. `chargeable`:
    registered and not cut in time. In a restatement's `differs` they are differences, and may be below 0.
    """

    registered: int = 0
    cut: int = 0
    late: int = 0
    card: int = 0
    hand: int = 0
    list: int = 0
    unconfirmed: int = 0
    seconds: int = 0
    chargeable: int = 0

    @property
    def eaten(self) -> int:
        """What a subsidy can be claimed for; the unconfirmed apart."""
        return self.card + self.hand + self.list

    def plus(self, other: MealDays, sign: int = 1) -> MealDays:
        """Both together, or (`sign` -1) the difference."""
        names = MealDays.__struct_fields__
        return MealDays(*(getattr(self, name) + sign * getattr(other, name) for name in names))


class MealMonth(msgspec.Struct, frozen=True, omit_defaults=True):
    """`meal.month`, by a hub: what a month's `meal` came to, pupil by pupil; one of `parts`.

    A higher `version` speaks later, and has of each part all that it says; `differs`: against the version before.
    `evidence`: SHA-256 (hex) over the records that all of it rests on, see docs/reference/meals.md.
    """

    month: str
    meal: Meal
    version: Annotated[int, msgspec.Meta(ge=1)]
    rules: str
    part: Annotated[int, msgspec.Meta(ge=1)]
    parts: Annotated[int, msgspec.Meta(ge=1)]
    pupils: dict[str, MealDays]
    evidence: str
    by: By
    clock: ClockData
    differs: dict[str, MealDays] = {}
    reason: Why = ""


class MealComplaint(msgspec.Struct, frozen=True, omit_defaults=True):
    """`meal.complaint`, by a hub: what a parent `says` of a `student`'s meals of a month, or of a day and meal of it.

    `answers`: this is the school's answer to the complaint of this id; the newest counts. It changes no number.
    """

    student: str
    month: str
    says: Annotated[str, msgspec.Meta(min_length=1, max_length=SAYS_CHARACTERS_MAX)]
    by: By
    clock: ClockData
    day: str | None = None
    meal: Meal | None = None
    answers: str | None = None


MEAL_TYPES: Final[dict[str, type[msgspec.Struct]]] = {
    "meal.enrolled": MealEnrolled,
    "meal.portion": MealPortion,
    "meal.cut": MealCut,
    "meal.closed": MealClosed,
    "meal.service": MealService,
    "meal.sheet.locked": SheetLocked,
    "meal.adjusted": MealAdjusted,
    "meal.month": MealMonth,
    "meal.complaint": MealComplaint,
}
"""The shape of each of them."""
