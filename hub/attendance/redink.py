"""Red ink: which entries of the book were corrected, by whom, when and why; what stood there before stays readable.

An entry is corrected where a person's word replaced another word of other meaning, took one back, or was said only
after the half-day's last bell, when the book was closed. A roll call that writes what taps couldn't know is none.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import date

from hub.attendance.evidence import Session, Statement, in_order
from protocol.records import Half, State

Place = tuple[str, date, Half]
"""Pupil, day, half-day."""


@dataclass(frozen=True, slots=True)
class Correction:
    """A corrected entry. `before`: what had been said, None where nothing had; `after` may be `withdrawn`."""

    at_ms: int
    by: str
    reason: str
    before: State | None
    after: State
    ids: tuple[str, ...]


def corrections_of(
    statements: Iterable[Statement], sessions: Mapping[Place, Session] | None = None
) -> dict[Place, Correction]:
    """The corrected entries by place. `sessions`: each place's, by which the book's closing is told."""
    said: dict[Place, list[Statement]] = defaultdict(list)
    for one in statements:
        said[one.pupil, one.day, one.half].append(one)
    found: dict[Place, Correction] = {}
    for place, words in said.items():
        words = in_order(words)
        last = words[-1]
        before = next((one for one in reversed(words[:-1]) if one.state != last.state), None)
        session = None if sessions is None else sessions.get(place)
        behind = session is not None and last.at_ms >= session.ends_ms and last.state != "withdrawn"
        if before is not None or behind:
            was = None if before is None or before.state == "withdrawn" else before.state
            ids = tuple(one.id for one in words)
            found[place] = Correction(last.at_ms, last.by, last.reason, was, last.state, ids)
    return found
