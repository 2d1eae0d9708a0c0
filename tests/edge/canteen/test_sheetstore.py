"""The counters' sheet on disk: the last good one, whoever sends what, whatever the disk does to it."""

from __future__ import annotations

from pathlib import Path

import msgspec
import pytest
from msgspec.structs import replace

from edge.canteen.sheetstore import BEFORE_NAME, DAMAGED_NAME, FILE_BYTES_MAX, FILE_NAME, SheetStore
from protocol.errors import BadMessage
from protocol.signing import Identity, open_message
from protocol.status import DeviceState, decode_body
from protocol.topics import device_topic, hub_state_topic
from tests.edge.canteen.canteen import AN, DEVICE, HUB, SCHOOL, TODAY, Canteen, sheet
from tests.edge.room import hub_state


def opened(canteen: Canteen) -> SheetStore:
    return SheetStore(canteen.data, SCHOOL, DEVICE, canteen.assembly.keys)


def test_a_lower_or_equal_version_never_replaces_a_sheet_and_a_higher_one_does(tmp_path: Path) -> None:
    canteen = Canteen(tmp_path)
    store = opened(canteen)
    assert store.current is None and store.damaged == []
    assert store.take(canteen.signed(sheet(5)))
    before = (canteen.data / FILE_NAME).read_bytes()
    for version in (4, 5):
        assert not store.take(canteen.signed(sheet(version, second="ask")))
    assert (canteen.data / FILE_NAME).read_bytes() == before
    assert store.take(canteen.signed(sheet(6, day="2026-01-01"))), "of whatever day"
    again = opened(canteen)
    assert again.current is not None and again.current == store.current and again.current.version == 6
    assert b"Nguy" not in (canteen.data / FILE_NAME).read_bytes(), "names lie sealed"
    canteen.close()


def test_a_sheet_comes_over_the_link_and_the_gateway_says_which_one_it_has(tmp_path: Path) -> None:
    canteen, heard = Canteen(tmp_path), list[str]()
    delivery, wire = canteen.assembly.delivery, Wire()
    delivery.use(wire)
    canteen.counter.listen(heard.append)
    delivery.on_state(True)
    delivery.turn()
    assert wire.state(canteen).sheet == 0 and not canteen.view().link
    delivery.on_message(hub_state_topic(SCHOOL), msgspec.json.encode(hub_state(HUB)), True)
    topic = device_topic(SCHOOL, DEVICE, "sheet")
    assert topic in delivery.subscriptions(SCHOOL, DEVICE, {"canteen"})
    assert topic not in delivery.subscriptions(SCHOOL, DEVICE, {"gate"})
    delivery.on_message(topic, canteen.signed(sheet(4)), True)
    delivery.turn()
    assert canteen.view().sheet_day == TODAY and heard == ["quay-1"]
    delivery.turn()
    assert wire.state(canteen).sheet == 4
    view = canteen.view()
    assert view.link and view.unsent == canteen.assembly.journal.last and view.oldest_age_s is not None
    delivery.on_message(topic, b"not a sheet", False)
    delivery.turn()
    assert canteen.warned[-1].code == "bad-message" and canteen.view().sheet_day == TODAY
    delivery.on_state(False)
    delivery.turn()
    assert not canteen.view().link
    canteen.close()


class Wire:
    """A link that keeps what is published."""

    def __init__(self) -> None:
        self.sent: list[tuple[str, bytes]] = []

    def publish(self, topic: str, payload: bytes, *, retain: bool = False) -> bool:
        self.sent.append((topic, payload))
        return True

    def start(self, *_: object) -> None: ...

    def stop(self) -> None: ...

    def state(self, canteen: Canteen) -> DeviceState:
        """What the gateway said of itself last."""
        topic = device_topic(SCHOOL, DEVICE, "state")
        payload = [payload for where, payload in self.sent if where == topic][-1]
        return decode_body(open_message(canteen.assembly.keys.identity.key, topic, payload), DeviceState)


def test_what_our_hub_did_not_say_to_us_is_refused_and_changes_nothing(tmp_path: Path) -> None:
    canteen = Canteen(tmp_path)
    store = opened(canteen)
    stranger = Identity(b"\x08" * 32, b"\x09" * 32)
    cut = canteen.signed(sheet(9))[:-9]
    for payload in (canteen.signed(sheet(9), stranger), cut, canteen.signed(sheet(9, school="other")), b"", b"{}\n"):
        with pytest.raises(BadMessage):
            store.take(payload)
    assert store.current is None and not (canteen.data / FILE_NAME).exists()
    canteen.close()


