"""Roster releases in the ledger's file: their numbers, and the parts of card numbers that they list."""

from __future__ import annotations

from collections.abc import Iterable

from hub.roster import release_name
from hub.store.database import Database
from protocol.cardforms import PartialPlan, parse_partial
from protocol.errors import CardNumberError

FIRST_NUMBER_MS = 1_767_225_600_000
"""2026-01-01 UTC: releases are numbered by seconds since, so that a restored hub never reuses a number."""


class RosterRows:
    """See the room. Changes run within a transaction."""

    def __init__(self, database: Database) -> None:
        """The tables are the state."""
        self._database = database

    def renew(self, now_ms: int) -> str | None:
        """Number the roster anew, its rows as they are: something else of the release changed. None where none is."""
        if self.current() is None:
            return None
        return self.number(now_ms)

    def number(self, now_ms: int) -> str:
        """Number a new release; returns its name."""
        run = self._database.connection.execute
        before = run("SELECT coalesce(max(number), 0) FROM roster_releases").fetchone()[0]
        number = max(before + 1, (now_ms - FIRST_NUMBER_MS) // 1000)
        name = release_name(number, now_ms)
        run("INSERT INTO roster_releases (number, release, made_ms) VALUES (?, ?, ?)", (number, name, now_ms))
        return name

    def partials(self) -> tuple[PartialPlan, ...]:
        """The parts of card numbers that the school's readers hand over."""
        row = self._database.connection.execute("SELECT value FROM settings WHERE name = 'partials'").fetchone()
        return () if row is None else tuple(map(parse_partial, bytes(row[0]).decode("ascii").split()))

    def learn_partials(self, names: Iterable[str], now_ms: int) -> bool:
        """An accepted gateway's readers hand over these parts; whether a new release was made for them.

        What is no part is passed over. They only become more: there are eight.
        """
        known = {str(plan) for plan in self.partials()}
        new = {str(plan) for name in names if (plan := _partial_or_none(name)) is not None} - known
        if not new:
            return False
        value = " ".join(sorted(known | new)).encode("ascii")
        self._database.connection.execute(
            "INSERT OR REPLACE INTO settings (name, value) VALUES ('partials', ?)", (value,)
        )
        return self.renew(now_ms) is not None

    def current(self) -> tuple[int, str] | None:
        """Number and name of the newest release."""
        row = self._database.connection.execute(
            "SELECT number, release FROM roster_releases ORDER BY number DESC LIMIT 1"
        ).fetchone()
        return None if row is None else (row[0], row[1])

    def since(self) -> tuple[str, int] | None:
        """The newest release's name, and when it was made (Unix ms)."""
        row = self._database.connection.execute(
            "SELECT release, made_ms FROM roster_releases ORDER BY number DESC LIMIT 1"
        ).fetchone()
        return None if row is None else (row[0], row[1])


def _partial_or_none(name: str) -> PartialPlan | None:
    try:
        return parse_partial(name)
    except CardNumberError:
        return None
