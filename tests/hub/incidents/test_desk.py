"""The desk of packs: numbered, recorded, timed; sent only by a person's word; exercises never; reads in the audit."""

from __future__ import annotations

import csv
import hashlib
import io
import zipfile
from collections.abc import Iterator, Mapping
from dataclasses import replace
from datetime import date, timedelta
from pathlib import Path

import pytest
from pypdf import PdfReader
from python_calamine import CalamineWorkbook

from hub.control import ControlSocket, exchanged
from hub.desks.incidentdesk import IncidentNotSent
from hub.incidents.asking import IncidentRefused, Scope
from hub.incidents.compare import comparison
from hub.incidents.versions import kept_of, packed, unpacked
from hub.store.counterrows import CounterStaff
from hub.store.mealplanrows import Dish
from k12edge.incident import unzipped
from protocol.cards import parse_card
from protocol.envelope import EVENT_BYTES_MAX, decode_data, decode_event
from protocol.meals import ByHand
from protocol.records import IncidentPack
from tests.hub.incidents.schooldays import CARDS, DAY, STRANGE, Lunch

LUNCH = Scope("meal", DAY, meal="lunch")


@pytest.fixture
def school(tmp_path: Path) -> Iterator[Lunch]:
    made = Lunch(tmp_path)
    for number, (pupil, card) in enumerate(list(CARDS.items())[:6]):
        made.serve(number % 2, card, 60 * number, student=pupil)
    made.serve(0, CARDS["st-00"], 900, student="st-00")
    shown = made.serve(1, STRANGE, 960, decision="refused")
    made.serve(1, "x", 970, hand=ByHand("stranger", "co-hoa", shown))
    for counter in (0, 1):
        made.mark(counter)
    made.bring()
    yield made
    made.room.close()


def records(school: Lunch) -> list[IncidentPack]:
    raws = school.store.ledger.own_records("incident.pack")
    events = [decode_event(raw) for raw in raws]
    return [decode_data(event, IncidentPack) for event in events if event.name == "incident.pack"]


def texts(octets: bytes) -> list[str]:
    return [page.extract_text() for page in PdfReader(io.BytesIO(octets)).pages]


def test_three_files_say_the_same_and_the_record_names_each_by_its_digest(school: Lunch) -> None:
    made = school.store.incidentdesk.make(LUNCH, "co-hieu-truong")
    pdf, table, book = made.files
    assert [file.name.rpartition(".")[2] for file in made.files] == ["pdf", "csv", "xlsx"]
    assert pdf.name == f"su-co-bua-trua-{DAY.isoformat()}-ban-1.pdf"
    pages = "\n".join(texts(pdf.octets))
    assert "Nguyễn Văn An" in pages and "DIỄN TẬP" not in pages
    rows = list(csv.reader(io.StringIO(table.octets.decode("utf-8-sig"))))
    ate = [row for row in rows if row[0] == "Đã ăn"]
    assert sorted(row[7] for row in ate if row[7]) == [f"st-0{number}" for number in range(6)]
    assert [row[6] for row in rows if row[5] == "Kết thúc phục vụ"] == [f"10:46 {DAY:%d/%m/%Y}"]
    # A name that would be a formula is a text in each file.
    assert any(row[5] == "'=CỘNG(A1)" for row in ate) and "=CỘNG(A1)" in pages
    sheets = CalamineWorkbook.from_filelike(io.BytesIO(book.octets))
    assert sheets.sheet_names[:3] == ["Tóm tắt", "Đã ăn", "Ăn thêm"]
    assert len(sheets.get_sheet_by_name("Đã ăn").to_python()) == 3 + 6
    (said,) = records(school)
    assert said.what == "made" and said.counts["eaten"] == 6 and said.counts["second"] == 1 and said.complete
    assert said.files == {file.name: hashlib.sha256(file.octets).hexdigest() for file in made.files}
    assert said.lists == {} and said.took == made.took_ms