@pytest.mark.parametrize("damage", ["cut", "bit", "empty", "large", "folder"])
def test_a_damaged_sheet_is_set_aside_with_an_alarm_and_pupils_are_served_all_the_same(
    tmp_path: Path, damage: str
) -> None:
    before = Canteen(tmp_path)
    before.lay()
    before.roster()
    before.close()
    path = before.data / FILE_NAME
    whole = path.read_bytes()
    if damage == "folder":
        path.unlink()
        path.mkdir()
    elif damage == "large":
        path.write_bytes(whole + b" " * FILE_BYTES_MAX)
    else:
        changed = whole[:200] + bytes([whole[200] ^ 4]) + whole[201:]
        path.write_bytes({"cut": whole[:-20], "bit": changed, "empty": b""}[damage])
    after = Canteen(tmp_path)
    assert after.warned[0].code == "file-damaged" and not path.exists()
    assert damage == "folder" or (after.data / DAMAGED_NAME).exists()
    assert after.view().sheet_day is None and after.view().sitting is None
    assert after.tap(AN) == "accepted"
    shown = after.view().shown
    assert (shown.name, shown.school_class) == ("Nguyễn Thị Hoà An", "1A"), "the roster knows names, too"
    assert after.lay(), "the hub's next word is taken, of whatever version"
    after.close()


def test_no_alert_goes_because_a_hub_was_restored_until_somebody_there_has_looked(tmp_path: Path) -> None:
    canteen = Canteen(tmp_path)
    canteen.roster()
    canteen.lay(sheet(5))

    def alerts_of(store: SheetStore, student: str = "st-an") -> tuple[list[str], bool]:
        assert store.current is not None
        [eater] = [one for one in store.current.eaters if one.student == student]
        return eater.alerts, eater.confirmed

    store = canteen.counter.store
    bare = [replace(eater, alerts=[], confirmed=False) for eater in sheet().eaters]
    told = [
        replace(bare[0], alerts=["tôm"], confirmed=False),
        replace(bare[1], alerts=["cá"], confirmed=True),
        *bare[2:],
    ]
    assert canteen.lay(sheet(6, eaters=bare, keep_alerts=True))
    assert alerts_of(store) == (["lạc / peanut"], True)
    assert canteen.tap(AN) == "accepted" and canteen.view().shown.alerts == ("lạc / peanut",), "on the staff's screen"
    # What is entered there meanwhile stands beside it; also after a restart, and in a third such sheet.
    assert canteen.lay(sheet(7, eaters=told, keep_alerts=True))
    for now in (store, opened(canteen)):
        assert alerts_of(now) == (["tôm", "lạc / peanut"], False), "one of both is only told"
        assert alerts_of(now, "st-binh") == (["cá"], True) and now.current is not None and now.current.version == 7
    assert canteen.lay(sheet(8, eaters=bare, keep_alerts=True)) and alerts_of(store) == (["lạc / peanut"], True)
    # Somebody has looked: what the hub says is all there is.
    assert canteen.lay(sheet(9, eaters=told)) and not (canteen.data / BEFORE_NAME).exists()
    assert alerts_of(store) == (["tôm"], False) and alerts_of(opened(canteen)) == (["tôm"], False)
    canteen.close()


@pytest.mark.parametrize("octets", [b"", b"{}", None])
def test_a_sheet_from_before_that_cannot_be_read_is_named_and_the_newer_one_holds(
    tmp_path: Path, octets: bytes | None
) -> None:
    canteen = Canteen(tmp_path)
    canteen.lay(sheet(5))
    canteen.lay(sheet(6, keep_alerts=True))
    before = canteen.data / BEFORE_NAME
    before.write_bytes(before.read_bytes()[:-30] if octets is None else octets)
    store = opened(canteen)
    assert store.current is not None and store.current.version == 6 and BEFORE_NAME in store.damaged[0]
    canteen.close()


def test_a_sheet_that_the_disk_does_not_take_leaves_the_old_one(tmp_path: Path) -> None:
    canteen = Canteen(tmp_path)
    canteen.lay(sheet(1))
    (canteen.data / f"{FILE_NAME}.new").mkdir()
    with pytest.raises(OSError, match="directory"):
        canteen.lay(sheet(2))
    assert canteen.counter.store.current is not None and canteen.counter.store.current.version == 1
    (canteen.data / f"{FILE_NAME}.new").rmdir()
    assert canteen.lay(sheet(2)) and HUB.key
    canteen.close()
