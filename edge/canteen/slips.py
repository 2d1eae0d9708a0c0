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
NAMES_MAX: Final = 512
"""Records of referred cards that are known by name, whatever was held since; a line on a screen is younger."""

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


@dataclass(slots=True)
class _Wait:
    """One card's wait, however often it is held meanwhile.

    `line`: named by the first record, so that what a finger or a search was begun with stays true; None where only the
    answer is known. `newest`: the last record. `answer`: the serving that ended it.
    """

    line: Slip | None
    newest: str
    answer: str | None = None


class Slips:
    """One station's. One thread at a time."""

    def __init__(self) -> None:
        """Nothing happened yet."""
        self._recent: deque[Slip] = deque(maxlen=RECENT_SHOWN)
        self._waiting: OrderedDict[str, _Wait] = OrderedDict()
        self._waits: OrderedDict[str, _Wait] = OrderedDict()
        self._numbers = 0
        self.shown = Shown(0, "idle", 0)

    def served(self, slip: Slip, of: str | None) -> None:
        """Somebody was served; a card that waited is answered: `of` names a record of it, or it is known since."""
        self._recent.append(slip)
        wait = self._waiting.get(slip.card)
        if wait is None and of is not None:
            wait = self._waits.get(of) or self._name(of, _Wait(None, of))
        if wait is None:
            return
        wait.answer = slip.tap
        if wait.line is not None and self._waiting.get(wait.line.card) is wait:
            del self._waiting[wait.line.card]

    def referred(self, slip: Slip) -> None:
        """A card was referred to staff; held again it waits once, and its line keeps its name."""
        wait = self._waiting.pop(slip.card, None)
        if wait is None or wait.line is None:
            wait = _Wait(slip, slip.tap)
        else:
            wait.line, wait.newest = replace(slip, tap=wait.line.tap), slip.tap
            self._name(wait.line.tap, wait)
        self._name(slip.tap, wait)
        self._waiting[slip.card] = wait
        while len(self._waiting) > WAITING_MAX:
            self._waiting.popitem(last=False)

    def _name(self, tap: str, wait: _Wait) -> _Wait:
        """Know a wait by a record's name; of too many the oldest are forgotten."""
        self._waits[tap] = wait
        self._waits.move_to_end(tap)
        while len(self._waits) > NAMES_MAX:
            self._waits.popitem(last=False)
        return wait

    def answer_to(self, of: str) -> str | None:
        """The serving that answered a referred card; None while nobody did."""
        wait = self._waits.get(of)
        return None if wait is None else wait.answer

    def card_of(self, of: str) -> str:
        """The card that was referred by a record; empty where it isn't known."""
        wait = self._waits.get(of)
        return "" if wait is None or wait.line is None else wait.line.card

    def newest(self, of: str) -> str:
        """The last record of the card that waits, or waited, by this one; itself where nothing is known of it."""
        wait = self._waits.get(of)
        return of if wait is None else wait.newest

    def recent(self) -> Iterator[Slip]:
        """The last servings, newest first."""
        return reversed(self._recent)

    def waiting(self, now_ms: int) -> Iterator[Slip]:
        """Referred cards that nobody answered, newest first."""
        lines = (wait.line for wait in reversed(self._waiting.values()))
        return (line for line in lines if line is not None and now_ms - line.at_ms < WAITING_MS)

    def show(self, shown: Shown) -> None:
        """Keep what was signalled last, numbered anew."""
        self._numbers += 1
        self.shown = replace(shown, number=self._numbers)
