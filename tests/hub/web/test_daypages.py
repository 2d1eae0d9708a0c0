"""The pages of the school day over real sockets: what is entered, who may see it, and names that are harmless."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from contextlib import ExitStack
from html.parser import HTMLParser
from itertools import islice
from pathlib import Path
from typing import Any

import httpx2 as httpx
import pytest

from hub.access.rights import Role
from hub.attendance.marks import FLAGS, MARKS
from hub.days.trail import trail_of
from hub.store.notes import BackedUp
from hub.web import dayforms, pulse
from hub.web.registry import PAGES
from protocol.names import folded
from protocol.taps import parse_tap_id
from tests.hub.running import until
from tests.hub.web.dayhub import DAY, HOSTILE, ROSTER, STRANGE, DayHub, RosterRow, day_hub, ms_at
from tests.hub.web.pagehub import CLASS, OTHER_CLASS, csrf_in

MINE = [row.pupil_key for row in ROSTER if row.school_class == CLASS]
OTHERS = [row.pupil_key for row in ROSTER if row.school_class == OTHER_CLASS]
NAMES = {row.pupil_key: row.display_name for row in ROSTER}
HALF = {"day": DAY.isoformat(), "half": "am"}


@pytest.fixture(scope="module")
def hub(tmp_path_factory: pytest.TempPathFactory) -> Iterator[DayHub]:
    with day_hub(tmp_path_factory.mktemp("day") / "hub") as made:
        for pupil in MINE[:8]:
            made.tap(pupil, "06:50")
        made.tap("", "06:55", card=STRANGE)
        made.deliver()
        yield made


@pytest.fixture(autouse=True)
def quick_beats(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pulse, "BEAT_S", 0.5)


@pytest.fixture(scope="module")
def browsers(hub: DayHub) -> dict[Role, httpx.Client]:
    roles: tuple[Role, ...] = ("principal", "teacher", "guard", "supervisor", "dpo")
    return {role: hub.browser(role) for role in roles}


@pytest.fixture(autouse=True)
def at_seven_ten(hub: DayHub) -> None:
    hub.now("07:10")


def send(client: httpx.Client, path: str, **fields: str) -> Any:
    """As the page's script does: with the session's field, asking for JSON."""
    csrf = csrf_in(client.get("/me"))
    return client.post(path, data={"csrf": csrf, **fields}, headers={"accept": "application/json"})


def marks(hub: DayHub, school_class: str = CLASS) -> dict[str, str]:
    """The morning's marks."""
    found = hub.store.classbook.marks(DAY, school_class)
    return {m.pupil.key: m.judged.mark for m in found if m.session.half == "am"}


def groups(client: httpx.Client) -> tuple[str, str]:
    """The roll call page: what stands above those who are there, and these."""
    page = client.get(f"/roll?class={CLASS}&day={DAY}&half=am").text
    above, _, there = page.partition('class="there"')
    return above, there


# --- the teacher's page -----------------------------------------------------------------------------------------------


def test_who_did_not_tap_stands_on_top_and_nobody_is_called_absent(
    hub: DayHub, browsers: dict[Role, httpx.Client]
) -> None:
    above, there = groups(browsers["teacher"])
    for pupil in MINE[:8]:
        assert f'id="p-{pupil}"' in there and f'id="p-{pupil}"' not in above
    for pupil in MINE[8:]:
        assert f'id="p-{pupil}"' in above
    assert "Vắng" not in above and above.count("Chưa biết") >= 4
    hub.now("09:00")
    above, _ = groups(browsers["teacher"])
    assert "Vắng" not in above, "not before everything is here"


