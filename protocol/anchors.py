"""A source's timeline: the certain moments of its boots, and from them the effective time of any of its records.

Hub and city hold the same records and derive the same times from them, in whatever order the records came.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Annotated, Final

import msgspec

from protocol.envelope import TYPE_PREFIX, Event, unix_ms_of
from protocol.errors import BadMessage
from protocol.taps import ClockData
from protocol.time import Anchor, Effective, effective_time, time_by

STATED_MAX: Final = 64
"""`boot.anchored` records kept of one boot, those with the least bound; one every ten minutes for half a day."""
LINKS_MAX: Final = 2_000
"""Journals followed when a boot without an anchor is set between others."""


SPAN_MAX_MS: Final = 1 << 42
"""139 years: no boot lasts so long, and a bound so wide bounds nothing."""
MOMENT_MAX_MS: Final = 1 << 45
"""The years 855 to 3084: what follows from a clock that says anything beyond can be no moment of a calendar."""

Bound = Annotated[int, msgspec.Meta(ge=0)]
"""How far a time may be off, in ms, either way; a negative one would beat every honest anchor."""


class _Clock(msgspec.Struct):
    boot: str
    mono: int
    err: Bound | None = None
    sync: str = "none"


class _Clocked(msgspec.Struct):
    """The part of any record's data that dates it."""

    clock: _Clock | None = None


class _Stated(msgspec.Struct):
    """The data of a `boot.anchored` record."""

    boot: str
    mono: int
    wall: str
    err: Bound
    source: str


class _Previous(msgspec.Struct):
    journal: str


class _Opened(msgspec.Struct):
    """The data of a `journal.opened` record, as far as the order of boots goes."""

    clock: _Clock | None = None
    previous: _Previous | None = None


_DATING: Final = frozenset(f"{TYPE_PREFIX}{name}.v1" for name in ("boot.anchored", "journal.opened"))
_clocked = msgspec.json.Decoder(_Clocked)
_stated = msgspec.json.Decoder(_Stated)
_opened = msgspec.json.Decoder(_Opened)


class Dated(msgspec.Struct, frozen=True):
    """What a record says of its own time: boot, CLOCK_BOOTTIME in ms, its stated time, its own reading if certain."""

    boot: str
    mono: int
    stated_ms: int
    own: Anchor | None


def dated(event: Event) -> Dated | None:
    """A record's own reading; None where it has none that can be understood."""
    try:
        clock = _clocked.decode(event.data).clock
    except (msgspec.DecodeError, ValueError):
        return None
    return None if clock is None else read_by(clock, event.time)


def _certain(event: Event) -> Anchor | None:
    """A record's own reading as a certain moment; None where it is none."""
    found = dated(event)
    return None if found is None else found.own


def read_by(clock: _Clock | ClockData, time: str) -> Dated | None:
    """What a record says whose envelope and whose clock say these; None where it can't be understood.

    A bound wider than SPAN_MAX_MS is none, nor is one around a moment beyond MOMENT_MAX_MS.
    """
    try:
        stated_ms = unix_ms_of(time)
    except BadMessage:
        return None
    if (clock.err is not None and clock.err < 0) or abs(clock.mono) > SPAN_MAX_MS:
        return None
    own = None
    if clock.err is not None and clock.err <= SPAN_MAX_MS and abs(stated_ms) <= MOMENT_MAX_MS:
        own = Anchor(clock.boot, clock.mono, stated_ms, clock.err, clock.sync)
    return Dated(clock.boot, clock.mono, _known_ms(stated_ms), own)


def reading_of(clock: ClockData, time: str) -> Dated:
    """The same; of a clock that can't be understood what the envelope states, if anything, under no boot."""
    return read_by(clock, time) or Dated("", 0, _stated_ms(time), None)


def _stated_ms(time: str) -> int:
    try:
        return _known_ms(unix_ms_of(time))
    except BadMessage:
        return 0


