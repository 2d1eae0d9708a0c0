"""The meals' office: what people enter of who eats and who was served; each as a record, or refused in words.

Every method runs in one transaction: the record is stored and written down, or nothing was.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any, Final, Literal

from hub.days.mealchecks import MealChecks
from hub.days.office import EntryRefused
from hub.meals.portions import NOTHING, Cut, Enrolment, over_ms
from hub.meals.servings import served as all_served
from hub.meals.sittings import clock_ms, day_of, plan_on, shift_of
from protocol.envelope import decode_data, decode_event, rfc3339
from protocol.mealrecords import CLASS_PUPILS_MAX, MealService, Portions
from protocol.meals import PORTIONS, Meal
from protocol.taps import TapData, TapId, parse_tap_id

HOWS: Final = ("page", "api", "phone", "paper")
EXTRA_MAX: Final = 200
"""Portions that a person adds or takes at once; a slip of the hand is no banquet."""


@dataclass(frozen=True, slots=True)
class CutTaken:
    """A cut's record; of its first day `late`: meals that the kitchen had locked, `charged`: that are charged."""

    record: str
    late: tuple[Meal, ...]
    charged: tuple[Meal, ...]


@dataclass(frozen=True, slots=True)
class EnrolmentTaken:
    """An enrolment's record; of its first day `late`: meals whose money lock was past, and that are charged.

    `over`: meals that were over earlier that day, charged only if the pupil ate.
    """

    record: str
    late: tuple[Meal, ...]
    over: tuple[Meal, ...]


