"""Two pupils of one name in one class are told apart on the pages where somebody chooses one of them."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date

import httpx2 as httpx
import pytest

from hub.dayview.namesakes import called
from hub.roster import RosterRow
from hub.store.peoplerows import Person
from tests.hub.web.dayhub import ROSTER, DayHub, day_hub
from tests.hub.web.pagehub import CLASS, OTHER_CLASS, csrf_in

NAME = "Nguyễn Hoàng Ánh Dương"
TWO = tuple(RosterRow(f"st-two-{number}", NAME, CLASS, None) for number in (1, 2))
ELSEWHERE = RosterRow("st-two-3", NAME, OTHER_CLASS, None)


@pytest.fixture(scope="module")
def hub(tmp_path_factory: pytest.TempPathFactory) -> Iterator[DayHub]:
    with day_hub(tmp_path_factory.mktemp("namesakes") / "hub", roster=(*ROSTER, *TWO, ELSEWHERE)) as made:
        with made.store.database.transaction() as run:
            for number, (birth, code) in enumerate((("2018-03-14", "0790001234"), ("2018-11-02", "0790005678")), 1):
                key = f"st-two-{number}"
                run.execute("UPDATE pupils SET birth = ?, code = ? WHERE pupil_key = ?", (birth, code, key))
        yield made


def post(client: httpx.Client, path: str, **fields: str) -> str:
    return client.post(path, data={"csrf": csrf_in(client.get("/me")), **fields}).text


def test_the_roll_call_tells_namesakes_apart_by_birth_date_and_nobody_else(hub: DayHub) -> None:
    teacher = hub.browser("teacher")
    for path in ("/roll", "/class"):
        page = teacher.get(path).text
        assert f"{NAME} (14/03/2018)" in page and f"{NAME} (02/11/2018)" in page, path
        assert "(14/" not in page.replace(f"{NAME} (14/03/2018)", "") and f"{NAME}<" not in page
    other = hub.browser("principal").get(f"/class?class={OTHER_CLASS}").text
    assert NAME in other and f"{NAME} (" not in other, "of another class is no namesake"


def test_the_guard_sees_the_end_of_the_code_and_no_birth_date(hub: DayHub) -> None:
    guard = hub.browser("guard")
    found = post(guard, "/guard/find", q="anh duong")
    assert f"{NAME} (…1234)" in found and f"{NAME} (…5678)" in found and f">{NAME}<" in found
    assert "2018" not in found
    cards = guard.get(f"/cards/class?class={CLASS}").text
    assert f"{NAME} (…1234)" in cards and "2018" not in cards
    assert guard.post("/guard/admit", data={"csrf": csrf_in(guard.get("/me")), "act": "st-two-2"}).status_code in (
        200,
        303,
    )
    hub.settle()
    page = guard.get("/guard").text
    assert f"{NAME} (…5678)" in page and "1234" not in page and "2018" not in page


def test_desk_and_consent_tell_namesakes_apart(hub: DayHub) -> None:
    office = hub.browser("it")
    hub.store.issuing.open("it.user", "ban/ban", CLASS)
    hub.store.issuing.choose("ban/ban", "st-two-1")
    page = office.get("/cards/desk?desk=ban/ban").text
    assert page.count(f"<bdi>{NAME} (14/03/2018)</bdi>") == 2 and f"<bdi>{NAME} (02/11/2018)</bdi>" in page
    assert f"<bdi>{NAME}</bdi>" not in page
    head = hub.browser("principal", "hieu.pho")
    for path in ("/cards/class", "/paper", "/paper/entry"):
        page = head.get(f"{path}?class={CLASS}").text
        assert f"{NAME} (14/03/2018)" in page and f">{NAME}<" not in page, path
    assert f"{NAME} (14/03/2018)" in office.get(f"/messages/consent?class={CLASS}").text


def person(key: str, birth: date | None, code: str | None, name: str = NAME) -> Person:
    return Person(key, name, CLASS, "enrolled", code, birth=birth)


def test_where_birth_dates_don_t_tell_them_apart_codes_do_and_else_keys() -> None:
    day = date(2018, 3, 14)

    def shown(*people: Person, births: bool = True) -> list[str]:
        found = called(people, {one.key: one for one in people}.get, births=births)
        return [found[one.key].removeprefix(NAME).strip() for one in people]

    assert shown(person("a", day, "1")) == [""]
    assert shown(person("a", day, None), person("b", None, None)) == ["(a)", "(b)"]
    assert shown(person("a", day, "0001234"), person("b", day, "0101234")) == ["(…001234)", "(…101234)"]
    assert shown(person("a", day, "12"), person("b", date(2018, 3, 15), "34"), births=False) == ["(12)", "(34)"]
    decomposed = person("b", date(2018, 3, 15), None, name="Nguyê\u0303n Hoàng  ánh Dương")
    assert called(
        [person("a", day, None), decomposed], {"a": person("a", day, None), "b": decomposed}.get, births=True
    )["a"].endswith("(14/03/2018)")
