"""The kitchen's paper: a meal's portions class by class, its lock and version, and what was adjusted since. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Literal

from hub.incidents.tables import Table
from hub.mealpapers.paper import Paper
from hub.mealpapers.words import MEALS, WORDS
from hub.meals.portions import total
from hub.reports.words import Language, day_text, moment_text
from protocol.mealrecords import Portions
from protocol.meals import Meal
from protocol.names import class_order


@dataclass(frozen=True, slots=True)
class Frozen:
    """When a sheet froze: which lock, its version, when it was due and did (Unix ms), by whom (`-`: by itself)."""

    lock: Literal["provisional", "final"]
    version: int
    due_ms: int
    frozen_ms: int
    by: str
    closed: bool = False


@dataclass(frozen=True, slots=True)
class Adjusted:
    """An adjustment after the final lock; `asked` for a reason, or following from later words."""

    number: int
    at_ms: int
    by: str
    reason: str
    classes: Mapping[str, Portions]


def kitchen_paper(
    day: date,
    meal: Meal,
    numbers: Mapping[str, Portions],
    frozen: Frozen | None,
    adjusted: Sequence[Adjusted] = (),
    language: Language = "vi",
) -> Paper:
    """`numbers`: class -> what is cooked now, adjustments among it. `frozen` None: a draft. No names stand in it."""
    words = WORDS[language]
    names = ("class", "registered", "cut", "regular", "vegetarian", "porridge", "diet", "total")
    rows = [_row(school_class, numbers[school_class]) for school_class in sorted(numbers, key=class_order)]
    rows.append(_row(words["whole"], total(numbers)))
    table = Table(
        MEALS[language][meal],
        f"{MEALS[language][meal]} {day_text(day)}",
        tuple(words[name] for name in names),
        (61.0, 32.0, 32.0, 30.0, 30.0, 30.0, 30.0, 32.0),
        tuple(rows),
    )
    lines = [f"{MEALS[language][meal]}, {day_text(day)}", _standing(frozen, language)]
    lines += [_adjustment(one, language) for one in adjusted]
    if frozen is not None and frozen.closed:
        lines.append(words["closed"])
    return Paper(
        words["kitchen"], tuple(lines), (table,), (words["sign-office"], words["sign-kitchen"], words["sign-head"])
    )


def _row(name: str, numbers: Portions) -> tuple[str | int, ...]:
    return (
        name,
        numbers.registered,
        numbers.cut,
        numbers.regular,
        numbers.vegetarian,
        numbers.porridge,
        numbers.diet,
        numbers.total,
    )


def _standing(frozen: Frozen | None, language: Language) -> str:
    words = WORDS[language]
    if frozen is None:
        return words["draft"]
    told = words[frozen.lock].format(version=frozen.version, moment=moment_text(frozen.frozen_ms))
    return f"{told} ({words['due'].format(moment=moment_text(frozen.due_ms))})"


def _adjustment(one: Adjusted, language: Language) -> str:
    words = WORDS[language]
    reason = one.reason or words["follows"]
    told = words["adjusted"].format(number=one.number, moment=moment_text(one.at_ms), by=one.by, reason=reason)
    changes = ", ".join(f"{name} {numbers.total:+d}" for name, numbers in sorted(one.classes.items()))
    return f"{told} ({changes})"
