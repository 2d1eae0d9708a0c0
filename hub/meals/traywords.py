"""The words on trays: what people's words make of counters' records, and which record stands for one taken back. Pure.

"Same tray" says that a record is of the tray of another one. Two people may mend the same double at once, each on their
side: one takes the first back, the other calls the second the same tray. Then the pupil ate, and nothing would say so.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from hub.attendance.evidence import record_order
from hub.meals.wordorder import in_word_order

if TYPE_CHECKING:
    from hub.meals.servings import ServingWord, Why

Standing = Literal["counts", "lent", "none"]
"""`lent`: only a person's word says that it is another one's tray, and it wasn't itself taken back. What its own
counter saw as the same tray is none of it: that is a second touch, and goes with its tray."""


@dataclass(frozen=True, slots=True)
class Words:
    """What counts of people's words: the records that were taken back, and of which tray others are.

    `vouched`: records of which somebody said `done` beside their counter, and nobody `undone` since.
    """

    undone: frozenset[str]
    tray: Mapping[str, Literal["second", "repeat"]]
    vouched: frozenset[str]


def newest_words(words: Iterable[ServingWord]) -> Words:
    """The words that count: by time, within a journal by its order. Whatever is said after `undone` says `done` too."""
    newest: dict[str, Why] = {}
    tray: dict[str, Literal["second", "repeat"]] = {}
    vouched: set[str] = set()
    for word in in_word_order(words, lambda one: (one.record, one.at_ms)):
        newest[word.tap] = word.why
        if word.why in ("second", "repeat"):
            tray[word.tap] = word.why
        # A counter's own `done` takes its `undone` back; what its clock couldn't tell it can't vouch for.
        if word.why == "done" and record_order(word.record)[0] != record_order(word.tap)[0]:
            vouched.add(word.tap)
        elif word.why == "undone":
            vouched.discard(word.tap)
    return Words(frozenset(tap for tap, why in newest.items() if why == "undone"), tray, frozenset(vouched))


def standing(records: Iterable[tuple[Hashable, str, Standing]]) -> frozenset[str]:
    """Of records by time, each with whose and which meal it is, its name and how it stands: those that count after all.

    Where nothing counts, the earliest that is lent.
    """
    served: set[Hashable] = set()
    first: dict[Hashable, str] = {}
    for whose, name, how in records:
        if how == "counts":
            served.add(whose)
        elif how == "lent":
            first.setdefault(whose, name)
    return frozenset(name for whose, name in first.items() if whose not in served)
