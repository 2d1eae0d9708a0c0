"""The forwarder: when it submits, what it gathers first, whom it tells."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from random import Random

import pytest

from hub.clock import HubClock
from hub.forwarding.forwarder import GATHER_MS, Forwarder
from hub.forwarding.owing import BATCH_MAX, Answer, Forwarding, PerEvent, Result, Unreachable
from protocol.envelope import decode_event, rfc3339
from tests.hub.handmade import BOOT, T0_MS, Gateway
from tests.hub.room import HubRoom


class Kind:
    """A city that stores whatever comes."""

    def __init__(self) -> None:
        self.held: list[str] = []
        self.requests = 0

    def submit(self, batch: Sequence[bytes]) -> Answer:
        self.requests += 1
        events = [decode_event(raw) for raw in batch]
        self.held += [event.id for event in events]
        return PerEvent({(event.source, event.id): Result("stored") for event in events})

    def close(self) -> None: ...


class Passing(HubClock):
    """The hub's clock, `passed_ms` later than it is."""

    passed_ms = 0

    def mono_ms(self) -> int:
        return super().mono_ms() + self.passed_ms


def forwarding(room: HubRoom, city: Kind, told: list[tuple[str, str]] | None = None) -> tuple[Forwarder, Passing]:
    """A forwarder of the room's ledger that has submitted what was there."""
    store, clock = room.store, Passing("ntp", 500)
    hears = [] if told is None else told
    forwarder = Forwarder(
        store.ledger, store.forward, Forwarding(Random(1)), city, clock, lambda *name: hears.append(name)
    )
    assert any(forwarder.turn() for _ in range(9)), "nothing is owed any more"
    return forwarder, clock


def test_what_comes_after_an_answer_is_gathered_unless_it_is_a_whole_batch(room: HubRoom) -> None:
    gateway, city = room.known(Gateway()), Kind()
    forwarder, clock = forwarding(room, city)
    before, run = city.requests, gateway.run(3)
    for first in range(1, len(run.lines) + 1):
        room.batch(gateway, gateway.batch(run, first, first))
        wait_ms = forwarder.turn()
        assert GATHER_MS - 1_000 < wait_ms <= GATHER_MS and city.requests == before
    clock.passed_ms += GATHER_MS
    assert forwarder.turn() and city.requests == before + 1 and len(city.held) >= len(run.lines)
    many = gateway.run(BATCH_MAX)
    for first in range(1, BATCH_MAX + 1, 100):
        room.batch(gateway, gateway.batch(many, first, min(first + 99, BATCH_MAX)))
    forwarder.turn()
    assert city.requests == before + 2, "a whole batch is gathered no longer"


def test_while_the_city_is_left_alone_nothing_is_read(room: HubRoom, monkeypatch: pytest.MonkeyPatch) -> None:
    """In an outage every tap wakes the forwarder: reading the whole window each time cost more than the taps."""
    gateway, city = room.known(Gateway()), Kind()
    forwarder, clock = forwarding(room, city)
    clock.passed_ms += GATHER_MS
    monkeypatch.setattr(city, "submit", lambda _: Unreachable("down"))
    room.batch(gateway, gateway.batch(gateway.run(3)))
    assert forwarder.turn() >= 0
    looks: list[int] = []
    window = room.store.forward.window
    monkeypatch.setattr(room.store.forward, "window", lambda *asked: (looks.append(1), window(*asked))[1])
    waits = [forwarder.turn() for _ in range(20)]
    assert all(waits) and looks == []
    clock.passed_ms += max(waits)
    forwarder.turn()
    assert looks


def test_held_records_go_as_soon_as_their_boot_is_anchored_and_gateways_are_told(tmp_path: Path) -> None:
    room = HubRoom(tmp_path / "hub", hold_s=900)
    gateway, city, told = room.known(Gateway()), Kind(), []
    run = gateway.run(3, err_ms=None)
    store = room.store
    room.batch(gateway, gateway.batch(run))
    forwarder, clock = forwarding(room, city, told)
    assert not [name for name in city.held if name.startswith(run.journal)] and told == []
    run.add("boot.anchored", {"boot": BOOT, "mono": 1, "wall": rfc3339(T0_MS), "err": 5, "source": "hub"}, err_ms=None)
    room.batch(gateway, gateway.batch(run, 5))
    clock.passed_ms += GATHER_MS
    assert any(forwarder.turn() for _ in range(9)), "nothing is owed any more"
    assert sorted(name for name in city.held if name.startswith(run.journal)) == [
        f"{run.journal}.{n}" for n in range(1, 6)
    ]
    assert set(told) == {(gateway.device, run.journal)}
    assert store.forward.cursor() == len(city.held)
    room.close()
