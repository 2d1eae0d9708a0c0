"""The demonstration's own count of a lunch, by force from the counters' raw records, by no rule of the hub's.

All clocks of the demonstration are one, so records lie in the order of their times.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

from edge.bookcopy import journal_files, opened
from protocol.envelope import Event, decode_data, decode_event
from protocol.meals import ByHand, MealTap
from protocol.records import TapCorrection
from protocol.taps import TapData


@dataclass(frozen=True, slots=True)
class Tray:
    """A record at a counter that counts as a tray. `eater`: a pupil's key, or a card nobody knows; `known`: which."""

    record: str
    box: str
    eater: str
    known: bool
    shift: int
    said: int
    alone: bool


@dataclass(slots=True)
class MealCount:
    """What came of the records. `lists`: list of a pack -> (pupil's key or nothing, record), how often.

    `accepted`: every record that was signalled as a tray, those that were taken back too.
    """

    trays: list[Tray] = field(default_factory=list)
    accepted: set[str] = field(default_factory=set)
    lists: dict[str, Counter[tuple[str, str]]] = field(default_factory=dict)

    def put(self, name: str, pupil: str, record: str) -> None:
        """One line more in a list."""
        self.lists.setdefault(name, Counter())[pupil, record] += 1

    def eaters(self) -> Counter[str]:
        """Pupil -> how many trays they had."""
        return Counter(tray.eater for tray in self.trays if tray.known)


Record = tuple[str, Event]
"""The gateway that wrote a record, and the record."""


def count_meal(records: Iterable[Record], present: Iterable[str]) -> MealCount:
    """Count the counters' records; `present`: who was at school."""
    events = sorted(records, key=lambda one: (one[1].time, one[0]))
    undone: dict[str, bool] = {}
    answered: set[str] = set()
    taps: list[tuple[str, Event, TapData]] = []
    for box, event in events:
        if event.name == "meal.correction":
            word = decode_data(event, TapCorrection)
            undone[word.tap] = word.why == "undone"
        elif event.name in ("meal.pickup", "meal.referred"):
            data = decode_data(event, TapData)
            taps.append((box, event, data))
            if isinstance(data.hand, ByHand) and data.hand.of is not None:
                answered.add(data.hand.of)
    found, before = MealCount(), Counter[str]()
    for box, event, data in taps:
        if data.decision == "accepted":
            found.accepted.add(event.id)
        if undone.get(event.id):
            found.put("taken-back", data.student or "", event.id)
        elif data.decision == "refused" and event.id not in answered:
            found.put("referred", data.student or "", event.id)
        elif data.decision == "accepted":
            eater = data.student or data.card
            before[eater] += 1
            first = "eaten" if data.student is not None else "unidentified"
            found.put(first if before[eater] == 1 else "second", data.student or "", event.id)
            said = data.meal if isinstance(data.meal, MealTap) else MealTap("", "lunch")
            known = data.student is not None
            found.trays.append(Tray(event.id, box, eater, known, said.shift, said.nth, said.alone))
    for pupil in present:
        if not before[pupil]:
            found.put("not-eaten", pupil, "")
    return found


def records_of(boxes: Iterable[Path]) -> Iterator[Record]:
    """Every record in the gateways' own files, by their data directories."""
    for box in boxes:
        for file in journal_files(box):
            with opened(file) as database:
                for (raw,) in database.execute("SELECT raw FROM event ORDER BY position"):
                    yield box.name, decode_event(raw)
