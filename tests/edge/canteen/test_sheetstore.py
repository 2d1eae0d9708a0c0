"""The counters' sheet on disk: the last good one, whoever sends what, whatever the disk does to it."""

from __future__ import annotations

from pathlib import Path

import pytest

from edge.canteen.sheetstore import DAMAGED_NAME, FILE_BYTES_MAX, FILE_NAME, SheetStore
from protocol.errors import BadMessage
from protocol.signing import Identity
from tests.edge.canteen.canteen import AN, DEVICE, HUB, SCHOOL, Canteen, sheet


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
