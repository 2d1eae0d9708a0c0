"""Red ink: what people said of a class's day in the order in which they said it, and what stood there before."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import date
from typing import TYPE_CHECKING, Final

from hub.attendance.marks import Mark
from hub.attendance.schoolday import marks_of
from hub.dayview.keeping import Keeping
from protocol.records import Half, State

if TYPE_CHECKING:
    from hub.attendance.schoolday import SchoolDay
    from hub.parts import Store

CHANGES_MAX: Final = 400
LOOKED_BACK_MAX: Final = 40
"""Moments at which the whole class is derived again, to see what taps said before the first word."""


@dataclass(frozen=True, slots=True)
class Change:
    """A word: `before` is what stood there when it was said, None where nothing was derived for that half-day yet."""

    record: str
    pupil: str
    name: str
    half: Half
    before: Mark | None
    state: State
    at_ms: int
    by: str
    reason: str
    how: str
    here_only: bool

    @property
    def corrects(self) -> bool:
        """Whether it says something else than what stood there."""
        return self.before not in (None, "not-known", self.state)


def red_ink(store: Store, day: date, school_class: str, pupil: str | None = None) -> list[Change]:
    """Every word on a class's day, or on one pupil's, the newest first. Asked under the ledger's lock."""
    known = store.classbook.evidence(day, school_class)
    # Where no word stands, what stood there is what taps and notices said at that moment.
    keeping, silent = Keeping(store), replace(known, statements=())
    names = {one.key: one.name for one in known.pupils if pupil in (None, one.key)}
    found: list[Change] = []
    last: dict[tuple[str, Half], State] = {}
    derived: dict[int, Mapping[tuple[str, Half], Mark]] = {}
    for said, how, _ in store.days.statements(day, day):
        if said.pupil not in names:
            continue
        place = said.pupil, said.half
        stood = last.get(place, "withdrawn")
        before: Mark | None = None
        if stood != "withdrawn":
            before = stood
        elif how != "gate":
            if said.at_ms not in derived and len(derived) < LOOKED_BACK_MAX:
                derived[said.at_ms] = _derived(silent, said.at_ms)
            before = derived.get(said.at_ms, {}).get(place)
        if how != "gate":
            last[place] = said.state
        found.append(
            Change(
                said.id,
                said.pupil,
                names[said.pupil],
                said.half,
                before,
                said.state,
                said.at_ms,
                said.by,
                said.reason,
                how,
                keeping.here_only(said.id),
            )
        )
    return found[::-1][:CHANGES_MAX]


def _derived(known: SchoolDay, at_ms: int) -> dict[tuple[str, Half], Mark]:
    return {(one.pupil.key, one.session.half): one.judged.mark for one in marks_of(known, at_ms)}
