"""Devices: kept apart until a person accepts them, within bounds that a stranger can't fill; keys carried elsewhere."""

from __future__ import annotations

import json
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import msgspec
import pytest
from nacl.public import PrivateKey, PublicKey, SealedBox

from hub.papers import PaperRefused
from hub.store import devices as rules
from hub.store.devices import DeviceRefused
from hub.store.secrets import Export, KeysRefused, export_digest, read_export
from protocol.envelope import text_of
from protocol.signing import SealRefused, fingerprint, seal
from tests.hub.handmade import Gateway
from tests.hub.room import HubRoom


def test_a_pending_device_is_kept_receipted_and_not_counted(room: HubRoom) -> None:
    gateway = Gateway()
    run = gateway.run(9)
    room.state(gateway)
    follow = room.batch(gateway, gateway.batch(run, 1, 6))
    marks = room.marks(gateway, follow)[run.journal]
    assert marks.hub.through == 6 and marks.city is None
    again = room.batch(gateway, gateway.batch(run, 1, 6))
    assert room.marks(gateway, again)[run.journal] == marks, "offered again it is receipted again"
    assert not room.events() and room.status.whole()["pending"] == 1
    assert room.status.whole()["devices"][0]["standing"] == "pending"
    room.accept(gateway)
    assert len(room.events()) == 6 and room.status.whole()["pending"] == 0
    room.batch(gateway, gateway.batch(run))
    assert [raw for _, raw in room.events()] == run.lines


def test_what_was_kept_is_counted_by_the_next_hub_where_none_ran_at_the_acceptance(tmp_path: Path) -> None:
    gateway = Gateway()
    run = gateway.run(40)
    room = HubRoom(tmp_path / "hub")
    room.state(gateway)
    for number in range(1, 42):
        room.batch(gateway, gateway.batch(run, number, number))
    room.store.desk.carry_out("devices-accept", {"device": "cong", "fingerprint": None})
    room.close()
    room = HubRoom(tmp_path / "hub")
    assert room.reception.replaying and not room.events()
    room.replay()
    assert [raw for _, raw in room.events()] == run.lines
    room.close()


def test_records_before_a_state_are_not_taken(room: HubRoom) -> None:
    gateway = Gateway()
    run = gateway.run(2)
    assert not room.batch(gateway, gateway.batch(run)).receipts
    assert "unknown-device" in room.alarms() and not room.parked()


@pytest.mark.parametrize("right", [True, False])
def test_accepted_before_its_first_contact(room: HubRoom, right: bool) -> None:
    gateway = Gateway()
    run = gateway.run(2)
    expected = fingerprint(gateway.identity.key if right else gateway.impostor().identity.key)
    room.accept(gateway, expected)
    follow = room.state(gateway)
    assert ("cong" in follow.configs) is right
    room.batch(gateway, gateway.batch(run))
    assert len(room.events()) == (3 if right else 0)


@pytest.mark.parametrize("form", [str.upper, lambda f: f.replace("-", ""), lambda f: f" {f.replace('-', ' ')}\n"])
@pytest.mark.parametrize("met", [False, True])
def test_a_fingerprint_counts_however_it_is_written(room: HubRoom, form: Callable[[str], str], met: bool) -> None:
    gateway = Gateway()
    if met:
        room.state(gateway)
    room.accept(gateway, form(fingerprint(gateway.identity.key)))
    room.state(gateway)
    room.batch(gateway, gateway.batch(gateway.run(1)))
    assert len(room.events()) == 2


@pytest.mark.parametrize(
    "text", ["zzz", "", "68fb-fc55-1ffd-980e-d9e", "68fb-fc55-1ffd-980e-d9e88", "68fb-fc55-1ffd-980e-d9eg"]
)
@pytest.mark.parametrize("met", [False, True])
def test_what_can_be_no_fingerprint_is_refused(room: HubRoom, text: str, met: bool) -> None:
    gateway = Gateway()
    if met:
        room.state(gateway)
    with pytest.raises(DeviceRefused, match="20 hex digits"):
        room.accept(gateway, text)
    found = room.store.devices.find("cong")
    assert (found is not None) is met and (found is None or (found.standing, found.expects) == ("pending", None))


