"""Users in rows: who may log in, in which role, and the one-time links that set a password."""

from __future__ import annotations

import hashlib
import re
import secrets
import sqlite3
import unicodedata
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import date, datetime
from typing import Final

from hub.access.rights import CLASS_ROLES, DATED_ROLES, Person, Role, role_of
from hub.access.sessions import LINK_MS
from hub.attendance.knowndays import beyond
from hub.attendance.schoolday import VIETNAM
from hub.store.database import Database, open_for_reading
from protocol.errors import NeedsHands

NAME: Final = re.compile(r"[a-z0-9](?:[a-z0-9._-]{0,62}[a-z0-9])?")
SHOWN_MAX: Final = 80
CLASS_MAX: Final = 40
USERS_MAX: Final = 2_000
TOKEN_BYTES: Final = 32
"""Of chance, in a session, a token, a link: nothing to guess, so a plain hash hides it."""


REFUSED: Final[Mapping[str, str]] = {
    "name": "tên chỉ gồm chữ thường không dấu, số, chấm, gạch nối / a login name has small letters a-z, digits and"
    " inner dots or hyphens, at most 64",
    "taken": "tên đã có hoặc đã từng có / there is a user of this name already, or was: names are not given twice",
    "named": "tên này là của một người dùng hoặc một mã truy cập / a user or a token has this name, or had it",
    "role": "không có vai trò này / there is no such role",
    "class": "vai trò này cần một lớp / this role needs a class",
    "no-class": "vai trò này không có lớp / this role has no class",
    "until": "vai trò này cần ngày cuối (2026-12-31) / this role needs a last day such as 2026-12-31",
    "past": "ngày cuối đã qua / the last day is over already",
    "text": "chữ trống, quá dài hoặc có ký tự lạ / a text is empty, too long or has strange characters",
    "many": "đã có quá nhiều / there are too many already; revoke some",
    "unknown": "không có, hoặc đã thu hồi / there is none such, or no longer",
}


class UserRefused(NeedsHands):
    """A user, a role or a token can't be as asked; `reason` is one of REFUSED."""

    code = "user-refused"
    hint = "Nothing was changed. See k12edge hub user --help."

    def __init__(self, reason: str) -> None:
        """Say why, in both languages."""
        super().__init__(REFUSED[reason])
        self.reason = reason


@dataclass(frozen=True, slots=True)
class User:
    """Somebody who may log in. `ready`: a password was set."""

    number: int
    person: Person
    ready: bool
    revoked: bool
    made_ms: int


def new_secret() -> str:
    """A fresh secret, to be shown once."""
    return secrets.token_urlsafe(TOKEN_BYTES)


def hash_of(secret: str) -> bytes:
    """What is kept of a secret."""
    return hashlib.sha256(secret.encode("utf-8", "surrogatepass")).digest()


def plain(text: str, most: int) -> str:
    """A text for people: NFC, one line, no control characters. Raises UserRefused."""
    normal = " ".join(unicodedata.normalize("NFC", text).split())
    if not normal or len(normal) > most or any(unicodedata.category(c) in ("Cc", "Cf", "Cs", "Co") for c in normal):
        raise UserRefused("text")
    return normal


def role_words(role: str, school_class: str | None, until: str | None) -> tuple[Role, str | None, date | None]:
    """A role as asked, sound. Raises UserRefused."""
    known = role_of(role)
    if known is None:
        raise UserRefused("role")
    if known in CLASS_ROLES and not school_class:
        raise UserRefused("class")
    if known in DATED_ROLES and not until:
        raise UserRefused("until")
    try:
        day = date.fromisoformat(until) if until else None
    except ValueError as problem:
        raise UserRefused("until") from problem
    if day is not None and beyond(day) is not None:
        raise UserRefused("until")
    return known, plain(school_class, CLASS_MAX) if school_class else None, day


