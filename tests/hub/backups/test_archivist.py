"""The daily backup: at its hour, once, to a stick that comes late, told when it is late, and stopped in a moment."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest

from hub.assembly import Assembly
from hub.backups import archivist
from hub.backups.archivist import START_PAUSE_MS, Archivist
from hub.backups.manifest import read_manifest
from hub.backups.plan import DAY_MS, DAY_S, slot_ms
from hub.config import BackupPlan
from hub.parts import Store
from protocol.envelope import decode_event
from protocol.status import HubState
from tests.hub.backups.copies import PASSPHRASE, cheap_seal, correction
from tests.hub.handmade import T0_MS
from tests.hub.room import config_in
from tests.patience import within

HOUR_MS = 3_600_000
AT = "20:00"
EVENING_MS = slot_ms(20 * 60, T0_MS)


class Clocks:
    """The machine's clocks as a test sets them."""

    def __init__(self, wall_ms: int) -> None:
        self.wall_ms, self.mono_ms = wall_ms, 1_000_000

    def boot(self) -> str:
        return "7d3e0c2a"

    def boottime_ns(self) -> int:
        return self.mono_ms * 1_000_000

    def wall_ns(self) -> int:
        return self.wall_ms * 1_000_000

    def error_ms(self) -> int | None:
        return 5

    def go(self, by_ms: int) -> None:
        self.wall_ms += by_ms
        self.mono_ms += by_ms


class Evening:
    """A hub that was started some hours before its backup is due."""

    def __init__(self, folder: Path, **backup: object) -> None:
        self.clocks = Clocks(EVENING_MS - 5 * HOUR_MS)
        self.config = config_in(folder / "hub", backup=dict(backup))
        self.config.data_dir.mkdir(exist_ok=True)
        self.plan: BackupPlan = self.config.backup
        self.begin()

    def begin(self) -> None:
        self.store = Store(self.config, self.clocks)  # type: ignore[arg-type]
        self.own = self.store.open_own_journal()
        self.archivist = Archivist(self.config, self.store, self.own, "0")

    def again(self) -> None:
        """The hub is started anew."""
        self.store.database.close()
        self.begin()

    def made(self) -> list[Path]:
        return sorted(self.plan.place.glob("k12edge-*")) if self.plan.place.is_dir() else []

    def alarms(self) -> list[tuple[str, str]]:
        return self.store.database.connection.execute("SELECT code, detail FROM alarms").fetchall()

    def close(self) -> None:
        self.store.database.close()


@pytest.fixture(autouse=True)
def cheap() -> Iterator[None]:
    with cheap_seal():
        yield


def test_once_an_evening_and_the_copy_proves_itself(tmp_path: Path) -> None:
    evening = Evening(tmp_path)
    with evening.store.database.transaction():
        evening.own.append("attendance.correction", correction(1))
    evening.archivist.turn()
    assert evening.made() == [], "a new hub waits for its first evening"
    assert evening.archivist.told() == {
        "at": None,
        "age_s": None,
        "folder": None,
        "sealed": None,
        "late": False,
        "same_disk": True,
        "trouble": None,
        "own": {"records": 2, "at_city": 0, "in_backup": 0, "here_only": 2},
    }
    for passed_ms in (5 * HOUR_MS, HOUR_MS, HOUR_MS):
        evening.clocks.go(passed_ms)
        evening.archivist.turn()
    assert len(evening.made()) == 1
    told = evening.archivist.told()
    assert (told["age_s"], told["folder"], told["sealed"]) == (2 * 3600, evening.made()[0].name, False)
    # The note itself is no record; the head that was signed for the copy is the third one.
    assert told["own"] == {"records": 3, "at_city": 0, "in_backup": 3, "here_only": 0}
    assert decode_event(evening.store.ledger.raw_at(evening.own.book, 3) or b"").name == "journal.head"
    with evening.store.database.transaction():
        evening.own.append("attendance.correction", correction(2))
    assert evening.archivist.told()["own"]["here_only"] == 1
    evening.again()
    assert evening.archivist.told()["folder"] == evening.made()[0].name, "known without a look at the stick"
    evening.clocks.go(DAY_MS)
    evening.clocks.go(START_PAUSE_MS)
    evening.archivist.turn()
    assert len(evening.made()) == 2
    evening.close()


def test_what_fell_due_while_the_hub_was_off_waits_until_gateways_had_their_turn(tmp_path: Path) -> None:
    evening = Evening(tmp_path)
    evening.clocks.go(20 * HOUR_MS)
    evening.again()
    evening.archivist.turn()
    assert evening.made() == []
    evening.clocks.go(START_PAUSE_MS)
    evening.archivist.turn()
    assert len(evening.made()) == 1
    evening.close()