def test_a_leave_is_one_touch_and_taken_back_by_one_more(hub: DayHub, browsers: dict[Role, httpx.Client]) -> None:
    client, pupil = browsers["teacher"], MINE[8]
    told = send(client, f"/class/leave?class={CLASS}", act=pupil, **HALF).json()
    assert NAMES[pupil] in told["text"]
    assert marks(hub)[pupil] == "excused"
    above, _ = groups(client)
    assert "đơn nghỉ" in above and "chỉ lưu ở đây" in above, "neither city nor backup holds it"
    own = hub.store.own
    assert own is not None
    with hub.store.database.transaction():
        note = BackedUp(hub.store.clock.now_ms(), 1, "/mnt/usb", False, {own.book.journal: own.book.held.last})
        hub.store.notes.write(note)
    assert "chỉ lưu ở" not in groups(client)[0], "a backup holds it"
    newest = hub.store.days.newest()
    again = send(client, f"/class/leave?class={CLASS}", act=pupil, **HALF).json()
    assert again["undo"] is None and hub.store.days.newest() == newest, "a second touch does nothing"
    undo = told["undo"]
    for _ in range(2):
        assert send(client, undo["path"], **undo["fields"]).status_code == 200
    assert marks(hub)[pupil] == "not-known"
    page = client.get(f"/pupil/{pupil}?day={DAY}").text
    assert "đã bỏ" in page, "nothing is deleted"


def test_an_undo_brings_back_what_was_said_before(hub: DayHub, browsers: dict[Role, httpx.Client]) -> None:
    client, pupil, path = browsers["teacher"], MINE[9], f"/class/mark?class={CLASS}"

    def mark() -> str:
        return marks(hub)[pupil]

    first = send(client, path, act=f"{pupil} unexcused", **HALF).json()
    second = send(client, path, act=f"{pupil} late", **HALF).json()
    assert mark() == "late"
    send(client, second["undo"]["path"], **second["undo"]["fields"])
    assert mark() == "unexcused"
    send(client, first["undo"]["path"], **first["undo"]["fields"])
    assert mark() == "not-known"
    red = client.get(f"/class/red?class={CLASS}&day={DAY}").text
    assert red.count(NAMES[pupil]) == 4 and "<s>Không phép (K)</s>" in red and "teacher.user" in red
    assert "bấm nhầm" in red


def test_signing_marks_nobody_and_says_when_something_changed_since(
    hub: DayHub, browsers: dict[Role, httpx.Client]
) -> None:
    client, clock = browsers["teacher"], hub.later()
    before = marks(hub)
    assert send(client, f"/class/sign?class={CLASS}", **HALF).status_code == 200
    assert marks(hub) == before
    above, _ = groups(client)
    assert f"đã xác nhận lúc {clock}" in above and "có thay đổi sau đó" not in above
    hub.later()
    send(client, f"/class/mark?class={CLASS}", act=f"{MINE[10]} unexcused", **HALF)
    assert "có thay đổi sau đó" in groups(client)[0]
    send(client, f"/class/mark?class={CLASS}", act=f"{MINE[10]} withdrawn", **HALF)


def test_a_leave_notice_that_came_or_went_after_the_signature_is_told(
    hub: DayHub, browsers: dict[Role, httpx.Client]
) -> None:
    def told() -> bool:
        # The numbers of the school's page are some seconds old.
        hub.later()
        sheet = browsers["teacher"].get(f"/class?class={CLASS}&day={DAY}&half=am").text
        today = browsers["principal"].get("/today").text
        pages = "có thay đổi sau đó" in groups(browsers["teacher"])[0], "có thay đổi sau đó" in sheet
        assert {*pages, "đã đổi sau đó" in today} == {pages[0]}, "every page says the same"
        return pages[0]

    def sign() -> None:
        assert send(browsers["teacher"], f"/class/sign?class={CLASS}", **HALF).status_code == 200

    hub.later()
    sign()
    assert not told()
    record = str(hub.store.office.leave("van-thu", MINE[11], (DAY, "am"), (DAY, "am")))
    assert told()
    sign()
    assert not told()
    hub.store.office.leave("van-thu", MINE[11], (DAY, "pm"), (DAY, "pm"))
    assert not told(), "the notice is of another half-day"
    hub.store.office.withdraw_leave("van-thu", record)
    assert told()
    sign()
    assert not told()