class UserRows:
    """See the room. Reads go past the writer, so that no page waits for a sync; changes run in a transaction."""

    def __init__(self, database: Database) -> None:
        """The ledger's file holds them."""
        self._database = database

    @contextmanager
    def reading(self) -> Iterator[sqlite3.Connection]:
        """A connection that only reads."""
        connection = open_for_reading(self._database.path)
        try:
            yield connection
        finally:
            connection.close()

    def all(self) -> list[User]:
        """Every user, by name; revoked ones too."""
        with self.reading() as run:
            return [_user(row) for row in run.execute(f"{_USERS} ORDER BY revoked_ms IS NOT NULL, name")]

    def find(self, name: str) -> User | None:
        """The user of this name."""
        with self.reading() as run:
            row = run.execute(f"{_USERS} WHERE name = ?", (name,)).fetchone()
        return None if row is None else _user(row)

    def secret(self, name: str) -> str | None:
        """The encoded hash of a user's password; None where there is no such user, no password, or it was revoked."""
        with self.reading() as run:
            row = run.execute("SELECT secret FROM users WHERE name = ? AND revoked_ms IS NULL", (name,)).fetchone()
        return None if row is None or row["secret"] is None else str(row["secret"])

    def any(self) -> bool:
        """Whether there is somebody who can make other users."""
        with self.reading() as run:
            found = run.execute("SELECT 1 FROM users WHERE role = 'it' AND revoked_ms IS NULL")
            return found.fetchone() is not None

    # --- changes ------------------------------------------------------------------------------------------------------

    def add(
        self, name: str, shown: str, role: str, school_class: str | None, until: str | None, now_ms: int
    ) -> tuple[User, str]:
        """A new user without a password, and the one-time link's secret. Raises UserRefused."""
        if not NAME.fullmatch(name):
            raise UserRefused("name")
        known, school_class, day = role_words(role, school_class, until)
        if day is not None and day < datetime.fromtimestamp(now_ms / 1000, VIETNAM).date():
            # They could never log in, and nobody would know why.
            raise UserRefused("past")
        shown = plain(shown or name, SHOWN_MAX)
        with self._database.transaction() as run:
            if run.execute("SELECT 1 FROM users WHERE name = ?", (name,)).fetchone():
                raise UserRefused("taken")
            tokens = run.execute("SELECT name FROM tokens").fetchall()
            if not {name, shown.casefold()}.isdisjoint(str(token).casefold() for (token,) in tokens):
                raise UserRefused("named")
            if run.execute("SELECT count(*) FROM users").fetchone()[0] >= USERS_MAX:
                raise UserRefused("many")
            number = run.execute(
                "INSERT INTO users (name, shown, role, class, until, made_ms) VALUES (?, ?, ?, ?, ?, ?)",
                (name, shown, known, school_class, day and day.isoformat(), now_ms),
            ).lastrowid
            assert number is not None
            if known == "it":
                # Whoever may make users is there, so the first user's link has done its work.
                run.execute("DELETE FROM login_links WHERE user IS NULL")
            person = Person(name, known, school_class, day, shown)
            return User(number, person, ready=False, revoked=False, made_ms=now_ms), self._link(run, number, now_ms)

    def first_link(self, now_ms: int) -> str:
        """The link that makes the first user, any earlier one gone."""
        with self._database.transaction() as run:
            run.execute("DELETE FROM login_links WHERE user IS NULL")
            return self._link(run, None, now_ms)

    def new_link(self, name: str, now_ms: int) -> str:
        """A new one-time link for somebody who lost the password; any earlier one is gone. Raises UserRefused."""
        with self._database.transaction() as run:
            number = self._number(run, name)
            run.execute("DELETE FROM login_links WHERE user = ?", (number,))
            return self._link(run, number, now_ms)

    @staticmethod
    def _link(run: sqlite3.Connection, user: int | None, now_ms: int) -> str:
        secret = new_secret()
        run.execute("DELETE FROM login_links WHERE expires_ms < ?", (now_ms,))
        run.execute("INSERT INTO login_links VALUES (?, ?, ?)", (hash_of(secret), user, now_ms + LINK_MS))
        return secret

    @staticmethod
    def _number(run: sqlite3.Connection, name: str) -> int:
        row = run.execute("SELECT user FROM users WHERE name = ? AND revoked_ms IS NULL", (name,)).fetchone()
        if row is None:
            raise UserRefused("unknown")
        return int(row[0])

    def link(self, secret: str, now_ms: int) -> tuple[bool, User | None]:
        """Whether a one-time link stands, and whose it is (None: the first user's)."""
        with self.reading() as run:
            row = run.execute(
                "SELECT user FROM login_links WHERE token = ? AND expires_ms > ? AND expires_ms <= ?",
                (hash_of(secret), now_ms, now_ms + LINK_MS),
            ).fetchone()
            if row is None:
                return False, None
            if row["user"] is None:
                return True, None
            user = run.execute(f"{_USERS} WHERE user = ? AND revoked_ms IS NULL", (row["user"],)).fetchone()
        return (False, None) if user is None else (True, _user(user))

    def use_link(self, secret: str, password_hash: str, first_name: str, now_ms: int) -> User | None:
        """Set the password that a link allows, once; None where the link no longer stands. Raises UserRefused.

        All sessions of that user end.
        """
        with self._database.transaction() as run:
            row = run.execute(
                "SELECT user FROM login_links WHERE token = ? AND expires_ms > ? AND expires_ms <= ?",
                (hash_of(secret), now_ms, now_ms + LINK_MS),
            ).fetchone()
            if row is None:
                return None
            run.execute("DELETE FROM login_links WHERE token = ?", (hash_of(secret),))
            if row[0] is None:
                user, _ = self.add(first_name, first_name, "it", None, None, now_ms)
                run.execute("DELETE FROM login_links WHERE user = ?", (user.number,))
                name = first_name
            else:
                found = run.execute("SELECT name FROM users WHERE user = ?", (row[0],)).fetchone()
                name = str(found[0])
            self.set_secret(name, password_hash)
        return self.find(name)

    def set_secret(self, name: str, password_hash: str) -> None:
        """Another password; every session of that user ends. Raises UserRefused."""
        with self._database.transaction() as run:
            number = self._number(run, name)
            run.execute("UPDATE users SET secret = ? WHERE user = ?", (password_hash, number))
            run.execute("DELETE FROM sessions WHERE user = ?", (number,))

    def move(self, name: str, school_class: str | None, until: date | None = None) -> None:
        """Another class for whoever has one, or another last day; all their sessions end. Raises UserRefused."""
        with self._database.transaction() as run:
            number = self._number(run, name)
            (role,) = run.execute("SELECT role FROM users WHERE user = ?", (number,)).fetchone()
            if role not in CLASS_ROLES and school_class is not None:
                raise UserRefused("no-class")
            if role in CLASS_ROLES:
                school_class = plain(school_class or "", CLASS_MAX)
                run.execute("UPDATE users SET class = ? WHERE user = ?", (school_class, number))
            if until is not None:
                run.execute("UPDATE users SET until = ? WHERE user = ?", (until.isoformat(), number))
            run.execute("DELETE FROM sessions WHERE user = ?", (number,))

    def revoke(self, name: str, now_ms: int) -> None:
        """Let somebody in no longer, at once. Raises UserRefused."""
        with self._database.transaction() as run:
            number = self._number(run, name)
            run.execute("UPDATE users SET revoked_ms = ?, secret = NULL WHERE user = ?", (now_ms, number))
            run.execute("DELETE FROM sessions WHERE user = ?", (number,))
            run.execute("DELETE FROM login_links WHERE user = ?", (number,))


_USERS: Final = (
    "SELECT user, name, shown, role, class, until, made_ms, revoked_ms, secret IS NOT NULL AS ready FROM users"
)


def person_in(row: sqlite3.Row) -> Person:
    """The person of a row with name, shown, role, class and until."""
    role = role_of(row["role"])
    assert role is not None
    until = None if row["until"] is None else date.fromisoformat(row["until"])
    return Person(row["name"], role, row["class"], until, row["shown"])


def _user(row: sqlite3.Row) -> User:
    return User(row["user"], person_in(row), bool(row["ready"]), row["revoked_ms"] is not None, row["made_ms"])
