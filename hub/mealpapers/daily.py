"""The day's papers: the public sheet, what pupils said of the meal, and the links to the food safety book. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date

from hub.incidents.tables import Table
from hub.incidents.words import origin_text
from hub.mealpapers.paper import Paper
from hub.mealpapers.words import MEALS, WORDS
from hub.meals.publicsheet import CounterLine, PublicSheet
from hub.meals.servings import Serving, serving_spans
from hub.reports.words import Language, day_text, moment_text
from protocol.meals import FACES, Meal, Portion

PUBLIC = (
    "registered", "cut", "expected", "present", "served", "seconds", "unclaimed", "strangers", "adults", "unconfirmed",
    "referred",
)  # fmt: skip


def public_paper(
    sheet: PublicSheet,
    counters: Sequence[CounterLine],
    language: Language = "vi",
    dark: Mapping[str, Sequence[tuple[str, str]]] | None = None,
) -> Paper:
    """A meal of a day in numbers that a school posts at its door: no names, and nothing about money.

    `dark`: see MealEvents; that a counter recorded nothing for a while stands above the numbers.
    """
    words = WORDS[language]
    numbers = ((words[name], getattr(sheet, name)) for name in PUBLIC)
    meal = MEALS[language][sheet.meal]
    first = Table(
        meal,
        f"{meal} {day_text(sheet.day)}",
        (words["what"], words["number"]),
        (200.0, 77.0),
        tuple((name, words["unknown"] if number is None else number) for name, number in numbers),
    )
    second = Table(
        words["counter"],
        words["counter"],
        tuple(words[name] for name in ("counter", "shift", "served", "seconds", "strangers", "last")),
        (87.0, 30.0, 40.0, 40.0, 40.0, 40.0),
        tuple(
            (one.point, one.shift, one.served, one.seconds, one.strangers, moment_text(one.last_ms)) for one in counters
        ),
    )
    unseen = (f"{counter}: {origin_text(why, language)}" for counter, why in (dark or {}).items())
    lines = (f"{meal}, {day_text(sheet.day)}", *((words["closed"],) if sheet.closed else ()), *unseen)
    return Paper(words["public"], lines, (first, second), (words["sign-head"],))


def ratings_paper(
    ratings: Mapping[date, Mapping[tuple[Meal, str], Mapping[str, int]]], language: Language = "vi"
) -> Paper:
    """How many touched each face: day -> (meal, tray return) -> face -> touches. Nobody knows whose they were."""
    words = WORDS[language]
    rows: list[tuple[str | int, ...]] = []
    for day in sorted(ratings):
        for (meal, point), faces in sorted(ratings[day].items()):
            counts = [faces.get(face, 0) for face in FACES]
            rows.append((day_text(day), MEALS[language][meal], point, *counts, sum(counts)))
    table = Table(
        words["votes"],
        words["votes"],
        tuple(words[name] for name in ("day", "meal", "point", *FACES, "votes")),
        (40.0, 40.0, 77.0, 30.0, 30.0, 30.0, 30.0),
        tuple(rows),
    )
    return Paper(words["ratings"], (words["anonymous"],), (table,))


@dataclass(frozen=True, slots=True)
class FoodLine:
    """A dish as it is linked to the food check book: its menu's id, lot, supplier, and the kept sample's label."""

    day: date
    meal: Meal
    portion: Portion
    menu: str
    dish: str
    lot: str
    supplier: str
    sample: str


def food_paper(dishes: Iterable[FoodLine], servings: Iterable[Serving], language: Language = "vi") -> Paper:
    """Each dish of some days, and when its meal's last tray was taken at a counter. `servings`: of these days."""
    words = WORDS[language]
    spans = serving_spans(servings)
    rows = []
    for dish in sorted(dishes, key=lambda one: (one.day, one.meal, one.menu, one.dish)):
        span = spans.get((dish.day, dish.meal))
        told = words["none"] if span is None else moment_text(span[1])
        meal = MEALS[language][dish.meal]
        place = (day_text(dish.day), meal, words[dish.portion], dish.menu)
        rows.append((*place, dish.dish, dish.lot, dish.supplier, dish.sample, told))
    names = ("day", "meal", "total", "menu", "dish", "lot", "supplier", "sample", "ended")
    table = Table(
        words["dish"],
        words["food"],
        tuple(words[name] if name != "total" else words["what"] for name in names),
        (22.0, 22.0, 20.0, 40.0, 48.0, 30.0, 38.0, 27.0, 30.0),
        tuple(rows),
    )
    return Paper(words["food"], (words["linked"],), (table,), (words["sign-kitchen"], words["sign-head"]))