def test_a_past_day_needs_a_reason(hub: DayHub, browsers: dict[Role, httpx.Client]) -> None:
    client, path = browsers["teacher"], f"/class/mark?class={CLASS}"
    past = {"day": "2026-11-25", "half": "am"}
    assert send(client, path, act=f"{MINE[0]} unexcused", **past).status_code == 409
    assert send(client, path, act=f"{MINE[0]} unexcused", reason="paper", **past).status_code == 200
    assert "nhập bù từ giấy" in client.get(f"/class/red?class={CLASS}&day=2026-11-25").text


def test_forms_work_without_a_script(hub: DayHub, browsers: dict[Role, httpx.Client]) -> None:
    client = browsers["teacher"]
    page = client.get(f"/class?class={CLASS}&day={DAY}&half=am")
    fields = {"csrf": csrf_in(page), "act": f"{MINE[11]} late", "back": "/class", **HALF}
    answer = client.post(f"/class/mark?class={CLASS}", data=fields)
    assert answer.status_code == 303
    assert answer.headers["location"] == f"/class?class={CLASS}&day={DAY}&half=am#p-{MINE[11]}"
    assert "//" not in client.post(f"/class/mark?class={CLASS}", data={**fields, "back": "//evil"}).headers["location"]


# --- whose class ------------------------------------------------------------------------------------------------------


def test_no_page_of_a_teacher_holds_a_name_of_the_class_next_door(
    hub: DayHub, browsers: dict[Role, httpx.Client]
) -> None:
    for pupil in OTHERS[:2]:
        hub.tap(pupil, "07:00")
    hub.deliver()
    client = browsers["teacher"]
    days = f"day={DAY}"
    addresses = [
        "/",
        "/roll",
        "/class",
        f"/class?show=present&{days}",
        f"/class/red?{days}",
        "/onsite",
        "/today",
        "/gate",
    ]
    addresses += ["/guard", "/v1/onsite", "/v1/marks", f"/pupil/{OTHERS[0]}?{days}", f"/pupil/{MINE[0]}?{days}"]
    addresses += [f"{path}?class={OTHER_CLASS}" for path in ("/roll", "/class", "/class/red", "/onsite")]
    strange = {NAMES[key] for key in OTHERS} - {NAMES[key] for key in MINE}
    assert strange
    for address in addresses:
        text = client.get(address).text
        assert not [name for name in strange if name in text] and not [key for key in OTHERS if f'"{key}' in text], (
            address
        )
    assert client.get(f"/pupil/{OTHERS[0]}?{days}").status_code == 403
    refused = {(row.what, row.object) for row in hub.audit() if row.outcome == "refused" and row.who == "teacher.user"}
    assert ("see pupil", OTHERS[0]) in refused and ("see roll", OTHER_CLASS) in refused


def test_a_teacher_changes_nothing_next_door(hub: DayHub, browsers: dict[Role, httpx.Client]) -> None:
    client, other = browsers["teacher"], OTHERS[3]
    record = str(hub.store.office.leave("-", other, (DAY, "am"), (DAY, "pm")))
    before = hub.store.days.newest()
    tried = [
        send(client, f"/class/mark?class={OTHER_CLASS}", act=f"{other} present", **HALF),
        send(client, f"/class/mark?class={CLASS}", act=f"{other} present", **HALF),
        send(client, f"/class/leave?class={CLASS}", act=other, **HALF),
        send(client, f"/class/leave/back?class={CLASS}", act=record, **HALF),
        send(client, f"/class/sign?class={OTHER_CLASS}", **HALF),
        send(client, "/guard/admit", act=other),
        send(client, "/guard/find", q=NAMES[other]),
        send(client, "/today/waive", device="cong", through_ms=str(ms_at("07:00")), reason="x"),
    ]
    assert [answer.status_code for answer in tried] == [403] * len(tried)
    assert hub.store.days.newest() == before
    assert not [answer for answer in tried if NAMES[other] in answer.text]
    hub.store.office.withdraw_leave("-", record)


