"""The mailroom: receipts only after the commit, a fault of ours stops no other message, load is bounded."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from typing import Any

import pytest

from hub.ports import Message
from hub.road.mailroom import WAITING_MAX, Mailroom
from hub.store.database import LedgerFull
from protocol.receipts import decode_receipt
from protocol.signing import open_message
from tests.hub.handmade import Gateway, Run
from tests.hub.room import HubRoom
from tests.hub.running import until


class Outbox:
    """The link's door: what was published and acknowledged, and what the ledger held then."""

    def __init__(self, room: HubRoom) -> None:
        self.room = room
        self.acknowledged: list[int] = []
        self.told: dict[str, int] = {}
        self.broken = False

    def publish(self, topic: str, payload: bytes) -> bool:
        if topic.endswith("/receipt"):
            body = decode_receipt(open_message(self.room.store.secrets.identity().key, topic, payload))
            # Another connection sees what is committed, and nothing else.
            for journal, marks in body.journals.items():
                assert marks.hub.through <= self.committed(journal)
                self.told[journal] = marks.hub.through
        return True

    def committed(self, journal: str) -> int:
        from hub.store.database import open_for_reading

        reader = open_for_reading(self.room.store.path)
        found = reader.execute(
            "SELECT coalesce(max(sequence), 0) FROM events JOIN journals AS j ON number = events.journal"
            " WHERE j.journal = ?",
            (journal,),
        ).fetchone()[0]
        reader.close()
        return int(found)

    def acknowledge(self, message: Message) -> None:
        self.acknowledged.append(message.mark)


class Running:
    """A mailroom on its thread."""

    def __init__(self, room: HubRoom) -> None:
        self.room, self.outbox = room, Outbox(room)
        self.mailroom = Mailroom(
            "79000701",
            room.store.ledger,
            room.reception,
            room.receipts,
            room.own,
            room.store.clock,
            lambda device: None,
            self._wake,
            self._renewed,
        )
        self.woken = self.renewed = 0
        self.mailroom.use(self.outbox)  # type: ignore[arg-type]
        self.thread = threading.Thread(target=self.mailroom.run)
        self.marks = 0

    def _wake(self) -> None:
        self.woken += 1

    def _renewed(self) -> None:
        self.renewed += 1

    def bring(self, gateway: Gateway, *payloads: bytes) -> None:
        for payload in payloads:
            self.marks += 1
            self.mailroom.on_message(Message(gateway.topic("ev"), payload, self.marks, 1))

    def receipted(self, run: Run) -> None:
        until(lambda: self.outbox.told.get(run.journal) == len(run.lines), "it is receipted")


@pytest.fixture
def running(room: HubRoom) -> Iterator[Running]:
    made = Running(room)
    yield made
    made.mailroom.stop()
    made.thread.join(10)
    assert not made.thread.is_alive()


def test_a_receipt_speaks_only_of_what_is_committed(running: Running) -> None:
    gateway = running.room.known(Gateway())
    run = gateway.run(60)
    running.bring(gateway, *(gateway.batch(run, at, at + 2) for at in range(1, 61, 3)), gateway.batch(run, 61))
    running.thread.start()
    running.receipted(run)
    until(lambda: len(running.outbox.acknowledged) == running.marks, "all are acknowledged")


def test_a_states_records_may_come_before_it_in_one_group(running: Running) -> None:
    """Brokers order messages within a topic only; the state names the key that the records are signed with."""
    gateway = Gateway()
    run = gateway.run(5)
    running.room.store.desk.carry_out("devices-accept", {"device": gateway.device, "fingerprint": None})
    running.bring(gateway, gateway.batch(run))
    running.mailroom.on_message(Message(gateway.topic("state"), gateway.state(), 99, 1))
    running.thread.start()
    running.receipted(run)
    assert "unknown-device" not in running.room.alarms()


def test_the_road_to_the_city_is_told_of_new_records_and_of_no_others(running: Running) -> None:
    gateway = running.room.known(Gateway())
    run = gateway.run(5)
    running.bring(gateway, gateway.batch(run))
    running.thread.start()
    running.receipted(run)
    until(lambda: running.woken == 1, "the forwarder is woken")
    running.bring(gateway, gateway.batch(run))
    until(lambda: len(running.outbox.acknowledged) == 2, "the duplicate is taken")
    assert running.woken == 1


def test_a_message_that_meets_a_fault_of_ours_stops_no_other(running: Running, monkeypatch: pytest.MonkeyPatch) -> None:
    gateway, other = running.room.known(Gateway()), running.room.known(Gateway("bep"))
    run, poison = gateway.run(5), other.run(5)
    bad = other.batch(poison)
    take = running.room.reception.take_batch

    def faulty(device: str, payload: bytes, follow: Any) -> None:
        take(device, payload, follow)
        if payload == bad:
            raise ZeroDivisionError("a fault of ours, after half of the work")

    monkeypatch.setattr(running.room.reception, "take_batch", faulty)
    running.bring(gateway, gateway.batch(run, 1, 3))
    running.bring(other, bad)
    running.bring(gateway, gateway.batch(run, 4))
    running.thread.start()
    running.receipted(run)
    (parked,) = until(running.room.parked, "its bytes are kept")
    assert parked["reason"] == "internal-fault" and parked["raw"]["text"].encode() == bad
    assert poison.journal not in running.outbox.told
    assert {name.partition(".")[0] for name, _ in running.room.events()} == {run.journal}
    until(lambda: len(running.outbox.acknowledged) == 3, "the broker is told of all")
    # Mended, what the gateway offers again is taken.
    monkeypatch.undo()
    running.bring(other, bad)
    running.receipted(poison)


def test_where_the_ledger_takes_nothing_nothing_is_receipted(running: Running, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("hub.road.mailroom.FAILED_PAUSE_MS", 10)
    gateway = running.room.known(Gateway())
    run, held = gateway.run(5), gateway.run(5)
    running.room.batch(gateway, gateway.batch(held))

    def full(*_: Any) -> None:
        raise LedgerFull("no space")

    with monkeypatch.context() as broken:
        broken.setattr(running.room.store.ledger, "store", full)
        running.bring(gateway, gateway.batch(run))
        running.thread.start()
        until(lambda: running.mailroom.failed == "ledger-full", "it is told")
        until(lambda: running.outbox.acknowledged, "the broker may send on")
    assert run.journal not in running.outbox.told
    # What is held already says nothing of the disk.
    running.bring(gateway, gateway.batch(held))
    running.receipted(held)
    assert running.mailroom.failed == "ledger-full"
    running.bring(gateway, gateway.batch(run))
    running.receipted(run)
    assert running.mailroom.failed is None


def test_who_sends_faster_than_the_ledger_takes_waits(running: Running) -> None:
    gateway = running.room.known(Gateway())
    run = gateway.run(2)
    payload = gateway.batch(run)
    sender = threading.Thread(target=running.bring, args=(gateway, *[payload] * (WAITING_MAX + 10)))
    sender.start()
    until(lambda: running.marks > WAITING_MAX, "the room is full")
    assert sender.is_alive()
    running.thread.start()
    sender.join(20)
    running.receipted(run)
    until(lambda: len(running.outbox.acknowledged) == WAITING_MAX + 10, "all are taken in the end")
    assert len(running.room.events()) == 3
