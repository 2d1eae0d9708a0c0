"""Reports, files for the city and messages on real pages: whose they are, what they hold, names that are harmless."""

from __future__ import annotations

import csv
import io
import json
import re
import zipfile
from collections.abc import Iterator
from datetime import date
from pathlib import Path

import httpx2 as httpx
import pytest
from python_calamine import CalamineWorkbook

from hub.access.rights import Role
from hub.days.office import HalfDayOf
from hub.lists.telling import told
from hub.papers import wrapped
from hub.reports.workbook import TOP
from hub.store.userrows import UserRefused
from k12edge.cli import main
from protocol.envelope import Event, decode_data, decode_event
from protocol.records import ConsentChanged, FilesSent
from tests.hub.lists.school import book
from tests.hub.web.dayhub import DAY, HOSTILE, ROSTER, DayHub, RosterRow, day_hub, other_day
from tests.hub.web.pagehub import CLASS, OTHER_CLASS, csrf_in

STRANGERS = tuple(RosterRow(f"st-h-{number}", name, CLASS, None) for number, name in enumerate(HOSTILE))
REASON = "mẹ báo đi viện"
MONTH = f"{DAY:%Y-%m}"
OTHERS = [row.display_name for row in ROSTER if row.school_class == OTHER_CLASS]
MINE = [row.display_name for row in ROSTER if row.school_class == CLASS]


@pytest.fixture(scope="module")
def hub(tmp_path_factory: pytest.TempPathFactory) -> Iterator[DayHub]:
    folder = tmp_path_factory.mktemp("reports")
    city = {"kind": "files", "files_dir": str(folder / "out")}
    labels = {"labels": ["excused=CP", "unexcused=KP"]}
    with day_hub(folder / "hub", roster=(*ROSTER, *STRANGERS), city=city, reports=labels) as made:
        for number in range(6):
            made.tap(f"st-3-2-{number}", "06:50")
        made.deliver()
        place = HalfDayOf(CLASS, DAY, "am")
        made.store.office.roll_call("co.lan", place, {"st-3-2-9": "unexcused", "st-h-0": "unexcused"})
        made.store.office.roll_call("co.lan", place, {"st-3-2-9": "excused"}, reason=REASON)
        made.settle()
        yield made


@pytest.fixture(scope="module")
def browsers(hub: DayHub) -> dict[Role, httpx.Client]:
    roles: tuple[Role, ...] = ("principal", "teacher", "accountant", "auditor", "it", "guard")
    return {role: hub.browser(role) for role in roles}


def ok(client: httpx.Client, path: str) -> httpx.Response:
    answer = client.get(path)
    assert answer.status_code == 200, (path, answer.status_code, answer.text[:300])
    return answer


def workbook(answer: httpx.Response) -> CalamineWorkbook:
    return CalamineWorkbook.from_filelike(io.BytesIO(answer.content))


def table(answer: httpx.Response) -> list[list[str]]:
    return list(csv.reader(io.StringIO(answer.content.decode("utf-8-sig"), newline="")))


# --- reports ----------------------------------------------------------------------------------------------------------


def test_a_month_is_shown_with_ways_to_its_taps(hub: DayHub, browsers: dict[Role, httpx.Client]) -> None:
    page = ok(browsers["teacher"], "/reports/month").text
    assert "SỔ ĐIỂM DANH" in page and f"Lớp {CLASS}" in page and "CP có phép" in page
    assert f'href="/pupil/st-3-2-9?day={DAY}">CP</a>' in page
    assert f"/class?class={CLASS}&amp;day={DAY}&amp;half=am&amp;show=there" in page
    assert "bởi co.lan: KP → CP" in page and REASON in page
    assert "<script>window" not in page and "{{ 7 * 7 }}%s" in page
    ok(browsers["teacher"], f"/pupil/st-3-2-9?day={DAY}")
    choice = ok(browsers["principal"], "/reports/month").text
    assert f"/reports/month?class={CLASS}&amp;month={MONTH}" in choice and MINE[0] not in choice


FORMS = ("xlsx", "csv", "json")
REPORTS = ("month", "day", "term")


