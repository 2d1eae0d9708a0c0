"""The parent's slip: one child's meals of a month, each with its hours; and the complaints about them. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime

from hub.attendance.schoolday import VIETNAM
from hub.incidents.tables import Table
from hub.mealpapers.paper import Paper
from hub.mealpapers.words import MEALS, WORDS
from hub.meals.mealdays import PupilMeal, month_of
from hub.meals.servings import Serving
from hub.reports.words import Language, day_text, moment_text
from protocol.mealrecords import MealDays
from protocol.meals import Meal


@dataclass(frozen=True, slots=True)
class Complaint:
    """What a parent says of a month, a day or a meal of it, and the school's answer; `record` names the complaint."""

    record: str
    at_ms: int
    says: str
    by: str
    day: date | None = None
    meal: Meal | None = None
    answer: str = ""
    answered_ms: int | None = None
    answered_by: str = ""


@dataclass(frozen=True, slots=True)
class SlipDay:
    """A meal of a day: when the cut that counts was said and when its lock was (Unix ms), and what was served."""

    meal: PupilMeal
    said_ms: int | None
    lock_ms: int
    servings: tuple[Serving, ...]


def slip_days(
    meals: Iterable[PupilMeal],
    servings: Iterable[Serving],
    said_ms: Mapping[str, int],
    locks: Mapping[tuple[date, Meal], int],
) -> list[SlipDay]:
    """A pupil's days, of `meals` of that pupil alone. `said_ms`: record of a cut or leave -> when it was said."""
    found = []
    mine: dict[tuple[date, Meal, str | None], list[Serving]] = {}
    for one in servings:
        mine.setdefault((one.day, one.meal, one.pupil), []).append(one)
    for meal in sorted(meals, key=lambda one: (one.day, one.meal)):
        told = [said_ms[record] for record in meal.cuts if record in said_ms]
        served = sorted(mine.get((meal.day, meal.meal, meal.pupil), []), key=lambda one: one.nth)
        lock_ms = locks.get((meal.day, meal.meal), 0)
        found.append(SlipDay(meal, min(told, default=None), lock_ms, tuple(served)))
    return found


def slip_paper(
    name: str,
    school_class: str,
    month: str,
    days: Sequence[SlipDay],
    complaints: Sequence[Complaint] = (),
    language: Language = "vi",
) -> Paper:
    """The slip of one child. Nothing of any other child, of health, or of what anybody owes stands in it."""
    words = WORDS[language]
    pupils = {one.meal.pupil for one in days}
    assert len(pupils) <= 1, "a slip is of one child"
    names = ("day", "meal", "registered", "said", "lock", "time", "counter", "how", "seconds", "charged")
    table = Table(
        words["slip"],
        words["slip"],
        tuple(words[one] for one in names),
        (24.0, 25.0, 20.0, 40.0, 33.0, 33.0, 30.0, 36.0, 18.0, 18.0),
        tuple(_row(one, language) for one in days),
    )
    counts = month_of(one.meal for one in days)
    total = next(iter(counts.values()), MealDays())
    summed = Table(
        words["total"],
        words["total"],
        tuple(words[one] for one in ("registered", "cut-on-time", "late", "eaten", "unconfirmed", "chargeable")),
        (46.0,) * 6,
        ((total.registered, total.cut, total.late, total.eaten, total.unconfirmed, total.chargeable),),
    )
    said = _complaints(complaints, language)
    lines = (f"{name} · {words['class']} {school_class} · {month}", words["complain"])
    return Paper(words["slip"], lines, (table, summed, *said), (words["sign-parent"], words["sign-accountant"]))


def _row(one: SlipDay, language: Language) -> tuple[str | int, ...]:
    words, meal = WORDS[language], one.meal
    cut = words["none"]
    if meal.cut is not None and one.said_ms is not None:
        cut = f"{_short(one.said_ms)} ({words['in-time' if meal.cut == 'in-time' else 'too-late']})"
    first = one.servings[0] if one.servings else None
    how = words["none"]
    if first is not None:
        how = words[first.how] + ("" if first.confirmed else f", {words['sure']}")
    return (
        day_text(meal.day),
        MEALS[language][meal.meal],
        words["yes" if meal.registered else "no"],
        cut,
        _short(one.lock_ms) if one.lock_ms else words["none"],
        words["none"] if first is None else _clock(first.when.best_ms),
        words["none"] if first is None else first.point or words["list"],
        how,
        meal.seconds,
        words["yes" if meal.chargeable else "no"],
    )


def _complaints(complaints: Sequence[Complaint], language: Language) -> Sequence[Table]:
    words = WORDS[language]
    if not complaints:
        return ()
    rows = []
    for one in sorted(complaints, key=lambda one: (one.at_ms, one.record)):
        about = " ".join((day_text(one.day) if one.day else "", MEALS[language][one.meal] if one.meal else "")).strip()
        answer = words["waiting"]
        if one.answered_ms is not None:
            answer = f"{one.answer} ({one.answered_by}, {moment_text(one.answered_ms)})"
        rows.append((moment_text(one.at_ms), about or words["none"], one.says, answer))
    names = (words["entered"], words["what"], words["says"], words["answer"])
    return (Table(words["complaints"], words["complaints"], names, (35.0, 42.0, 100.0, 100.0), tuple(rows)),)


def _clock(at_ms: int) -> str:
    return datetime.fromtimestamp(at_ms / 1000, VIETNAM).strftime("%H:%M:%S")


def _short(at_ms: int) -> str:
    return datetime.fromtimestamp(at_ms / 1000, VIETNAM).strftime("%H:%M %d/%m")
