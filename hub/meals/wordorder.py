"""The order of words: which of two that people said is the newer, and what had been said until a record. Pure."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Final, TypeVar

from hub.attendance.evidence import record_order

T = TypeVar("T")
EVER_MS: Final = 1 << 60


def in_word_order(words: Iterable[T], named: Callable[[T], tuple[str, int]]) -> list[T]:
    """Words from the oldest to the newest; `named` gives a word's record and when it was said, Unix ms.

    By time, within a millisecond by their records. Of two in one journal the later record is the newer word, also where
    the clock was set back in between.
    """
    known = [(record_order(record), said_ms, word) for word in words for record, said_ms in (named(word),)]
    if len(known) < 2:
        return [word for _, _, word in known]
    newest_ms: dict[str, int] = {}
    found: list[tuple[tuple[int, tuple[str, int, str]], T]] = []
    for place, said_ms, word in sorted(known, key=lambda one: one[0]):
        journal, number, _ = place
        at_ms = max(said_ms, newest_ms.get(journal, said_ms)) if number else said_ms
        newest_ms[journal] = at_ms
        found.append(((at_ms, place), word))
    return [word for _, word in sorted(found, key=lambda one: one[0])]


@dataclass(frozen=True, slots=True)
class Until:
    """A moment in the order of words: that of `record`, of which `at_ms` is the time; or just a time."""

    at_ms: int
    record: str = ""

    def has(self, record: str, at_ms: int) -> bool:
        """Whether a word had been said by then: in the same journal its place says it, else its time."""
        mine, other = record_order(self.record), record_order(record)
        if mine[1] and other[1] and mine[0] == other[0]:
            return other[1] <= mine[1]
        return at_ms <= self.at_ms


NOW: Final = Until(EVER_MS)
"""Everything that was said."""
