"""The making of the counters' sheet: from what is known of a day, what every counter of the school is told. Pure."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from hub.meals.portions import Said, is_closed, portions_of, registered
from hub.meals.sittings import PlannedMeal, shift_of
from protocol.countersheet import TEXT_CHARACTERS_MAX, CounterSheet, Eater, MealPlan, Shift
from protocol.meals import Meal
from protocol.names import class_order, name_order


@dataclass(frozen=True, slots=True)
class Alerts:
    """What a pupil must not eat, in words; `confirmed` by the school."""

    words: tuple[str, ...]
    confirmed: bool


@dataclass(frozen=True, slots=True)
class Told:
    """What counters are told beside who eats. `names`: pupil -> name; `menus`: meal -> its dishes in words.

    `counters`: device -> public key; `pins`: who may take a shift -> hash of the PIN; `cards`: keyed card -> who;
    `staff`: who -> their name. `keep_alerts`: see CounterSheet.
    """

    names: Mapping[str, str]
    alerts: Mapping[str, Alerts]
    menus: Mapping[Meal, str]
    counters: Mapping[str, str]
    pins: Mapping[str, str]
    cards: Mapping[str, str]
    staff: Mapping[str, str]
    keep_alerts: bool = False


def counter_sheet(school: str, said: Said, told: Told, version: int, made: str) -> CounterSheet:
    """The sheet of a day; the same for every counter. Pupils by class and name."""
    meals: dict[str, list[Meal]] = defaultdict(list)
    for planned in said.plan.meals:
        for one in registered(said, planned.meal):
            if not one.cut:
                meals[one.pupil].append(planned.meal)
    cooked = portions_of(said)
    enrolled = {one.pupil for one in said.enrolments if one.meals and one.speaks_of(said.day)}
    eaters = []
    for pupil, school_class in said.classes.items():
        alerts = told.alerts.get(pupil)
        eaters.append(
            Eater(
                student=pupil,
                name=told.names.get(pupil, ""),
                school_class=school_class,
                portion=cooked.get(pupil, "regular"),
                meals=meals.get(pupil, []),
                enrolled=pupil in enrolled,
                alerts=[] if alerts is None else list(alerts.words),
                confirmed=alerts is not None and alerts.confirmed,
            )
        )
    eaters.sort(key=lambda one: (class_order(one.school_class), name_order(one.name), one.student))
    classes = sorted(set(said.classes.values()), key=class_order)
    return CounterSheet(
        version=version,
        made=made,
        school=school,
        day=said.day.isoformat(),
        meals=[_plan(said, planned, classes, told.menus.get(planned.meal, "")) for planned in said.plan.meals],
        eaters=eaters,
        second=said.plan.second,
        counters=dict(sorted(told.counters.items())),
        pins=dict(sorted(told.pins.items())),
        cards=dict(sorted(told.cards.items())),
        staff={who: name[:TEXT_CHARACTERS_MAX] for who, name in sorted(told.staff.items())},
        keep_alerts=told.keep_alerts,
    )


def _plan(said: Said, planned: PlannedMeal, classes: Sequence[str], menu: str) -> MealPlan:
    shifts = []
    for shift in planned.shifts:
        mine = [name for name in classes if shift_of(planned, name) is shift]
        if len(planned.shifts) > 1 and classes and not mine:
            # Without a class it would be whoever's.
            continue
        shifts.append(
            Shift(
                number=shift.number,
                opens=shift.opens,
                closes=shift.closes,
                classes=[] if len(planned.shifts) == 1 else mine,
                hall=shift.hall,
                stations=list(shift.stations),
            )
        )
    return MealPlan(planned.meal, shifts, closed=is_closed(said, planned.meal), menu=menu[:TEXT_CHARACTERS_MAX])