def test_a_stick_is_waited_for_told_when_late_and_used_when_it_comes(tmp_path: Path) -> None:
    stick = tmp_path / "stick"
    evening = Evening(tmp_path, dir=str(stick))
    evening.clocks.go(6 * HOUR_MS)
    evening.archivist.turn()
    assert evening.archivist.trouble == "backup-waits"
    assert not stick.exists(), "it isn't made under a mount point"
    assert evening.alarms() == []
    assert evening.archivist.interval_s() == DAY_S
    evening.clocks.go(31 * HOUR_MS)
    for _ in range(3):
        evening.archivist.turn()
        evening.clocks.go(20_000)
    assert [code for code, _ in evening.alarms()] == ["backup-late"]
    assert "backup-waits" in evening.alarms()[0][1]
    assert evening.archivist.told()["late"]
    evening.clocks.go(8 * DAY_MS)
    assert evening.archivist.interval_s() > 9 * DAY_S, "gateways keep their records for longer"
    stick.mkdir()
    evening.archivist.turn()
    assert (len(evening.made()), evening.archivist.trouble) == (1, None)
    assert not evening.archivist.told()["late"]
    assert evening.archivist.interval_s() == DAY_S
    evening.close()


def test_a_folder_of_the_hubs_own_disk_is_no_other_disk(tmp_path: Path) -> None:
    stick = tmp_path / "stick"
    stick.mkdir()
    evening = Evening(tmp_path, dir=str(stick), other_disk=True)
    evening.clocks.go(6 * HOUR_MS)
    evening.archivist.turn()
    assert (evening.made(), evening.archivist.trouble) == ([], "backup-waits")
    evening.close()


def test_sealed_by_the_file_that_the_configuration_names(tmp_path: Path) -> None:
    path = tmp_path / "passphrase"
    path.write_bytes(PASSPHRASE)
    path.chmod(0o644)
    evening = Evening(tmp_path, passphrase_file=str(path))
    evening.clocks.go(6 * HOUR_MS)
    evening.archivist.turn()
    assert evening.made() == [], "nothing is made open where it was to be sealed"
    assert (evening.archivist.trouble, evening.alarms()[0][0]) == ("config", "backup-failed")
    path.chmod(0o600)
    evening.archivist.turn()
    assert evening.made() == [], "not again and again"
    evening.clocks.go(archivist.AGAIN_MS)
    evening.archivist.turn()
    assert read_manifest(evening.made()[0]).seal is not None
    assert evening.archivist.told()["sealed"]
    evening.close()


def test_never_makes_none_and_a_persons_own_backup_counts(tmp_path: Path) -> None:
    evening = Evening(tmp_path, at="never")
    evening.clocks.go(10 * DAY_MS)
    evening.archivist.turn()
    assert evening.made() == [] and evening.alarms() == []
    assert evening.archivist.interval_s() == 10 * DAY_S
    note = {"at_ms": evening.clocks.wall_ms, "number": 4, "where": "/media/x/y", "sealed": True, "own": {}}
    evening.store.carry_out("backup-noted", {"note": json.dumps(note)})
    evening.archivist.noted()
    assert evening.archivist.interval_s() == DAY_S
    assert evening.archivist.told()["folder"] == "y"
    evening.close()


def test_gateways_hear_how_long_the_hub_really_goes_without_a_backup(tmp_path: Path) -> None:
    evening = Evening(tmp_path, at="never")
    assembly = Assembly(evening.config, evening.store, None, lambda: None, evening.own)

    def told() -> HubState:
        return msgspec.json.decode(assembly.announcer.state("ready")[1], type=HubState)

    assert told().backup_interval_s == DAY_S
    evening.clocks.go(9 * DAY_MS)
    assert told().backup_interval_s == 9 * DAY_S
    evening.close()


def test_an_end_in_the_middle_leaves_nothing_and_is_quick(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    evening = Evening(tmp_path)
    evening.clocks.go(6 * HOUR_MS)
    with evening.store.database.transaction() as run:
        run.execute("CREATE TABLE ballast (octets BLOB)")
        run.executemany("INSERT INTO ballast VALUES (zeroblob(?))", [(1_000_000,)] * 20)
    steps = []
    rest = archivist.Pace.rest

    def stopping(pace: archivist.Pace) -> None:
        steps.append(time.monotonic())
        if len(steps) == 10:
            evening.archivist.stop()
        rest(pace)

    monkeypatch.setattr(archivist.Pace, "rest", stopping)
    evening.archivist.run()
    assert len(steps) == 10
    assert time.monotonic() - steps[-1] < within(1)
    assert evening.made() == [] and evening.alarms() == []
    assert evening.archivist.trouble is None
    evening.close()
