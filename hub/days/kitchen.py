"""The kitchen: one thread that freezes each meal's sheet at its locks, and then appends what it is adjusted by.

A hub that was down at a lock freezes the sheet when it is back, and the record says when that was. What is entered
later - late cuts, leave, a pupil who moved - follows as an adjustment, so that the frozen sheet and its adjustments are
always what all words say, and what people asked for beside them.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import date, timedelta
from typing import TYPE_CHECKING, Any, Final, Literal

from hub.days.classbook import today_at
from hub.days.office import EntryRefused
from hub.meals.portions import (
    MEAL_RULES,
    Expected,
    changed,
    difference,
    in_parts,
    is_closed,
    registered,
    sheet_digest,
    sheet_of,
    together,
)
from hub.meals.sittings import clock_ms, plan_on
from hub.meals.wordorder import NOW, Until
from hub.worker import RowsWorker
from protocol.envelope import rfc3339
from protocol.mealrecords import STUDENTS_NAMED_MAX, Portions
from protocol.meals import Meal
from protocol.taps import TapId

if TYPE_CHECKING:
    from hub.parts import Store
    from hub.store.sheetrows import AdjustmentRow, LockRow

log = logging.getLogger("k12edge.kitchen")

LOOK_MS: Final = 20_000
"""Between two looks; a lock's time is no secret, and who enters something wakes it."""
WAIT_MS: Final = 5_000
"""While the clock isn't set, or records are regained."""
BEHIND_MS: Final = 250
"""While the daybook reads again what people said."""
LEARN_MS: Final = 500
"""Between two past days, for others who wait for the ledger."""
FAILED_PAUSE_MS: Final = 10_000
BACK_DAYS: Final = 7
"""A hub that was away longer freezes no sheet of before; nobody cooks by it, and what was eaten counts all the same."""
AHEAD_DAYS: Final = 7
"""A person freezes no sheet earlier: food is ordered for a week, and who is registered later would only be adjusted."""
PART_BYTES_MAX: Final = 12 * 1024
"""Of classes in a record, which has 16 KiB."""
Lock = Literal["provisional", "final"]
LOCKS: Final[tuple[Lock, ...]] = ("provisional", "final")


