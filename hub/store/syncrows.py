"""The city's roster rows in the ledger's file, as they were last pulled, and what the next pull must know."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

import msgspec

from hub.rostersync.held import Held, HeldRow
from hub.rostersync.rows import FACTS, Row
from hub.rostersync.settling import SyncState
from hub.store.database import Database

REPORT: Final = "city-report"


class SyncRows:
    """See the room. Changes run within a transaction."""

    def __init__(self, database: Database) -> None:
        """The tables are the state."""
        self._database = database

    def state(self) -> SyncState:
        """What is remembered of the pulls before; of none, where there were none."""
        row = self._database.connection.execute("SELECT state FROM city_sync").fetchone()
        return SyncState() if row is None else msgspec.json.decode(row[0], type=SyncState)

    def remember(self, state: SyncState) -> None:
        """Take what the next pull must know."""
        text = msgspec.json.encode(state).decode("utf-8")
        self._database.connection.execute("INSERT OR REPLACE INTO city_sync (one, state) VALUES (1, ?)", (text,))

    def tell(self, report: dict[str, Any]) -> None:
        """Keep what the last pull came to, for people."""
        self._database.connection.execute(
            "INSERT OR REPLACE INTO settings (name, value) VALUES (?, ?)", (REPORT, msgspec.json.encode(report))
        )

    def report(self) -> dict[str, Any] | None:
        """What the last pull came to (hub.rostersync.puller.told), discrepancies too; None where none was made."""
        row = self._database.connection.execute("SELECT value FROM settings WHERE name = ?", (REPORT,)).fetchone()
        return None if row is None else msgspec.json.decode(row[0], type=dict[str, Any])

    def held(self) -> dict[str, dict[str, HeldRow]]:
        """Every row of the city's that is held."""
        found: dict[str, dict[str, HeldRow]] = {}
        decoders = {name: msgspec.json.Decoder(kind) for name, kind in FACTS.items()}
        for collection, name, modified_ms, active, missing, unreadable, facts in self._database.connection.execute(
            "SELECT collection, id, modified_ms, active, missing, unreadable, facts FROM city_rows"
        ):
            read = None if facts is None else decoders[collection].decode(facts)
            row = Row(name, modified_ms, bool(active), read)
            found.setdefault(collection, {})[name] = HeldRow(row, missing, bool(unreadable))
        return found

    def keep(self, before: Held, after: Held) -> None:
        """Write what is held now where it was otherwise before."""
        for collection in before.keys() | after.keys():
            self._keep(collection, before.get(collection, {}), after.get(collection, {}))

    def _keep(self, collection: str, before: Mapping[str, HeldRow], after: Mapping[str, HeldRow]) -> None:
        many = self._database.connection.executemany
        many(
            "DELETE FROM city_rows WHERE collection = ? AND id = ?",
            [(collection, name) for name in before.keys() - after.keys()],
        )
        many(
            "INSERT OR REPLACE INTO city_rows (collection, id, modified_ms, active, missing, unreadable, facts)"
            " VALUES (?, ?, ?, ?, ?, ?, ?)",
            [
                (
                    collection,
                    name,
                    one.row.modified_ms,
                    one.row.active,
                    one.missing,
                    one.unreadable,
                    None if one.row.facts is None else msgspec.json.encode(one.row.facts).decode("utf-8"),
                )
                for name, one in after.items()
                if before.get(name) != one
            ],
        )
