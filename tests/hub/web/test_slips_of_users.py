"""What was typed wrongly and taken in silence: a class that isn't there, a day that is over; each is told."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from hub.store.userrows import UserRefused
from tests.hub.web.dayhub import DAY, ROSTER, DayHub, day_hub
from tests.hub.web.pagehub import CLASS, OTHER_CLASS, csrf_in


@pytest.fixture(scope="module")
def hub(tmp_path_factory: pytest.TempPathFactory) -> Iterator[DayHub]:
    with day_hub(tmp_path_factory.mktemp("slips") / "hub", roster=ROSTER) as made:
        yield made


def test_a_class_without_pupils_is_warned_of_and_may_be_planned(hub: DayHub) -> None:
    told = hub.ask("user-add", name="co.moi", role="teacher", **{"class": "9/9"}).splitlines()
    assert told[1] == f"Chú ý: lớp 9/9 chưa có học sinh nào; đang có: {CLASS}, {OTHER_CLASS}"
    assert told[2] == f"Note: class 9/9 has no pupils yet; there are: {CLASS}, {OTHER_CLASS}"
    assert "/first/" in told[-1], "the link stays the last line"
    assert "Note" not in hub.ask("user-add", name="co.cu", role="teacher", **{"class": CLASS})
    client = hub.browser("it")
    words = {"csrf": csrf_in(client.get("/me")), "role": "teacher"}
    slip = client.post("/users/new", data={**words, "name": "co.ba", "school_class": "9/9"}).text
    assert f"các lớp đang có: {CLASS}, {OTHER_CLASS}" in slip and "/first/" in slip
    assert (
        "các lớp đang có" not in client.post("/users/new", data={**words, "name": "co.tu", "school_class": CLASS}).text
    )


def test_a_last_day_that_is_over_is_refused(hub: DayHub) -> None:
    given = {"role": "substitute", "class": CLASS}
    with pytest.raises(UserRefused, match="ngày cuối đã qua / the last day is over already"):
        hub.ask("user-add", name="day.thay", until="2020-01-01", **given)
    assert "đến / until" in hub.ask("user-add", name="day.thay", until=DAY.isoformat(), **given), "today is a day"
    client = hub.browser("it", "ky.thuat")
    words = {"csrf": csrf_in(client.get("/me")), "role": "substitute", "school_class": CLASS, "until": "2020-01-01"}
    answer = client.post("/users/new", data={**words, "name": "thay.ba"})
    assert answer.status_code == 400 and "Ngày cuối cùng đã qua." in answer.text


def test_a_token_is_listed_by_its_name_once(hub: DayHub) -> None:
    hub.ask("token-add", role="auditor", name="Chương trình X")
    (line,) = [line for line in hub.ask("token-list").splitlines() if "Chương trình X" in line]
    assert line.split("\t")[1:] == ["Chương trình X", "Kiểm tra / Auditor", "dùng được / stands"]


def test_an_address_that_nobody_made_is_a_page_for_people_and_a_problem_for_programs(hub: DayHub) -> None:
    client = hub.browser("teacher")
    for path in ("/xyz", "/class/xyz", "/pupil", "/v1x"):
        for accept in ("text/html,application/xhtml+xml", "*/*"):
            answer = client.get(path, headers={"accept": accept})
            assert answer.status_code == 404 and "Không có trang này." in answer.text, (path, accept)
    assert "Không có trang này." in client.get("/v1/xyz", headers={"accept": "text/html"}).text
    for asker, path in ((client, "/v1/xyz"), (hub.client(), "/xyz")):
        answer = asker.get(path, headers={"accept": "*/*"})
        assert answer.status_code == 404 and answer.json()["type"] == "urn:k12edge:problem:status-404"


def test_a_moment_that_can_t_be_read_is_answered_with_how_it_is_written(hub: DayHub) -> None:
    client = hub.browser("auditor")
    answer = client.get("/v1/marks", params={"at": "27/11"})
    assert answer.status_code == 400 and "27/11" in answer.json()["title"]
    assert "2026-11-23T07:30:00+07:00" in answer.json()["detail"] and "log of this service" not in answer.text
    assert client.get("/v1/marks", params={"at": "2026-11-23T07:30:00+07:00"}).status_code == 200
