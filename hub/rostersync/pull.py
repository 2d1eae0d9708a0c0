"""A pull: every collection walked, one after the other, through failures and waits. Sans input and output.

`ask` says what to ask next, `take` hears the answer and says how long to wait before the next question. A pull ends
whole, or fails and leaves nothing behind: what the hub has stays as it is.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from hub.rostersync.asking import Answer, Ask, Busy, Kind, Page, Refused, Unreachable
from hub.rostersync.rows import NEEDED, OPTIONAL, Row
from hub.rostersync.walk import Walk
from protocol.errors import NeedsHands, Transient

if TYPE_CHECKING:
    from random import Random

FAILURES_MAX: Final = 5
"""So many failures of one question in a row end the pull; the next one begins anew, later."""
RETRY_FIRST_MS: Final = 500
RETRY_MAX_MS: Final = 30_000
BUSY_MIN_MS: Final = 200
BUSY_MAX_MS: Final = 60_000
"""A server that asks for more gets it before the next pull, not within this one."""
LACKING: Final = (403, 404, 501)
"""How a server says that it hasn't an optional collection."""


class PullFailed(Transient):
    """The city's roster can't be pulled now; the roster in force stays."""

    code = "roster-unreachable"
    hint = "The hub pulls again by itself. Check [city] roster_url, the login, and the network."

    def __init__(self, message: str, *, again_ms: int | None = None) -> None:
        """`again_ms`: how long the server asked to be left alone."""
        super().__init__(message)
        self.again_ms = again_ms


class DeltaRefused(PullFailed):
    """The city doesn't say what changed since a moment; it is asked for everything, less often."""

    code = "roster-delta-refused"
    hint = "Nothing to do: the hub asks for everything, once an hour."


class NotPulled(NeedsHands):
    """A person asked for a pull of the city's roster, and none was made, or it isn't through."""

    code = "roster-not-pulled"
    hint = "Start the hub, with [city] roster_url in its configuration."


class RosterMisrouted(PullFailed):
    """What answers at the roster's address is no OneRoster server, or refuses this hub."""

    code = "roster-misrouted"
    hint = "Correct [city] roster_url or the login (client_id, client_secret_file). The roster in force stays."


@dataclass(frozen=True, slots=True)
class Gathered:
    """What was seen of a collection; `whole`: what isn't among it isn't at the server."""

    rows: Mapping[str, Row]
    whole: bool


@dataclass(frozen=True, slots=True)
class Harvest:
    """What a pull brought. `cursor_ms`: by the server's clock, everything modified before it was there to be seen."""

    kind: Kind
    collections: Mapping[str, Gathered]
    cursor_ms: int | None
    asks: int
    offsets: tuple[str, ...]
    """Collections that had to be walked by offset."""


class Pull:
    """See the room."""

    def __init__(self, kind: Kind, since_ms: int | None, rng: Random) -> None:
        """Nothing was asked yet. A delta without `since_ms` asks for everything, and still tells of nothing gone."""
        self.kind, self._since_ms, self._rng = kind, since_ms, rng
        self._left = [*NEEDED, *OPTIONAL]
        self._walk = self._next_walk()
        self._gathered: dict[str, Gathered] = {}
        self._offsets: list[str] = []
        self._failures = 0
        self._begun = False
        self._begun_ms: int | None = None
        self._newest_ms: int | None = None
        self.asks = 0

    def _next_walk(self) -> Walk | None:
        return Walk(self._left[0], self._since_ms, full=self.kind == "full") if self._left else None

    def ask(self) -> Ask | None:
        """What to ask now; None when all was walked."""
        return None if self._walk is None else self._walk.ask()

    def take(self, answer: Answer) -> int:
        """An answer to `ask`; how many ms to wait before the next. Raises PullFailed, WalkFailed."""
        assert self._walk is not None
        self.asks += 1
        match answer:
            case Page(rows, server_ms):
                self._failures = 0
                self._date(rows, server_ms)
                self._walk.take(rows)
                self._step()
                return 0
            case Busy(after_ms):
                return self._busy(after_ms)
            case Refused(status):
                self._refused(self._walk, status)
                return 0
            case Unreachable(reason):
                return self._failed(reason)

    def _date(self, rows: tuple[Row, ...], server_ms: int | None) -> None:
        if not self._begun:
            # What is modified after the first answer may be behind us already; it belongs to the next delta.
            self._begun, self._begun_ms = True, server_ms
        for row in rows:
            if row.modified_ms is not None:
                self._newest_ms = max(row.modified_ms, self._newest_ms or row.modified_ms)

    def _step(self) -> None:
        walk = self._walk
        assert walk is not None
        if walk.stage == "done":
            self._gathered[self._left[0]] = Gathered(walk.rows, walk.whole)
            if walk.walks:
                self._offsets.append(self._left[0])
            self._pass_over()

    def _pass_over(self) -> None:
        self._left.pop(0)
        self._walk = self._next_walk()

    def _busy(self, after_ms: int) -> int:
        self._failures += 1
        if after_ms > BUSY_MAX_MS or self._failures >= FAILURES_MAX:
            raise PullFailed(f"{self._left[0]}: the city asks to wait {after_ms} ms", again_ms=after_ms)
        return max(BUSY_MIN_MS, after_ms)

    def _failed(self, reason: str) -> int:
        self._failures += 1
        if self._failures >= FAILURES_MAX:
            raise PullFailed(f"{self._left[0]}: {reason}")
        whole_ms: int = min(RETRY_MAX_MS, RETRY_FIRST_MS << self._failures)
        return whole_ms // 2 + self._rng.randrange(whole_ms // 2 + 1)

    def _refused(self, walk: Walk, status: int) -> None:
        optional = self._left[0] in OPTIONAL
        if optional and status in LACKING and not walk.pages:
            self._pass_over()
        elif status in (400, 422, 501) and walk.refused():
            pass
        elif self._since_ms is not None and status in (400, 422, 501):
            raise DeltaRefused(f"{self._left[0]}: status {status} to a filter by dateLastModified")
        else:
            raise RosterMisrouted(f"{self._left[0]}: status {status}")

    def harvest(self) -> Harvest:
        """What it brought, when `ask` is None."""
        assert self._walk is None
        known = [moment for moment in (self._begun_ms, self._newest_ms) if moment is not None]
        # The earlier of the two: a clock that runs ahead, or a row from the future, must not hide what comes.
        cursor_ms = min(known, default=None)
        return Harvest(self.kind, self._gathered, cursor_ms, self.asks, tuple(self._offsets))
