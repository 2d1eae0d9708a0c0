"""The day's rows: taps, people's words and what happened to cards, as the ledger's records say, ready to be asked.

All of it can be made anew from the records. Each row is named by its record, so that reading one twice changes nothing.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Iterator, Sequence
from datetime import date
from typing import Final, NamedTuple

from hub.attendance.claims import WatermarkRow
from hub.attendance.coverage import Waiver
from hub.attendance.evidence import Leave, Statement, in_order
from hub.cards.holdings import SINCE_EVER_MS, CardChange
from hub.store.mealrows import MEAL_PROJECTED, MealRows
from hub.store.toldrows import ToldRows
from protocol.anchors import Dated
from protocol.taps import TapId, parse_tap_id
from protocol.time import Anchor

IN_QUERY_MAX: Final = 500
"""Values in one IN list; SQLite takes 32,766."""
PROJECTED: Final = (
    "taps",
    "tap_corrections",
    "card_changes",
    "statements",
    "leaves",
    "leaves_withdrawn",
    "confirmations",
    "watermarks",
    "losses",
    "waivers",
    "marks_told",
    *MEAL_PROJECTED,
)


class TapRow(NamedTuple):
    """A card held to a station; see schema 004. `journal` is the journal's number in the file."""

    journal: int
    sequence: int
    kind: str
    point: str
    dir: str | None
    card: str
    student: str | None
    decision: str
    reason: str | None
    boot: str
    mono: int
    stated_ms: int
    err: int | None
    best_ms: int
    anchored: int

    def reading(self) -> Dated:
        """What the tap's record says of its own time."""
        own = None if self.err is None else Anchor(self.boot, self.mono, self.stated_ms, self.err, "")
        return Dated(self.boot, self.mono, self.stated_ms, own)


class Correction(NamedTuple):
    """What was last said of whose tap it is."""

    tap: str
    at_ms: int
    record: str
    student: str | None
    card: str
    why: str


class Confirmation(NamedTuple):
    """A class's half-day as a person signed it."""

    record: str
    school_class: str
    day: str
    half: str
    at_ms: int
    by: str


COLUMNS: Final = ", ".join(TapRow._fields)
MARKS: Final = ", ".join("?" * len(TapRow._fields))


