"""The roster on its page: a file is looked at first, guarded, taken whole by whom it belongs to, or not at all."""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import date

import httpx2 as httpx
import pytest

from hub.web.uploads import FILES_MAX, KEPT_MS, LARGEST, Uploads
from tests.hub.lists.school import book, c1, pupils, sheet_of
from tests.hub.web.officeroom import OfficeRoom, csrf_in, office_room, sent

HEADER = ["Mã lớp", "Mã học sinh", "Họ tên", "Ngày sinh"]
PUPILS = pupils(60)


@pytest.fixture
def office(tmp_path_factory: pytest.TempPathFactory) -> Iterator[OfficeRoom]:
    with office_room(tmp_path_factory.mktemp("roster"), ()) as made:
        yield made


def looked_at(client: httpx.Client, octets: bytes, name: str = "C1-HocSinh.xlsx", **fields: str) -> httpx.Response:
    data = {"csrf": csrf_in(client.get("/me")), **fields}
    return client.post("/roster/preview", data=data, files={"file": (name, octets)})


def secret_in(page: httpx.Response) -> str:
    found = re.search(r'name="secret" value="([^"]*)"', page.text)
    assert found is not None, page.text
    return found[1]


def states(office: OfficeRoom) -> dict[str, int]:
    counts: dict[str, int] = {}
    for person in office.store.people.all():
        counts[person.state] = counts.get(person.state, 0) + 1
    return counts


def test_a_list_is_shown_taken_once_and_then_changes_nothing(office: OfficeRoom) -> None:
    client = office.browser("it")
    preview = looked_at(client, c1(PUPILS))
    assert preview.status_code == 200 and states(office) == {}, preview.text
    assert PUPILS[0].name is not None and PUPILS[0].name in preview.text and "chưa có gì được ghi" in preview.text
    answer = sent(client, "/roster/apply", secret=secret_in(preview))
    assert answer.headers["location"] == "/roster?said=taken" and states(office) == {"enrolled": 60}
    assert any(what == "roster taken" for what, _, _ in office.audit("it.all"))
    assert sent(client, "/roster/apply", secret=secret_in(preview)).status_code == 409, "the file is done with"
    again = looked_at(client, c1(PUPILS))
    assert re.search(r"Như cũ</dt><dd>60<", again.text)
    assert "60" in client.get("/roster").text
    release = office.store.roster.current()
    again = looked_at(client, c1(PUPILS))
    assert "Không có gì để ghi" in again.text and 'action="/roster/apply"' not in again.text
    assert office.store.roster.current() == release, "gateways get no new release of what they have"


def test_what_a_list_does_to_cards_stands_in_its_preview(office: OfficeRoom) -> None:
    rows = [f"st-{number},An {number},6A1,{0x04A1B2C3D4E500 + number:014X}" for number in range(5)]
    octets = "\n".join(("pupil_key,display_name,class,card_uid", *rows)).encode()
    client = office.browser("it")
    preview = looked_at(client, octets, "r1.csv")
    assert "Thẻ mới: 5" in preview.text
    sent(client, "/roster/apply", secret=secret_in(preview))
    office.store.office.card("vp", "lost", "a:04A1B2C3D4E503", "st-3")
    office.store.office.card("vp", "issued", "a:04A1B2C3D4E5F0", "st-3")
    again = looked_at(client, octets, "r1.csv")
    assert "Thẻ đã báo mất, vẫn bị từ chối: 1 · dòng 5" in again.text
    assert "Thẻ không có trong tệp, vẫn giữ: 1 · dòng 5" in again.text and "Thẻ như cũ: 4" in again.text
    assert "Không có gì để ghi" in again.text
    swapped = octets.replace(b"E500", b"x").replace(b"E501", b"E500").replace(b"x", b"E501")
    preview = looked_at(client, swapped, "r1.csv")
    assert "Thẻ chuyển sang em khác: 2 · dòng 2, 3" in preview.text and 'value="cards-passed"' in preview.text
    secret = secret_in(preview)
    assert sent(client, "/roster/apply", secret=secret).status_code == 409
    assert sent(client, "/roster/apply", secret=secret, confirm="cards-passed").status_code == 303


def test_a_list_without_half_the_school_is_guarded_and_confirmed_by_name(office: OfficeRoom) -> None:
    client = office.browser("principal")
    sent(client, "/roster/apply", secret=secret_in(looked_at(client, c1(PUPILS))))
    preview = looked_at(client, c1(PUPILS[:30]), missing="leave")
    assert 'value="many-gone"' in preview.text and "Rời trường (30)" in preview.text
    secret = secret_in(preview)
    for words in ({}, {"confirm": "many-moved"}, {"confirm": "made-up"}):
        assert sent(client, "/roster/apply", secret=secret, missing="leave", **words).status_code == 409
        assert states(office) == {"enrolled": 60}
    answer = sent(client, "/roster/apply", secret=secret, missing="leave", confirm="many-gone")
    assert answer.status_code == 303 and states(office) == {"enrolled": 30, "left": 30}