def test_another_key_than_the_named_one_raises_an_alarm_that_says_both(room: HubRoom) -> None:
    gateway, named = Gateway(), fingerprint(Gateway().identity.key)
    room.accept(gateway, named)
    room.state(gateway)
    (detail,) = room.alarms()["other-key"]
    assert named in detail and fingerprint(gateway.identity.key) in detail


def test_without_a_fingerprint_the_first_key_is_bound(room: HubRoom) -> None:
    gateway = Gateway()
    room.accept(gateway)
    room.state(gateway)
    room.state(gateway.impostor())
    found = room.store.devices.find("cong")
    assert found is not None and found.accepted_key() is not None
    assert [key.standing for key in found.keys if key.key == gateway.identity.key] == ["accepted"]


def test_a_key_that_was_not_shown_is_waited_for_and_those_shown_are_told(room: HubRoom) -> None:
    gateway, named = Gateway(), Gateway()
    room.state(gateway)
    assert fingerprint(gateway.identity.key) in room.accept(gateway, fingerprint(named.identity.key))
    room.batch(gateway, gateway.batch(gateway.run(1)))
    assert not room.events() and fingerprint(named.identity.key) in room.store.desk.carry_out("devices-list", {}).text
    room.state(named)
    room.batch(named, named.batch(named.run(2)))
    assert len(room.events()) == 3


@pytest.mark.parametrize("retired", [False, True])
def test_the_accepted_key_counts_until_the_one_named_comes(room: HubRoom, retired: bool) -> None:
    old = room.known(Gateway())
    if retired:
        room.store.desk.carry_out("devices-retire", {"device": "cong"})
    new, run = old.impostor(), old.run(1)
    room.accept(old, fingerprint(new.identity.key))
    room.batch(old, old.batch(run))
    assert len(room.events()) == (0 if retired else 2)
    room.state(new)
    room.batch(new, new.batch(new.run(2)))
    found = room.store.devices.find("cong")
    assert found is not None and (found.standing, found.expects) == ("accepted", None)
    assert [key.key for key in found.keys if key.standing == "accepted"] == [new.identity.key]
    assert len(room.events()) == (3 if retired else 5)


def test_naming_the_accepted_key_again_waits_for_no_other(room: HubRoom) -> None:
    gateway = room.known(Gateway())
    other = gateway.impostor()
    room.accept(gateway, fingerprint(other.identity.key))
    room.accept(gateway, fingerprint(gateway.identity.key))
    room.state(other)
    found = room.store.devices.find("cong")
    assert found is not None and found.accepted_key() == next(k for k in found.keys if k.key == gateway.identity.key)


def test_a_retired_device_is_kept_apart_until_it_is_accepted_again(room: HubRoom) -> None:
    gateway = room.known(Gateway())
    run = gateway.run(5)
    room.batch(gateway, gateway.batch(run, 1, 3))
    room.store.desk.carry_out("devices-retire", {"device": "cong"})
    follow = room.batch(gateway, gateway.batch(run, 4))
    assert room.marks(gateway, follow)[run.journal].hub.through == 6, "receipted once stored"
    assert len(room.events()) == 3
    room.accept(gateway)
    assert [raw for _, raw in room.events()] == run.lines


def test_a_new_installation_is_accepted_by_its_fingerprint(room: HubRoom) -> None:
    old = room.known(Gateway())
    room.batch(old, old.batch(old.run(2)))
    new = old.impostor()
    run = new.run(3)
    room.state(new)
    room.batch(new, new.batch(run))
    assert len(room.events()) == 3
    room.accept(new, fingerprint(new.identity.key))
    assert [raw for _, raw in room.events()][3:] == run.lines


# --- bounds -----------------------------------------------------------------------------------------------------------


def test_a_stranger_fills_neither_his_share_nor_that_of_all(room: HubRoom, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rules, "PENDING_BYTES_MAX", 20_000)
    monkeypatch.setattr(rules, "PENDING_TOTAL_BYTES_MAX", 45_000)
    for number in range(4):
        gateway = Gateway(f"la-{number}")
        run = gateway.run(30)
        room.state(gateway)
        taken = [bool(room.batch(gateway, gateway.batch(run, at, at + 9)).receipts) for at in (1, 11, 21)]
        assert taken == ([True, True, False] if number < 3 else [False] * 3)
        # What is kept already is receipted again, full or not.
        assert bool(room.batch(gateway, gateway.batch(run, 1, 10)).receipts) is (number < 3)
    kept = room.store.database.connection.execute("SELECT sum(length(payload)) FROM pending_batches").fetchone()[0]
    assert kept <= 45_000 and "pending-full" in room.alarms()


