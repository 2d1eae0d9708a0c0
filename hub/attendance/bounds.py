"""The bounds of a tap's time where no clock gives one: it was made before it came here, and isn't older than may be."""

from __future__ import annotations

from typing import Final

from protocol.time import Effective

HOUR_MS: Final = 3_600_000
DAY_MS: Final = 86_400_000
OPEN_MS: Final = 1 << 60
UNTIMED_MS: Final = 31 * DAY_MS
"""How old a tap may be whose box never knew the time before: a new one that a hub reaches only after weeks."""
EARLIEST_MS: Final = 1_704_067_200_000
"""2024-01-01: a hub whose clock shows less has none."""


def bounds_of(when: Effective, received_ms: int | None) -> tuple[int, int]:
    """Not before and not after, Unix ms. `received_ms`: when a record of open bounds came to the hub."""
    first_ms, last_ms = when.not_before_ms, when.not_after_ms
    if first_ms is not None and last_ms is not None:
        return first_ms, last_ms
    if last_ms is None:
        # Received while the hub's own clock wasn't set, it says nothing.
        last_ms = OPEN_MS if received_ms is None or received_ms < EARLIEST_MS else received_ms + HOUR_MS
    if first_ms is None:
        first_ms = -OPEN_MS if last_ms == OPEN_MS else last_ms - UNTIMED_MS
    return first_ms, last_ms
