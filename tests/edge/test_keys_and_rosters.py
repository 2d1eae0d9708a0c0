"""What a gateway keeps of its hub: newer only, whole only, ours only, and the same after a restart."""

from __future__ import annotations

from pathlib import Path

import pytest

from edge.devicekeys import DeviceKeys
from edge.rosterstore import RosterStore
from protocol.cards import CardUid
from protocol.errors import BadMessage
from protocol.roster import Release, pack_release
from protocol.signing import SealRefused, seal
from protocol.status import DeviceConfig

SCHOOL = "79000701"
CARD = CardUid("a", "04A1B2C3D4E580")


def release(number: int, *, kind: str = "gate", school: str = SCHOOL) -> bytes:
    row = ["st-1"] if kind == "gate" else ["st-1", "An", "6A"]
    return pack_release(Release(f"r-{number}", number, school, kind, [1], {f"hk1:{number}": row}))


def test_a_newer_roster_is_taken_an_old_one_is_not_and_both_are_so_after_a_restart(tmp_path: Path) -> None:
    store = RosterStore(tmp_path, SCHOOL)
    assert store.take("gate", release(5)) and store.take("canteen", release(9, kind="canteen"))
    assert not store.take("gate", release(5)) and not store.take("gate", release(4))
    assert store.take("gate", release(6))
    for now in (store, RosterStore(tmp_path, SCHOOL)):
        assert now.names() == {"gate": "r-6", "canteen": "r-9"} and now.damaged == []
        found = now.current("gate")
        assert found is not None and list(found.cards) == ["hk1:6"]


@pytest.mark.parametrize("body", [release(7, kind="canteen"), release(7, school="79000702"), release(7)[:-9], b""])
def test_a_roster_that_is_not_ours_or_not_whole_leaves_the_one_in_force(tmp_path: Path, body: bytes) -> None:
    store = RosterStore(tmp_path, SCHOOL)
    store.take("gate", release(5))
    with pytest.raises(BadMessage):
        store.take("gate", body)
    assert store.names() == RosterStore(tmp_path, SCHOOL).names() == {"gate": "r-5"}


def test_a_damaged_roster_file_is_kept_aside_and_named(tmp_path: Path) -> None:
    RosterStore(tmp_path, SCHOOL).take("gate", release(5))
    octets = (tmp_path / "roster-gate.gz").read_bytes()[:-9]
    (tmp_path / "roster-gate.gz").write_bytes(octets)
    store = RosterStore(tmp_path, SCHOOL)
    assert store.current("gate") is None and "roster-gate-damaged.gz" in store.damaged[0]
    assert (tmp_path / "roster-gate-damaged.gz").read_bytes() == octets
    assert store.take("gate", release(4)), "then any is better than none"


def config(keys: DeviceKeys, version: int, *secrets: tuple[int, bytes]) -> DeviceConfig:
    return DeviceConfig(version, [(number, seal(keys.identity.box, secret)) for number, secret in secrets])


def test_a_newer_configuration_brings_the_card_keys_an_old_one_takes_none_back(tmp_path: Path) -> None:
    keys = DeviceKeys(tmp_path, None)
    assert keys.card_key().number == 0
    assert keys.configure(config(keys, 7, (1, b"a" * 32), (2, b"b" * 32)))
    assert not keys.configure(config(keys, 7, (3, b"c" * 32))) and not keys.configure(config(keys, 6, (3, b"c" * 32)))
    for now in (keys, DeviceKeys(tmp_path, None)):
        assert now.card_key().number == 2 and now.card_key().secret == b"b" * 32
        assert now.card_key_for([1]).secret == b"a" * 32
        assert not now.configure(config(now, 5, (3, b"c" * 32)))


@pytest.mark.parametrize("wrong", [(2, b"short"), (2, b"x" * 33), (0, b"x" * 32), (-1, b"x" * 32)])
def test_a_configuration_with_one_wrong_key_changes_none(tmp_path: Path, wrong: tuple[int, bytes]) -> None:
    keys = DeviceKeys(tmp_path, None)
    keys.configure(config(keys, 7, (1, b"a" * 32)))
    with pytest.raises(SealRefused):
        keys.configure(config(keys, 8, (1, b"c" * 32), wrong))
    assert keys.card_key().keyed(CARD) == DeviceKeys(tmp_path, None).card_key().keyed(CARD)
    assert keys.card_key().secret == b"a" * 32
