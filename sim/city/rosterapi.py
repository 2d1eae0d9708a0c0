"""The city's OneRoster answers, by its manners: an honest server's, or those of servers as they are met. For tests too.

One room for both the reference service (over HTTP) and the campaign (without a socket): a question's words in, status,
headers and bytes out.
"""

from __future__ import annotations

import email.utils
import re
from collections.abc import Mapping
from dataclasses import dataclass
from random import Random
from typing import Any, Final

import msgspec

from sim.city.rosterbook import RosterBook, Row

LIMIT_DEFAULT: Final = 100
LIMIT_MAX: Final = 10_000
_TERM: Final = re.compile(r"(sourcedId|dateLastModified|status)(>=|>|=)'([^']*)'")


class Manners(msgspec.Struct, forbid_unknown_fields=True):
    """How the service behaves. Shares are probabilities (0 to 1) a request; `seed` draws them.

    `clamp`: at most so many rows a page, whatever was asked. `edits`: so many happen while each page is made. `hidden`:
    a share of all users and enrolments that isn't shown, always the same ones. `empty`: names of collections that
    answer without a row. `repeats`: the first page for ever. `date_off_s`: how wrong the Date header is.
    """

    seed: int = 1
    clamp: int = 0
    ignores_filter: bool = False
    refuses_filter: bool = False
    ignores_sort: bool = False
    ignores_since: bool = False
    edits: float = 0
    hidden: float = 0
    empty: list[str] = []
    lacks: list[str] = []
    repeats: bool = False
    duplicates: float = 0
    too_many: float = 0
    retry_after_s: int = 0
    retry_as_date: bool = False
    unavailable: float = 0
    truncated: float = 0
    wrong_types: float = 0
    redirects: bool = False
    slow_ms: int = 0
    date_off_s: int = 0
    no_date: bool = False


@dataclass(frozen=True, slots=True)
class Told:
    """An answer as it goes out."""

    status: int
    headers: dict[str, str]
    body: bytes


class RosterApi:
    """See the room. `played` counts the edits that happened under a pull."""

    def __init__(self, book: RosterBook, manners: Manners) -> None:
        """Serve a book."""
        self.book, self.manners = book, manners
        self._rng = Random(manners.seed)
        self.edited = 0

    def answer(self, collection: str, words: Mapping[str, str]) -> Told:
        """What a GET of a collection gets."""
        manners = self.manners
        if manners.redirects:
            return self._told(302, b"", {"location": "http://127.0.0.1:9/elsewhere"})
        if collection not in self.book.rows or collection in manners.lacks:
            return self._told(404, b"{}")
        if self._drawn(manners.too_many):
            now_s = self.book.now_ms() / 1000
            after = str(manners.retry_after_s)
            if manners.retry_as_date:
                after = email.utils.formatdate(now_s + manners.retry_after_s, usegmt=True)
            return self._told(429, b"{}", {"retry-after": after})
        if self._drawn(manners.unavailable):
            return self._told(503, b"{}")
        if manners.refuses_filter and "filter" in words:
            return self._told(400, b'{"imsx_codeMajor":"failure","imsx_codeMinor":"invalid_filter_field"}')
        rows = [] if collection in manners.empty else self._page(collection, words)
        body = msgspec.json.encode({collection: rows})
        if self._drawn(manners.truncated):
            body = body[: len(body) * 2 // 3]
        return self._told(200, body)

    def _told(self, status: int, body: bytes, more: Mapping[str, str] | None = None) -> Told:
        headers = {"content-type": "application/json", **(more or {})}
        if not self.manners.no_date:
            now_s = self.book.now_ms() / 1000 + self.manners.date_off_s
            headers["date"] = email.utils.formatdate(now_s, usegmt=True)
        return Told(status, headers, body)

    def _drawn(self, share: float) -> bool:
        return share > 0 and self._rng.random() < share

    def _page(self, collection: str, words: Mapping[str, str]) -> list[Row]:
        manners = self.manners
        limit = min(max(1, _whole(words.get("limit"), LIMIT_DEFAULT)), manners.clamp or LIMIT_MAX)
        offset = 0 if manners.repeats else _whole(words.get("offset"), 0)
        rows = self._chosen(collection, words)
        page = [self._shown(row) for row in rows[offset : offset + limit]]
        if page and self._drawn(manners.duplicates):
            again = self._rng.randrange(len(page))
            page.insert(again, page[again])
        for _ in range(int(manners.edits) + self._drawn(manners.edits % 1)):
            self.book.edit()
            self.edited += 1
        return page

    def _chosen(self, collection: str, words: Mapping[str, str]) -> list[Row]:
        """The rows that a question means, in its order."""
        manners, held = self.manners, self.book.rows[collection]
        after, since = "", ""
        if not manners.ignores_filter and not manners.repeats:
            for field, operator, value in _TERM.findall(words.get("filter", "")):
                if (field, operator) == ("sourcedId", ">"):
                    after = value
                elif (field, operator) == ("dateLastModified", ">=") and not manners.ignores_since:
                    since = value
        if manners.ignores_sort or words.get("sort") != "sourcedId":
            rows = [row for name, row in held.items() if name > after]
        else:
            rows = [held[name] for name in self.book.behind(collection, after)]
            if words.get("orderBy") == "desc":
                rows.reverse()
        if since:
            rows = [row for row in rows if row["dateLastModified"] >= since]
        if manners.hidden and collection in ("users", "enrollments"):
            rows = [row for row in rows if not self.hides(row["sourcedId"])]
        return rows

    def hides(self, name: str) -> bool:
        """Whether a row is among those that aren't shown."""
        return Random(f"{self.manners.seed} {name}").random() < self.manners.hidden

    def _shown(self, row: Row) -> Row:
        if not self._drawn(self.manners.wrong_types):
            return row
        wrong: dict[str, Any] = {"givenName": 7, "title": None, "class": "none", "startDate": 2026, "name": []}
        return row | {key: value for key, value in wrong.items() if key in row}


def _whole(text: str | None, otherwise: int) -> int:
    return int(text) if text is not None and text.isdecimal() else otherwise
