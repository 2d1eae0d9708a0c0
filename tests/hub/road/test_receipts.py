"""What a device is told: every journal it asks about, city marks that don't lie, nothing that a stranger could earn."""

from __future__ import annotations

from pathlib import Path

import pytest

from hub.forwarding.owing import Change
from hub.road.receipts import JOURNALS_MAX
from hub.road.states import JOURNALS_MAX as STATE_JOURNALS_MAX
from protocol.envelope import digest
from protocol.ranges import RangeSet
from protocol.receipts import held_of
from protocol.status import HeldJournal
from tests.hub.handmade import Gateway
from tests.hub.room import HubRoom


def city_answers(room: HubRoom, status: str = "held") -> None:
    """The city answers for everything that it is owed."""
    rows = room.store.forward
    with room.store.database.transaction():
        now_ms = room.store.clock.now_ms()
        window = rows.window(now_ms, 500)
        changes = [Change(owed.position, status) for owed in window.owed]  # type: ignore[arg-type]
        rows.write(window, window.owed, changes, now_ms)


def test_every_journal_of_a_state_is_answered(room: HubRoom) -> None:
    gateway = room.known(Gateway())
    runs = [gateway.run(1) for _ in range(3 * JOURNALS_MAX)]
    for run in runs[::2]:
        room.batch(gateway, gateway.batch(run))
    follow = room.state(gateway)
    receipts = room.receipts_for(gateway, follow)
    marks = {name: mark for one in receipts for name, mark in one.journals.items()}
    assert set(marks) >= {run.journal for run in runs}
    assert all(len(one.journals) <= JOURNALS_MAX for one in receipts)
    for place, run in enumerate(runs):
        held = 0 if place % 2 else 2
        assert marks[run.journal].hub.through == held, "what isn't known is answered with nothing held"
    # The one that a broker keeps is the last: it speaks of the newest journals and tells the time, alone.
    assert [one.time is not None for one in receipts] == [False] * (len(receipts) - 1) + [True]
    assert receipts[-1].time is not None and receipts[-1].time.echo_mono == gateway.mono_ms


def test_a_state_over_its_bounds_is_parked(room: HubRoom) -> None:
    gateway = room.known(Gateway())
    run = gateway.run(1)
    many = {f"{number:016x}": HeldJournal(1, 1, None, 0) for number in range(STATE_JOURNALS_MAX + 1)}
    changes = [
        {"journals": many},
        {"journals": {"no journal": HeldJournal(1, 1, None, 0)}},
        {"journals": {run.journal: HeldJournal(1, 1, None, 1 << 80)}},
        {"alarms": ["x"] * 1000},
        {"readers": {"cong-a": "x" * 1000}},
        {"owed": -1},
        {"disk_free_bytes": 1 << 70},
        {"key": "short"},
    ]
    for change in changes:
        assert not room.state(gateway, gateway.state(**change)).receipts
    assert len(room.parked()) == len(changes)
    assert room.status.whole()["devices"][0]["link"] == "unheard"


def test_a_parked_record_is_settled_at_the_hub_and_missing_at_the_city(room: HubRoom) -> None:
    gateway = room.known(Gateway())
    run = gateway.run(4)
    lines = [*run.lines]
    lines[2] = lines[2].replace(b'"cong-a"', b'"cong-b"')
    follow = room.batch(gateway, gateway.batch(run, lines=lines))
    city_answers(room)
    marks = room.marks(gateway, follow)[run.journal]
    assert (marks.hub.through, marks.hub.missing, marks.hub.parked) == (5, [], [(3, 3)])
    assert marks.city is not None
    assert (marks.city.through, marks.city.missing, marks.city.head) == (5, [(3, 3)], digest(lines[4]))
    assert held_of(marks.city) == RangeSet([(1, 2), (4, 5)])
    # Nothing is waited for any more: the journal doesn't stand in every receipt from now on.
    assert run.journal not in room.receipts.messages(gateway.device, [], None)[1][-1].decode()


def test_a_dead_letter_counts_as_settled_at_the_city_and_is_named(room: HubRoom) -> None:
    gateway = room.known(Gateway())
    run = gateway.run(2)
    follow = room.batch(gateway, gateway.batch(run))
    city_answers(room, "dead")
    marks = room.marks(gateway, follow)[run.journal]
    assert marks.city is not None and (marks.city.through, marks.city.dead) == (3, [(1, 3)])


