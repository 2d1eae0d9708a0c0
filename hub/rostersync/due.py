"""When the city is asked next: a delta every quarter of an hour, everything once a night. Pure."""

from __future__ import annotations

import zlib
from typing import TYPE_CHECKING, Final

from hub.rostersync.asking import Kind
from hub.rostersync.settling import SyncState, since_ms

if TYPE_CHECKING:
    from random import Random

DELTA_MS: Final = 15 * 60_000
HOUR_MS: Final = 3_600_000
DAY_MS: Final = 24 * HOUR_MS
VIETNAM_MS: Final = 7 * HOUR_MS
"""UTC+7, no daylight saving time."""
NIGHT_MS: Final = 1 * HOUR_MS
"""Full pulls begin at 01:00, and those of a city's schools are spread over three hours from then on."""
SPREAD_MS: Final = 3 * HOUR_MS
FAILED_FIRST_MS: Final = 60_000
FAILED_MAX_MS: Final = DELTA_MS
BUSY_MAX_MS: Final = HOUR_MS
"""A server that asks to be left alone for longer, by intent or by a wrong clock, is asked once an hour."""


def night_of(now_ms: int, school: str) -> int:
    """The last moment at which this school's nightly pull was due."""
    shift_ms = VIETNAM_MS - NIGHT_MS - zlib.crc32(school.encode()) % SPREAD_MS
    return (now_ms + shift_ms) // DAY_MS * DAY_MS - shift_ms


def due(state: SyncState, now_ms: int, school: str) -> tuple[Kind | None, int]:
    """What to pull now, and in how many ms to look again."""
    if state.full_ms is None or state.full_ms > now_ms or state.full_ms < night_of(now_ms, school):
        return "full", 0
    if state.guarded_ms is not None and not 0 <= now_ms - state.guarded_ms < HOUR_MS:
        # What the guard held back may have been the city's bad hour.
        return "full", 0
    every_ms = HOUR_MS if since_ms(state) is None else DELTA_MS
    last_ms = max(state.full_ms, state.delta_ms or 0)
    if last_ms > now_ms or now_ms - last_ms >= every_ms:
        return "delta", 0
    return None, every_ms - (now_ms - last_ms)


def pause_ms(failures: int, again_ms: int | None, rng: Random) -> int:
    """How long to leave the city alone after so many failed pulls in a row; `again_ms`: what it asked for."""
    whole_ms: int = min(FAILED_MAX_MS, FAILED_FIRST_MS << min(failures, 8))
    jittered_ms = whole_ms // 2 + rng.randrange(whole_ms // 2 + 1)
    return jittered_ms if again_ms is None else max(jittered_ms, min(again_ms, BUSY_MAX_MS))
