"""The gates' line: of how many gates everything is here, `đủ 5/5 cổng`, and what is waited for at which."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from typing import TYPE_CHECKING

from hub.attendance.coverage import AWAKE_MS
from hub.attendance.coveragewords import CoverageWords, Language, coverage_words
from hub.days.classbook import DAY_MS, midnight_ms

if TYPE_CHECKING:
    from collections.abc import Iterable

    from hub.attendance.coverage import DeviceFacts, Waiver
    from hub.attendance.evidence import Session
    from hub.parts import Store


@dataclass(frozen=True, slots=True)
class GatesLine:
    """What is known of the gates' records until `at_ms`, a moment of the day that began at `from_ms`.

    `final_ms`: when the list is final, once all of them are here; None where the class has no lessons.
    """

    at_ms: int
    final_ms: int | None
    from_ms: int
    facts: tuple[DeviceFacts, ...]
    waivers: tuple[Waiver, ...]

    def said(self, language: Language) -> CoverageWords:
        """In words."""
        return coverage_words(self.facts, self.waivers, self.from_ms, self.at_ms, language, self.from_ms + AWAKE_MS)


def gates_line(store: Store, day: date, sessions: Iterable[Session], now_ms: int) -> GatesLine:
    """The line of one half-day of `sessions`: until now, at most until the last of them is final. Under the lock."""
    final_ms = max((session.final_ms for session in sessions), default=None)
    begin_ms = midnight_ms(day)
    at_ms = min(now_ms, begin_ms + DAY_MS if final_ms is None else final_ms)
    facts = store.coverage.facts(begin_ms, begin_ms + DAY_MS)
    return GatesLine(at_ms, final_ms, begin_ms, tuple(facts), tuple(store.coverage.waivers(begin_ms)))
