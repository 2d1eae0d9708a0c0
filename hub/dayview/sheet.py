"""The class sheet: a row for each pupil with the marks of the day, who said them and when, and what rests on what."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import date
from typing import TYPE_CHECKING, Final, Literal

from hub.attendance.evidence import HALVES, Leave, Session, Statement
from hub.attendance.marks import THERE, Flag, Mark
from hub.attendance.schoolday import Marked, Pupil, marks_of
from hub.dayview.keeping import Keeping
from hub.dayview.namesakes import called
from protocol.records import Half

if TYPE_CHECKING:
    from hub.parts import Store
    from hub.store.dayrows import Confirmation

Origin = Literal["word", "leave", "tap", "admitted", "nothing"]
"""What a mark rests on: a person's word, a leave notice, a tap, somebody who let the pupil in, or nothing at all."""
ENTERED: Final[tuple[Origin, ...]] = ("word", "leave", "admitted")
"""What people entered at the hub."""
Spoken = tuple[str, Half, int]
"""Of whom and which half-day a person said something, and when (Unix ms)."""
Group = Literal["open", "look", "said", "there"]
"""Where a pupil stands on the teacher's page: nothing is known; evidence is unsure; a person spoke; there."""
GROUPS: Final[tuple[Group, ...]] = ("open", "look", "said", "there")


@dataclass(frozen=True, slots=True)
class Cell:
    """A pupil's half-day. `at_ms`: when it was said, or tapped first; `by`: who said it, empty where nobody did.

    `record` is the word, notice or first tap that it rests on. `here_only`: neither city nor backup holds it.
    """

    half: Half
    mark: Mark
    minutes: int
    flags: tuple[Flag, ...]
    origin: Origin
    by: str
    at_ms: int | None
    record: str
    here_only: bool = False
    tapped_ms: int | None = None

    @property
    def there(self) -> bool:
        """Whether the pupil was there, be it late or not to the end."""
        return self.mark in THERE

    @property
    def group(self) -> Group:
        """Where it stands on the teacher's page."""
        if self.origin in ("word", "leave"):
            return "look" if self.flags else "said"
        if self.origin == "nothing":
            return "open"
        return "look" if self.flags else "there"


@dataclass(frozen=True, slots=True)
class Row:
    """A pupil with the cells of the day's half-days; `name` tells namesakes of a class apart."""

    pupil: str
    name: str
    school_class: str
    cells: Mapping[Half, Cell]


@dataclass(frozen=True, slots=True)
class Signed:
    """A class's half-day as somebody signed it; `changed`: a word was said since, or a leave notice came or went."""

    by: str
    at_ms: int
    record: str
    changed: bool
    here_only: bool


@dataclass(frozen=True, slots=True)
class Sheet:
    """A class's day, or the whole school's (`school_class` None). `half`: the one that is shown first.

    `position`: of the ledger's records those to here are in it.
    """

    day: date
    school_class: str | None
    half: Half | None
    sessions: Mapping[Half, Session]
    rows: tuple[Row, ...]
    signed: Mapping[tuple[str, Half], Signed]
    here_only: int
    position: int

    def counts(self, half: Half) -> Counter[str]:
        """How many of each mark."""
        return Counter(row.cells[half].mark for row in self.rows if half in row.cells)

    def of_group(self, group: Group) -> list[Row]:
        """The rows of the half-day shown that stand in a group of the teacher's page."""
        half = self.half
        return [row for row in self.rows if half is not None and half in row.cells and row.cells[half].group == group]

    def signature(self, half: Half) -> Signed | None:
        """Who signed the class's half-day last."""
        return None if self.school_class is None else self.signed.get((self.school_class, half))


