"""The pupil's day: every tap with every receipt, every word and notice, and the marks that follow from them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from typing import TYPE_CHECKING, Any

from hub.attendance.evidence import Leave
from hub.attendance.schoolday import Marked, marks_of
from hub.cards.holders import whose
from hub.days.classbook import DAY_MS, HOUR_MS, midnight_ms
from hub.days.trail import trail_of
from hub.dayview.redink import Change, red_ink
from protocol.taps import TapId, parse_tap_id

if TYPE_CHECKING:
    from hub.parts import Store
    from hub.store.dayrows import TapRow


@dataclass(frozen=True, slots=True)
class Stop:
    """A tap with its trail (see hub.days.trail). `mine`: it is this pupil's; else a gateway only took it for theirs."""

    tap: str
    at_ms: int
    mine: bool
    trail: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Notice:
    """A leave notice; `taken_back`: when and by whom, None where it stands."""

    leave: Leave
    trail: Mapping[str, Any] | None
    taken_back: tuple[int, str] | None


@dataclass(frozen=True, slots=True)
class PupilDay:
    """A pupil's day. `marks` by half-day; `changes` the newest first."""

    key: str
    name: str
    school_class: str
    day: date
    marks: tuple[Marked, ...]
    stops: tuple[Stop, ...]
    changes: tuple[Change, ...]
    notices: tuple[Notice, ...]
    trails: Mapping[str, Mapping[str, Any]]


def class_on(store: Store, key: str, day: date) -> str | None:
    """The class of a pupil on a day: whose teachers may see that day; None where they are of none. Under the lock."""
    return store.people.class_on(key, day)


def pupil_day(store: Store, key: str, school_class: str, day: date) -> PupilDay:
    """Everything known of one pupil's day. Asked under the ledger's lock."""
    known = store.classbook.evidence(day, school_class)
    name = next(pupil.name for pupil in known.pupils if pupil.key == key)
    changes = red_ink(store, day, school_class, key)
    stops = _stops(store, key, day)
    notices = _notices(store, key, day)
    trails = {one.record: trail for one in changes if (trail := _trail(store, one.record)) is not None}
    return PupilDay(
        key,
        name,
        school_class,
        day,
        tuple(one for one in marks_of(known) if one.pupil.key == key),
        tuple(stops),
        tuple(changes),
        tuple(notices),
        trails,
    )


def _stops(store: Store, key: str, day: date) -> list[Stop]:
    begin_ms, bindings = midnight_ms(day), store.holders.bindings()
    cards = {text for text, known in bindings.items() if any(held.pupil == key for held in known)}
    found = []
    for row in store.days.taps_of(cards, {key}, begin_ms - HOUR_MS, begin_ms + DAY_MS + HOUR_MS):
        stop = _stop(store, key, row)
        if stop is not None and begin_ms <= stop.at_ms < begin_ms + DAY_MS:
            found.append(stop)
    return sorted(found, key=lambda one: (one.at_ms, one.tap))


def _stop(store: Store, key: str, row: TapRow) -> Stop | None:
    book = store.ledger.books.numbered(row.journal)
    when = store.anchors.of(book.source).effective_at(book.journal, row.reading())
    mine = whose(store.holders.bindings(), row.card, when.best_ms, row.student) == key
    if not mine and row.student != key:
        # The card was, or became, somebody else's: nothing of that is told here.
        return None
    name = TapId(book.journal, row.sequence)
    trail = trail_of(store, name)
    return None if trail is None else Stop(str(name), when.best_ms, mine, trail)


def _notices(store: Store, key: str, day: date) -> list[Notice]:
    mine = [leave for leave, _ in store.days.leaves(day, day) if leave.pupil == key]
    back = store.board.taken_back([leave.id for leave in mine])
    return [Notice(leave, _trail(store, leave.id), back[leave.id][1:] if leave.id in back else None) for leave in mine]


def _trail(store: Store, record: str) -> Mapping[str, Any] | None:
    name = parse_tap_id(record)
    return None if name is None else trail_of(store, name)