def test_without_a_city_no_mark_of_a_city_is_told(tmp_path: Path) -> None:
    room = HubRoom(tmp_path / "hub", city=False)
    gateway = room.known(Gateway())
    run = gateway.run(2)
    follow = room.batch(gateway, gateway.batch(run))
    assert room.marks(gateway, follow)[run.journal].city is None
    room.close()


def test_what_a_device_pruned_is_no_hole(room: HubRoom) -> None:
    gateway = room.known(Gateway())
    run = gateway.run(9)
    room.batch(gateway, gateway.batch(run, 6))
    assert room.status.whole()["holes"] == 5
    held = {run.journal: HeldJournal(6, 10, digest(run.lines[9]), 5)}
    room.state(gateway, gateway.state(journals=held))
    assert room.status.whole()["holes"] == 0
    city_answers(room)
    assert run.journal not in room.receipts.messages(gateway.device, [], None)[1][-1].decode()


def test_another_key_changes_nothing_that_an_accepted_one_said(room: HubRoom) -> None:
    gateway = room.known(Gateway())
    run = gateway.run(9)
    room.batch(gateway, gateway.batch(run, 6))
    room.state(gateway)
    assert room.status.whole()["devices"][0]["owed"] == 10
    impostor = gateway.impostor()
    held = {run.journal: HeldJournal(6, 10, digest(run.lines[9]), 5)}
    follow = room.state(impostor, impostor.state(journals=held, owed=0, journal=run.journal))
    device = room.status.whole()["devices"][0]
    assert device["owed"] == 10 and room.status.whole()["holes"] == 5, "pruned, said a stranger"
    assert not follow.answer_states, "a stranger could have the accepted one's clock set wrongly"
    room.state(impostor, impostor.lost())
    assert room.status.whole()["devices"][0]["link"] == "connected"
    room.state(gateway, gateway.lost())
    assert room.status.whole()["devices"][0]["link"] == "lost"
    assert [alarm["code"] for alarm in room.status.whole()["alarms"]] == ["other-key"]


def test_a_retired_device_changes_nothing_either(room: HubRoom) -> None:
    gateway = room.known(Gateway())
    run = gateway.run(9)
    room.batch(gateway, gateway.batch(run, 6))
    room.store.desk.carry_out("devices-retire", {"device": "cong"})
    room.state(gateway, gateway.state(journals={run.journal: HeldJournal(6, 10, digest(run.lines[9]), 5)}))
    assert room.status.whole()["holes"] == 5 and room.status.whole()["devices"][0]["link"] == "unheard"


def test_a_rolled_back_journal_is_seen_on_arrival(room: HubRoom) -> None:
    gateway = room.known(Gateway())
    old, now = gateway.run(9), gateway.run(2)
    room.batch(gateway, gateway.batch(old))
    room.batch(gateway, gateway.batch(now))
    room.state(gateway)
    assert not room.alarms()
    held = {
        old.journal: HeldJournal(1, 4, digest(old.lines[3]), 0),
        now.journal: HeldJournal(1, 1, digest(now.lines[0]), 0),
    }
    room.state(gateway, gateway.state(journals=held, journal=now.journal))
    assert room.alarms() == {"journal-rolled-back": [f"journal {old.journal} ends at 4 there, here at 10"]}


@pytest.mark.parametrize("accepted", [False, True])
def test_what_a_second_key_sends_settles_nothing_of_the_first(room: HubRoom, accepted: bool) -> None:
    gateway = Gateway()
    run = gateway.run(5)
    room.state(gateway)
    if accepted:
        room.accept(gateway)
    impostor = gateway.impostor()
    room.state(impostor)
    # The true last record, seen on the wire, behind made-up ones: its digest would be the gateway's own.
    made_up = [b'{"made":"up"}'] * 5
    follow = room.batch(impostor, impostor.batch(run, lines=[*made_up, run.lines[5]]))
    marks = room.marks(gateway, follow)[run.journal]
    assert marks.hub.through == 0
    follow = room.batch(gateway, gateway.batch(run, 1, 3))
    marks = room.marks(gateway, follow)[run.journal]
    assert marks.hub.through == (3 if accepted else 0)
    assert "other-key" in room.alarms()
    if not accepted:
        room.accept(gateway)
        follow = room.state(gateway)
        assert room.marks(gateway, follow)[run.journal].hub.through == 3
    assert [name for name, _ in room.events()] == [f"{run.journal}.{number}" for number in (1, 2, 3)]
