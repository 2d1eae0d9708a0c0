"""What people enter of meals on pages: cuts, enrolments, diets, class lists, menus, who may take a shift."""

from __future__ import annotations

from collections.abc import Iterator

import httpx2 as httpx
import pytest

from hub.store.notes import BackedUp, DietsBack
from tests.hub.web.dayhub import DAY
from tests.hub.web.mealhub import MealHub, meal_hub
from tests.hub.web.pagehub import CLASS, OTHER_CLASS, csrf_in

MINE = {"class": CLASS}


@pytest.fixture(scope="module")
def hub(tmp_path_factory: pytest.TempPathFactory) -> Iterator[MealHub]:
    with meal_hub(tmp_path_factory.mktemp("words") / "hub") as made:
        made.now("07:30")
        yield made


def send(client: httpx.Client, path: str, school_class: str | None = CLASS, **fields: object) -> httpx.Response:
    values = {"csrf": csrf_in(client.get("/me")), "day": DAY.isoformat(), "meal": "lunch"} | fields
    return client.post(path, params={} if school_class is None else {"class": school_class}, data=values)


def page(client: httpx.Client, path: str, **params: str) -> str:
    answer = client.get(path, params=MINE | params)
    assert answer.status_code == 200, answer.text
    return answer.text


def test_a_teacher_cuts_ones_own_class_and_takes_it_back(hub: MealHub) -> None:
    teacher = hub.who("teacher")
    answer = send(teacher, "/meals/cut", pupil="st-3-2-0", how="phone")
    assert answer.status_code == 303 and "said=cut" in answer.headers["location"]
    assert send(teacher, "/meals/cut", pupil="st-3-3-0").status_code == 403, "another class's pupil"
    assert send(teacher, "/meals/cut", OTHER_CLASS, pupil="st-3-3-0").status_code == 403
    hub.settle()
    told = page(teacher, "/meals/cuts")
    assert "đã cắt" in told and "điện thoại · teacher.3-2" in told
    cut = next(iter(hub.store.days.meals.cuts(DAY, DAY)))
    assert send(teacher, "/meals/cut/back", act=cut.id).status_code == 303
    hub.settle()
    assert "đã cắt" not in page(teacher, "/meals/cuts")
    assert send(teacher, "/meals/cut/back", act="0123456789abcdef.9").status_code == 409
    # After the locks it is taken all the same, and says what that means.
    hub.now("08:10")
    answer = send(teacher, "/meals/cut", pupil="st-3-2-1")
    assert answer.status_code == 303 and "said=charged" in answer.headers["location"]
    hub.settle()
    assert "vẫn tính" in page(teacher, "/meals/cuts")
    refused = send(teacher, "/meals/cut", pupil="st-3-2-2", last="2026-11-01")
    assert refused.status_code == 409 and "ngày kết thúc đứng trước ngày bắt đầu" in refused.text
    for role in ("kitchen", "canteen", "guard", "it"):
        assert hub.who(role).get("/meals/cuts", params=MINE).status_code == 403, role  # type: ignore[arg-type]
    auditor = hub.who("auditor")
    assert "Cắt suất<" not in page(auditor, "/meals/cuts") and send(auditor, "/meals/cut").status_code == 403
    said = [(one.what, one.object, one.outcome) for one in hub.audit()]
    assert ("meal cut", "st-3-2-0", "allowed") in said and ("meal cut", "st-3-3-0", "refused") in said


