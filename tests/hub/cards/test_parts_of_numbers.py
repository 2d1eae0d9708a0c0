"""Parts of card numbers: a gateway says which ones its readers hand over, and the next release tells whose they are."""

from __future__ import annotations

from pathlib import Path

import pytest

from edge.decide import RecentTaps, decide
from hub.roster import parse_roster, release_for
from hub.store.rosterrows import RosterRows
from protocol.cardforms import PartialPlan, parse_partial
from protocol.cards import CardKey, CardUid
from tests.hub.handmade import Gateway
from tests.hub.room import HubRoom

HEADER = "pupil_key,display_name,class,card_uid\n"
KEYS = [CardKey(1, b"1" * 32), CardKey(2, b"2" * 32)]


def _imported(room: HubRoom) -> str:
    with room.store.database.transaction():
        rows = parse_roster("r.csv", HEADER + "st-1,An,6A1,a:DEADBEEF\n")
        return room.store.office.take_roster("-", rows)


def test_what_an_accepted_gateway_says_makes_a_release_once(tmp_path: Path) -> None:
    room = HubRoom(tmp_path / "hub")
    gateway = Gateway()
    first = _imported(room)
    assert not room.state(gateway, gateway.state(partials=["w24-wire-last"])).rosters, "nobody accepted it yet"
    room.accept(gateway)
    assert room.state(gateway, gateway.state(partials=["w24-wire-last", "w25-wire-last", "x"])).rosters
    second = room.store.roster.current()
    assert second is not None and second[1] != first
    assert not room.state(gateway, gateway.state(partials=["w24-wire-last"])).rosters
    assert not room.state(gateway).rosters, "a reader taken away for a day isn't forgotten"
    assert room.store.roster.partials() == (parse_partial("w24-wire-last"),)
    assert room.state(gateway, gateway.state(partials=["w32-wire-last"])).rosters
    room.close()
    again = HubRoom(tmp_path / "hub")
    assert [str(part) for part in again.store.roster.partials()] == ["w24-wire-last", "w32-wire-last"]
    assert again.store.roster.current() != second
    again.close()


def test_without_a_roster_the_parts_are_kept_for_the_first_one(tmp_path: Path) -> None:
    room = HubRoom(tmp_path / "hub")
    gateway = room.known(Gateway())
    assert not room.state(gateway, gateway.state(partials=["w24-reversed-first"])).rosters
    _imported(room)
    assert room.store.roster.partials() == (parse_partial("w24-reversed-first"),)
    room.close()


def test_what_a_rolled_back_group_said_is_forgotten(tmp_path: Path) -> None:
    room = HubRoom(tmp_path / "hub")
    _imported(room)
    before = room.store.roster.current()
    roster: RosterRows = room.store.roster

    def fail() -> None:
        with room.store.database.transaction():
            assert roster.learn_partials(["w24-wire-last"], room.store.clock.now_ms())
            raise RuntimeError

    with pytest.raises(RuntimeError):
        fail()
    assert roster.partials() == () and roster.current() == before
    room.close()


def test_a_release_names_whole_numbers_and_parts_under_every_key_and_shared_parts_as_ambiguous() -> None:
    rows = parse_roster(
        "r.csv",
        HEADER
        + "st-1,An,6A1,a:DEADBEEF\n"
        + "st-2,Bé,6A1,a:04A1B2C3D4E580\n"
        + "st-3,Chi,6A1,a:99ADBEEF\n"  # The same last three bytes as st-1's card.
        + "st-4,Dũng,6A1,a:11ADBEE0\nst-4,Dũng,6A1,a:22ADBEE0\n"  # Two cards of one pupil.
        + "st-5,Em,6A1,w24:ABCDEF\n",  # Of this card nobody knows more than what a reader showed.
    )
    parts = [parse_partial("w24-wire-last"), parse_partial("w32-reversed-first")]
    release = release_for("gate", rows, KEYS, "s", 1, "r-1", parts)

    def found(text: str) -> list[str | None]:
        return [
            release.blocked.get(key.keyed_text(text)) or (release.cards.get(key.keyed_text(text)) or [None])[0]
            for key in KEYS
        ]

    assert found("a:DEADBEEF") == ["st-1", "st-1"], "a whole number is never in doubt"
    assert found("a:99ADBEEF") == ["st-3", "st-3"]
    assert found("w24-wire-last:ADBEEF") == ["ambiguous", "ambiguous"]
    assert found("w24-wire-last:ADBEE0") == ["st-4", "st-4"]
    assert found("w24-wire-last:D4E580") == ["st-2", "st-2"]
    assert found("w32-reversed-first:C3B2A104") == ["st-2", "st-2"]
    assert found("w32-reversed-first:EFBEADDE") == ["st-1", "st-1"]
    assert found("w24:ABCDEF") == ["st-5", "st-5"]
    assert found("w24-reversed-first:B2A104") == [None, None], "this school's readers don't hand over that part"


def test_a_part_of_one_byte_order_is_none_of_the_other() -> None:
    rows = parse_roster(
        "r.csv",
        HEADER + "st-1,An,6A1,a:04A1B2C3D4E580\nst-2,Bé,6A1,a:0499998877AABB\nst-3,Chi,6A1,a:BBAA7701020304\n",
    )
    wire, reversed_ = parse_partial("w24-wire-last"), parse_partial("w24-reversed-first")
    release = release_for("gate", rows, KEYS[:1], "s", 1, "r-1", [wire, reversed_])
    key = KEYS[0]

    def told(plan: PartialPlan, text: str) -> tuple[str, str | None, str | None]:
        card = CardUid("w24", text)
        judged = decide(
            card,
            key.keyed(card),
            school_key=True,
            release=release,
            recent=RecentTaps(0),
            at_ms=0,
            listed=key.keyed_text(plan.listed(card)),
        )
        return judged.outcome, judged.reason, judged.student

    assert told(wire, "77AABB") == ("accepted", None, "st-2")
    assert told(reversed_, "77AABB") == ("accepted", None, "st-3")
    assert told(reversed_, "B2A104") == ("accepted", None, "st-1")
    assert told(wire, "B2A104") == ("refused", "unknown", None), "no reader of this order shows that of any card"
