"""The gateway's health: which alarms stand, and whether one is new enough to be told again."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

STANDS_MS: Final = 600_000
"""An alarm stands this long after it was last raised, and is told and recorded again only after it."""
CODES_MAX: Final = 64


@dataclass(slots=True)
class _Standing:
    """When a code was last told and last raised, in ms of CLOCK_BOOTTIME."""

    told_ms: int
    raised_ms: int


class Health:
    """Pure; time is passed in."""

    def __init__(self) -> None:
        """All is well."""
        self._alarms: dict[str, _Standing] = {}
        self._always: list[str] = []

    def warn_always(self, code: str) -> None:
        """A warning that stands as long as this process runs (a plain link off loopback)."""
        if code not in self._always:
            self._always.append(code)

    def raised(self, code: str, now_ms: int) -> bool:
        """An alarm came; True when a person should be told (the first, or again after STANDS_MS)."""
        standing = self._alarms.get(code)
        if standing is None:
            if len(self._alarms) >= CODES_MAX:
                oldest, _ = min(list(self._alarms.items()), key=lambda entry: entry[1].raised_ms)
                self._alarms.pop(oldest, None)
            self._alarms[code] = _Standing(now_ms, now_ms)
            return True
        standing.raised_ms = now_ms
        if now_ms - standing.told_ms < STANDS_MS:
            return False
        standing.told_ms = now_ms
        return True

    def standing(self, now_ms: int) -> list[str]:
        """The codes that stand now."""
        # A copy made at once: other threads raise alarms meanwhile.
        fresh = [code for code, found in list(self._alarms.items()) if now_ms - found.raised_ms < STANDS_MS]
        return [*self._always, *(code for code in sorted(fresh) if code not in self._always)]
