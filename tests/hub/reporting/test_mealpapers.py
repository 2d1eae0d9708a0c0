"""Meal papers from a real store: what each says, in each form; and complaints, whose answers stand on the slip."""

from __future__ import annotations

import io
import zipfile
from collections.abc import Iterator
from datetime import date
from typing import Any

import msgspec
import pytest

from hub.days.office import EntryRefused
from hub.mealpapers.paper import PAPER_FORMS, Paper
from hub.reporting.mealpapers import MealPapers
from hub.store.mealplanrows import Dish
from protocol.records import MealRated
from tests.hub.days.test_daybook import DAY, mono_at
from tests.hub.days.test_mealbook import Canteen
from tests.hub.reporting.monthschool import MONTH, lived, stated


@pytest.fixture(scope="module")
def canteen(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Canteen]:
    made = stated(lived(Canteen(tmp_path_factory.mktemp("school"))))
    for face in ("good", "good", "bad"):
        rated = lambda at, face=face: MealRated("tra-khay", DAY.isoformat(), "lunch", face, at)  # noqa: E731
        made.run.add("meal.rated", rated, mono_ms=mono_at("11:50"))
    made.deliver()
    dish = Dish(DAY, "lunch", "regular", "=Cá kho", (), "LO-7", "Cty Sạch", "M-23")
    made.store.mealdesk.cook("bep", [dish])
    yield made
    made.room.close()


def rows(paper: Paper, table: int = 0) -> list[tuple[Any, ...]]:
    return list(paper.tables[table].rows)


def test_the_kitchens_sheet_says_its_version_and_whatever_was_adjusted_since(canteen: Canteen) -> None:
    paper = MealPapers(canteen.store).kitchen(DAY, "lunch")
    assert rows(paper) == [
        ("1A", 2, 1, 3, 0, 0, 0, 3, 1),
        ("1B", 1, 0, 1, 0, 0, 0, 1, 1),
        ("Toàn trường", 3, 1, 4, 0, 0, 0, 4, 2),
    ]
    assert paper.tables[0].header[-2:] == ("Suất thực tế", "Lúc chốt")
    assert "Khóa chính thức, phiên bản 1" in paper.lines[1]
    assert any("khách của trường (1A Mặn +2)" in line for line in paper.lines)
    assert len(paper.signs) == 3
    draft = MealPapers(canteen.store, "en").kitchen(date(2026, 11, 20), "lunch")
    assert draft.tables[0].header[-1] == "Real total"
    assert draft.lines[1] == "DRAFT, not locked" and rows(draft)[-1][:3] == ("Whole school", 3, 1)


def test_the_public_sheet_the_ratings_and_the_food_links(canteen: Canteen) -> None:
    papers = MealPapers(canteen.store, "en")
    told = dict(rows(papers.public(DAY, "lunch")))
    assert (told["Registered"], told["Cut"], told["Pupils served"], told["Second helpings"]) == (3, 1, 2, 1)
    assert (told["Not known who"], told["Unclaimed"]) == (1, 0)
    assert [row[:5] for row in rows(papers.public(DAY, "lunch"), 1)] == [("quay-1", 1, 1, 1, 1), ("quay-1", 2, 1, 0, 0)]
    assert rows(papers.ratings(DAY, DAY)) == [("19/11/2026", "lunch", "tra-khay", 2, 0, 1, 3)]
    [food] = rows(papers.food(DAY, DAY))
    assert food[3:8] == ("20261119-lunch-regular", "=Cá kho", "LO-7", "Cty Sạch", "M-23")
    assert food[8] == "11:20 19/11/2026", "the last serving ended it"
    with pytest.raises(EntryRefused, match="span"):
        papers.food(date(2026, 1, 1), DAY)


