"""Sessions as rules: how long one stands, how long a wrong password makes people wait, what a password must be."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from hub.access.rights import Role

HOUR_MS: Final = 3_600_000
MINUTE_MS: Final = 60_000
IDLE_MS: Final = 14 * HOUR_MS
"""From one school day's morning to the same evening, not to the next day on a phone that nobody looks at."""
WHOLE_MS: Final = 7 * 24 * HOUR_MS
POWERFUL: Final[Mapping[Role, tuple[int, int]]] = {"it": (2 * HOUR_MS, 12 * HOUR_MS)}
"""Roles that can make users: (idle, whole)."""
SEEN_EVERY_MS: Final = 5 * MINUTE_MS
"""A session's last use is written no more often."""
LINK_MS: Final = 24 * HOUR_MS
"""A one-time link stands so long."""

FREE_BY_USER: Final = 3
FREE_BY_ADDRESS: Final = 12
"""A school's machines may share one address, so it may fail more often than one name."""
FIRST_WAIT_MS: Final = 1_000
WAIT_MAX_MS: Final = 15 * MINUTE_MS
FORGET_MS: Final = 24 * HOUR_MS
"""Failures count until nothing failed for so long."""

PLAIN_COOKIE: Final = "k12"
TLS_COOKIE: Final = "__Host-k12"
"""What a browser keeps a session in; under TLS the prefix makes it hold it to this host, and to TLS."""
SESSION_COOKIES: Final = frozenset({PLAIN_COOKIE, TLS_COOKIE})

PASSWORD_MIN: Final = 10
PASSWORD_MAX: Final = 200
DIFFERENT_MIN: Final = 5


@dataclass(frozen=True, slots=True)
class Failures:
    """How often a name or an address failed to log in, and when last."""

    count: int
    last_ms: int


def spans_ms(role: Role) -> tuple[int, int]:
    """How long a session of this role stands without use, and at all."""
    return POWERFUL.get(role, (IDLE_MS, WHOLE_MS))


def stands(role: Role, made_ms: int, seen_ms: int, now_ms: int) -> bool:
    """Whether a session still stands. A clock that was set back makes none live longer than it may at all."""
    idle_ms, whole_ms = spans_ms(role)
    return abs(now_ms - made_ms) < whole_ms and now_ms - seen_ms < idle_ms


def failed(before: Failures | None, now_ms: int) -> Failures:
    """The count after one more failure."""
    if before is None or abs(now_ms - before.last_ms) >= FORGET_MS:
        return Failures(1, now_ms)
    return Failures(before.count + 1, now_ms)


def wait_ms(failures: Failures | None, free: int, now_ms: int) -> int:
    """How long somebody has to wait now; doubles with each failure above `free`. Never longer than WAIT_MAX_MS."""
    if failures is None or failures.count < free or abs(now_ms - failures.last_ms) >= FORGET_MS:
        return 0
    whole_ms = min(WAIT_MAX_MS, FIRST_WAIT_MS << min(failures.count - free, 20))
    # A clock that was set back since would make people wait for it to come round again.
    passed_ms = max(0, now_ms - failures.last_ms)
    return max(0, whole_ms - passed_ms)


def weakness(password: str, name: str) -> str | None:
    """What is wrong with a password: `short`, `long`, `plain` (too few different characters), `name`; None: nothing."""
    if len(password) < PASSWORD_MIN:
        return "short"
    if len(password) > PASSWORD_MAX:
        return "long"
    if len(set(password)) < DIFFERENT_MIN:
        return "plain"
    return "name" if name.casefold() in password.casefold() else None
