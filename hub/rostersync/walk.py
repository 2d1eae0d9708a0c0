"""A walk through one collection, page by page, until nothing of it can be missing. Sans input and output.

By key, where the server can: each page is what stands behind the last id, until an *empty* one. How many rows a page
has says nothing: servers clamp. What is edited meanwhile moves no row that stands still.

Whether it can is seen, not believed: a page that isn't sorted, begins before its key, or a collection whose last row is
not what the probe from behind showed. Then by offset, where each edit shifts what follows: walked until two walks find
the same ids. Walks that never agree give what was seen, and no proof that anything is gone.

    first -> last -> keys -> done       by key: its first page, the probe from behind, the pages
    any of them -> offset -> done       the server sorts or filters otherwise than asked, or refuses the question
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, Literal

from hub.rostersync.asking import LIMIT, Ask
from hub.rostersync.rows import Row
from protocol.errors import Transient

ROWS_MAX: Final = 100_000
"""Several years of enrolments of the largest school."""
PAGES_MAX: Final = 5_000
WALKS_MAX: Final = 6
STALE_PAGES_MAX: Final = 3
"""So many pages in a row without a new id are a server that shows the same ones for ever."""

Stage = Literal["first", "last", "keys", "offset", "done"]


class WalkFailed(Transient):
    """The city's roster can't be walked to its end; what the hub has stays as it is."""

    code = "roster-walk-failed"
    hint = "Tell the city's operators; see docs/reference/oneroster.md. The hub asks again by itself."


class Walk:
    """See the room. `rows` is all that was seen, `whole` whether what isn't among them isn't at the server."""

    def __init__(self, collection: str, since_ms: int | None = None, *, full: bool = True) -> None:
        """Begin at the front. Where it isn't for a full pull, once by offset is enough, and nothing is ever whole."""
        assert since_ms is None or not full
        self._collection, self._since_ms, self._full = collection, since_ms, full
        self.stage: Stage = "first"
        self.rows: dict[str, Row] = {}
        self.pages = 0
        self.walks = 0
        """How many times it was walked by offset."""
        self.whole = False
        self._key = ""
        self._end: str | None = None
        self._offset = self._stale = 0
        self._met: set[str] = set()
        self._before: set[str] | None = None

    def ask(self) -> Ask | None:
        """What to ask now; None when done."""
        match self.stage:
            case "first":
                return Ask(self._collection, LIMIT, since_ms=self._since_ms)
            case "last":
                return Ask(self._collection, 1, descending=True, since_ms=self._since_ms)
            case "keys":
                return Ask(self._collection, LIMIT, after=self._key, since_ms=self._since_ms)
            case "offset":
                return Ask(self._collection, LIMIT, offset=self._offset, since_ms=self._since_ms)
            case "done":
                return None

    def take(self, rows: Sequence[Row]) -> None:
        """The rows of an answer to `ask`. Raises WalkFailed."""
        self.pages += 1
        if self.pages > PAGES_MAX:
            raise WalkFailed(f"{self._collection}: more than {PAGES_MAX} pages")
        for row in rows:
            self._see(row)
        if len(self.rows) > ROWS_MAX:
            raise WalkFailed(f"{self._collection}: more than {ROWS_MAX} rows")
        match self.stage:
            case "first" | "keys":
                self._take_by_key(rows)
            case "last":
                self._take_last(rows)
            case "offset":
                self._take_by_offset(rows)
            case "done":
                raise AssertionError("nothing was asked")

    def refused(self) -> bool:
        """The server refuses the question; whether another way is tried."""
        if self.stage == "last" or (self.stage == "keys" and self._since_ms is None):
            self._walk_by_offset()
            return True
        return False

    def _see(self, row: Row) -> None:
        held = self.rows.get(row.id)
        # The same row twice, edited in between: the newer one is true.
        if held is None or (row.modified_ms or 0) >= (held.modified_ms or 0):
            self.rows[row.id] = row

    def _take_by_key(self, rows: Sequence[Row]) -> None:
        if not rows:
            self._finish_by_key()
            return
        ids = [row.id for row in rows]
        if ids != sorted(ids) or ids[0] <= self._key or not _quotable(ids[-1]):
            self._walk_by_offset()
            return
        self._key = ids[-1]
        self.stage = "last" if self.stage == "first" else "keys"

    def _take_last(self, rows: Sequence[Row]) -> None:
        """A server that passes `sort` over shows its first row here, which then is before the page's last."""
        if not rows or rows[0].id < self._key:
            self._walk_by_offset()
        else:
            self._end = rows[0].id
            self.stage = "keys"

    def _finish_by_key(self) -> None:
        if self._end is not None and self._key < self._end:
            # The last row went meanwhile, or the walk fell short of it: another look tells.
            self._walk_by_offset()
            return
        self.whole = self._full
        self.stage = "done"

    def _walk_by_offset(self) -> None:
        self.stage = "offset"
        self._offset = self._stale = 0
        self._met = set()

    def _take_by_offset(self, rows: Sequence[Row]) -> None:
        if not rows:
            self._finish_by_offset()
            return
        ids = {row.id for row in rows}
        new = ids - self._met
        self._met |= new
        self._stale = 0 if new else self._stale + 1
        if self._stale >= STALE_PAGES_MAX:
            raise WalkFailed(f"{self._collection}: the same page again and again")
        # A row that stands twice on a page may stand once at the server: rather twice a row than none.
        self._offset += len(ids)

    def _finish_by_offset(self) -> None:
        self.walks += 1
        agreed = self._before == self._met
        if agreed or self.walks >= WALKS_MAX or not self._full:
            self.whole = agreed and self._full
            self.stage = "done"
            return
        self._before = self._met
        self._walk_by_offset()


def _quotable(key: str) -> bool:
    """Whether an id may stand in a filter: OneRoster says nothing of a quote within quotes."""
    return "'" not in key and "\\" not in key
