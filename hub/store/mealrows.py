"""The meals' rows: what the ledger's records say of meals, taken apart; each row is named by its record.

See schema 011. Reading a record twice changes nothing. Changes run within a transaction.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Iterator
from datetime import date
from typing import Final, cast

import msgspec

from hub.meals.portions import Closure, Cut, Enrolment, PortionWord
from hub.meals.servings import ClassList, ServingWord, Why
from hub.store.complaintrows import ComplaintRows
from hub.store.sheetrows import SheetRows
from protocol.meals import ByHand, Meal, MealTap, Portion

MEAL_PROJECTED: Final = (
    "meal_taps",
    "serving_words",
    "meal_ratings",
    "meal_enrolments",
    "meal_portions",
    "meal_cuts",
    "meal_cuts_withdrawn",
    "meal_closures",
    "meal_services",
    "meal_locks",
    "meal_adjustments",
    "meal_months",
    "meal_complaints",
)
"""Tables that follow from the records alone."""
IN_QUERY_MAX: Final = 500

_said = msgspec.json.Decoder(MealTap)
_hand = msgspec.json.Decoder(ByHand)


class MealRows:
    """See the room."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        """The tables are the state. `version` grows with each word of this run that changes who is expected."""
        self._run = connection.execute
        self.sheets = SheetRows(connection)
        self.complaints = ComplaintRows(connection)
        self.version = 0

    # --- counters -----------------------------------------------------------------------------------------------------

    def add_tap(self, journal: int, sequence: int, said: MealTap | None, hand: ByHand | None) -> None:
        """What a counter believed of a record, and by whose hand it is; nothing where neither is there."""
        texts = (None if one is None else msgspec.json.encode(one).decode() for one in (said, hand))
        self._run("INSERT OR REPLACE INTO meal_taps VALUES (?, ?, ?, ?)", (journal, sequence, *texts))

    def counter_taps(self, first_ms: int, until_ms: int) -> Iterator[tuple[int, int, MealTap | None, ByHand | None]]:
        """The same of records of the span, and of all whose time nothing vouches for; by journal and sequence."""
        for which, values in (
            ("t.best_ms >= ? AND t.best_ms < ? AND t.anchored = 1", (first_ms, until_ms)),
            ("t.anchored = 0", ()),
        ):
            for journal, sequence, said, hand in self._run(
                "SELECT m.journal, m.sequence, said, hand FROM taps AS t JOIN meal_taps AS m"
                f" ON m.journal = t.journal AND m.sequence = t.sequence WHERE {which} AND t.kind = 'canteen'",
                values,
            ):
                yield (
                    journal,
                    sequence,
                    None if said is None else _said.decode(said),
                    None if hand is None else _hand.decode(hand),
                )

    def say(self, word: ServingWord) -> None:
        """A person's word on a serving."""
        self._run(
            "INSERT OR REPLACE INTO serving_words (tap, record, at_ms, why, by) VALUES (?, ?, ?, ?, ?)",
            (word.tap, word.record, word.at_ms, word.why, word.by),
        )

    def words(self, taps: Iterable[str]) -> Iterator[ServingWord]:
        """Every word on these records."""
        asked = sorted(taps)
        for begin in range(0, len(asked), IN_QUERY_MAX):
            some = asked[begin : begin + IN_QUERY_MAX]
            for tap, record, at_ms, why, by in self._run(
                f"SELECT tap, record, at_ms, why, by FROM serving_words WHERE tap IN ({', '.join('?' * len(some))})",
                some,
            ):
                yield ServingWord(tap, record, at_ms, cast("Why", why), by)

    def rate(self, journal: int, sequence: int, day: str, meal: str, point: str, face: str) -> None:
        """Somebody touched a face."""
        self._run(
            "INSERT OR REPLACE INTO meal_ratings VALUES (?, ?, ?, ?, ?, ?)", (journal, sequence, day, meal, point, face)
        )

    def ratings(self, day: date) -> dict[tuple[Meal, str], dict[str, int]]:
        """Of each meal and tray return of a day: how many of each face."""
        found: dict[tuple[Meal, str], dict[str, int]] = {}
        for meal, point, face, count in self._run(
            "SELECT meal, point, face, count(*) FROM meal_ratings WHERE day = ? GROUP BY meal, point, face",
            (day.isoformat(),),
        ):
            found.setdefault((meal, point), {})[face] = count
        return found

    # --- who is expected ----------------------------------------------------------------------------------------------

    def enrol(self, row: Enrolment) -> None:
        """A pupil eats at school."""
        self.version += 1
        self._run(
            "INSERT OR REPLACE INTO meal_enrolments VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
            (
                row.id,
                row.at_ms,
                row.pupil,
                row.first.isoformat(),
                _text(row.last),
                " ".join(map(str, row.weekdays)),
                " ".join(row.meals),
                row.by,
            ),
        )

    def portion(self, row: PortionWord) -> None:
        """What is cooked for a pupil."""
        self.version += 1
        values = (row.id, row.at_ms, row.pupil, row.first.isoformat(), _text(row.last), row.portion, row.by)
        self._run("INSERT OR REPLACE INTO meal_portions VALUES (?, ?, ?, ?, ?, ?, ?)", values)

    def cut(self, row: Cut) -> None:
        """A pupil doesn't eat."""
        self.version += 1
        self._run(
            "INSERT OR REPLACE INTO meal_cuts VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)",
            (
                row.id,
                row.at_ms,
                row.pupil,
                row.first.isoformat(),
                row.last.isoformat(),
                " ".join(row.meals),
                row.how,
                row.by,
                row.reason,
            ),
        )

    def withdraw_cut(self, cut: str, record: str, at_ms: int, by: str) -> None:
        """A cut doesn't count any more."""
        self.version += 1
        self._run("INSERT OR REPLACE INTO meal_cuts_withdrawn VALUES (?, ?, ?, ?)", (cut, record, at_ms, by))

    def close(self, row: Closure) -> None:
        """The school serves no meal, or does after all."""
        self.version += 1
        self._run(
            "INSERT OR REPLACE INTO meal_closures VALUES (?, ?, ?, ?, ?, ?, ?)",
            (row.id, row.at_ms, row.day.isoformat(), " ".join(row.meals), int(row.closed), row.by, row.reason),
        )

    def speaks_of(self, day: date) -> bool:
        """Whether anybody said who eats on a day, or that nobody does; else there is no sheet of it."""
        row = self._run(
            "SELECT EXISTS (SELECT 1 FROM meal_enrolments WHERE first <= ?1 AND (last IS NULL OR last >= ?1))"
            " OR EXISTS (SELECT 1 FROM meal_closures WHERE day = ?1)",
            (day.isoformat(),),
        ).fetchone()
        return bool(row[0])

    def enrolments(self, first: date, last: date) -> Iterator[Enrolment]:
        """Every word on who eats at school that speaks of a day of the span."""
        for record, at_ms, pupil, begin, end, weekdays, meals, by in self._run(
            "SELECT * FROM meal_enrolments WHERE first <= ? AND (last IS NULL OR last >= ?)",
            (last.isoformat(), first.isoformat()),
        ):
            days = tuple(map(int, weekdays.split()))
            yield Enrolment(record, at_ms, pupil, date.fromisoformat(begin), _day(end), days, _meals(meals), by)

    def portions(self, first: date, last: date) -> Iterator[PortionWord]:
        """Every word on what is cooked for a pupil that speaks of a day of the span."""
        for record, at_ms, pupil, begin, end, portion, by in self._run(
            "SELECT * FROM meal_portions WHERE first <= ? AND (last IS NULL OR last >= ?)",
            (last.isoformat(), first.isoformat()),
        ):
            kind = cast("Portion", portion)
            yield PortionWord(record, at_ms, pupil, date.fromisoformat(begin), _day(end), kind, by)

    def cuts(self, first: date, last: date) -> Iterator[Cut]:
        """Every cut that speaks of a day of the span, also those withdrawn since."""
        return self._cuts("last >= ? AND first <= ?", (first.isoformat(), last.isoformat()))

    def cut_of(self, record: str) -> Cut | None:
        """One cut."""
        return next(self._cuts("record = ?", (record,)), None)

    def _cuts(self, which: str, values: tuple[object, ...]) -> Iterator[Cut]:
        for record, at_ms, pupil, begin, end, meals, how, by, reason in self._run(
            f"SELECT * FROM meal_cuts WHERE {which}", values
        ).fetchall():
            gone = self._run(
                "SELECT at_ms, record FROM meal_cuts_withdrawn WHERE cut = ? ORDER BY at_ms, record LIMIT 1", (record,)
            ).fetchone()
            yield Cut(
                record,
                at_ms,
                pupil,
                date.fromisoformat(begin),
                date.fromisoformat(end),
                _meals(meals),
                how,
                by,
                reason,
                None if gone is None else gone[0],
                None if gone is None else gone[1],
            )

    def closures(self, first: date, last: date) -> Iterator[Closure]:
        """Every word on days of the span."""
        for record, at_ms, day, meals, closed, by, reason in self._run(
            "SELECT * FROM meal_closures WHERE day BETWEEN ? AND ?", (first.isoformat(), last.isoformat())
        ):
            yield Closure(record, at_ms, date.fromisoformat(day), _meals(meals), bool(closed), by, reason)

    # --- class lists --------------------------------------------------------------------------------------------------

    def serve(self, row: ClassList) -> None:
        """A class's list of who ate."""
        day, served = row.day.isoformat(), " ".join(row.served)
        values = (row.id, row.at_ms, row.school_class, day, row.meal, served, row.seen_ms, row.by)
        self._run("INSERT OR REPLACE INTO meal_services VALUES (?, ?, ?, ?, ?, ?, ?, ?)", values)

    def lists(self, first: date, last: date) -> Iterator[ClassList]:
        """Every class list of days of the span."""
        for record, at_ms, school_class, day, meal, served, seen_ms, by in self._run(
            "SELECT * FROM meal_services WHERE day BETWEEN ? AND ?", (first.isoformat(), last.isoformat())
        ):
            pupils = tuple(served.split())
            yield ClassList(record, school_class, date.fromisoformat(day), meal, pupils, by, at_ms, seen_ms)


def _text(day: date | None) -> str | None:
    return None if day is None else day.isoformat()


def _day(text: str | None) -> date | None:
    return None if text is None else date.fromisoformat(text)


def _meals(text: str) -> tuple[Meal, ...]:
    return tuple(cast("Meal", word) for word in text.split())
