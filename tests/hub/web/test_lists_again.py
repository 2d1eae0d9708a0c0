"""Lists that are taken again: what people said since they were taken first stands, and the list says so."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Any

import httpx2 as httpx
import pytest

from hub.lists.telling import told
from hub.papers import wrapped
from tests.hub.lists.school import book
from tests.hub.web.dayhub import ROSTER, DayHub, day_hub, other_day
from tests.hub.web.leavehub import standing
from tests.hub.web.pagehub import CLASS, csrf_in

MINE = [row.display_name for row in ROSTER if row.school_class == CLASS]


@pytest.fixture(scope="module")
def hub(tmp_path_factory: pytest.TempPathFactory) -> Iterator[DayHub]:
    with day_hub(tmp_path_factory.mktemp("again") / "hub") as made:
        with made.store.database.transaction():
            made.store.database.connection.execute("UPDATE pupils SET code = 'HS-' || pupil_key")
        yield made


@pytest.fixture(scope="module")
def principal(hub: DayHub) -> httpx.Client:
    return hub.browser("principal")


def asked(hub: DayHub, action: str, kind: str, octets: bytes) -> dict[str, Any]:
    """What the command says that asks for it."""
    words = {"file": "ds.xlsx", "paper": wrapped(octets), "list": kind, "by": "van-thu"}
    found: dict[str, Any] = json.loads(hub.store.carry_out(f"roster-{action}", words).text)
    return found


def page(client: httpx.Client, kind: str, octets: bytes) -> httpx.Response:
    data = {"csrf": csrf_in(client.get("/me")), "kind": kind}
    return client.post("/lists/preview", data=data, files={"file": ("ds.xlsx", octets)})


def taken(client: httpx.Client, kind: str, preview: httpx.Response) -> httpx.Response:
    found = re.search(r'name="secret" value="([^"]*)"', preview.text)
    assert found is not None, preview.text
    data = {"csrf": csrf_in(client.get("/me")), "kind": kind, "secret": found[1]}
    return client.post("/lists/apply", data=data)


# --- leave ------------------------------------------------------------------------------------------------------------


def leave_list(*numbers: int) -> bytes:
    head = ("Mã học sinh", "Họ tên", "Lớp", "Nghỉ từ ngày")
    rows = [(f"HS-st-3-2-{number}", MINE[number], CLASS, f"{other_day(1):%d/%m/%Y}") for number in numbers]
    return book(("Đơn", [head, *rows]))


def test_a_withdrawn_notice_does_not_come_back_with_its_list(hub: DayHub, principal: httpx.Client) -> None:
    day = other_day(1)
    assert asked(hub, "apply", "leave", leave_list(1, 2))["written"] == "leave 2"
    [notice] = standing(hub, "st-3-2-1", day)
    hub.store.office.withdraw_leave("co.lan", notice.id)
    checked = asked(hub, "check", "leave", leave_list(1, 2))
    assert checked["effects"] == {"new": 0, "same": 1, "withdrawn": 1} and checked["unchanged"] and checked["sound"]
    [note] = checked["faults"]
    assert (note["code"], note["stops"], note["row"]) == ("leave-withdrawn", False, 2) and "nhập tay" in note["vi"]
    shown = "\n".join(told(checked))
    assert "1 đã rút, không ghi lại / withdrawn since" in shown and "by hand on the class's page" in shown
    assert "xem các lưu ý / nothing to write: see the notes" in shown and "all is as the list says" not in shown
    assert asked(hub, "apply", "leave", leave_list(1, 2))["written"] is None
    assert not standing(hub, "st-3-2-1", day)
    # With a line that is new beside it, that one alone is written; the page says so too.
    preview = page(principal, "leave", leave_list(1, 3))
    assert "đã rút, không ghi lại</dt><dd>1<" in preview.text and "đơn đúng như vậy đã được rút" in preview.text
    done = taken(principal, "leave", preview)
    assert "1 mới" in done.text and "đơn đúng như vậy đã được rút" in done.text
    assert len(standing(hub, "st-3-2-3", day)) == 1 and not standing(hub, "st-3-2-1", day)
    assert "xem các lưu ý ở trên" in page(principal, "leave", leave_list(1)).text
    # Entered anew by hand it stands, and the list has it.
    hub.store.office.leave("co.lan", "st-3-2-1", (day, "am"), (day, "pm"))
    assert asked(hub, "check", "leave", leave_list(1))["effects"] == {"new": 0, "same": 1, "withdrawn": 0}


# --- consent ----------------------------------------------------------------------------------------------------------


def consent_list(number: int, given: str, signed: str) -> bytes:
    head = ("Mã học sinh", "Họ tên", "Lớp", "Mục đích", "Đồng ý", "Người đồng ý", "Ngày ký")
    row = (f"HS-st-3-2-{number}", MINE[number], CLASS, "Nhắn tin phụ huynh", given, "Mẹ", signed)
    return book(("Đồng ý", [head, row]))


def consents(hub: DayHub, number: int) -> bool:
    with hub.store.database.lock:
        return hub.store.messages.consent(f"st-3-2-{number}")


def test_an_older_consent_overrules_no_newer_word(hub: DayHub, principal: httpx.Client) -> None:
    yes, no = consent_list(4, "Có", "01/11/2026"), consent_list(4, "Không", "02/11/2026")
    assert asked(hub, "apply", "consent", yes)["written"] == "consent 1" and consents(hub, 4)
    assert asked(hub, "apply", "consent", no)["written"] == "consent 1" and not consents(hub, 4)
    again = asked(hub, "apply", "consent", yes)
    assert (again["effects"]["older"], again["effects"]["given"]) == (1, 0)
    assert again["written"] is None and again["unchanged"] and not consents(hub, 4)
    [note] = again["faults"]
    assert (note["code"], note["stops"], note["row"]) == ("consent-older", False, 2)
    assert "01/11/2026" in note["vi"] and "02/11/2026" in note["vi"] and "nhập tay" in note["vi"]
    assert "1 ký trước lời đang có hiệu lực, không ghi / signed before" in "\n".join(told(again))
    preview = page(principal, "consent", yes).text
    assert "ký trước lời đang có hiệu lực, không ghi</dt><dd>1<" in preview and "Nhận danh sách" not in preview
    # A newer paper counts, and an older refusal overrules that one no more than an older consent did the refusal.
    assert asked(hub, "apply", "consent", consent_list(4, "Có", "03/11/2026"))["effects"]["given"] == 1
    assert consents(hub, 4)
    assert asked(hub, "apply", "consent", no)["effects"]["older"] == 1 and consents(hub, 4)


def test_a_refusal_entered_by_hand_stands_before_papers_signed_before_its_day(hub: DayHub) -> None:
    yes = consent_list(5, "Có", "01/11/2026")
    asked(hub, "apply", "consent", yes)
    hub.store.consents.enter("co.lan", "st-3-2-5", False)
    again = asked(hub, "apply", "consent", yes)
    assert again["effects"]["older"] == 1 and f"{other_day(0):%d/%m/%Y}" in again["faults"][0]["vi"]
    assert not consents(hub, 5)
    asked(hub, "apply", "consent", consent_list(5, "Có", f"{other_day(0):%d/%m/%Y}"))
    assert consents(hub, 5)
    # Where no paper is known of a yes, a refusal is taken: in doubt nobody is told.
    hub.store.consents.enter("co.lan", "st-3-2-6", True)
    assert asked(hub, "apply", "consent", consent_list(6, "Không", "01/11/2026"))["effects"]["taken_back"] == 1
    assert not consents(hub, 6)