@pytest.mark.parametrize("report", REPORTS)
def test_a_teacher_gets_the_own_class_in_every_form_and_nobody_else(
    hub: DayHub, browsers: dict[Role, httpx.Client], report: str
) -> None:
    teacher = browsers["teacher"]
    for path in (f"/reports/{report}", f"/reports/{report}/file", f"/v1/reports/{report}"):
        for form in FORMS:
            answer = ok(teacher, f"{path}?format={form}")
            octets = answer.content
            if answer.headers["content-type"].startswith("application/vnd"):
                sheets = workbook(answer)
                rows = [row for name in sheets.sheet_names for row in sheets.get_sheet_by_name(name).to_python()]
                octets = repr(rows).encode()
            text = octets.decode("utf-8", "replace")
            assert not [name for name in OTHERS if name in text] and OTHER_CLASS not in text, path
            assert "Toàn trường" not in text
        before = len(hub.audit())
        assert teacher.get(f"{path}?class={OTHER_CLASS}").status_code == 403
        assert (hub.audit()[0].outcome, hub.audit()[0].object) == ("refused", OTHER_CLASS)
        assert len(hub.audit()) == min(before + 1, 200)


def test_who_may_not_see_reasons_gets_none(browsers: dict[Role, httpx.Client]) -> None:
    for role, there in (("accountant", False), ("auditor", True), ("principal", True)):
        client = browsers[role]  # type: ignore[index]
        page = ok(client, f"/reports/month?class={CLASS}").text
        answer = ok(client, f"/v1/reports/month?class={CLASS}").text
        packed = zipfile.ZipFile(io.BytesIO(ok(client, f"/v1/reports/month?class={CLASS}&format=xlsx").content))
        notes = packed.read("xl/comments1.xml").decode()
        assert (REASON in page, REASON in answer) == (there, there), role
        assert "KP → CP" in page and "KP → CP" in notes and (REASON in notes) == there
        assert ("/pupil/" in page) == there
    for role in ("it", "guard"):
        for path in ("/reports", "/reports/month", "/v1/reports/day", "/reports/term/file"):
            assert browsers[role].get(path).status_code == 403  # type: ignore[index]


def test_hostile_names_are_texts_wherever_they_end(browsers: dict[Role, httpx.Client]) -> None:
    client = browsers["principal"]
    sheet = workbook(ok(client, f"/reports/month/file?class={CLASS}")).get_sheet_by_name("3-2").to_python()
    names = {row[2] for row in sheet[TOP:]}
    assert {'=HYPERLINK("http://foreign.example")', "<script>window.struck = 1</script>"} <= names
    for path in (f"/reports/month/file?class={CLASS}&format=csv", "/v1/reports/term?format=csv"):
        cells = [cell for row in table(ok(client, path)) for cell in row]
        assert not [cell for cell in cells if cell.startswith(("=", "+", "-", "@", "\t"))]
        assert any(cell == '\'=HYPERLINK("http://foreign.example")' for cell in cells)
    term = workbook(ok(client, "/reports/term/file")).get_sheet_by_name("1").to_python()
    assert any('=HYPERLINK("http://foreign.example")' in row for row in term)
    for path in (f"/reports/month?class={CLASS}", f"/reports/term?class={CLASS}"):
        page = ok(client, path).text
        assert "<script>window" not in page and 'autofocus x=""' not in page


def test_a_day_counts_the_school_and_a_term_each_pupil(browsers: dict[Role, httpx.Client]) -> None:
    found = ok(browsers["principal"], f"/v1/reports/day?day={DAY}").json()
    line = next(one for one in found["lines"] if (one["class"], one["half"]) == (CLASS, "am"))
    assert line["counts"]["present"] == 6 and line["counts"]["excused"] == 1
    assert all(one["evidence"] for one in line["pupils"]["present"])
    page = ok(browsers["principal"], f"/reports/day?day={DAY}").text
    assert "Toàn trường" in page
    assert f"/class?class={CLASS}&amp;day={DAY}&amp;half=am&amp;show=present" in page
    term = ok(browsers["teacher"], f"/reports/term?first={DAY}&last={DAY}").text
    assert re.search(rf"/pupil/st-3-2-9\?day={DAY}\">{DAY:%d/%m} Sáng CP", term), term[-3000:]
    rows = table(ok(browsers["teacher"], f"/reports/term/file?format=csv&first={DAY}&last={DAY}"))
    assert next(row for row in rows if row[-1] == "st-3-2-9")[4:6] == ["1", "0"]
    month = ok(browsers["teacher"], "/v1/reports/month").json()
    mine = next(one for one in month["classes"][0]["pupils"] if one["pupil"] == "st-3-2-9")
    cell = next(one for one in mine["marks"] if one is not None and "corrected" in one)
    assert cell["mark"] == "excused" and cell["evidence"] and cell["corrected"]["before"] == "unexcused"