def test_strangers_take_no_place_from_those_that_a_person_names(room: HubRoom, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rules, "PENDING_DEVICES_MAX", 5)
    for number in range(7):
        room.state(Gateway(f"la-{number}"))
    assert len(room.store.devices.all()) == 5 and len(room.alarms()["device-refused"]) == 2
    gateway = Gateway()
    room.accept(gateway, fingerprint(gateway.identity.key))
    room.state(gateway)
    run = gateway.run(1)
    room.batch(gateway, gateway.batch(run))
    assert len(room.events()) == 2


def test_strange_keys_take_no_place_from_the_true_one(room: HubRoom) -> None:
    gateway = Gateway()
    for _ in range(rules.KEYS_MAX + 3):
        room.state(gateway.impostor())
    room.state(gateway)
    room.accept(gateway, fingerprint(gateway.identity.key))
    room.batch(gateway, gateway.batch(gateway.run(1)))
    found = room.store.devices.find("cong")
    assert found is not None and len(found.keys) == rules.KEYS_MAX and len(room.events()) == 2


@pytest.mark.parametrize("named_first", [False, True])
def test_keys_that_filled_a_device_do_not_lock_out_the_one_that_a_person_names(
    room: HubRoom, named_first: bool
) -> None:
    gateway = Gateway()
    if named_first:
        room.accept(gateway, fingerprint(gateway.identity.key))
    for _ in range(rules.KEYS_MAX):
        stranger = gateway.impostor()
        room.state(stranger)
        room.batch(stranger, stranger.batch(stranger.run(1)))
    kept = room.status.whole()["pending"]
    if not named_first:
        room.state(gateway)
        assert "more than 8 keys" in room.alarms()["device-refused"][0]
        room.accept(gateway, fingerprint(gateway.identity.key))
    room.state(gateway)
    room.batch(gateway, gateway.batch(gateway.run(2)))
    assert len(room.events()) == 3 and room.status.whole()["pending"] == kept == rules.KEYS_MAX
    room.state(gateway.impostor())
    found = room.store.devices.find("cong")
    assert found is not None and len(found.keys) == rules.KEYS_MAX + 1


def test_a_key_file_is_taken_over_although_strangers_filled_its_device(tmp_path: Path) -> None:
    first, second = HubRoom(tmp_path / "first"), HubRoom(tmp_path / "second")
    gateway = first.known(Gateway())
    first.export_keys(tmp_path / "keys.json")
    for _ in range(rules.KEYS_MAX):
        stranger = gateway.impostor()
        second.state(stranger)
        second.batch(stranger, stranger.batch(stranger.run(1)))
    second.import_keys(tmp_path / "keys.json")
    found = second.store.devices.find("cong")
    assert found is not None and (key := found.accepted_key()) is not None and key.key == gateway.identity.key
    first.close()
    second.close()


# --- secrets handed over ----------------------------------------------------------------------------------------------


def test_a_gateways_provisional_secrets_are_kept_exported_and_used(tmp_path: Path) -> None:
    room = HubRoom(tmp_path / "hub")
    gateway = Gateway()
    hk0, raw_secret = b"h" * 32, b"r" * 32
    box = room.store.secrets.identity().box
    room.state(gateway, gateway.state(hk0=seal(box, hk0)))
    room.state(gateway, gateway.state(hk0=seal(box, b"x" * 32), raw0=seal(box, raw_secret)))
    room.accept(gateway)
    found = room.store.devices.find("cong")
    assert found is not None
    key = found.accepted_key()
    assert key is not None
    assert room.store.secrets.opened(key.hk0) == hk0 and room.store.secrets.opened(key.raw0) == raw_secret

    early = text_of(SealedBox(PublicKey(bytes(PrivateKey(raw_secret).public_key))).encrypt(b"w24:BEADDE"))
    assert room.store.secrets.open_raw(early, key) == b"w24:BEADDE"
    assert room.store.secrets.open_raw(seal(box, b"a:04A1B2C3"), key) == b"a:04A1B2C3"
    with pytest.raises(SealRefused):
        room.store.secrets.open_raw(early, None)

    room.export_keys(tmp_path / "keys.json")
    room.close()
    other = HubRoom(tmp_path / "other")
    other.import_keys(tmp_path / "keys.json")
    moved = other.store.devices.find("cong")
    assert moved is not None and moved.accepted_key() == key
    assert other.store.secrets.open_raw(early, moved.accepted_key()) == b"w24:BEADDE"
    assert other.store.secrets.card_keys() == HubRoom(tmp_path / "hub").store.secrets.card_keys()
    other.close()


