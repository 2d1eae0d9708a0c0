"""Meals for programs: who is enrolled and who is cut, the kitchen's locks and sheet, adjustments, no meal on a day.

What may be sent again is: where it was done already, the answer names the record of then, and none is made.
"""

from __future__ import annotations

from datetime import date
from typing import Annotated, Any, Final, Literal

from fastapi import Path
from pydantic import BaseModel, ConfigDict, Field

from hub.days.mealoffice import EXTRA_MAX
from hub.days.office import REASON_CHARACTERS_MAX, EntryRefused
from hub.dayview.mealday import MealDay, meal_day
from hub.meals.portions import Cut, Enrolment
from hub.meals.wordorder import in_word_order
from hub.web.api.attendanceapi import ID_CHARACTERS_MAX, Class, Student
from hub.web.dayforms import AskedDay, KnownDay
from hub.web.errors import Refusal
from hub.web.ground import Web
from hub.web.mealforms import AskedMeal, meal_asked, newest_forecast
from hub.web.pages.cardpages import name_of
from hub.web.standing import standing_closure, standing_cut, standing_enrolment, standing_servings
from hub.web.visits import Visit, Visitor
from protocol.envelope import rfc3339
from protocol.mealrecords import Portions
from protocol.meals import MEALS, PORTIONS, Meal, Portion

Text = Annotated[str, Field(max_length=REASON_CHARACTERS_MAX)]
Weekday = Annotated[int, Field(ge=0, le=6)]
CLASSES_MAX: Final = 200


class EnrolmentIn(BaseModel):
    """A pupil eats `meals` on `weekdays` (0 is Monday) from a day on; without meals: doesn't any more."""

    model_config = ConfigDict(extra="forbid")

    student: Student
    first: KnownDay
    last: KnownDay | None = None
    weekdays: list[Weekday] = Field(default=[0, 1, 2, 3, 4], max_length=7)
    meals: list[Meal] = Field(default=["lunch"], max_length=4)
    reason: Text = ""


class CutIn(BaseModel):
    """A pupil doesn't eat from `first` to `last`; of `meals`, empty: of all. `reason`: why days that were change."""

    model_config = ConfigDict(extra="forbid")

    student: Student
    first: KnownDay
    last: KnownDay
    meals: list[Meal] = Field(default_factory=list, max_length=4)
    how: Literal["api", "phone", "paper"] = "api"
    reason: Text = ""


class LockIn(BaseModel):
    """Freeze the kitchen's sheet of a meal now."""

    model_config = ConfigDict(extra="forbid")

    day: KnownDay
    meal: Meal = "lunch"
    lock: Literal["provisional", "final"] = "final"


class AdjustmentIn(BaseModel):
    """Portions more (or, below 0, fewer) of each kind for a class, after the final lock.

    `number`: which adjustment of the sheet this is, one more than the last one that was read; so that it is made once.
    """

    model_config = ConfigDict(extra="forbid")

    day: KnownDay
    meal: Meal = "lunch"
    number: int = Field(ge=1, le=100_000)
    classes: dict[str, dict[Portion, Annotated[int, Field(ge=-EXTRA_MAX, le=EXTRA_MAX)]]] = Field(
        min_length=1, max_length=CLASSES_MAX
    )
    reason: str = Field(min_length=1, max_length=REASON_CHARACTERS_MAX)


class ClosureIn(BaseModel):
    """No meal on a day (`meals` empty: none at all); or, not `closed`, there is one after all."""

    model_config = ConfigDict(extra="forbid")

    day: KnownDay
    meals: list[Meal] = Field(default_factory=list, max_length=4)
    closed: bool = True
    reason: str = Field(min_length=1, max_length=REASON_CHARACTERS_MAX)


def add_meal_api(web: Web) -> None:
    """`/v1/meals/enrolments`, `cuts`, `locks`, `sheet`, `closures`."""
    _add_enrolments(web)
    _add_cuts(web)
    _add_locks(web)
    _add_sheet(web)


def of_class_then(web: Web, visit: Visit, student: str, day: date) -> None:
    """The object check of a pupil on a day, of one to come today. Raises Refusal, also of one who isn't here."""
    with web.store.database.lock:
        known = web.store.people.find(student) is not None
        school_class = web.store.people.class_on(student, min(day, visit.today))
    visit.must(school_class, student)
    if not known:
        raise Refusal(404, "no-student", "There is no such pupil.")


