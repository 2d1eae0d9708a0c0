"""Every role at every route of the real application: what the matrix allows passes, all else is refused and audited."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import httpx2 as httpx
import pytest
from fastapi import FastAPI
from fastapi.routing import APIRoute
from starlette.routing import Mount

from hub.access.rights import CLASS_ROLES, MATRIX, READ_ONLY_ROLES, READING, ROLES, Right, Role
from hub.web.ground import rules
from hub.web.registry import PAGES, Rule
from hub.web.site import make_app
from tests.hub.web.pagehub import CLASS, OTHER_CLASS, PageHub, csrf_in, page_hub

OPEN = {
    ("GET", "/login"),
    ("POST", "/login"),
    ("POST", "/logout"),
    ("GET", "/first/{secret}"),
    ("POST", "/first/{secret}"),
    ("POST", "/appearance"),
    ("GET", "/ca"),
    ("GET", "/ca.crt"),
    ("GET", "/onsite.js"),
}
"""Routes for anybody, named here a second time: one more is a decision."""
HERE = {
    ("GET", "/devices"),
    ("GET", "/healthz"),
    ("GET", "/v1/dead-letters"),
    ("GET", "/v1/devices"),
    ("GET", "/v1/forks"),
    ("GET", "/v1/ledger/events"),
    ("GET", "/v1/ledger/events/digest"),
    ("GET", "/v1/ledger/journals"),
    ("GET", "/v1/parked"),
    ("GET", "/v1/status"),
    ("GET", "/v1/watermark"),
    ("POST", "/v1/dead-letters/{position}/close"),
    ("POST", "/v1/dead-letters/{position}/resend"),
}
"""Routes that programs of this machine have without a login, named a second time too: they hold no names."""
AWAY = {"x-forwarded-for": "10.20.30.40"}
"""Says that the request was passed on for another machine."""


def app() -> FastAPI:
    nothing: object = None
    return make_app(nothing, nothing)  # type: ignore[arg-type]


RULES = rules(app())


@pytest.fixture(scope="module")
def hub(tmp_path_factory: pytest.TempPathFactory) -> Iterator[PageHub]:
    with page_hub(tmp_path_factory.mktemp("pages") / "hub") as made:
        yield made


@pytest.fixture(scope="module")
def browsers(hub: PageHub) -> dict[Role, httpx.Client]:
    return hub.everybody()


def test_every_route_declares_its_rule_and_nothing_else_is_served() -> None:
    made = app()
    others = [route for route in made.routes if not isinstance(route, APIRoute)]
    assert [(type(route).__name__, getattr(route, "path", "")) for route in others] == [
        ("Route", "/v1/openapi.json"),
        ("Mount", "/static"),
    ]
    assert all(isinstance(route, Mount) or route.path == "/v1/openapi.json" for route in others)  # type: ignore[attr-defined]
    assert {key for key, rule in RULES.items() if rule.right == "open"} == OPEN
    assert {key for key, rule in RULES.items() if rule.here} == HERE


def test_a_route_without_a_rule_can_not_be_made() -> None:
    with pytest.raises(AttributeError):
        app().add_api_route("/forgotten", lambda: "names")


def test_every_page_of_the_registry_has_its_route_and_every_route_its_page() -> None:
    pages = {page.path: page for page in PAGES}
    assert len(pages) == len(PAGES)
    shown = {
        path for (method, path), rule in RULES.items() if method == "GET" and not rule.api and rule.what[:4] == "see "
    }
    assert shown == set(pages)
    for page in PAGES:
        rule = RULES["GET", page.path]
        assert (rule.right, rule.of, rule.here) == (page.right, page.of, page.here)


def test_what_changes_something_needs_a_right_that_may() -> None:
    for (method, path), rule in RULES.items():
        if method != "GET" and rule.right != "open":
            assert rule.writes and rule.right not in READING, path
        else:
            assert not rule.writes, path


def status_of(client: httpx.Client, method: str, address: str, **more: Any) -> int:
    """The status alone: a stream has no end to wait for."""
    with client.stream(method, address, headers=AWAY, **more) as answer:
        return answer.status_code


def expected(role: Role, rule: Rule, school_class: str | None) -> bool:
    """What docs/reference/roles.md says, said anew here."""
    if rule.right in ("open", "account"):
        return True
    right: Right = rule.right  # type: ignore[assignment]
    if right not in MATRIX[role] or (role in READ_ONLY_ROLES and right not in READING):
        return False
    if rule.of in ("own", "object"):
        return True
    asked = school_class or (CLASS if rule.of == "class" and role in CLASS_ROLES else None)
    return role not in CLASS_ROLES or asked == CLASS


def refusals(hub: PageHub, who: str) -> list[Any]:
    """Every row of somebody's refusals, page by page."""
    found: list[Any] = []
    while some := hub.store.audit.page(found[-1].number if found else None, 200, who, outcome="refused"):
        found += some
    return found


