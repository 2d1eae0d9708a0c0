"""The outbox of messages to parents in the ledger's file, and who may be told: each row is sent or ended once."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Final, cast

import msgspec

from hub.messages.planning import Message, MessageState, Plan, Told
from hub.store.database import Database
from protocol.records import Half

KEPT_MS: Final = 90 * 86_400_000
"""Ended messages are kept for a quarter, for questions of parents; then they go."""
BATCH_MAX: Final = 50


@dataclass(frozen=True, slots=True)
class Waiting:
    """A message of the outbox that is due; `attempts` so far."""

    number: int
    message: Message
    attempts: int


@dataclass(frozen=True, slots=True)
class Shown:
    """A message of the outbox as people see it; `detail`: what the receiver or the hub said of it."""

    number: int
    pupil: str
    day: str
    half: Half
    kind: str
    state: str
    attempts: int
    made_ms: int
    done_ms: int | None
    detail: str


class MessageRows:
    """See the room. Changes run within a transaction."""

    def __init__(self, database: Database) -> None:
        """The tables are the state."""
        self._database = database

    # --- consent ------------------------------------------------------------------------------------------------------

    def consent(self, pupil: str) -> bool:
        """Whether parents may be told; no where nobody said yes."""
        run = self._database.connection.execute
        row = run("SELECT given FROM consents WHERE pupil_key = ?", (pupil,)).fetchone()
        return row is not None and bool(row[0])

    def consents(self) -> set[str]:
        """The pupils whose parents may be told."""
        rows = self._database.connection.execute("SELECT pupil_key FROM consents WHERE given = 1")
        return {key for (key,) in rows}

    def consent_known(self, pupil: str) -> tuple[bool, int] | None:
        """What was said last, and when; None where nothing was."""
        run = self._database.connection.execute
        row = run("SELECT given, at_ms FROM consents WHERE pupil_key = ?", (pupil,)).fetchone()
        return None if row is None else (bool(row[0]), int(row[1]))

    def consents_of(self, pupils: Collection[str]) -> dict[str, tuple[bool, int, str]]:
        """What was said of pupils, when and by whom."""
        rows = self._database.connection.execute("SELECT pupil_key, given, at_ms, by FROM consents")
        return {key: (bool(given), at_ms, by) for key, given, at_ms, by in rows if key in pupils}

    def set_consent(self, pupil: str, given: bool, by: str, at_ms: int) -> None:
        """What a named person says of it; who takes it back ends what waits, in the same transaction.

        The newest word counts, in whatever order they are read.
        """
        assert by.strip(), "a consent names who entered it"
        run = self._database.connection.execute
        new = run(
            "INSERT INTO consents (pupil_key, given, at_ms, by) VALUES (?, ?, ?, ?) ON CONFLICT (pupil_key) DO UPDATE"
            " SET given = excluded.given, at_ms = excluded.at_ms, by = excluded.by"
            " WHERE excluded.at_ms >= consents.at_ms",
            (pupil, int(given), at_ms, by),
        ).rowcount
        if new and not given:
            run(
                "UPDATE messages SET state = 'cancelled', done_ms = ?, detail = 'no consent'"
                " WHERE pupil_key = ? AND state = 'waiting'",
                (at_ms, pupil),
            )

    # --- what is planned ----------------------------------------------------------------------------------------------

    def told(self, pupil: str, day: date, half: Half) -> list[Told]:
        """The messages of a half-day, in the order in which they were made."""
        rows = self._database.connection.execute(
            "SELECT state, attempts, made_ms, body FROM messages WHERE pupil_key = ? AND day = ? AND half = ?"
            " ORDER BY number",
            (pupil, day.isoformat(), half),
        )
        found = []
        for state, attempts, made_ms, body in rows:
            message = _message(body)
            found.append(
                Told(
                    message.key,
                    message.kind,
                    message.claim,
                    cast("MessageState", state),
                    attempts,
                    message.evidence,
                    made_ms,
                )
            )
        return found

    def apply(self, plan: Plan, now_ms: int) -> int:
        """Queue and take back what a plan says; how many messages are new. Again, it changes nothing."""
        run = self._database.connection.execute
        for key in plan.cancel:
            run(
                "UPDATE messages SET state = 'cancelled', done_ms = ?, detail = 'its ground is gone'"
                " WHERE key = ? AND state = 'waiting'",
                (now_ms, key),
            )
        new = 0
        for message in plan.messages:
            new += run(
                "INSERT INTO messages (key, pupil_key, day, half, kind, state, made_ms, valid_until_ms, body)"
                " VALUES (?, ?, ?, ?, ?, 'waiting', ?, ?, ?) ON CONFLICT (key) DO NOTHING",
                (
                    message.key,
                    message.pupil,
                    message.day.isoformat(),
                    message.half,
                    message.kind,
                    now_ms,
                    message.valid_until_ms,
                    msgspec.json.encode(message).decode("utf-8"),
                ),
            ).rowcount
        return new

    # --- what is sent -------------------------------------------------------------------------------------------------

    def end_stale(self, now_ms: int) -> int:
        """End what is of no use any more, and what nobody consents to; how many."""
        run = self._database.connection.execute
        stale = run(
            "UPDATE messages SET state = 'expired', done_ms = ?, detail = 'too old to be of use'"
            " WHERE state = 'waiting' AND valid_until_ms <= ?",
            (now_ms, now_ms),
        ).rowcount
        return (
            stale
            + run(
                "UPDATE messages SET state = 'cancelled', done_ms = ?, detail = 'no consent' WHERE state = 'waiting'"
                " AND pupil_key NOT IN (SELECT pupil_key FROM consents WHERE given = 1)",
                (now_ms,),
            ).rowcount
        )

    def take(self, now_ms: int) -> list[Waiting]:
        """What to send now, in order, each attempt counted before it is made; a pupil's later ones wait for earlier."""
        run = self._database.connection.execute
        rows = run(
            "SELECT number, body, attempts FROM messages AS mine WHERE state = 'waiting' AND next_ms <= ?"
            " AND NOT EXISTS (SELECT 1 FROM messages AS other WHERE other.pupil_key = mine.pupil_key"
            " AND other.state = 'waiting' AND other.number < mine.number)"
            " ORDER BY number LIMIT ?",
            (now_ms, BATCH_MAX),
        ).fetchall()
        for number, _, _ in rows:
            run("UPDATE messages SET attempts = attempts + 1 WHERE number = ?", (number,))
        return [Waiting(number, _message(body), attempts) for number, body, attempts in rows]

    def end(self, number: int, state: MessageState, detail: str, now_ms: int) -> None:
        """A message was answered for good. One that was ended meanwhile stays as it was, but for a sent one."""
        self._database.connection.execute(
            "UPDATE messages SET state = ?, detail = ?, done_ms = ?"
            " WHERE number = ? AND (state = 'waiting' OR (? = 'sent' AND state <> 'sent'))",
            (state, detail, now_ms, number, state),
        )

    def put_off(self, number: int, until_ms: int, detail: str, *, attempted: bool = True) -> None:
        """It stays owed, and is not tried before `until_ms`; `attempted` False: it surely never left the hub."""
        self._database.connection.execute(
            "UPDATE messages SET next_ms = ?, detail = ?, attempts = attempts - ?"
            " WHERE number = ? AND state = 'waiting'",
            (until_ms, detail, int(not attempted), number),
        )

    def next_due_ms(self) -> int | None:
        """When the next waiting message may be tried; None: nothing waits."""
        row = self._database.connection.execute("SELECT min(next_ms) FROM messages WHERE state = 'waiting'").fetchone()
        return None if row[0] is None else int(row[0])

    def counts(self) -> dict[str, int]:
        """How many of each state."""
        rows: Sequence[tuple[str, int]] = self._database.connection.execute(
            "SELECT state, count(*) FROM messages GROUP BY state"
        ).fetchall()
        return dict(rows)

    def page(self, states: Sequence[str], limit: int) -> list[Shown]:
        """The newest messages of some states, for people; without a word of their texts."""
        rows = self._database.connection.execute(
            "SELECT number, pupil_key, day, half, kind, state, attempts, made_ms, done_ms, detail FROM messages"
            f" WHERE state IN ({', '.join('?' * len(states))}) ORDER BY number DESC LIMIT ?",
            (*states, limit),
        )
        return [Shown(*row) for row in rows]

    def counts_by_kind(self, day: date) -> dict[tuple[str, str], int]:
        """How many of a day by kind and state."""
        rows = self._database.connection.execute(
            "SELECT kind, state, count(*) FROM messages WHERE day = ? GROUP BY kind, state", (day.isoformat(),)
        )
        return {(kind, state): count for kind, state, count in rows}

    def forget(self, now_ms: int) -> int:
        """Let go of what ended long ago; how many."""
        return self._database.connection.execute(
            "DELETE FROM messages WHERE done_ms IS NOT NULL AND done_ms < ?", (now_ms - KEPT_MS,)
        ).rowcount


def _message(body: str) -> Message:
    return msgspec.json.decode(body, type=Message)