def _add_enrolments(web: Web) -> None:
    @web.api("GET", "/v1/meals/enrolments", "see-cuts", of="class")
    def enrolments(visit: Visitor, day: AskedDay = None, _class: Class = None) -> Any:
        """The newest word of each pupil on eating at school, of those that speak of a day; by class or of all."""
        when = day or visit.today
        with web.store.database.lock:
            classes = {one.key: one.school_class for one in web.store.people.of(when, when, visit.school_class)}
            words = [one for one in web.store.days.meals.enrolments(when, when) if one.pupil in classes]
        newest = {one.pupil: one for one in in_word_order(words, lambda one: (one.id, one.at_ms))}
        return {
            "day": when.isoformat(),
            "items": [_enrolment(one, classes[pupil]) for pupil, one in sorted(newest.items())],
        }

    @web.api("POST", "/v1/meals/enrolments", "enrol-meals", of="object")
    def enrol(said: EnrolmentIn, visit: Visitor) -> Any:
        """A pupil eats at school, or doesn't any more. Said as it stands already, it makes no further record. Of the
        first day's meals `late` are charged after their money lock; `over` had been, charged only if the pupil ate.
        """
        of_class_then(web, visit, said.student, said.first)
        with web.store.database.transaction():
            word = standing_enrolment(web, said.student, said.first, said.last, said.weekdays, said.meals)
            if word is None:
                web.store.mealoffice.enrol(
                    name_of(visit), said.student, said.first, said.last, said.weekdays, said.meals, said.reason
                )
                word = standing_enrolment(web, said.student, said.first, said.last, said.weekdays, said.meals)
                assert word is not None, "it was just written down"
            done = web.store.mealoffice.joined(word)
        return {"record": done.record, "late": list(done.late), "over": list(done.over)}


def _enrolment(one: Enrolment, school_class: str) -> dict[str, Any]:
    return {
        "record": one.id,
        "time": rfc3339(one.at_ms),
        "student": one.pupil,
        "class": school_class,
        "first": one.first.isoformat(),
        "last": None if one.last is None else one.last.isoformat(),
        "weekdays": list(one.weekdays),
        "meals": list(one.meals),
        "by": one.by,
    }


def _add_cuts(web: Web) -> None:
    @web.api("GET", "/v1/meals/cuts", "see-cuts", of="class")
    def cuts(visit: Visitor, day: AskedDay = None, _class: Class = None) -> Any:
        """The cuts that speak of a day, of a class or of all, also those withdrawn since; leave notices cut beside."""
        when = day or visit.today
        with web.store.database.lock:
            classes = {one.key: one.school_class for one in web.store.people.of(when, when, visit.school_class)}
            found = [one for one in web.store.days.meals.cuts(when, when) if one.pupil in classes]
        ordered = in_word_order(found, lambda one: (one.id, one.at_ms))
        return {"day": when.isoformat(), "items": [_cut(one, classes[one.pupil]) for one in ordered]}

    @web.api("POST", "/v1/meals/cuts", "cut-meals", of="object")
    def cut(said: CutIn, visit: Visitor) -> Any:
        """A pupil doesn't eat. After a lock it is taken all the same: `late`, `charged` name the meals of the first day
        that the kitchen had locked, that are charged. The same cut again makes no further record.
        """
        # Whose pupil it was once may not say it of the days since.
        of_class_then(web, visit, said.student, said.first)
        of_class_then(web, visit, said.student, max(said.first, said.last))
        with web.store.database.transaction():
            same = standing_cut(web, said.student, said.first, said.last, said.meals)
            if same is not None:
                done = web.store.mealoffice.taken(same)
            else:
                done = web.store.mealoffice.cut(
                    name_of(visit), said.student, said.first, said.last, said.meals, said.how, said.reason
                )
        return {"record": done.record, "late": list(done.late), "charged": list(done.charged)}

    @web.api("DELETE", "/v1/meals/cuts/{record}", "cut-meals", of="object")
    def withdraw(record: Annotated[str, Path(max_length=ID_CHARACTERS_MAX)], visit: Visitor, reason: Text = "") -> Any:
        """A cut doesn't count any more; it stays in the book. Once is enough."""
        with web.store.database.lock:
            found = web.store.days.meals.cut_of(record)
        if found is None:
            visit.must(None, record)
            raise Refusal(404, "no-record", "There is no such cut.")
        of_class_then(web, visit, found.pupil, found.last)
        return {"record": web.store.mealoffice.withdraw_cut(name_of(visit), record, reason)}


def _cut(one: Cut, school_class: str) -> dict[str, Any]:
    return {
        "record": one.id,
        "time": rfc3339(one.at_ms),
        "student": one.pupil,
        "class": school_class,
        "first": one.first.isoformat(),
        "last": one.last.isoformat(),
        "meals": list(one.meals),
        "how": one.how,
        "by": one.by,
        "withdrawn": None if one.gone_ms is None else rfc3339(one.gone_ms),
    }


