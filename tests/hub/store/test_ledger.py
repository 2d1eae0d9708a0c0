"""The ledger's file: promises asserted at every open, whole transactions or none, bounds on what stands beside."""

from __future__ import annotations

import re
import resource
import sqlite3
import subprocess
import sys
from pathlib import Path

import pytest

from hub.store import ledger as rules
from hub.store.database import SCHEMA, Database, LedgerFailed, LedgerFull
from protocol.errors import SchemaTooNew
from tests.hub.handmade import Gateway
from tests.hub.room import HubRoom


def test_the_pragmas_are_those_of_the_promise(room: HubRoom) -> None:
    run = room.store.database.connection.execute
    found = {name: run(f"PRAGMA {name}").fetchone()[0] for name in ("journal_mode", "synchronous", "foreign_keys")}
    assert found == {"journal_mode": "wal", "synchronous": 2, "foreign_keys": 1}


def test_an_older_schema_is_brought_up_and_opened_twice(tmp_path: Path) -> None:
    path = tmp_path / "ledger.db"
    old = sqlite3.connect(path, isolation_level=None)
    old.executescript((SCHEMA / "001.sql").read_text(encoding="utf-8"))
    old.execute("INSERT INTO devices VALUES ('cong', 'accepted', NULL, 0, 1)")
    old.execute("INSERT INTO device_keys VALUES ('cong', 'key', 'box', 'accepted', 'sealed', 1)")
    old.executescript("PRAGMA application_id = 0x4B313248; PRAGMA user_version = 1;")
    old.close()
    for _ in range(2):
        database = Database(path)
        assert database.connection.execute("SELECT hk0, raw0 FROM device_keys").fetchall() == [("sealed", None)]
        database.close()


def test_a_newer_schema_or_another_programs_file_is_refused(tmp_path: Path) -> None:
    newer, other = tmp_path / "newer.db", tmp_path / "other.db"
    Database(newer).close()
    for path, statement in ((newer, "PRAGMA user_version = 999"), (other, "PRAGMA user_version = 1")):
        file = sqlite3.connect(path)
        file.execute(statement)
        file.close()
    with pytest.raises(SchemaTooNew):
        Database(newer)
    with pytest.raises(LedgerFailed, match="another program"):
        Database(other)
    broken = tmp_path / "broken.db"
    broken.write_bytes(b"not a database" * 1000)
    with pytest.raises(LedgerFailed):
        Database(broken)


def test_a_transaction_that_fails_leaves_neither_rows_nor_memory(room: HubRoom) -> None:
    gateway = room.known(Gateway())
    run = gateway.run(8)
    room.batch(gateway, gateway.batch(run, 1, 3))
    before = room.status.whole()

    class Cut(Exception):
        """The group's last message fails."""

    lines = [*run.lines]
    lines[6] = lines[6].replace(b'"cong-a"', b'"cong-b"')

    def group() -> None:
        with room.store.database.transaction():
            room.batch(gateway, gateway.batch(run, 4, lines=lines[3:]))
            room.batch(gateway, gateway.batch(run, 2, lines=[lines[6]]))
            room.batch(gateway, b"no batch")
            raise Cut

    with pytest.raises(Cut):
        group()
    after = room.status.whole()
    assert {**after, "time": ""} == {**before, "time": ""}
    # The same again is taken as if nothing had been.
    room.batch(gateway, gateway.batch(run, 4))
    assert [raw for _, raw in room.events()] == run.lines
    # A journal that was met in it is met for the first time again.
    other = gateway.run(2)

    def met() -> None:
        with room.store.database.transaction():
            room.batch(gateway, gateway.batch(other))
            raise Cut

    with pytest.raises(Cut):
        met()
    assert room.store.ledger.books.find(other.journal) is None
    assert [book.journal for book in room.store.ledger.books.of_device(gateway.device)] == [run.journal]
    room.batch(gateway, gateway.batch(other))
    assert [raw for _, raw in room.events()] == run.lines + other.lines
    # The hub's own journal has no hole where a record of it was undone.
    room.batch(gateway, gateway.batch(run, 2, lines=[lines[6]]))
    assert list(room.own.book.held) == [(1, 2)]


def test_a_restarted_hub_knows_what_it_held(tmp_path: Path) -> None:
    gateway = Gateway()
    run = gateway.run(9)
    room = HubRoom(tmp_path / "hub")
    room.known(gateway)
    room.batch(gateway, gateway.batch(run, 1, 4))
    room.batch(gateway, gateway.batch(run, 7))
    first = room.own.book.journal
    room.close()
    again = HubRoom(tmp_path / "hub")
    follow = again.batch(gateway, gateway.batch(run, 3, 8))
    mark = again.marks(gateway, follow)[run.journal].hub
    assert (mark.through, mark.missing) == (10, [])
    assert len(again.events()) == 10
    opened = again.store.ledger.raw_at(again.own.book, 1)
    assert opened is not None and first.encode() in opened, "the hub's own journal names the one before"
    again.close()


