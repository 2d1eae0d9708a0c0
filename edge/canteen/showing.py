"""The showing: what one record of a counter looks like on its screens. Pure."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass, replace

import msgspec

from edge.canteen.ports import Entry, Shape, Shown, Sitting, Tally
from edge.canteen.slips import Slip
from protocol.countersheet import Eater
from protocol.envelope import unix_ms_of
from protocol.errors import BadMessage
from protocol.meals import ByHand, MealTap
from protocol.taps import TapData


@dataclass(frozen=True, slots=True)
class Look:
    """The part of a CounterView that lies in the hatch, under the same names."""

    sitting: Sitting | None
    closed: bool
    shown: Shown
    tally: Tally
    recent: tuple[Entry, ...]
    waiting: tuple[Entry, ...]


def meal_of(data: TapData) -> MealTap | None:
    """What the counter believed of a serving; None outside of every meal, and of what is none."""
    return None if data.meal is msgspec.UNSET else data.meal


def hand_of(data: TapData) -> ByHand | None:
    """Who entered it, None where a card did."""
    return None if data.hand is msgspec.UNSET else data.hand


def wall_ms_of(data: TapData) -> int:
    """When it was by its counter's clock, Unix ms; 0 where that is no time, which must stop no start."""
    with suppress(BadMessage):
        return max(0, unix_ms_of(data.clock.wall))
    return 0


def shown_of(tap: str, data: TapData, eater: Eater | None, name: str, school_class: str) -> Shown:
    """What the station just signalled; `name` and class also where the sheet doesn't know the pupil."""
    meal = meal_of(data)
    nth = 1 if meal is None else meal.nth
    shape: Shape = "refused"
    if data.decision != "refused":
        shape = "repeated" if data.decision == "repeated" else "second" if nth > 1 else "accepted"
    alone, ask = (False, False) if meal is None else (meal.alone, meal.ask and shape == "second")
    shown = Shown(0, shape, data.clock.mono, tap, name, school_class, nth, alone, ask=ask)
    if eater is None:
        return shown
    return replace(shown, portion=eater.portion, alerts=tuple(eater.alerts), confirmed=eater.confirmed)


def slip_of(tap: str, data: TapData, at_ms: int, name: str, school_class: str) -> Slip:
    """Its line in the staff's lists."""
    hand, meal = hand_of(data), meal_of(data)
    how = "card" if hand is None else hand.how
    alone = meal is not None and meal.alone
    return Slip(tap, data.card, data.clock.wall[11:19], at_ms, name, school_class, how, alone, data.reason)


def waiting_entry(slip: Slip) -> Entry:
    """The line of a card that waits for staff."""
    return Entry(slip.tap, "referred", slip.time, slip.name, slip.school_class, 1, "card", reason=slip.reason)


def served_entry(slip: Slip, nth: int, *, undone: bool, repeat: str | None) -> Entry:
    """The line of a serving as it stands now."""
    return Entry(
        slip.tap, "served", slip.time, slip.name, slip.school_class, nth, slip.how, slip.alone, undone, None, repeat
    )
