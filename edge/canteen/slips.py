"""The slips of a station: what its staff's lists show of the last servings and of cards that wait for them. Pure."""

from __future__ import annotations

from collections import OrderedDict, deque
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Final, Literal

from edge.canteen.ports import Shown

RECENT_SHOWN: Final = 5
WAITING_MAX: Final = 8
"""Referred cards that wait for staff; of more the oldest are forgotten by the list, never by the journal."""
WAITING_MS: Final = 10 * 60_000
"""A card that waited so long has gone away: nobody stands in a queue for ten minutes."""

How = Literal["card", "name", "stranger"]


@dataclass(frozen=True, slots=True)
class Slip:
    """One line of a list; what changes of it later (undone, nth) is asked of the book when it is shown."""

    tap: str
    card: str
    time: str
    at_ms: int
    name: str = ""
    school_class: str = ""
    how: How = "card"
    alone: bool = False
    reason: str | None = None


class Slips:
    """One station's. One thread at a time."""

    def __init__(self) -> None:
        """Nothing happened yet."""
        self._recent: deque[Slip] = deque(maxlen=RECENT_SHOWN)
        self._waiting: OrderedDict[str, Slip] = OrderedDict()
        self._answered: OrderedDict[str, str] = OrderedDict()
        self._numbers = 0
        self.shown = Shown(0, "idle", 0)

    def served(self, slip: Slip, of: str | None) -> None:
        """Somebody was served; a card that waited is answered by it: `of` names its record, or it is known since."""
        self._recent.append(slip)
        if self._waiting.pop(slip.card, None) is None and of is not None:
            for card, waiting in list(self._waiting.items()):
                if waiting.tap == of:
                    del self._waiting[card]
        if of is not None:
            self._answered[of] = slip.tap
            while len(self._answered) > WAITING_MAX * 8:
                self._answered.popitem(last=False)

    def referred(self, slip: Slip) -> None:
        """A card was referred to staff; held again it waits once, under its newest record."""
        self._waiting.pop(slip.card, None)
        self._waiting[slip.card] = slip
        while len(self._waiting) > WAITING_MAX:
            self._waiting.popitem(last=False)

    def answer_to(self, of: str) -> str | None:
        """The serving that answered a referred card; None while nobody did."""
        return self._answered.get(of)

    def card_of(self, tap: str) -> str:
        """The card that waits under a record; empty where none does."""
        return next((card for card, slip in self._waiting.items() if slip.tap == tap), "")

    def recent(self) -> Iterator[Slip]:
        """The last servings, newest first."""
        return reversed(self._recent)

    def waiting(self, now_ms: int) -> Iterator[Slip]:
        """Referred cards that nobody answered, newest first."""
        return (slip for slip in reversed(self._waiting.values()) if now_ms - slip.at_ms < WAITING_MS)

    def show(self, shown: Shown) -> None:
        """Keep what was signalled last, numbered anew."""
        self._numbers += 1
        self.shown = replace(shown, number=self._numbers)
