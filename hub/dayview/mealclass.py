"""A class's meals on a page: of each pupil whether they are registered, and which word or notice cuts them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import date
from typing import TYPE_CHECKING

from hub.dayview.namesakes import called
from hub.meals.portions import Cut, Enrolment, cuts_of, registered
from hub.meals.sittings import clock_ms
from hub.meals.wordorder import Until, in_word_order

if TYPE_CHECKING:
    from hub.parts import Store
    from hub.store.peoplerows import Person
    from protocol.meals import Meal


@dataclass(frozen=True, slots=True)
class Eater:
    """A pupil of a class. `cuts`: words that stand on the day; `leave`: a leave notice cuts them.

    `late`: the meal is cut, and wasn't yet at the money lock.
    """

    person: Person
    registered: bool
    cuts: tuple[Cut, ...]
    leave: bool
    late: bool
    enrolment: Enrolment | None

    @property
    def cut(self) -> bool:
        """Whether anything cuts them."""
        return bool(self.cuts) or self.leave


@dataclass(frozen=True, slots=True)
class ClassMeals:
    """A class at a meal of a day, in the order of names; when the kitchen's lock and the money's fall, Unix ms."""

    eaters: tuple[Eater, ...]
    final_ms: int | None
    money_ms: int | None


def members_named(store: Store, school_class: str, day: date, *, births: bool) -> list[Person]:
    """The pupils of a class by name, with what tells namesakes apart."""
    with store.database.lock:
        members = store.cardbook.members(school_class, day)
        names = called(members, store.people.find, births=births)
    return [replace(one, name=names[one.key]) for one in members]


def class_meals(store: Store, school_class: str, day: date, meal: Meal, *, births: bool) -> ClassMeals:
    """See the class."""
    people = members_named(store, school_class, day, births=births)
    keys = {one.key for one in people}
    with store.database.lock:
        said = store.mealbook.said(day)
    planned = said.plan.of(meal)
    money_ms = None if planned is None else clock_ms(day, planned.money, planned.money_days_before)
    expected = {one.pupil: one for one in registered(said, meal) if one.pupil in keys}
    in_time = {} if planned is None or money_ms is None else cuts_of(said, planned, Until(money_ms))
    standing: dict[str, list[Cut]] = {}
    for cut in said.cuts:
        if cut.pupil in keys and cut.gone_ms is None and cut.speaks_of(day, meal):
            standing.setdefault(cut.pupil, []).append(cut)
    enrolled = _newest([one for one in said.enrolments if one.pupil in keys])
    eaters = []
    for person in people:
        mine, own = expected.get(person.key), standing.get(person.key, [])
        records = () if mine is None else mine.cuts
        leave = bool({record for record, _ in records} - {one.id for one in own})
        late = bool(records) and person.key not in in_time
        eaters.append(Eater(person, mine is not None, tuple(own), leave, late, enrolled.get(person.key)))
    final_ms = None if planned is None else clock_ms(day, planned.final)
    return ClassMeals(tuple(eaters), final_ms, money_ms)


def _newest(words: list[Enrolment]) -> Mapping[str, Enrolment]:
    return {one.pupil: one for one in in_word_order(words, lambda one: (one.id, one.at_ms))}
