"""Sessions, tokens and failed logins in rows: who is inside, which programs may ask, who has to wait."""

from __future__ import annotations

import hashlib
import sqlite3
from dataclasses import dataclass, replace
from typing import Final

from hub.access.rights import Person
from hub.access.sessions import (
    FREE_BY_ADDRESS,
    FREE_BY_USER,
    SEEN_EVERY_MS,
    WHOLE_MS,
    Failures,
    failed,
    stands,
    wait_ms,
)
from hub.store.database import Database
from hub.store.userrows import CLASS_MAX, UserRefused, UserRows, hash_of, new_secret, person_in, plain, role_words

TOKEN_PREFIX: Final = "k12_"
TOKENS_MAX: Final = 200
SESSIONS_EACH_MAX: Final = 20
"""Of one user; the one that was used longest ago ends."""
FAILURES_MAX: Final = 10_000
"""Names and addresses remembered; the oldest go."""
AGENT_MAX: Final = 120


@dataclass(frozen=True, slots=True)
class Session:
    """One browser that is logged in. `key` names it for people and is no secret."""

    key: str
    user: int
    person: Person
    made_ms: int
    seen_ms: int
    agent: str


@dataclass(frozen=True, slots=True)
class Token:
    """A program's permission."""

    number: int
    person: Person
    made_ms: int
    revoked: bool


class SessionRows:
    """See the room. Reads go past the writer; changes run in a transaction."""

    def __init__(self, database: Database, users: UserRows) -> None:
        """The ledger's file holds them."""
        self._database, self._users = database, users

    # --- sessions -----------------------------------------------------------------------------------------------------

    def begin(self, name: str, agent: str, now_ms: int, instead_of: str | None = None) -> str | None:
        """A new session's secret; the one before it in the same browser ends. None where nobody has that name."""
        secret = new_secret()
        with self._database.transaction() as run:
            row = run.execute("SELECT user FROM users WHERE name = ? AND revoked_ms IS NULL", (name,)).fetchone()
            if row is None:
                return None
            if instead_of is not None:
                run.execute("DELETE FROM sessions WHERE token = ?", (hash_of(instead_of),))
            run.execute("DELETE FROM sessions WHERE made_ms < ?", (now_ms - WHOLE_MS,))
            run.execute(
                "DELETE FROM sessions WHERE token IN (SELECT token FROM sessions WHERE user = ?"
                " ORDER BY seen_ms DESC LIMIT -1 OFFSET ?)",
                (row[0], SESSIONS_EACH_MAX - 1),
            )
            run.execute(
                "INSERT INTO sessions VALUES (?, ?, ?, ?, ?)",
                (hash_of(secret), row[0], now_ms, now_ms, _agent(agent)),
            )
        return secret

    def find(self, secret: str, now_ms: int) -> Session | None:
        """The session of a browser, where it still stands and its user may still log in."""
        with self._users.reading() as run:
            row = run.execute(f"{_SESSIONS} AND token = ?", (hash_of(secret),)).fetchone()
        if row is None:
            return None
        found = _session(row)
        return found if stands(found.person.role, found.made_ms, found.seen_ms, now_ms) else None

    def seen(self, session: Session, secret: str, now_ms: int) -> None:
        """The session was used; written now and then only."""
        if abs(now_ms - session.seen_ms) >= SEEN_EVERY_MS:
            with self._database.transaction() as run:
                run.execute("UPDATE sessions SET seen_ms = ? WHERE token = ?", (now_ms, hash_of(secret)))

    def end(self, secret: str) -> None:
        """Log out."""
        with self._database.transaction() as run:
            run.execute("DELETE FROM sessions WHERE token = ?", (hash_of(secret),))

    def end_by_key(self, user: int, key: str) -> bool:
        """End one of a user's own sessions by its key; False where there is none."""
        with self._database.transaction() as run:
            for (token,) in run.execute("SELECT token FROM sessions WHERE user = ?", (user,)).fetchall():
                if _key(token) == key:
                    run.execute("DELETE FROM sessions WHERE token = ?", (token,))
                    return True
        return False

    def of_user(self, user: int, now_ms: int) -> list[Session]:
        """Where somebody is logged in, the last used first."""
        with self._users.reading() as run:
            rows = run.execute(f"{_SESSIONS} AND sessions.user = ? ORDER BY seen_ms DESC", (user,)).fetchall()
        found = [_session(row) for row in rows]
        return [one for one in found if stands(one.person.role, one.made_ms, one.seen_ms, now_ms)]

    # --- tokens -------------------------------------------------------------------------------------------------------

    def add_token(
        self, role: str, school_class: str | None, name: str, until: str | None, now_ms: int
    ) -> tuple[Token, str]:
        """A program's token, shown once; its name is no user's, for whom it could pass. Raises UserRefused."""
        known, school_class, day = role_words(role, school_class, until)
        name = plain(name, CLASS_MAX)
        secret = TOKEN_PREFIX + new_secret()
        with self._database.transaction() as run:
            if run.execute("SELECT count(*) FROM tokens WHERE revoked_ms IS NULL").fetchone()[0] >= TOKENS_MAX:
                raise UserRefused("many")
            people = {str(text).casefold() for user in run.execute("SELECT name, shown FROM users") for text in user}
            if name.casefold() in people:
                raise UserRefused("named")
            number = run.execute(
                "INSERT INTO tokens (token, name, role, class, until, made_ms) VALUES (?, ?, ?, ?, ?, ?)",
                (hash_of(secret), name, known, school_class, day and day.isoformat(), now_ms),
            ).lastrowid
        assert number is not None
        return Token(number, Person(name, known, school_class, day, name, by_token=True), now_ms, False), secret

    def of_token(self, secret: str) -> Person | None:
        """Whom a token speaks for; None where it is unknown or revoked."""
        with self._users.reading() as run:
            row = run.execute(f"{_TOKENS} WHERE token = ? AND revoked_ms IS NULL", (hash_of(secret),)).fetchone()
        return None if row is None else _token(row).person

    def tokens(self) -> list[Token]:
        """Every token, those that stand first."""
        with self._users.reading() as run:
            return [_token(row) for row in run.execute(f"{_TOKENS} ORDER BY revoked_ms IS NOT NULL, number")]

    def revoke_token(self, number: int, now_ms: int) -> None:
        """Let a program in no longer. Raises UserRefused."""
        with self._database.transaction() as run:
            done = run.execute(
                "UPDATE tokens SET revoked_ms = ? WHERE number = ? AND revoked_ms IS NULL", (now_ms, number)
            )
            if done.rowcount != 1:
                raise UserRefused("unknown")

    # --- failed logins ------------------------------------------------------------------------------------------------

    def wait_ms(self, name: str, address: str, now_ms: int) -> int:
        """How long a login of this name from this address has to wait; the same for names that nobody has."""
        with self._users.reading() as run:
            by_user, by_address = (_failures(run, about) for about in _about(name, address))
        return max(wait_ms(by_user, FREE_BY_USER, now_ms), wait_ms(by_address, FREE_BY_ADDRESS, now_ms))

    def failed(self, name: str, address: str, now_ms: int) -> None:
        """A login failed."""
        with self._database.transaction() as run:
            for about in _about(name, address):
                after = failed(_failures(run, about), now_ms)
                run.execute(
                    "INSERT INTO login_failures VALUES (?1, ?2, ?3)"
                    " ON CONFLICT (about) DO UPDATE SET count = ?2, last_ms = ?3",
                    (about, after.count, after.last_ms),
                )
            run.execute(
                "DELETE FROM login_failures WHERE about IN (SELECT about FROM login_failures"
                " ORDER BY last_ms DESC LIMIT -1 OFFSET ?)",
                (FAILURES_MAX,),
            )

    def succeeded(self, name: str, address: str) -> None:
        """A login came through: the name's failures are forgotten, the address's stay until they age."""
        with self._database.transaction() as run:
            run.execute("DELETE FROM login_failures WHERE about = ?", (_about(name, address)[0],))


