"""The watermark: until when all that a gateway's stations saw is written, and when it says so. Pure.

What was seen waits in three places before it is a record: in a driver that asks a card for more than its number, on
the way from the reader's thread into its lane, in the lane for its commit. The claim ends before the first of them.
Who couldn't be seen, because a reader didn't look, is another matter: that is said beside it.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Final

ZONE_MS: Final = 7 * 3_600_000
"""Indochina time, without summer time: the school's hours are its people's."""
DAY_MS: Final = 86_400_000
HOUR_MS: Final = 3_600_000
SCHOOL_HOURS_MS: Final = (5 * HOUR_MS + 1_800_000, 18 * HOUR_MS + 1_800_000)
"""05:30 to 18:30: from before the first gate opens until the last child is fetched (DOMAIN.md, section 3)."""
SHORT_MS: Final = 60_000
"""An interval below it is a demonstration's or a test's, which has no hours."""
UNCHANGED: Final = 3
"""A gateway at which nobody tapped says so every third time: with 5 minutes still at every bell of a quarter."""
ASKED_NS: Final = 2_000_000_000
"""Drivers date a card by the look that first showed it, and ask it for more before they hand it over: 0.4 s at most
(ASK_S of edge.readers.pn53xfield and osdpwire, POLL_PATIENCE_S of pcsc). A reader on a loaded machine takes longer."""
UNSEEING_NS: Final = 30_000_000_000
"""A reader that didn't look for so long missed somebody, perhaps. One that is plugged in anew takes 5 s."""
HELD_MS: Final = 60_000
"""What waits so long for its record keeps back the claim, and no longer the word about it."""


@dataclass(frozen=True, slots=True)
class Sight:
    """What is known of a station's reader. Times are CLOCK_BOOTTIME in ns.

    `looked_ns`: its last look whose cards are all in the lane, its start's where it had none. `open_ns`: since when its
    driver is open, and may hand over a card that it saw before; None while it isn't. `away`: spans of more than
    UNSEEING_NS without a look that are over.
    """

    station: str
    state: str
    looked_ns: int
    open_ns: int | None
    away: tuple[tuple[int, int], ...] = ()


def claimed_ms(now_ns: int, sights: Iterable[Sight], waiting_ns: Iterable[int]) -> int:
    """The ms of CLOCK_BOOTTIME until which, itself included, all that was seen is written; 2 ms less, for roundings.

    `waiting_ns`: when each card was seen that waits in a lane. To be asked in this order: the time, the readers, the
    lanes. What a reader handed over since is in its lane then, or written.
    """
    looked_ns = [max(sight.looked_ns, sight.open_ns) for sight in sights if sight.open_ns is not None]
    ends_ns = [now_ns, *waiting_ns, *(at_ns - ASKED_NS for at_ns in looked_ns)]
    return min(ends_ns) // 1_000_000 - 2


def unseeing(now_ns: int, sights: Iterable[Sight], since_ns: int) -> list[tuple[str, int, int | None]]:
    """What readers missed after `since_ns`: station, from when, until when (None: they still don't look)."""
    found: list[tuple[str, int, int | None]] = []
    for sight in sights:
        found += [(sight.station, *span) for span in sight.away if span[1] > since_ns]
        if now_ns - sight.looked_ns > UNSEEING_NS:
            found.append((sight.station, sight.looked_ns, None))
    return found


def slot_ms(at_ms: int, every_ms: int) -> int:
    """The last moment at or before a time (Unix ms) at which a watermark is due: every so often, hourly at night."""
    local_ms = at_ms + ZONE_MS
    midnight_ms = local_ms - local_ms % DAY_MS
    of_day_ms = local_ms - midnight_ms
    begins_ms, ends_ms = SCHOOL_HOURS_MS
    if every_ms < SHORT_MS or begins_ms <= of_day_ms < ends_ms:
        due_ms = of_day_ms - of_day_ms % every_ms
    else:
        due_ms = of_day_ms - of_day_ms % max(every_ms, HOUR_MS)
        if of_day_ms >= ends_ms:
            due_ms = max(due_ms, ends_ms)
    return midnight_ms + due_ms - ZONE_MS


@dataclass(frozen=True, slots=True)
class Said:
    """The last watermark of this run: the slot it stood for, how many records it had seen, what was blind, when.

    Before the first one it is the start's, so that a gateway that is started often doesn't say it each time.
    """

    slot_ms: int
    records: int
    blind: Sequence[str]
    mono_ns: int


def worth_saying(said: Said, slot: int, every_ms: int, records: int, blind: Sequence[str]) -> bool:
    """Whether a slot that has come gets its watermark: something changed since the last one, or it is far from it."""
    changed = records != said.records or list(blind) != list(said.blind)
    return changed or abs(slot - said.slot_ms) >= UNCHANGED * every_ms
