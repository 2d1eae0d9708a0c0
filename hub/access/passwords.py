"""Passwords: argon2id (RFC 9106), a few at a time, and as slow for a name that nobody has."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

from protocol.errors import Transient

AT_ONCE: Final = 2
"""Each takes MEMORY_KIB; on a small hub many logins at once wait for each other."""
MEMORY_KIB: Final = 19_456
ROUNDS: Final = 2
"""OWASP's password storage cheat sheet: 19 MiB, two rounds, one lane."""

PATIENCE_S: Final = 5.0
"""Whoever waits longer for a place is sent away, so that a flood of logins holds no other page up."""


class Busy(Transient):
    """Too many people log in at this moment."""

    code = "login-busy"
    hint = "Try again in a few seconds."


_places = threading.BoundedSemaphore(AT_ONCE)
_NOBODYS: Final = (
    "$argon2id$v=19$m=19456,t=2,p=1$bm9ib2R5LW5vYm9keS1ub2JvZHk$AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"
)
"""A hash of these costs that no password has."""


@contextmanager
def _place() -> Iterator[None]:
    if not _places.acquire(timeout=PATIENCE_S):
        raise Busy("too many logins at once")
    try:
        yield
    finally:
        _places.release()


def hash_password(password: str) -> str:
    """The encoded hash of a new password. Raises Busy."""
    from argon2 import PasswordHasher

    with _place():
        return PasswordHasher(ROUNDS, MEMORY_KIB, 1).hash(password)


def is_password(encoded: str | None, password: str) -> bool:
    """Whether it is the password of this hash; None takes as long and is never so. Raises Busy."""
    from argon2 import PasswordHasher
    from argon2.exceptions import InvalidHashError, VerificationError

    with _place():
        try:
            return PasswordHasher(ROUNDS, MEMORY_KIB, 1).verify(encoded or _NOBODYS, password) and encoded is not None
        except (VerificationError, InvalidHashError):
            return False
