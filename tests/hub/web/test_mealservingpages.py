"""Who was served, on pages: the counters live, what staff settle, the public sheet, and what doesn't go together."""

from __future__ import annotations

import re
from collections.abc import Iterator

import httpx2 as httpx
import pytest

from hub.days.office import HalfDayOf
from hub.mealpapers.words import WORDS
from hub.reporting.mealpapers import MealPapers
from protocol.envelope import rfc3339
from protocol.meals import ByHand
from tests.hub.web.dayhub import DAY, STRANGE, ms_at
from tests.hub.web.mealhub import MealHub, meal_hub
from tests.hub.web.pagehub import CLASS, OTHER_CLASS, csrf_in


@pytest.fixture(scope="module")
def hub(tmp_path_factory: pytest.TempPathFactory) -> Iterator[MealHub]:
    with meal_hub(tmp_path_factory.mktemp("lunch") / "hub") as made:
        for number in range(10):
            made.tap(f"st-3-2-{number}", "06:40")
        made.store.mealoffice.cut("co.lan", "st-3-2-3", DAY, DAY, ["lunch"], "phone")
        made.serve("st-3-2-0", "11:15")
        made.serve("st-3-2-0", "11:30", point="quay-2", nth=2)
        # Two counters that did not hear each other.
        made.serve("st-3-2-1", "11:16")
        made.apart = made.serve("st-3-2-1", "11:16:40", point="quay-2", alone=True)  # type: ignore[attr-defined]
        made.serve("st-3-2-3", "11:17")
        made.serve("st-3-3-0", "11:18", hand=ByHand("name", "co-hoa"))
        shown = made.serve("", "11:19", card=STRANGE, decision="refused")
        made.serve("", "11:19:10", hand=ByHand("stranger", "co-hoa", shown))
        made.serve("", "11:25", card="a:04EEEEEEEEEE81", decision="refused")
        made.deliver()
        made.store.office.roll_call("co.lan", HalfDayOf(OTHER_CLASS, DAY, "am"), {"st-3-3-0": "absent"})
        made.store.office.roll_call("co.lan", HalfDayOf(OTHER_CLASS, DAY, "pm"), {"st-3-3-0": "absent"})
        made.settle()
        made.now("12:00")
        yield made


def tiles(page: httpx.Response) -> dict[str, str]:
    return dict(re.findall(r"<dt>([^<]+)</dt><dd>(\d+)", page.text))


def test_the_counters_live_and_what_staff_settle(hub: MealHub) -> None:
    canteen = hub.who("canteen")
    page = canteen.get("/meals/live")
    found = tiles(page)
    assert (found["Đã phục vụ"], found["Suất thêm"], found["Cần xác định"], found["Thẻ lạ đã phục vụ"]) == (
        "4", "2", "1", "1",
    )  # fmt: skip
    assert "hai quầy cùng ghi" in page.text and "quay-2" in page.text and "Thẻ được mời gặp cô" in page.text
    assert "chưa nghe thấy" in page.text, "nobody heard the counter since the start"
    fields = {"csrf": csrf_in(page), "day": DAY.isoformat(), "tap": hub.apart, "why": "repeat"}  # type: ignore[attr-defined]
    assert canteen.post("/meals/settle", data=fields).status_code == 303
    hub.settle()
    found = tiles(canteen.get("/meals/live"))
    assert (found["Suất thêm"], found["Cần xác định"]) == ("1", "0")
    # The kitchen sees no names; a teacher settles nobody else's pupil, and nobody what is no record of a counter.
    assert hub.who("kitchen").get("/meals/live").status_code == 403
    teacher = hub.who("teacher", OTHER_CLASS)
    fields["csrf"] = csrf_in(teacher.get("/me"))
    assert teacher.post("/meals/settle", data=fields).status_code == 403
    fields |= {"csrf": csrf_in(canteen.get("/me")), "tap": "0123456789abcdef.1"}
    assert canteen.post("/meals/settle", data=fields).status_code == 409
    looks = [
        one for one in hub.audit() if one.what.startswith("see") and "live" in one.what and one.outcome == "allowed"
    ]
    assert looks, "a look at names stands in the audit"


