"""A roster with cards, taken again after something happened to cards at a desk; on a hub's real store."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Protocol

import pytest

from hub.cards.holdings import ChangeKind
from hub.config import hub_config_from
from hub.lists.changes import ListGuarded
from hub.lists.telling import told
from hub.papers import wrapped
from hub.parts import Store
from hub.roster import release_for
from hub.store.counterrows import CounterStaff
from protocol.cards import parse_card


class Taking(Protocol):
    """Take a list, with guards confirmed or not; what people are told of it."""

    def __call__(self, octets: bytes, confirm: str = "") -> str: ...


COUNT = 24


def card(number: int) -> str:
    return parse_card(f"{0x04A1B2C3D4E500 + number:014X}").canonical


def row(number: int, held: str | None) -> str:
    return f"st-{number},An {number},6A1,{held or ''}"


def roster(*rows: str) -> bytes:
    return "\n".join(("pupil_key,display_name,class,card_uid", *rows)).encode()


ROWS = tuple(row(number, card(number)) for number in range(COUNT))
LIST = roster(*ROWS)


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    (tmp_path / "hub").mkdir()
    made = Store(hub_config_from("hub.toml", {"hub": {"id": "h", "school": "s", "data_dir": str(tmp_path / "hub")}}))
    yield made
    made.database.close()


def words(octets: bytes) -> dict[str, str | None]:
    return {"file": "/x/r1.csv", "paper": wrapped(octets), "by": "tester"}


@pytest.fixture(params=["roster-import", "roster-apply"])
def take(store: Store, request: pytest.FixtureRequest) -> Taking:
    """Take a list in one of both ways; what people are told of it."""

    def taken(octets: bytes, confirm: str = "") -> str:
        said = store.carry_out(request.param, words(octets) | {"confirm": confirm}).text
        return said if request.param == "roster-import" else "\n".join(told(json.loads(said)))

    return taken


def checked(store: Store, octets: bytes) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(store.carry_out("roster-check", words(octets)).text)
    return found


def desk(store: Store, change: ChangeKind, held: str, number: int) -> None:
    store.office.card("vp", change, held, f"st-{number}")


def holders(store: Store) -> dict[str, str]:
    return {one.card: one.pupil for one in store.holders.holdings() if one.open}


def gate(store: Store, held: str) -> str:
    """What a gate says of a card by the newest release."""
    (key, *_) = store.secrets.card_keys()
    made = release_for("gate", store.releases.rows(), [key], "s", 1, "r", (), store.releases.lost())
    text = key.keyed_text(held)
    return "accepted" if text in made.cards else made.blocked.get(text, "unknown")


def test_a_list_makes_no_lost_card_good_and_names_its_line(store: Store, take: Taking) -> None:
    take(LIST)
    desk(store, "lost", card(5), 5)
    found = checked(store, LIST)
    assert found["plan"]["counts"]["same"] == COUNT and found["unchanged"]
    assert found["cards"] == {
        "counts": {
            "new": 0,
            "passed": 0,
            "gone": 0,
            "kept": 0,
            "lost": 1,
            "replaced": 0,
            "staff": 0,
            "same": COUNT - 1,
        },
        "lines": [{"effect": "lost", "row": 7}],
    }
    for octets in (LIST, roster(*ROWS[:5], ROWS[5].replace("An 5", "Ân 5"), *ROWS[6:])):
        said = take(octets)
        assert "1 thẻ đã báo mất, vẫn bị từ chối / cards reported lost, still refused" in said
        assert "r1.csv, dòng / line 7" in said
        assert gate(store, card(5)) == "lost" and card(5) not in holders(store)
    assert store.people.find("st-5") is not None and len(holders(store)) == COUNT - 1


def test_a_lost_card_is_nobody_elses_by_a_list_either(store: Store, take: Taking) -> None:
    take(LIST)
    desk(store, "lost", card(5), 5)
    take(roster(*ROWS[:5], row(5, None), *ROWS[6:], row(6, card(5))))
    assert gate(store, card(5)) == "lost" and holders(store)[card(6)] == "st-6"


def test_a_counter_staff_card_becomes_no_pupils_by_a_list_and_everybody_else_is_taken(
    store: Store, take: Taking
) -> None:
    store.mealdesk.admit_staff("it", "co-hoa", "Cô Hoa", None, card(5))
    found = checked(store, LIST)["cards"]
    assert found["counts"]["staff"] == 1 and {"effect": "staff", "row": 7} in found["lines"]
    said = take(LIST)
    assert "1 thẻ của người đứng quầy, không gắn cho học sinh / cards of counter staff, given to no pupil" in said
    assert "r1.csv, dòng / line 7" in said
    assert store.people.find("st-5") is not None and len(holders(store)) == COUNT - 1
    assert gate(store, card(5)) == "unknown" and gate(store, card(6)) == "accepted"
    # The pupil's own card stays where the list names the staff's in its place.
    desk(store, "issued", card(100), 5)
    take(LIST)
    assert holders(store)[card(100)] == "st-5" and card(5) not in holders(store)
    store.mealdesk.dismiss_staff("it", "co-hoa")
    take(roster(*ROWS[:5], row(5, card(5)), *ROWS[6:]))
    assert holders(store)[card(5)] == "st-5", "it is nobody's now"


def test_a_card_that_a_pupil_has_since_before_stays_theirs(store: Store, take: Taking) -> None:
    take(LIST)
    with store.database.transaction():
        # As an older version let happen.
        store.counters.admit(CounterStaff("co-hoa", "Cô Hoa", None, card(5), 0))
    assert checked(store, LIST)["cards"]["counts"]["same"] == COUNT
    moved = roster(*ROWS[:5], row(5, None), *ROWS[6:], row(6, card(5)))
    assert checked(store, moved)["cards"]["counts"]["staff"] == 1 and not checked(store, moved)["guards"]
    take(moved)
    assert holders(store)[card(5)] == "st-5" and gate(store, card(5)) == "accepted"


def test_a_lost_card_that_was_found_is_as_it_was(store: Store, take: Taking) -> None:
    take(LIST)
    desk(store, "lost", card(5), 5)
    desk(store, "found", card(5), 5)
    assert checked(store, LIST)["cards"]["counts"]["same"] == COUNT
    take(LIST)
    assert gate(store, card(5)) == "accepted"


@pytest.mark.parametrize("end", ["lost", "replaced"])
def test_an_old_list_takes_no_new_card_away_that_a_desk_bound(store: Store, take: Taking, end: ChangeKind) -> None:
    take(LIST)
    desk(store, end, card(5), 5)
    desk(store, "issued", card(100), 5)
    counts = checked(store, LIST)["cards"]["counts"]
    assert (counts[end], counts["kept"], counts["gone"], counts["new"]) == (1, 1, 0, 0)
    said = take(LIST)
    assert "1 thẻ không có trong tệp, vẫn giữ / cards not in the file, kept" in said and "line 7" in said
    assert gate(store, card(100)) == "accepted" and gate(store, card(5)) == ("lost" if end == "lost" else "unknown")


def test_a_card_that_a_desk_bound_stays_where_the_list_names_none(store: Store, take: Taking) -> None:
    octets = roster(*ROWS[:5], row(5, None), *ROWS[6:])
    take(octets)
    desk(store, "issued", card(100), 5)
    take(octets)
    assert holders(store)[card(100)] == "st-5" and gate(store, card(100)) == "accepted"


def test_another_good_card_takes_the_place_of_one_and_both_are_told_before(store: Store, take: Taking) -> None:
    take(LIST)
    desk(store, "issued", card(100), 5)
    octets = roster(*ROWS[:5], row(5, card(200)), *ROWS[6:])
    counts = checked(store, octets)["cards"]["counts"]
    assert (counts["new"], counts["gone"], counts["kept"]) == (1, 2, 0)
    said = take(octets)
    assert "1 thẻ mới / new cards" in said and "2 thẻ thu về / cards taken back" in said
    assert [held for held, pupil in holders(store).items() if pupil == "st-5"] == [card(200)]


def test_a_card_that_becomes_another_pupils_is_named_by_its_line(store: Store, take: Taking) -> None:
    take(LIST)
    octets = roster(row(0, card(1)), row(1, card(0)), *ROWS[2:])
    assert checked(store, octets)["guards"] == ["cards-passed"] and checked(store, LIST)["guards"] == []
    try:
        said = take(octets)
    except ListGuarded as problem:
        said = str(problem)
    assert "cards-passed" in said and "line 2" in said and "line 3" in said
    assert (holders(store)[card(0)], holders(store)[card(1)]) == ("st-0", "st-1"), "nobody said that it is meant"
    said = take(octets, "cards-passed")
    assert "2 thẻ chuyển sang em khác / cards that become another pupil's" in said
    assert "line 2" in said and "line 3" in said
    assert (holders(store)[card(0)], holders(store)[card(1)]) == ("st-1", "st-0")


def test_who_is_not_in_the_list_leaves_with_the_card(store: Store, take: Taking) -> None:
    take(LIST)
    desk(store, "issued", card(100), 23)
    assert checked(store, roster(*ROWS[:-1]))["cards"]["counts"]["gone"] == 2
    take(roster(*ROWS[:-1]))
    assert "st-23" not in holders(store).values() and gate(store, card(100)) == "unknown"


def test_keys_that_were_exchanged_write_nothing_and_are_named(store: Store) -> None:
    store.carry_out("roster-import", words(roster("st-1,Nguyễn Văn An,6A1,", "st-2,Trần Văn Bình,6A1,")))
    octets = roster("st-2,Nguyễn Văn An,6A1,", "st-1,Trần Văn Bình,6A1,")
    with pytest.raises(ListGuarded, match=r"r1\.csv, 2 \(another-person\)"):
        store.carry_out("roster-import", words(octets) | {"confirm": "many-renamed"})
    found = json.loads(store.carry_out("roster-apply", words(octets) | {"confirm": "many-renamed"}).text)
    assert found["plan"]["counts"]["bad"] == 2 and found["written"] is None
    assert [person.name for person in store.people.all()] == ["Nguyễn Văn An", "Trần Văn Bình"]
