"""The login at a city's service: its one HTTP client, with bounds on every answer and a token where one is needed."""

from __future__ import annotations

import email.utils
import functools
import time
from pathlib import Path
from typing import Final

import httpx2
import msgspec

CONNECT_S: Final = 10.0
"""Two round trips of a line with 2 s of latency each way, and one lost packet."""
READ_S: Final = 10.0
WHOLE_S: Final = 60.0
"""An answer that trickles ends after this time, whatever it says."""
TOKEN_BYTES_MAX: Final = 64 * 1024
RETRY_AFTER_DEFAULT_MS: Final = 5_000


class _Token(msgspec.Struct):
    access_token: str


class TooMuch(Exception):
    """The answer is larger, or slower, than any sound one."""


UNANSWERED: Final = (httpx2.HTTPError, httpx2.InvalidURL, TooMuch, OSError, ValueError)
"""What `ask` raises where there is no answer that can be used."""


class Login:
    """See the room. One thread at a time; connections are kept alive."""

    def __init__(
        self,
        token_url: str | None = None,
        client_id: str | None = None,
        client_secret_file: Path | None = None,
        transport: httpx2.BaseTransport | None = None,
    ) -> None:
        """Without `token_url` nobody logs in. `transport`: another wire than sockets."""
        self._token_url, self._client_id, self._secret_file = token_url, client_id, client_secret_file
        self._token: str | None = None
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

    def ask(
        self, method: str, url: str | httpx2.URL, headers: dict[str, str], body: bytes, most: int
    ) -> tuple[int, httpx2.Headers, bytes]:
        """One request with a token; a second one with a new token after a 401. Raises UNANSWERED.

        Of the answer's body at most `most` bytes are taken, unpacked.
        """
        if self._token_url is None:
            return self._read(method, url, headers, body, most)
        answer = self._read(method, url, headers | self._bearer(), body, most)
        if answer[0] == 401:
            self._token = None
            answer = self._read(method, url, headers | self._bearer(), body, most)
        return answer

    def _bearer(self) -> dict[str, str]:
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
        return {"authorization": f"Bearer {self._token}"}

    def _read(
        self, method: str, url: str | httpx2.URL, headers: dict[str, str], body: bytes, most: int
    ) -> tuple[int, httpx2.Headers, bytes]:
        where = _taken_apart(url) if isinstance(url, str) else url
        with self._http.stream(method, where, headers=headers, content=body) as response:
            answer, deadline = bytearray(), time.monotonic() + WHOLE_S
            for piece in response.iter_bytes():
                answer += piece
                if len(answer) > most or time.monotonic() > deadline:
                    raise TooMuch(f"an answer of more than {most} bytes or {WHOLE_S:g} s")
            return response.status_code, response.headers, bytes(answer)


_taken_apart = functools.lru_cache(maxsize=4)(httpx2.URL)
"""Two addresses are asked again and again. Raises httpx2.InvalidURL."""


def retry_after_ms(text: str | None, now_s: float) -> int:
    """Retry-After in seconds or as an HTTP date (RFC 9110, 10.2.3)."""
    if text is None:
        return RETRY_AFTER_DEFAULT_MS
    if text.strip().isascii() and text.strip().isdigit():
        return int(text.strip()[:9]) * 1000
    moment_ms = http_date_ms(text)
    return RETRY_AFTER_DEFAULT_MS if moment_ms is None else max(0, moment_ms - int(now_s * 1000))


def http_date_ms(text: str | None) -> int | None:
    """An HTTP date as Unix ms; None where it is none."""
    try:
        return None if text is None else int(email.utils.parsedate_to_datetime(text).timestamp() * 1000)
    except (TypeError, ValueError, OverflowError):
        return None