def test_an_exercise_says_so_on_each_page_sheet_and_row_is_timed_recorded_and_never_sent(school: Lunch) -> None:
    made = school.store.incidentdesk.make(LUNCH, "co-hieu-truong", drill=True)
    pdf, table, book = made.files
    assert all("DIỄN TẬP" in page for page in texts(pdf.octets))
    rows = list(csv.reader(io.StringIO(table.octets.decode("utf-8-sig"))))
    assert all(row[0] == "DIỄN TẬP" for row in rows)
    sheets = CalamineWorkbook.from_filelike(io.BytesIO(book.octets))
    for name in sheets.sheet_names:
        assert name.startswith("DIỄN TẬP")
        title, _, *lines = sheets.get_sheet_by_name(name).to_python()
        assert "DIỄN TẬP" in title[0] and all(line[0] == "DIỄN TẬP" for line in lines)
    assert [(said.drill, said.number, said.by) for said in records(school)] == [(True, 1, "co-hieu-truong")]
    with pytest.raises(IncidentNotSent):
        school.store.incidentdesk.send(LUNCH.key, 1, "co-hieu-truong")
    # The real thing counts apart.
    assert school.store.incidentdesk.make(LUNCH, "co-hieu-truong").issue.number == 1


def test_a_version_is_sent_once_by_a_persons_word_as_keys_alone(school: Lunch) -> None:
    desk = school.store.incidentdesk
    desk.make(LUNCH, "co-hieu-truong")
    assert [said.what for said in records(school)] == ["made"]
    assert desk.send(LUNCH.key, 1, "co-hieu-truong") == 1
    sent = records(school)[-1]
    assert sent.what == "sent" and sent.lists == {"eaten": [f"st-0{number}" for number in range(6)]}
    raw = list(school.store.ledger.own_records("incident.pack"))[-1].decode()
    assert "Nguyễn" not in raw and "An" not in sent.lists["eaten"][0]
    with pytest.raises(IncidentNotSent, match="already"):
        desk.send(LUNCH.key, 1, "co-hieu-truong")
    with pytest.raises(IncidentNotSent):
        desk.send(LUNCH.key, 7, "co-hieu-truong")
    desk.make(LUNCH, "co-hieu-truong")
    words = {"meal": "lunch", "date": DAY.isoformat(), "by": "ky-thuat", "number": "2"}
    assert "đã gửi / sent, 1 bản ghi" in school.store.carry_out("incident-send", words).text, "there is a city"
    assert "\tđã gửi / sent " in school.store.carry_out("incident-list", {"json": None}).text


def test_who_ate_of_a_large_school_travels_in_parts_that_fit_a_record(school: Lunch) -> None:
    desk = school.store.incidentdesk
    pack = desk.look(LUNCH)
    line = next(pack.of("eaten"))
    assert line.who is not None
    many = [
        replace(line, who=replace(line.who, key=f"st-{number:032}"), record=f"{'a' * 16}.{number}")
        for number in range(900)
    ]
    kept = kept_of(replace(pack, lines=tuple(many)))
    assert unpacked(packed(kept)) == kept
    desk.make(LUNCH, "co-hieu-truong")
    with school.store.database.transaction() as run:
        run.execute("UPDATE incident_packs SET kept = ?", (packed(kept),))
    parts = desk.send(LUNCH.key, 1, "co-hieu-truong")
    sent = [said for said in records(school) if said.what == "sent"]
    assert len(sent) == parts > 2 and [said.part for said in sent] == list(range(1, parts + 1))
    assert sorted(key for said in sent for key in said.lists["eaten"]) == sorted(
        f"st-{number:032}" for number in range(900)
    )
    assert all(len(raw) <= EVENT_BYTES_MAX for raw in school.store.ledger.own_records("incident.pack"))


