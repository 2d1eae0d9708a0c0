"""What stands already of meals: so that a form or a request that comes twice finds its record, and makes no other.

Each is asked within the transaction of its entry, so of two at the very same moment the second finds the first.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date
from typing import TYPE_CHECKING

from hub.meals.portions import Cut, Enrolment, is_closed
from hub.meals.wordorder import in_word_order
from protocol.meals import Meal

if TYPE_CHECKING:
    from hub.web.ground import Web


def standing_cut(web: Web, pupil: str, first: date, last: date, meals: Sequence[Meal]) -> Cut | None:
    """A cut of these days and meals that wasn't withdrawn: of two, one would go on after the other was taken back."""
    asked = pupil, first, last, set(meals)
    with web.store.database.lock:
        found = web.store.days.meals.cuts(first, last)
    standing = [one for one in found if one.gone_ms is None]
    return next((one for one in standing if (one.pupil, one.first, one.last, set(one.meals)) == asked), None)


def standing_enrolment(
    web: Web, pupil: str, first: date, last: date | None, weekdays: Sequence[int], meals: Sequence[Meal]
) -> Enrolment | None:
    """The pupil's newest word of that day, where it says just this."""
    return standing_enrolments(web, [pupil], first, last, weekdays, meals).get(pupil)


def standing_enrolments(
    web: Web, pupils: Sequence[str], first: date, last: date | None, weekdays: Sequence[int], meals: Sequence[Meal]
) -> dict[str, Enrolment]:
    """Pupil -> their newest word of that day, of those where it says just this; the day's words are read once."""
    words: dict[str, list[Enrolment]] = {pupil: [] for pupil in pupils}
    with web.store.database.lock:
        for one in web.store.days.meals.enrolments(first, first):
            if one.pupil in words:
                words[one.pupil].append(one)
    found = {}
    for pupil, mine in words.items():
        newest = next(reversed(in_word_order(mine, lambda one: (one.id, one.at_ms))), None)
        said = None if newest is None else (newest.first, newest.last, set(newest.weekdays), set(newest.meals))
        if newest is not None and said == (first, last, set(weekdays), set(meals)):
            found[pupil] = newest
    return found


def standing_closure(web: Web, day: date, meals: Sequence[Meal], *, closed: bool) -> str | None:
    """The record of the newest word on whether there are meals, where they (all, if none is named) stand so."""
    with web.store.database.lock:
        known = web.store.mealbook.said(day)
        words = in_word_order(known.closures, lambda one: (one.id, one.at_ms))
    asked = meals or [one.meal for one in known.plan.meals]
    words = [one for one in words if not one.meals or not set(one.meals).isdisjoint(asked)]
    return words[-1].id if words and all(is_closed(known, meal) == closed for meal in asked) else None


def standing_servings(web: Web, day: date, meals: Sequence[Meal]) -> int:
    """How many servings there are of these meals of a day, or of all; they count, also where there is no such meal."""
    with web.store.database.lock:
        found = web.store.mealbook.served(day).servings
    return sum(one.day == day and (not meals or one.meal in meals) for one in found)


def standing_complaint(web: Web, pupil: str, month: str, says: str, answers: str | None = None) -> str | None:
    """The record of a complaint, or of an answer to one, in just these words. The month is one."""
    with web.store.database.lock:
        rows = web.store.days.meals.complaints.of(month, pupil)
    return next((one.record for one in rows if (one.answers, one.says) == (answers, says)), None)