def _known_ms(at_ms: int) -> int:
    """The nearest moment within MOMENT_MAX_MS."""
    return min(max(at_ms, -MOMENT_MAX_MS), MOMENT_MAX_MS)


def stated_anchor(event: Event) -> Anchor | None:
    """What a `boot.anchored` record says; None for any other, or one that can't be understood."""
    if event.name != "boot.anchored":
        return None
    try:
        found = _stated.decode(event.data)
        anchor = Anchor(found.boot, found.mono, unix_ms_of(found.wall), found.err, found.source)
    except (msgspec.DecodeError, ValueError, BadMessage):
        return None
    sound = max(abs(anchor.mono), anchor.err) <= SPAN_MAX_MS and abs(anchor.wall_ms) <= MOMENT_MAX_MS
    return anchor if sound else None


@dataclass(slots=True)
class BootAnchors:
    """The anchors kept of one boot: all that were stated (bounded), and of readings the first, last and best."""

    stated: list[Anchor] = field(default_factory=list)
    first: Anchor | None = None
    last: Anchor | None = None
    best: Anchor | None = None

    def state(self, anchor: Anchor) -> bool:
        """Keep a stated anchor; False when nothing changed."""
        if anchor in self.stated:
            return False
        self.stated = sorted([*self.stated, anchor], key=_by_bound)[:STATED_MAX]
        return anchor in self.stated

    def read(self, anchor: Anchor) -> bool:
        """Keep a record's own reading where it is the first, last or best; False when nothing changed."""
        first = anchor if self.first is None else min(self.first, anchor, key=_by_mono)
        last = anchor if self.last is None else max(self.last, anchor, key=_by_mono)
        best = anchor if self.best is None else min(self.best, anchor, key=_by_bound)
        if (first, last, best) == (self.first, self.last, self.best):
            return False
        self.first, self.last, self.best = first, last, best
        return True

    def all(self) -> list[Anchor]:
        """Every anchor kept."""
        return [*self.stated, *(anchor for anchor in (self.first, self.last, self.best) if anchor is not None)]

    def nearer(self, own: Anchor) -> list[Anchor]:
        """The anchors kept that may bound a record's time closer than its own reading: bounds grow with the time
        between.
        """
        kept = (*self.stated, self.first, self.last, self.best)
        return [
            one
            for one in kept
            if one is not None and (one.err < own.err or (one.err == own.err and one.mono == own.mono))
        ]


def _by_mono(anchor: Anchor) -> tuple[int, int, int]:
    return anchor.mono, anchor.wall_ms, anchor.err


def _by_bound(anchor: Anchor) -> tuple[int, int, int, str]:
    return anchor.err, anchor.mono, anchor.wall_ms, anchor.source


