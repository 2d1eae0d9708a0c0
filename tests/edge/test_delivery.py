"""Delivery: what it hears before it knows its hub, under a flood, from strangers, and on storage that takes nothing."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from pathlib import Path
from random import Random

import msgspec
import pytest

from edge.bookreader import BookReader
from edge.delivery import Delivery
from edge.devicekeys import DeviceKeys
from edge.inbox import INBOX_MAX
from edge.journalrows import SEQUENCE_BITS
from edge.ports import Link
from edge.rosterstore import RosterStore
from edge.statement import TOLD_MAX
from edge.uplink import Uplink
from protocol.batch import decode_batch, verify_batch
from protocol.cards import CardKey
from protocol.envelope import EVENT_BYTES_MAX
from protocol.errors import JournalFull
from protocol.ranges import RangeSet
from protocol.receipts import HubTime, JournalMarks, Mark, Receipt, encode_receipt
from protocol.roster import Release, pack_release
from protocol.signing import Identity, open_message, seal, sign_message
from protocol.status import DeviceConfig, DeviceState, decode_body
from protocol.time import Anchor
from protocol.topics import device_topic, hub_state_topic, roster_topic
from tests.edge.room import CLOCK, DEVICE, SCHOOL, begin, hub_state, tap

HUB = Identity(b"\x02" * 32, b"\x03" * 32)
STRANGER = Identity(b"\x04" * 32, b"\x05" * 32)
EV, STATE, RECEIPT, CFG = (device_topic(SCHOOL, DEVICE, leaf) for leaf in ("ev", "state", "receipt", "cfg"))


class Wire:
    """A link whose other end is the test."""

    def __init__(self) -> None:
        self.sent: list[tuple[str, bytes]] = []
        self.room = 1_000

    def publish(self, topic: str, payload: bytes, *, retain: bool = False) -> bool:
        if self.room <= 0:
            return False
        self.room -= 1
        self.sent.append((topic, payload))
        return True

    def start(self, *_: object) -> None: ...

    def stop(self) -> None: ...

    def take(self, topic: str) -> list[bytes]:
        found = [payload for name, payload in self.sent if name == topic]
        self.sent = [entry for entry in self.sent if entry[0] != topic]
        return found


class Desk:
    """A delivery on real keys, rosters and a real journal, stepped by the test."""

    def __init__(self, data: Path) -> None:
        self.journal = begin(data)
        self.keys = DeviceKeys(data, None)
        self.rosters = RosterStore(data, SCHOOL)
        self.wire: Link = Wire()
        self.alarms: list[str] = []
        self.anchors: list[Anchor] = []
        self.full = False
        self.uplink = Uplink(Random(1))
        self.delivery = Delivery(
            school=SCHOOL,
            device=DEVICE,
            version="t",
            journal=self.journal,
            uplink=self.uplink,
            link=self.wire,
            keys=self.keys,
            rosters=self.rosters,
            clock=CLOCK,
            vitals=dict,
            alarm=lambda code, _: self.alarms.append(code),
            anchored=self.anchors.append,
            prepare=lambda: None,
            broken=lambda: None,
            upkeep=self._upkeep,
        )
        self.reader = BookReader(self.journal.path)
        self.delivery._load(self.reader)
        self.delivery._prepared = True
        self.delivery.on_state(True)

    def _upkeep(self, *_: object) -> None:
        if self.full:
            raise JournalFull("no space")

    def step(self) -> None:
        self.delivery._step(self.reader)

    def hear(self, topic: str, body: bytes, *, signer: Identity = HUB, retained: bool = False) -> None:
        self.delivery.on_message(topic, sign_message(signer, topic, body), retained)

    def hub_ready(self, epoch: str = "e1", hub: Identity = HUB) -> None:
        body = msgspec.json.encode(hub_state(hub, epoch))
        self.delivery.on_message(hub_state_topic(SCHOOL), body, True)

    def receipt(self, through: int, epoch: str = "e1") -> bytes:
        mark = Mark(through, self.reader.digest_at(self.journal.journal, through))
        return encode_receipt(Receipt(epoch, {self.journal.journal: JournalMarks(mark)}))

    def states(self) -> list[DeviceState]:
        assert isinstance(self.wire, Wire)
        key = self.keys.identity.key
        return [decode_body(open_message(key, STATE, payload), DeviceState) for payload in self.wire.take(STATE)]

    def batches(self) -> list[tuple[int, int]]:
        assert isinstance(self.wire, Wire)
        found = [decode_batch(payload) for payload in self.wire.take(EV)]
        for batch in found:
            verify_batch(self.keys.identity.key, batch.header)
        return [(batch.header.first, batch.header.last) for batch in found]


@pytest.fixture
def desk(tmp_path: Path) -> Iterator[Desk]:
    made = Desk(tmp_path)
    yield made
    made.reader.close()
    made.journal.close()


def _roster() -> bytes:
    return pack_release(Release("r-1", 1, SCHOOL, "gate", [1], {"hk1:x": ["st-1"]}))


def test_what_came_before_the_hub_was_met_is_heard_once_it_is(desk: Desk) -> None:
    card_key = bytes(range(32))
    config = DeviceConfig(1, [(1, seal(desk.keys.identity.box, card_key))])
    desk.hear(roster_topic(SCHOOL, "gate"), _roster(), retained=True)
    desk.hear(CFG, msgspec.json.encode(config), retained=True)
    desk.step()
    assert desk.rosters.current("gate") is None and desk.alarms == []
    desk.hub_ready()
    desk.step()
    assert desk.rosters.names() == {"gate": "r-1"}
    assert desk.keys.card_key() == CardKey(1, card_key)
    assert desk.alarms == []


def test_a_new_release_is_told_once_cards_can_be_looked_up_in_it(desk: Desk) -> None:
    desk.hub_ready()
    desk.step()
    desk.step()
    desk.states()
    desk.step()
    assert desk.states() == [], "nothing is new"
    for _ in range(2):
        desk.hear(roster_topic(SCHOOL, "gate"), _roster())
        desk.step()
    assert [state.rosters for state in desk.states()] == [{}], "no card can be looked up without its key"
    desk.hear(CFG, msgspec.json.encode(DeviceConfig(1, [(1, seal(desk.keys.identity.box, bytes(range(32))))])))
    for _ in range(2):
        desk.step()
    assert [state.rosters for state in desk.states()] == [{"gate": "r-1"}], "at once, and once"


def test_a_taps_batch_is_signed_offered_and_settled(desk: Desk) -> None:
    tap(desk.journal)
    desk.hub_ready()
    desk.step()
    assert [state.owed for state in desk.states()] == [2]
    assert desk.batches() == [(1, 2)], "what this run wrote is live"
    desk.hear(RECEIPT, desk.receipt(2))
    desk.step()
    desk.step()
    assert desk.uplink.owed() == 0 and desk.batches() == [] and desk.alarms == []


def test_a_flood_of_receipts_hides_no_other_message(desk: Desk) -> None:
    desk.hub_ready("e0")
    desk.step()
    for _ in range(INBOX_MAX * 3):
        desk.hear(RECEIPT, desk.receipt(1, "e0"))
    desk.hear(roster_topic(SCHOOL, "gate"), _roster())
    desk.hub_ready("e1")
    desk.step()
    assert desk.delivery.inbox.dropped == INBOX_MAX * 2
    assert desk.rosters.names() == {"gate": "r-1"}
    assert desk.uplink.owed() == 1, "those receipts are of the epoch before"
    desk.hear(RECEIPT, desk.receipt(1))
    desk.step()
    assert desk.uplink.owed() == 0


def test_strangers_are_heard_by_nobody_and_told_once(desk: Desk) -> None:
    desk.hub_ready()
    desk.step()
    desk.hear(RECEIPT, desk.receipt(1), signer=STRANGER)
    desk.hear(roster_topic(SCHOOL, "gate"), _roster(), signer=STRANGER)
    desk.delivery.on_message("k12/1/other/topic", b"x", False)
    desk.step()
    assert desk.alarms == ["signature-refused"] * 2
    assert desk.uplink.owed() == 1 and desk.rosters.names() == {}
    for _ in range(3):
        desk.hub_ready(hub=STRANGER)
        desk.step()
    assert desk.alarms.count("foreign-hub") == 1, "once a key"
    forged = msgspec.json.encode(msgspec.structs.replace(hub_state(HUB), box=STRANGER.box))
    desk.delivery.on_message(hub_state_topic(SCHOOL), forged, True)
    desk.step()
    assert desk.keys.hub_key == HUB.key and desk.keys.raw_box() == HUB.box
    assert desk.alarms[-1] == "signature-refused"
    for state, epoch in (("lost", "e1"), ("ready", "e2")):
        false = msgspec.structs.replace(hub_state(HUB), state=state, epoch=epoch)
        desk.delivery.on_message(hub_state_topic(SCHOOL), msgspec.json.encode(false), False)
        desk.step()
    desk.hear(RECEIPT, desk.receipt(1))
    desk.step()
    assert desk.uplink.owed() == 0, "a false word of the hub's state changes nothing"


def test_what_was_settled_is_remembered_by_the_file(desk: Desk) -> None:
    for _ in range(3):
        tap(desk.journal)
    desk.hub_ready()
    desk.step()
    desk.hear(RECEIPT, desk.receipt(3))
    desk.step()
    desk.journal.flush_marks(force=True)
    row = desk.reader.journals()[-1]
    assert row.hub == RangeSet([(1, 3)]), "a restart offers only what is owed"


@pytest.mark.parametrize(
    ("retained", "boot", "anchors"), [(False, CLOCK.boot, 1), (True, CLOCK.boot, 0), (False, "00000001", 0)]
)
def test_only_an_answer_of_now_to_this_boot_tells_the_time(
    desk: Desk, retained: bool, boot: str, anchors: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A broker keeps receipts for years, and a boot's clock begins anew."""
    monkeypatch.setattr(CLOCK, "_anchor", None)
    desk.hub_ready()
    desk.step()
    time = HubTime(1_800_000_000_000, 5, CLOCK.mono_ns() // 1_000_000, boot)
    desk.hear(RECEIPT, encode_receipt(Receipt("e1", {}, time)), retained=retained)
    desk.step()
    assert len(desk.anchors) == anchors and (CLOCK.anchor is not None) == bool(anchors)


def test_garbage_on_every_topic_is_an_alarm_and_no_end(desk: Desk) -> None:
    desk.hub_ready()
    desk.step()
    for topic in (RECEIPT, CFG, roster_topic(SCHOOL, "gate"), hub_state_topic(SCHOOL)):
        for payload in (b"", b"\xff" * 100, b"{}", b'{"sig":"x"}\n' + topic.encode() + b"\n{}"):
            desk.delivery.on_message(topic, payload, False)
            desk.step()
        desk.hear(topic, b"[" * 5_000)
        desk.step()
    assert set(desk.alarms) <= {"bad-message", "signature-refused"}
    tap(desk.journal)
    desk.hub_ready()
    desk.step()
    assert desk.batches()


def test_what_was_under_way_on_a_lost_connection_is_offered_at_once_on_the_next(desk: Desk) -> None:
    desk.hub_ready()
    desk.step()
    assert desk.batches() == [(1, 1)]
    desk.step()
    assert desk.batches() == []
    # Lost and found between two looks; the broker says again what it keeps.
    desk.delivery.on_state(False)
    desk.delivery.on_state(True)
    desk.hub_ready()
    desk.step()
    assert desk.batches() == [(1, 1)]
    assert desk.states()[-1].connection == 2
    desk.delivery.on_state(False)
    desk.step()
    desk.delivery.on_state(True)
    desk.step()
    assert desk.batches() == [], "the hub hasn't said that it is ready"


def test_storage_that_takes_nothing_stops_neither_offers_nor_receipts(desk: Desk) -> None:
    desk.full = True
    tap(desk.journal)
    desk.hub_ready()
    desk.step()
    assert desk.alarms == ["journal-full"]
    assert desk.batches() == [(1, 2)], "what this run wrote is live"
    desk.hear(RECEIPT, desk.receipt(2))
    desk.step()
    assert desk.uplink.owed() == 0
    assert desk.alarms == ["journal-full"], "it isn't tried at every step"


@pytest.mark.parametrize("raw", [b"", b"{\n}", b"\n", b"x" * (EVENT_BYTES_MAX + 1)])
def test_a_record_that_is_no_line_is_left_out_and_told_and_all_others_are_offered(desk: Desk, raw: bytes) -> None:
    for _ in range(8):
        tap(desk.journal)

    def work(database: sqlite3.Connection) -> None:
        for sequence in (4, 5, 9):
            database.execute(
                "UPDATE event SET raw = ? WHERE position = ?", (raw, desk.journal.number << SEQUENCE_BITS | sequence)
            )

    desk.journal.maintain(work)
    desk.hub_ready()
    for _ in range(6):
        desk.step()
    sent = sorted(n for first, last in desk.batches() for n in range(first, last + 1))
    assert sent == [1, 2, 3, 6, 7, 8]
    assert desk.alarms == ["journal-damaged"] * 3, "once for each; the gateway tells one in ten minutes"
    tap(desk.journal)
    desk.step()
    assert desk.batches() == [(10, 10)] and len(desk.alarms) == 3


def test_a_link_without_room_is_asked_again_and_the_hub_hears_of_every_journal(tmp_path: Path) -> None:
    for _ in range(TOLD_MAX + 10):
        begin(tmp_path).close()
    desk = Desk(tmp_path)
    assert isinstance(desk.wire, Wire)
    desk.wire.room = 0
    desk.hub_ready()
    desk.step()
    assert desk.wire.sent == []
    desk.wire.room = 1_000
    told: set[str] = set()
    for _ in range(4):
        desk.step()
        for state in desk.states():
            assert len(state.journals) <= TOLD_MAX
            told |= state.journals.keys()
            marks = {name: JournalMarks(Mark(0, None)) for name in state.journals}
            desk.hear(RECEIPT, encode_receipt(Receipt("e1", marks)))
    assert len(told) == TOLD_MAX + 11
    desk.reader.close()
    desk.journal.close()
