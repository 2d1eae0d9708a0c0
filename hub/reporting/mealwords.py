"""The words of meal papers, complaints and audit packs: what commands ask, made here and handed over."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import date
from typing import TYPE_CHECKING, Any, Final

import msgspec

from hub.access.rights import Person
from hub.days.mealmonths import month_days
from hub.desks.desk import Outcome
from hub.mealpapers.paper import PAPER_FORMS
from hub.mealpapers.slip import Complaint
from hub.papers import HANDED_BYTES_MAX
from hub.reporting.making import ReportRefused
from hub.reporting.mealpapers import MealPapers
from hub.reporting.monthpack import MonthPack
from hub.reports.words import moment_text
from protocol.envelope import rfc3339
from protocol.meals import MEALS, Meal

if TYPE_CHECKING:
    from hub.parts import Store

Words = Mapping[str, str | None]
PAPERS: Final = ("kitchen", "public", "ratings", "food", "month", "slip")


class MealWords:
    """See the room. Whoever asks is noted: a month names pupils."""

    def __init__(self, store: Store) -> None:
        """Of one hub."""
        self._store = store

    def carry_out(self, action: str, words: Words) -> Outcome:
        """Do one of MEAL_ACTIONS. Raises EntryRefused, ReportRefused."""
        return ACTIONS[action](self, words)

    def _audit(self, words: Words) -> Outcome:
        month, by = words.get("month") or "", _by(words)
        made = MonthPack(self._store).make(by, month)
        self._note(by, "meal audit pack", month)
        if len(made.octets) > HANDED_BYTES_MAX:
            raise ReportRefused(f"the pack has {len(made.octets)} bytes, more than a command carries")
        return Outcome("\n".join(made.verdict.lines), paper=made.octets)

    def _paper(self, words: Words) -> Outcome:
        """`what`: kitchen, public, ratings, food, month or slip."""
        papers, what, by = MealPapers(self._store), words.get("what") or "", _by(words)
        month = words.get("month")
        if what not in PAPERS:
            raise ReportRefused(f"{what[:20]!r} is not one of {', '.join(PAPERS)}")
        if what == "slip" and not words.get("student"):
            raise ReportRefused("slip is of a pupil: give --student")
        if what not in ("month", "slip") and month is None and not words.get("date"):
            raise ReportRefused(f"{what} is of a day or a month: give --date or --month")
        if what in ("month", "slip") and month is None:
            raise ReportRefused(f"{what} is of a month: give --month")
        first, last = month_days(month) if month is not None else (_date(words), _date(words))
        meal = _meal(words)
        match what:
            case "kitchen":
                made = papers.kitchen(first, meal)
            case "public":
                made = papers.public(first, meal)
            case "ratings":
                made = papers.ratings(first, last)
            case "food":
                made = papers.food(first, last)
            case "month":
                made = papers.month(month or "", meal, names=words.get("names") == "True")
            case _:
                made = papers.slip(words.get("student") or "", month or "")
        self._note(by, f"meal paper {what}", words.get("student") or month or first.isoformat())
        form = words.get("format") or (words.get("file") or "").rpartition(".")[2].lower()
        name = next((one for one in PAPER_FORMS if one == form), None)
        if name is None:
            raise ReportRefused(f"{form[:20]!r} is not one of {', '.join(PAPER_FORMS)}", hint="Name the file so.")
        return Outcome(made.title, paper=papers.file(made, name, by))

    def _complain(self, words: Words) -> Outcome:
        day = None if words.get("date") is None else _date(words)
        student, month = words.get("student") or "", words.get("month") or ""
        record = self._store.complaints.complain(
            _by(words), student, month, words.get("says") or "", day, words.get("meal")
        )
        return Outcome(str(record), records=1)

    def _answer(self, words: Words) -> Outcome:
        record = self._store.complaints.answer(_by(words), words.get("record") or "", words.get("says") or "")
        return Outcome(str(record), records=1)

    def _complaints(self, words: Words) -> Outcome:
        month = words.get("month") or ""
        self._note(_by(words), "meal complaints", month)
        found = self._store.complaints.of(month)
        if words.get("json") == "True":
            told = [complaint_told(pupil, one) for pupil, one in found]
            return Outcome(msgspec.json.encode(told).decode("utf-8"))
        lines = (
            f"{one.record}\t{moment_text(one.at_ms)}\t{pupil}\t{one.says}\t{one.answer or '-'}" for pupil, one in found
        )
        return Outcome("\n".join(lines) or "chưa có / none yet")

    def _note(self, by: str, what: str, about: str) -> None:
        store = self._store
        with store.database.transaction():
            clock = store.clock
            store.audit.note(Person(by, "it"), what, about, "read", "allowed", clock.now_ms(), clock.mono_ms())


def complaint_told(pupil: str, one: Complaint) -> dict[str, Any]:
    """A complaint and its newest answer, for programs."""
    return {
        "record": one.record,
        "time": rfc3339(one.at_ms),
        "student": pupil,
        "day": None if one.day is None else one.day.isoformat(),
        "meal": one.meal,
        "says": one.says,
        "by": one.by,
        "answer": one.answer or None,
        "answered": None if one.answered_ms is None else rfc3339(one.answered_ms),
        "answered_by": one.answered_by or None,
    }


def _date(words: Words) -> date:
    text = words.get("date") or ""
    try:
        return date.fromisoformat(text)
    except ValueError as problem:
        raise ReportRefused(f"date: {text[:20]!r} is no day such as 2026-11-23") from problem


def _meal(words: Words) -> Meal:
    text = words.get("meal") or "lunch"
    found = next((one for one in MEALS if one == text), None)
    if found is None:
        raise ReportRefused(f"meal {text[:20]!r} is not one of {', '.join(MEALS)}")
    return found


def _by(words: Words) -> str:
    return words.get("by") or "-"


ACTIONS: Final[dict[str, Callable[[MealWords, Words], Outcome]]] = {
    "meal-audit": MealWords._audit,
    "meal-paper": MealWords._paper,
    "complaint-add": MealWords._complain,
    "complaint-answer": MealWords._answer,
    "complaint-list": MealWords._complaints,
}
MEAL_ACTIONS: Final = frozenset(ACTIONS)
