"""The checks of whatever is entered of meals: who enters it, of which days and pupils; and what follows each entry."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date, datetime, timedelta
from typing import TYPE_CHECKING, Any

from hub.attendance.schoolday import VIETNAM
from hub.days.office import AHEAD_DAYS_MAX, BACK_DAYS_MAX, BY_CHARACTERS_MAX, REASON_CHARACTERS_MAX, EntryRefused
from protocol.meals import MEALS, Meal
from protocol.taps import TapId

if TYPE_CHECKING:
    from hub.parts import Store


class MealChecks:
    """See the room."""

    def __init__(self, store: Store) -> None:
        """Work for one hub."""
        self._store = store

    def _enter(self, kind: str, data: dict[str, Any], subject: str | None = None) -> TapId:
        with self._store.database.transaction():
            record = self._store.daybook.enter(kind, data, subject)
        self._entered()
        return record

    def _of_pupil(self, kind: str, data: dict[str, Any], student: str) -> TapId:
        with self._store.database.transaction():
            self._pupil(student)
            record = self._store.daybook.enter(kind, data, f"student/{student}")
        self._entered()
        return record

    def _entered(self) -> None:
        self._store.office.on_entered(False)
        self._store.kitchen.wake()

    def _pupil(self, student: str) -> None:
        if self._store.people.find(student) is None:
            raise EntryRefused("{student!r} is no pupil of this school", student=student[:70])

    def _meals(self, meals: Sequence[str]) -> list[Meal]:
        if len(set(meals)) != len(meals) or not set(meals) <= set(MEALS):
            raise EntryRefused("meals: each one of {meals}, once", meals=", ".join(MEALS))
        return [meal for meal in MEALS if meal in meals]

    def _check(self, by: str, reason: str = "") -> None:
        if not by or len(by) > BY_CHARACTERS_MAX or not by.isprintable():
            raise EntryRefused("by: who enters it is a name of at most {most} characters", most=BY_CHARACTERS_MAX)
        if len(reason) > REASON_CHARACTERS_MAX or not all(c.isprintable() for c in reason):
            raise EntryRefused("reason: at most {most} characters of one line", most=REASON_CHARACTERS_MAX)

    def _today(self) -> date:
        return datetime.fromtimestamp(self._store.clock.now_ms() / 1000, VIETNAM).date()

    def _check_day(self, day: date) -> None:
        today = self._today()
        if not today - timedelta(days=BACK_DAYS_MAX) <= day <= today + timedelta(days=AHEAD_DAYS_MAX):
            raise EntryRefused("{day} lies too far back, or ahead", day=day)

    def _check_span(self, first: date, last: date | None, reason: str) -> None:
        self._check_day(first)
        if last is not None:
            self._check_day(last)
            if last < first:
                raise EntryRefused("it ends before it begins")
        if first < self._today() and not reason.strip():
            raise EntryRefused("reason: why days that were are changed must be said")
