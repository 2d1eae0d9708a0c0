"""Hostile requests: what the OpenAPI document allows and what it doesn't, and odd values in each field of each form."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import suppress
from typing import Any
from unittest import SkipTest

import httpx2 as httpx
import pytest
import schemathesis
from fastapi.routing import APIRoute
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from hypothesis.errors import Unsatisfiable

from hub.web.ground import rules
from hub.web.site import make_app
from tests.hub.web.pagehub import CLASS, PageHub, csrf_in, page_hub

EXAMPLES = 2
"""Of each operation and each mode; drawn the same each time."""
AWAY = {"x-forwarded-for": "10.20.30.40"}
ODD = (
    "",
    "'; DROP TABLE users; --",
    "<script>alert(1)</script>",
    "=cmd|' /C calc'!A0",
    "‮evil\u202c",
    "\x00",
    "\r\nset-cookie: x=1",
    "a" * 5000,
    "𝒩guyễn" * 10,
    "\ud7ff\ue000\uffff",
    "-1",
    "9999-12-31",
    "1900-02-29",
    "/\\evil.example",
)
"""What people and tools put into a field that expects something else."""


def nothing_app() -> Any:
    nothing: Any = None
    return make_app(nothing, nothing)


APP = nothing_app()
RULES = rules(APP)
DOCUMENT = APP.openapi()
SCHEMA = schemathesis.openapi.from_dict(DOCUMENT)
OPERATIONS = [found.ok() for found in SCHEMA.get_all_operations()]


@pytest.fixture(scope="module")
def hub(tmp_path_factory: pytest.TempPathFactory) -> Iterator[PageHub]:
    with page_hub(tmp_path_factory.mktemp("pages") / "hub") as made:
        made.add("ky.thuat", "it")
        made.add("hieu.truong", "principal")
        yield made


@pytest.fixture(scope="module")
def callers(hub: PageHub) -> list[httpx.Client]:
    """A program that may most, and one that is bound to a class."""
    words = ({"role": "it"}, {"role": "teacher", "class": CLASS})
    return [
        hub.client(authorization=f"Bearer {hub.ask('token-add', name='x', **one)}", accept="application/json", **AWAY)
        for one in words
    ]


def answered(client: httpx.Client, case: Any) -> httpx.Response:
    """A case sent as it is: method, path, query and body of the tool's, headers of ours."""
    path = case.formatted_path
    body = case.body
    content: dict[str, Any] = {} if not isinstance(body, dict | list | str | int | float) else {"json": body}
    if case.method != "GET" and not content:
        content = {"content": b"{}", "headers": {"content-type": "application/json"}}
    query = {str(name): value for name, value in (case.query or {}).items()}
    with client.stream(case.method, path, params=query, **content) as answer:
        # A stream of events has no end to wait for; that it was let in is its answer.
        if not answer.headers["content-type"].startswith("text/event-stream"):
            answer.read()
    return answer


@pytest.mark.parametrize("operation", OPERATIONS, ids=lambda one: f"{one.method} {one.path}")
def test_no_request_makes_a_route_fail(hub: PageHub, callers: list[httpx.Client], operation: Any) -> None:
    """Values by the document, and values against it: an answer with its reason, never a fault of the hub's."""
    found: list[str] = []
    for mode in (schemathesis.GenerationMode.POSITIVE, schemathesis.GenerationMode.NEGATIVE):
        # An operation without anything to get wrong has no negative cases.
        with suppress(Unsatisfiable, SkipTest):
            drawn(operation.as_strategy(generation_mode=mode), callers, found)
    assert not found, found[:3]


def drawn(strategy: Any, callers: list[httpx.Client], found: list[str]) -> None:
    @settings(
        max_examples=EXAMPLES,
        derandomize=True,
        database=None,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    @given(st.data())
    def run(data: Any) -> None:
        case = data.draw(strategy)
        for client in callers:
            answer = answered(client, case)
            if answer.status_code >= 500 and answer.url.path != "/healthz":
                found.append(f"{answer.request.method} {answer.url}: {answer.status_code}")
            if answer.status_code >= 400 and "json" not in answer.headers["content-type"]:
                found.append(f"{answer.url}: no problem details")

    run()


def fields_of(route: APIRoute) -> tuple[list[str], list[str]]:
    """Names of a form's fields and of an address's queries."""
    return [one.alias for one in _body_fields(route)], [one.alias for one in route.dependant.query_params]


def _body_fields(route: APIRoute) -> list[Any]:
    return list(route.dependant.body_params)


PAGES = [
    route
    for route in APP.routes
    if isinstance(route, APIRoute) and not RULES[next(iter(route.methods or ())), route.path].api
]


@pytest.mark.parametrize("route", PAGES, ids=lambda one: f"{next(iter(one.methods))} {one.path}")
def test_odd_values_in_any_field_make_no_page_fail(hub: PageHub, route: APIRoute) -> None:
    method = next(iter(route.methods or ()))
    # A session of one's own: a page may end it, and one login after another would be refused.
    secret = hub.store.sessions.begin("ky.thuat", "tests", hub.store.clock.now_ms())
    assert secret is not None
    client = hub.client()
    client.cookies.set("k12", secret)
    csrf = csrf_in(client.get("/me"))
    fields, queries = fields_of(route)
    for odd in ODD:
        if "\x00" in odd and "{" in route.path:
            continue
        path = re.sub(r"\{[^}]*\}", httpx.URL("http://x/", params={"v": odd}).query.decode()[2:] or "x", route.path)
        answer = client.request(
            method,
            path[:4000],
            params=dict.fromkeys(queries, odd),
            **({"data": {**dict.fromkeys(fields, odd), "csrf": csrf}} if method == "POST" else {}),  # type: ignore[arg-type]
        )
        assert answer.status_code < 500, (route.path, odd, answer.status_code)
        assert "<script>alert(1)" not in answer.text
        assert "set-cookie: x=1" not in str(answer.headers)
        if route.path == "/logout":
            break


@pytest.mark.parametrize(
    ("headers", "content"),
    [
        ({"content-type": "multipart/form-data"}, b"x"),
        ({"content-type": "multipart/form-data; boundary=b"}, b"--b\r\nContent-Disposition: form-data\r\n\r\nx"),
        ({"content-type": "multipart/form-data; boundary=b"}, b"--c\r\n"),
        ({"content-type": "application/x-www-form-urlencoded"}, b"&" * 5000),
        ({"content-type": "application/x-www-form-urlencoded"}, b"a=1&" * 5000),
        ({"content-type": "application/x-www-form-urlencoded"}, b"name=%ff%fe&password=%00"),
        ({"content-type": "text/plain"}, b"name=a"),
    ],
)
def test_broken_forms_are_refused(hub: PageHub, headers: dict[str, str], content: bytes) -> None:
    answer = hub.client().post("/login", content=content, headers=headers)
    assert 400 <= answer.status_code < 500, answer.text


def test_cookies_and_tokens_of_any_form_let_nobody_in(hub: PageHub) -> None:
    for odd in ("x", "k12_", "a" * 5000, "é", "..", "%00"):
        for headers in ({"cookie": f"k12={odd}"}, {"authorization": f"Bearer {odd}"}, {"authorization": odd}):
            sent = {name: value.encode("utf-8") for name, value in {**headers, **AWAY}.items()}
            answer = hub.client().get("/v1/status", headers=sent)  # type: ignore[arg-type]
            assert answer.status_code in (400, 401, 431), (headers, answer.status_code)
