"""Reports and notices from a real store: what gates and people recorded, as files and as facts for parents."""

from __future__ import annotations

import csv
import io
import json
import shutil
from collections.abc import Iterator
from dataclasses import replace
from datetime import date, timedelta
from pathlib import Path

import pytest
from python_calamine import CalamineWorkbook

from hub.city.files import FilesRefused
from hub.days.classbook import midnight_ms
from hub.days.office import HalfDayOf
from hub.messages.planning import plan
from hub.parents.notices import Notices
from hub.reporting.cityfolder import AlreadySent, CityFolder
from hub.reporting.making import FILES_SETTING, Reporting, ReportRefused
from hub.reports.summaries import Span
from hub.reports.workbook import LEFT, TOP
from hub.store.messagerows import MessageRows
from tests.hub.days.test_daybook import AN, BE, DAY, MINUTE_MS, School
from tests.hub.web.pagehub import SetClock

FIRST, LAST = date(2026, 11, 1), date(2026, 11, 30)


@pytest.fixture
def school(tmp_path: Path) -> Iterator[School]:
    made = School(tmp_path)
    yield made
    made.room.close()


def at(clock: str) -> int:
    hour, minute = map(int, clock.split(":"))
    return midnight_ms(DAY) + (hour * 60 + minute) * MINUTE_MS


def test_a_month_of_the_store_is_a_workbook_with_a_sheet_a_class(school: School) -> None:
    school.tap(AN, "06:40", student="st-an")
    school.deliver()
    school.store.office.roll_call("co-lan", HalfDayOf("1A", DAY, "am"), {"st-be": "unexcused"})
    report = Reporting(school.store).month("thay-minh", FIRST, LAST)
    (piece,) = report.pieces
    assert (report.number, piece.name, piece.counts) == (1, "so-diem-danh-2026-11-01.xlsx", {"rows": 3})
    workbook = CalamineWorkbook.from_filelike(io.BytesIO(piece.octets))
    assert workbook.sheet_names == ["1A", "1B"]
    page = workbook.get_sheet_by_name("1A").to_python(skip_empty_area=False)
    assert "người lập thay-minh" in page[1][0] and "Báo cáo số 1" in page[1][0]
    assert "CHƯA ĐỦ, còn chờ: có ngày không có cổng nào, cong · " in page[2][0], (
        "the gate said nothing yet of what it holds"
    )
    column = LEFT + page[4][LEFT:].index(DAY)
    by_name = {line[2]: line[column : column + 2] for line in page[TOP : TOP + 2]}
    assert by_name == {"Nguyễn Văn An": ["x", "x"], "Lê Thị Bé": ["K", "?"]}
    assert [line[2] for line in page[TOP : TOP + 2]] == ["Nguyễn Văn An", "Lê Thị Bé"]
    one = Reporting(school.store).month("thay-minh", FIRST, LAST, "1B")
    assert one.number == 2 and one.pieces[0].name == "so-diem-danh-1b-2026-11-01.xlsx"


def test_a_page_for_print_shows_red_ink(school: School) -> None:
    place = HalfDayOf("1A", DAY, "am")
    school.store.office.roll_call("co-lan", place, {"st-an": "unexcused"})
    school.store.office.roll_call("co-mai", place, {"st-an": "excused"}, reason="mẹ báo ốm")
    view = Reporting(school.store).page("thay-minh", FIRST, LAST, "1A")
    mine = next(row for row in view["rows"] if row["key"] == "st-an")
    (red,) = [cell for cell in mine["cells"] if cell["kind"] == "red"]
    assert red["text"] == "P" and "bởi co-mai: K → P\nLý do: mẹ báo ốm" in red["title"]
    with pytest.raises(ReportRefused, match="has no pupils"):
        Reporting(school.store).page("thay-minh", FIRST, LAST, "9Z")


