"""Servings and meal months for programs: who was served, what people say of it, lists of classes, months stated."""

from __future__ import annotations

from typing import Annotated, Any, Literal

import msgspec
from fastapi import Query
from pydantic import BaseModel, ConfigDict, Field

from hub.days.counterwaits import counter_waits
from hub.days.mealmonths import month_days
from hub.days.office import REASON_CHARACTERS_MAX, EntryRefused
from hub.dayview.mealevents import MealEvents, at_school, meal_events, shown_sheet
from hub.meals.publicsheet import counter_lines
from hub.meals.servings import Aside, Serving, newest_lists
from hub.meals.wordorder import in_word_order
from hub.web.api.attendanceapi import CLASS_CHARACTERS_MAX, ID_CHARACTERS_MAX, Class, Student
from hub.web.dayforms import AskedDay, KnownDay
from hub.web.ground import Web
from hub.web.mealforms import AskedMeal, class_served, meal_asked
from hub.web.pages.cardpages import name_of
from hub.web.visits import Visitor
from protocol.envelope import rfc3339, unix_ms_of
from protocol.errors import BadMessage
from protocol.mealrecords import CLASS_PUPILS_MAX
from protocol.meals import Meal

AskedMonth = Annotated[str | None, Query(pattern=r"^\d{4}-\d{2}$", description="YYYY-MM; absent: this month")]


class WordIn(BaseModel):
    """What a counter's record was: nobody served (`undone`), somebody after all, a second helping, the same tray."""

    model_config = ConfigDict(extra="forbid")

    tap: str = Field(min_length=1, max_length=ID_CHARACTERS_MAX)
    why: Literal["undone", "done", "second", "repeat"]
    reason: str = Field("", max_length=REASON_CHARACTERS_MAX)


class ClassListIn(BaseModel):
    """Who of a class ate by a person's list, whole. `seen`: about when, RFC 3339; absent: as the plan says.

    `reason`: why a list of a day that was is entered.
    """

    model_config = ConfigDict(extra="forbid")

    school_class: str = Field(alias="class", min_length=1, max_length=CLASS_CHARACTERS_MAX)
    day: KnownDay
    meal: Meal = "lunch"
    served: list[Student] = Field(max_length=CLASS_PUPILS_MAX)
    seen: str | None = Field(None, max_length=40)
    reason: str = Field("", max_length=REASON_CHARACTERS_MAX)


class MonthIn(BaseModel):
    """State what a month's meals came to; where it was stated before and changed, `reason` says why."""

    model_config = ConfigDict(extra="forbid")

    month: str = Field(pattern=r"^\d{4}-\d{2}$")
    meal: Meal = "lunch"
    reason: str = Field("", max_length=REASON_CHARACTERS_MAX)


def add_serving_api(web: Web) -> None:
    """`/v1/meals/servings`, `/v1/meals/lists`, `/v1/meals/public`, `/v1/meals/months`."""
    _add_servings(web)
    _add_words(web)
    _add_months(web)


def _add_servings(web: Web) -> None:
    @web.api("GET", "/v1/meals/servings", "see-servings", of="class")
    def servings(visit: Visitor, day: AskedDay = None, meal: AskedMeal = None, _class: Class = None) -> Any:
        """Every serving of a meal, of a class or of all, by time; records of counters that are none stand `aside`.

        Of a class: its pupils' alone. `complete`: all counters have said everything. `dark`: when one was off or blind.
        """
        when = day or visit.today
        found = meal_events(web.store, when, meal_asked(web, when, meal))
        whole, mine = visit.school_class is None, visit.school_class
        return {
            "day": when.isoformat(),
            "meal": found.meal,
            "complete": found.complete(visit.now_ms),
            "waits": list(found.waits),
            "dark": _dark(found),
            "items": [
                _serving(one, found.classes)
                for one in found.servings
                if whole or found.classes.get(one.pupil or "") == mine
            ],
            "aside": [
                _aside(one, found.classes) for one in found.aside if whole or found.classes.get(one.pupil or "") == mine
            ],
        }

    @web.api("GET", "/v1/meals/public", "see-portions")
    def public(visit: Visitor, day: AskedDay = None, meal: AskedMeal = None) -> Any:
        """A meal in numbers, as a school posts it at its door; and of each counter and shift. No names."""
        when = day or visit.today
        found = meal_events(web.store, when, meal_asked(web, when, meal))
        sheet = shown_sheet(found, at_school(web.store, found).present)
        return {
            **msgspec.to_builtins(sheet),
            "complete": found.complete(visit.now_ms),
            "dark": _dark(found),
            "counters": [
                {
                    **{name: getattr(one, name) for name in ("device", "point", "shift", "served", "seconds")},
                    "strangers": one.strangers,
                    "last": rfc3339(one.last_ms),
                }
                for one in counter_lines(when, found.meal, found.servings)
            ],
        }