def test_a_later_binding_makes_a_new_version_that_names_whose_the_card_was(school: Lunch) -> None:
    desk = school.store.incidentdesk
    first = desk.make(LUNCH, "co-hieu-truong")
    assert first.pack.counts()["unidentified"] == 1
    school.store.office.card("van-phong", "issued", STRANGE, "st-07", None)
    school.read()
    second = desk.make(LUNCH, "co-hieu-truong")
    told = {(one.change, one.before, one.after) for one in second.issue.differences or ()}
    assert ("known", "unidentified ?", "eaten st-07") in told and second.issue.number == 2
    assert second.pack.counts()["unidentified"] == 0


def everything_in(octets: bytes) -> str:
    """All that a file holds as text: pages, and the parts of a workbook."""
    if octets.startswith(b"%PDF"):
        return "\n".join(texts(octets))
    if octets.startswith(b"PK"):
        with zipfile.ZipFile(io.BytesIO(octets)) as whole:
            return "\n".join(everything_in(whole.read(name)) for name in whole.namelist())
    return octets.decode()


def test_no_file_of_a_pack_says_the_number_of_a_card(school: Lunch) -> None:
    # What no gateway knew comes with its number, and is kept by it: a card that was bound since, and a stranger's.
    bound, other = "a:04FFEEDDCCBB80", "a:04FFEEDDCCBB81"
    for number, card in enumerate((bound, other)):
        shown = school.serve(0, card, 1200 + 60 * number, decision="refused", raw=True)
        school.serve(0, f"x{number}", 1210 + 60 * number, hand=ByHand("stranger", "co-hoa", shown))
        school.serve(0, card, 1230 + 60 * number, decision="refused", raw=True)
    school.bring()
    school.store.office.card("van-phong", "issued", bound, "st-07", None)
    school.read()
    made = school.store.incidentdesk.make(LUNCH, "co-hieu-truong", ill={"st-07": True})
    assert {tap.card for tap in made.pack.known.counters.taps} >= {bound, other}
    assert "st-07" in made.pack.keys("eaten") and made.pack.counts()["unidentified"] == 2
    numbers = [card.removeprefix("a:") for card in (bound, other, STRANGE, *CARDS.values())]
    for file in made.files:
        whole = everything_in(file.octets).upper()
        assert not [number for number in numbers if number in whole], file.name
    keyed = school.store.secrets.card_keys()[-1].keyed(parse_card(bound))
    rows = list(csv.reader(io.StringIO(made.files[1].octets.decode("utf-8-sig"))))
    assert [row[-2] for row in rows if row[7] == "st-07" and row[0] == "Đã ăn"] == [keyed]


def test_ill_and_well_are_compared_by_what_they_had(school: Lunch) -> None:
    ticks = "ma,tinh\nst-00,ốm\nst-02,ill\nst-01,well\nst-08;khỏe\n".encode()
    made = school.store.incidentdesk.make(LUNCH, "y-te", ill=("om.csv", ticks))
    rows = {
        (row.by, row.label): (row.had.ill, row.had.well, row.not_had.ill, row.not_had.well)
        for row in comparison(made.pack)
    }
    assert rows["meal", ""] == (2, 1, 0, 1)
    assert rows["counter", "quay-a/quay-a-1"] == (2, 0, 0, 2)
    assert rows["counter", "quay-b/quay-b-1"] == (0, 1, 2, 1)
    sheets = CalamineWorkbook.from_filelike(io.BytesIO(made.files[2].octets))
    assert "So sánh ốm - khỏe" in sheets.sheet_names
    # Who is ill stands in no record and in no row of the hub's.
    assert all(
        b"\xe1\xbb\x91m" not in raw and b'"ill"' not in raw for raw in school.store.ledger.own_records("incident")
    )
    for bad in (b"st-99,ill", b"st-00,perhaps", b"\xff\xfe"):
        with pytest.raises(IncidentRefused):
            school.store.incidentdesk.make(LUNCH, "y-te", ill=("om.csv", b"st-00,ill\n" + bad))