def test_a_day_and_a_term_lead_to_the_records_of_the_store(school: School) -> None:
    tap = school.tap(AN, "06:40", student="st-an")
    school.deliver()
    said = school.store.office.roll_call("co-lan", HalfDayOf("1A", DAY, "am"), {"st-be": "unexcused"})
    document = json.loads(Reporting(school.store).day("thay-minh", DAY).pieces[1].octets)
    line = next(one for one in document["lines"] if (one["class"], one["half"]) == ("1A", "am"))
    assert line["pupils"]["present"] == [{"pupil": "st-an", "evidence": [tap]}]
    assert line["pupils"]["unexcused"] == [{"pupil": "st-be", "evidence": [str(said)]}]
    assert document["waiting"] == ["cong"]
    report = Reporting(school.store).terms("thay-minh", [Span("HK1", FIRST, LAST)])
    table = list(csv.reader(io.StringIO(report.pieces[0].octets.decode("utf-8-sig"), newline="")))
    assert next(line for line in table if line[-1] == "st-be")[:6] == ["HK1", "Lớp 1A", "", "Lê Thị Bé", "0", "1"]


def test_a_waived_gate_is_named_on_the_report(school: School) -> None:
    school.tap(AN, "06:40", student="st-an")
    school.deliver()
    school.store.office.waive("thay-minh", "cong", at("23:00"), "cổng hỏng")
    document = json.loads(Reporting(school.store).day("thay-minh", DAY).pieces[1].octets)
    assert document["waiting"] == [] and document["waived"] == [{"device": "cong", "by": "thay-minh"}]
    assert document["complete_to"] is not None


def test_files_for_the_city_are_laid_under_the_next_number(school: School, tmp_path: Path) -> None:
    with pytest.raises(ReportRefused, match="no files are laid"):
        Reporting(school.store).lay("thay-minh", FIRST, LAST)
    city = replace(school.store.config.city, kind="files", files_dir=tmp_path / "out")
    school.store.config = replace(school.store.config, city=city)
    reporting = Reporting(school.store)
    assert reporting.day("thay-minh", DAY).number == 1
    manifest = reporting.lay("thay-minh", FIRST, LAST)
    assert manifest.number == 1, "looks at reports use up no number of the city's"
    assert [file.name for file in manifest.files] == [
        "so-diem-danh-2026-11-01.xlsx",
        "tong-hop-2026-11-01.csv",
        "tong-hop-2026-11-01.json",
    ]
    assert (manifest.by, manifest.rules, manifest.waiting) == ("thay-minh", ("attendance-1",), ("*",))
    assert reporting.day("thay-minh", DAY).number == 2
    assert Reporting(school.store).lay("thay-minh", FIRST, LAST).number == 2


def test_a_restored_hub_gives_no_number_of_the_city_a_second_time(school: School, tmp_path: Path) -> None:
    city = replace(school.store.config.city, kind="files", files_dir=tmp_path / "out")
    school.store.config = replace(school.store.config, city=city)
    for number in (1, 2, 3):
        assert Reporting(school.store).lay("thay-minh", FIRST, LAST).number == number
    CityFolder(school.store).sent("thay-minh", 3, "phòng giáo dục")
    school.read()
    with school.store.database.transaction() as run:
        run.execute("DELETE FROM settings WHERE name = ?", (FILES_SETTING,))
    assert Reporting(school.store).lay("thay-minh", FIRST, LAST).number == 4, "the folder knows"
    shutil.rmtree(tmp_path / "out")
    with school.store.database.transaction() as run:
        run.execute("DELETE FROM settings WHERE name = ?", (FILES_SETTING,))
    assert Reporting(school.store).lay("thay-minh", FIRST, LAST).number == 4, "who sent number 3 knows"