@pytest.mark.parametrize("role", ["guard", "supervisor", "dpo"])
def test_reasons_are_for_those_who_may_see_them(hub: DayHub, browsers: dict[Role, httpx.Client], role: Role) -> None:
    teacher, client, pupil = browsers["teacher"], browsers[role], MINE[8]
    told = send(teacher, f"/class/leave?class={CLASS}", act=pupil, **HALF).json()["undo"]
    send(teacher, f"/class/mark?class={CLASS}", act=f"{MINE[9]} absent", reason="parents", **HALF)
    addresses = {
        "guard": ["/onsite", "/guard", "/gate"],
        "dpo": [f"/pupil/{pupil}?day={DAY}", f"/class/red?class={CLASS}"],
    }
    for address in addresses.get(role, []) + (
        [] if role == "guard" else [f"/roll?class={CLASS}", f"/class?class={CLASS}"]
    ):
        answer = client.get(address)
        assert answer.status_code == 200, address
        assert "đơn nghỉ" not in answer.text.lower() and "phụ huynh" not in answer.text, address
        if role == "guard":
            assert "phép" not in answer.text
    assert "phụ huynh" in teacher.get(f"/class/red?class={CLASS}").text
    send(teacher, told["path"], **told["fields"])
    send(teacher, f"/class/mark?class={CLASS}", act=f"{MINE[9]} withdrawn", reason="slip", **HALF)


# --- the gate ---------------------------------------------------------------------------------------------------------


def test_a_guard_lets_in_by_a_name_without_accents_and_takes_it_back(
    hub: DayHub, browsers: dict[Role, httpx.Client]
) -> None:
    client, pupil = browsers["guard"], OTHERS[4]
    asked = folded(NAMES[pupil])
    assert asked.isascii()
    for text, seen in ((f"{asked} {OTHER_CLASS}", True), (f"{asked} {CLASS}", False), ("x", False)):
        page = client.post("/guard/find", data={"csrf": csrf_in(client.get("/guard")), "q": text})
        assert page.status_code == 200 and asked not in str(page.url)
        assert (NAMES[pupil] in page.text.partition('id="found"')[2].partition('id="admitted"')[0]) == seen, text
    told = send(client, "/guard/admit", act=pupil).json()
    assert NAMES[pupil] in told["text"]
    assert marks(hub, OTHER_CLASS)[pupil] == "present"
    assert "cho vào" in browsers["principal"].get(f"/roll?class={OTHER_CLASS}&half=am").text
    assert NAMES[pupil] in client.get("/guard").text.partition('id="admitted"')[2]
    assert send(client, told["undo"]["path"], **told["undo"]["fields"]).status_code == 200
    assert send(client, told["undo"]["path"], **told["undo"]["fields"]).status_code == 200, "once more is nothing new"
    assert marks(hub, OTHER_CLASS)[pupil] == "not-known"
    assert NAMES[pupil] not in client.get("/guard").text.partition('id="admitted"')[2]
    assert send(client, "/guard/admit", act="st-nobody").status_code == 409


def test_the_board_shows_taps_by_their_cards_and_a_silent_gate_grey(
    hub: DayHub, browsers: dict[Role, httpx.Client]
) -> None:
    client = browsers["guard"]
    hub.heard()
    page = client.get("/gate").text
    assert NAMES[MINE[0]] in page and "Thẻ lạ" in page and "hk1:" not in page and "04FF" not in page
    assert 'class="device live"' in page
    hub.status.fleet.lost(hub.gate.device, hub.store.clock.mono_ms() - 12_000)
    page = client.get("/gate").text
    assert 'class="device stale"' in page and "nghe lần cuối 12 giây trước" in page and "device live" not in page
    hub.heard()