@pytest.mark.parametrize("role", ROLES)
def test_a_role_passes_where_the_matrix_says_and_nowhere_else(
    hub: PageHub, browsers: dict[Role, httpx.Client], role: Role
) -> None:
    client = browsers[role]
    csrf = csrf_in(client.get("/me"))
    refused = set()
    for (method, path), rule in RULES.items():
        if rule.right == "open" or path in ("/me/password", "/me/end"):
            continue
        for school_class in (None, CLASS, OTHER_CLASS) if rule.of == "class" else (None,):
            address = re.sub(r"\{[^}]*\}", "1", path) + (f"?class={school_class}" if school_class else "")
            if method == "GET":
                answer = status_of(client, method, address)
            elif rule.api:
                answer = status_of(client, method, address, json={})
            else:
                answer = status_of(client, method, address, data={"csrf": csrf})
            passes = expected(role, rule, school_class)
            told = f"{role} {method} {address}: {answer}"
            assert answer < 500, told
            # An object route lets the role in, and its handler refuses what it doesn't know.
            assert (answer not in (401, 403)) == passes or (rule.of == "object" and passes), told
            assert passes or answer == 403, told
            if answer == 403:
                refused.add(rule.what)
    written = {row.what for row in refusals(hub, f"{role}.user") if not row.code}
    # Of an object that isn't there a role is told nothing but that it may not.
    objects = {rule.what for rule in RULES.values() if rule.of == "object" and expected(role, rule, None)}
    assert written - objects == refused - objects


def test_nobody_gets_nowhere(hub: PageHub) -> None:
    client = hub.client()
    for (method, path), rule in RULES.items():
        if rule.right == "open":
            continue
        address = re.sub(r"\{[^}]*\}", "1", path)
        body = {"json": {}} if rule.api else {"data": {"csrf": ""}}
        answer = client.request(method, address, headers=AWAY, **({} if method == "GET" else body))  # type: ignore[arg-type]
        if rule.api:
            assert answer.status_code == 401 and "login-needed" in answer.text, address
        else:
            assert answer.status_code == 303 and answer.headers["location"].startswith("/login"), address


def test_programs_of_this_machine_need_no_login_where_no_names_are(hub: PageHub) -> None:
    client = hub.client()
    for (method, path), rule in RULES.items():
        if method != "GET" or not rule.here:
            continue
        address = path.replace("/digest", "/digest?journal=0123456789abcdef&from=1&to=1")
        assert client.get(address).status_code == 200, address
        for passed_on in ({"x-real-ip": "10.0.0.1"}, {"forwarded": "for=10.0.0.1"}, {"host": "evil.example"}):
            assert client.get(address, headers=passed_on).status_code in (401, 303), (address, passed_on)


@pytest.mark.parametrize("role", ROLES)
def test_a_token_is_held_to_its_role(hub: PageHub, role: Role) -> None:
    words = {"teacher": {"class": CLASS}, "substitute": {"class": CLASS, "until": "2099-01-01"}}.get(role, {})
    secret = hub.ask("token-add", role=role, name=f"{role} token", **words)
    client = hub.client(authorization=f"Bearer {secret}", accept="application/json")
    for (method, path), rule in RULES.items():
        address = re.sub(r"\{[^}]*\}", "1", path)
        if rule.right == "open":
            continue
        if rule.api:
            answer = status_of(client, method, address, **({} if method == "GET" else {"json": {}}))
            passes = expected(role, rule, None)
            assert (answer not in (401, 403)) == passes or (rule.of == "object" and passes), address
        else:
            answer = status_of(client, method, address)
            assert answer in (303, 403, 415), "pages are for people"
    number = next(line for line in hub.ask("token-list").splitlines() if f"{role} token" in line).partition("\t")[0]
    hub.ask("token-revoke", number=number)
    assert client.get("/v1/status", headers=AWAY).status_code == 401