def test_what_is_not_sealed_to_this_hub_is_not_kept(room: HubRoom) -> None:
    gateway = Gateway()
    foreign = gateway.identity.box
    room.state(gateway, gateway.state(hk0=seal(foreign, b"h" * 32), raw0="no box"))
    found = room.store.devices.find("cong")
    assert found is not None and (found.keys[0].hk0, found.keys[0].raw0) == (None, None)
    assert len(room.alarms()["seal-refused"]) == 2
    box = room.store.secrets.identity().box
    room.state(gateway, gateway.state(hk0=seal(box, b"h" * 32)))
    found = room.store.devices.find("cong")
    assert found is not None and found.keys[0].hk0 is not None


def test_keys_of_another_hub_make_what_was_sealed_to_this_one_void(tmp_path: Path) -> None:
    first, second = HubRoom(tmp_path / "first"), HubRoom(tmp_path / "second")
    first.export_keys(tmp_path / "keys.json")
    gateway = Gateway()
    second.state(gateway, gateway.state(hk0=seal(second.store.secrets.identity().box, b"h" * 32)))
    second.import_keys(tmp_path / "keys.json")
    assert second.store.secrets.identity().key == first.store.secrets.identity().key
    second.state(gateway, gateway.state(hk0=seal(first.store.secrets.identity().box, b"n" * 32)))
    found = second.store.devices.find("cong")
    assert found is not None and second.store.secrets.opened(found.keys[0].hk0) == b"n" * 32
    first.close()
    second.close()


def test_a_key_file_is_written_once_for_its_owner_only(room: HubRoom, tmp_path: Path) -> None:
    file = tmp_path / "keys.json"
    room.export_keys(file)
    assert file.stat().st_mode & 0o777 == 0o600
    with pytest.raises(PaperRefused, match="exists"):
        room.export_keys(file)


@pytest.mark.parametrize(
    "change",
    [
        {"school": "79000702"},
        {"format": "k12edge-hub-keys-9"},
        {"sign_seed": "short"},
        {"card_keys": []},
        {"card_keys": [[0, "A" * 43]]},
        {"devices": [{"device": "../x", "key": "A" * 43, "box": "A" * 43}]},
        {"devices": [["cong", "key", "box", None]]},
        {"card_keys": [[2**63, "A" * 43]]},
    ],
)
def test_a_wrong_key_file_changes_nothing(room: HubRoom, tmp_path: Path, change: dict[str, object]) -> None:
    file = tmp_path / "keys.json"
    room.export_keys(file)
    before = room.store.secrets.identity()
    document = json.loads(file.read_text()) | change
    with suppress(msgspec.ValidationError):
        # Written so on purpose, not damaged.
        document["check"] = export_digest(msgspec.convert(document, Export))
    file.write_text(json.dumps(document))
    with pytest.raises(KeysRefused):
        room.import_keys(file)
    assert room.store.secrets.identity() == before and room.store.secrets.card_keys()


def test_a_key_file_of_which_one_bit_was_changed_is_refused_or_says_the_same(room: HubRoom, tmp_path: Path) -> None:
    file = tmp_path / "keys.json"
    room.known(Gateway())
    room.export_keys(file)
    whole = file.read_bytes()
    said = read_export("keys.json", whole)
    for bit in range(len(whole) * 8):
        octets = bytearray(whole)
        octets[bit // 8] ^= 1 << bit % 8
        try:
            found = read_export("keys.json", bytes(octets))
        except KeysRefused:
            continue
        assert found == said, bit


@pytest.mark.parametrize("octets", [b"[" * 5_000, b'{"format":"\xff"}', b""], ids=range(3))
def test_a_key_file_of_any_bytes_is_refused_in_words(room: HubRoom, tmp_path: Path, octets: bytes) -> None:
    (tmp_path / "keys.json").write_bytes(octets)
    with pytest.raises(KeysRefused, match="is not a key file"):
        room.import_keys(tmp_path / "keys.json")
