"""The month's paper: what each pupil's meals come to, as stated and as counted now; what can be claimed. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from hub.incidents.tables import Table
from hub.mealpapers.paper import Paper
from hub.mealpapers.words import MEALS, WORDS
from hub.reports.words import Language, class_text
from protocol.mealrecords import MealDays
from protocol.meals import Meal
from protocol.names import class_order

COUNTS = ("registered", "cut", "late", "card", "hand", "list", "unconfirmed", "seconds", "chargeable")
HEADS = (
    "registered", "cut-on-time", "late", "by-card", "by-hand", "by-list", "unconfirmed", "seconds", "chargeable",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class MonthLine:
    """A pupil's month. `name` empty where whoever asks sees keys alone; `stated` None: in no version."""

    pupil: str
    name: str
    school_class: str
    now: MealDays
    stated: MealDays | None = None


def month_paper(
    month: str, meal: Meal, lines: Sequence[MonthLine], version: int | None, language: Language = "vi"
) -> Paper:
    """Rows by class and pupil, then the sum. `version`: the newest that was stated, None where none was."""
    words = WORDS[language]
    rows: list[tuple[str | int, ...]] = []
    total, claimed = MealDays(), 0
    for one in sorted(lines, key=lambda one: (class_order(one.school_class), one.pupil)):
        total, claimed = total.plus(one.now), claimed + one.now.eaten
        differs = "" if one.stated in (None, one.now) else _difference(one.now, one.stated or MealDays(), language)
        numbers = [getattr(one.now, name) for name in COUNTS]
        place = class_text(language, one.school_class), one.pupil, one.name
        rows.append((*place, *numbers, one.now.eaten, differs))
    rows.append((words["whole"], "", "", *(getattr(total, name) for name in COUNTS), claimed, ""))
    table = Table(
        MEALS[language][meal],
        f"{MEALS[language][meal]} {month}",
        tuple(words[name] for name in ("class", "pupil", "pupil-name", *HEADS, "eaten", "differs")),
        (22.0, 30.0, 45.0, *(15.0,) * 9, 18.0, 27.0),
        tuple(rows),
    )
    stated = words["draft"] if version is None else f"{words['version']}: {version}"
    lines_told = (f"{MEALS[language][meal]} {month}", stated, words["subsidy"])
    return Paper(words["month"], lines_told, (table,), (words["sign-accountant"], words["sign-head"]))


def _difference(now: MealDays, stated: MealDays, language: Language) -> str:
    """What is otherwise than stated, such as `Ăn (thẻ) +1`."""
    words: Mapping[str, str] = WORDS[language]
    less = now.plus(stated, -1)
    changed = [(head, getattr(less, name)) for name, head in zip(COUNTS, HEADS, strict=True) if getattr(less, name)]
    return ", ".join(f"{words[head]} {number:+d}" for head, number in changed)
