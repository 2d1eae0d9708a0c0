"""The audit says what happened: allowed is what was done, all else is refused with its code, and an act has one row."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import httpx2 as httpx
import pytest

from hub.access.rights import Role
from tests.hub.web.dayhub import DAY, ROSTER, DayHub, day_hub
from tests.hub.web.pagehub import CLASS, OTHER_CLASS, csrf_in

MINE = [row.pupil_key for row in ROSTER if row.school_class == CLASS]
OTHERS = [row.pupil_key for row in ROSTER if row.school_class == OTHER_CLASS]
FORM = {"day": DAY.isoformat(), "half": "am"}
MARK = f"/class/mark?class={CLASS}"
Row = tuple[str, str, str, str, str]


@pytest.fixture(scope="module")
def hub(tmp_path_factory: pytest.TempPathFactory) -> Iterator[DayHub]:
    with day_hub(tmp_path_factory.mktemp("audit") / "hub") as made:
        yield made


@pytest.fixture(scope="module")
def browsers(hub: DayHub) -> dict[Role, httpx.Client]:
    roles: tuple[Role, ...] = ("principal", "teacher", "guard", "kitchen", "it")
    return {role: hub.browser(role) for role in roles}


def told(hub: DayHub, client: httpx.Client, method: str, path: str, **more: Any) -> tuple[int, list[Row]]:
    """What is answered, and the rows that the audit has of it, the oldest first."""
    before = hub.audit()[0].number if hub.audit() else 0
    answer = client.request(method, path, **more)
    rows = [row for row in hub.audit() if row.number > before]
    return answer.status_code, [(row.what, row.object, row.kind, row.outcome, row.code) for row in reversed(rows)]


def fields(client: httpx.Client, **more: str) -> dict[str, str]:
    return {"csrf": csrf_in(client.get("/me")), **FORM, **more}


def test_a_mark_that_is_made_has_one_row_and_names_its_pupil(hub: DayHub, browsers: dict[Role, httpx.Client]) -> None:
    client = browsers["teacher"]
    made = told(hub, client, "POST", MARK, data=fields(client, act=f"{MINE[0]} late"))
    assert made == (303, [("mark late", MINE[0], "write", "allowed", "")])
    signed = told(hub, client, "POST", f"/class/sign?class={CLASS}", data=fields(client))
    assert signed == (303, [("sign class", CLASS, "write", "allowed", "")])


def test_a_form_of_another_session_was_not_allowed(hub: DayHub, browsers: dict[Role, httpx.Client]) -> None:
    client = browsers["teacher"]
    data = fields(client, act=f"{MINE[0]} present") | {"csrf": "0" * 64}
    assert told(hub, client, "POST", MARK, data=data) == (
        403,
        [("mark pupil", CLASS, "write", "refused", "form-expired")],
    )


def test_another_sites_request_leaves_a_row_of_whose_browser_it_used(
    hub: DayHub, browsers: dict[Role, httpx.Client]
) -> None:
    client = browsers["teacher"]
    data, foreign = fields(client, act=f"{MINE[0]} present"), {"origin": "https://evil.example"}
    assert told(hub, client, "POST", MARK, data=data, headers=foreign) == (
        403,
        [("mark pupil", "", "write", "refused", "foreign-origin")],
    )
    assert hub.audit()[0].who == "teacher.user"
    assert told(hub, hub.client(), "POST", MARK, data=data, headers=foreign) == (403, []), "nobody has no row"
    large = told(hub, client, "POST", MARK, data={**data, "act": "x" * 70_000})
    assert large == (413, [("mark pupil", "", "write", "refused", "too-large")])


def test_what_is_not_taken_was_not_allowed(hub: DayHub, browsers: dict[Role, httpx.Client]) -> None:
    client = browsers["teacher"]
    assert told(hub, client, "POST", MARK, data=fields(client, act=f"{MINE[0]} strange")) == (
        422,
        [("mark pupil", CLASS, "write", "refused", "invalid-request")],
    )
    sent = fields(client) | {"half": "night"}
    assert told(hub, client, "POST", f"/class/sign?class={CLASS}", data=sent) == (
        422,
        [("sign class", CLASS, "write", "refused", "invalid-request")],
    )
    assert told(hub, client, "POST", MARK, data=fields(client, act=f"{OTHERS[0]} late")) == (
        403,
        [("mark pupil", OTHERS[0], "write", "refused", "")],
    )


def test_what_only_a_page_says_was_not_done_was_not_allowed(hub: DayHub, browsers: dict[Role, httpx.Client]) -> None:
    client = browsers["it"]
    for path, sent, what, code in (
        ("/city/resend", {"position": "999"}, "dead letter resent", "no-dead-letter"),
        ("/city/close", {"position": "999", "note": ""}, "dead letter closed", "reason-needed"),
        ("/users/revoke", {"name": "nobody"}, "revoke user", "user-refused"),
        ("/tokens/revoke", {"number": "999"}, "revoke token", "user-refused"),
    ):
        status, rows = told(hub, client, "POST", path, data=fields(client, **sent))
        assert (status, rows) == (303, [(what, "", "write", "refused", code)]), path


def test_every_page_of_names_is_a_look(hub: DayHub, browsers: dict[Role, httpx.Client]) -> None:
    teacher, guard = browsers["teacher"], browsers["guard"]
    assert told(hub, teacher, "GET", "/paper/entry") == (200, [("see paper entry", CLASS, "read", "allowed", "")])
    assert told(hub, guard, "GET", "/paper/gate") == (200, [("see paper gate", "", "read", "allowed", "")])


def test_a_refusal_names_the_pupil_who_was_asked_for(hub: DayHub, browsers: dict[Role, httpx.Client]) -> None:
    client = browsers["kitchen"]
    assert told(hub, client, "GET", f"/pupil/{MINE[1]}") == (403, [("see pupil", MINE[1], "read", "refused", "")])
    asked = told(hub, client, "GET", f"/v1/cards?student={MINE[2]}")
    assert asked == (403, [("api cards", MINE[2], "read", "refused", "")])


def test_the_page_shows_the_code_and_finds_the_act_by_its_name(hub: DayHub, browsers: dict[Role, httpx.Client]) -> None:
    data = fields(browsers["teacher"]) | {"csrf": "0" * 64}
    assert browsers["teacher"].post(f"/class/sign?class={CLASS}", data=data).status_code == 403
    shown = browsers["it"].get("/audit", params={"what": "sign class", "outcome": "refused"}).text
    assert "<code>form-expired</code>" in shown and 'title="sign class"' in shown
    assert 'title="mark pupil"' not in shown and "sign class:" not in shown


def test_a_program_of_this_machine_that_changes_something_has_a_row(hub: DayHub) -> None:
    client = hub.client(accept="application/json")
    assert told(hub, client, "POST", "/v1/dead-letters/999/resend", json={}) == (
        404,
        [("post dead-letters resend", "999", "write", "refused", "no-dead-letter")],
    )
    assert hub.audit()[0].who == "-"
