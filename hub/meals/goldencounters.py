"""Golden counters: what counters.csv says of taps at counters, and which helpings they were where it doesn't. Pure."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Literal, cast

import msgspec

from hub.attendance.csvcells import Cells
from hub.attendance.schoolday import Binding
from hub.meals.servings import CounterTap, ServingWord, newest_words
from hub.meals.sittings import MealPlans, day_of, placed
from protocol.meals import ByHand, Meal, MealTap

Hand = Literal["name", "stranger"]


@dataclass(frozen=True, slots=True)
class Detail:
    """A line of counters.csv; `nth` 0: which helping it was isn't said."""

    decision: str
    nth: int
    hand: ByHand | None
    pupil: str | None


def detail_from(row: Cells) -> tuple[str, Detail]:
    """A line of counters.csv, by the tap that it is of."""
    hand = row.maybe("hand")
    made: ByHand | None = None
    if hand:
        how = cast("Hand", row.one_of("hand", ("name", "stranger")))
        made = ByHand(how, row.text("by"), row.maybe("of") or None)
    decision = row.maybe("decision") and row.one_of("decision", ("accepted", "repeated", "refused"))
    return row.text("id"), Detail(decision, row.number("nth"), made, row.maybe("pupil_key") or None)


def detailed(plans: MealPlans, tap: CounterTap, detail: Detail | None, *, known: bool) -> CounterTap:
    """A tap with what is said of it. A card that is nobody's was referred to staff, where nothing says otherwise."""
    decision = detail.decision if detail is not None and detail.decision else ""
    if not decision:
        decision = "accepted" if known or (detail is not None and detail.hand is not None) else "refused"
    if detail is None:
        return msgspec.structs.replace(tap, decision=decision)
    at, meal = day_of(tap.when.best_ms), placed(plans, tap.when, tap.point, None).meal
    said = None if detail.nth == 0 else MealTap(at.isoformat(), meal, nth=detail.nth)
    return msgspec.structs.replace(tap, decision=decision, hand=detail.hand, believed=detail.pupil, said=said)


def helpings(
    plans: MealPlans,
    taps: Iterable[CounterTap],
    words: Iterable[ServingWord],
    bindings: Mapping[str, Sequence[Binding]],
) -> Iterator[CounterTap]:
    """Taps of which nobody said which helping they were, as their own counter would have counted them.

    It knows what it served itself, and nothing of another one. That a card within 20 s is the same tray the count sees.
    """
    undone = newest_words(words).undone
    counts: dict[tuple[str, str, str, date, Meal], int] = defaultdict(int)
    for tap in sorted(taps, key=lambda one: one.when.best_ms):
        eater = _eater(tap, bindings)
        if tap.decision != "accepted" or tap.id in undone or eater is None:
            yield tap
            continue
        place = placed(plans, tap.when, tap.point, tap.said)
        asked = tap.device, tap.point, eater, place.day, place.meal
        counts[asked] += 1
        if tap.said is None and counts[asked] > 1:
            said = MealTap(place.day.isoformat(), place.meal, place.shift, counts[asked])
            yield msgspec.structs.replace(tap, said=said)
        else:
            yield tap


def _eater(tap: CounterTap, bindings: Mapping[str, Sequence[Binding]]) -> str | None:
    """Whom a counter took it for; None for a stranger by hand."""
    if tap.believed is not None:
        return tap.believed
    held = [one.pupil for one in bindings.get(tap.card, ()) if one.from_ms <= tap.when.best_ms < one.to_ms]
    return held[0] if len(held) == 1 else None if tap.hand is not None else f"card {tap.card}"