def test_every_form_of_a_month_has_the_same_totals(browsers: dict[Role, httpx.Client]) -> None:
    path = f"/reports/month/file?class={CLASS}"
    sheet = workbook(ok(browsers["principal"], path)).get_sheet_by_name("3-2").to_python()
    lines = table(ok(browsers["principal"], f"{path}&format=csv"))
    heads = ["CP", "KP", "M", "VS", "V", "?", "Buổi có mặt", "Số ngày (½ mỗi buổi)"]
    page = ok(browsers["principal"], f"/reports/month?class={CLASS}").text
    assert [text.strip() for text in map(str, sheet[TOP - 1][-8:])] == heads == lines[0][-8:]
    assert re.findall(r'<th scope="col" rowspan="2">([^<]*)</th>', page)[-8:] == heads
    mine = next(row for row in re.findall(r"<tr>.*?</tr>", page, re.DOTALL) if "/pupil/st-3-2-9?" in row)
    shown = [float(number) for number in re.findall(r'<td class="total">([0-9.]+)</td>', mine)]
    name = next(row.display_name for row in ROSTER if row.pupil_key == "st-3-2-9")
    assert shown == [float(cell) for cell in next(line for line in lines if line[2] == name)[-8:]]
    assert shown == [float(cell) for cell in next(line for line in sheet if line[2] == name)[-8:]]
    assert shown[0] == 1


def test_a_file_speaks_its_reader_s_language_and_a_term_has_the_school_s_code(
    hub: DayHub, browsers: dict[Role, httpx.Client]
) -> None:
    with hub.store.database.transaction() as run:
        run.execute("UPDATE pupils SET code = '0791234' WHERE pupil_key = 'st-3-2-9'")
    client = hub.browser("principal", "hieu.truong")
    assert "0791234" in ok(client, f"/reports/term?class={CLASS}").text
    vietnamese = table(ok(client, "/reports/term/file?format=csv"))
    assert vietnamese[0][:4] == ["Học kỳ", "Lớp", "Mã học sinh", "Họ và tên"]
    assert next(line for line in vietnamese if line[-1] == "st-3-2-9")[1:3] == [f"Lớp {CLASS}", "0791234"]
    client.cookies.set("lang", "en")
    for report in REPORTS:
        found = table(ok(client, f"/reports/{report}/file?format=csv"))
        assert all(cell.isascii() for cell in found[0] if "½" not in cell), found[0]
        text = repr([line[:3] for line in found])
        assert "Lớp" not in text and f"Class {CLASS}" in text, report
    xlsx = workbook(ok(client, f"/reports/day/file?day={DAY}")).get_sheet_by_name("1").to_python()
    assert xlsx[3][:3] == ["Date", "Half-day", "Class"]


@pytest.mark.parametrize(
    "path",
    [
        "/reports/month?class=9/9",
        "/reports/month?month=2099-01",
        "/v1/reports/month?month=2026-13",
        "/reports/month?month=x",
        "/v1/reports/day?day=2099-01-01",
        "/v1/reports/term?first=2024-01-01&last=2026-11-01",
        "/v1/reports/term?first=2026-11-02&last=2026-11-01",
        "/v1/reports/day?format=pdf",
    ],
)
def test_what_no_report_can_be_made_of_is_refused(browsers: dict[Role, httpx.Client], path: str) -> None:
    client = browsers["principal"]
    assert client.get(path if "class" in path or "/v1" in path else f"{path}&class={CLASS}").status_code == 422


