"""The K12 records service of the city, by our own contract: events pushed in batches, answered one by one."""

from __future__ import annotations

import email.utils
import functools
import gzip
import logging
import re
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Final, Literal

import httpx2
import msgspec

from hub.forwarding import Answer, BadRequest, Misrouted, PerEvent, Result, RetryAfter, TooLarge, Unreachable

log = logging.getLogger("k12edge.city")

CONNECT_S: Final = 10.0
"""Two round trips of a line with 2 s of latency each way, and one lost packet."""
READ_S: Final = 10.0
WHOLE_S: Final = 60.0
"""An answer that trickles ends after this time, whatever it says."""
ANSWER_BYTES_MAX: Final = 4 * 1024 * 1024
TOKEN_BYTES_MAX: Final = 64 * 1024
RETRY_AFTER_DEFAULT_MS: Final = 5_000
PROBLEM_CHARACTERS_MAX: Final = 200
MISROUTED: Final = (403, 404, 410)


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


class _Token(msgspec.Struct):
    access_token: str


class _TooMuch(Exception):
    """The answer is larger, or slower, than any sound one."""


class CityClient:
    """See hub.forwarding for what each answer means. One thread at a time; connections are kept alive."""

    def __init__(
        self,
        url: str,
        token_url: str | None = None,
        client_id: str | None = None,
        client_secret_file: Path | None = None,
        transport: httpx2.BaseTransport | None = None,
        now_s: Callable[[], float] = time.time,
    ) -> None:
        """`url` is the service's root; without `token_url` nobody logs in. `transport`: another wire than sockets."""
        self._url = url.rstrip("/") + "/k12edge/v1/events"
        self._token_url, self._client_id, self._secret_file = token_url, client_id, client_secret_file
        self._token: str | None = None
        self._now_s = now_s
        # Redirects are never followed: a hijacked or wrong address must be seen by a person.
        self._http = httpx2.Client(
            follow_redirects=False,
            timeout=httpx2.Timeout(READ_S, connect=CONNECT_S),
            trust_env=False,
            transport=transport,
        )

    def close(self) -> None:
        """Give the connections back."""
        self._http.close()

    def submit(self, batch: Sequence[bytes]) -> Answer:
        """Push events' exact bytes; never raises."""
        # Its time of making, which gzip would add, has no room for a year after 2106.
        body = gzip.compress(b"[" + b",".join(batch) + b"]", compresslevel=1, mtime=0)
        try:
            status, headers, answer = self._post(body)
            if status == 401 and self._token_url is not None:
                self._token = None
                status, headers, answer = self._post(body)
        except (httpx2.HTTPError, httpx2.InvalidURL, _TooMuch, OSError, ValueError) as problem:
            # Lost on the way back, or never there: in the first case it may be what we sent that made the city fail.
            answered = isinstance(
                problem, httpx2.ReadTimeout | httpx2.ReadError | httpx2.RemoteProtocolError | _TooMuch
            )
            return Unreachable(f"{type(problem).__name__}: {problem}"[:200], answered)
        return judged(status, headers, answer, self._now_s())

    def _post(self, body: bytes) -> tuple[int, httpx2.Headers, bytes]:
        headers = {"content-type": "application/cloudevents-batch+json", "content-encoding": "gzip"}
        if self._token_url is not None:
            headers["authorization"] = f"Bearer {self._bearer()}"
        return self._read("POST", self._url, headers, body, ANSWER_BYTES_MAX)

    def _bearer(self) -> str:
        if self._token is None:
            assert self._token_url is not None and self._secret_file is not None and self._client_id is not None
            secret = self._secret_file.read_text(encoding="utf-8").strip()
            form = httpx2.QueryParams(
                {"grant_type": "client_credentials", "client_id": self._client_id, "client_secret": secret}
            )
            headers = {"content-type": "application/x-www-form-urlencoded"}
            status, _, answer = self._read("POST", self._token_url, headers, str(form).encode("ascii"), TOKEN_BYTES_MAX)
            if status != 200:
                raise OSError(f"the token service answered {status}")
            try:
                self._token = msgspec.json.decode(answer, type=_Token).access_token
            except msgspec.DecodeError as problem:
                raise OSError(f"the token service's answer holds no token: {problem}") from problem
        return self._token

    def _read(
        self, method: str, url: str, headers: dict[str, str], body: bytes, most: int
    ) -> tuple[int, httpx2.Headers, bytes]:
        with self._http.stream(method, _taken_apart(url), headers=headers, content=body) as response:
            answer, deadline = bytearray(), time.monotonic() + WHOLE_S
            for piece in response.iter_bytes():
                answer += piece
                if len(answer) > most or time.monotonic() > deadline:
                    raise _TooMuch(f"an answer of more than {most} bytes or {WHOLE_S:g} s")
            return response.status_code, response.headers, bytes(answer)


_taken_apart = functools.lru_cache(maxsize=4)(httpx2.URL)
"""Two addresses are asked again and again. Raises httpx2.InvalidURL."""


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


def retry_after_ms(text: str | None, now_s: float) -> int:
    """Retry-After in seconds or as an HTTP date (RFC 9110, 10.2.3)."""
    if text is None:
        return RETRY_AFTER_DEFAULT_MS
    if text.strip().isascii() and text.strip().isdigit():
        return int(text.strip()[:9]) * 1000
    try:
        moment_s = email.utils.parsedate_to_datetime(text).timestamp()
    except (TypeError, ValueError, OverflowError):
        return RETRY_AFTER_DEFAULT_MS
    return max(0, int((moment_s - now_s) * 1000))
