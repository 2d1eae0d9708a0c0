"""The kitchen's paper: a meal's portions class by class, its lock and version, and what was adjusted since. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from typing import Final, Literal

from hub.incidents.tables import Table
from hub.mealpapers.paper import Paper
from hub.mealpapers.words import MEALS, WORDS
from hub.meals.portions import total
from hub.reports.words import Language, day_text, moment_text
from protocol.mealrecords import Portions
from protocol.meals import Meal
from protocol.names import class_order

KINDS: Final = ("regular", "vegetarian", "porridge", "diet")
COLUMNS: Final = ("class", "registered", "cut", *KINDS, "total")
WIDTHS: Final = (61.0, 32.0, 32.0, 30.0, 30.0, 30.0, 30.0, 32.0)
FROZEN_WIDTHS: Final = (37.0, 30.0, 30.0, 30.0, 30.0, 30.0, 30.0, 30.0, 30.0)
"""With the totals as they were when the sheet was locked."""


@dataclass(frozen=True, slots=True)
class Frozen:
    """When a sheet froze: which lock, its version, when it was due and did (Unix ms), by whom (`-`: by itself).

    `classes`: what it said then.
    """

    lock: Literal["provisional", "final"]
    version: int
    due_ms: int
    frozen_ms: int
    by: str
    closed: bool = False
    classes: Mapping[str, Portions] = field(default_factory=dict)


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
    was = frozen.classes if frozen is not None and frozen.lock == "final" else None
    rows = [
        _row(name, numbers[name], None if was is None else was.get(name, Portions()))
        for name in sorted(numbers, key=class_order)
    ]
    rows.append(_row(words["whole"], total(numbers), None if was is None else total(was)))
    table = Table(
        MEALS[language][meal],
        f"{MEALS[language][meal]} {day_text(day)}",
        tuple(words[name] for name in (COLUMNS if was is None else (*COLUMNS, "frozen"))),
        WIDTHS if was is None else FROZEN_WIDTHS,
        tuple(rows),
    )
    lines = [f"{MEALS[language][meal]}, {day_text(day)}", _standing(frozen, language)]
    lines += [_adjustment(one, language) for one in adjusted]
    if frozen is not None and frozen.closed:
        lines.append(words["closed"])
    return Paper(
        words["kitchen"], tuple(lines), (table,), (words["sign-office"], words["sign-kitchen"], words["sign-head"])
    )


def _row(name: str, now: Portions, was: Portions | None) -> tuple[str | int, ...]:
    row = (name, now.registered, now.cut, *(getattr(now, kind) for kind in KINDS), now.total)
    return row if was is None else (*row, was.total)


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
    changes = "; ".join(
        f"{name} {_change(one.classes[name], language)}" for name in sorted(one.classes, key=class_order)
    )
    return f"{told} ({changes})"


def _change(numbers: Portions, language: Language) -> str:
    """What was put on or taken off a class, kind by kind; a cut that no portion follows from stands there alone."""
    kinds = ((kind, getattr(numbers, kind)) for kind in (*KINDS, "cut"))
    return ", ".join(f"{WORDS[language][kind]} {count:+d}" for kind, count in kinds if count) or "+0"
