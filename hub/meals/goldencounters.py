"""Golden counters: what counters.csv says of taps at counters, and which helpings they were where it doesn't. Pure."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Final, Literal, cast

import msgspec

from hub.attendance.csvcells import Cells
from hub.attendance.evidence import record_order
from hub.attendance.schoolday import Binding
from hub.meals.servings import CounterTap, ServingWord
from hub.meals.sittings import MealPlans, day_of, placed
from hub.meals.traywords import newest_words
from protocol.meals import ByHand, MealTap

REPEAT_MS: Final = 20_000
"""A card again so soon at the same counter is the same tray; counters have it as `repeat_window_s`."""
NO_CARD: Final = "-"
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
    # A serving by hand is whose staff chose: its record holds nobody's card.
    card = tap.card if detail.hand is None else NO_CARD
    at, meal = day_of(tap.when.best_ms), placed(plans, tap.when, tap.point, None).meal
    said = None if detail.nth == 0 else MealTap(at.isoformat(), meal, nth=detail.nth)
    return msgspec.structs.replace(
        tap, decision=decision, card=card, hand=detail.hand, believed=detail.pupil, said=said
    )


def as_counted(
    plans: MealPlans,
    taps: Iterable[CounterTap],
    decided: Collection[str],
    words: Iterable[ServingWord],
    bindings: Mapping[str, Sequence[Binding]],
) -> Iterator[CounterTap]:
    """Taps as their own counter would have counted them: which are the same tray, but for those `decided`, and which
    helping the others were, where nobody said it.

    A counter knows what it served itself, and nothing of another one; and of what people say, what they had said when
    the card came. What it signalled then stays signalled. Its window runs from the last tray that counted then.
    """
    said_of: dict[str, list[ServingWord]] = defaultdict(list)
    for word in words:
        said_of[word.tap].append(word)
    before: dict[tuple[str, str, str], list[CounterTap]] = defaultdict(list)
    for tap in sorted(taps, key=lambda one: (one.when.best_ms, record_order(one.id))):
        eater = _eater(tap, bindings)
        if tap.decision == "refused" or eater is None:
            yield tap
            continue
        mine = before[tap.device, tap.point, eater]
        trays = _counting(mine, said_of, tap.when.best_ms)
        # Only where a clock vouches for the time is the time between them known.
        same = bool(trays) and tap.when.anchored and tap.when.best_ms - trays[-1].when.best_ms < REPEAT_MS
        if same and tap.id not in decided:
            tap = msgspec.structs.replace(tap, decision="repeated", reason="repeat")
        if tap.decision != "repeated" and tap.said is None:
            place = placed(plans, tap.when, tap.point, None)
            others = [placed(plans, one.when, one.point, one.said) for one in trays]
            nth = 1 + sum(1 for one in others if (one.day, one.meal) == (place.day, place.meal))
            if nth > 1:
                tap = msgspec.structs.replace(tap, said=MealTap(place.day.isoformat(), place.meal, place.shift, nth))
        mine.append(tap)
        yield tap


def _counting(taps: Iterable[CounterTap], said_of: Mapping[str, Sequence[ServingWord]], at_ms: int) -> list[CounterTap]:
    """Those of a counter's records of one eater, in their order, that were trays by what was said before a moment."""
    found = []
    for tap in taps:
        known = newest_words(word for word in said_of.get(tap.id, ()) if word.at_ms < at_ms)
        tray = known.tray.get(tap.id, "repeat" if tap.decision == "repeated" else "second")
        if tap.id not in known.undone and tray == "second":
            found.append(tap)
    return found


def _eater(tap: CounterTap, bindings: Mapping[str, Sequence[Binding]]) -> str | None:
    """Whom a counter took it for; None for a stranger by hand."""
    if tap.believed is not None:
        return tap.believed
    held = [one.pupil for one in bindings.get(tap.card, ()) if one.from_ms <= tap.when.best_ms < one.to_ms]
    return held[0] if len(held) == 1 else None if tap.hand is not None else f"card {tap.card}"
