"""The morning: the school's half-day in numbers, class by class, and how complete they are. No names."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import date
from typing import TYPE_CHECKING, Final

from hub.attendance.evidence import HALVES, Session
from hub.attendance.marks import THERE, Mark
from hub.attendance.schoolday import Marked, marks_of
from hub.attendance.timetable import stays_of
from hub.dayview.gatesline import GatesLine, gates_line
from hub.dayview.keeping import Keeping
from hub.dayview.sheet import Signed, half_now, signatures, spoken
from protocol.names import class_order
from protocol.records import Half

if TYPE_CHECKING:
    from hub.attendance.timetable import Timetable
    from hub.parts import Store

AWAY: Final[tuple[Mark, ...]] = ("absent", "excused", "unexcused")


@dataclass(slots=True)
class Tally:
    """A class's half-day, or the school's. `flagged`: pupils whose evidence disagrees or is unsure.

    `portions`: pupils who stay over noon by the timetable and whom no person's word and no notice keeps away: what is
    expected to eat, which says nothing of who is there. None where nobody stays.
    """

    pupils: int = 0
    marks: Counter[str] = field(default_factory=Counter)
    flagged: int = 0
    portions: int | None = None

    @property
    def there(self) -> int:
        """Who was there, also late or not to the end."""
        return sum(self.marks[mark] for mark in THERE)

    @property
    def late(self) -> int:
        """Who came late, of those who are there."""
        return self.marks["late"]


@dataclass(frozen=True, slots=True)
class HalfDay:
    """One half-day of the school: the whole, each class in order, the gates, who signed what."""

    half: Half
    school: Tally
    classes: Mapping[str, Tally]
    signed: Mapping[str, Signed]
    gates: GatesLine


@dataclass(frozen=True, slots=True)
class Morning:
    """A day of the school. `half`: the one that people mean now. `made_ms`: when it was asked.

    `position`: of the ledger's records those to here are in it.
    """

    day: date
    half: Half | None
    halves: Mapping[Half, HalfDay]
    made_ms: int
    position: int


def morning_of(store: Store, day: date, now_ms: int) -> Morning:
    """The day's numbers as they stand. Takes the ledger's lock where it asks it, and works them out without it."""
    with store.database.lock:
        position = store.board.read_to()
        known = store.classbook.evidence(day)
        document = next(iter(store.classbook.timetables(day).values()))
        words = spoken(store, day, known.statements)
        signed = signatures(Keeping(store), store.days.confirmations(day), words, known.pupils)
        sessions = {half: [one for (_, _, of), one in known.sessions.items() if of == half] for half in HALVES}
        gates = {half: gates_line(store, day, mine, now_ms) for half, mine in sessions.items() if mine}
    found = tallied(marks_of(known), document)
    halves = {}
    for half, line in gates.items():
        classes, school = found.get(half, {}), Tally()
        for tally in classes.values():
            _add(school, tally)
        ordered = {name: classes[name] for name in sorted(classes, key=class_order)}
        mine = {name: one for (name, of), one in signed.items() if of == half and name in classes}
        halves[half] = HalfDay(half, school, ordered, mine, line)
    return Morning(day, half_now(_earliest(sessions), now_ms), halves, now_ms, position)


def tallied(marked: Iterable[Marked], document: Timetable) -> dict[Half, dict[str, Tally]]:
    """Marks by half-day and class."""
    found: dict[Half, dict[str, Tally]] = {}
    kept_away: set[str] = set()
    by_class: dict[str, dict[str, None]] = defaultdict(dict)
    for one in marked:
        tally = found.setdefault(one.session.half, {}).setdefault(one.pupil.school_class, Tally())
        tally.pupils += 1
        tally.marks[one.judged.mark] += 1
        tally.flagged += bool(one.judged.flags)
        by_class[one.pupil.school_class][one.pupil.key] = None
        if one.judged.by and one.judged.mark in AWAY:
            kept_away.add(one.pupil.key)
    for name, pupils in by_class.items():
        if stays_of(document, name):
            for classes in found.values():
                if name in classes:
                    classes[name].portions = len(pupils.keys() - kept_away)
    return found


def _add(whole: Tally, part: Tally) -> None:
    whole.pupils += part.pupils
    whole.marks += part.marks
    whole.flagged += part.flagged
    if part.portions is not None:
        whole.portions = (whole.portions or 0) + part.portions


def _earliest(sessions: Mapping[Half, list[Session]]) -> dict[Half, Session]:
    return {half: min(mine, key=lambda one: one.opens_ms) for half, mine in sessions.items() if mine}