class MealOffice(MealChecks):
    """See the room. `by` is who enters it: a user's name, or a token's."""

    # --- who eats -----------------------------------------------------------------------------------------------------

    def enrol(
        self,
        by: str,
        student: str,
        first: date,
        last: date | None,
        weekdays: Sequence[int] = (0, 1, 2, 3, 4),
        meals: Sequence[str] = ("lunch",),
        reason: str = "",
        *,
        listed: bool = False,
    ) -> TapId:
        """A pupil eats at school from a day on; without meals: doesn't any more. The past needs a reason.

        Each meal must be in the school's plan; of those that a list names (`listed`), which may come before the plan,
        one. Raises EntryRefused.
        """
        self._check(by, reason)
        self._check_span(first, last, reason)
        if not set(weekdays) <= set(range(7)) or len(set(weekdays)) != len(weekdays):
            raise EntryRefused("weekdays: each a number from 0 (Monday) to 6, once")
        if meals and not weekdays:
            raise EntryRefused("weekdays: on which days they eat must be said")
        missing = self._not_planned(self._meals(meals), first, last)
        if missing and not (listed and len(missing) < len(meals)):
            raise EntryRefused("the school's plan has no {meal}", meal=missing[0])
        data: dict[str, Any] = {
            "student": student,
            "first": first.isoformat(),
            "last": None if last is None else last.isoformat(),
            "weekdays": sorted(weekdays),
            "meals": self._meals(meals),
            "by": by,
        }
        data |= {"reason": reason} if reason else {}
        return self._of_pupil("meal.enrolled", data, student)

    def _not_planned(self, meals: Sequence[Meal], first: date, last: date | None) -> list[Meal]:
        """Those that are in no plan of these days: an enrolment for them alone would end what was eaten so far."""
        with self._store.database.lock:
            plans = self._store.mealplans.plans()
        later = [plan for since, plan in plans.items() if first < since and (last is None or since <= last)]
        known = {planned.meal for plan in (plan_on(plans, first), *later) for planned in plan.meals}
        return [meal for meal in meals if meal not in known]

    def joined(self, word: Enrolment) -> EnrolmentTaken:
        """What an enrolment comes to for the meals of its first day, as of the moment of its record."""
        with self._store.database.lock:
            plan = plan_on(self._store.mealplans.plans(), word.first)
        mine = [one for one in plan.meals if one.meal in word.meals]
        locks = {one.meal: clock_ms(word.first, one.money, one.money_days_before) for one in mine}
        # Said on a later day, with its reason, it corrects the day: what it names is charged.
        still = day_of(word.at_ms) == word.first
        over = tuple(one.meal for one in mine if still and word.at_ms > max(over_ms(one, word.first), locks[one.meal]))
        late = tuple(meal for meal, lock_ms in locks.items() if word.at_ms > lock_ms and meal not in over)
        return EnrolmentTaken(word.id, late, over)

    def portion(self, by: str, student: str, portion: str, first: date, last: date | None, reason: str = "") -> TapId:
        """What is cooked for a pupil from a day on. Raises EntryRefused."""
        self._check(by, reason)
        self._check_span(first, last, reason)
        if portion not in PORTIONS:
            raise EntryRefused(
                "portion {portion!r} is not one of {portions}", portion=portion, portions=", ".join(PORTIONS)
            )
        until = None if last is None else last.isoformat()
        data: dict[str, Any] = {
            "student": student,
            "first": first.isoformat(),
            "last": until,
            "portion": portion,
            "by": by,
        }
        data |= {"reason": reason} if reason else {}
        return self._of_pupil("meal.portion", data, student)

    def cut(
        self,
        by: str,
        student: str,
        first: date,
        last: date,
        meals: Sequence[str] = (),
        how: str = "page",
        reason: str = "",
    ) -> CutTaken:
        """A pupil doesn't eat. What comes after a lock is taken all the same, and says so; the past needs a reason.

        Raises EntryRefused.
        """
        self._check(by, reason)
        self._check_span(first, last, reason)
        if how not in HOWS:
            raise EntryRefused("how = {how!r} is not one of {hows}", how=how, hows=", ".join(HOWS))
        data: dict[str, Any] = {
            "student": student,
            "first": first.isoformat(),
            "last": last.isoformat(),
            "meals": self._meals(meals),
            "withdraws": None,
            "how": how,
            "by": by,
        }
        data |= {"reason": reason} if reason else {}
        record = self._of_pupil("meal.cut", data, student)
        taken = self._store.days.meals.cut_of(str(record))
        assert taken is not None, "it was just written down"
        return self.taken(taken)

    def taken(self, cut: Cut) -> CutTaken:
        """What the locks say of a cut, as of the moment of its record: whenever it is asked, it is told the same."""
        with self._store.database.lock:
            plan = plan_on(self._store.mealplans.plans(), cut.first)
        mine = [one for one in plan.meals if not cut.meals or one.meal in cut.meals]
        late = tuple(one.meal for one in mine if cut.at_ms > clock_ms(cut.first, one.final))
        charged = [one.meal for one in mine if cut.at_ms > clock_ms(cut.first, one.money, one.money_days_before)]
        return CutTaken(cut.id, late, tuple(charged))

    def withdraw_cut(self, by: str, cut: str, reason: str = "") -> str:
        """A cut doesn't count any more. One that doesn't already makes no further record. Raises EntryRefused."""
        self._check(by, reason)
        with self._store.database.transaction():
            found = self._store.days.meals.cut_of(cut)
            if found is None:
                raise EntryRefused("there is no cut {cut!r}", cut=cut[:40])
            if found.gone is not None:
                return found.gone
            if found.last < self._today() and not reason.strip():
                raise EntryRefused("reason: why days that were are changed must be said")
            data: dict[str, Any] = {
                "student": found.pupil,
                "first": found.first.isoformat(),
                "last": found.last.isoformat(),
                "meals": list(found.meals),
                "withdraws": cut,
                "how": "page",
                "by": by,
            }
            data |= {"reason": reason} if reason else {}
            record = self._store.daybook.enter("meal.cut", data, f"student/{found.pupil}")
        self._entered()
        return str(record)

    def close(self, by: str, day: date, meals: Sequence[str], reason: str, *, closed: bool = True) -> TapId:
        """No meal on a day (`meals` empty: none at all), or there is one after all. Raises EntryRefused."""
        self._check(by, reason)
        if not reason.strip():
            raise EntryRefused("reason: why there is no meal must be said")
        self._check_day(day)
        names = self._meals(meals)
        data = {"day": day.isoformat(), "meals": names, "closed": closed, "by": by, "reason": reason}
        return self._enter("meal.closed", data)

    # --- who was served -----------------------------------------------------------------------------------------------

    def serve_class(
        self,
        by: str,
        school_class: str,
        day: date,
        meal: str,
        served: Sequence[str],
        seen_ms: int | None = None,
        reason: str = "",
    ) -> TapId:
        """Who of a class ate in the classroom; the whole list anew. The past needs a reason. Raises EntryRefused."""
        self._check(by, reason)
        [name] = self._meals([meal])
        now_ms = self._store.clock.now_ms()
        self._check_day(day)
        if day > self._today() or (seen_ms is not None and seen_ms > now_ms + 60_000):
            raise EntryRefused("the meal lies in the future")
        if seen_ms is not None and day_of(seen_ms) != day:
            raise EntryRefused("seen: it is a moment of {day}, the meal's day", day=day)
        if day < self._today() and not reason.strip():
            raise EntryRefused("reason: why days that were are changed must be said")
        if len(served) > CLASS_PUPILS_MAX or len(set(served)) != len(served):
            raise EntryRefused("served: at most {most} pupils, each once", most=CLASS_PUPILS_MAX)
        with self._store.database.transaction():
            members = {one.key for one in self._store.people.of(day, day, school_class)}
            if not members:
                raise EntryRefused("class {school_class} has no pupils on {day}", school_class=school_class, day=day)
            strange = sorted(set(served) - members)
            if strange:
                raise EntryRefused(
                    "{strange}: not of class {school_class} on that day",
                    strange=", ".join(strange[:5]),
                    school_class=school_class,
                )
            # Also of a list that says when: of a meal that the plan doesn't have nobody eats.
            usual_ms = self._usual_ms(school_class, day, name)
            if seen_ms is None:
                seen_ms = min(now_ms, usual_ms)
            data: dict[str, Any] = {
                "class": school_class,
                "day": day.isoformat(),
                "meal": name,
                "served": sorted(served),
                "seen": rfc3339(seen_ms),
                "by": by,
            }
            data |= {"reason": reason} if reason else {}
            record = self._store.daybook.enter("meal.service", data)
        self._entered()
        return record

    def reason_of_list(self, record: str) -> str:
        """Why a class list came on a later day, as its record says; empty where it didn't."""
        name = parse_tap_id(record)
        with self._store.database.lock:
            book = None if name is None else self._store.ledger.books.find(name.journal)
            raw = None if name is None or book is None else self._store.ledger.raw_at(book, name.sequence)
        return "" if raw is None else decode_data(decode_event(raw), MealService).reason

    def _usual_ms(self, school_class: str, day: date, meal: Meal) -> int:
        """When a class eats by the plan."""
        planned = plan_on(self._store.mealplans.plans(), day).of(meal)
        if planned is None:
            raise EntryRefused("the school's plan has no {meal}", meal=meal)
        return clock_ms(day, shift_of(planned, school_class).opens)

    def settle(self, by: str, tap: str, why: str, reason: str = "") -> TapId:
        """Say of a counter's record that nobody was served, or somebody was; a second helping, or the same tray.

        Raises EntryRefused.
        """
        self._check(by, reason)
        if why not in ("undone", "done", "second", "repeat"):
            raise EntryRefused("why = {why!r} is not undone, done, second or repeat", why=why)
        name = parse_tap_id(tap)
        with self._store.database.transaction():
            book = None if name is None else self._store.ledger.books.find(name.journal)
            row = None if name is None or book is None else self._store.days.tap(book.number, name.sequence)
            if name is None or book is None or row is None or row.kind != "canteen":
                raise EntryRefused("{tap!r} is no record of a counter", tap=tap[:40])
            raw = self._store.ledger.raw_at(book, name.sequence)
            assert raw is not None, "a row follows from its record"
            told = decode_data(decode_event(raw), TapData)
            self._check_word(tap, why, day_of(row.best_ms))
            data = {
                "tap": tap,
                "source": book.source,
                "was": told.student,
                "student": told.student,
                "card": told.card,
                "why": why,
                "detail": reason,
                "by": by,
            }
            subject = None if told.student is None else f"student/{told.student}"
            record = self._store.daybook.enter("meal.correction", data, subject)
        self._entered()
        return record

    def _check_word(self, tap: str, why: str, day: date) -> None:
        """Whether a word can be said of a record as it counts now. Raises EntryRefused."""
        found = all_served(self._store.mealbook.counters(day))
        aside = next((one.what for one in found.aside if one.tap == tap), None)
        if why != "undone" and aside in ("referred", "answered"):
            raise EntryRefused("{tap!r}: the card was referred and nobody was served by it; serve by hand", tap=tap)
        if why == "repeat" and any(one.tap == tap and not one.second for one in found.servings):
            raise EntryRefused("{tap!r} is the first serving: a repeat is of a tray that was served before", tap=tap)

    # --- the kitchen's sheet ------------------------------------------------------------------------------------------

    def lock(self, by: str, day: date, meal: str, lock: Literal["provisional", "final"] = "final") -> str:
        """Freeze a sheet now, before its time. Raises EntryRefused where it is frozen for good."""
        self._check(by)
        [name] = self._meals([meal])
        self._check_day(day)
        return self._store.kitchen.freeze(by, day, name, lock)

    def adjust(self, by: str, day: date, meal: str, classes: Mapping[str, Portions], reason: str) -> TapId:
        """Add portions to a frozen sheet, or take some, for a reason. Raises EntryRefused."""
        self._check(by, reason)
        if not reason.strip():
            raise EntryRefused("reason: why the sheet is adjusted must be said")
        [name] = self._meals([meal])
        if not classes or any(one == NOTHING for one in classes.values()):
            raise EntryRefused("classes: nothing is adjusted")
        if any(abs(getattr(one, field)) > EXTRA_MAX for one in classes.values() for field in one.__struct_fields__):
            raise EntryRefused("classes: at most {most} portions at once", most=EXTRA_MAX)
        return self._store.kitchen.adjust(by, day, name, classes, reason)