def events(answer: httpx.Response) -> Iterator[dict[str, Any]]:
    for line in answer.iter_lines():
        if line.startswith("data: "):
            yield json.loads(line[6:])


def next_of(stream: Iterator[dict[str, Any]], *what: str) -> dict[str, Any]:
    return next(event for event in stream if event["what"] in what)


def test_streams_tell_after_the_commit_and_each_only_its_own(hub: DayHub, browsers: dict[Role, httpx.Client]) -> None:
    hub.settle()
    with (
        browsers["guard"].stream("GET", "/v1/gate/events") as gate,
        browsers["teacher"].stream("GET", "/v1/class/events") as mine,
    ):
        board, sheet = events(gate), events(mine)
        assert next(board)["what"] == next(sheet)["what"] == "hello"
        record = hub.tap(OTHERS[5], "07:08")
        hub.deliver(wait=False)
        told = next_of(board, "taps")
        (row,) = told["rows"]
        assert (row["tap"], row["name"], row["class"], row["way"]) == (record, NAMES[OTHERS[5]], OTHER_CLASS, "in")
        assert trail_of(hub.store, parse_tap_id(record)) is not None, "what is shown is stored"  # type: ignore[arg-type]
        hub.tap(MINE[1], "07:09")
        hub.deliver(wait=False)
        told_us = []
        for event in sheet:
            told_us.append(event)
            if event["what"] == "beat" and {"what": "new"} in told_us:
                break
        assert told_us.count({"what": "new"}) == 1, "no name, and nothing of the class next door"
        assert {event["what"] for event in told_us} <= {"beat", "new"}


def test_a_stream_ends_with_its_session(hub: DayHub) -> None:
    client = hub.browser("guard", "tam.thoi")
    with client.stream("GET", "/v1/gate/events") as gate:
        board = events(gate)
        next(board)
        hub.ask("user-revoke", name="tam.thoi")
        more = list(islice(board, 12))
        assert len(more) < 12, "it ends at a beat"
    assert client.get("/v1/gate/events", headers={"accept": "application/json"}).status_code == 401


def test_one_who_opens_all_that_may_be_opened_leaves_room_for_the_others(
    hub: DayHub, browsers: dict[Role, httpx.Client]
) -> None:
    greedy = hub.browser("guard", "nhieu.luong")
    before, boards = hub.listeners(), list[Iterator[dict[str, Any]]]()
    with ExitStack() as opened:
        for _ in range(pulse.EACH_MAX):
            stream = opened.enter_context(greedy.stream("GET", "/v1/gate/events"))
            boards.append(events(stream))
            assert stream.status_code == 200 and next(boards[-1])["what"] == "hello"
        with greedy.stream("GET", "/v1/gate/events") as refused:
            assert (refused.status_code, refused.headers.get("retry-after")) == (429, "10")
            assert "too-many-streams" in refused.read().decode()
        with browsers["guard"].stream("GET", "/v1/gate/events") as gate:
            assert gate.status_code == 200 and next(events(gate))["what"] == "hello"
    until(lambda: hub.listeners() <= before, "all are closed")
    with greedy.stream("GET", "/v1/gate/events") as again:
        assert again.status_code == 200


# --- numbers ----------------------------------------------------------------------------------------------------------


