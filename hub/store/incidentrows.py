"""Incident packs in rows: which versions of what were made, what each said, and whether the city was sent it."""

from __future__ import annotations

from typing import NamedTuple

import msgspec

from hub.store.database import Database
from protocol.records import IncidentPack

_summary = msgspec.json.Decoder(IncidentPack)


class PackRow(NamedTuple):
    """A version of a pack. `kept`: see hub.incidents.versions; `sent_ms`: when the city was sent it, None: never."""

    scope: str
    drill: bool
    number: int
    made_ms: int
    by: str
    record: str
    summary: IncidentPack
    kept: bytes
    sent_ms: int | None


class IncidentRows:
    """See the room. Changes run within a transaction."""

    def __init__(self, database: Database) -> None:
        """The table is the state."""
        self._run = database.connection.execute

    def keep(self, row: PackRow) -> None:
        """A version was made."""
        summary = msgspec.json.encode(row.summary).decode("utf-8")
        self._run(
            "INSERT INTO incident_packs VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)",
            (row.scope, int(row.drill), row.number, row.made_ms, row.by, row.record, summary, row.kept, row.sent_ms),
        )

    def newest(self, scope: str, *, drill: bool) -> PackRow | None:
        """The newest version of what was asked; an exercise and the real thing count apart."""
        rows = self._rows("scope = ? AND drill = ? ORDER BY number DESC LIMIT 1", (scope, int(drill)))
        return rows[0] if rows else None

    def find(self, scope: str, number: int, *, drill: bool) -> PackRow | None:
        """One version."""
        rows = self._rows("scope = ? AND drill = ? AND number = ?", (scope, int(drill), number))
        return rows[0] if rows else None

    def latest(self, limit: int) -> list[PackRow]:
        """What was made last, the newest first."""
        return self._rows("1 ORDER BY made_ms DESC, scope, number DESC LIMIT ?", (limit,))

    def send(self, row: PackRow, sent_ms: int) -> None:
        """The city was sent it."""
        self._run(
            "UPDATE incident_packs SET sent_ms = ? WHERE scope = ? AND drill = ? AND number = ?",
            (sent_ms, row.scope, int(row.drill), row.number),
        )

    def _rows(self, which: str, values: tuple[object, ...]) -> list[PackRow]:
        return [
            PackRow(scope, bool(drill), number, made_ms, by, record, _summary.decode(summary), bytes(kept), sent_ms)
            for scope, drill, number, made_ms, by, record, summary, kept, sent_ms in self._run(
                "SELECT scope, drill, number, made_ms, by, record, summary, kept, sent_ms FROM incident_packs"
                f" WHERE {which}",
                values,
            ).fetchall()
        ]