def test_a_mistyped_first_line_is_no_header_and_nobody_is_ill_and_well(school: Lunch) -> None:
    def told(text: str) -> str:
        with pytest.raises(IncidentRefused) as refused:
            school.store.incidentdesk.make(LUNCH, "y-te", ill=("om.csv", text.encode()))
        return str(refused.value)

    assert "om.csv, line 1: 'st-0O' 'sốt' is no pupil" in told("st-0O,sốt\nst-01,ốm\n")
    assert "om.csv, line 1: 'st-0O' 'tinh' is no pupil" in told("st-0O,tinh\nst-01,ốm\n")
    assert "om.csv, line 2: 'Mã' 'tình trạng' is no pupil" in told("st-01\nMã,tình trạng\n")
    assert "om.csv, line 4: 'st-01' is ill and well" in told("Mã học sinh,Tình trạng\nst-01,ốm\nst-01\nst-01,khỏe\n")
    for header in ("Mã học sinh,Tình trạng", "MA", "code;state", "\ufeffKey\till"):
        made = school.store.incidentdesk.make(LUNCH, "y-te", ill=("om.csv", f"{header}\nst-01,ốm\n".encode()))
        assert made.pack.known.ill == {"st-01": True}, header


def test_a_lot_leads_to_its_meals_and_hours_to_all_meals_within_them(school: Lunch) -> None:
    with school.store.database.transaction():
        school.store.mealplans.cook([Dish(DAY, "lunch", "regular", "cá kho", (), "CA-77", "Cty Biển", "M-1")])
    made = school.store.incidentdesk.make(Scope("lot", DAY, lot="ca-77"), "co-hieu-truong")
    assert made.pack.known.asked == ((DAY, "lunch"),) and made.pack.known.menus[DAY, "lunch"].samples == ("M-1",)
    assert "cá kho" in "".join(texts(made.files[0].octets)) and made.files[0].name.startswith("su-co-lo-ca-77-ban-1")
    with pytest.raises(IncidentRefused, match="CA-78"):
        school.store.incidentdesk.make(Scope("lot", DAY, lot="CA-78"), "co-hieu-truong")
    hours = school.store.incidentdesk.make(Scope("hours", DAY, hours=72), "co-hieu-truong")
    assert (DAY, "lunch") in hours.pack.known.asked and len(hours.pack.known.asked) == 3


def test_hours_name_only_meals_that_were_by_the_plan_or_by_a_serving(school: Lunch) -> None:
    monday, saturday = DAY + timedelta(days=4), DAY + timedelta(days=2)
    desk = school.store.incidentdesk

    def asked() -> list[tuple[date, str]]:
        return list(desk.look(Scope("hours", monday, hours=72)).known.asked)

    assert asked() == [(monday, "lunch")], "the plan has no lunch on Saturday and Sunday"
    school.serve(0, CARDS["st-03"], 2 * 86_400, student="st-03")
    school.bring()
    assert asked() == [(saturday, "lunch"), (monday, "lunch")]
    pack = desk.look(Scope("hours", monday, hours=72))
    assert [(one.list, one.who and one.who.key) for one in pack.lines if one.day == saturday] == [("eaten", "st-03")]
    # Whoever asks for a day without that meal isn't told that the whole school didn't eat it either.
    assert not desk.look(Scope("meal", monday - timedelta(days=1), meal="lunch")).lines
    # A meal that the school closed never was; hours in which there was none still name who is waited for.
    school.store.mealoffice.close("hieu-truong", monday, ["lunch"], "mất nước")
    school.read()
    assert asked() == [(saturday, "lunch")]
    closed = desk.look(Scope("hours", monday, hours=24))
    assert closed.known.asked == ((monday, "lunch"),) and not closed.lines and closed.known.origins


