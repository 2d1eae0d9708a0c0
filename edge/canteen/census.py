"""The census: whom a sheet expects at which sitting, and how many. Pure."""

from __future__ import annotations

from typing import Final

from protocol.countersheet import CounterSheet, Eater
from protocol.names import class_order

MealKey = tuple[str, str]
"""ISO day and meal."""
NO_MEAL: Final[MealKey] = ("", "")
"""Where a serving belongs that was recorded outside of every meal known."""


class Census:
    """Of one sheet, made once; asked in constant time. Without a sheet nobody is expected, and nobody is known."""

    def __init__(self, sheet: CounterSheet | None = None) -> None:
        """Count who is expected where."""
        self._day = "" if sheet is None else sheet.day
        self._eaters = {} if sheet is None else {eater.student: eater for eater in sheet.eaters}
        self._shifts: dict[str, dict[str, int]] = {}
        self._closed = frozenset(plan.meal for plan in sheet.meals if plan.closed) if sheet is not None else frozenset()
        self._expected: dict[tuple[str, int], int] = {}
        for plan in () if sheet is None else sheet.meals:
            classes = self._shifts.setdefault(plan.meal, {})
            for shift in plan.shifts:
                for school_class in shift.classes or ("",):
                    # Whose class stands in no shift eats in the one for all, else in the first that there is.
                    classes.setdefault(school_class, shift.number)
            if plan.shifts:
                classes.setdefault("", plan.shifts[0].number)
        classes_of: dict[tuple[str, int], dict[str, int]] = {}
        for eater in self._eaters.values():
            for meal in self._shifts:
                shift_of = self._shift(meal, eater)
                if shift_of is not None:
                    of_class = classes_of.setdefault((meal, shift_of), {})
                    expected = of_class.get(eater.school_class, 0) + (meal in eater.meals)
                    of_class[eater.school_class] = expected
        self._classes = {
            place: tuple(sorted(found.items(), key=lambda item: class_order(item[0])))
            for place, found in classes_of.items()
        }
        for place, of_classes in self._classes.items():
            self._expected[place] = sum(expected for _, expected in of_classes)

    def eater(self, student: str | None) -> Eater | None:
        """The pupil as the sheet has them."""
        return None if student is None else self._eaters.get(student)

    def closed(self, key: MealKey) -> bool:
        """Whether the school serves no such meal on that day."""
        return key[0] == self._day and key[1] in self._closed

    def shift_of(self, key: MealKey, student: str | None) -> int | None:
        """The shift that this pupil's class eats that meal in; None where the sheet can't say."""
        eater = self.eater(student)
        return None if eater is None else self._shift(key[1], eater)

    def _shift(self, meal: str, eater: Eater) -> int | None:
        classes = self._shifts.get(meal)
        if classes is None:
            return None
        return classes.get(eater.school_class, classes.get(""))

    def expects(self, key: MealKey, student: str | None) -> bool:
        """Whether this pupil is expected at that meal of that day."""
        eater = self.eater(student) if key[0] == self._day else None
        return eater is not None and key[1] in eater.meals

    def expected(self, key: MealKey, shift: int) -> int:
        """How many are expected at that sitting; 0 on another day than the sheet's."""
        return self._expected.get((key[1], shift), 0) if key[0] == self._day else 0

    def classes(self, key: MealKey, shift: int) -> tuple[tuple[str, int], ...]:
        """The classes of that sitting as lists sort them, each with how many of it are expected: 0 on another day."""
        found = self._classes.get((key[1], shift), ())
        return found if key[0] == self._day else tuple((name, 0) for name, _ in found)