class DayRows:
    """See the room. Changes run within a transaction."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        """The tables are the state. `cards_version` grows with each change to cards of this run."""
        self._run, self._many = connection.execute, connection.executemany
        self.told = ToldRows(connection)
        self.meals = MealRows(connection)
        self.cards_version = 0

    # --- reading the ledger -------------------------------------------------------------------------------------------

    def cursor(self) -> int:
        """The position up to which every record was read."""
        return int(self._run("SELECT position FROM day_cursor").fetchone()[0])

    def move(self, position: int) -> None:
        """Every record to here was read."""
        self._run("UPDATE day_cursor SET position = ?", (position,))

    def attributed_to(self) -> int:
        """The position up to which it was seen to that the city knows whose taps they are."""
        return int(self._run("SELECT attributed FROM day_cursor").fetchone()[0])

    def move_attributed(self, position: int) -> None:
        """To here it was seen to."""
        self._run("UPDATE day_cursor SET attributed = ?", (position,))

    def attribute_again(self, journal: int, sequence: int) -> None:
        """From this record on it is to be seen to again."""
        self._run(
            "UPDATE day_cursor SET attributed = min(attributed, (SELECT position - 1 FROM events"
            " WHERE journal = ? AND sequence = ?))",
            (journal, sequence),
        )

    def taps_behind(self, position: int, limit: int) -> tuple[int, list[TapRow]]:
        """The taps of up to `limit` records behind a position, and the position of the last of these records."""
        columns = ", ".join(f"t.{name}" for name in TapRow._fields)
        rows = self._run(
            f"SELECT e.position, {columns} FROM (SELECT position, journal, sequence FROM events WHERE position > ?"
            " ORDER BY position LIMIT ?) AS e LEFT JOIN taps AS t ON t.journal = e.journal AND t.sequence = e.sequence",
            (position, limit),
        ).fetchall()
        last = max((row[0] for row in rows), default=position)
        return last, [TapRow._make(row[1:]) for row in rows if row[1] is not None]

    def newest(self) -> int:
        """The ledger's last position."""
        return int(self._run("SELECT coalesce(max(position), 0) FROM events").fetchone()[0])

    def page(self, after: int, limit: int) -> list[tuple[int, int, int, bytes]]:
        """Records behind a position: position, journal's number, sequence, bytes."""
        return self._run(
            "SELECT position, journal, sequence, raw FROM events WHERE position > ? ORDER BY position LIMIT ?",
            (after, limit),
        ).fetchall()

    def forget(self) -> None:
        """Begin anew: nothing was read. What came with a roster of before there were records stays."""
        for table in PROJECTED:
            keep = " WHERE record NOT LIKE 'roster.%'" if table == "card_changes" else ""
            self._run(f"DELETE FROM {table}{keep}")
        self._run("UPDATE day_cursor SET position = 0")
        self.cards_version += 1

    # --- what was read ------------------------------------------------------------------------------------------------

    def add_taps(self, rows: Sequence[TapRow]) -> None:
        """Taps, each once."""
        self._many(f"INSERT OR REPLACE INTO taps ({COLUMNS}) VALUES ({MARKS})", rows)

    def correct(self, row: Correction) -> None:
        """A word on whose tap it is."""
        self._run(
            "INSERT OR REPLACE INTO tap_corrections (tap, at_ms, record, student, card, why) VALUES (?, ?, ?, ?, ?, ?)",
            row,
        )

    def change_card(self, change: CardChange) -> None:
        """Something happened to a card."""
        self.cards_version += 1
        from_ms = None if change.from_ms == SINCE_EVER_MS else change.from_ms
        self._run(
            "INSERT OR REPLACE INTO card_changes (record, at_ms, card, pupil_key, change, from_ms, by)"
            " VALUES (?, ?, ?, ?, ?, ?, ?)",
            (change.record, change.at_ms, change.card, change.pupil, change.change, from_ms, change.by),
        )

    def state(self, said: Statement, how: str, seen_ms: int | None) -> None:
        """A person's word on a pupil's half-day."""
        self._run(
            "INSERT OR REPLACE INTO statements (record, pupil_key, day, half, state, at_ms, by, reason, how, seen_ms)"
            " VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
            (
                said.id,
                said.pupil,
                said.day.isoformat(),
                said.half,
                said.state,
                said.at_ms,
                said.by,
                said.reason,
                how,
                seen_ms,
            ),
        )

    def confirm(self, row: Confirmation) -> None:
        """A person signed a class's half-day."""
        self._run(
            "INSERT OR REPLACE INTO confirmations (record, class, day, half, at_ms, by) VALUES (?, ?, ?, ?, ?, ?)", row
        )

    def claim(self, number: int, row: WatermarkRow) -> None:
        """What a gateway said of how far its records go, in the journal of this number."""
        self._run("INSERT OR REPLACE INTO watermarks VALUES (?, ?, ?, ?, ?, ?)", (number, *row[1:]))

    def lose(self, device: str, journal: str, first: int, last: int) -> None:
        """A gateway said that records are gone for good."""
        self._run("INSERT OR IGNORE INTO losses VALUES (?, ?, ?, ?)", (journal, first, last, device))

    def waive(self, waiver: Waiver) -> None:
        """A person doesn't wait for a gateway."""
        values = (waiver.record, waiver.device, waiver.through_ms, waiver.at_ms, waiver.by, waiver.reason)
        self._run("INSERT OR REPLACE INTO waivers VALUES (?, ?, ?, ?, ?, ?)", values)

    def is_counted(self, device: str) -> bool:
        """Whether a person accepted a device, now or once."""
        return (
            self._run("SELECT 1 FROM devices WHERE device = ? AND state <> 'pending'", (device,)).fetchone() is not None
        )

    def excuse(self, leave: Leave) -> None:
        """A leave notice."""
        self._run(
            "INSERT OR REPLACE INTO leaves (record, pupil_key, first_day, first_half, last_day, last_half, at_ms, by)"
            " VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
            (
                leave.id,
                leave.pupil,
                leave.first[0].isoformat(),
                leave.first[1],
                leave.last[0].isoformat(),
                leave.last[1],
                leave.at_ms,
                leave.by,
            ),
        )

    def withdraw(self, leave: str, record: str, at_ms: int, by: str) -> None:
        """A leave notice doesn't count any more."""
        self._run(
            "INSERT OR REPLACE INTO leaves_withdrawn (leave, record, at_ms, by) VALUES (?, ?, ?, ?)",
            (leave, record, at_ms, by),
        )

    # --- what is asked ------------------------------------------------------------------------------------------------

    def taps_between(self, first_ms: int, until_ms: int) -> Iterator[TapRow]:
        """Taps to be looked for in the span, and all whose time nothing vouches for."""
        yield from self._taps("best_ms >= ? AND best_ms < ? AND anchored = 1", (first_ms, until_ms))
        yield from self._taps("anchored = 0", ())

    def taps_of(self, cards: Iterable[str], students: Iterable[str], first_ms: int, until_ms: int) -> Iterator[TapRow]:
        """The same of cards by their texts, and of pupils whom gateways took them for; each once."""
        found: dict[tuple[int, int], TapRow] = {}
        for column, values in (("card", cards), ("student", students)):
            for some in _groups(sorted(values)):
                for span, bounds in (
                    ("best_ms >= ? AND best_ms < ? AND anchored = 1", (first_ms, until_ms)),
                    ("anchored = 0", ()),
                ):
                    which = f"{column} IN ({', '.join('?' * len(some))}) AND {span}"
                    found |= {(row.journal, row.sequence): row for row in self._taps(which, (*some, *bounds))}
        yield from found.values()

    def taps_of_cards(self, cards: Iterable[str]) -> Iterator[TapRow]:
        """Every tap kept under one of these texts."""
        for some in _groups(sorted(cards)):
            yield from self._taps(f"card IN ({', '.join('?' * len(some))})", tuple(some))

    def unanchored_journals(self) -> list[int]:
        """The journals that have such taps."""
        return [number for (number,) in self._run("SELECT DISTINCT journal FROM taps WHERE anchored = 0").fetchall()]

    def unanchored_of(self, journal: int) -> list[TapRow]:
        """The taps of a journal whose time nothing vouched for when they were read."""
        return list(self._taps("journal = ? AND anchored = 0", (journal,)))

    def taps_of_boot(self, journal: int, boot: str) -> Iterator[TapRow]:
        """The taps of a journal that a boot made."""
        yield from self._taps("journal = ? AND boot = ?", (journal, boot))

    def tap(self, journal: int, sequence: int) -> TapRow | None:
        """One tap."""
        return next(self._taps("journal = ? AND sequence = ?", (journal, sequence)), None)

    def _taps(self, which: str, values: tuple[object, ...]) -> Iterator[TapRow]:
        return map(TapRow._make, self._run(f"SELECT {COLUMNS} FROM taps WHERE {which}", values))

    def corrections(self, taps: Iterable[str]) -> dict[str, Correction]:
        """The newest word on each of these taps, where there is one."""
        found: dict[str, Correction] = {}
        for some in _groups(sorted(taps)):
            for row in map(
                Correction._make,
                self._run(
                    "SELECT tap, at_ms, record, student, card, why FROM tap_corrections"
                    f" WHERE tap IN ({', '.join('?' * len(some))}) ORDER BY tap, at_ms, record",
                    some,
                ),
            ):
                found[row.tap] = row
        return found

    def erased(self, records: Iterable[str]) -> dict[str, str | None]:
        """Those of these records that aren't written down as they were; see schema 008."""
        found: dict[str, str | None] = {}
        for some in _groups(sorted(records)):
            which = ", ".join("?" * len(some))
            found |= dict(self._run(f"SELECT record, student FROM records_erased WHERE record IN ({which})", some))
        return found

    def is_erased(self, pupil: str) -> bool:
        """Whether nothing of a pupil is left."""
        return self._run("SELECT 1 FROM pupils_erased WHERE pupil_key = ?", (pupil,)).fetchone() is not None

    def corrections_of(self, tap: str) -> list[Correction]:
        """Every word on one tap, oldest first."""
        rows = self._run(
            "SELECT tap, at_ms, record, student, card, why FROM tap_corrections WHERE tap = ? ORDER BY at_ms, record",
            (tap,),
        )
        return list(map(Correction._make, rows))

    def card_changes(self, card: str | None = None) -> Iterator[CardChange]:
        """What happened to every card, or to one."""
        which = "" if card is None else " WHERE card = ?"
        for record, at_ms, number, pupil, change, from_ms, by in self._run(
            f"SELECT record, at_ms, card, pupil_key, change, from_ms, by FROM card_changes{which}",
            () if card is None else (card,),
        ):
            since_ms = SINCE_EVER_MS if from_ms is None else from_ms
            yield CardChange(record, at_ms, number, pupil, change, since_ms, by)

    def statements(self, first: date, last: date) -> Iterator[tuple[Statement, str, int | None]]:
        """People's words on the half-days of a span; how each was said, and when who was let in was seen."""
        for record, pupil, day, half, state, at_ms, by, reason, how, seen_ms in self._run(
            "SELECT record, pupil_key, day, half, state, at_ms, by, reason, how, seen_ms FROM statements"
            " WHERE day BETWEEN ? AND ? ORDER BY at_ms, record",
            (first.isoformat(), last.isoformat()),
        ):
            said = Statement(record, pupil, date.fromisoformat(day), half, state, at_ms, by, reason)
            yield said, how, seen_ms

    def admission_gone(self, pupil: str, seen_ms: int) -> TapId | None:
        """By which record it is said last that a pupil was not let in at a moment; None where they were."""
        said = [
            Statement(record, pupil, date.fromisoformat(day), half, state, at_ms, by)
            for record, day, half, state, at_ms, by in self._run(
                "SELECT record, day, half, state, at_ms, by FROM statements"
                " WHERE pupil_key = ? AND seen_ms = ? AND how = 'gate'",
                (pupil, seen_ms),
            )
        ]
        last = in_order(said)[-1] if said else None
        return None if last is None or last.state != "withdrawn" else parse_tap_id(last.id)

    def leaves(self, first: date, last: date) -> Iterator[tuple[Leave, int | None]]:
        """Leave notices that speak of a day of the span; when each was withdrawn, None where it stands."""
        return self._leaves("last_day >= ? AND first_day <= ?", (first.isoformat(), last.isoformat()))

    def leave(self, record: str) -> Leave | None:
        """One leave notice, also a withdrawn one."""
        return next((leave for leave, _ in self._leaves("record = ?", (record,))), None)

    def withdrawal(self, leave: str) -> str | None:
        """By which record a leave notice was withdrawn first; None where it counts."""
        return next((record for record, _ in self.withdrawals(leave)), None)

    def withdrawals(self, leave: str) -> list[tuple[str, int]]:
        """By which records a leave notice was withdrawn, and when (Unix ms); the first one counts."""
        return self._run(
            "SELECT record, at_ms FROM leaves_withdrawn WHERE leave = ? ORDER BY at_ms, record", (leave,)
        ).fetchall()

    def _leaves(self, which: str, values: tuple[object, ...]) -> Iterator[tuple[Leave, int | None]]:
        for record, pupil, first_day, first_half, last_day, last_half, at_ms, by, gone_ms in self._run(
            "SELECT record, pupil_key, first_day, first_half, last_day, last_half, at_ms, by,"
            " (SELECT min(at_ms) FROM leaves_withdrawn AS w WHERE w.leave = l.record) FROM leaves AS l"
            f" WHERE {which} ORDER BY at_ms, record",
            values,
        ):
            span = (date.fromisoformat(first_day), first_half), (date.fromisoformat(last_day), last_half)
            yield Leave(record, pupil, *span, at_ms, by), gone_ms

    def confirmations(self, day: date) -> list[Confirmation]:
        """The classes signed on a day, oldest first."""
        rows = self._run(
            "SELECT record, class, day, half, at_ms, by FROM confirmations WHERE day = ? ORDER BY at_ms, record",
            (day.isoformat(),),
        )
        return list(map(Confirmation._make, rows))


def _groups(values: Sequence[str]) -> Iterator[list[str]]:
    for begin in range(0, len(values), IN_QUERY_MAX):
        yield list(values[begin : begin + IN_QUERY_MAX])