def test_a_moment_learnt_in_a_failed_transaction_is_written_with_the_next(tmp_path: Path) -> None:
    gateway = Gateway()
    run = gateway.run(2, err_ms=None)
    run.add(
        "boot.anchored",
        {"boot": run.boot, "mono": 1, "wall": "2026-11-23T07:00:00.000+07:00", "err": 20, "source": "hub"},
        err_ms=None,
    )
    room = HubRoom(tmp_path / "hub")
    room.known(gateway)

    def failing() -> None:
        with room.store.database.transaction():
            room.batch(gateway, gateway.batch(run))
            raise RuntimeError

    with pytest.raises(RuntimeError):
        failing()
    room.batch(gateway, gateway.batch(run))
    room.close()
    again = HubRoom(tmp_path / "hub")
    assert again.store.anchors.of(gateway.source).anchored(run.boot)
    again.close()


def test_a_full_disk_takes_nothing_and_recovers(tmp_path: Path) -> None:
    room = HubRoom(tmp_path / "hub")
    gateway = room.known(Gateway())
    run = gateway.run(400)
    size = (tmp_path / "hub" / "ledger.db-wal").stat().st_size
    # The kernel refuses to let the file grow, as a full disk does; the signal it sends is ignored by Python.
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size + 8192, hard))
    try:
        with pytest.raises((LedgerFull, LedgerFailed)):
            room.batch(gateway, gateway.batch(run))
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert not room.events()
    follow = room.batch(gateway, gateway.batch(run))
    assert room.marks(gateway, follow)[run.journal].hub.through == 401
    room.close()


def test_two_hubs_on_one_directory(tmp_path: Path) -> None:
    holder = subprocess.Popen(
        [
            sys.executable,
            "-c",
            "import sys, pathlib; from host.lock import InstanceLock\n"
            "InstanceLock(pathlib.Path(sys.argv[1])); print('held', flush=True); sys.stdin.read()",
            str(tmp_path / "hub"),
        ],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    )
    assert holder.stdin is not None and holder.stdout is not None
    assert holder.stdout.readline() == b"held\n"
    config = tmp_path / "hub.toml"
    config.write_text(f'[hub]\nid = "tram"\nschool = "s"\ndata_dir = "{tmp_path / "hub"}"\nlisten = "127.0.0.1:0"\n')
    second = subprocess.run(
        [sys.executable, "-m", "k12edge", "hub", "--config", str(config)], capture_output=True, text=True, timeout=20
    )
    holder.stdin.close()
    holder.wait(10)
    holder.stdout.close()
    assert second.returncode == 3 and str(holder.pid) in second.stderr, second.stderr


# --- bounds -----------------------------------------------------------------------------------------------------------


def test_alarms_are_counted_and_bounded(room: HubRoom, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rules, "ALARMS_MAX", 60)
    with room.store.database.transaction():
        for number in range(100):
            room.store.ledger.alarm("bad-batch", "cong", f"detail {number}", number)
        for number in range(100):
            room.store.ledger.alarm("unknown-device", f"la-{number}", "records came", number)
        room.store.ledger.alarm("bad-batch", "cong", "detail 3", 500)
    rows = room.store.database.connection.execute("SELECT code, device, detail, count FROM alarms").fetchall()
    assert sum(row[3] for row in rows) == 201, "none is lost from the count"
    assert len(rows) <= 62
    assert ("bad-batch", "cong", "detail 3", 2) in rows and ("bad-batch", "cong", "...", 80) in rows
    assert any(row[:3] == ("unknown-device", "-", "...") for row in rows)
    # A month later they make room for new ones.
    with room.store.database.transaction():
        room.store.ledger.alarm("chain-broken", "cong", "record 5", rules.ALARM_KEPT_MS + 1_000)
    assert "chain-broken" in room.alarms()


def test_of_a_flood_of_messages_the_newest_stay_and_others_are_spared(
    room: HubRoom, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(rules, "PARKED_DEVICE_BYTES_MAX", 20_000)
    monkeypatch.setattr(rules, "PARKED_BYTES_MAX", 45_000)
    honest = Gateway("bep")
    room.batch(honest, b"one bad message of another gateway")
    for device in ("cong", "san"):
        for number in range(100):
            room.batch(Gateway(device), b"%d " % number + b"x" * 500)
    parked = room.parked()
    assert [one["device"] for one in parked if one["device"] == "bep"] == ["bep"]
    for device in ("cong", "san"):
        mine = [one["raw"]["text"].partition(" ")[0] for one in parked if one["device"] == device]
        assert 10 < len(mine) < 25 and mine[-1] == "99"
    (size,) = room.store.database.connection.execute("SELECT sum(length(raw) + 512) FROM parked").fetchone()
    assert size <= 45_000
    for number in range(60):
        room.batch(Gateway(f"la-{number}"), b"y" * 1000)
    (size,) = room.store.database.connection.execute("SELECT sum(length(raw) + 512) FROM parked").fetchone()
    assert size <= 45_000


def test_headers_are_kept_for_what_is_new_only(room: HubRoom) -> None:
    gateway = room.known(Gateway())
    run = gateway.run(20)
    room.batch(gateway, gateway.batch(run))
    for first in range(1, 20):
        room.batch(gateway, gateway.batch(run, first, 20))
    assert room.store.database.connection.execute("SELECT count(*) FROM headers").fetchone()[0] == 1


def test_no_statement_reaches_the_file_but_by_the_one_connection(room: HubRoom) -> None:
    """The readers beside it can't write, whatever they run."""
    from hub.store.database import open_for_reading

    reader = open_for_reading(room.store.path)
    with pytest.raises(sqlite3.OperationalError, match=re.compile("readonly|query_only", re.I)):
        reader.execute("DELETE FROM events")
    reader.close()
