"""Taps before a half-day opens: who came in since the last bell of the one before, and who went. Pure.

| of the pupil's taps since the last bell, at gates that say their way | what it says |
| --- | --- |
| the last one is in, and none at a gate for both ways is behind it | came for the half-day that opens |
| the last one is out | went; what was before it shows nobody |
| none, or one at a gate for both ways behind it | nobody can say, but that who was inside leaves by the first of them |

Before the day's first lessons, in the morning, a gate for both ways is a way in: nobody leaves then, for EARLY_MS.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import msgspec

from hub.attendance.evidence import Direction, Session, Tap

EARLY_MS: Final = 3 * 3_600_000
"""How long before the morning opens who taps at a gate for both ways comes."""


class Begin(msgspec.Struct, frozen=True):
    """A half-day's beginning for taps; `since_ms`: the last bell of the half-day before, or midnight."""

    session: Session
    since_ms: int

    def of(self, tap: Tap) -> int:
        """From when on a tap of its way is of the half-day; of a card that may be another's, the earliest."""
        if tap.direction == "in" or not tap.sure:
            return self.since_ms
        if tap.direction is None and self.session.half == "am":
            return max(self.since_ms, self.session.opens_ms - EARLY_MS)
        return self.session.opens_ms

    def way(self, tap: Tap) -> Direction | None:
        """Which way a tap before the half-day opened surely was."""
        return "in" if tap.direction is None and self.of(tap) <= tap.best_ms else tap.direction

    def settled(self, tap: Tap) -> bool:
        """Whether a tap surely was before the half-day opened, and no clock's error makes another thing of it."""
        within = self.since_ms <= tap.not_before_ms and tap.not_after_ms < self.session.opens_ms
        return within and not tap.not_before_ms < self.of(tap) <= tap.not_after_ms


class Ahead(msgspec.Struct, frozen=True):
    """`came`: the coming that counts; `went`: the last tap out; `unsaid`: taps of which nobody can say the way."""

    came: Tap | None = None
    went: Tap | None = None
    unsaid: tuple[Tap, ...] = ()

    def settles(self, tap: Tap, begin: Begin) -> bool:
        """Whether a tap says nothing more: it was before surely, or before the pupil went."""
        return (tap.sure and begin.settled(tap)) or (
            self.went is not None and tap.not_after_ms < self.went.not_before_ms
        )


NOBODY: Final = Ahead()


def ahead_of(begin: Begin, taps: Sequence[Tap], *, inside: bool) -> Ahead:
    """What the pupil's own taps before the half-day opened say; `inside`: who was in the school at the last bell."""
    mine = sorted(taps, key=lambda tap: (tap.best_ms, tap.id))
    said = [tap for tap in mine if begin.way(tap) is not None]
    last = said[-1] if said else None
    behind = mine if last is None else mine[mine.index(last) + 1 :]
    went = next((tap for tap in reversed(said) if begin.way(tap) == "out"), None)
    came = last if last is not None and begin.way(last) == "in" and not behind else None
    unsaid = behind[1:] if last is None and inside else behind
    return Ahead(came, went, tuple(unsaid))
