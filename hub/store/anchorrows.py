"""The timelines of all sources, kept in the ledger's file: the certain moments from which effective times follow."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from hub.store.database import Database
from protocol.anchors import BootAnchors, Timeline
from protocol.envelope import Event, decode_event
from protocol.errors import BadMessage


class AnchorRows:
    """See the room. Changes are written within the transaction of the records that they come from."""

    def __init__(self, database: Database) -> None:
        """Load the anchors, and the order of journals from their first records."""
        self._database = database
        self._timelines: dict[str, Timeline] = {}
        self._unwritten: dict[str, set[str]] = {}
        run = database.connection.execute
        for source, boot, kept in run("SELECT source, boot, kept FROM anchors"):
            self.of(source).boots[boot] = msgspec.json.decode(kept, type=BootAnchors)
        # In this order: the other way round, the whole ledger would be gone through.
        for (raw,) in run("SELECT raw FROM journals CROSS JOIN events ON events.journal = number WHERE sequence = 1"):
            self._link(bytes(raw))

    def _link(self, raw: bytes) -> None:
        try:
            event = decode_event(raw)
        except BadMessage:
            return
        if event.name == "journal.opened":
            self.of(event.source).link(event)

    def of(self, source: str) -> Timeline:
        """The timeline of one source."""
        found = self._timelines.get(source)
        if found is None:
            found = self._timelines[source] = Timeline()
        return found

    def learn(self, source: str, events: Sequence[Event]) -> None:
        """Take the certain moments of new records in.

        A rollback leaves at most a moment that is true anyway; it is written with the next records of its source.
        """
        timeline = self.of(source)
        changed = self._unwritten.pop(source, set()) | timeline.learn_all(events)
        if not changed:
            return

        def again() -> None:
            self._unwritten.setdefault(source, set()).update(changed)

        self._database.on_rollback(again)
        for boot in changed:
            self._database.connection.execute(
                "INSERT OR REPLACE INTO anchors (source, boot, kept) VALUES (?, ?, ?)",
                (source, boot, msgspec.json.encode(timeline.boots[boot]).decode("utf-8")),
            )