def sheet_of(store: Store, day: date, school_class: str | None, half: Half | None, now_ms: int) -> Sheet:
    """A class's sheet as it stands, or the school's; `half` None takes the one of now.

    Takes the ledger's lock where it asks it, and works the marks out without it.
    """
    with store.database.lock:
        position = store.board.read_to()
        known = store.classbook.evidence(day, school_class)
        admitted, confirmed = admissions(store, day), store.days.confirmations(day)
        words = list(spoken(store, day, known.statements))
    said = {one.id: one for one in known.statements}
    notices = {one.id: one for one in known.leaves}
    taps = {tap.id: tap.best_ms for _, tap in known.taps}
    cells: dict[str, dict[Half, Cell]] = {}
    sessions: dict[Half, Session] = {}
    pupils: dict[str, Pupil] = {}
    for marked in marks_of(known):
        made = cell_of(marked, said, notices, taps, admitted)
        pupils[marked.pupil.key] = marked.pupil
        cells.setdefault(marked.pupil.key, {})[made.half] = made
        sessions.setdefault(made.half, marked.session)
    entered = {one.record for mine in cells.values() for one in mine.values() if one.origin in ENTERED}
    with store.database.lock:
        keeping = Keeping(store)
        alone = {record for record in entered if keeping.here_only(record)}
        signed = signatures(keeping, confirmed, words, known.pupils)
        names = called(pupils.values() if pupils else known.pupils, store.people.find, births=True)
    # On a day without lessons nobody has a mark, and everybody a row.
    rows = [
        Row(
            one.key,
            names[one.key],
            one.school_class,
            {of: _kept(cell, alone) for of, cell in cells.get(one.key, {}).items()},
        )
        for one in (pupils.values() if pupils else known.pupils)
    ]
    mine = {place: one for place, one in signed.items() if school_class in (None, place[0])}
    alone |= {one.record for one in mine.values() if one.here_only}
    shown = half if half in sessions else half_now(sessions, now_ms)
    return Sheet(day, school_class, shown, sessions, tuple(rows), mine, len(alone), position)


def _kept(cell: Cell, alone: set[str]) -> Cell:
    return replace(cell, here_only=True) if cell.origin in ENTERED and cell.record in alone else cell


def cell_of(
    marked: Marked,
    said: Mapping[str, Statement],
    notices: Mapping[str, Leave],
    taps: Mapping[str, int],
    admitted: Mapping[str, str],
) -> Cell:
    """The cell of a mark; `taps`: when each was, `admitted`: who let in by which record."""
    judged, half = marked.judged, marked.session.half
    first = judged.evidence[0] if judged.evidence else ""
    mine = [name for name in judged.evidence if name in taps]
    tapped_ms = min((taps[name] for name in mine), default=None)
    origin: Origin = "nothing"
    by, at_ms = judged.by, None
    if first in said and judged.by:
        origin, at_ms = "word", said[first].at_ms
    elif first in notices and not judged.there:
        origin, at_ms = "leave", notices[first].at_ms
    elif judged.there and mine:
        first = min(mine, key=lambda name: (taps[name], name))
        origin = "admitted" if first in admitted else "tap"
        by, at_ms = admitted.get(first, ""), tapped_ms
    return Cell(half, judged.mark, judged.minutes, judged.flags, origin, by, at_ms, first, tapped_ms=tapped_ms)


def admissions(store: Store, day: date) -> dict[str, str]:
    """Who let somebody in without a card, by the record that says so."""
    return {
        said.id: said.by
        for said, how, seen_ms in store.days.statements(day, day)
        if how == "gate" and seen_ms is not None and said.state != "withdrawn"
    }


def spoken(store: Store, day: date, said: Iterable[Statement]) -> Iterator[Spoken]:
    """Whatever people said of a day's half-days, by word or by leave notice, also one that was withdrawn.

    Under the ledger's lock.
    """
    for one in said:
        yield one.pupil, one.half, one.at_ms
    for leave, withdrawn_ms in store.days.leaves(day, day):
        for half in HALVES:
            if leave.covers(day, half):
                yield leave.pupil, half, max(leave.at_ms, withdrawn_ms or 0)


def newest_words(words: Iterable[Spoken], pupils: Iterable[Pupil]) -> dict[tuple[str, str], int]:
    """When something was last said of a class's half-day (Unix ms): who signed before, signed another list."""
    classes = {one.key: one.school_class for one in pupils}
    newest: dict[tuple[str, str], int] = {}
    for pupil, half, at_ms in words:
        if pupil in classes:
            place = classes[pupil], half
            newest[place] = max(newest.get(place, 0), at_ms)
    return newest


def signatures(
    keeping: Keeping, confirmations: Iterable[Confirmation], words: Iterable[Spoken], pupils: Iterable[Pupil]
) -> dict[tuple[str, Half], Signed]:
    """The newest signature of each class and half-day."""
    newest = newest_words(words, pupils)
    found: dict[tuple[str, Half], Signed] = {}
    for row in confirmations:
        half: Half = "am" if row.half == "am" else "pm"
        place = row.school_class, half
        changed = newest.get((row.school_class, half), 0) > row.at_ms
        found[place] = Signed(row.by, row.at_ms, row.record, changed, keeping.here_only(row.record))
    return found


def half_now(sessions: Mapping[Half, Session], now_ms: int) -> Half | None:
    """The half-day that people mean now: the afternoon once its taps count, else the first that there is."""
    afternoon = sessions.get("pm")
    if afternoon is not None and now_ms >= afternoon.opens_ms:
        return "pm"
    return next((half for half in HALVES if half in sessions), None)
