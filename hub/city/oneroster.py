"""The city's roster service, spoken to by our OneRoster 1.2 profile, one GET a question: docs/reference/oneroster.md.

Nothing of an answer is ever in an error's words: there are children's names in it.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Final

import httpx2

from hub.city.login import UNANSWERED, Login, http_date_ms, retry_after_ms
from hub.rostersync.asking import Answer, Ask, Busy, Page, Refused, Unreachable
from hub.rostersync.rows import fields_of, read_page
from protocol.errors import BadMessage

ANSWER_BYTES_MAX: Final = 16 * 1024 * 1024
"""20,000 rows, which is more than is ever asked for, of 800 bytes."""
EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
FIRST_MS: Final = -62_135_596_800_000
"""0001-01-01: what was modified before it, was modified since ever."""


class OneRoster:
    """See the room. One thread at a time; connections are kept alive."""

    def __init__(
        self,
        url: str,
        token_url: str | None = None,
        client_id: str | None = None,
        client_secret_file: Path | None = None,
        transport: httpx2.BaseTransport | None = None,
        now_s: Callable[[], float] = time.time,
    ) -> None:
        """`url`: what stands before `/users`; see Login for the rest."""
        self._url, self._now_s = url.rstrip("/"), now_s
        self._login = Login(token_url, client_id, client_secret_file, transport)

    def close(self) -> None:
        """Give the connections back."""
        self._login.close()

    def ask(self, asked: Ask) -> Answer:
        """One question, one answer; never raises."""
        headers = {"accept": "application/json"}
        try:
            url = httpx2.URL(f"{self._url}/{asked.collection}", params=parameters(asked))
            status, told, body = self._login.ask("GET", url, headers, b"", ANSWER_BYTES_MAX)
        except UNANSWERED as problem:
            return Unreachable(f"{type(problem).__name__}: {problem}"[:200])
        return judged(asked.collection, status, told, body, self._now_s())


def parameters(asked: Ask) -> dict[str, str]:
    """The query of a question."""
    filters = []
    if asked.since_ms is not None:
        filters.append(f"dateLastModified>='{moment(asked.since_ms)}'")
    if asked.after is not None:
        filters.append(f"sourcedId>'{asked.after}'")
    found = {
        "limit": str(asked.limit),
        "sort": "sourcedId",
        "orderBy": "desc" if asked.descending else "asc",
        "fields": fields_of(asked.collection),
    }
    if asked.offset is not None:
        found["offset"] = str(asked.offset)
    if filters:
        found["filter"] = " AND ".join(filters)
    return found


def moment(unix_ms: int) -> str:
    """A moment as OneRoster writes it: UTC, with milliseconds and Z."""
    when = EPOCH + timedelta(milliseconds=max(FIRST_MS, unix_ms))
    return f"{when:%Y-%m-%dT%H:%M:%S}.{when.microsecond // 1000:03d}Z".rjust(24, "0")


def judged(collection: str, status: int, headers: httpx2.Headers, body: bytes, now_s: float) -> Answer:
    """What an HTTP answer says. Only 200 with rows is one about the roster."""
    if status == 200:
        try:
            return Page(read_page(collection, body), http_date_ms(headers.get("date")))
        except BadMessage as problem:
            return Unreachable(str(problem))
    if status == 429 or (status == 503 and "retry-after" in headers):
        return Busy(retry_after_ms(headers.get("retry-after"), now_s))
    # 401 comes here with a token that was new: the login is wrong, or was taken back.
    if 300 <= status < 500 and status not in (408, 425):
        return Refused(status)
    return Refused(status) if status == 501 else Unreachable(f"status {status}")