def test_a_slip_shows_one_child_its_hours_and_the_answer_to_its_parents(canteen: Canteen) -> None:
    store, papers = canteen.store, MealPapers(canteen.store, "en")
    record = str(store.complaints.complain("ke-toan", "st-an", MONTH, "Ngày 19 con tôi không ăn thêm", DAY, "lunch"))
    paper = papers.slip("st-an", MONTH)
    day = next(row for row in rows(paper) if row[0] == "19/11/2026")
    assert day == (
        "19/11/2026", "lunch", "yes", "–", "08:00 19/11", "10:31:00", "quay-1", "card", 1, "yes",
    )  # fmt: skip
    left = next(row for row in rows(paper) if row[0] == "20/11/2026")
    assert "too late" in left[3] and left[9] == "yes", "a leave that was told after the lock is charged"
    assert rows(paper, 2)[0][3] == "not answered yet" and paper.tables[2].header[0] == "Entered at"
    store.complaints.answer("hieu-truong", record, "Đã xem lại: một khay, sẽ chốt lại")
    assert "Đã xem lại" in rows(papers.slip("st-an", MONTH), 2)[0][3]
    text = msgspec.json.encode([paper.lines, [one.rows for one in paper.tables]]).decode()
    assert "st-be" not in text and "Chi" not in text and "ốm" not in text
    for call in (
        lambda: store.complaints.complain("x", "st-khac", MONTH, "a"),
        lambda: store.complaints.complain("x", "st-an", MONTH, " "),
        lambda: store.complaints.complain("x", "st-an", "2027-11", "a"),
        lambda: store.complaints.complain("x", "st-an", MONTH, "a" * 401),
        lambda: store.complaints.complain("x", "st-an", "2026-10", "a", DAY),
        lambda: store.complaints.answer("x", "0000000000000000.1", "a"),
        lambda: papers.slip("st-khac", MONTH),
    ):
        with pytest.raises(EntryRefused):
            call()


def test_a_complaint_and_its_answer_come_back_from_the_records(canteen: Canteen) -> None:
    record = str(canteen.store.complaints.complain("ke-toan", "st-be", MONTH, "Cắt suất rồi vẫn tính tiền"))
    canteen.store.complaints.answer("ke-toan", record, "Cắt sau giờ khóa")
    before = canteen.store.complaints.of(MONTH, "st-be")
    canteen.store.daybook.anew()
    canteen.read()
    assert canteen.store.complaints.of(MONTH, "st-be") == before and before[0][1].answer == "Cắt sau giờ khóa"


def test_the_month_says_what_differs_from_what_was_stated(canteen: Canteen) -> None:
    paper = MealPapers(canteen.store, "en").month(MONTH, "lunch", names=True)
    an = next(row for row in rows(paper) if row[1] == "st-an")
    assert an[0] == "Class 1A" and an[2] == "Nguyễn Văn An" and an[12] == 2, "a card's and a class list's meal"
    assert paper.lines[1] == "Version stated: 1" and rows(paper)[-1][0] == "Whole school"
    assert all(row[2] == "" for row in rows(MealPapers(canteen.store).month(MONTH, "lunch"))), "keys alone by default"


@pytest.mark.parametrize("form", PAPER_FORMS)
def test_every_paper_comes_in_every_form(canteen: Canteen, form: Any) -> None:
    papers = MealPapers(canteen.store)
    for paper in (papers.kitchen(DAY, "lunch"), papers.slip("st-an", MONTH), papers.food(DAY, DAY)):
        octets = papers.file(paper, form, "bep")
        if form == "xlsx":
            with zipfile.ZipFile(io.BytesIO(octets)) as book:
                sheets = [book.read(name).decode() for name in book.namelist() if "worksheets/sheet" in name]
            assert len(sheets) == len(paper.tables) and all(paper.title in sheet for sheet in sheets)
            assert all('paperSize="9"' in sheet and "<f>" not in sheet for sheet in sheets), "A4, and no formula"
        elif form == "pdf":
            assert octets.startswith(b"%PDF-") and octets.rstrip().endswith(b"%%EOF")
        elif form == "json":
            assert msgspec.json.decode(octets)["title"] == paper.title
        else:
            assert octets.startswith(b"\xef\xbb\xbf") and b",=" not in octets, "no formula"


def test_the_words_hand_over_papers_packs_and_complaints(canteen: Canteen) -> None:
    store = canteen.store
    words = {"what": "kitchen", "date": DAY.isoformat(), "file": "a.pdf", "by": "bep"}
    made = store.carry_out("meal-paper", words)
    assert made.paper is not None and made.paper.startswith(b"%PDF-")
    pack = store.carry_out("meal-audit", {"month": MONTH, "by": "ke-toan"})
    assert pack.paper is not None and pack.paper.startswith(b"PK") and "counted again" in pack.text
    said = {"student": "st-chi", "month": MONTH, "says": "Con không ăn ngày 19", "by": "ke-toan"}
    record = store.carry_out("complaint-add", said).text
    store.carry_out("complaint-answer", {"record": record, "says": "Đã xem", "by": "ke-toan"})
    told = msgspec.json.decode(store.carry_out("complaint-list", {"month": MONTH, "json": "True", "by": "x"}).text)
    mine = next(one for one in told if one["record"] == record)
    assert (mine["student"], mine["answer"], mine["day"]) == ("st-chi", "Đã xem", None)
    notes = [row[0] for row in store.database.connection.execute("SELECT what FROM audit")]
    assert "meal paper kitchen" in notes and "meal audit pack" in notes
