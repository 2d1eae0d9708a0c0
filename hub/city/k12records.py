"""The K12 records service of the city, by our own contract: events pushed in batches, answered one by one."""

from __future__ import annotations

import gzip
import re
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Final, Literal

import httpx2
import msgspec

from hub.city.login import UNANSWERED, Login, TooMuch, retry_after_ms
from hub.forwarding.owing import Answer, BadRequest, Misrouted, PerEvent, Result, RetryAfter, TooLarge, Unreachable
from protocol.envelope import EVENT_BYTES_MAX
from protocol.errors import CityUnreachable

ANSWER_BYTES_MAX: Final = 4 * 1024 * 1024
PROBLEM_CHARACTERS_MAX: Final = 200
AUDIT_LIMIT: Final = 500
"""Records asked for at once: a transaction of as many holds up a gateway's batch no longer than another batch."""
AUDIT_BYTES_MAX: Final = AUDIT_LIMIT * (EVENT_BYTES_MAX + 1024)
MISROUTED: Final = (403, 404, 410)


class _Item(msgspec.Struct):
    event: msgspec.Raw


class _Page(msgspec.Struct):
    items: list[_Item]
    next: str | None


class _Problem(msgspec.Struct):
    type: str = "about:blank"
    title: str = ""
    retryable: bool = False


class _Result(msgspec.Struct):
    source: str
    id: str
    status: Literal["stored", "duplicate", "rejected"]
    problem: _Problem | None = None


class _Results(msgspec.Struct):
    results: list[_Result]


class CityClient:
    """See hub.forwarding.owing for what each answer means. One thread at a time; connections are kept alive."""

    def __init__(
        self,
        url: str,
        token_url: str | None = None,
        client_id: str | None = None,
        client_secret_file: Path | None = None,
        transport: httpx2.BaseTransport | None = None,
        now_s: Callable[[], float] = time.time,
    ) -> None:
        """`url` is the service's root; see Login for the rest."""
        self._url = url.rstrip("/") + "/k12edge/v1/events"
        self._login = Login(token_url, client_id, client_secret_file, transport)
        self._now_s = now_s

    def close(self) -> None:
        """Give the connections back."""
        self._login.close()

    def submit(self, batch: Sequence[bytes]) -> Answer:
        """Push events' exact bytes; never raises."""
        # Its time of making, which gzip would add, has no room for a year after 2106.
        body = gzip.compress(b"[" + b",".join(batch) + b"]", compresslevel=1, mtime=0)
        headers = {"content-type": "application/cloudevents-batch+json", "content-encoding": "gzip"}
        try:
            status, told, answer = self._login.ask("POST", self._url, headers, body, ANSWER_BYTES_MAX)
        except UNANSWERED as problem:
            # Lost on the way back, or never there: in the first case it may be what we sent that made the city fail.
            answered = isinstance(problem, httpx2.ReadTimeout | httpx2.ReadError | httpx2.RemoteProtocolError | TooMuch)
            return Unreachable(f"{type(problem).__name__}: {problem}"[:200], answered)
        return judged(status, told, answer, self._now_s())

    def page(self, after: str | None) -> tuple[list[bytes], str | None]:
        """Records that the city holds, in the order of its commits, and what to ask for next. Raises CityUnreachable.

        The audit: None asks for the first ones, and what comes next is None at the end.
        """
        query = httpx2.QueryParams({"limit": str(AUDIT_LIMIT), **({} if after is None else {"after": after})})
        try:
            url = httpx2.URL(f"{self._url}?{query}")
            status, _, answer = self._login.ask("GET", url, {}, b"", AUDIT_BYTES_MAX)
            if status != 200:
                raise CityUnreachable(f"the city's audit answers {status}")
            found = msgspec.json.decode(answer, type=_Page)
        except (*UNANSWERED, msgspec.DecodeError, RecursionError) as problem:
            raise CityUnreachable(f"the city's audit: {type(problem).__name__}: {problem}"[:200]) from problem
        if found.next is not None and (found.next == after or not found.items):
            raise CityUnreachable("the city's audit goes on and brings nothing")
        return [bytes(item.event) for item in found.items], found.next


def judged(status: int, headers: httpx2.Headers, body: bytes, now_s: float) -> Answer:
    """What an HTTP answer to a batch says. Only 200 with results is an answer about events; 202 is none."""
    if status == 200:
        try:
            found = msgspec.json.decode(body, type=_Results).results
        except (msgspec.DecodeError, ValueError, RecursionError) as problem:
            return Unreachable(f"200 without results: {problem}"[:200], answered=True)
        return PerEvent(_by_name(found))
    if status == 413:
        return TooLarge()
    if status in (400, 415, 422):
        return BadRequest(_problem_type(body) or f"urn:k12edge:problem:status-{status}")
    if status == 429 or (status == 503 and "retry-after" in headers):
        return RetryAfter(retry_after_ms(headers.get("retry-after"), now_s))
    if 300 <= status < 400 or status in MISROUTED:
        return Misrouted(status)
    return Unreachable(f"status {status}", answered=status != 401)


def _by_name(found: Sequence[_Result]) -> dict[tuple[str, str], Result]:
    """The results by (source, id); one that is told in two ways is not told."""
    results: dict[tuple[str, str], Result] = {}
    contradicted: set[tuple[str, str]] = set()
    for one in found:
        name, result = (one.source, one.id), _result(one)
        if (results.setdefault(name, result).status == "rejected") != (result.status == "rejected"):
            contradicted.add(name)
    return {name: result for name, result in results.items() if name not in contradicted}


def _result(result: _Result) -> Result:
    if result.status != "rejected":
        return Result(result.status)
    problem = result.problem or _Problem()
    retryable = problem.retryable or re.split("[:/#]", problem.type)[-1] == "unknown-student"
    return Result("rejected", problem.type[:PROBLEM_CHARACTERS_MAX], retryable)


def _problem_type(body: bytes) -> str | None:
    try:
        return msgspec.json.decode(body, type=_Problem).type[:PROBLEM_CHARACTERS_MAX]
    except (msgspec.DecodeError, ValueError, RecursionError):
        return None
