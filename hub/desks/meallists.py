"""Lists of meals: boarding, diets and menus as a school fills them in; who eats becomes records of the hub's own.

A list that was taken changes nothing the second time. A boarding list enrols, and takes nobody off who isn't in it; of
a pupil's diet, and of a meal's dishes, the list says all.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import date
from typing import TYPE_CHECKING, Any, Final, cast

from hub.lists.vocabulary import ALLERGENS
from hub.meals.portions import Said, portions_of
from hub.store.mealplanrows import Dish
from protocol.meals import Meal, Portion

if TYPE_CHECKING:
    from hub.lists.lines import BoardingLine, DietLine, MenuLine
    from hub.parts import Store

MEAL_LISTS: Final = ("boarding", "diet", "menus")
LISTED: Final = "nhập từ danh sách"
"""Why a list changes days that were: it is the paper that the enrolments came on."""


class MealLists:
    """See the room. All of it is asked under the ledger's lock."""

    def __init__(self, store: Store) -> None:
        """Of one hub."""
        self._store = store

    def effects(self, kind: str, found: Sequence[Any], day: date) -> dict[str, int]:
        """How many lines would bring something new, and how many are as known."""
        new = len(self._new(kind, found, day))
        return {"new": new, "same": len(found) - new}

    def take(self, kind: str, by: str, found: Sequence[Any], day: date) -> int:
        """Write what is new, within a transaction; how many lines. Raises EntryRefused."""
        store, new = self._store, self._new(kind, found, day)
        if kind == "menus":
            # A meal's dishes are one menu: a line that is new brings those beside it along.
            touched = {(line.day, line.meal) for line in new}
            store.mealdesk.cook(by, [_dish(line) for line in found if (line.day, line.meal) in touched])
        for pupil, line in new if kind != "menus" else ():
            if kind == "boarding":
                why = LISTED if line.first < day else ""
                store.mealoffice.enrol(by, pupil, line.first, line.last, line.weekdays, line.meals, why, listed=True)
            else:
                self._take_diet(by, pupil, line, day)
        return len(new)

    def _new(self, kind: str, found: Sequence[Any], day: date) -> list[Any]:
        if kind == "menus":
            known = {dish._replace(sample="") for dish in self._menus(found)}
            return [line for line in found if _dish(line) not in known]
        if kind == "boarding":
            held = self._enrolled(found)
            return [(pupil, line) for pupil, line in found if _enrolment(pupil, line) not in held]
        said = self._store.mealbook.said(day)
        return [(pupil, line) for pupil, line in found if any(self._diet_differs(pupil, line, said))]

    # --- boarding -----------------------------------------------------------------------------------------------------

    def _enrolled(self, found: Sequence[tuple[str, BoardingLine]]) -> set[tuple[Any, ...]]:
        if not found:
            return set()
        first, last = min(line.first for _, line in found), max(line.last or line.first for _, line in found)
        return {
            (one.pupil, one.first, one.last, tuple(sorted(one.weekdays)), frozenset(one.meals))
            for one in self._store.days.meals.enrolments(first, last)
        }

    # --- diets --------------------------------------------------------------------------------------------------------

    def _diet_differs(self, pupil: str, line: DietLine, said: Said) -> tuple[bool, bool]:
        """Whether what is cooked, and what must not be eaten, are otherwise than known."""
        portion = portions_of(said).get(pupil, "regular")
        diet = self._store.counters.diets([pupil]).get(pupil)
        known = ((), False) if diet is None else (diet.alerts, diet.confirmed)
        alerts = tuple(_alerts(line))
        return portion != line.diet, known != (alerts, line.confirmed and bool(alerts))

    def _take_diet(self, by: str, pupil: str, line: DietLine, day: date) -> None:
        store = self._store
        portion, alerts = self._diet_differs(pupil, line, store.mealbook.said(day))
        if portion:
            first = max(line.first or day, day)
            store.mealoffice.portion(by, pupil, line.diet, first, None)
        if alerts:
            store.mealdesk.diet(by, pupil, list(_alerts(line)), confirmed=line.confirmed)

    # --- menus --------------------------------------------------------------------------------------------------------

    def _menus(self, found: Sequence[MenuLine]) -> Iterator[Dish]:
        if found:
            days = [line.day for line in found]
            yield from self._store.mealplans.menu(min(days), max(days))


def _enrolment(pupil: str, line: BoardingLine) -> tuple[Any, ...]:
    return pupil, line.first, line.last, tuple(sorted(line.weekdays)), frozenset(line.meals)


def _alerts(line: DietLine) -> Iterator[str]:
    """What staff read: the allergen as the school says it, and the note."""
    yield from (ALLERGENS[word][0] for word in line.allergies if word != "other")
    if line.note:
        yield line.note


def _dish(line: MenuLine) -> Dish:
    meal, portion = cast("Meal", line.meal), cast("Portion", line.diet)
    return Dish(line.day, meal, portion, line.dish, line.allergens, line.lot, line.supplier)
