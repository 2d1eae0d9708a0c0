"""The ledger's records for programs: what people entered is told by right, to nobody else."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import httpx2 as httpx
import pytest

from hub.access.records import NEEDED, needed
from hub.access.rights import PERSONAL, ROLES, Person, allowed
from hub.attendance.evidence import HALVES
from hub.days.classbook import today_at
from hub.days.office import HalfDayOf
from hub.roster import RosterRow
from hub.store.database import open_for_reading
from protocol.envelope import digest_bytes, rfc3339, text_of
from protocol.records import DATA_TYPES
from tests.hub.web.pagehub import CLASS, LAST_DAY, PageHub, page_hub

ROSTER = (RosterRow("st-an", "Nguyễn Văn An", CLASS, "a:04A1B2C3D4E581"),)
REASON = "mẹ gọi: em sốt cao"
ENTERED = {"attendance.rollcall", "attendance.leave", "card.changed", "consent.changed", "watermark.waived"}
AWAY = {"x-forwarded-for": "10.0.0.7"}


@pytest.fixture(scope="module")
def hub(tmp_path_factory: pytest.TempPathFactory) -> Iterator[PageHub]:
    with page_hub(tmp_path_factory.mktemp("ledger") / "hub") as made:
        office, day = made.store.office, today_at(made.store.clock.now_ms())
        office.take_roster("-", ROSTER)
        office.roll_call("co.mai", HalfDayOf(CLASS, day, "am"), {"st-an": "excused"}, reason=REASON)
        office.leave("co.mai", "st-an", (day, HALVES[0]), (day + timedelta(days=1), HALVES[-1]))
        waived = {"device": "cong", "through": rfc3339(made.store.clock.now_ms()), "by": "hieu.truong"}
        with made.store.database.transaction():
            assert made.store.own is not None
            made.store.own.append("watermark.waived", {**waived, "reason": "mất điện ở cổng"})
        made.store.consents.enter("van.thu", "st-an", given=True)
        office.card("van.thu", "issued", "a:04A1B2C3D4E582", "st-an")
        yield made


def token(hub: PageHub, role: str) -> httpx.Client:
    more = {"teacher": {"class": CLASS}, "substitute": {"class": CLASS, "until": LAST_DAY}}.get(role, {})
    secret = hub.ask("token-add", role=role, name=f"{role}.program", **more).split()[-1]
    return hub.client(authorization=f"Bearer {secret}", accept="application/json")


def listed(client: httpx.Client, **headers: str) -> list[dict[str, Any]]:
    answer = client.get("/v1/ledger/events?limit=1000", headers=headers)
    assert answer.status_code == 200, answer.text
    return [item["event"] for item in answer.json()["items"]]


def kinds(events: list[dict[str, Any]], *, told: bool) -> set[str]:
    return {kind for one in events if ("data" in one) == told and (kind := one["type"][11:-3]) in ENTERED}


@pytest.mark.parametrize(
    ("role", "told"),
    [
        ("it", {"card.changed", "consent.changed"}),
        ("dpo", set[str]()),
        ("auditor", {"attendance.rollcall", "attendance.leave", "watermark.waived"}),
        ("principal", ENTERED),
    ],
)
def test_what_people_entered_is_told_by_the_rights_that_the_pages_ask_for(
    hub: PageHub, role: str, told: set[str]
) -> None:
    client = token(hub, role)
    events = listed(client, **AWAY)
    assert kinds(events, told=True) == told
    assert kinds(events, told=False) == ENTERED - told
    assert (REASON in client.get("/v1/ledger/events?limit=1000").text) == ("attendance.rollcall" in told)
    looks = [row for row in hub.audit() if row.who == f"token {role}.program" and row.what == "api ledger events"]
    personal = sorted(told - {"watermark.waived"})
    assert [(row.object, row.kind, row.outcome) for row in looks] == (
        [(" ".join(personal), "read", "allowed")] if personal else []
    )


def test_a_program_of_this_machine_counts_and_compares_and_reads_nothing_that_people_entered(hub: PageHub) -> None:
    client = hub.client(accept="application/json")
    answer = client.get("/v1/ledger/events?limit=1000")
    for word in (REASON, "st-an", "co.mai", "hieu.truong", "van.thu", "mất điện"):
        assert word not in answer.text, word
    events = listed(client)
    assert kinds(events, told=False) == ENTERED and kinds(events, told=True) == set()
    reader = open_for_reading(hub.store.path)
    try:
        raws = [bytes(raw) for (raw,) in reader.execute("SELECT raw FROM events ORDER BY position")]
    finally:
        reader.close()
    assert len(events) == len(raws), "all are counted"
    for event, raw in zip(events, raws, strict=True):
        if "data" not in event:
            assert set(event) == {"id", "source", "type", "time", "digest", "withheld"}
            assert event["digest"] == text_of(digest_bytes(raw)) and event["withheld"] is True
    assert any(one["type"] == "vn.k12edge.journal.opened.v1" and "data" in one for one in events), "machines' stay"


def test_roles_that_may_not_see_the_ledger_at_all_stay_outside(hub: PageHub) -> None:
    for role in ("teacher", "nurse", "guard", "kitchen"):
        assert token(hub, role).get("/v1/ledger/events", headers=AWAY).status_code == 403


def test_a_role_on_this_machine_is_told_what_is_its_own(hub: PageHub) -> None:
    events = listed(token(hub, "nurse"))
    assert kinds(events, told=True) == {"attendance.rollcall", "attendance.leave"}


def test_every_type_that_is_written_says_what_it_asks_for_and_any_other_asks_for_everything() -> None:
    assert set(NEEDED) == set(DATA_TYPES)
    assert needed("of.tomorrow") == PERSONAL
    today = today_at(0)
    having = {role for role in ROLES if all(allowed(Person("-", role), one, None, today) for one in PERSONAL)}
    assert having == {"principal"}


def test_the_reason_of_a_roll_call_is_for_whoever_sees_reasons(hub: PageHub) -> None:
    for role, seen in (("principal", True), ("teacher", True), ("supervisor", False), ("dpo", False)):
        answer = token(hub, role).get("/v1/rollcall", params={"class": CLASS}, headers=AWAY)
        assert answer.status_code == 200 and (REASON in answer.text) == seen, role


def test_a_dead_letter_keeps_its_words_from_whoever_may_not_have_them(hub: PageHub) -> None:
    with hub.store.database.transaction() as run:
        run.execute(
            "INSERT INTO forward_exceptions (position, state, attempts, due_ms, problem)"
            " SELECT position, 'dead', 1, 0, 'unknown-student' FROM events WHERE instr(raw, ?) > 0",
            (REASON.encode(),),
        )
    here, auditor = hub.client(accept="application/json"), token(hub, "auditor")
    for client, headers, told in ((here, {}, False), (token(hub, "it"), AWAY, False), (auditor, AWAY, True)):
        answer = client.get("/v1/dead-letters", headers=headers)
        assert [item["reason"] for item in answer.json()["items"]] == ["dead"], "it is counted"
        assert (REASON in answer.text) == told and (answer.json()["items"][0]["raw"] is not None) == told
    assert ("api dead-letters", "attendance.rollcall") in [(row.what, row.object) for row in hub.audit()]
