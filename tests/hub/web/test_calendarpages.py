"""The calendar on its page: what is entered is shown before it is kept, and leaves the past alone."""

from __future__ import annotations

import html
import json
import re
from collections.abc import Iterator
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import httpx2 as httpx
import pytest

from hub.attendance.timetable import sessions_of
from hub.roster import RosterRow
from hub.store.notes import CalendarBack
from tests.hub.web.officeroom import OfficeRoom, csrf_in, office_room, sent


@pytest.fixture
def office(tmp_path_factory: pytest.TempPathFactory) -> Iterator[OfficeRoom]:
    with office_room(tmp_path_factory.mktemp("calendar")) as made:
        yield made


def kept(client: httpx.Client, preview: httpx.Response) -> httpx.Response:
    """What a preview shows is kept by its own button."""
    assert preview.status_code == 200, preview.text
    found = re.search(r'name="fields" value="([^"]*)"', preview.text)
    assert found is not None
    return sent(client, "/calendar/change", fields=html.unescape(found[1]))


def halves(office: OfficeRoom, day: date, school_class: str = "3/2") -> list[str]:
    [document] = office.store.classbook.timetables(day).values()
    return [session.half for session in sessions_of(document, day, school_class)]


def school_day(office: OfficeRoom, ahead: int) -> date:
    """A weekday some days ahead, on which the proposed calendar has lessons."""
    day = office.today() + timedelta(days=ahead)
    while not halves(office, day):
        day += timedelta(days=1)
    return day


def test_a_free_afternoon_is_shown_first_and_kept_from_today_on(office: OfficeRoom) -> None:
    client = office.browser("principal")
    day = school_day(office, 1)
    preview = sent(
        client, "/calendar/change", act="holiday", first=day.isoformat(), halves="pm", scope="3/2", why="bão & gió"
    )
    assert "3/2" in preview.text and preview.text.count("<tr><td>chiều</td>") == 1 and "Ghi thay đổi" in preview.text
    assert office.store.timetables.versions() == {}, "a preview changes nothing"
    assert kept(client, preview).status_code == 303
    assert halves(office, day) == ["am"] and halves(office, day, "3/3") == ["am", "pm"]
    [version] = office.store.timetables.versions().values()
    assert version.first_day == office.today() and version.by == "principal.all"
    page = client.get("/calendar").text
    assert "bão &amp; gió" in page
    assert ("timetable holiday", office.day(), "allowed") in office.audit("principal.all")
    # Taken back, the day is as before.
    entries = [html.unescape(one) for one in re.findall(r'name="entry" value="([^"]*)"', page)]
    mine = next(one for one in entries if "bão" in one)
    assert kept(client, sent(client, "/calendar/change", act="no-holiday", entry=mine)).status_code == 303
    assert halves(office, day) == ["am", "pm"]


def test_later_versions_are_edited_alike_and_days_before_are_not(office: OfficeRoom) -> None:
    client = office.browser("it")
    later, last = school_day(office, 11), school_day(office, 18)
    preview = sent(client, "/calendar/change", act="shift", shift_min="15", first_day=later.isoformat())
    kept(client, preview)
    wednesday = next(last + timedelta(days=n) for n in range(7) if (last + timedelta(days=n)).weekday() == 2)
    preview = sent(client, "/calendar/change", act="halves", weekday="wednesday", halves="am", scope="3")
    assert "phiên bản sau" in preview.text
    kept(client, preview)
    versions = office.store.timetables.versions()
    assert list(versions) == [office.today(), later]
    assert versions[later].document.shift_min == 15 and versions[office.today()].document.shift_min == 0
    assert halves(office, wednesday, "3/2") == ["am"] and halves(office, wednesday + timedelta(days=1)) == ["am", "pm"]


