"""Cards on the pages: a class gets its cards by tapping, cards are lost, found, replaced, and cards of nobody bound."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import httpx2 as httpx
import pytest

from hub.desks.cardview import reach
from hub.desks.issuing import CLOCK_MS, IDLE_MAX_MS, LAG_MAX
from hub.roster import RosterRow
from tests.hub.web.officeroom import AN, DESK, HOA, HOSTILE, OfficeRoom, card, office_room, sent


@pytest.fixture
def office(tmp_path: Path) -> Iterator[OfficeRoom]:
    with office_room(tmp_path) as made:
        yield made


def next_of(client: httpx.Client) -> str:
    """Who is next at the desk, as the page shows in large letters."""
    page = client.get("/cards/desk", params={"desk": DESK})
    assert page.status_code == 200
    found = re.search(r'<p class="next">(?:<bdi>)?(.*?)(?:</bdi>)?</p>', page.text)
    assert found is not None
    return found[1]


def last_of(client: httpx.Client) -> str:
    """What came of the last tap."""
    page = client.get("/cards/desk", params={"desk": DESK})
    found = re.findall(r'<p class="note (?:good|warn|bad)" data-log="[^"]*">\n(.*?)</p>', page.text, re.DOTALL)
    return re.sub(r"<[^>]*>", "", found[0])


def opened(office: OfficeRoom, role: str = "principal") -> httpx.Client:
    client = office.browser(role)  # type: ignore[arg-type]
    office.tap(AN, known="st-an")
    answer = sent(client, "/cards/desk/open", desk=DESK, school_class="3/2")
    assert answer.status_code == 303 and answer.headers["location"] == f"/cards/desk?desk={DESK}"
    return client


def holders(office: OfficeRoom) -> dict[str, str]:
    """Card -> whose it is now."""
    return {one.card: one.pupil for one in office.store.holders.holdings() if one.open}


# --- a class at the desk ----------------------------------------------------------------------------------------------


def test_the_list_moves_on_by_itself_and_a_reload_or_a_restart_loses_nothing(office: OfficeRoom) -> None:
    client = opened(office)
    assert next_of(client) == "Lê Thị Bé", "An has a card"
    office.tap(card(1))
    assert next_of(client) == "Trần Đức Dũng"
    # Two cards between two looks; and the hub is started anew before anybody looks.
    office.tap(card(2))
    office.tap(card(3))
    office.again()
    client = office.browser("principal")
    assert next_of(client) == "Cả lớp đã có thẻ"
    assert holders(office) == {
        AN: "st-an", HOA: "st-hoa", card(1): "st-be", card(2): "st-dung", card(3): "st-chi",
    }  # fmt: skip
    assert ("card issued", "st-dung", "allowed") in office.audit("principal.all")
    office.tap(card(4))
    assert "chưa gắn cho ai" in last_of(client) and card(4) not in holders(office)


def test_a_card_that_is_somebodys_is_refused_with_who_it_is(office: OfficeRoom) -> None:
    client = opened(office)
    office.tap(HOA, known="st-hoa")
    assert "Đặng Hoà, lớp 3/3" in last_of(client)
    office.store.office.card("-", "lost", HOA, "st-hoa")
    office.tap(HOA, reason="lost")
    assert "báo mất" in last_of(client) and "Đặng Hoà, lớp 3/3" in last_of(client)
    assert len(holders(office)) == 1


def test_a_counter_staff_card_is_no_pupils_at_the_desk_on_the_page_and_by_the_api(office: OfficeRoom) -> None:
    office.store.mealdesk.admit_staff("it", "co-ba", "Cô Ba", None, card(1))
    client = opened(office)
    tap = office.tap(card(1))
    assert "người đứng quầy" in last_of(client) and next_of(client) == "Lê Thị Bé"
    bound = sent(client, "/cards/bind", pupil="st-be", tap=tap)
    assert bound.status_code == 303 and "người đứng quầy" in client.get(bound.headers["location"]).text
    it = office.browser("it")
    answer = it.post("/v1/cards", json={"change": "issued", "student": "st-be", "card": card(1)})
    assert answer.status_code == 422 and "counter staff" in answer.text
    assert card(1) not in holders(office)
    office.tap(card(2))
    assert next_of(client) == "Trần Đức Dũng" and holders(office)[card(2)] == "st-be", "the list goes on"


def test_the_same_card_twice_is_no_second_pupil(office: OfficeRoom) -> None:
    client = opened(office)
    for _ in range(3):
        office.tap(card(1))
    assert next_of(client) == "Trần Đức Dũng" and last_of(client).startswith("✓")
    office.tap(card(1), known="st-be", reason=None)
    assert next_of(client) == "Trần Đức Dũng", "also when the gateway knows it already"
    assert holders(office)[card(1)] == "st-be" and len(holders(office)) == 3


def test_undo_takes_the_last_card_back_as_if_it_had_never_been_theirs(office: OfficeRoom) -> None:
    gate = office.tap(card(1), kind="gate")
    client = opened(office)
    office.tap(card(1))
    next_of(client)
    assert office.store.days.corrections([gate])[gate].student == "st-be"
    sent(client, "/cards/desk/undo", desk=DESK)
    assert next_of(client) == "Lê Thị Bé" and "hoàn tác" in last_of(client)
    assert card(1) not in holders(office)
    assert office.store.days.corrections([gate])[gate].student is None
    sent(client, "/cards/desk/skip", desk=DESK)
    office.tap(card(1))
    assert next_of(client) == HOSTILE.replace("<", "&lt;").replace(">", "&gt;").replace("'", "&#39;")
    assert holders(office)[card(1)] == "st-dung"
    assert office.store.days.corrections([gate])[gate].student == "st-dung", "earlier taps came home to the right one"
    sent(client, "/cards/desk/undo", desk=DESK)
    sent(client, "/cards/desk/undo", desk=DESK)
    assert len(holders(office)) == 2, "nothing is left to undo, and nothing else was taken back"


def test_what_became_of_a_card_elsewhere_is_not_undone(office: OfficeRoom) -> None:
    client = opened(office)
    office.tap(card(1))
    next_of(client)
    office.store.office.card("vp", "lost", card(1), "st-be")
    assert sent(client, "/cards/desk/undo", desk=DESK).status_code == 409
    assert last_of(client).startswith("✓") and next_of(client) == "Lê Thị Bé", "who has no good card"
    assert office.store.releases.lost() == [card(1)]


def test_no_card_is_issued_in_the_name_of_who_is_let_in_no_longer(office: OfficeRoom) -> None:
    client = opened(office)
    name = office.store.issuing.sessions()[0].by
    office.tap(card(1))
    assert next_of(client) == "Trần Đức Dũng"
    with office.store.database.transaction():
        office.store.users.revoke(name, office.store.clock.now_ms())
    office.tap(card(2))
    other = office.browser("it")
    page = other.get(f"/cards/desk?desk={DESK}").text
    assert card(2) not in holders(office) and not office.store.issuing.sessions()
    assert "/cards/desk/resume" in page or "/cards/desk/open" in page


def test_who_is_away_is_passed_over_and_anybody_can_be_next(office: OfficeRoom) -> None:
    client = opened(office)
    sent(client, "/cards/desk/skip", desk=DESK)
    assert next_of(client) == "Trần Đức Dũng"
    sent(client, "/cards/desk/choose", desk=DESK, pupil="st-an")
    assert next_of(client) == "Nguyễn Văn An", "a second card"
    office.tap(card(1))
    assert next_of(client) == "Trần Đức Dũng" and holders(office)[card(1)] == "st-an"
    assert sent(client, "/cards/desk/choose", desk=DESK, pupil="st-hoa").status_code == 409
    sent(client, "/cards/desk/close", desk=DESK)
    office.tap(card(2))
    assert "Bắt đầu" in client.get("/cards/desk", params={"desk": DESK}).text and card(2) not in holders(office)


def test_a_backlog_and_a_card_after_a_long_pause_are_not_of_this_session(office: OfficeRoom) -> None:
    client = opened(office)
    office.tap(card(1), mono_ms=office.mono_ms() - CLOCK_MS - 5_000)
    assert next_of(client) == "Lê Thị Bé" and card(1) not in holders(office)
    office.tap(card(2), mono_ms=office.mono_ms() + IDLE_MAX_MS + 5_000)
    page = client.get("/cards/desk", params={"desk": DESK}).text
    assert "Tiếp tục" in page and "nghỉ lâu" in page and card(2) not in holders(office)
    sent(client, "/cards/desk/resume", desk=DESK)
    office.tap(card(3))
    assert next_of(client) == "Trần Đức Dũng"


def test_what_other_stations_see_meanwhile_is_looked_at_once(office: OfficeRoom) -> None:
    client = opened(office)
    opened_at = office.store.issuing.sessions()[0].position
    office.run.taps(LAG_MAX, mono_ms=office.mono_ms())
    office.tap(card(1), kind="gate")
    assert next_of(client) == "Lê Thị Bé"
    [session] = office.store.issuing.sessions()
    assert session.position >= opened_at + LAG_MAX
    office.tap(card(2))
    assert next_of(client) == "Trần Đức Dũng" and holders(office)[card(2)] == "st-be"


def test_cards_without_a_whole_or_lasting_number_are_not_issued(office: OfficeRoom) -> None:
    client = opened(office)
    office.tap("a:08AABBCC", reason="random")
    assert "đổi số" in last_of(client)
    office.tap("w24:AABBCC")
    assert "một phần" in last_of(client)
    office.tap("a:08AABBCC")
    assert "đổi số" in last_of(client)
    assert len(holders(office)) == 2


def test_a_class_of_40_needs_one_tap_a_pupil(tmp_path: Path) -> None:
    roster = [RosterRow(f"st-{n:02}", f"Nguyễn Văn {chr(65 + n % 26)}{n:02}", "3/2", None) for n in range(40)]
    with office_room(tmp_path, roster) as office:
        client = office.browser("it")
        office.tap(card(99))
        assert sent(client, "/cards/desk/open", desk=DESK, school_class="3/2").status_code == 303
        was = next_of(client)
        for number in range(40):
            office.tap(card(number))
            # One look of the page, which is made every half a second, and the next one is shown.
            was, before = next_of(client), was
            assert was != before
        assert len(holders(office)) == 40 and next_of(client) == "Cả lớp đã có thẻ"


# --- a pupil's cards --------------------------------------------------------------------------------------------------


def test_lost_is_one_button_and_the_teacher_of_the_class_has_it(office: OfficeRoom) -> None:
    teacher = office.browser("teacher", "3/2")
    page = teacher.get("/cards/pupil", params={"pupil": "st-an"})
    assert "Báo mất" in page.text and "Thu thẻ" not in page.text and "E501" in page.text
    assert AN not in page.text, "the whole number is told to nobody"
    name = office.store.cardbook.name(AN)
    assert sent(teacher, "/cards/lost", pupil="st-an", card=name).status_code == 303
    assert office.store.releases.lost() == [AN]
    assert "đã báo mất" in teacher.get("/cards/pupil", params={"pupil": "st-an"}).text
    assert sent(teacher, "/cards/lost", pupil="st-hoa", card=office.store.cardbook.name(HOA)).status_code == 403
    assert ("card lost", "st-hoa", "refused") in office.audit("teacher.3-2")
    assert sent(teacher, "/cards/change", pupil="st-an", card=name, change="found").status_code == 403
    office_user = office.browser("it")
    sent(office_user, "/cards/change", pupil="st-an", card=name, change="found")
    assert office.store.releases.lost() == [] and holders(office)[AN] == "st-an"
    count = len(list(office.store.days.card_changes()))
    sent(office_user, "/cards/change", pupil="st-an", card=name, change="found")
    assert len(list(office.store.days.card_changes())) == count, (
        "a card that is good can't be found: no record, no release"
    )
    sent(office_user, "/cards/change", pupil="st-an", card=name, change="returned")
    assert AN not in holders(office)
    history = office_user.get("/cards/pupil", params={"pupil": "st-an"}).text
    assert all(word in history for word in ("phát thẻ", "báo mất", "mở lại", "thu thẻ", "teacher.3-2"))
    again = sent(office_user, "/cards/change", pupil="st-an", card=name, change="returned")
    assert again.headers["location"].endswith("said=not-theirs")


def test_a_card_is_replaced_or_lent_by_holding_the_new_one_to_a_desk(office: OfficeRoom) -> None:
    client = office.browser("principal")
    tap = office.tap(card(7))
    assert tap in client.get("/cards/pupil", params={"pupil": "st-an"}).text
    old = office.store.cardbook.name(AN)
    answer = sent(client, "/cards/bind", pupil="st-an", tap=tap, change="issued", replaces=old)
    assert "said=bound" in answer.headers["location"]
    assert holders(office) == {HOA: "st-hoa", card(7): "st-an"}
    states = {line.tail: line.state for line in office.store.cardbook.of("st-an")}
    assert states == {"0007": "good", "E501": "replaced"}
    lent = office.tap(card(8))
    sent(client, "/cards/bind", pupil="st-an", tap=lent, change="temporary")
    assert {line.tail: line.state for line in office.store.cardbook.of("st-an")}["0008"] == "temporary"
    for pupil, said in (("st-hoa", "taken"), ("st-nobody", None)):
        answer = sent(client, "/cards/bind", pupil=pupil, tap=tap)
        assert answer.status_code == 404 if said is None else answer.headers["location"].endswith(f"said={said}")
    assert sent(client, "/cards/bind", pupil="st-be", tap="0000000000000000.1").headers["location"].endswith("refused")


def test_a_lost_card_is_not_bound_to_somebody_else(office: OfficeRoom) -> None:
    client = office.browser("principal")
    office.store.office.card("-", "lost", HOA, "st-hoa")
    tap = office.tap(HOA, reason="lost")
    assert sent(client, "/cards/bind", pupil="st-be", tap=tap).headers["location"].endswith("said=blocked")
    assert office.store.releases.lost() == [HOA]


# --- cards of nobody --------------------------------------------------------------------------------------------------


def test_an_unknown_card_is_bound_by_one_click_and_brings_its_taps_home(office: OfficeRoom) -> None:
    client = office.browser("principal")
    first = office.tap(card(5), kind="gate")
    tap = office.tap(card(5), kind="gate")
    page = client.get("/cards").text
    assert tap in page and "van-phong/ban" in page and "<td>2</td>" in page
    search = sent(client, "/cards/find", q="be le", tap=tap)
    assert "Lê Thị Bé" in search.text and "Nguyễn" not in search.text
    answer = sent(client, "/cards/bind", pupil="st-be", tap=tap)
    assert answer.headers["location"].endswith("said=bound&home=2")
    assert {name: row.student for name, row in office.store.days.corrections([first, tap]).items()} == {
        first: "st-be", tap: "st-be",
    }  # fmt: skip
    assert tap not in client.get("/cards").text


def test_a_card_that_was_taken_back_is_nobodys_and_brings_home_the_taps_since(office: OfficeRoom) -> None:
    client = office.browser("principal")
    before = office.tap(HOA, kind="gate", known="st-hoa", reason=None)
    office.store.office.card("-", "returned", HOA, "st-hoa")
    tap = office.tap(HOA, kind="gate")
    assert tap in client.get("/cards").text
    assert sent(client, "/cards/bind", pupil="st-be", tap=tap).headers["location"].endswith("said=bound&home=1")
    corrected = office.store.days.corrections([before, tap])
    assert corrected[tap].student == "st-be" and before not in corrected, "that one stays with who had it then"
    assert tap not in client.get("/cards").text and holders(office)[HOA] == "st-be"


def test_names_do_no_harm_and_stand_in_no_address(office: OfficeRoom) -> None:
    client = office.browser("principal")
    for page in ("/cards/class?class=3/2", "/cards/pupil?pupil=st-chi"):
        text = client.get(page).text
        assert "<script>alert" not in text and "&lt;script&gt;" in text
        assert not re.findall(r'(?:href|action|src)="[^"]*(?:alert|Nguy|B%C3)', text)
    found = sent(client, "/cards/find", q="<script>")
    assert "<script>alert" not in found.text and "&lt;script&gt;" in found.text


# --- whether a card is good -------------------------------------------------------------------------------------------


def test_a_card_held_to_the_desk_tells_what_it_is_and_whose_to_whom_may_know(office: OfficeRoom) -> None:
    guard, teacher = office.browser("guard"), office.browser("teacher", "3/2")
    office.tap(HOA, known="st-hoa")
    assert "Đặng Hoà" in guard.get("/cards/check").text
    text = teacher.get("/cards/check").text
    assert "Đặng Hoà" not in text and "Thẻ của lớp khác" in text and "dùng được" in text
    office.store.office.card("-", "lost", HOA, "st-hoa")
    office.tap(HOA, reason="lost")
    assert "đã báo mất" in guard.get("/cards/check").text
    office.tap(card(1))
    assert "chưa của ai" in guard.get("/cards/check").text


# --- programs ---------------------------------------------------------------------------------------------------------


def test_cards_and_roster_for_programs(office: OfficeRoom) -> None:
    it, teacher, guard = office.browser("it"), office.browser("teacher", "3/2"), office.browser("guard")
    tap = office.tap(card(3))
    unknown = it.get("/v1/cards").json()["unknown"]
    assert [(one["tap"], one["count"], one["places"]) for one in unknown] == [(tap, 1, [DESK])]
    assert teacher.get("/v1/cards").status_code == guard.get("/v1/cards").status_code == 403
    answer = it.post("/v1/cards", json={"change": "issued", "student": "st-be", "tap": tap})
    assert answer.status_code == 200 and answer.json()["reach"]["devices"] == 1, answer.text
    mine = teacher.get("/v1/cards", params={"student": "st-be"}).json()
    assert [(one["card"], one["state"]) for one in mine["cards"]] == [(answer.json()["card"], "good")]
    assert teacher.get("/v1/cards", params={"student": "st-hoa"}).status_code == 403
    taken = it.post("/v1/cards", json={"change": "issued", "student": "st-dung", "card": card(3)})
    assert taken.status_code == 422 and taken.json()["type"].endswith("entry-refused")
    lost = {"change": "lost", "student": "st-be", "card": answer.json()["card"]}
    assert teacher.post("/v1/cards", json={**lost, "change": "returned"}).status_code == 403
    assert teacher.post("/v1/cards", json=lost).status_code == 200
    for wrong in ({"change": "issued", "student": "st-be"}, {**lost, "card": "hk1:AAAAAAAAAAA"}):
        assert it.post("/v1/cards", json=wrong).status_code == 422
    roster = it.get("/v1/roster").json()
    assert [one["student"] for one in roster["students"]] == ["st-an", "st-be", "st-dung", "st-chi", "st-hoa"]
    assert roster["release"]["name"] == office.store.roster.since()[0]  # type: ignore[index]
    assert len(it.get("/v1/roster", params={"class": "3/3"}).json()["students"]) == 1
    assert teacher.get("/v1/roster").status_code == 403


def test_how_many_gateways_have_the_release_in_force() -> None:
    def device(name: str, **more: object) -> dict[str, object]:
        return {"device": name, "standing": "accepted", "link": "connected", "heard_s": 1, "rosters": {}, **more}

    devices = [
        device("a", rosters={"gate": "r-2", "desk": "r-2"}),
        device("b", rosters={"gate": "r-2", "desk": "r-1"}),
        device("c", rosters={"gate": "r-1"}, link="lost", heard_s=600),
        device("d", link="unheard", heard_s=None),
        device("e", standing="pending", rosters={"gate": "r-1"}),
    ]
    found = reach(devices, ("r-2", 5))
    assert (found.known, found.devices) == (1, 4)
    assert [(one.device, one.link, one.heard_s) for one in found.behind] == [
        ("b", "connected", 1), ("c", "lost", 600), ("d", "unheard", None),
    ]  # fmt: skip
    assert reach(devices, None).known == 0


def test_a_class_of_any_name_comes_back_after_a_consent(tmp_path: Path) -> None:
    strange = "lớp & 1#?"
    with office_room(tmp_path, [RosterRow("st-an", "Nguyễn Văn An", strange, None)]) as office:
        client = office.browser("principal")
        answer = sent(client, "/messages/consent", pupil="st-an", given="true")
        assert answer.status_code == 303
        page = client.get(answer.headers["location"])
        assert page.status_code == 200 and "Nguyễn Văn An" in page.text and "lớp &amp; 1#?" in page.text