def test_the_public_sheet_has_numbers_and_no_names(hub: MealHub) -> None:
    page = hub.who("accountant").get("/meals/public")
    cells = dict(re.findall(r"<th scope=\"row\">([^<]+)</th><td>(\d+)</td>", page.text))
    assert {
        "Đăng ký ăn": "18",
        "Cắt suất": "1",
        "Có mặt, trong số dự kiến ăn": "9",
        "Đã phục vụ": "4",
    }.items() <= cells.items()
    assert cells["Không ai nhận"] == "14" and "Tạm tính" in page.text and "Nguyễn" not in page.text


def test_page_paper_and_program_are_told_the_same_of_who_is_there(hub: MealHub) -> None:
    # Home in the afternoon; lunch is of the morning.
    hub.store.office.roll_call("co.lan", HalfDayOf(CLASS, DAY, "pm"), {"st-3-2-5": "absent"})
    hub.settle()
    page = hub.who("accountant").get("/meals/public").text
    told = hub.who("accountant").get("/v1/meals/public").json()
    paper = MealPapers(hub.store).public(DAY, "lunch").tables[0].rows
    label = "Có mặt, trong số dự kiến ăn"
    assert re.findall(rf"<th scope=\"row\">{label}</th><td>(\d+)</td>", page) == ["9"]
    assert told["present"] == 9 and [row[1] for row in paper if row[0] == WORDS["vi"]["present"]] == [9]


def test_conflicts_are_of_ones_own_class_and_say_what_is_missing(hub: MealHub) -> None:
    principal, teacher = hub.who("principal"), hub.browser("teacher")
    page = principal.get("/meals/conflicts").text
    assert "Có ăn nhưng ghi vắng" in page and "Đã cắt suất nhưng có ăn" in page and "gọi tên" in page
    assert "Có mặt nhưng chưa ăn" not in page and "Tạm thời" in page, "the meal isn't over"
    mine = teacher.get("/meals/conflicts").text
    assert "Đã cắt suất nhưng có ăn" in mine and "Có ăn nhưng ghi vắng" not in mine, CLASS
    assert teacher.get("/meals/conflicts", params={"class": OTHER_CLASS}).status_code == 403
    hub.now("13:30")
    hub.watermark("13:25")
    hub.deliver()
    page = principal.get("/meals/conflicts").text
    assert "Có mặt nhưng chưa ăn <small>7</small>" in page and "Đủ số liệu" in page and "nhập bù" not in page
    # A counter that saw no cards for a while: who was served then may stand on paper alone.
    blind = [{"station": "quay-1", "since": rfc3339(ms_at("11:20")), "until": rfc3339(ms_at("11:24"))}]
    hub.watermark("13:26", stations={"cong-a": "gate", "quay-1": "canteen"}, blind=blind)
    hub.deliver()
    told = f"quay-1 11:20:00–11:24:00 {DAY:%d/%m/%Y}"
    for path in ("/meals/conflicts", "/meals/public"):
        page = principal.get(path).text
        assert "Đủ số liệu" in page and "nhập bù" in page and told in page
    for path in ("/v1/meals/servings", "/v1/meals/public"):
        answer = principal.get(path).json()
        assert answer["complete"] is True
        assert answer["dark"] == [{"device": hub.gate.device, "why": "counter-blind", "detail": told}]
    assert ms_at("13:30") <= hub.store.clock.now_ms()


def test_a_serving_is_told_after_its_commit_and_names_nobody(hub: MealHub) -> None:
    with hub.who("kitchen").stream("GET", "/v1/meals/events") as stream:
        lines = (line.removeprefix("data: ") for line in stream.iter_lines() if line.startswith("data: "))
        assert "hello" in next(lines)
        hub.serve("st-3-2-9", "13:20")
        hub.deliver(wait=False)
        told = next(line for line in lines if "beat" not in line)
    assert told == '{"what":"new"}'
