"""Complaints about meals: what a parent says of their child's month is a record, and so is what the school answers.

A complaint changes no number. Where it is right, somebody says what was served or cut (see MealOffice), and states the
month anew: the restatement's reason names the answer, and the slip shows both.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date
from typing import Any, Final

from hub.days.mealchecks import MealChecks
from hub.days.mealmonths import month_days
from hub.days.office import EntryRefused
from hub.mealpapers.slip import Complaint
from hub.store.complaintrows import ComplaintRow
from protocol.mealrecords import SAYS_CHARACTERS_MAX
from protocol.taps import TapId

MONTH_MAX: Final = 50
"""Complaints about one pupil's month; whoever has more to say is spoken with."""


class Complaints(MealChecks):
    """See the room. `by` is who enters it: a user's name, or a token's."""

    def complain(
        self, by: str, student: str, month: str, says: str, day: date | None = None, meal: str | None = None
    ) -> TapId:
        """Take what a parent says of their child's meals. Raises EntryRefused."""
        self._check(by)
        first, last = month_days(month)
        if day is not None and not first <= day <= last:
            raise EntryRefused("day: {day} is not of {month}", day=day, month=month)
        if (about := day or first) > self._today():
            raise EntryRefused("{day} is no day that was", day=about)
        name = None if meal is None else self._meals([meal])[0]
        self._check_text(says)
        with self._store.database.lock:
            mine = self._store.days.meals.complaints.of(month, student)
        if sum(one.answers is None for one in mine) >= MONTH_MAX:
            raise EntryRefused(
                "{most} complaints about this month are kept already: speak with the parent", most=MONTH_MAX
            )
        return self._of_pupil("meal.complaint", _data(student, month, day, name, says, None, by), student)

    def answer(self, by: str, complaint: str, says: str) -> TapId:
        """Answer a complaint; once more, where more is to be said. Raises EntryRefused."""
        self._check(by)
        self._check_text(says)
        with self._store.database.lock:
            found = self._store.days.meals.complaints.find(complaint)
        if found is None or found.answers is not None:
            raise EntryRefused("there is no complaint {complaint!r}", complaint=complaint[:40])
        data = _data(found.pupil, found.month, found.day, found.meal, says, complaint, by)
        return self._of_pupil("meal.complaint", data, found.pupil)

    def of(self, month: str, student: str | None = None) -> list[tuple[str, Complaint]]:
        """Pupil and complaint with its newest answer, of a month, oldest first. Raises EntryRefused."""
        month_days(month)
        with self._store.database.lock:
            return complaints_of(self._store.days.meals.complaints.of(month, student))

    def _check_text(self, says: str) -> None:
        if not says.strip() or len(says) > SAYS_CHARACTERS_MAX or not says.isprintable():
            raise EntryRefused("says: one line of at most {most} characters", most=SAYS_CHARACTERS_MAX)


def _data(
    student: str, month: str, day: date | None, meal: str | None, says: str, answers: str | None, by: str
) -> dict[str, Any]:
    data: dict[str, Any] = {"student": student, "month": month, "says": says, "by": by}
    data |= {} if day is None else {"day": day.isoformat()}
    data |= {} if meal is None else {"meal": meal}
    return data | ({} if answers is None else {"answers": answers})


def complaints_of(rows: Sequence[ComplaintRow]) -> list[tuple[str, Complaint]]:
    """Pupil and complaint, each with its newest answer."""
    answers = {row.answers: row for row in rows if row.answers is not None}
    found = []
    for row in rows:
        if row.answers is None:
            answer = answers.get(row.record)
            told = ("", None, "") if answer is None else (answer.says, answer.at_ms, answer.by)
            found.append((row.pupil, Complaint(row.record, row.at_ms, row.says, row.by, row.day, row.meal, *told)))
    return found