def test_past_days_change_only_with_a_reason(office: OfficeRoom) -> None:
    client = office.browser("principal")
    past = office.today() - timedelta(days=2)
    preview = sent(client, "/calendar/change", act="holiday", first=past.isoformat(), why="bão")
    assert "ngày đã qua" in preview.text and "Ghi thay đổi" not in preview.text
    forced = re.search(r'name="fields" value="([^"]*)"', preview.text)
    assert forced is not None
    assert sent(client, "/calendar/change", fields=html.unescape(forced[1])).status_code == 400
    assert office.store.timetables.versions() == {}
    preview = sent(client, "/calendar/change", act="holiday", first=past.isoformat(), why="bão", note="công văn 12")
    assert kept(client, preview).status_code == 303
    assert list(office.store.timetables.versions()) == [past] and halves(office, past) == []


def test_each_change_of_the_past_says_why_by_itself(office: OfficeRoom) -> None:
    client = office.browser("principal")
    past = office.today() - timedelta(days=2)
    preview = sent(client, "/calendar/change", act="holiday", first=past.isoformat(), why="bão", note="công văn 12")
    assert kept(client, preview).status_code == 303
    before = office.store.timetables.versions()
    document = client.get("/calendar/document").text
    assert "công văn 12" in document
    unsaid = [
        {"act": "shift", "shift_min": "15", "first_day": past.isoformat()},
        {"act": "holiday", "first": past.isoformat(), "last": office.day(), "why": "bão"},
        {"act": "bell", "half": "am", "opens": "05:00", "starts": "07:00", "late_after": "07:05", "final": "07:40",
         "ends": "11:00", "first_day": past.isoformat()},
        {"act": "document", "document": document.replace("bão", "lũ"), "first_day": past.isoformat(), "note": " "},
    ]  # fmt: skip
    for fields in unsaid:
        answer = sent(client, "/calendar/change", fields=json.dumps(fields))
        assert answer.status_code == 400 and "say why" in answer.text, fields
    assert office.store.timetables.versions() == before
    said = json.dumps({**unsaid[0], "note": "công văn 15"})
    assert sent(client, "/calendar/change", fields=said).status_code == 303
    assert office.store.timetables.versions()[past].document.note == "công văn 15"


@pytest.mark.parametrize(
    "fields",
    [
        {"act": "holiday", "first": "31/12/2026", "why": "x"},
        {"act": "holiday", "first": "9999-12-31", "why": "x"},
        {"act": "holiday", "first": "2026-12-20", "why": ""},
        {"act": "holiday", "first": "2026-12-20", "last": "2026-12-19", "why": "x"},
        {"act": "holiday", "first": "2026-12-20", "why": "x", "scope": "9/9"},
        {"act": "make-up", "first": "2026-12-20", "weekday": "someday", "why": "x"},
        {"act": "bell", "half": "am", "opens": "05:00", "starts": "25:00"},
        {"act": "bell", "half": "no", "opens": "05:00", "starts": "06:00", "late_after": "06:01", "final": "07:00",
         "ends": "08:00"},
        {"act": "halves", "weekday": "-"},
        {"act": "shift", "shift_min": "7"},
        {"act": "shift", "shift_min": "x"},
        {"act": "no-holiday", "entry": "{"},
    ],
)  # fmt: skip
def test_what_can_not_be_is_refused_in_words(module_office: OfficeRoom, fields: dict[str, str]) -> None:
    answer = sent(module_office.browser("principal"), "/calendar/change", **fields)
    assert answer.status_code == 400 and 'role="alert"' in answer.text
    assert module_office.store.timetables.versions() == {}


def test_a_refusal_is_in_the_words_of_the_page_and_says_where(module_office: OfficeRoom) -> None:
    client = module_office.browser("principal")
    clocks = {"opens": "05:00", "starts": "7h", "late_after": "06:01", "final": "07:00", "ends": ""}
    page = sent(client, "/calendar/change", act="bell", half="am", **clocks).text
    told = [html.unescape(one) for one in re.findall(r"<li>(.*?)</li>", page.partition('role="alert"')[2][:900])]
    assert told[:2] == [
        'Vào học: "7h" không dùng được: cần một giờ như 07:15', 'Tan học: "" không dùng được: cần một giờ như 07:15',
    ]  # fmt: skip
    order = {"opens": "05:00", "starts": "07:00", "late_after": "06:01", "final": "07:00", "ends": "11:00"}
    page = sent(client, "/calendar/change", act="bell", half="am", **order).text
    assert '<ul lang="vi"><li>opens, starts, late_after, final và ends phải nối tiếp nhau' in page
    page = sent(client, "/calendar/change", act="holiday", first="2026-12-20", why="x", scope="9/9").text
    assert "không phải khối hay lớp nào của trường" in page and "neither" not in page


