"""The mirror: the hub's pupils as a pull of the city's roster knows them, and what it changes among them."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Final

from hub.attendance.schoolday import VIETNAM

if TYPE_CHECKING:
    from hub.cards.holders import Holders
    from hub.lists.changes import Change
    from hub.lists.known import KnownPupil
    from hub.store.listrows import ListRows
    from hub.store.rosterrows import RosterRows

TOLD: Final = {"new", "name", "spelling", "class", "left", "returned", "not-listed", "ended", "confirmed"}
"""Reasons of changes that stations must hear of."""


class Mirror:
    """See hub.ports.Mirror. Cards stay with their pupils, whatever the city says of names and classes."""

    def __init__(self, rows: ListRows, holders: Holders, roster: RosterRows) -> None:
        """Work on these tables."""
        self._rows, self._holders, self._roster = rows, holders, roster

    def known(self) -> Sequence[KnownPupil]:
        """Every pupil, also who left."""
        return self._rows.known()

    def holders(self) -> Collection[str]:
        """The keys of the pupils who have a card."""
        return {holding.pupil for holding in self._holders.holdings() if holding.open}

    def apply(self, changes: Sequence[Change], now_ms: int) -> str | None:
        """Take changes whole; see hub.ports.Mirror."""
        self._rows.write(changes, datetime.fromtimestamp(now_ms / 1000, VIETNAM).date())
        told = any(change.kind != "missing" and not TOLD.isdisjoint(change.reasons) for change in changes)
        return self._roster.number(now_ms) if told else None
