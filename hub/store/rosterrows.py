"""The roster's rows and releases in the ledger's file."""

from __future__ import annotations

from collections.abc import Sequence

from hub.roster import RosterRow, release_name
from hub.store.database import Database

FIRST_NUMBER_MS = 1_767_225_600_000
"""2026-01-01 UTC: releases are numbered by seconds since, so that a restored hub never reuses a number."""


class RosterRows:
    """See the room. Changes run within a transaction."""

    def __init__(self, database: Database) -> None:
        """The tables are the state."""
        self._database = database

    def replace(self, rows: Sequence[RosterRow], now_ms: int) -> str:
        """Take a new roster whole; returns the release's name."""
        run = self._database.connection.execute
        before = run("SELECT coalesce(max(number), 0) FROM roster_releases").fetchone()[0]
        number = max(before + 1, (now_ms - FIRST_NUMBER_MS) // 1000)
        name = release_name(number, now_ms)
        run("DELETE FROM roster_rows")
        self._database.connection.executemany(
            "INSERT INTO roster_rows (pupil_key, display_name, class, card) VALUES (?, ?, ?, ?)",
            [(row.pupil_key, row.display_name, row.school_class, row.card) for row in rows],
        )
        run("INSERT INTO roster_releases (number, release, made_ms) VALUES (?, ?, ?)", (number, name, now_ms))
        return name

    def current(self) -> tuple[int, str] | None:
        """Number and name of the newest release."""
        row = self._database.connection.execute(
            "SELECT number, release FROM roster_releases ORDER BY number DESC LIMIT 1"
        ).fetchone()
        return None if row is None else (row[0], row[1])

    def rows(self) -> list[RosterRow]:
        """The newest release's rows."""
        return [
            RosterRow(*row)
            for row in self._database.connection.execute(
                "SELECT pupil_key, display_name, class, card FROM roster_rows ORDER BY pupil_key, card"
            )
        ]
