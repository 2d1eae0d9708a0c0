"""The meal book: all that is known of a day's meals, gathered from the store, and what follows; nothing is kept."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence, Set
from datetime import date
from typing import TYPE_CHECKING, Final, cast

from hub.attendance.schoolday import Binding, Pupil
from hub.attendance.timetable import WEEKDAYS, Timetable, sessions_of, taught_as
from hub.days.classbook import days_between
from hub.meals.portions import Excuse, Expected, Said, registered
from hub.meals.servings import Counters, CounterTap, Served, served
from hub.meals.sittings import DAY_MS, MealPlans, Moment, midnight_of, plan_on
from hub.meals.wordorder import NOW, Until
from protocol.cards import parse_card
from protocol.meals import Meal

if TYPE_CHECKING:
    from hub.attendance.evidence import Tap
    from hub.cards.holders import Holders
    from hub.parts import Store
    from hub.store.dayrows import DayRows, TapRow
    from protocol.taps import Decision

HOUR_MS: Final = 3_600_000
"""Records are looked for so far around their day: where a row says that it is, is as near as its clock was."""
NEVER_MS: Final = 1 << 60


class MealBook:
    """See the room. Asked under the ledger's lock."""

    def __init__(self, store: Store, rows: DayRows | None = None, holders: Holders | None = None) -> None:
        """Everything that is asked lives in `store`; but `rows` of days and `holders` of cards, where given."""
        self._store = store
        self._rows = store.days if rows is None else rows
        self._holders = store.holders if holders is None else holders

    # --- who was served -----------------------------------------------------------------------------------------------

    def served(self, day: date, pupils: Set[str] | None = None) -> Served:
        """Everything that was served on a day, and every record of a counter of that day that is no serving.

        Of `pupils` alone, where given: the same of them as of everybody, and less to read.
        """
        found = served(self.counters(day, pupils))
        return Served(
            tuple(one for one in found.servings if one.day == day and (pupils is None or one.pupil in pupils)),
            tuple(one for one in found.aside if one.day == day and (pupils is None or one.pupil in pupils)),
        )

    def counters(self, day: date, pupils: Set[str] | None = None) -> Counters:
        """All that counters, and people about them, said around a day; or all that `pupils` are counted by."""
        store = self._store
        with store.database.lock:
            taps = tuple(self._taps(day, pupils))
            lists = tuple(self._rows.meals.lists(day, day))
            words = tuple(self._rows.meals.words([tap.id for tap in taps]))
            return Counters(self.plans(), taps, words, lists, self._holders.bindings(), self.staff_bindings())

    def _taps(self, day: date, pupils: Set[str] | None) -> Iterator[CounterTap]:
        store, rows = self._store, self._rows
        first_ms, until_ms = midnight_of(day) - HOUR_MS, midnight_of(day) + DAY_MS + HOUR_MS
        document = next(iter(store.classbook.timetables(day).values()))
        said = {(one[0], one[1]): (one[2], one[3]) for one in rows.meals.counter_taps(first_ms, until_ms)}
        if pupils is None:
            found = rows.taps_between(first_ms, until_ms)
        else:
            found = self._taps_of(pupils, {place for place, one in said.items() if one[1] is not None}, day)
        for row in found:
            if row.kind == "canteen":
                believed, hand = said.get((row.journal, row.sequence), (None, None))
                tap = store.classbook.tap(row, document)
                book = store.ledger.books.numbered(row.journal)
                yield CounterTap(
                    tap.id,
                    book.device or "",
                    row.point,
                    row.card,
                    row.student,
                    cast("Decision", row.decision),
                    row.reason,
                    _moment(row, tap),
                    believed,
                    hand,
                )

    def _taps_of(self, pupils: Set[str], by_hand: Set[tuple[int, int]], day: date) -> Iterator[TapRow]:
        """The rows that pupils are counted by: of their cards, of cards that they were taken for, and all by hand."""
        span = midnight_of(day) - HOUR_MS, midnight_of(day) + DAY_MS + HOUR_MS
        texts = self._holders.texts_of_pupils(pupils)
        mine = list(self._rows.taps_of(texts, pupils, *span))
        strange = {row.card for row in mine} - texts
        if strange:
            mine = list(self._rows.taps_of(texts | strange, pupils, *span))
        yield from mine
        for journal, sequence in sorted(by_hand - {(row.journal, row.sequence) for row in mine}):
            row = self._rows.tap(journal, sequence)
            if row is not None:
                yield row

    def staff_bindings(self) -> Mapping[str, Sequence[Binding]]:
        """Whose of the counters' staff each card's text was."""
        store = self._store
        found: dict[str, list[Binding]] = {}
        for one in store.counters.staff():
            if one.card is not None:
                until_ms = NEVER_MS if one.gone_ms is None else one.gone_ms
                for text in self._holders.texts([parse_card(one.card).canonical]):
                    found.setdefault(text, []).append(Binding(text, one.id, one.since_ms, until_ms))
        return found

    # --- who is expected ----------------------------------------------------------------------------------------------

    def plans(self) -> MealPlans:
        """Every version of the school's meal plan."""
        return self._store.mealplans.plans()

    def said(self, day: date) -> Said:
        """All that was said of a day's meals."""
        return next(self.said_of(day, day))

    def said_of(self, first: date, last: date) -> Iterator[Said]:
        """The same of each day of a span."""
        store, meals = self._store, self._rows.meals
        with store.database.lock:
            pupils = list(store.people.of(first, last))
            enrolments, portions = tuple(meals.enrolments(first, last)), tuple(meals.portions(first, last))
            cuts, closures = tuple(meals.cuts(first, last)), tuple(meals.closures(first, last))
            excuses = tuple(self._excuses(first, last))
            plans = self.plans()
            timetables = {
                day: next(iter(store.classbook.timetables(day).values())) for day in days_between(first, last)
            }
        for day in days_between(first, last):
            classes = _classes(pupils, day)
            yield Said(
                day,
                plan_on(plans, day),
                classes,
                _taught(timetables[day], day, set(classes.values())),
                tuple(one for one in enrolments if one.speaks_of(day)),
                tuple(one for one in portions if one.speaks_of(day)),
                tuple(one for one in cuts if one.first <= day <= one.last),
                tuple(one for one in excuses if one.leave.first[0] <= day <= one.leave.last[0]),
                tuple(one for one in closures if one.day == day),
            )

    def registered(self, day: date, meal: Meal, until: Until = NOW) -> list[Expected]:
        """Everybody who is registered for a meal, by what had been said."""
        return registered(self.said(day), meal, until)

    def _excuses(self, first: date, last: date) -> Iterator[Excuse]:
        for leave, gone_ms in self._rows.leaves(first, last):
            gone = None if gone_ms is None else self._rows.withdrawal(leave.id)
            yield Excuse(leave, gone_ms, gone)


def _moment(row: TapRow, tap: Tap) -> Moment:
    """When a record was made, as it is known now; see ClassBook.tap."""
    # A bound that reaches so far is none: no clock vouches for it.
    vouched = tap.not_after_ms - tap.not_before_ms < DAY_MS
    return Moment(tap.best_ms, tap.not_before_ms, tap.not_after_ms, bool(row.anchored) or vouched)


def _classes(pupils: Sequence[Pupil], day: date) -> dict[str, str]:
    """Pupil -> class of a day; of two classes the one since later, as everywhere."""
    found = sorted((one for one in pupils if one.first <= day <= one.last), key=lambda one: one.first)
    return {one.key: one.school_class for one in found}


def _taught(document: Timetable, day: date, classes: set[str]) -> dict[str, int]:
    """Class -> the weekday that a day is taught as, of classes that have lessons."""
    return {
        name: WEEKDAYS.index(taught_as(document, day, name)) for name in classes if sessions_of(document, day, name)
    }
