"""The desks' rows: which class is given its cards at which desk station, and the cards that were held to desks."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

import msgspec

from hub.store.database import Database
from hub.store.dayrows import TapRow

PREFIX: Final = "desk "
TAPS_MAX: Final = 500
"""Taps looked at in one go; a desk sees one in two seconds."""
COLUMNS: Final = ", ".join(f"t.{name}" for name in TapRow._fields)


class DeskRows:
    """See the room. Changes run within a transaction, questions under the lock."""

    def __init__(self, database: Database) -> None:
        """The tables are the state; a desk's session is a row of `settings`."""
        self._database = database

    def load(self, desk: str) -> bytes | None:
        """What was kept of a desk (`DEVICE/STATION`)."""
        row = self._database.connection.execute(
            "SELECT value FROM settings WHERE name = ?", (PREFIX + desk,)
        ).fetchone()
        return None if row is None else bytes(row[0])

    def keep(self, desk: str, value: bytes) -> None:
        """Keep it."""
        self._database.connection.execute(
            "INSERT OR REPLACE INTO settings (name, value) VALUES (?, ?)", (PREFIX + desk, value)
        )

    def drop(self, desk: str) -> None:
        """Keep nothing of a desk any more."""
        self._database.connection.execute("DELETE FROM settings WHERE name = ?", (PREFIX + desk,))

    def kept(self) -> list[str]:
        """The desks of which something is kept."""
        rows = self._database.connection.execute(
            "SELECT name FROM settings WHERE name GLOB ? ORDER BY name", ("desk *",)
        )
        return [name.removeprefix(PREFIX) for (name,) in rows]

    # --- what was held to desks ---------------------------------------------------------------------------------------

    def behind(self, position: int, through: int, device: str, point: str) -> list[tuple[int, TapRow]]:
        """The taps of one desk behind a position of the ledger and up to another, in the order of their commits."""
        rows = self._database.connection.execute(
            f"SELECT e.position, {COLUMNS} FROM events AS e CROSS JOIN taps AS t"
            " ON t.journal = e.journal AND t.sequence = e.sequence JOIN journals AS j ON j.number = e.journal"
            " WHERE e.position > ? AND e.position <= ? AND t.kind = 'desk' AND t.point = ? AND j.device = ?"
            " ORDER BY e.position LIMIT ?",
            (position, through, point, device, TAPS_MAX),
        ).fetchall()
        return [(row[0], TapRow._make(row[1:])) for row in rows]

    def since(self, first_ms: int, limit: int) -> list[tuple[str, TapRow]]:
        """The newest taps at all desks from a moment on, newest first, each with its device."""
        rows = self._database.connection.execute(
            f"SELECT j.device, {COLUMNS} FROM taps AS t JOIN journals AS j ON j.number = t.journal"
            " WHERE t.best_ms >= ? AND t.kind = 'desk' AND j.device IS NOT NULL"
            " ORDER BY t.best_ms DESC, t.sequence DESC LIMIT ?",
            (first_ms, limit),
        ).fetchall()
        return [(row[0], TapRow._make(row[1:])) for row in rows]

    def nobodys(self, first_ms: int, until_ms: int) -> Iterator[TapRow]:
        """The taps of a span at any station that no gateway took for a pupil's."""
        columns = ", ".join(TapRow._fields)
        yield from map(
            TapRow._make,
            self._database.connection.execute(
                f"SELECT {columns} FROM taps WHERE best_ms >= ? AND best_ms < ? AND student IS NULL",
                (first_ms, until_ms),
            ),
        )

    def stations(self, first_ms: int) -> Iterator[tuple[str, str]]:
        """Device and name of every desk station that saw a card from a moment on, or that a gateway has told of."""
        run = self._database.connection.execute
        yield from run(
            "SELECT DISTINCT j.device, t.point FROM taps AS t JOIN journals AS j ON j.number = t.journal"
            " WHERE t.best_ms >= ? AND t.kind = 'desk' AND j.device IS NOT NULL",
            (first_ms,),
        )
        for device, stations in run(
            "SELECT DISTINCT j.device, w.stations FROM watermarks AS w JOIN journals AS j ON j.number = w.journal"
            " WHERE w.complete_to_ms >= ? AND j.device IS NOT NULL",
            (first_ms,),
        ):
            told = msgspec.json.decode(stations)
            yield from ((device, name) for name, kind in told.items() if kind == "desk")
