"""The road to the city on its page: what waits, what was refused and why, sent again or closed with a note."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from hub.forwarding.owing import Change
from tests.hub.web.officeroom import AN, OfficeRoom, office_room, sent


@pytest.fixture
def office(tmp_path: Path) -> Iterator[OfficeRoom]:
    with office_room(tmp_path) as made:
        yield made


def refused(office: OfficeRoom, problem: str) -> list[int]:
    """Two records that the city refused for good; their positions."""
    office.tap(AN, known="st-an", kind="gate")
    office.tap(AN, known="st-an", kind="gate")
    store = office.store
    with store.database.transaction():
        window = store.forward.window(store.clock.now_ms(), 100)
        taken = window.owed
        dead = [owed.position for owed in taken[-2:]]
        changes = [
            Change(owed.position, "dead", 0, 1, problem) if owed.position in dead else Change(owed.position, "held")
            for owed in taken
        ]
        store.forward.write(window, taken, changes, store.clock.now_ms())
    return dead


def test_dead_letters_are_sent_again_or_closed_with_a_note_by_whom_may(office: OfficeRoom) -> None:
    first, second = refused(office, "urn:k12edge:problem:unknown-student")
    it, principal = office.browser("it"), office.browser("principal")
    page = principal.get("/city").text
    assert page.count("thành phố chưa biết học sinh này") == 2 and "Gửi lại" not in page and "st-an" not in page
    assert "attendance.tap" in page and "van-phong" in page
    assert sent(principal, "/city/resend", position=str(first)).status_code == 403
    assert sent(it, "/city/resend", position=str(first)).headers["location"] == "/city?said=resent"
    assert sent(it, "/city/resend", position=str(first)).headers["location"] == "/city?said=gone"
    assert sent(it, "/city/close", position=str(second), note=" ").headers["location"] == "/city?said=note"
    assert sent(it, "/city/close", position=str(second), note="<b>nhập nhầm</b>").status_code == 303
    page = it.get("/city").text
    assert "&lt;b&gt;nhập nhầm&lt;/b&gt;" in page and "<b>nhập" not in page
    assert office.room.status.whole()["city"]["dead"] == 0
    assert ("dead letter closed", str(second), "allowed") in office.audit("it.all")


def test_the_oldest_that_waits_is_told_with_its_time(office: OfficeRoom) -> None:
    store = office.store
    oldest_ms = store.database.connection.execute("SELECT min(received_ms) FROM events").fetchone()[0]
    assert store.forward.oldest_ms() == oldest_ms
    first, _ = refused(office, "rejected")
    assert store.forward.oldest_ms() is None, "a dead letter waits for nobody"
    with store.database.transaction():
        store.forward.resend(first)
    assert store.forward.oldest_ms() is not None
    assert "không nói lý do" in office.browser("it").get("/city").text