def test_a_large_file_goes_by_the_disk_and_leaves_nothing_there(
    hub: DayHub, browsers: dict[Role, httpx.Client], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("hub.web.handing.MEMORY_BYTES_MAX", 100)
    before = set(hub.folder.iterdir())
    answer = ok(browsers["principal"], "/reports/month/file")
    assert len(workbook(answer).sheet_names) == 2 and int(answer.headers["content-length"]) == len(answer.content)
    assert set(hub.folder.iterdir()) == before
    assert answer.headers["content-disposition"] == f'attachment; filename="so-diem-danh-{MONTH}-01.xlsx"'
    monkeypatch.setattr("hub.web.handing.WAIT_S", 0.01)
    from hub.web import handing

    with handing._one:
        assert browsers["principal"].get("/v1/reports/day").status_code == 429


def test_commands_write_the_same_reports(hub: DayHub, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    target = tmp_path / "m.csv"
    outcome = hub.store.carry_out("report-month", {"month": MONTH, "format": None, "file": str(target), "by": "x"})
    assert outcome.paper is not None and "Đặng" in outcome.paper.decode("utf-8-sig")
    config = tmp_path / "hub.toml"
    config.write_text(f'[hub]\nid = "h"\nschool = "s"\ndata_dir = "{tmp_path / "other"}"\n', encoding="utf-8")
    (tmp_path / "other").mkdir()
    into = ["--into", str(tmp_path / "d.xlsx"), "--config", str(config)]
    assert main(["hub", "report", "day", "2026-09-07", *into]) == 0
    assert (tmp_path / "d.xlsx").read_bytes()[:2] == b"PK" and "ngay-2026-09-07.xlsx" in capsys.readouterr().out
    for words in (["day", "2026-09-07", "--format", "pdf"], ["month", "2026-13"], ["term", "2026-09-07", "x"]):
        assert main(["hub", "report", *words, "--into", str(tmp_path / "n.csv"), "--config", str(config)]) == 1
    assert not (tmp_path / "n.csv").exists()


# --- files for the city -----------------------------------------------------------------------------------------------


def send(client: httpx.Client, path: str, **fields: str) -> httpx.Response:
    return client.post(path, data={"csrf": csrf_in(client.get("/me")), **fields})


def test_files_are_laid_taken_and_said_to_be_sent_by_name(
    hub: DayHub, browsers: dict[Role, httpx.Client], capsys: pytest.CaptureFixture[str]
) -> None:
    principal = browsers["principal"]
    assert send(principal, "/city/files/make", month=MONTH).headers["location"] == "/city/files?said=made"
    page = ok(principal, "/city/files").text
    number = int(re.findall(r"Số (\d{6})", page)[0])
    assert "Chưa gửi" in page and "1 bộ tệp chưa được ghi là đã gửi" in page
    file = f"/city/files/{number}/so-diem-danh-{MONTH}-01.xlsx"
    assert workbook(ok(principal, file)).sheet_names == ["3-2", "3-3"]
    for role in ("it", "teacher", "guard", "accountant"):
        assert browsers[role].get(file).status_code == 403  # type: ignore[index]
        assert send(browsers[role], "/city/files/sent", number=str(number), to="x").status_code == 403  # type: ignore[index]
    assert send(browsers["auditor"], "/city/files/make", month=MONTH).status_code == 403
    assert ok(browsers["auditor"], "/city/files").text.count("<form method") < page.count("<form method")
    assert principal.get(f"/city/files/{number}/..%2fmanifest.json").status_code == 404
    assert principal.get(f"/city/files/{number}/manifest.json").status_code == 404
    assert send(principal, "/city/files/sent", number=str(number), to=" ").headers["location"].endswith("refused")
    said = send(principal, "/city/files/sent", number=str(number), to="phòng giáo dục <b>")
    assert said.headers["location"] == "/city/files?said=sent"
    page = ok(principal, "/city/files").text
    assert "principal.user → <bdi>phòng giáo dục &lt;b&gt;</bdi>" in page and "bộ tệp chưa" not in page
    record = decode_data(newest(hub), FilesSent)
    assert (record.number, record.by, len(record.manifest)) == (number, "principal.user", 64)
    listed = json.loads(hub.store.carry_out("files-list", {"json": "True"}).text)
    assert listed[0]["sent"][0]["to"] == "phòng giáo dục <b>" and listed[0]["faults"] == []
    place = hub.store.config.city.files_dir
    assert place is not None
    (place / f"{number:06}" / f"so-diem-danh-{MONTH}-01.xlsx").write_bytes(b"PK other")
    assert "was changed" in ok(principal, "/city/files").text and principal.get(file).status_code == 404
    assert send(principal, "/city/files/sent", number=str(number), to="x").headers["location"].endswith("refused")
    assert send(principal, "/city/files/make", month="2099-01").headers["location"].endswith("not-made")
    with pytest.raises(Exception, match="no number"):
        hub.store.carry_out("files-sent", {"number": "x", "to": "y", "by": "z"})


def newest(hub: DayHub) -> Event:
    """The newest record of the hub's own."""
    with hub.store.database.lock:
        ((raw,),) = hub.store.database.connection.execute("SELECT raw FROM events ORDER BY position DESC LIMIT 1")
    return decode_event(bytes(raw))


# --- messages ---------------------------------------------------------------------------------------------------------


def test_consent_is_a_record_and_comes_back_from_it(hub: DayHub, browsers: dict[Role, httpx.Client]) -> None:
    client, store = browsers["it"], hub.store
    page = ok(client, f"/messages/consent?class={CLASS}").text
    assert 'id="p-st-3-2-1"' in page and "chưa có lời ghi" in page and "<script>window" not in page
    assert send(client, "/messages/consent", pupil="st-3-2-1", given="true").status_code == 303
    with store.database.lock:
        assert "st-3-2-1" in store.messages.consents()
    word = decode_data(newest(hub), ConsentChanged)
    assert (word.student, word.purpose, word.given, word.by) == ("st-3-2-1", "messages", True, "it.user")
    hub.now("07:00")
    assert send(client, "/messages/consent", pupil="st-3-2-1", given="false").status_code == 303
    hub.now("07:10")
    with store.database.transaction():
        store.database.connection.execute("DELETE FROM consents")
    store.daybook.anew()
    hub.settle()
    with store.database.lock:
        assert store.messages.consent_known("st-3-2-1") == (False, store.messages.consent_known("st-3-2-1")[1])  # type: ignore[index]
    for role in ("teacher", "guard", "auditor", "accountant"):
        assert browsers[role].get("/messages").status_code == 403  # type: ignore[index]
        assert send(browsers[role], "/messages/consent", pupil="st-3-2-1", given="true").status_code == 403  # type: ignore[index]
    assert send(client, "/messages/consent", pupil="st-none", given="true").status_code in (403, 404)


CONSENT = ("Mã học sinh", "Họ tên", "Lớp", "Mục đích", "Đồng ý", "Học sinh đồng ý", "Người đồng ý", "Ngày ký")


def consent_list(*rows: tuple[str, ...]) -> bytes:
    return book(("Đồng ý", [CONSENT, *rows]))


def looked_at(client: httpx.Client, octets: bytes, kind: str, **fields: str) -> httpx.Response:
    data = {"csrf": csrf_in(client.get("/me")), "kind": kind, **fields}
    return client.post("/lists/preview", data=data, files={"file": ("ds.xlsx", octets)})


def secret_in(page: httpx.Response) -> str:
    found = re.search(r'name="secret" value="([^"]*)"', page.text)
    assert found is not None, page.text
    return found[1]


@pytest.fixture
def coded(hub: DayHub) -> None:
    """Pupils with codes, as lists name them."""
    with hub.store.database.transaction():
        hub.store.database.connection.execute("UPDATE pupils SET code = 'HS-' || pupil_key")


def test_a_list_of_consent_is_shown_then_taken_whole_once(
    hub: DayHub, browsers: dict[Role, httpx.Client], coded: None
) -> None:
    client, store = browsers["principal"], hub.store
    yes = ("HS-st-3-2-2", MINE[2], CLASS, "Nhắn tin phụ huynh", "Có", "Có", "Mẹ", "05/09/2026")
    child_says_no = ("HS-st-3-2-3", MINE[3], CLASS, "Nhắn tin phụ huynh", "Có", "Không", "Mẹ", "05/09/2026")
    photo = ("HS-st-3-2-2", MINE[2], CLASS, "Ảnh", "Có", "Có", "Mẹ", "05/09/2026")
    strange = ("HS-nobody", "Ai Đó", CLASS, "Nhắn tin phụ huynh", "Có", "Có", "Mẹ", "05/09/2026")
    wrong = looked_at(client, consent_list(yes, strange), "consent")
    assert wrong.status_code == 200 and "Nhận danh sách" not in wrong.text
    preview = looked_at(client, consent_list(yes, child_says_no, photo), "consent")
    assert "đồng ý nhận tin</dt><dd>1<" in preview.text and "mục đích khác, không giữ ở đây</dt><dd>1<" in preview.text
    with store.database.lock:
        assert "st-3-2-2" not in store.messages.consents()
    secret = secret_in(preview)
    assert send(browsers["it"], "/lists/apply", kind="consent", secret=secret).status_code == 409
    taken = send(client, "/lists/apply", kind="consent", secret=secret)
    assert taken.status_code == 200, taken.text
    with store.database.lock:
        assert "st-3-2-2" in store.messages.consents() and "st-3-2-3" not in store.messages.consents()
        assert store.messages.consent_known("st-3-2-3") is not None
    again = looked_at(client, consent_list(yes, child_says_no, photo), "consent")
    assert "như cũ</dt><dd>2<" in again.text
    assert looked_at(browsers["teacher"], consent_list(yes), "consent").status_code == 403
    assert looked_at(browsers["it"], consent_list(yes), "leave").status_code == 403
    assert looked_at(client, consent_list(yes), "nothing").status_code == 422
    assert looked_at(client, b"PK\x03\x04" + b"\x00" * 50, "consent").status_code == 200


def test_messages_show_names_to_whom_may_see_marks_only(hub: DayHub, browsers: dict[Role, httpx.Client]) -> None:
    store = hub.store
    with store.database.transaction():
        store.database.connection.execute(
            "INSERT INTO messages (key, pupil_key, day, half, kind, state, made_ms, valid_until_ms, body, detail)"
            " VALUES ('m-1', 'st-3-2-4', ?, 'am', 'arrived', 'refused', 0, 0, '{}', '<b>HTTP 422')",
            (DAY.isoformat(),),
        )
    page = ok(browsers["principal"], "/messages").text
    assert MINE[4] in page and "&lt;b&gt;HTTP 422" in page and "bị từ chối" in page
    page = ok(browsers["it"], "/messages").text
    assert MINE[4] not in page and "bị từ chối" in page
    assert "chưa bật gửi tin" in page


# --- other lists ------------------------------------------------------------------------------------------------------


def test_leave_and_staff_lists_are_taken_once(hub: DayHub, browsers: dict[Role, httpx.Client], coded: None) -> None:
    leave = book(
        (
            "Đơn",
            [
                ("Mã học sinh", "Họ tên", "Lớp", "Nghỉ từ ngày"),
                ("HS-st-3-2-7", MINE[7], CLASS, f"{other_day(1):%d/%m/%Y}"),
            ],
        )
    )
    client = browsers["principal"]
    taken = send(client, "/lists/apply", kind="leave", secret=secret_in(looked_at(client, leave, "leave")))
    assert taken.status_code == 200 and "1 mới" in taken.text
    marks = {
        (one.pupil.key, one.session.half): one.judged.mark for one in hub.store.classbook.marks(other_day(1), CLASS)
    }
    assert marks["st-3-2-7", "am"] == "excused"
    assert "như cũ</dt><dd>1<" in looked_at(client, leave, "leave").text
    staff = book(
        (
            "NS",
            [
                ("Mã cán bộ", "Họ tên", "Vai trò", "Lớp chủ nhiệm"),
                ("GV001", "Trần Thị Ngọc", "Giáo viên chủ nhiệm, Bảo mẫu", CLASS),
            ],
        )
    )
    it = browsers["it"]
    slips = send(it, "/lists/apply", kind="staff", secret=secret_in(looked_at(it, staff, "staff")))
    links = re.findall(r'<code class="long">([^<]*)</code>', slips.text)
    assert len(links) == 2 and slips.text.count("<svg") == 2 and "Trần Thị Ngọc" in slips.text
    user = hub.store.users.find("gv001")
    assert user is not None and (user.person.role, user.person.school_class) == ("teacher", CLASS)
    second = hub.store.users.find("gv001-2")
    assert second is not None and second.person.role == "supervisor"
    assert hub.client().get(links[0].removeprefix(hub.url)).status_code == 200
    assert "như cũ</dt><dd>2<" in looked_at(it, staff, "staff").text
    assert looked_at(client, staff, "staff").status_code == 403


STAFF_HEADER = ("Mã cán bộ", "Họ tên", "Vai trò", "Lớp chủ nhiệm")


def staff_list(*rows: tuple[str, str, str, str]) -> bytes:
    return book(("NS", [STAFF_HEADER, *rows]))


def test_a_new_years_list_of_staff_moves_teachers_to_their_classes(tmp_path: Path) -> None:
    ngoc, guard = ("GV77", "Trần Thị Ngọc", "Giáo viên chủ nhiệm"), ("BV1", "Lê Văn Tư", "Bảo vệ", "")
    with day_hub(tmp_path / "hub") as hub:
        it, users, sessions = hub.browser("it"), hub.store.users, hub.store.sessions
        first = looked_at(it, staff_list((*ngoc, CLASS), guard), "staff")
        assert send(it, "/lists/apply", kind="staff", secret=secret_in(first)).status_code == 200
        session = sessions.begin("gv77", "phone", hub.store.clock.now_ms())
        assert session is not None
        moved = looked_at(it, staff_list((*ngoc, OTHER_CLASS), guard), "staff")
        assert "chuyển lớp hoặc ngày cuối</dt><dd>1<" in moved.text and "như cũ</dt><dd>1<" in moved.text
        taken = send(it, "/lists/apply", kind="staff", secret=secret_in(moved))
        assert taken.status_code == 200 and "<svg" not in taken.text, "they have their password"
        user = users.find("gv77")
        assert user is not None and user.person.school_class == OTHER_CLASS
        assert sessions.find(session, hub.store.clock.now_ms()) is None, "what was open shows the old class no longer"
        assert ("user moved", "gv77") in {(one.what, one.object) for one in hub.audit()}
        said = hub.ask("user-move", name="gv77", **{"class": CLASS})
        assert CLASS in said and users.find("gv77").person.school_class == CLASS  # type: ignore[union-attr]
        for name, reason in (("bv1", "no-class"), ("nobody", "unknown")):
            with pytest.raises(UserRefused) as refused:
                hub.ask("user-move", name=name, **{"class": CLASS})
            assert refused.value.reason == reason


def test_a_login_that_a_list_of_staff_no_longer_names_is_named_and_a_last_day_follows_the_list(tmp_path: Path) -> None:
    header = (*STAFF_HEADER, "Đến ngày")
    both = [("GV7", "Trần An", "Giáo viên chủ nhiệm", f"{CLASS}, {OTHER_CLASS}", ""),
            ("GV9", "Lê Bình", "Giáo viên dạy thay", CLASS, "31/05/2027")]  # fmt: skip
    less = [("GV7", "Trần An", "Giáo viên chủ nhiệm", OTHER_CLASS, ""),
            ("GV9", "Lê Bình", "Giáo viên dạy thay", CLASS, "01/12/2026")]  # fmt: skip
    with day_hub(tmp_path / "hub") as hub:
        it = hub.browser("it")
        first = looked_at(it, book(("NS", [header, *both])), "staff")
        assert send(it, "/lists/apply", kind="staff", secret=secret_in(first)).status_code == 200
        told = looked_at(it, book(("NS", [header, *less])), "staff")
        assert "tên đăng nhập gv7-2" in told.text and "chuyển lớp hoặc ngày cuối</dt><dd>2<" in told.text
        assert send(it, "/lists/apply", kind="staff", secret=secret_in(told)).status_code == 200
        substitute = hub.store.users.find("gv9")
        assert substitute is not None and substitute.person.until == date(2026, 12, 1)
        hub.ask("user-revoke", name="gv7-2")
        assert "gv7-2" not in looked_at(it, book(("NS", [header, *less])), "staff").text


def test_a_list_of_staff_names_every_login_that_is_somebody_elses(tmp_path: Path) -> None:
    rows = [("GV1", "Trần An", "Giáo viên chủ nhiệm", CLASS), ("GV2", "Lê Bình", "Giáo viên chủ nhiệm", CLASS),
            ("BV1", "Lê Văn Tư", "Bảo vệ", ""), ("BV2", "Phạm Hải", "Bảo vệ", "")]  # fmt: skip
    with day_hub(tmp_path / "hub") as hub:
        it = hub.browser("it")
        assert send(it, "/lists/apply", kind="staff", secret=secret_in(looked_at(it, staff_list(*rows), "staff"))).text
        hub.ask("user-revoke", name="bv2")
        others = [("GV1", "Hoàng Yến", "Giáo viên chủ nhiệm", OTHER_CLASS), rows[1],
                  ("BV1", "Lê Văn Tư", "Kỹ thuật (CNTT)", ""), rows[3]]  # fmt: skip
        told = looked_at(it, staff_list(*others), "staff").text
        for name, why in (("gv1", "của người khác"), ("bv1", "với vai trò khác"), ("bv2", "đã thu hồi")):
            assert re.search(rf"{name}: [^;]*{why}", told), name
        assert "gv2" not in told and hub.store.users.find("gv1").person.school_class == CLASS  # type: ignore[union-attr]


def test_a_calendar_from_a_list_holds_from_its_day_on_and_once(hub: DayHub, browsers: dict[Role, httpx.Client]) -> None:
    tet = ("01/01/2027", "", "Nghỉ lễ", "Hội trường")
    holidays = book(("Lịch", [("Từ ngày", "Đến ngày", "Loại ngày", "Nội dung"), tet]))
    words = {"file": "lich.xlsx", "paper": wrapped(holidays), "list": "calendar", "by": "van-thu", "day": "2026-12-01"}
    found = json.loads(hub.store.carry_out("roster-check", words).text)
    assert (found["effects"], found["written"]) == ({"versions": 1, "same": 0}, None)
    assert hub.store.timetables.versions() == {}
    words["confirm"] = "days-gone"
    assert json.loads(hub.store.carry_out("roster-apply", words).text)["written"] == "calendar 1"
    (version,) = hub.store.timetables.versions().values()
    assert version.first_day == date(2026, 12, 1) and [one.why for one in version.document.holidays] == [tet[3]]
    again = json.loads(hub.store.carry_out("roster-apply", words).text)
    assert again["effects"] == {"versions": 0, "same": 1} and again["written"] is None and again["unchanged"]
    menus = json.loads(hub.store.carry_out("roster-apply", {**words, "list": "menus"}).text)
    assert menus["written"] is None and menus["effects"] is None
    assert "Hội trường" not in ok(browsers["principal"], "/calendar").text, "it holds from December on"


def test_a_calendar_names_the_days_that_it_takes_away_and_asks_whether_it_is_meant(tmp_path: Path) -> None:
    with day_hub(tmp_path / "hub") as hub:
        header = ("Từ ngày", "Đến ngày", "Loại ngày", "Các lớp", "Học bù theo thứ", "Nội dung")
        rows = [
            ("08/02/2027", "14/02/2027", "Nghỉ lễ", "", "", "Tết"),
            ("06/03/2027", "", "Học bù", "Khối 3", "T2", "bù"),
        ]
        octets = book(("Lịch", [header, *rows]))
        words = {
            "file": "lich.xlsx",
            "paper": wrapped(octets),
            "list": "calendar",
            "by": "van-thu",
            "day": "2026-12-01",
        }
        before = hub.store.timetables.versions()
        found = json.loads(hub.store.carry_out("roster-apply", words).text)
        assert found["written"] is None and found["guards"] == ["days-gone"]
        assert hub.store.timetables.versions() == before
        said = "\n".join(told(found))
        assert "bỏ / goes: nghỉ / holiday 01/01/2027: Tết Dương lịch" in said
        assert "thêm / comes: nghỉ / holiday 08/02/2027 – 14/02/2027: Tết" in said
        assert "thêm / comes: học bù / make-up day 06/03/2027 (T2 / Monday): bù; khối / grades 3" in said
        assert "cần xác nhận / to be confirmed: days-gone" in said and "chưa ghi gì" in said
        it = hub.browser("it")
        preview = looked_at(it, octets, "calendar")
        assert "Tết Dương lịch" in preview.text and "30/4 - 1/5" in preview.text and "Bỏ đi" in preview.text
        secret = secret_in(preview)
        refused = send(it, "/lists/apply", kind="calendar", secret=secret)
        assert refused.status_code == 409 and hub.store.timetables.versions() == before
        assert send(it, "/lists/apply", kind="calendar", secret=secret, confirm="days-gone").status_code == 200
        (version,) = hub.store.timetables.versions().values()
        assert [one.why for one in version.document.holidays] == ["Tết"]
        again = looked_at(it, octets, "calendar")
        assert "Không có gì để ghi" in again.text and 'action="/lists/apply"' not in again.text


def test_a_timetable_names_the_lessons_that_change_for_whom_and_when(tmp_path: Path) -> None:
    with day_hub(tmp_path / "hub") as hub:
        header = ("Khối", "Thứ", "Buổi", "Mở cổng", "Vào học", "Trễ sau", "Chốt vắng", "Tan học")
        rows = [("3", "T2, T3, T4, T5, T6", "Sáng", "06:30", "07:45", "07:50", "08:30", "11:00")]
        octets = book(("TKB", [header, *rows]))
        words = {"file": "tkb.xlsx", "paper": wrapped(octets), "list": "timetable", "by": "vp", "day": "2026-12-01"}
        found = json.loads(hub.store.carry_out("roster-check", words).text)
        assert found["sound"], found["faults"]
        mornings = [one for one in found["hours"] if one["half"] == "am" and one["after"] is not None]
        assert [(one["after"]["starts"], one["classes"]) for one in mornings if CLASS in one["classes"]] == [
            (7 * 60 + 45, [CLASS, OTHER_CLASS])
        ]
        assert mornings[0]["days"][0] == "2026-12-01", "days before stay"
        said = "\n".join(told(found))
        assert "→ 07:45–11:00 (muộn sau / late after 07:50); lớp / classes 3/2, 3/3; 01/12/2026 – " in said
        preview = looked_at(hub.browser("it"), octets, "timetable", day="2026-12-01")
        assert "Giờ học thay đổi" in preview.text and "07:45–11:00" in preview.text
        assert hub.store.timetables.versions() == {}


def test_the_last_word_of_consent_counts_in_whatever_order_it_is_read(hub: DayHub) -> None:
    rows = hub.store.messages
    with hub.store.database.transaction():
        rows.set_consent("st-x", False, "b", 2_000)
        rows.set_consent("st-x", True, "a", 1_000)
        assert rows.consent_known("st-x") == (False, 2_000)