def test_the_principal_sees_numbers_that_lead_to_names_and_no_portion_is_called_present(
    hub: DayHub, browsers: dict[Role, httpx.Client]
) -> None:
    client = browsers["principal"]
    page = client.get(f"/today?day={DAY}&half=am").text
    assert not [name for name in NAMES.values() if name in page]
    there = sum(m.judged.there for m in hub.store.classbook.marks(DAY) if m.session.half == "am")
    assert f"Có mặt {there}/{len(ROSTER)}" in page
    assert "Suất ăn dự kiến" in page and "không phải số có mặt" in page and "đủ 0/1 cổng" in page
    shown = client.get(f"/class?day={DAY}&half=am&show=there").text
    assert shown.count("<tr id=") == there
    assert client.get(f"/class?day={DAY}&half=am&show=not-known").text.count("<tr id=") > 0


def test_a_pupils_day_leads_from_the_mark_to_every_receipt(hub: DayHub, browsers: dict[Role, httpx.Client]) -> None:
    page = browsers["teacher"].get(f"/pupil/{MINE[0]}?day={DAY}").text
    record = re.search(r'href="#r-([0-9a-f]{16}\.\d+)"', page)
    assert record is not None and f'id="r-{record[1]}"' in page
    assert "06:50:00" in page and "không nối" in page and "hk1:" not in page
    assert browsers["teacher"].get(f"/pupil/{MINE[0]}?day=2026-11-24").text.count("Không có lượt quẹt nào") == 1
    assert browsers["principal"].get("/pupil/st-nobody").status_code == 404


def test_days_that_are_none_are_refused(browsers: dict[Role, httpx.Client]) -> None:
    client = browsers["principal"]
    for asked in ("day=1900-01-01", "day=9999-12-31", "day=x", "half=noon", "show=%3Cscript%3E"):
        assert client.get(f"/class?class={CLASS}&{asked}").status_code == 422, asked
    assert client.get("/class?class=" + "9" * 400).status_code == 200


def test_nobody_is_absent_on_a_page_before_all_gates_said_that_everything_is_here(tmp_path: Path) -> None:
    with day_hub(tmp_path / "hub") as hub:
        principal = hub.browser("principal")
        for pupil in MINE[:8]:
            hub.tap(pupil, "06:50")
        hub.watermark("07:55")
        hub.deliver()
        hub.now("08:30")
        address = f"/today?day={DAY}&half=am"
        page = principal.get(address).text
        assert "đủ 0/1 cổng" in page and "vắng chưa rõ 0, chưa biết 10" in page
        hub.watermark("08:30")
        hub.deliver()
        hub.now("08:31")
        page = principal.get(address).text
        assert "đủ 1/1 cổng" in page and 'class="note good"' in page
        assert "vắng chưa rõ 10, chưa biết 0" in page and "không phép 0" in page, "K is nobody's but people's word"
        above = principal.get(f"/roll?class={CLASS}&half=am").text.partition('class="there"')[0]
        assert above.count("Vắng, chưa rõ") == 4 and "Chưa biết" not in above


@pytest.mark.parametrize("err_ms", [1 << 63, 1 << 70])
def test_a_bound_that_no_file_can_hold_keeps_nobody_s_tap_from_the_pages(tmp_path: Path, err_ms: int) -> None:
    with day_hub(tmp_path / "hub") as hub:
        hub.tap(MINE[0], "06:50", err_ms=err_ms)
        hub.tap(MINE[1], "06:51")
        hub.deliver()
        assert marks(hub)[MINE[1]] == "present"
        with hub.store.database.lock:
            assert hub.store.database.connection.execute("SELECT count(*) FROM taps").fetchone() == (2,), "none is lost"


def test_a_principal_goes_on_without_a_gate_with_a_reason(tmp_path: Path) -> None:
    with day_hub(tmp_path / "hub") as hub:
        principal = hub.browser("principal")
        hub.now("08:30")
        asked = {"device": hub.gate.device, "through_ms": str(ms_at("08:30"))}
        assert send(principal, "/today/waive", reason="  ", **asked).status_code == 409
        assert send(principal, "/today/waive", reason="hỏng nguồn điện", **asked).status_code == 200
        hub.settle()
        hub.now("08:31")
        page = principal.get(f"/today?day={DAY}&half=am").text
        assert f"vắng chưa rõ {len(ROSTER)}, chưa biết 0" in page and "hỏng nguồn điện" in page
        assert "một cổng chưa đủ, không chờ nữa" in principal.get(f"/class?class={CLASS}&half=am").text


