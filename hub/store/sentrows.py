"""Files that were sent to the city, by whose word: rows that follow from the hub's own records."""

from __future__ import annotations

from hub.city.files import Sent
from hub.store.database import Database


class SentRows:
    """See the room. Changes run within a transaction."""

    def __init__(self, database: Database) -> None:
        """The table is the state."""
        self._database = database

    def keep(self, record: str, sent: Sent) -> None:
        """Somebody's word; read again, it changes nothing."""
        self._database.connection.execute(
            "INSERT OR IGNORE INTO files_sent (record, number, manifest, by, sent_to, at_ms) VALUES (?, ?, ?, ?, ?, ?)",
            (record, sent.number, sent.manifest, sent.by, sent.to, sent.at_ms),
        )

    def all(self) -> list[Sent]:
        """Every word, in order."""
        rows = self._database.connection.execute(
            "SELECT number, manifest, by, sent_to, at_ms FROM files_sent ORDER BY number, at_ms, record"
        )
        return [Sent(*row) for row in rows]
