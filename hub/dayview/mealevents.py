"""A meal's events gathered for the pages: who was registered and served, who was at school, whether all is here."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date
from typing import TYPE_CHECKING, Final

from hub.attendance.marks import THERE
from hub.days.incidentbook import IncidentBook
from hub.dayview.board import GateDevice, device_now
from hub.incidents.origins import NOBODY
from hub.incidents.stood import DARK
from hub.meals.mealdays import PupilMeal, meals_of
from hub.meals.portions import Expected, is_closed, registered
from hub.meals.publicsheet import PublicSheet, public_sheet
from hub.meals.servings import Aside, Serving
from hub.meals.sittings import GRACE_AFTER_MS, GRACE_BEFORE_MS, PlannedMeal, midnight_of, plan_on, sittings_of

if TYPE_CHECKING:
    from hub.attendance.marks import Mark
    from hub.incidents.pack import Origin
    from hub.parts import Store
    from hub.road.fleet import Fleet
    from protocol.meals import Meal

AWAY: Final[tuple[Mark, ...]] = ("absent", "excused", "unexcused")


@dataclass(frozen=True, slots=True)
class MealEvents:
    """See the room. `servings` and `aside` of this meal alone; `ends_ms`: when the last shift is over, with its grace.

    `waits`: the counters whose records to then aren't all here; empty: the counts are complete. `dark`: counter -> when
    in the meal's hours it wasn't there, was off, or saw no cards, as codes of ORIGIN_WORDS and their details: who was
    served then may stand on paper alone.
    """

    day: date
    meal: Meal
    planned: PlannedMeal | None
    closed: bool
    registered: tuple[Expected, ...]
    meals: tuple[PupilMeal, ...]
    servings: tuple[Serving, ...]
    aside: tuple[Aside, ...]
    classes: dict[str, str]
    ends_ms: int
    waits: tuple[str, ...]
    dark: dict[str, tuple[tuple[str, str], ...]]
    counters: tuple[str, ...]
    position: int

    def complete(self, now_ms: int) -> bool:
        """Whether nothing can come any more: the meal is over, and all its counters have said everything.

        Where no counter is known and nobody served anybody, nothing says that nobody ate.
        """
        return now_ms >= self.ends_ms and not self.waits and bool(self.counters or self.servings)


@dataclass(frozen=True, slots=True)
class AtSchool:
    """Pupils who were there in the meal's half-day, and those who were away in every half-day of the day."""

    present: frozenset[str]
    absent: frozenset[str]


def meal_events(store: Store, day: date, meal: Meal) -> MealEvents:
    """Everything of a meal of a day, as it is known now: what pages, papers and programs tell of it rests on this."""
    with store.database.lock:
        said = store.mealbook.said(day)
        served = store.mealbook.served(day)
        plan = plan_on(store.mealbook.plans(), day)
        position = store.board.read_to()
    sittings = [one for one in sittings_of(plan, day) if one.meal == meal]
    begins_ms = min((one.opens_ms - GRACE_BEFORE_MS for one in sittings), default=midnight_of(day))
    ends_ms = max((one.closes_ms + GRACE_AFTER_MS for one in sittings), default=midnight_of(day))
    # Asked as of its end: whether that has come is for whoever shows it to say.
    hours = [(one.opens_ms, one.closes_ms) for one in sittings]
    known = IncidentBook(store).origins(begins_ms, ends_ms, ends_ms, hours)
    # One that came only after the meal says nothing of it.
    origins = [one for one in known if one.name != NOBODY and not one.late]
    dark = {one.name: tuple(word for word in one.words if word[0] in DARK) for one in origins}
    mine = tuple(one for one in served.servings if one.meal == meal)
    return MealEvents(
        day, meal, plan.of(meal), is_closed(said, meal), tuple(registered(said, meal)),
        tuple(meals_of(said, meal, served.servings)), mine, tuple(one for one in served.aside if one.meal == meal),
        dict(said.classes), ends_ms, tuple(one.name for one in origins if _lacks(one)),
        {name: words for name, words in dark.items() if words}, tuple(one.name for one in origins), position,
    )  # fmt: skip


def _lacks(origin: Origin) -> bool:
    """Whether records that a counter wrote, or may have written, aren't here; of what it didn't see there are none."""
    return any(code not in DARK for code, _ in origin.words)


def at_school(store: Store, events: MealEvents, school_class: str | None = None) -> AtSchool:
    """Who was at school, by the marks as they stand; of a class or of all.

    Present is who was there in the half-day that the meal belongs to, whatever the other one says; of a class without
    lessons in it, in any. An incident's pack asks more widely, see IncidentBook.present.
    """
    marks: dict[str, dict[str, Mark]] = defaultdict(dict)
    for one in store.classbook.marks(events.day, school_class):
        marks[one.pupil.key][one.session.half] = one.judged.mark
    half = "am" if events.planned is None else events.planned.half
    asked = {pupil: [mine[half]] if half in mine else list(mine.values()) for pupil, mine in marks.items()}
    present = {pupil for pupil, mine in asked.items() if any(mark in THERE for mark in mine)}
    absent = {pupil for pupil, mine in marks.items() if all(mark in AWAY for mark in mine.values())}
    return AtSchool(frozenset(present), frozenset(absent))


def shown_sheet(events: MealEvents, present: Iterable[str] | None) -> PublicSheet:
    """The meal in numbers, no names; `present`: who is at school, None where that isn't asked."""
    return public_sheet(
        events.day, events.meal, events.registered, events.servings, events.aside, present, closed=events.closed
    )


def counters_now(store: Store, fleet: Fleet, events: MealEvents) -> list[GateDevice]:
    """The counters' devices of the day, each with how it is and how long ago it was heard."""
    now_mono_ms = store.clock.mono_ms()
    named = {*events.counters, *(one.device for one in events.servings if one.device)}
    return [device_now(fleet, device, now_mono_ms) for device in sorted(named)]