def test_a_document_s_faults_are_all_named_unknown_keys_too(module_office: OfficeRoom) -> None:
    client = module_office.browser("it")
    document = json.loads(client.get("/calendar/document").content)
    document["bells"][2]["am"] |= {"starts": "11:00", "late_after": "10:00"}
    document["bells"][0]["pm"]["opens"] = "25:00"
    document["holidays"][0] |= {"whys": "x", "first": "01/01/2027"}
    document["weeks"][0]["days"]["Monday"] = ["am"]
    document["shift_mins"] = 15
    del document["name"]
    fields = {"csrf": csrf_in(client.get("/me"))}
    answer = client.post("/calendar/upload", data=fields, files={"file": ("lich.json", json.dumps(document).encode())})
    assert answer.status_code == 400
    told = html.unescape(answer.text.partition('role="alert"')[2].partition("</div>")[0])
    for line in (
        "<li>không có mục nào tên 'shift_mins'; có: name, first, last",
        "<li>thiếu name</li>",
        "<li>bells[2].am: opens, starts, late_after, final và ends phải nối tiếp nhau",
        '<li>bells[0].pm.opens: "25:00" không dùng được: cần một giờ như 07:15</li>',
        "<li>holidays[0]: không có mục nào tên 'whys'",
        '<li>holidays[0].first: "01/01/2027" không dùng được: cần một ngày như 2026-09-05</li>',
        '<li>weeks[0].days: "Monday" không dùng được: cần một trong monday, tuesday',
    ):
        assert line in told, told
    assert told.count("<li>") == 7 and " must " not in told


def test_the_proposal_is_called_one_until_a_timetable_is_kept(office: OfficeRoom) -> None:
    client = office.browser("it")
    note = "đây là lịch đề xuất theo khung của thành phố"
    assert note in client.get("/calendar").text
    kept(client, sent(client, "/calendar/change", act="shift", shift_min="15"))
    page = client.get("/calendar").text
    assert note not in page and page.count("<strong>đang dùng</strong>") == 1


def test_each_button_says_its_form_in_the_page_s_language(module_office: OfficeRoom) -> None:
    page = module_office.browser("it").get("/calendar").text
    unseen = set(re.findall(r'Xem trước<span class="unseen">: ([^<]*)</span>', page))
    assert unseen == set(re.findall(r"<summary>([^<]*)</summary><(?:form|p)", page)) and len(unseen) == 6


@pytest.fixture(scope="module")
def module_office(tmp_path_factory: pytest.TempPathFactory) -> Iterator[OfficeRoom]:
    with office_room(tmp_path_factory.mktemp("calendar")) as made:
        yield made


def test_the_document_goes_out_and_comes_back_and_contradictions_are_named(office: OfficeRoom) -> None:
    client = office.browser("it")
    document = json.loads(client.get("/calendar/document").content)
    document["windows"] = [{"device": "gate-a", "begins": "05:00", "ends": "09:00", "way": "in"}]

    def upload(octets: bytes) -> httpx.Response:
        fields = {"csrf": csrf_in(client.get("/me"))}
        return client.post("/calendar/upload", data=fields, files={"file": ("lich.json", octets)})

    assert kept(client, upload(json.dumps(document).encode())).status_code == 303
    [version] = office.store.timetables.versions().values()
    assert version.document.windows[0].device == "gate-a"
    assert "gate-a: 05:00–09:00 vào" in client.get("/calendar").text
    document["windows"].append({"device": "gate-a", "begins": "08:00", "ends": "10:00", "way": "out"})
    answer = upload(json.dumps(document).encode())
    assert "windows[0]" in answer.text and "Ghi thay đổi" not in answer.text
    for octets in (b"", b"[]", b"\xff\xfe", b"{" * 5000, b'{"name": "' + b"x" * 300_000):
        assert upload(octets).status_code == 400
    assert upload(b"x" * 2_000_000).status_code == 413
    assert len(office.store.timetables.versions()) == 1