def test_enrolments_are_the_accountants_and_show_no_diet(hub: MealHub) -> None:
    accountant = hub.who("accountant")
    hub.store.mealoffice.portion("y.te", "st-3-2-4", "porridge", DAY, None)
    hub.settle()
    answer = send(accountant, "/meals/enrol", pupils=["st-3-2-2", "st-3-2-3"], ends="1")
    assert answer.status_code == 303, answer.text
    hub.settle()
    told = page(accountant, "/meals/enrolments")
    assert told.count("không ăn ở trường") == 2 and "Cháo" not in told and "Suất riêng" not in told
    answer = send(accountant, "/meals/enrol", pupils=["st-3-2-2"], meals=["breakfast"], weekdays=["0", "3"])
    assert answer.status_code == 409 and "kế hoạch của trường không có" in answer.text
    answer = send(accountant, "/meals/enrol", pupils=["st-3-2-2"], meals=["lunch"], weekdays=["0", "3"])
    assert answer.status_code == 303
    hub.settle()
    assert "Thứ Hai, Thứ Năm" in page(accountant, "/meals/enrolments")
    answer = send(
        accountant, "/meals/enrol", pupils=["st-3-2-3"], meals=["lunch"], weekdays=["0"], day="2026-11-25", why="quên"
    )
    assert "said=late-enrolled" in answer.headers["location"]
    assert "bữa này vẫn tính tiền" in page(accountant, "/meals/enrolments", said="late-enrolled")
    assert send(accountant, "/meals/enrol", meals=["lunch"], weekdays=["0"]).status_code == 409, "nobody is ticked"
    assert send(accountant, "/meals/enrol", pupils=["st-3-2-2"]).status_code == 409, "no meal is named"
    assert send(accountant, "/meals/enrol", pupils=["st-3-3-0"], ends="1").status_code == 403
    assert hub.who("teacher").get("/meals/enrolments").status_code == 200
    assert send(hub.who("teacher"), "/meals/enrol", pupils=["st-3-2-2"], ends="1").status_code == 403


def test_diets_are_for_nurse_and_principal_alone(hub: MealHub) -> None:
    nurse = hub.who("nurse")
    answer = send(nurse, "/meals/diet", pupil="st-3-2-5", portion="diet", alerts="lạc\ntôm", confirmed="1")
    assert answer.status_code == 303, answer.text
    hub.settle()
    told = page(nurse, "/meals/diets")
    assert "lạc; tôm" in told and "nhà trường đã xác nhận" in told and "Suất riêng" in told
    assert told.count("chỉ lưu ở đây") == 1, "only a backup holds it, too"
    with hub.store.database.transaction():
        hub.store.notes.write(BackedUp(hub.store.clock.now_ms() + 1, 1, "stick", False, {}))
    assert "chỉ lưu ở đây" not in page(nurse, "/meals/diets")
    entered = len(list(hub.store.days.meals.portions(DAY, DAY)))
    assert send(nurse, "/meals/diet", pupil="st-3-2-5", portion="diet", alerts="").status_code == 303
    hub.settle()
    assert "lạc; tôm" not in page(nurse, "/meals/diets")
    assert len(list(hub.store.days.meals.portions(DAY, DAY))) == entered, "what is as before is no record"
    for role in ("teacher", "accountant", "canteen", "kitchen", "auditor", "dpo", "it", "supervisor"):
        client = hub.who(role)  # type: ignore[arg-type]
        assert client.get("/meals/diets", params=MINE).status_code == 403, role


def test_diets_that_came_back_after_a_loss_are_confirmed_by_who_may_see_them(hub: MealHub) -> None:
    nurse, store = hub.who("nurse"), hub.store
    now_ms = store.clock.now_ms()
    assert "/meals/diets/confirm" not in page(nurse, "/meals/diets")
    with store.database.transaction():
        store.notes.write(DietsBack(now_ms, now_ms))
    assert "/meals/diets/confirm" not in page(nurse, "/meals/diets"), "no counter was ever told anything"
    with store.database.transaction():
        store.counters.next_sheet(now_ms)
    told = page(nurse, "/meals/diets")
    assert "/meals/diets/confirm" in told and "là của bản sao lưu" in told
    assert "là của bản sao lưu" in hub.who("it").get("/devices").text
    assert send(hub.who("canteen"), "/meals/diets/confirm").status_code == 403
    assert nurse.post("/meals/diets/confirm", data={"csrf": "0"}).status_code == 403 and store.diets_in_doubt()
    assert send(nurse, "/meals/diets/confirm").status_code == 303 and store.diets_in_doubt() is None
    assert "/meals/diets/confirm" not in page(nurse, "/meals/diets", said="looked")
    assert any(one.what == "diets confirmed" and one.outcome == "allowed" for one in hub.audit())