_SESSIONS: Final = (
    "SELECT token, sessions.user, sessions.made_ms, seen_ms, agent, name, shown, role, class, until"
    " FROM sessions JOIN users ON users.user = sessions.user WHERE revoked_ms IS NULL"
)
_TOKENS: Final = "SELECT number, name, name AS shown, role, class, until, made_ms, revoked_ms FROM tokens"


def _about(name: str, address: str) -> tuple[str, str]:
    """What failures are counted under. What was typed as a name may be a password, so a hash stands for it."""
    return f"user {hashlib.sha256(name.encode('utf-8', 'surrogatepass')).hexdigest()}", f"address {address}"


def _failures(run: sqlite3.Connection, about: str) -> Failures | None:
    row = run.execute("SELECT count, last_ms FROM login_failures WHERE about = ?", (about,)).fetchone()
    return None if row is None else Failures(row[0], row[1])


def _key(token: bytes) -> str:
    return hashlib.sha256(token).hexdigest()[:16]


def _agent(text: str) -> str:
    return "".join(character for character in text if character.isprintable())[:AGENT_MAX]


def _session(row: sqlite3.Row) -> Session:
    return Session(
        _key(row["token"]),
        row["user"],
        person_in(row),
        row["made_ms"],
        row["seen_ms"],
        row["agent"],
    )


def _token(row: sqlite3.Row) -> Token:
    person = replace(person_in(row), by_token=True)
    return Token(row["number"], person, row["made_ms"], row["revoked_ms"] is not None)
