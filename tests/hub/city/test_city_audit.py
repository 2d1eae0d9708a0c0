"""Reading back what the city holds: exact bytes page by page, a token that ran out, and answers that are none."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import httpx2
import pytest

from hub.city.k12records import AUDIT_BYTES_MAX, AUDIT_LIMIT, CityClient
from protocol.errors import CityUnreachable

Answer = Callable[[httpx2.Request], httpx2.Response]


def client(answer: Answer, **login: object) -> CityClient:
    return CityClient("http://city", transport=httpx2.MockTransport(answer), **login)  # type: ignore[arg-type]


def page_of(*events: bytes, following: str | None = None) -> bytes:
    items = b",".join(b'{"event":%s,"effective":{"best":"x"}}' % event for event in events)
    return b'{"items":[%s],"next":%s}' % (items, b"null" if following is None else b'"%s"' % following.encode())


def test_pages_are_asked_for_one_after_the_other_and_bytes_stay_as_they_are() -> None:
    asked: list[str] = []

    def answer(request: httpx2.Request) -> httpx2.Response:
        asked.append(str(request.url))
        if "after" not in request.url.params:
            return httpx2.Response(200, content=page_of(b'{"b": 1,  "a":"\xc3\xa9"}', b"{}", following="7 &x"))
        return httpx2.Response(200, content=page_of())

    city = client(answer)
    assert city.page(None) == ([b'{"b": 1,  "a":"\xc3\xa9"}', b"{}"], "7 &x")
    assert city.page("7 &x") == ([], None)
    first, second = (httpx2.URL(url) for url in asked)
    assert (first.path, dict(first.params)) == ("/k12edge/v1/events", {"limit": str(AUDIT_LIMIT)})
    assert dict(second.params) == {"limit": str(AUDIT_LIMIT), "after": "7 &x"}
    city.close()


@pytest.mark.parametrize(
    "answer",
    [
        httpx2.Response(302, headers={"location": "http://elsewhere/"}),
        httpx2.Response(403),
        httpx2.Response(404),
        httpx2.Response(429),
        httpx2.Response(500),
        httpx2.Response(200, content=b"<html>"),
        httpx2.Response(200, content=b'{"items":[]}'),
        httpx2.Response(200, content=page_of(b"{}", following="5")),
        httpx2.Response(200, content=page_of(following="6")),
        httpx2.Response(200, content=b"[" * 100_000),
        httpx2.Response(200, content=bytes(AUDIT_BYTES_MAX + 1)),
    ],
    ids=lambda response: f"{response.status_code}-{response.content[:12]!r}",
)
def test_what_is_no_page_is_said_to_be_none(answer: httpx2.Response) -> None:
    city = client(lambda _: answer)
    with pytest.raises(CityUnreachable):
        city.page("5")
    city.close()


def test_a_city_that_is_not_there_is_said_to_be_away() -> None:
    def away(_: httpx2.Request) -> httpx2.Response:
        raise httpx2.ConnectError("refused")

    with pytest.raises(CityUnreachable, match="ConnectError"):
        client(away).page(None)


def test_a_token_that_ran_out_is_fetched_anew_once(tmp_path: Path) -> None:
    secret = tmp_path / "secret"
    secret.write_text("s3cret\n", encoding="utf-8")
    given: list[str] = []

    def answer(request: httpx2.Request) -> httpx2.Response:
        if request.url.path == "/token":
            given.append(f"t{len(given)}")
            return httpx2.Response(200, json={"access_token": given[-1]})
        shown = request.headers.get("authorization")
        return httpx2.Response(200, content=page_of(b"{}")) if shown == "Bearer t1" else httpx2.Response(401)

    city = client(answer, token_url="http://city/token", client_id="school", client_secret_file=secret)
    assert city.page(None) == ([b"{}"], None)
    assert given == ["t0", "t1"]
    city.close()