def _dark(events: MealEvents) -> list[dict[str, str]]:
    return [
        {"device": device, "why": why, "detail": detail}
        for device, words in events.dark.items()
        for why, detail in words
    ]


def _serving(one: Serving, classes: dict[str, str]) -> dict[str, Any]:
    return {
        "record": one.tap,
        "time": rfc3339(one.when.best_ms),
        "not_before": rfc3339(one.when.not_before_ms) if one.when.anchored else None,
        "not_after": rfc3339(one.when.not_after_ms) if one.when.anchored else None,
        "device": one.device,
        "point": one.point,
        "shift": one.shift,
        "student": one.pupil,
        "class": classes.get(one.pupil or "", ""),
        "adult": one.adult,
        "how": one.how,
        "by": one.by,
        "nth": one.nth,
        "flags": list(one.flags),
        "confirmed": one.confirmed,
    }


def _aside(one: Aside, classes: dict[str, str]) -> dict[str, Any]:
    return {
        "record": one.tap,
        "what": one.what,
        "time": rfc3339(one.when.best_ms),
        "device": one.device,
        "point": one.point,
        "student": one.pupil,
        "class": classes.get(one.pupil or "", ""),
        "reason": one.reason,
    }


def _add_words(web: Web) -> None:
    @web.api("POST", "/v1/meals/servings", "settle-servings", of="object")
    def settle(said: WordIn, visit: Visitor) -> Any:
        """Say what a counter's record was. What was said last already makes no further record."""
        with web.store.database.lock:
            school_class = class_served(web, said.tap)
            words = in_word_order(web.store.days.meals.words([said.tap]), lambda one: (one.record, one.at_ms))
        visit.must(school_class, said.tap)
        if words and words[-1].why == said.why:
            return {"record": words[-1].record}
        return {"record": str(web.store.mealoffice.settle(name_of(visit), said.tap, said.why, said.reason))}

    @web.api("POST", "/v1/meals/lists", "settle-servings", of="object")
    def listed(said: ClassListIn, visit: Visitor) -> Any:
        """Who of a class ate, by a list of a person; the whole list anew. The same again makes no further record."""
        visit.must(said.school_class, said.school_class)
        by, seen_ms = name_of(visit), _seen_ms(said.seen)
        with web.store.database.lock:
            lists = newest_lists(web.store.days.meals.lists(said.day, said.day))
        same = next((one for one in lists if (one.school_class, one.meal) == (said.school_class, said.meal)), None)
        known = same is not None and (set(same.served), same.by) == (set(said.served), by)
        # With another time it is another word: who mistyped it says it anew.
        if same is not None and known and seen_ms in (None, same.seen_ms):
            return {"record": same.id}
        record = web.store.mealoffice.serve_class(
            by, said.school_class, said.day, said.meal, said.served, seen_ms, said.reason
        )
        return {"record": str(record)}


def _seen_ms(text: str | None) -> int | None:
    """The moment of a list. Raises EntryRefused."""
    if text is None:
        return None
    try:
        return unix_ms_of(text)
    except BadMessage as problem:
        raise EntryRefused("seen: {problem}", problem=problem) from problem


def _add_months(web: Web) -> None:
    @web.api("GET", "/v1/meals/months", "reports", of="class")
    def months(visit: Visitor, month: AskedMonth = None, meal: AskedMeal = None, _class: Class = None) -> Any:
        """A month of each pupil of a class or of all: registered, cut, eaten, chargeable; and the version stated.

        `waits`: the counters whose records of that month aren't all here.
        """
        asked = month or f"{visit.today:%Y-%m}"
        name = meal_asked(web, visit.today, meal)
        found = web.store.mealmonths.told(asked, (name,), visit.school_class)
        return {
            "month": asked,
            "meal": name,
            "waits": _waits(web, asked),
            "items": found,
        }

    @web.api("POST", "/v1/meals/months", "meal-months")
    def state(said: MonthIn, visit: Visitor) -> Any:
        """State a month. Where nothing changed since, the version of then stands, and no record is made.

        `waits`: the counters whose records of that month aren't all here: what they bring is in no version yet.
        """
        version = web.store.mealmonths.state(name_of(visit), said.month, said.meal, said.reason)
        return {"month": said.month, "meal": said.meal, "version": version, "waits": _waits(web, said.month)}


def _waits(web: Web, month: str) -> list[str]:
    return list(counter_waits(web.store, *month_days(month)).waits)
