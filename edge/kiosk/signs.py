"""The signs in the head of the staff's screen: what is owed, how old the lists are, whose shift it is. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from typing import Final

from edge.canteen.ports import CounterView
from edge.kiosk.words import Language, age, say

OLD_SHEET_S: Final = 20 * 3600
"""A sheet older than this is not of this morning, whatever day the clock believes in."""


@dataclass(frozen=True, slots=True)
class Sign:
    """A short statement of the head; `old`: it is not as it should be."""

    words: str
    old: bool = False


def signs(view: CounterView, language: Language) -> tuple[Sign, ...]:
    """What is owed, how old the lists are, whose shift it is, how many were served whom nobody knows by name."""
    if view.unsent and view.oldest_age_s is not None:
        owed = Sign(say(language, "unsent", count=view.unsent, age=age(language, view.oldest_age_s)), not view.link)
    elif view.unsent:
        owed = Sign(say(language, "unsent-unsure", count=view.unsent), True)
    else:
        owed = Sign(say(language, "unsent-none"))
    # A journal that can't be opened may owe something.
    owing = () if view.failing is not None and not view.unsent else (owed,)
    cards = Sign(say(language, "roster-never" if view.roster is None else "roster-unsure"), True)
    if view.roster is not None and view.roster_age_s is not None:
        cards = Sign(say(language, "roster-age", age=age(language, view.roster_age_s)))
    shift = Sign(say(language, "shift-none"))
    if view.needs_login:
        shift = Sign(say(language, "shift-pin" if view.pins else "shift-card"), True)
    if view.shift_by is not None:
        shift = Sign(say(language, "shift-of", who=shift_by(view)))
    unnamed = (Sign(say(language, "strangers", count=view.tally.strangers)),) if view.tally.strangers else ()
    return *owing, _sheet(view, language), cards, shift, *unnamed


def shift_by(view: CounterView) -> str | None:
    """Whose shift it is: by name, or by id where the sheet has none, such as an older one; None where nobody's."""
    return None if view.shift_by is None else view.shift_name or view.shift_by


def _sheet(view: CounterView, language: Language) -> Sign:
    """A sheet of another day is used, and says so; how old one is, a counter whose clock is unsure doesn't know."""
    if view.sheet_day is None:
        return Sign(say(language, "sheet-never"), True)
    today = view.sitting.day if view.sitting is not None else None
    if today is not None and today != view.sheet_day:
        return Sign(_other_day(view.sheet_day, today, language), True)
    if view.sheet_age_s is None:
        return Sign(say(language, "sheet-unsure"), True)
    return Sign(say(language, "sheet-today", age=age(language, view.sheet_age_s)), view.sheet_age_s >= OLD_SHEET_S)


def _other_day(sheet_day: str, today: str, language: Language) -> str:
    try:
        of, now = date.fromisoformat(sheet_day), date.fromisoformat(today)
    except ValueError:
        return say(language, "sheet-other", day=sheet_day)
    if (now - of).days == 1:
        return say(language, "sheet-yesterday")
    return say(language, "sheet-other", day=f"{of.day:02}/{of.month:02}/{of.year}")