def test_who_ate_by_a_list_on_paper(hub: MealHub) -> None:
    hub.now("11:40")
    teacher, canteen = hub.who("teacher"), hub.who("canteen")
    hub.serve("st-3-2-6", "11:20")
    hub.deliver()
    assert send(teacher, "/meals/paper", served=["st-3-2-6", "st-3-2-7"]).status_code == 303
    hub.settle()
    told = page(teacher, "/meals/paper")
    assert "quầy đã ghi 11:20" in told and "Danh sách của teacher.3-2" in told
    # A counter's paper adds to it; who filled it in is named beside who typed it.
    answer = send(canteen, "/meals/paper", served=["st-3-2-8"], mode="counter", filled_by="Cô Hoa", seen="11:25")
    assert answer.status_code == 303
    hub.settle()
    found = {one.pupil: one.how for one in hub.store.mealbook.served(DAY).servings}
    assert found == {"st-3-2-6": "card", "st-3-2-7": "list", "st-3-2-8": "list"}
    assert "Cô Hoa (canteen.user)" in page(canteen, "/meals/paper")
    assert send(canteen, "/meals/paper", mode="counter").status_code == 409, "nobody is ticked"
    assert send(canteen, "/meals/paper", None, served=["st-3-2-8"]).status_code == 409, "of no class"
    assert send(teacher, "/meals/paper", served=["st-3-3-0"]).status_code == 409
    assert send(hub.who("kitchen"), "/meals/paper", served=["st-3-2-8"]).status_code == 403


def test_a_list_of_a_day_that_was_says_why_and_shows_it(hub: MealHub) -> None:
    teacher = hub.who("teacher")
    before = {"day": "2026-11-25", "served": ["st-3-2-6"]}
    refused = send(teacher, "/meals/paper", **before)
    assert refused.status_code == 409 and "đổi những ngày đã qua thì phải ghi lý do" in refused.text
    assert send(teacher, "/meals/paper", why="quầy mất điện", **before).status_code == 303
    assert "ghi sau ngày ăn: quầy mất điện" in page(teacher, "/meals/paper", day="2026-11-25")
    assert "ghi sau ngày ăn" not in page(teacher, "/meals/paper")


def test_the_menu_carries_lots_and_samples_and_pays_need_not_know_diets(hub: MealHub) -> None:
    kitchen = hub.who("kitchen")
    answer = send(kitchen, "/meals/menu", None, dish="Thịt kho", lot="L-77", supplier="Cty A", sample="M1")
    assert answer.status_code == 303, answer.text
    assert send(kitchen, "/meals/menu", None, dish="Cháo thịt", portion="porridge").status_code == 303
    told = kitchen.get("/meals/menu").text
    assert "L-77" in told and "20261126-lunch-regular" in told and "Cháo thịt" in told
    assert send(kitchen, "/meals/menu", None, dish="Cháo thịt", portion="porridge", gone="1").status_code == 303
    assert "Cháo thịt" not in kitchen.get("/meals/menu").text
    assert send(kitchen, "/meals/menu", None, dish=" ").status_code == 409
    assert hub.who("accountant").get("/meals/menu").status_code == 403
    assert "Chưa có ý kiến" in kitchen.get("/meals/ratings").text


def test_who_may_take_a_shift_and_no_pin_is_shown_again(hub: MealHub) -> None:
    it = hub.who("it")
    send_it = lambda **fields: send(it, "/meals/counters/admit", None, **fields)  # noqa: E731
    assert send_it(id="co-hoa", shown="Cô Hoa", pin="480215").status_code == 303
    told = it.get("/meals/counters").text
    assert "Cô Hoa" in told and "480215" not in told and "argon2" not in told
    easy = send_it(id="co-lan", shown="Cô Lan", pin="123456")
    assert easy.status_code == 409 and "quá dễ đoán" in easy.text and 'value="123456"' not in easy.text
    assert send(it, "/meals/counters/dismiss", None, id="co-hoa").status_code == 303
    assert "Đã thôi (1)" in it.get("/meals/counters").text
    assert send(it, "/meals/counters/dismiss", None, id="co-hoa").status_code == 409
    assert hub.who("canteen").get("/meals/counters").status_code == 403
    rows = [(one.what, one.object) for one in hub.audit() if one.what.startswith("counter staff")]
    assert rows.count(("counter staff", "co-hoa")) == 1 and rows.count(("counter staff gone", "co-hoa")) == 1