def _add_locks(web: Web) -> None:
    @web.api("GET", "/v1/meals/locks", "see-portions")
    def locks(visit: Visitor, day: AskedDay = None) -> Any:
        """The locks of a day's meals: when each falls, and which sheet it froze."""
        when = day or visit.today
        found = [meal_day(web.store, when, meal, visit.now_ms) for meal in MEALS]
        return {
            "day": when.isoformat(),
            "items": [_lock(view, lock) for view in found if view.planned is not None for lock in view.locks],
        }

    @web.api("POST", "/v1/meals/locks", "kitchen-sheet")
    def lock(said: LockIn, visit: Visitor) -> Any:
        """Freeze a sheet now, of the days around today. One that is frozen for good already answers with its record."""
        with web.store.database.lock:
            rows = [one for one in web.store.days.meals.sheets.locks(said.day) if one.meal == said.meal]
        final = next((one for one in rows if one.lock == "final"), None)
        if final is not None and said.lock == "final":
            return {"record": final.record, "by": final.by, "frozen": rfc3339(final.frozen_ms)}
        by = name_of(visit)
        record = web.store.mealoffice.lock(by, said.day, said.meal, said.lock)
        with web.store.database.lock:
            [row] = [one for one in web.store.days.meals.sheets.locks(said.day) if one.record == record]
        return {"record": record, "by": by, "frozen": rfc3339(row.frozen_ms)}

    @web.api("POST", "/v1/meals/closures", "stop-meals")
    def close(said: ClosureIn, visit: Visitor) -> Any:
        """No meal on a day, or one after all. Where it stands so already no further record is made. `served`: how many
        servings there are of these meals; they stay, and count.
        """
        with web.store.database.transaction():
            record = standing_closure(web, said.day, said.meals, closed=said.closed)
            if record is None:
                by = name_of(visit)
                record = str(web.store.mealoffice.close(by, said.day, said.meals, said.reason, closed=said.closed))
        return {"record": record, "served": standing_servings(web, said.day, said.meals)}


def _lock(view: MealDay, lock: Any) -> dict[str, Any]:
    sheet = lock.sheet
    return {
        "meal": view.meal,
        "lock": lock.lock,
        "due": rfc3339(lock.due_ms),
        "past": lock.past,
        "record": None if sheet is None else sheet.record,
        "version": None if sheet is None else sheet.version,
        "frozen": None if sheet is None else rfc3339(sheet.frozen_ms),
        "digest": None if sheet is None else sheet.digest,
        "by": None if sheet is None else sheet.by,
        "closed": view.closed,
    }


def _add_sheet(web: Web) -> None:
    @web.api("GET", "/v1/meals/sheet", "see-portions")
    def sheet(visit: Visitor, day: AskedDay = None, meal: AskedMeal = None) -> Any:
        """The kitchen's sheet: of each class the numbers now and as frozen, adjustments, and the forecast until the
        final lock. Whoever may not see what is cooked gets totals alone.
        """
        when = day or visit.today
        name = meal_asked(web, when, meal)
        view, kinds = meal_day(web.store, when, name, visit.now_ms), visit.allows("see-cooking", None)
        guess = None if view.closed else newest_forecast(web, when, name)
        return {
            "day": when.isoformat(),
            "meal": name,
            "closed": view.closed,
            "final": view.final,
            "version": None if view.sheet is None else view.sheet.version,
            "digest": None if view.sheet is None else view.sheet.digest,
            "classes": {
                one.school_class: {
                    "now": portions_told(one.now, kinds=kinds),
                    "frozen": None if one.frozen is None else portions_told(one.frozen, kinds=kinds),
                }
                for one in view.classes
            },
            "total": portions_told(view.whole, kinds=kinds),
            "adjustments": [
                {
                    "record": one.record,
                    "number": one.number,
                    "time": rfc3339(one.at_ms),
                    "why": one.why,
                    "reason": one.reason,
                    "by": one.by,
                    "classes": {name: portions_told(numbers, kinds=kinds) for name, numbers in one.classes.items()},
                }
                for one in view.adjustments
            ],
            "forecast": None
            if guess is None
            else {
                "clock": guess.clock,
                "expected": guess.expected,
                "arrived": guess.arrived,
                "portions": guess.portions,
                "days": guess.days,
                "error": guess.error,
            },
        }

    @web.api("POST", "/v1/meals/sheet", "kitchen-sheet")
    def adjust(said: AdjustmentIn, visit: Visitor) -> Any:
        """Add portions to a frozen sheet, or take some. The same with the same number again makes no further record."""
        by, classes = name_of(visit), {name: Portions(**kinds) for name, kinds in said.classes.items()}
        with web.store.database.transaction():
            rows = [one for one in web.store.days.meals.sheets.adjustments(said.day) if one.meal == said.meal]
            same = next((one for one in rows if one.number == said.number), None)
            if same is not None and (same.classes, same.reason, same.by) == (classes, said.reason, by):
                return {"record": same.record, "number": same.number}
            if said.number != max((one.number for one in rows), default=0) + 1:
                raise EntryRefused("number: the sheet has {count} adjustments; read it again", count=len(rows))
            record = web.store.mealoffice.adjust(by, said.day, said.meal, classes, said.reason)
        return {"record": str(record), "number": said.number}


def portions_told(numbers: Portions, *, kinds: bool) -> dict[str, int]:
    """A class's numbers as JSON; without `kinds` nothing of what is cooked for whom."""
    told = {name: getattr(numbers, name) for name in Portions.__struct_fields__ if kinds or name not in PORTIONS}
    return told | {"total": numbers.total}