def test_a_number_that_isn_t_there_and_one_that_was_sent_are_said_so(school: School, tmp_path: Path) -> None:
    city = replace(school.store.config.city, kind="files", files_dir=tmp_path / "out")
    school.store.config = replace(school.store.config, city=city)
    told = {"number": "7", "to": "phòng giáo dục", "by": "thay-minh"}
    with pytest.raises(FilesRefused, match="không có số 7; có: chưa có số nào / there is no number 7; there are: none"):
        school.store.carry_out("files-sent", told)
    for _ in range(2):
        Reporting(school.store).lay("thay-minh", FIRST, LAST)
    with pytest.raises(FilesRefused, match="there is no number 7; there are: 1, 2") as refused:
        school.store.carry_out("files-sent", told)
    assert "Errno" not in str(refused.value) and str(tmp_path) not in str(refused.value)
    assert school.store.carry_out("files-sent", {**told, "number": "2"}).records == 1
    school.read()
    with pytest.raises(AlreadySent, match=r"already sent to phòng giáo dục by thay-minh on \d\d:\d\d"):
        school.store.carry_out("files-sent", {**told, "number": "2", "by": "co-lan"})
    assert school.store.carry_out("files-sent", {**told, "number": "2", "to": "sở"}).records == 1
    school.read()
    assert [(one.number, one.to) for one in school.store.sent.all()] == [(2, "phòng giáo dục"), (2, "sở")]


def test_a_class_that_isn_t_there_is_named_beside_those_that_are(school: School) -> None:
    asked = {"class": "9/9", "file": "x.csv", "by": "x"}
    spans = {"first": FIRST.isoformat(), "last": LAST.isoformat()}
    for action, words in (("month", {"month": "2026-11"}), ("day", {"day": DAY.isoformat()}), ("term", spans)):
        with pytest.raises(ReportRefused, match=r"lớp 9/9 không có học sinh .* there are: 1A, 1B$"):
            school.store.carry_out(f"report-{action}", {**asked, **words})
        assert school.store.carry_out(f"report-{action}", {**asked, **words, "class": "1A"}).paper


@pytest.mark.parametrize(
    ("by", "first", "last", "told"),
    [
        (" ", FIRST, LAST, "nobody is named"),
        ("x", LAST, FIRST, "no span"),
        ("x", FIRST, FIRST + timedelta(days=62), "no span"),
        ("x", date(2099, 1, 1), date(2099, 1, 31), "still to come"),
    ],
)
def test_a_report_that_can_t_be_made_takes_no_number(
    school: School, by: str, first: date, last: date, told: str
) -> None:
    with pytest.raises(ReportRefused, match=told):
        Reporting(school.store).month(by, first, last)
    assert Reporting(school.store).day("x", DAY).number == 1


def test_notices_are_the_store_s_facts_of_those_who_consented(school: School) -> None:
    rows = MessageRows(school.store.database)
    notices = Notices(school.store, rows, {"cong-a": "cổng chính"})
    tap = school.tap(AN, "06:40", student="st-an")
    school.tap(BE, "06:41", student="st-be")
    school.deliver()
    assert list(notices.look(at("06:45"))) == []
    with school.store.database.transaction():
        rows.set_consent("st-an", True, "van-thu", at("06:00"))
    facts = [one for one in notices.look(at("06:45")) if one.marked.session.half == "am"]
    assert [one.marked.pupil.key for one in facts] == ["st-an"]
    (message,) = plan(facts[0], [], at("06:45")).messages
    assert (message.kind, message.place, message.evidence, message.at_ms) == (
        "arrived",
        "cổng chính",
        (tap,),
        at("06:40"),
    )
    person = notices.person("st-an")
    assert person is not None and (person.given, person.school_class) == ("An", "1A")
    assert notices.person("st-la") is None


def test_who_was_let_in_by_the_guard_is_told_with_the_guard_s_name(tmp_path: Path) -> None:
    clock = SetClock()
    school = School(tmp_path, machine=clock)
    clock.ahead_ms += at("06:50") - school.store.clock.now_ms()
    rows = MessageRows(school.store.database)
    with school.store.database.transaction():
        rows.set_consent("st-be", True, "van-thu", at("06:00"))
    record = school.store.office.admit("bac-tu", "st-be", at("06:50"))
    facts = next(one for one in Notices(school.store, rows).look(at("06:55")) if one.marked.session.half == "am")
    (message,) = plan(facts, [], at("06:55")).messages
    assert (message.kind, message.by, message.evidence) == ("arrived", "bac-tu", (str(record),))
    school.room.close()