def test_a_command_hands_over_a_zip_and_each_look_stands_in_the_audit(school: Lunch) -> None:
    words = {"meal": "lunch", "date": DAY.isoformat(), "by": "ky-thuat", "drill": "True"}
    outcome = school.store.carry_out("incident", words)
    assert outcome.paper is not None and outcome.records == 1
    names = zipfile.ZipFile(io.BytesIO(outcome.paper)).namelist()
    assert [name.rpartition(".")[2] for name in names] == ["pdf", "csv", "xlsx"]
    listed = school.store.carry_out("incident-list", {"json": None})
    assert "diễn tập / drill" in listed.text
    audit = [(entry.what, entry.kind) for entry in school.store.audit.page(None, 10)]
    assert ("incident pack made", "write") in audit and ("incident packs", "read") in audit
    for words in (
        {},
        {"meal": "lunch", "lot": "x"},
        {"meal": "tea"},
        {"last_hours": "0"},
        {"meal": "lunch", "date": "x"},
        {"meal": "lunch", "date": "2100-01-01"},
    ):
        with pytest.raises(IncidentRefused):
            school.store.carry_out("incident", words)


def test_where_the_ledger_takes_nothing_the_files_come_all_the_same_and_say_so(school: Lunch) -> None:
    run = school.store.database.connection.execute
    run("PRAGMA wal_checkpoint(TRUNCATE)")
    pages = run("PRAGMA page_count").fetchone()[0]
    run(f"PRAGMA max_page_count = {pages}")
    words = {"meal": "lunch", "date": DAY.isoformat(), "by": "ky-thuat"}
    made = [school.store.carry_out("incident", words) for _ in range(12)]
    assert all(outcome.paper for outcome in made)
    assert "NOT RECORDED" in made[-1].text and made[-1].records == 0
    run("PRAGMA max_page_count = 1073741823")
    assert school.store.carry_out("incident", words).records == 1


def test_a_hub_that_forgot_its_packs_goes_on_counting_by_its_records(school: Lunch) -> None:
    desk = school.store.incidentdesk
    assert [desk.make(LUNCH, "x").issue.number for _ in range(2)] == [1, 2]
    with school.store.database.transaction() as run:
        run.execute("DELETE FROM incident_packs")
    again = desk.make(LUNCH, "x")
    assert again.issue.number == 3 and again.issue.differences is None


def test_staff_who_ate_by_card_are_adults_by_their_names(school: Lunch) -> None:
    staff = "a:04A1B2C3D4E677"
    with school.store.database.transaction():
        school.store.counters.admit(CounterStaff("thay-minh", "Thầy Minh", None, staff, 0, None))
    school.serve(0, staff, 1200, decision="accepted")
    school.bring()
    pack = school.store.incidentdesk.look(LUNCH)
    assert [(line.adult, line.counter) for line in pack.of("adult")] == [("Thầy Minh", "quay-a/quay-a-1")]
    assert "Thầy Minh" in "".join(texts(school.store.incidentdesk.make(LUNCH, "x").files[0].octets))


def test_a_running_hub_hands_over_the_same_files_and_takes_the_ticks(school: Lunch) -> None:
    def carry(action: str, words: Mapping[str, str | None]) -> tuple[str, bytes | None]:
        outcome = school.store.carry_out(action, words)
        return outcome.text, outcome.paper

    listening = ControlSocket(school.room.config.data_dir, carry)
    try:
        words = {"meal": "lunch", "date": DAY.isoformat(), "by": "ky-thuat", "ill": "om.csv"}
        text, archive = exchanged(school.room.config, "incident", words, b"st-00,ill\n")
    finally:
        listening.close()
    assert "bản / version 1: 6 đã ăn" in text and archive is not None
    files = unzipped(archive)
    assert {file.name: file.sha256 for file in files} == records(school)[-1].files
    assert any("So sánh ốm - khỏe" in row for row in files[1].octets.decode("utf-8-sig").splitlines())


def test_lots_that_are_spelled_alike_have_files_of_their_own() -> None:
    stems = {Scope("lot", DAY, lot=lot).stem(1, drill=False) for lot in ("A/1", "A-1", "LÔ 7", "lô-7", "L2311", "!")}
    assert len(stems) == 6 and "su-co-lo-l2311-ban-1" in stems and "su-co-lo-a-1-ban-1" in stems
    assert Scope("lot", DAY, lot="A/1").stem(1, drill=False) == Scope("lot", DAY, lot=" a/1").stem(1, drill=False)