def test_a_preview_names_who_stays_over_noon_and_each_gate_s_hours(office: OfficeRoom) -> None:
    client = office.browser("principal")
    document = json.loads(client.get("/calendar/document").content)
    day = school_day(office, 1)

    def shown(changed: dict[str, Any], first_day: date = day, note: str = "") -> str:
        fields = {"csrf": csrf_in(client.get("/me")), "first_day": first_day.isoformat(), "note": note}
        octets = json.dumps(changed).encode()
        answer = client.post("/calendar/upload", data=fields, files={"file": ("lich.json", octets)})
        assert answer.status_code == 200, answer.text
        return html.unescape(answer.text)

    none = "Không buổi học và khung giờ cổng nào thay đổi: điểm danh giữ nguyên."
    assert none in shown({**document, "name": "khác"})
    home = {"classes": ["3/2"], "days": {}, "stays": False}
    stays = shown({**document, "weeks": [home, *document["weeks"]]})
    [row] = re.findall(r"<tr><td>chiều</td>.*?</tr>", stays)
    assert row.count("<strong>ở lại trưa</strong>") == 1 and row.count("<strong>không ở lại trưa</strong>") == 1
    assert "<td>3/2</td>" in row and none not in stays and "sẽ được tính lại" not in stays
    window = {"device": "gate-a", "begins": "05:00", "ends": "09:00", "way": "in"}
    gates = shown({**document, "windows": [window]})
    [row] = re.findall(r'<tr><th scope="row">gate-a</th>.*?</tr>', gates)
    assert "<td>hướng của chính cổng</td><td>05:00–09:00 vào</td>" in row and none not in gates
    today = shown({**document, "windows": [window]}, office.today())
    assert "chạm đến hôm nay: điểm danh của hôm nay sẽ được tính lại, cả những buổi đã chốt" in today
    past = shown({**document, "windows": [window]}, office.today() - timedelta(days=3), "công văn 12")
    assert "điểm danh từ ngày đó đến hôm nay sẽ được tính lại, cả những buổi đã chốt" in past
    for bells in document["bells"]:
        bells["am"]["final"] = bells["am"]["ends"]
    assert "chốt lúc" in shown(document) and none not in shown(document)


# --- a school whose classes begin with no number ----------------------------------------------------------------------

CRECHE = (
    RosterRow("st-1", "Nguyễn Văn An", "Mầm 1", None),
    RosterRow("st-2", "Lê Thị Bé", "Lá 1", None),
    RosterRow("st-3", "Trần Chi", "3/2", None),
)
BELL = {"opens": "06:00", "starts": "07:30", "late_after": "07:35", "final": "08:00", "ends": "10:30"}


@pytest.fixture
def creche(tmp_path: Path) -> Iterator[OfficeRoom]:
    with office_room(tmp_path, CRECHE) as made:
        yield made


def test_what_stood_before_holds_up_no_change(creche: OfficeRoom) -> None:
    client, day = creche.browser("principal"), school_day(creche, 1)
    assert "lớp Lá 1 cả tuần không có buổi học nào" in client.get("/calendar").text
    preview = sent(client, "/calendar/change", act="holiday", first=day.isoformat(), why="bão")
    assert "lớp Mầm 1 cả tuần không có buổi học nào" in preview.text and "Ghi thay đổi" in preview.text
    assert kept(client, preview).status_code == 303
    other = school_day(creche, 5).isoformat()
    make_up = sent(client, "/calendar/change", act="make-up", first=other, weekday="monday", scope="Lá 1", why="bù")
    assert "Ghi thay đổi" in make_up.text
    for fields in ({"act": "shift", "shift_min": "15"}, {"act": "bell", "half": "am", "scope": "3/2", **BELL}):
        assert kept(client, sent(client, "/calendar/change", **fields)).status_code == 303, fields