class Kitchen(RowsWorker):
    """See the room. `on_locked` hears after each commit that records were appended."""

    def __init__(self, store: Store) -> None:
        """Nothing was looked at yet in this run."""
        super().__init__(store.database, log, FAILED_PAUSE_MS)
        self._store = store
        self._seen: object = None
        self._classes: dict[date, Mapping[str, str]] = {}
        self.on_locked: Callable[[], None] = lambda: None

    def failed(self) -> None:
        """Look at everything again."""
        self._seen = None

    def work(self) -> int:
        """Freeze what is due, and append what follows; the ms to wait before the next look."""
        store = self._store
        with store.database.lock:
            if store.clock.error_ms() is None or store.regaining() or store.calendar_in_doubt() is not None:
                return WAIT_MS
            if store.daybook.rereading:
                return BEHIND_MS
            today = today_at(store.clock.now_ms())
            seen = (today, store.days.meals.version, store.mealplans.version, store.people.version, self._timely(today))
            run = store.database.connection.execute
            counts = tuple(
                run(f"SELECT count(*), max({column}) FROM {table}").fetchone()
                for table, column in (("leaves", "at_ms"), ("leaves_withdrawn", "at_ms"), ("timetables", "made_ms"))
            )
        if (seen, counts) == self._seen:
            # With nothing else to do, one more past day is read, from which a forecast is made.
            return LEARN_MS if store.forecasts.learn() else self._wait_ms(today)
        done = 0
        for back in range(BACK_DAYS, -1, -1):
            day = today - timedelta(days=back)
            done += self._freeze_due(day) + self._follow(day)
        self._classes = {day: some for day, some in self._classes.items() if day >= today - timedelta(days=BACK_DAYS)}
        self._seen = (seen, counts)
        if done:
            self.on_locked()
        return self._wait_ms(today)

    def _wait_ms(self, today: date) -> int:
        """Until the next look, which the next lock of today doesn't wait for."""
        now_ms = self._store.clock.now_ms()
        plan = plan_on(self._store.mealplans.plans(), today)
        locks = (clock_ms(today, getattr(one, lock)) - now_ms for one in plan.meals for lock in LOCKS)
        return min([LOOK_MS, *(wait_ms for wait_ms in locks if wait_ms > 0)])

    def _timely(self, today: date) -> list[tuple[Meal, Lock]]:
        """The locks of today whose time has come."""
        now_ms = self._store.clock.now_ms()
        plan = plan_on(self._store.mealplans.plans(), today)
        return [
            (one.meal, lock) for one in plan.meals for lock in LOCKS if now_ms >= clock_ms(today, getattr(one, lock))
        ]

    # --- freezing -----------------------------------------------------------------------------------------------------

    def _freeze_due(self, day: date) -> int:
        """Freeze each sheet of a day whose lock has passed and that wasn't; how many."""
        store, now_ms = self._store, self._store.clock.now_ms()
        with store.database.transaction():
            done = {(one.meal, one.lock) for one in store.days.meals.sheets.locks(day)}
            due = [
                (planned.meal, lock, clock_ms(day, getattr(planned, lock)))
                for planned in plan_on(store.mealplans.plans(), day).meals
                for lock in LOCKS
                if (planned.meal, lock) not in done and (planned.meal, "final") not in done
            ]
            due = [one for one in due if one[2] <= now_ms]
            if not due or not store.days.meals.speaks_of(day):
                return 0
            said = store.mealbook.said(day)
            count = 0
            for meal, lock, due_ms in due:
                if lock == "provisional" and (meal, "final") in {(other, one) for other, one, _ in due}:
                    # Both are due: the hub was down at the first one, and nobody can cook by it any more.
                    continue
                expected = registered(said, meal)
                if expected or is_closed(said, meal):
                    self._freeze("-", day, meal, lock, due_ms, expected, closed=is_closed(said, meal))
                    count += 1
        return count

    def freeze(self, by: str, day: date, meal: Meal, lock: Lock) -> str:
        """Freeze a sheet now, by a person's word; the record. Raises EntryRefused where it is frozen for good.

        Also where its day lies too far ahead, or so far back that nothing follows such a sheet any more.
        """
        store = self._store
        with store.database.transaction():
            if store.clock.error_ms() is None or store.daybook.rereading or store.regaining():
                raise EntryRefused("the hub's clock isn't set, or it still reads what was said: wait, or use the paper")
            today = today_at(store.clock.now_ms())
            if not -BACK_DAYS <= (day - today).days <= AHEAD_DAYS:
                raise EntryRefused(
                    "{day}: a sheet can be frozen from {ahead} days before its day to {back} days after it",
                    day=day,
                    ahead=AHEAD_DAYS,
                    back=BACK_DAYS,
                )
            if lock == "provisional" and day < today:
                raise EntryRefused("{day} is past: nobody cooks by a provisional sheet of it any more", day=day)
            if any((one.meal, one.lock) == (meal, "final") for one in store.days.meals.sheets.locks(day)):
                raise EntryRefused(
                    "the sheet of {meal} on {day} is frozen: it can only be adjusted", meal=meal, day=day
                )
            said = store.mealbook.said(day)
            planned = said.plan.of(meal)
            if planned is None:
                raise EntryRefused("the school's plan has no {meal}", meal=meal)
            due_ms = clock_ms(day, getattr(planned, lock))
            shut = is_closed(said, meal)
            record = self._freeze(by, day, meal, lock, due_ms, registered(said, meal), closed=shut)
        self.on_locked()
        return str(record)

    def _freeze(
        self, by: str, day: date, meal: Meal, lock: Lock, due_ms: int, expected: list[Expected], *, closed: bool
    ) -> TapId:
        store = self._store
        before = [one.version for one in store.days.meals.sheets.locks(day) if one.meal == meal]
        parts = list(in_parts(sheet_of(expected), PART_BYTES_MAX))
        record: TapId | None = None
        for number, classes in enumerate(parts, 1):
            data: dict[str, Any] = {
                "day": day.isoformat(),
                "meal": meal,
                "lock": lock,
                "version": max(before, default=0) + 1,
                "due": rfc3339(due_ms),
                "frozen": rfc3339(store.clock.now_ms()),
                "rules": MEAL_RULES,
                "part": number,
                "parts": len(parts),
                "classes": classes,
                "digest": sheet_digest(expected),
                "by": by,
            }
            data |= {"closed": True} if closed else {}
            record = store.daybook.enter("meal.sheet.locked", data)
        assert record is not None, "a sheet has at least one part"
        return record

    # --- what follows -------------------------------------------------------------------------------------------------

    def _follow(self, day: date) -> int:
        """Append what a day's frozen sheets are otherwise by than what is said now; how many records.

        Who moved, came or left in the roster is said by no record: it shows against the classes of the look before.
        """
        store = self._store
        with store.database.transaction():
            frozen = [one for one in store.days.meals.sheets.locks(day) if one.lock == "final"]
            if not frozen:
                return 0
            said = store.mealbook.said(day)
            then = replace(said, classes=self._classes.get(day, said.classes))
            self._classes[day] = said.classes
            adjustments = store.days.meals.sheets.adjustments(day)
            count = 0
            for sheet in frozen:
                mine = [one for one in adjustments if one.meal == sheet.meal]
                now = registered(said, sheet.meal)
                asked = [one.classes for one in mine if one.why == "asked"]
                follows = difference(
                    together(sheet_of(now), *asked), together(sheet.classes, *(one.classes for one in mine))
                )
                if follows:
                    since = _last_word(sheet, mine)
                    students = changed(registered(then, sheet.meal, since), now)
                    self._append("-", sheet, mine, "follows", follows, "", students)
                    count += 1
        return count

    def adjust(self, by: str, day: date, meal: Meal, classes: Mapping[str, Portions], reason: str) -> TapId:
        """Add portions to a frozen sheet, or take some. Raises EntryRefused where it isn't frozen, or none are left."""
        store = self._store
        with store.database.transaction():
            sheets = [one for one in store.days.meals.sheets.locks(day) if (one.meal, one.lock) == (meal, "final")]
            if not sheets:
                raise EntryRefused(
                    "the sheet of {meal} on {day} isn't frozen yet: enter what it is about", meal=meal, day=day
                )
            sheet = sheets[-1]
            mine = [one for one in store.days.meals.sheets.adjustments(day) if one.meal == meal]
            then = together(sheet.classes, *(one.classes for one in mine), classes)
            if any(getattr(one, name) < 0 for one in then.values() for name in one.__struct_fields__):
                raise EntryRefused("classes: more would be taken than there is")
            known = set(store.people.classes(day)) | sheet.classes.keys()
            strange = sorted(classes.keys() - known)
            if strange:
                raise EntryRefused("{strange}: no class of the school on that day", strange=", ".join(strange[:5]))
            record = self._append(by, sheet, mine, "asked", dict(classes), reason, [])
        self.on_locked()
        return record

    def _append(
        self,
        by: str,
        sheet: LockRow,
        before: list[AdjustmentRow],
        why: Literal["asked", "follows"],
        classes: Mapping[str, Portions],
        reason: str,
        students: list[str],
    ) -> TapId:
        record: TapId | None = None
        number = max((one.number for one in before), default=0)
        for part in in_parts(classes, PART_BYTES_MAX - STUDENTS_NAMED_MAX * 68):
            number += 1
            data: dict[str, Any] = {
                "day": sheet.day.isoformat(),
                "meal": sheet.meal,
                "version": sheet.version,
                "number": number,
                "why": why,
                "classes": part,
                "by": by,
                "reason": reason,
            }
            if students:
                data |= {"students": students[:STUDENTS_NAMED_MAX]}
            if len(students) > STUDENTS_NAMED_MAX:
                data |= {"more": len(students) - STUDENTS_NAMED_MAX}
            record = self._store.daybook.enter("meal.adjusted", data)
        assert record is not None, "something is adjusted"
        return record

    def sheet(self, day: date, meal: Meal) -> tuple[LockRow | None, list[AdjustmentRow], dict[str, Portions]]:
        """The newest frozen sheet of a meal, what was adjusted since, and what the kitchen's numbers are now."""
        store = self._store
        with store.database.lock:
            sheets = [one for one in store.days.meals.sheets.locks(day) if one.meal == meal]
            mine = [one for one in store.days.meals.sheets.adjustments(day) if one.meal == meal]
            if not sheets:
                return None, [], sheet_of(store.mealbook.registered(day, meal))
            if sheets[-1].lock == "provisional":
                return sheets[-1], [], sheet_of(store.mealbook.registered(day, meal))
        return sheets[-1], mine, together(sheets[-1].classes, *(one.classes for one in mine))


def _last_word(sheet: LockRow, adjustments: list[AdjustmentRow]) -> Until:
    """What had been said when the sheet's numbers were told last."""
    following = [one for one in adjustments if one.why == "follows"]
    if following:
        return Until(following[-1].at_ms, following[-1].record)
    return Until(sheet.at_ms, sheet.record) if sheet.record else NOW
