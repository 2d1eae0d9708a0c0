"""The road to the city in rows: a cursor over the ledger, and each record before it that isn't held there yet."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from hub.forwarding.owing import WAIT_FIRST_MS, WAIT_MAX_MS, Change, Owed
from hub.store.anchorrows import AnchorRows
from hub.store.ledger import Ledger
from protocol.anchors import dated
from protocol.envelope import decode_event

RETRIES_SHARE: Final = 100
"""Records tried again in one batch; the rest of it belongs to new ones."""

ANSWERS_KEPT_MS: Final = 60 * 86_400_000
"""Two months: people ask when a tap reached the city while they remember it."""
ANSWERS_LOOKED_AT: Final = 16
"""Answers of one record's neighbourhood: what is tried again alone lies within what came around it."""


@dataclass(frozen=True, slots=True)
class Window:
    """What to work on: records to submit, and new ones to be held back (position, due_ms, boot).

    `through` is the last new position looked at; `full` says that more may be due than found room.
    """

    owed: tuple[Owed, ...]
    held_back: tuple[tuple[int, int, str], ...]
    cursor: int
    through: int
    full: bool


class ForwardRows:
    """See the room. Whoever calls holds the database's lock; changes run within a transaction."""

    def __init__(self, ledger: Ledger, anchors: AnchorRows, hold_ms: int) -> None:
        """`hold_ms`: how long a record of a boot without an anchor waits for one."""
        self._ledger, self._anchors, self._hold_ms = ledger, anchors, hold_ms

    def _run(self, statement: str, values: Sequence[object] = ()) -> list[tuple[object, ...]]:
        return self._ledger.database.connection.execute(statement, values).fetchall()

    def cursor(self) -> int:
        """Every record to here is answered or stands among the exceptions."""
        found = self._run("SELECT position FROM forward_cursor")[0][0]
        assert isinstance(found, int)
        return found

    def new(self) -> int:
        """How many records came behind the cursor, at most."""
        newest = self._run("SELECT max(position) FROM events")[0][0]
        assert newest is None or isinstance(newest, int)
        return 0 if newest is None else newest - self.cursor()

    def oldest_ms(self) -> int | None:
        """When the oldest record came here that the city has not answered for good; None: nothing waits."""
        found = self._run(
            "SELECT min(received_ms) FROM (SELECT received_ms FROM (SELECT received_ms FROM events WHERE position >"
            " (SELECT position FROM forward_cursor) ORDER BY position LIMIT 1) UNION ALL SELECT e.received_ms FROM"
            " forward_exceptions AS x JOIN events AS e USING (position) WHERE x.state IN ('waiting', 'held-back'))"
        )[0][0]
        assert found is None or isinstance(found, int)
        return found

    def window(self, now_ms: int, limit: int) -> Window:
        """What is due now: records tried before first, then new ones."""
        cursor, most_tried = self.cursor(), min(limit, RETRIES_SHARE)
        owed = [
            self._tried(position, raw, attempts)
            for position, raw, attempts in self._run(
                "SELECT e.position, e.raw, x.attempts FROM forward_exceptions x JOIN events e USING (position)"
                " WHERE x.state IN ('waiting', 'held-back') AND x.due_ms <= ? ORDER BY x.due_ms, x.position LIMIT ?",
                (now_ms, most_tried),
            )
        ]
        tried = len(owed)
        held_back: list[tuple[int, int, str]] = []
        through = cursor
        rows = self._run(
            "SELECT position, raw, received_ms, journal, sequence FROM events WHERE position > ?"
            " ORDER BY position LIMIT ?",
            (cursor, limit - tried),
        )
        for position, raw, received_ms, number, sequence in rows:
            assert isinstance(position, int) and isinstance(received_ms, int)
            assert isinstance(number, int) and isinstance(sequence, int)
            through = position
            if sequence in self._ledger.books.numbered(number).city_held:
                # It was regained from there.
                continue
            item, boot = self._new(position, raw)
            # A clock that was ahead and is right now makes nothing wait longer.
            due_ms = min(received_ms, now_ms) + self._hold_ms
            if boot is not None and due_ms > now_ms:
                held_back.append((position, due_ms, boot))
            else:
                owed.append(item)
        full = tried >= most_tried or tried + len(rows) >= limit
        return Window(tuple(owed), tuple(held_back), cursor, through, full)

    @staticmethod
    def _tried(position: object, raw: object, attempts: object) -> Owed:
        assert isinstance(position, int) and isinstance(raw, bytes) and isinstance(attempts, int)
        event = decode_event(raw)
        return Owed(position, event.source, event.id, raw, attempts)

    def _new(self, position: int, raw: object) -> tuple[Owed, str | None]:
        """A record, and `<source> <boot>` where nothing vouches for its time yet."""
        assert isinstance(raw, bytes)
        event = decode_event(raw)
        owed = Owed(position, event.source, event.id, raw, 0)
        found = dated(event)
        if found is None or found.own is not None or self._anchors.of(event.source).anchored(found.boot):
            return owed, None
        return owed, f"{event.source} {found.boot}"

    def put_off(self) -> bool:
        """Whether any record before the cursor waits to be submitted again."""
        return self.next_due_ms() is not None

    def release_anchored(self) -> int:
        """Records whose boot has met an anchor by now wait no longer; within a transaction. Returns how many boots."""
        released = 0
        for (name,) in self._run("SELECT DISTINCT boot FROM forward_exceptions WHERE boot IS NOT NULL"):
            source, _, boot = str(name).partition(" ")
            if self._anchors.of(source).anchored(boot):
                self._run(
                    "UPDATE forward_exceptions SET state = 'waiting', due_ms = 0, boot = NULL WHERE boot = ?", (name,)
                )
                released += 1
        return released

    def bring_near(self, now_ms: int) -> None:
        """Records that a clock since set back made due too far ahead wait their longest from now; in a transaction."""
        most_ms = f"?1 + min({WAIT_MAX_MS}, {WAIT_FIRST_MS} << min(max(attempts - 1, 0), 16))"
        self._run(
            f"UPDATE forward_exceptions SET due_ms = {most_ms} WHERE state = 'waiting' AND due_ms > {most_ms}",
            (now_ms,),
        )
        self._run(
            "UPDATE forward_exceptions SET due_ms = ?1 WHERE state = 'held-back' AND due_ms > ?1",
            (now_ms + self._hold_ms,),
        )

    def next_due_ms(self) -> int | None:
        """When the next record tried before falls due."""
        found = self._run("SELECT min(due_ms) FROM forward_exceptions WHERE state IN ('waiting', 'held-back')")[0][0]
        assert found is None or isinstance(found, int)
        return found

    def write(
        self, window: Window, batch: Sequence[Owed], changes: Sequence[Change], now_ms: int
    ) -> set[tuple[str, str]]:
        """Write what an answer said; within a transaction. Returns (device, journal) of each journal it touched.

        The cursor passes the new records of the batch only where each has its change: it is held, or an exception.
        """
        known = {change.position for change in changes}
        new = [owed.position for owed in batch if owed.position > window.cursor]
        through = window.cursor
        if all(position in known for position in new):
            through = max(new, default=through)
            if len(batch) == len(window.owed):
                through = max(through, window.through)
        for change in changes:
            self._write_change(change, now_ms, new=change.position > window.cursor)
        self._note_answer(sorted(change.position for change in changes if change.status == "held"), now_ms)
        if through > window.cursor:
            for position, due_ms, boot in window.held_back:
                if position <= through:
                    self._run(
                        "INSERT OR IGNORE INTO forward_exceptions (position, state, attempts, due_ms, boot)"
                        " VALUES (?, 'held-back', 0, ?, ?)",
                        (position, due_ms, boot),
                    )
            self._run("UPDATE forward_cursor SET position = max(position, ?)", (through,))
        return self._mark_books(changes)

    def _note_answer(self, held: Sequence[int], now_ms: int) -> None:
        """Remember when the city said that it holds these, in one row where no other record stands between."""
        first = 0
        for place, position in enumerate(held):
            if place + 1 < len(held) and held[place + 1] == position + 1:
                continue
            self._run(
                "INSERT OR REPLACE INTO city_answers (first, last, at_ms) VALUES (?, ?, ?)",
                (held[first], position, now_ms),
            )
            first = place + 1
        self._run("DELETE FROM city_answers WHERE at_ms < ?", (now_ms - ANSWERS_KEPT_MS,))

    def answered_ms(self, position: int) -> int | None:
        """When the city said that it holds a record; None where it didn't, or it was long ago."""
        found = self._run(
            "SELECT max(at_ms) FROM (SELECT last, at_ms FROM city_answers WHERE first <= ? ORDER BY first DESC LIMIT ?)"
            " WHERE last >= ?",
            (position, ANSWERS_LOOKED_AT, position),
        )[0][0]
        assert found is None or isinstance(found, int)
        return found

    def _write_change(self, change: Change, now_ms: int, *, new: bool) -> None:
        if change.status == "held":
            if not new:
                self._run("DELETE FROM forward_exceptions WHERE position = ?", (change.position,))
            return
        self._run(
            "INSERT OR REPLACE INTO forward_exceptions (position, state, attempts, due_ms, problem)"
            " VALUES (?, ?, ?, ?, ?)",
            (change.position, change.status, change.attempts, now_ms + change.wait_ms, change.problem),
        )

    def _mark_books(self, changes: Sequence[Change]) -> set[tuple[str, str]]:
        touched: set[tuple[str, str]] = set()
        for change in changes:
            if change.status == "waiting":
                continue
            number, sequence = self._run("SELECT journal, sequence FROM events WHERE position = ?", (change.position,))[
                0
            ]
            assert isinstance(number, int) and isinstance(sequence, int)
            book = self._ledger.books.change(self._ledger.books.numbered(number))
            if change.status == "held":
                book.city_held.add(sequence)
                if sequence in book.city_dead:
                    book.city_dead.remove(sequence, sequence)
            else:
                book.city_dead.add(sequence)
            if book.device is not None:
                touched.add((book.device, book.journal))
        return touched

    # --- dead letters -------------------------------------------------------------------------------------------------

    def resend(self, position: int) -> bool:
        """Submit a dead letter again; False when there is none at this place. Within a transaction."""
        return bool(
            self._run(
                "UPDATE forward_exceptions SET state = 'waiting', due_ms = 0 WHERE position = ? AND state = 'dead'"
                " RETURNING 1",
                (position,),
            )
        )

    def close(self, position: int, note: str) -> bool:
        """Close a dead letter with a person's note; False when there is none at this place. Within a transaction."""
        return bool(
            self._run(
                "UPDATE forward_exceptions SET state = 'closed', note = ? WHERE position = ? AND state = 'dead'"
                " RETURNING 1",
                (note, position),
            )
        )
