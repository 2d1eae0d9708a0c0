"""Notices: today's facts from the store, as the messenger looks at them, and what it may say of a pupil."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING

from hub.attendance.schoolday import marks_of
from hub.days.classbook import DAY_MS, HOUR_MS, midnight_ms, today_at
from hub.messages.planning import Facts, facts_of
from hub.messages.words import Person, gate_called, person_of

if TYPE_CHECKING:
    from hub.parts import Store
    from hub.store.messagerows import MessageRows


class Notices:
    """See the room. Takes the database's lock for each thing that it asks, never for the whole look."""

    def __init__(self, store: Store, rows: MessageRows, names: Mapping[str, str] | None = None) -> None:
        """`names`: how people call a gate's station, such as `gate-a` -> `cổng chính`; else it is `cổng gate-a`."""
        self._store, self._rows, self._names = store, rows, names or {}

    def look(self, now_ms: int) -> Iterator[Facts]:
        """What is known now of each of today's half-days of the pupils whose parents may be told."""
        store, day = self._store, today_at(now_ms)
        with store.database.lock:
            consents = self._rows.consents()
        if not consents:
            return
        known = store.classbook.evidence(day, at_ms=now_ms)
        begin_ms = midnight_ms(day)
        with store.database.lock:
            rows = list(store.days.taps_between(begin_ms - HOUR_MS, begin_ms + DAY_MS + HOUR_MS))
            journals = {row.journal: store.ledger.books.numbered(row.journal).journal for row in rows}
            said = list(store.days.statements(day, day))
        points = {f"{journals[row.journal]}.{row.sequence}": row.point for row in rows}
        places = {name: self._names.get(point, gate_called(point)) for name, point in points.items()}
        hands = {statement.id: statement.by for statement, how, _ in said if how == "gate"}
        for facts in facts_of(known, marks_of(known, now_ms), places, consents, hands):
            if facts.consent:
                yield facts

    def person(self, key: str) -> Person | None:
        """Given name and class; None for who is no pupil of the school any more."""
        found = self._store.people.find(key, today_at(self._store.clock.now_ms()))
        if found is None or found.state == "left":
            return None
        return person_of(found.name, found.school_class)
