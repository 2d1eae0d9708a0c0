"""What papers and months say of counters: nothing where none depends on them, else who is waited for, until when."""

from __future__ import annotations

import io
from collections.abc import Iterator
from datetime import date, timedelta
from pathlib import Path

import pytest
from pypdf import PdfReader

from hub.days.classbook import midnight_ms
from hub.days.counterwaits import counter_waits
from hub.days.mealmonths import meal_days_told
from hub.mealpapers.paper import Paper
from hub.recount.archive import unzipped
from hub.recount.verdict import VALID, verify_contents
from hub.reporting.mealpapers import MealPapers
from hub.reporting.monthpack import MonthPack
from hub.reports.monthsheet import Standing
from tests.hub.days.test_daybook import DAY
from tests.hub.days.test_mealbook import SetClock
from tests.hub.incidents.schooldays import CARDS, COUNTERS, Lunch

MONTH = "2026-11"
ENDS_MS = midnight_ms(DAY) + (12 * 60 + 50) * 60_000
"""The last shift and an hour."""


class Clocked(Lunch):
    """The same lunch at a hub whose clock a test sets."""

    def __init__(self, folder: Path) -> None:
        self.machine = SetClock()
        super().__init__(folder, machine=self.machine)

    def now(self, clock: str, day: date = DAY) -> None:
        hour, minute = clock.split(":")
        self.machine.at_ms = midnight_ms(day) + (int(hour) * 60 + int(minute)) * 60_000


@pytest.fixture
def school(tmp_path: Path) -> Iterator[Clocked]:
    """Two counters that served one pupil each, and said nothing since."""
    made = Clocked(tmp_path)
    made.now("09:00")
    for counter, pupil in enumerate(("st-01", "st-02")):
        made.store.mealoffice.enrol("co", pupil, DAY, None, reason="test")
        made.serve(counter, CARDS[pupil], 60, student=pupil)
    made.bring()
    yield made
    made.room.close()


def printed(papers: MealPapers, paper: Paper) -> str:
    octets = papers.file(paper, "pdf", "bep")
    return "\n".join(page.extract_text() for page in PdfReader(io.BytesIO(octets)).pages)


def test_the_kitchens_sheet_says_nothing_of_counters(school: Clocked) -> None:
    papers = MealPapers(school.store)
    school.store.mealoffice.lock("bep", DAY, "lunch")
    school.read()
    paper = papers.kitchen(DAY, "lunch")
    text = printed(papers, paper)
    assert paper.standing is None and "PHIẾU" in text and not any(name in text for name in COUNTERS)
    assert "CHƯA ĐỦ" not in text and "Chưa có mốc" not in text


def test_the_public_sheet_stands_by_its_meals_own_events(school: Clocked) -> None:
    papers = MealPapers(school.store)
    school.now("11:00")
    assert papers.public(DAY, "lunch").standing == Standing(None, COUNTERS), "it is still served"
    school.now("14:10")
    assert papers.public(DAY, "lunch").standing == Standing(None, COUNTERS)
    assert "CHƯA ĐỦ, còn chờ: quay-a, quay-b" in printed(papers, papers.public(DAY, "lunch"))
    for counter in (0, 1):
        school.mark(counter)
    school.bring()
    assert papers.public(DAY, "lunch").standing == Standing(ENDS_MS)
    assert "Đủ dữ liệu đến 12:50 19/11/2026" in printed(papers, papers.public(DAY, "lunch"))


def test_a_span_is_waited_for_to_its_last_meal_that_is_over(school: Clocked) -> None:
    first, papers = DAY.replace(day=1), MealPapers(school.store)
    for counter in (0, 1):
        school.mark(counter)
    school.bring()
    school.now("14:10")
    assert counter_waits(school.store, first, DAY).until_ms == ENDS_MS
    assert papers.month(MONTH, "lunch").standing == Standing(ENDS_MS)
    # The next day's lunch isn't over: nobody is waited for; after it, everybody.
    school.now("11:30", DAY + timedelta(days=1))
    assert papers.month(MONTH, "lunch").standing == Standing(ENDS_MS)
    school.now("14:10", DAY + timedelta(days=1))
    assert papers.slip("st-01", MONTH).standing == Standing(None, COUNTERS)
    # On Sunday, Friday's was the last: the plan has no lunch since.
    school.now("20:00", DAY + timedelta(days=3))
    assert counter_waits(school.store, first, DAY + timedelta(days=3)).until_ms == ENDS_MS + 86_400_000
    assert counter_waits(school.store, DAY + timedelta(days=2), DAY + timedelta(days=3)).until_ms is None
    assert papers.food(DAY + timedelta(days=2), DAY + timedelta(days=3)).standing is None


def test_records_that_a_month_lacks_in_its_middle_are_waited_for_at_its_end(school: Clocked) -> None:
    for number, pupil in enumerate(("st-03", "st-04")):
        school.serve(0, CARDS[pupil], 600 + 60 * number, student=pupil)
    school.mark(0, "14:00", days=1)
    run, box = school.runs[0], school.boxes[0]
    school.room.batch(box, box.batch(run, len(run.lines) - 1))
    school.given[0] = len(run.lines)
    school.mark(1, "14:00", days=1)
    school.bring(1)
    school.now("14:10", DAY + timedelta(days=1))
    assert counter_waits(school.store, DAY.replace(day=1), DAY + timedelta(days=1)).waits == ("quay-a",)
    school.room.batch(box, box.batch(run, len(run.lines) - 2, len(run.lines) - 2))
    school.read()
    assert counter_waits(school.store, DAY.replace(day=1), DAY + timedelta(days=1)).waits == ()


def test_a_month_that_is_stated_while_counters_are_waited_for_says_which(school: Clocked) -> None:
    school.mark(0, "14:00", days=11)
    school.bring()
    school.now("10:00", date(2026, 12, 1))
    told = "CHƯA ĐỦ, còn chờ quầy / INCOMPLETE, waiting for counters: quay-b"
    assert meal_days_told(school.store, {"month": MONTH}).endswith(told)
    stated = meal_days_told(school.store, {"month": MONTH, "meal": "lunch", "state": "True", "by": "ke-toan"})
    assert "version 1" in stated and stated.endswith(told)
    # So does the pack that auditors get, to whoever counts it again.
    note = "NOTE when it was made, records of these counters were waited for: quay-b"
    pack = MonthPack(school.store).make("ke-toan", MONTH)
    assert note in pack.verdict.lines and note in verify_contents(unzipped(pack.octets)).lines
    assert verify_contents(unzipped(pack.octets)).exit_code == VALID
    school.mark(1, "14:00", days=11)
    school.bring()
    assert "còn chờ" not in meal_days_told(school.store, {"month": MONTH})
    assert not any("waited for" in line for line in MonthPack(school.store).make("ke-toan", MONTH).verdict.lines)