# --- hostile names ----------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def odd(tmp_path_factory: pytest.TempPathFactory) -> Iterator[DayHub]:
    roster = [RosterRow(f"st-odd-{n}", name, "<b>1</b>", f"a:04{n:010X}81") for n, name in enumerate(HOSTILE)]
    with day_hub(tmp_path_factory.mktemp("odd") / "hub", roster=roster) as made:
        for row in roster[:3]:
            made.tap(row.pupil_key, "06:50")
        made.deliver()
        yield made


class Struck(HTMLParser):
    """What a name would have put into a page: a script, a tag of its own, an attribute that acts."""

    def __init__(self) -> None:
        super().__init__()
        self.found: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if (tag == "script" and "src" not in dict(attrs)) or tag == "b" or any(name[:2] == "on" for name, _ in attrs):
            self.found.append(self.get_starttag_text() or tag)


def struck(page: str) -> list[str]:
    parser = Struck()
    parser.feed(page)
    return parser.found


def test_hostile_names_are_shown_and_do_nothing(odd: DayHub) -> None:
    client = odd.browser("principal")
    for pupil in ("st-odd-0", "st-odd-3"):
        send(client, "/class/mark?class=%3Cb%3E1%3C/b%3E", act=f"{pupil} late", **HALF)
        send(client, "/guard/admit", act=pupil)
    for page in PAGES:
        if page.right == "open" or not page.path.startswith(
            ("/roll", "/class", "/gate", "/guard", "/onsite", "/today", "/pupil")
        ):
            continue
        address = page.path.replace("{key}", "st-odd-0") + (
            f"?class=%3Cb%3E1%3C/b%3E&day={DAY}" if page.of != "school" else ""
        )
        assert struck(client.get(address).text) == [], address
        assert "49%s" not in client.get(address).text
    found = client.post("/guard/find", data={"csrf": csrf_in(client.get("/guard")), "q": "<script>"}).text
    assert struck(found) == [] and "&lt;script&gt;window.struck = 1&lt;/script&gt;" in found


ODD = (
    "",
    "'; DROP TABLE users; --",
    "<script>",
    "\r\nset-cookie: x=1",
    "a" * 79,
    "a" * 5000,
    "st-3-2-0 present\x00",
    "-1",
)


@pytest.mark.parametrize(
    ("path", "fields"),
    [
        ("/class/mark", ("act", "day", "half", "reason", "back")),
        ("/class/leave", ("act", "day", "half", "back")),
        ("/class/leave/back", ("act", "day", "half", "back")),
        ("/class/sign", ("day", "half", "back")),
        ("/guard/find", ("q",)),
        ("/guard/admit", ("act",)),
        ("/guard/back", ("act",)),
        ("/today/waive", ("device", "through_ms", "reason")),
    ],
)
def test_odd_values_of_somebody_who_may_change_nothing_by_mistake(
    odd: DayHub, path: str, fields: tuple[str, ...]
) -> None:
    client = odd.browser("principal", "odd" + path.replace("/", "."))
    csrf = csrf_in(client.get("/me"))
    before = odd.store.days.newest()
    for value in ODD:
        answer = client.post(f"{path}?class={CLASS}", data={**dict.fromkeys(fields, value), "csrf": csrf})
        assert answer.status_code < 500 and "x=1" not in str(answer.headers), (value, answer.status_code)
        assert struck(answer.text) == []
    assert odd.store.days.newest() == before


def test_every_mark_and_every_flag_has_words_for_people() -> None:
    assert dayforms.FLAGS.keys() == set(FLAGS) and set(MARKS) <= dayforms.MARKS.keys()
