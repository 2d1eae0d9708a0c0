"""The hub's notes: what it remembers in its ledger's file beside records - its last backup, what is to be regained.

Of calendar and timetable, and of what children must not eat, it remembers whether a person looked at them after the
ledger was replaced.
"""

from __future__ import annotations

from typing import Final, TypeVar

import msgspec

from hub.store.database import Database

T = TypeVar("T", bound=msgspec.Struct)


class BackedUp(msgspec.Struct, frozen=True):
    """The last good backup: when, its number, where, whether sealed, and the last record in it of each own journal."""

    at_ms: int
    number: int
    where: str
    sealed: bool
    own: dict[str, int]


class Regain(msgspec.Struct, frozen=True):
    """Records are to be regained from the city; what was so far: by type of the hub's own, and of gateways'."""

    asked_ms: int
    own: dict[str, int] = {}
    gateways: int = 0
    unsigned: int = 0
    refused: list[str] = []


class Regained(msgspec.Struct, frozen=True):
    """What was regained, in the end; `lost` and `refused` name what was not."""

    at_ms: int
    own: dict[str, int]
    gateways: int
    unsigned: int
    refused: list[str]
    lost: list[str]


class CalendarBack(msgspec.Struct, frozen=True):
    """Calendar and timetable are those of a backup, or what this hub has without one: no city gives them back.

    `confirmed_ms`: when a person looked at them, None until then; `by`: who.
    """

    asked_ms: int
    backup_ms: int | None = None
    confirmed_ms: int | None = None
    by: str = ""


class DietsBack(msgspec.Struct, frozen=True):
    """As CalendarBack, of what children must not eat: what was entered after the backup only counters may know."""

    asked_ms: int
    backup_ms: int | None = None
    confirmed_ms: int | None = None
    by: str = ""


Note = BackedUp | Regain | Regained | CalendarBack | DietsBack
NAMES: Final = {
    BackedUp: "backup", Regain: "regain", Regained: "regained", CalendarBack: "calendar", DietsBack: "diets",
}  # fmt: skip
"""Under which names they lie among the settings."""


class Notes:
    """See the room. Changes run within a transaction; whoever reads holds the database's lock."""

    def __init__(self, database: Database) -> None:
        """Nothing is read yet."""
        self._database = database

    def read(self, kind: type[T]) -> T | None:
        """The note of a kind; None where there is none, or one that nobody can read."""
        found = self._database.connection.execute(
            "SELECT value FROM settings WHERE name = ?", (NAMES[kind],)
        ).fetchone()
        return None if found is None else decoded(bytes(found[0]), kind)

    def write(self, note: Note) -> None:
        """Put a note in the place of the one before."""
        self._database.connection.execute(
            "INSERT OR REPLACE INTO settings (name, value) VALUES (?, ?)", (NAMES[type(note)], encoded(note))
        )

    def doubt(self, kind: type[CalendarBack] | type[DietsBack], now_ms: int) -> None:
        """What people kept of it may be gone: somebody is to look at what is there."""
        known = self.read(kind)
        self.write(kind(now_ms, None if known is None else known.backup_ms))

    def calendar_in_doubt(self) -> CalendarBack | None:
        """What calendar and timetable are as of, where nobody has looked at them since; else None."""
        note = self.read(CalendarBack)
        return None if note is None or note.confirmed_ms is not None else note

    def diets_in_doubt(self) -> DietsBack | None:
        """As of what children must not eat."""
        note = self.read(DietsBack)
        return None if note is None or note.confirmed_ms is not None else note

    def confirm_diets(self, now_ms: int, by: str) -> None:
        """A person has looked at all of them after the ledger was replaced; nothing where it wasn't."""
        note = self.diets_in_doubt()
        if note is not None:
            self.write(DietsBack(note.asked_ms, note.backup_ms, now_ms, by))

    def drop(self, kind: type[T]) -> None:
        """Forget a note."""
        self._database.connection.execute("DELETE FROM settings WHERE name = ?", (NAMES[kind],))


def encoded(note: msgspec.Struct) -> bytes:
    """A note's bytes in its row."""
    return msgspec.json.encode(note)


def decoded(octets: bytes, kind: type[T]) -> T | None:
    """A note from its row; None for what is none."""
    try:
        return msgspec.json.decode(octets, type=kind)
    except (msgspec.DecodeError, ValueError, RecursionError):
        return None
