"""The erased rows: pupils of whom nothing but the key is left, and whose taps stay theirs without a card."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import date
from typing import Final

from hub.store.database import Database

ERASED_NAME: Final = "(đã xóa / erased)"
"""What is shown where a pupil's name stood."""
TAP_WITHOUT_CARD: Final = "erased"
"""The text under which an erased pupil's taps are kept: no card's."""


class ErasedRows:
    """See the room. Changes run within a transaction; whoever reads holds the database's lock."""

    def __init__(self, database: Database) -> None:
        """The tables are the state."""
        self._database = database

    def gone_before(self, day: date) -> list[tuple[str, str]]:
        """Pupils who left before a day and aren't erased: key, and the day on which they left; longest ago first.

        That is their last day, or the one on which it was said where that is later: a pupil who joined and left on
        one day has no last day, and one who came back for a morning has that of years ago. Who has neither stays.
        """
        return self._database.connection.execute(
            "SELECT p.pupil_key, max(left_on, coalesce((SELECT max(last) FROM enrolments AS e"
            " WHERE e.pupil_key = p.pupil_key), left_on)) AS gone FROM pupils AS p WHERE state = 'left' AND gone < ?"
            " AND NOT EXISTS (SELECT 1 FROM enrolments AS e WHERE e.pupil_key = p.pupil_key AND last IS NULL)"
            " AND name <> ? ORDER BY gone, p.pupil_key",
            (day.isoformat(), ERASED_NAME),
        ).fetchall()

    def count_from(self, today: date) -> None:
        """Of whom nobody ever said when they left, it counts from today on."""
        self._database.connection.execute(
            "UPDATE pupils SET left_on = ? WHERE state = 'left' AND left_on IS NULL", (today.isoformat(),)
        )

    def own_changes(self, pupil: str) -> list[tuple[str, str]]:
        """Record and card of what happened to cards that only this pupil ever had."""
        return self._database.connection.execute(
            "SELECT record, card FROM card_changes WHERE pupil_key = ?1 AND card NOT IN"
            " (SELECT card FROM card_changes WHERE pupil_key <> ?1)",
            (pupil,),
        ).fetchall()

    def erase(self, pupil: str, now_ms: int, by: str) -> None:
        """Nothing of the person stays; the key does. What the city sent of them goes too, and the report of its last
        pull, which may name anybody.
        """
        run = self._database.connection.execute
        row = run("SELECT city_id FROM pupils WHERE pupil_key = ?", (pupil,)).fetchone()
        assert row is not None, "an erased pupil was known"
        if row[0] is not None:
            run("DELETE FROM city_rows WHERE id = ?1 OR instr(coalesce(facts, ''), json_quote(?1)) > 0", (row[0],))
        run("DELETE FROM settings WHERE name = 'city-report'")
        run("DELETE FROM consents WHERE pupil_key = ?", (pupil,))
        run("DELETE FROM messages WHERE pupil_key = ?", (pupil,))
        run("DELETE FROM diets WHERE pupil_key = ?", (pupil,))
        run(
            "UPDATE pupils SET name = ?, code = NULL, city_id = NULL, birth = NULL, sex = NULL, state = 'left',"
            " missing = 0 WHERE pupil_key = ?",
            (ERASED_NAME, pupil),
        )
        run("INSERT OR IGNORE INTO pupils_erased (pupil_key, at_ms, by) VALUES (?, ?, ?)", (pupil, now_ms, by))

    def forget_changes(self, records: Iterable[str]) -> None:
        """What happened to a card is no longer written down."""
        many, named = self._database.connection.executemany, [(record,) for record in records]
        many("INSERT OR IGNORE INTO records_erased (record, student) VALUES (?, NULL)", named)
        many("DELETE FROM card_changes WHERE record = ?", named)

    def settle_taps(self, taps: Sequence[tuple[str, int, int, str | None]]) -> None:
        """Taps by name, journal, sequence and whose they are: they stay theirs, and lose their card."""
        many = self._database.connection.executemany
        many(
            "INSERT OR REPLACE INTO records_erased (record, student) VALUES (?, ?)",
            [(name, student) for name, _, _, student in taps],
        )
        many(
            "UPDATE taps SET card = ?, student = ? WHERE journal = ? AND sequence = ?",
            [(TAP_WITHOUT_CARD, student, journal, sequence) for _, journal, sequence, student in taps],
        )