class Timeline:
    """One source's boots. Memory goes with boots and journals, not with records."""

    def __init__(self) -> None:
        """Nothing is certain yet."""
        self.boots: dict[str, BootAnchors] = {}
        self._boot_of: dict[str, str] = {}
        self._before: dict[str, str] = {}
        self._after: dict[str, list[str]] = {}

    def restore(self, boots: Mapping[str, BootAnchors], ran: Mapping[str, str], before: Mapping[str, str]) -> None:
        """Take over what another timeline of the source knew: anchors by boot, boot and journal before by journal."""
        self.boots.update(boots)
        self._boot_of.update(ran)
        for journal, previous in before.items():
            if journal not in self._before:
                self._before[journal] = previous
                self._after.setdefault(previous, []).append(journal)

    def ran(self) -> dict[str, str]:
        """Journal -> the boot that it ran in."""
        return dict(self._boot_of)

    def order(self) -> dict[str, str]:
        """Journal -> the journal before it."""
        return dict(self._before)

    def learn(self, event: Event) -> set[str]:
        """Take a record's certain moments in; the boots whose anchors changed."""
        changed: set[str] = set()
        anchor = stated_anchor(event)
        if anchor is not None and self.boots.setdefault(anchor.boot, BootAnchors()).state(anchor):
            changed.add(anchor.boot)
        own = _certain(event)
        if own is not None and self.boots.setdefault(own.boot, BootAnchors()).read(own):
            changed.add(own.boot)
        if event.name == "journal.opened":
            self.link(event)
        return changed

    def learn_all(self, events: Iterable[Event]) -> set[str]:
        """`learn` of many records at once: of their readings only a boot's first, last and best can change anything."""
        changed: set[str] = set()
        readings: dict[str, list[tuple[int, int, Event]]] = {}
        for event in events:
            if event.type in _DATING:
                changed |= self.learn(event)
                continue
            try:
                clock = _clocked.decode(event.data).clock
            except (msgspec.DecodeError, ValueError):
                continue
            if clock is not None and clock.err is not None and clock.err <= SPAN_MAX_MS:
                readings.setdefault(clock.boot, []).append((clock.mono, clock.err, event))
        for found in readings.values():
            first, last = min(mono for mono, _, _ in found), max(mono for mono, _, _ in found)
            best = min((err, mono) for mono, err, _ in found)
            chosen = [event for mono, err, event in found if mono in (first, last) or (err, mono) == best]
            if any(_certain(event) is None for event in chosen):
                # One of them can't be understood, or is no certain moment, so the next one counts.
                chosen = [event for _, _, event in found]
            for event in chosen:
                changed |= self.learn(event)
        return changed

    def link(self, event: Event) -> None:
        """Take in from a `journal.opened` record which boot it was and which journal came before."""
        try:
            opened = _opened.decode(event.data)
        except (msgspec.DecodeError, ValueError):
            return
        journal = event.id.partition(".")[0]
        if opened.clock is not None:
            self._boot_of[journal] = opened.clock.boot
        if opened.previous is not None and journal not in self._before:
            self._before[journal] = opened.previous.journal
            self._after.setdefault(opened.previous.journal, []).append(journal)

    def anchored(self, boot: str) -> bool:
        """Whether a boot met an anchor."""
        return bool(self.boots.get(boot, BootAnchors()).all())

    def effective(self, event: Event) -> Effective:
        """When a record of this source truly was made."""
        found = dated(event)
        if found is None:
            return Effective(_stated_ms(event.time), None, None, "estimated")
        return self.effective_at(event.id.partition(".")[0], found)

    def effective_at(self, journal: str, found: Dated) -> Effective:
        """When a record of `journal` that reads `found` truly was made."""
        boot, own = self.boots.get(found.boot), found.own
        if own is not None:
            nearer = [] if boot is None else boot.nearer(own)
            if not nearer:
                return time_by(own, found.mono)
            return effective_time(found.boot, found.mono, found.stated_ms, [*nearer, own])
        before_ms = after_ms = None
        anchors = [] if boot is None else boot.all()
        if not anchors:
            before_ms = max(self._moments(self._earlier(journal), found.boot, -1), default=None)
            after_ms = min(self._moments(self._later(journal), found.boot, +1), default=None)
        return effective_time(found.boot, found.mono, found.stated_ms, anchors, before_ms=before_ms, after_ms=after_ms)

    def _moments(self, journals: Iterable[str], but: str, side: int) -> Iterator[int]:
        """Moments at which other boots were certainly running, widened by their bounds to one side."""
        for journal in journals:
            boot = self._boot_of.get(journal)
            if boot is not None and boot != but and boot in self.boots:
                for anchor in self.boots[boot].all():
                    yield anchor.wall_ms + side * anchor.err

    def _earlier(self, journal: str) -> Iterator[str]:
        for _ in range(LINKS_MAX):
            before = self._before.get(journal)
            if before is None:
                return
            yield before
            journal = before

    def _later(self, journal: str) -> Iterator[str]:
        waiting, seen = [journal], {journal}
        while waiting and len(seen) < LINKS_MAX:
            for after in self._after.get(waiting.pop(), ()):
                if after not in seen:
                    seen.add(after)
                    waiting.append(after)
                    yield after
