"""The pupils of the school in the ledger's file, as the city or a list says of them, and their classes by day."""

from __future__ import annotations

import secrets
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import date, timedelta
from typing import Final, Literal

from hub.attendance.schoolday import Pupil
from hub.roster import RosterRow
from hub.store.database import Database

Standing = Literal["enrolled", "provisional", "left"]
SINCE_EVER: Final = date.min
"""Since when the pupils of the first list belong to their classes: nobody said."""


@dataclass(frozen=True, slots=True)
class Person:
    """A pupil as the hub has them now. `school_class`: the newest, which may be planned for a day to come, or that of
    the day that was asked for; empty where they are of none. Rights go by the class on the day concerned, never by the
    newest.
    """

    key: str
    name: str
    school_class: str
    state: Standing
    code: str | None = None
    city_id: str | None = None
    birth: date | None = None
    sex: Literal["m", "f"] | None = None
    origin: Literal["city", "list", "hand"] = "list"
    missing: int = 0


class PeopleRows:
    """See the room. Changes run within a transaction."""

    def __init__(self, database: Database) -> None:
        """The tables are the state. `version` grows with each change of this run."""
        self._database = database
        self.version = 0

    # --- what is known ------------------------------------------------------------------------------------------------

    def all(self, day: date | None = None) -> list[Person]:
        """Every pupil, also who left, by key; with the class of a day, or with the newest."""
        which = "" if day is None else " AND first <= :day AND (last IS NULL OR last >= :day)"
        rows = self._database.connection.execute(
            "SELECT p.pupil_key, name, coalesce((SELECT class FROM enrolments AS e WHERE e.pupil_key = p.pupil_key"
            f"{which} ORDER BY first DESC LIMIT 1), ''), state, code, city_id, birth, sex, origin, missing"
            " FROM pupils AS p ORDER BY p.pupil_key",
            {} if day is None else {"day": day.isoformat()},
        )
        return [
            Person(key, name, at, state, code, city_id, _day(birth), sex, origin, missing)
            for key, name, at, state, code, city_id, birth, sex, origin, missing in rows
        ]

    def find(self, key: str, day: date | None = None) -> Person | None:
        """One pupil, with the class of a day, or with the newest."""
        row = self._database.connection.execute(
            "SELECT name, state, code, city_id, birth, sex, origin, missing FROM pupils WHERE pupil_key = ?", (key,)
        ).fetchone()
        if row is None:
            return None
        name, state, code, city_id, birth, sex, origin, missing = row
        newest = self._newest(key)
        at = "" if newest is None else newest[1]
        if day is not None:
            at = self.class_on(key, day) or ""
        return Person(key, name, at, state, code, city_id, _day(birth), sex, origin, missing)

    def of(self, first: date, last: date, school_class: str | None = None) -> Iterator[Pupil]:
        """Who belongs to a class on a day of the span, once for each class and time; of one class or of all."""
        which = "" if school_class is None else " AND class = :class"
        for key, name, at, begin, end in self._database.connection.execute(
            "SELECT e.pupil_key, name, class, first, last FROM enrolments AS e JOIN pupils AS p"
            " ON p.pupil_key = e.pupil_key WHERE first <= :last AND (last IS NULL OR last >= :first)" + which,
            {"first": first.isoformat(), "last": last.isoformat(), "class": school_class},
        ):
            yield Pupil(key, name, at, date.fromisoformat(begin), _day(end) or date.max)

    def class_on(self, key: str, day: date) -> str | None:
        """The class of a pupil on a day: whose teachers may see that day; None where they are of none."""
        row = self._database.connection.execute(
            "SELECT class FROM enrolments WHERE pupil_key = ?1 AND first <= ?2 AND (last IS NULL OR last >= ?2)"
            " ORDER BY first DESC LIMIT 1",
            (key, day.isoformat()),
        ).fetchone()
        return None if row is None else row[0]

    def classes_between(self, key: str, first: date, last: date) -> set[str]:
        """The classes of a pupil on the days of a span; empty where they are of none."""
        rows = self._database.connection.execute(
            "SELECT DISTINCT class FROM enrolments WHERE pupil_key = ?1 AND first <= ?3"
            " AND (last IS NULL OR last >= ?2)",
            (key, first.isoformat(), last.isoformat()),
        )
        return {name for (name,) in rows}

    def classes(self, day: date) -> list[str]:
        """The classes that have pupils on a day; in no order."""
        rows = self._database.connection.execute(
            "SELECT DISTINCT class FROM enrolments WHERE first <= ?1 AND (last IS NULL OR last >= ?1)",
            (day.isoformat(),),
        )
        return [name for (name,) in rows]

    def _newest(self, key: str) -> tuple[date, str, date | None] | None:
        row = self._database.connection.execute(
            "SELECT first, class, last FROM enrolments WHERE pupil_key = ? ORDER BY first DESC LIMIT 1", (key,)
        ).fetchone()
        return None if row is None else (date.fromisoformat(row[0]), row[1], _day(row[2]))

    # --- changes ------------------------------------------------------------------------------------------------------

    def add(self, person: Person, first: date) -> None:
        """A pupil who is new here, of a class from a day on."""
        self.version += 1
        self._database.connection.execute(
            "INSERT INTO pupils (pupil_key, name, code, city_id, birth, sex, state, origin, missing, left_on)"
            " VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
            (
                person.key,
                person.name,
                person.code,
                person.city_id,
                None if person.birth is None else person.birth.isoformat(),
                person.sex,
                person.state,
                person.origin,
                person.missing,
                first.isoformat() if person.state == "left" else None,
            ),
        )
        if person.state != "left":
            self._enrol(person.key, person.school_class, first)

    def change(self, person: Person, day: date) -> None:
        """Take a pupil as they are from `day` on: another name, class, standing. Days before keep their class.

        Of one who leaves it is their last day.
        """
        self.version += 1
        self._database.connection.execute(
            "UPDATE pupils SET name = ?, code = ?, city_id = ?, birth = ?, sex = ?, state = ?, origin = ?, missing = ?,"
            " left_on = CASE WHEN ? = 'left' THEN coalesce(left_on, ?) END WHERE pupil_key = ?",
            (
                person.name,
                person.code,
                person.city_id,
                None if person.birth is None else person.birth.isoformat(),
                person.sex,
                person.state,
                person.origin,
                person.missing,
                person.state,
                day.isoformat(),
                person.key,
            ),
        )
        newest = self._newest(person.key)
        if person.state == "left":
            self._leave(person.key, newest, day)
        elif newest is None or newest[1] != person.school_class or newest[2] is not None:
            self._leave(person.key, newest, day - timedelta(days=1))
            self._enrol(person.key, person.school_class, day)

    def _enrol(self, key: str, school_class: str, first: date) -> None:
        self._database.connection.execute(
            "INSERT OR REPLACE INTO enrolments (pupil_key, first, class) VALUES (?, ?, ?)",
            (key, first.isoformat(), school_class),
        )

    def _leave(self, key: str, newest: tuple[date, str, date | None] | None, last: date) -> None:
        """The newest enrolment ends with `last`, unless it ended before; one that would end before it began goes."""
        if newest is None or (newest[2] is not None and newest[2] <= last):
            return
        run = self._database.connection.execute
        if newest[0] > last:
            run("DELETE FROM enrolments WHERE pupil_key = ? AND first = ?", (key, newest[0].isoformat()))
        else:
            run(
                "UPDATE enrolments SET last = ? WHERE pupil_key = ? AND first = ?",
                (last.isoformat(), key, newest[0].isoformat()),
            )

    def take(self, rows: Sequence[RosterRow], day: date) -> None:
        """Take a list whole, as it holds from `day` on: who isn't in it left."""
        known = {person.key: person for person in self.all()}
        first = day if known else SINCE_EVER
        listed = {row.pupil_key: row for row in rows}
        for key, row in listed.items():
            before = known.get(key)
            if before is None:
                self.add(Person(key, row.display_name, row.school_class, "enrolled"), first)
            elif (before.name, before.school_class, before.state) != (row.display_name, row.school_class, "enrolled"):
                self.change(
                    replace(before, name=row.display_name, school_class=row.school_class, state="enrolled"), day
                )
        for key, before in known.items():
            if key not in listed and before.state != "left":
                self.change(replace(before, state="left"), day - timedelta(days=1))


def new_key(known: Iterable[str]) -> str:
    """A key that no pupil has: `st-` and 16 random hex digits."""
    taken = set(known)
    while (key := f"st-{secrets.token_hex(8)}") in taken:
        pass
    return key


def _day(text: str | None) -> date | None:
    return None if text is None else date.fromisoformat(text)