@pytest.mark.parametrize(
    ("octets", "told"),
    [
        (book(("DS", [HEADER, [date(2026, 2, 3), "HS001", "Nguyễn An", None]])), "Excel đã đổi lớp"),
        (sheet_of(["3/2", "HS001", "=cmd|'/C'!A0", None]), "công thức"),
        (sheet_of(["3/2", "HS001", "<script>alert(1)</script>", None]), "không hợp lệ"),
        (b"", "role"),
        (b"PK\x03\x04" + b"\x00" * 100, "role"),
        (b"\x00" * 1000, "role"),
    ],
)
def test_a_wrong_file_is_told_by_its_rows_and_taken_by_nobody(
    module_office: OfficeRoom, octets: bytes, told: str
) -> None:
    client = module_office.browser("it")
    preview = looked_at(client, octets, '<b>"x\u202e.xlsx')
    assert preview.status_code == 200 and told in preview.text and "Nhận danh sách" not in preview.text
    assert "<script>alert" not in preview.text and "<b>" not in preview.text
    assert states(module_office) == {}


@pytest.fixture(scope="module")
def module_office(tmp_path_factory: pytest.TempPathFactory) -> Iterator[OfficeRoom]:
    with office_room(tmp_path_factory.mktemp("roster"), ()) as made:
        yield made


def test_a_file_is_its_owners_and_goes_after_a_while(module_office: OfficeRoom) -> None:
    client, other = module_office.browser("it"), module_office.browser("principal")
    secret = secret_in(looked_at(client, c1(PUPILS[:3])))
    assert sent(other, "/roster/apply", secret=secret).status_code == 409
    assert sent(client, "/roster/apply", secret="", day="2026-11-26").status_code == 409
    assert sent(client, "/roster/apply", secret=secret, day="9999-12-31").status_code == 400
    assert looked_at(client, c1(PUPILS[:3]), day="1900-01-01").status_code == 400
    assert looked_at(client, b"x" * (17 << 20)).status_code == 413
    assert looked_at(module_office.browser("teacher", "3/2"), c1(PUPILS[:3])).status_code == 403
    assert states(module_office) == {}


def test_what_the_last_pull_from_the_city_came_to_is_told(module_office: OfficeRoom) -> None:
    client, store = module_office.browser("principal"), module_office.store
    assert "Danh sách từ thành phố" not in client.get("/roster").text
    report = {"new": 3, "updated": 2, "moved": 1, "left": 0, "guard": None, "year": None, "discrepancies_count": 4}
    with store.database.transaction():
        store.sync.tell(report)
    page = client.get("/roster").text
    assert "3 mới, 2 sửa, 1 chuyển lớp, 0 thôi học" in page and "4 điều không khớp" in page
    year = {"id": "<b>2027", "moved": 5, "new": 6, "leaving": 7}
    with store.database.transaction():
        store.sync.tell({**report, "guard": {"gone": 300, "enrolled": 400}, "year": year})
    page = client.get("/roster").text
    assert "bị giữ lại" in page and "&lt;b&gt;2027: lên lớp 5" in page


def test_kept_files_are_few_each_persons_newest_and_gone_in_time() -> None:
    uploads = Uploads(1000)
    mine = [uploads.keep("a", f"{number}", b"", number) for number in range(3)]
    assert [uploads.find("a", secret, 3) is not None for secret in mine] == [False, False, True]
    assert uploads.find("b", mine[2], 3) is None
    for number in range(FILES_MAX):
        uploads.keep(f"other-{number}", "x", b"", 10 + number)
    assert uploads.find("a", mine[2], 20) is None, "the oldest made room"
    many = [(f"p{number}", uploads.keep(f"p{number}", "x", b"-" * 90, 30 + number)) for number in range(FILES_MAX)]
    assert all(uploads.find(who, secret, 99) is not None for who, secret in many), "lists of usual size all stay"
    large = [(f"l{number}", uploads.keep(f"l{number}", "x", b"-" * 1000, 90 + number)) for number in range(LARGEST)]
    assert all(uploads.find(who, secret, 99) is not None for who, secret in large)
    assert not [who for who, secret in many if uploads.find(who, secret, 99) is not None], "memory is bounded"
    last = uploads.keep("c", "x", b"", 100)
    assert uploads.find("c", last, 100 + KEPT_MS) is not None and uploads.find("c", last, 101 + KEPT_MS) is None
    uploads.drop(last)
