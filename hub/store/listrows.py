"""Pupils in the ledger's file as lists know them: read whole, and written as a plan of changes says."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date
from typing import Final

from hub.lists.changes import Change
from hub.lists.known import Enrolment, KnownPupil
from hub.store.database import Database
from hub.store.peoplerows import PeopleRows, new_key

_KNOWN: Final = (
    "SELECT pupil_key, name, code, city_id, birth, sex, state, origin, missing FROM pupils ORDER BY pupil_key"
)
_WRITE: Final = (
    "INSERT INTO pupils (pupil_key, name, code, city_id, birth, sex, state, origin, missing, left_on)"
    " VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT (pupil_key) DO UPDATE SET name = excluded.name,"
    " code = excluded.code, city_id = excluded.city_id, birth = excluded.birth, sex = excluded.sex,"
    " state = excluded.state, origin = excluded.origin, missing = excluded.missing,"
    " left_on = CASE WHEN excluded.left_on IS NOT NULL THEN coalesce(pupils.left_on, excluded.left_on) END"
)


class ListRows:
    """See the room. Runs within a transaction, so that a plan is written as it was made."""

    def __init__(self, database: Database, people: PeopleRows) -> None:
        """The tables are the state; `people` hears that they changed."""
        self._database, self._people = database, people

    def known(self) -> tuple[KnownPupil, ...]:
        """Every pupil, also who left, with their classes from day to day."""
        run = self._database.connection.execute
        classes: dict[str, list[Enrolment]] = {}
        for key, school_class, first, last in run(
            "SELECT pupil_key, class, first, last FROM enrolments ORDER BY pupil_key, first"
        ):
            begun, over = date.fromisoformat(first), None if last is None else date.fromisoformat(last)
            classes.setdefault(key, []).append(Enrolment(school_class, begun, over))
        return tuple(
            KnownPupil(
                key, name, code, city_id, None if birth is None else date.fromisoformat(birth), sex, state, origin,
                missing, tuple(classes.get(key, ())),
            )
            for key, name, code, city_id, birth, sex, state, origin, missing in run(_KNOWN)
        )  # fmt: skip

    def write(self, changes: Sequence[Change], today: date) -> None:
        """Make each pupil what they are after the change, with all their classes; a new one gets a key.

        `today`: when it is said; of who leaves it is kept.
        """
        if not changes:
            return
        run = self._database.connection
        keys = {pupil.key for pupil in self.known()}
        for change in changes:
            # Two pupils may exchange a code; for a moment nobody has it.
            if change.before is not None:
                run.execute("UPDATE pupils SET code = NULL, city_id = NULL WHERE pupil_key = ?", (change.before.key,))
        for change in changes:
            pupil = change.after
            key = pupil.key or new_key(keys)
            keys.add(key)
            birth = None if pupil.birth is None else pupil.birth.isoformat()
            run.execute(
                _WRITE,
                (
                    key,
                    pupil.name,
                    pupil.code,
                    pupil.city_id,
                    birth,
                    pupil.sex,
                    pupil.state,
                    pupil.origin,
                    pupil.missing,
                    today.isoformat() if pupil.state == "left" else None,
                ),
            )
            run.execute("DELETE FROM enrolments WHERE pupil_key = ?", (key,))
            run.executemany(
                "INSERT INTO enrolments (pupil_key, class, first, last) VALUES (?, ?, ?, ?)",
                [
                    (key, one.school_class, one.first.isoformat(), None if one.last is None else one.last.isoformat())
                    for one in pupil.enrolments
                ],
            )
        self._people.version += 1
