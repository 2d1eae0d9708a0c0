"""A question to the city's roster, and what an answer to it may be."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Literal

from hub.rostersync.rows import Row

LIMIT: Final = 500
"""Rows that we ask for at once. A server may give fewer; how many it gives ends nothing."""
Kind = Literal["full", "delta"]


@dataclass(frozen=True, slots=True)
class Ask:
    """One GET of a collection, sorted by sourcedId.

    `after`: only rows behind this id. `offset`: how many to pass over, where the server can't do that. `since_ms`: only
    rows modified at or after it, by the server's clock.
    """

    collection: str
    limit: int = LIMIT
    after: str | None = None
    offset: int | None = None
    descending: bool = False
    since_ms: int | None = None

    @property
    def filtered(self) -> bool:
        """Whether a filter is in it, which a server may not understand."""
        return self.after is not None or self.since_ms is not None


@dataclass(frozen=True, slots=True)
class Page:
    """The rows of an answer as they came; `server_ms` is its Date, None where it has none that can be read."""

    rows: tuple[Row, ...]
    server_ms: int | None


@dataclass(frozen=True, slots=True)
class Busy:
    """429, or 503 with Retry-After: not before so many ms."""

    after_ms: int


@dataclass(frozen=True, slots=True)
class Refused:
    """The server answered, and not with rows: 3xx (never followed) or 4xx. Asking again alone won't help."""

    status: int


@dataclass(frozen=True, slots=True)
class Unreachable:
    """No answer, or one that can't be used: cut, slow, too large, no JSON, 5xx. It may come another time."""

    reason: str


Answer = Page | Busy | Refused | Unreachable