@pytest.mark.parametrize("first", ["halves", "bell"])
def test_classes_without_a_number_get_half_days_and_bells_step_by_step(creche: OfficeRoom, first: str) -> None:
    client = creche.browser("principal")
    monday = creche.today() + timedelta(days=(7 - creche.today().weekday()))
    halves_of_monday = {"act": "halves", "weekday": "monday", "halves": "am"}
    bell = {"act": "bell", "half": "am", **BELL}
    for name in ("Mầm 1", "Lá 1"):
        for fields in (halves_of_monday, bell) if first == "halves" else (bell, halves_of_monday):
            preview = sent(client, "/calendar/change", scope=name, **fields)
            assert "Ghi thay đổi" in preview.text, preview.text
            assert kept(client, preview).status_code == 303
        assert halves(creche, monday, name) == ["am"]
    assert "không có buổi học nào" not in client.get("/calendar").text


def test_what_a_change_makes_worse_is_refused_beside_what_stood_before(creche: OfficeRoom) -> None:
    client = creche.browser("principal")
    early = {"opens": "09:00", "starts": "13:00", "late_after": "13:05", "final": "13:30", "ends": "16:00"}
    fields = {"act": "bell", "half": "pm", "scope": "3/2", **early}
    preview = sent(client, "/calendar/change", **fields)
    assert "chiều mở lúc 09:00, sáng tan lúc" in preview.text and "Ghi thay đổi" not in preview.text
    assert sent(client, "/calendar/change", fields=json.dumps(fields)).status_code == 400
    for why in ("Na\u202em", "<b>bão</b>", "=1+1", "a\u2066b"):
        fields = {"act": "holiday", "first": creche.day(), "why": why}
        preview = sent(client, "/calendar/change", **fields)
        assert "Ghi thay đổi" not in preview.text and "holidays[" in preview.text
        answer = sent(client, "/calendar/change", fields=json.dumps(fields))
        assert answer.status_code == 400 and "\u202e" not in answer.text
    assert creche.store.timetables.versions() == {}


def lost(office: OfficeRoom, backup_ms: int | None = None) -> None:
    """The hub was made anew: its calendar is that of a backup, or none."""
    with office.store.database.transaction():
        office.store.notes.write(CalendarBack(office.store.clock.now_ms(), backup_ms))


def test_a_calendar_that_came_back_is_confirmed_by_who_may_change_it(office: OfficeRoom) -> None:
    principal, teacher = office.browser("principal"), office.browser("teacher", "3/2")
    assert "/calendar/confirm" not in principal.get("/calendar").text
    lost(office, office.store.clock.now_ms())
    page = principal.get("/calendar").text
    assert "Lịch và giờ học là của bản sao lưu" in page and "/calendar/confirm" in page
    assert "Lịch và giờ học là của bản sao lưu" in office.browser("it").get("/devices").text
    assert sent(teacher, "/calendar/confirm").status_code == 403
    assert principal.post("/calendar/confirm", data={"csrf": "0"}).status_code == 403
    assert office.store.calendar_in_doubt() is not None
    assert sent(principal, "/calendar/confirm").status_code == 303
    assert office.store.calendar_in_doubt() is None
    assert "/calendar/confirm" not in principal.get("/calendar?said=confirmed").text
    assert ("timetable confirmed", "", "allowed") in office.audit("principal.all")
    assert office.store.timetables.versions() == {}, "nothing of it was changed"


def test_a_document_that_is_brought_again_holds_from_its_first_day(office: OfficeRoom) -> None:
    client = office.browser("principal")
    document = client.get("/calendar/document").text
    files = {"file": ("lich.json", document.encode())}
    lost(office)
    assert "đây là lịch đề xuất" in client.get("/calendar").text
    fields = {"csrf": csrf_in(client.get("/me"))}
    assert "Ghi thay đổi" not in client.post("/calendar/upload", data=fields, files=files).text
    fields["note"] = "sau khi khôi phục"
    preview = client.post("/calendar/upload", data=fields, files=files)
    assert kept(client, preview).status_code == 303
    assert list(office.store.timetables.versions()) == [date.fromisoformat(json.loads(document)["first"])]
    page = client.get("/calendar").text
    assert office.store.calendar_in_doubt() is not None and "/calendar/confirm" in page
    assert "Không thay đổi nào tự xác nhận lịch" in page
    assert sent(client, "/calendar/confirm").status_code == 303
    assert "/calendar/confirm" not in client.get("/calendar").text
