"""The gate board: the last taps as they came, with whose they are; each gate device and when it was last heard."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import date
from typing import TYPE_CHECKING, Final, Literal

from hub.attendance.evidence import Direction
from hub.cards.holders import whose
from hub.days.classbook import DAY_MS, midnight_ms
from hub.store.dayrows import TapRow

if TYPE_CHECKING:
    from hub.attendance.schoolday import Pupil
    from hub.parts import Store
    from hub.road.fleet import Fleet

ROWS: Final = 40
SILENT_MS: Final = 90_000
"""Three missed states: from then on nobody knows how a gateway is (docs/reference/messages.md)."""
Life = Literal["live", "trouble", "stale", "unheard"]
"""`live`: connected, heard lately, all readers ready; `trouble`: it says itself that something is wrong; `stale`: not
connected, or silent; `unheard`: not since this hub started."""


@dataclass(frozen=True, slots=True)
class Passing:
    """A tap on the board. `name` empty: nobody's card. `accepted`: the gate said yes; else `reason` says why not."""

    tap: str
    pupil: str
    name: str
    school_class: str
    at_ms: int
    sure: bool
    way: Direction | None
    device: str
    point: str
    accepted: bool
    reason: str


@dataclass(frozen=True, slots=True)
class GateDevice:
    """A device at a gate. `heard_ms`: how long ago it was last heard, None: not since the hub's start."""

    device: str
    life: Life
    heard_ms: int | None
    owed: int
    readers: tuple[str, ...] = ()


class Members:
    """Who belongs to the school, kept for as long as nothing changed: 2,000 pupils are read in some milliseconds."""

    def __init__(self, store: Store) -> None:
        """Nobody was read yet."""
        self._store = store
        self._made_for: tuple[int, date] | None = None
        self._found: dict[str, Pupil] = {}

    def of(self, day: date) -> Mapping[str, Pupil]:
        """The pupils of a day, by key. Under the lock."""
        made_for = (self._store.people.version, day)
        if made_for != self._made_for:
            self._found = {pupil.key: pupil for pupil in self._store.people.of(day, day)}
            self._made_for = made_for
        return self._found


def passings(store: Store, day: date, rows: Iterable[TapRow], people: Mapping[str, Pupil]) -> list[Passing]:
    """Taps as the board shows them, newest first; whose each is, its card says as it was then. Under the lock."""
    document = next(iter(store.classbook.timetables(day).values()))
    bindings = store.holders.bindings()
    found = []
    for row in rows:
        if row.kind != "gate":
            continue
        tap = store.classbook.tap(row, document)
        student = whose(bindings, row.card, tap.best_ms, row.student) or ""
        pupil = people.get(student)
        book = store.ledger.books.numbered(row.journal)
        found.append(
            Passing(
                tap.id,
                "" if pupil is None else pupil.key,
                "" if pupil is None else pupil.name,
                "" if pupil is None else pupil.school_class,
                tap.best_ms,
                tap.not_after_ms - tap.not_before_ms < 120_000,
                tap.direction,
                book.device or "",
                row.point,
                row.decision != "refused",
                row.reason or "",
            )
        )
    return sorted(found, key=lambda one: (-one.at_ms, one.tap))


def newest(store: Store, day: date, people: Mapping[str, Pupil]) -> list[Passing]:
    """The last taps of a day. Under the lock."""
    begin_ms = midnight_ms(day)
    return passings(store, day, store.board.newest(begin_ms, begin_ms + DAY_MS, ROWS), people)


def gate_devices(store: Store, fleet: Fleet, now_mono_ms: int) -> list[GateDevice]:
    """Every accepted device that has, or may have, a gate; by name. Under the lock."""
    return [device_now(fleet, one.device, now_mono_ms) for one in store.devices.all() if one.standing == "accepted"]


def device_now(fleet: Fleet, device: str, now_mono_ms: int) -> GateDevice:
    """How a device is, as far as it was heard."""
    heard = fleet.find(device)
    if heard is None:
        return GateDevice(device, "unheard", None, 0)
    ago_ms = max(0, now_mono_ms - heard.at_ms)
    bad = tuple(sorted(name for name, state in heard.state.readers.items() if state != "ready"))
    life: Life = "live"
    if not heard.connected or ago_ms > SILENT_MS:
        life = "stale"
    elif bad or heard.state.alarms:
        life = "trouble"
    return GateDevice(device, life, ago_ms, heard.state.owed, bad)
