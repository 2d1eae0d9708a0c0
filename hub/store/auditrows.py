"""The audit in rows: who looked at what and who changed what, append-only, kept for a bounded time."""

from __future__ import annotations

import logging
import threading
from collections import OrderedDict
from contextlib import suppress
from dataclasses import dataclass
from typing import Final, Literal

from hub.access.rights import Person
from hub.store.database import Database
from hub.store.userrows import UserRows
from protocol.errors import K12EdgeError

log = logging.getLogger("k12edge.audit")

DAY_MS: Final = 86_400_000
KEPT_MS: Final = 400 * DAY_MS
"""A school year and what follows it."""
ROWS_MAX: Final = 2_000_000
"""Some 200 MB; the oldest go."""
TRIMMED: Final = 50
"""Rows that go at most with one that comes."""
ROW_BYTES_MAX: Final = 1_024
CODE: Final = ": "
"""Stands between an act and the code of why it wasn't done, in one column: the table is older than the codes."""
SAME_MS: Final = 60_000
"""A look at the same thing within so long is the same look: a page that renews itself writes once."""
SAME_MAX: Final = 4_096
OBJECT_MAX: Final = 120
PAGE_MAX: Final = 200

Kind = Literal["read", "write"]
Outcome = Literal["allowed", "refused"]


@dataclass(frozen=True, slots=True)
class Entry:
    """One row: `object` is an opaque key or a class, never a pupil's name.

    `outcome`: `allowed` was done, `refused` wasn't; `code` says why, empty where the role may not or the login failed.
    """

    number: int
    at_ms: int
    who: str
    role: str
    what: str
    object: str
    kind: Kind
    outcome: Outcome
    code: str = ""


class AuditRows:
    """See the room."""

    def __init__(self, database: Database, users: UserRows) -> None:
        """The ledger's file holds them."""
        self._database, self._users = database, users
        self._same: OrderedDict[tuple[str, ...], int] = OrderedDict()
        self._lock = threading.Lock()

    def note(
        self,
        person: Person | None,
        what: str,
        obj: str,
        kind: Kind,
        outcome: Outcome,
        now_ms: int,
        mono_ms: int,
        *,
        code: str = "",
    ) -> None:
        """Write a row, durable at the return; a look that was written a moment ago is not written again.

        Where the storage takes nothing, a look goes on all the same: who is on site must be seen with a full disk too.
        Raises LedgerFull, LedgerFailed of a change.
        """
        who, role = ("-", "-") if person is None else (person.signature, person.role)
        obj = "".join(character for character in obj if character.isprintable())[:OBJECT_MAX]
        assert CODE not in what and not (code and outcome == "allowed")
        what = f"{what}{CODE}{code}" if code else what
        if (kind == "read" or outcome == "refused") and self._was_told((who, what, obj, kind, outcome), mono_ms):
            return
        try:
            with self._database.transaction() as run:
                run.execute(
                    "INSERT INTO audit (at_ms, who, role, what, object, kind, outcome) VALUES (?, ?, ?, ?, ?, ?, ?)",
                    (now_ms, who, role, what, obj, kind, outcome),
                )
                self._trim(now_ms)
        except K12EdgeError as problem:
            if kind == "write":
                raise
            log.warning("a look could not be written into the audit (%s by a %s): %s", what, role, problem)

    def must_have_room(self) -> None:
        """Raise LedgerFull, LedgerFailed where a row couldn't be written now: so nothing is done that isn't told."""
        with suppress(_Enough), self._database.transaction() as run:
            run.execute(
                "INSERT INTO audit (at_ms, who, role, what, object, kind, outcome)"
                " VALUES (0, '-', '-', ?, '-', 'write', 'refused')",
                ("-" * ROW_BYTES_MAX,),
            )
            raise _Enough

    def _was_told(self, key: tuple[str, ...], mono_ms: int) -> bool:
        with self._lock:
            before = self._same.get(key)
            if before is not None and mono_ms - before < SAME_MS:
                return True
            self._same[key] = mono_ms
            self._same.move_to_end(key)
            while len(self._same) > SAME_MAX:
                self._same.popitem(last=False)
        return False

    def _trim(self, now_ms: int) -> None:
        run = self._database.connection.execute
        newest = run("SELECT max(number) FROM audit").fetchone()[0]
        for number, at_ms in run("SELECT number, at_ms FROM audit ORDER BY number LIMIT ?", (TRIMMED,)).fetchall():
            # Only from the oldest on: a row of a clock that stood wrong waits for those before it.
            if number > newest - ROWS_MAX and at_ms >= now_ms - KEPT_MS:
                return
            run("DELETE FROM audit WHERE number = ?", (number,))

    def page(self, before: int | None, limit: int, who: str = "", what: str = "", outcome: str = "") -> list[Entry]:
        """The newest rows below a number, filtered by what they begin with."""
        with self._users.reading() as run:
            rows = run.execute(
                "SELECT number, at_ms, who, role, what, object, kind, outcome FROM audit"
                " WHERE (?1 IS NULL OR number < ?1)"
                " AND (?2 = '' OR who = ?2) AND (?4 = '' OR outcome = ?4)"
                " AND (?3 = '' OR what = ?3 OR substr(what, 1, length(?3) + 2) = ?3 || ': ')"
                " ORDER BY number DESC LIMIT ?5",
                (before, who, what, outcome, min(limit, PAGE_MAX)),
            ).fetchall()
        return [_entry(*row) for row in rows]


class _Enough(Exception):
    """There is room; what tried it is rolled back."""


def _entry(number: int, at_ms: int, who: str, role: str, what: str, obj: str, kind: Kind, outcome: Outcome) -> Entry:
    act, _, code = what.partition(CODE)
    return Entry(number, at_ms, who, role, act, obj, kind, outcome, code)
