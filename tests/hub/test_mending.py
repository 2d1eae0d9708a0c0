"""A ledger that lies broken: set aside, told, and the hub is who it was, with the gateways that people accepted."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from hub.config import HubConfig, load_hub_config
from hub.mending import ASIDE_MAX, keep_keys, open_store
from hub.papers import wrapped
from hub.parts import COPY_NAME, FILE_NAME, Store
from hub.store.database import SUSPECT_NAME, LedgerDamaged
from protocol.errors import SchemaTooNew
from tests.hub.handmade import Gateway


@pytest.fixture
def config(tmp_path: Path) -> HubConfig:
    """A hub that ran, with a gateway accepted and met, and its keys' copy."""
    path = tmp_path / "hub.toml"
    path.write_text(f'[hub]\nid = "tram"\nschool = "79000701"\ndata_dir = "{tmp_path / "hub"}"\n', encoding="utf-8")
    config = load_hub_config(path)
    config.data_dir.mkdir()
    gateway = Gateway()
    store, _ = open_store(config)
    with store.database.transaction():
        store.devices.accept(gateway.device, None, 0)
        store.devices.met(gateway.device, gateway.identity.key, gateway.identity.box, None, None, 0)
    keep_keys(store, config)
    store.database.close()
    return config


def who(store: Store) -> tuple[str, list[str]]:
    return store.secrets.identity().key, [device.device for device in store.devices.all() if device.accepted_key()]


def alarms(store: Store) -> list[str]:
    return [code for (code,) in store.database.connection.execute("SELECT code FROM alarms")]


def before(config: HubConfig) -> tuple[str, list[str]]:
    store = Store(config)
    found = who(store)
    store.database.close()
    assert found[1], "a gateway is accepted"
    return found


def garbage(path: Path) -> None:
    path.write_bytes(b"no database" * 1000)


def folder(path: Path) -> None:
    path.unlink()
    path.mkdir()


def no_table(path: Path) -> None:
    with sqlite3.connect(path) as database:
        database.execute("DROP TABLE journals")
    database.close()


def wrong_rows(path: Path) -> None:
    with sqlite3.connect(path) as database:
        database.execute("UPDATE journals SET held = 'x'")
    database.close()


@pytest.mark.parametrize("damage", [garbage, folder, no_table, wrong_rows])
def test_a_damaged_ledger_is_set_aside_and_told_and_the_hub_is_who_it_was(
    config: HubConfig, damage: Callable[[Path], None]
) -> None:
    known = before(config)
    damage(config.data_dir / FILE_NAME)
    store, own = open_store(config)
    assert who(store) == known
    assert alarms(store) == [LedgerDamaged.code]
    assert own.book.held.last == 1
    assert list(config.data_dir.glob("ledger-damaged-*.db")) or list(config.data_dir.glob("no-file-*"))
    store.database.close()
    store, _ = open_store(config)
    assert who(store) == known and alarms(store) == [LedgerDamaged.code], "once"
    store.database.close()


def test_what_broke_under_the_last_run_isn_t_built_upon(config: HubConfig) -> None:
    known = before(config)
    (config.data_dir / SUSPECT_NAME).touch()
    store, _ = open_store(config)
    assert who(store) == known and alarms(store) == [LedgerDamaged.code]
    assert not (config.data_dir / SUSPECT_NAME).exists()
    store.database.close()


def test_a_page_that_breaks_under_a_run_is_set_aside_by_the_next_start(config: HubConfig) -> None:
    known, path = before(config), config.data_dir / FILE_NAME
    with sqlite3.connect(path) as database:
        page = database.execute("SELECT rootpage FROM sqlite_master WHERE name = 'alarms'").fetchone()[0]
        size = database.execute("PRAGMA page_size").fetchone()[0]
        database.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    database.close()
    with path.open("r+b") as file:
        file.seek((page - 1) * size)
        file.write(b"\xff" * size)
    store, _ = open_store(config)
    with pytest.raises(LedgerDamaged), store.database.transaction():
        store.ledger.alarm("disk-low", "-", "the first row that reads the page", 0)
    store.database.close()
    store, _ = open_store(config)
    assert who(store) == known and alarms(store) == [LedgerDamaged.code]
    assert len(list(config.data_dir.glob("ledger-damaged-*.db"))) == 1
    store.database.close()


def test_a_ledger_that_lacks_an_accepted_gateway_gets_it_back_from_the_copy(config: HubConfig) -> None:
    known, path = before(config), config.data_dir / FILE_NAME
    with sqlite3.connect(path) as database:
        database.execute("DELETE FROM device_keys")
        database.execute("DELETE FROM devices")
    database.close()
    store, _ = open_store(config)
    assert who(store) == known and alarms(store) == [LedgerDamaged.code]
    store.database.close()


@pytest.mark.parametrize("place", range(0, 100, 7))
def test_a_damaged_copy_makes_no_other_hub_and_is_written_anew(config: HubConfig, place: int) -> None:
    known, copy = before(config), config.data_dir / COPY_NAME
    whole = copy.read_bytes()
    octets = bytearray(whole)
    octets[len(octets) * place // 100] ^= 1
    copy.write_bytes(octets)
    store, _ = open_store(config)
    assert who(store) == known and alarms(store) == []
    keep_keys(store, config)
    store.database.close()
    assert copy.read_bytes() == whole


@pytest.mark.parametrize(("size", "with_log"), [(0, True), (1, True), (99, True), (1, False)])
def test_a_ledger_cut_to_nothing_is_set_aside_with_its_log(config: HubConfig, size: int, with_log: bool) -> None:
    known, path = before(config), config.data_dir / FILE_NAME
    with path.open("r+b") as file:
        file.truncate(size)
    log = config.data_dir / f"{FILE_NAME}-wal"
    log.unlink(missing_ok=True)
    if with_log:
        log.write_bytes(b"frames")
    store, _ = open_store(config)
    assert who(store) == known and alarms(store) == [LedgerDamaged.code]
    assert len(list(config.data_dir.glob("ledger-damaged-*.db"))) == 1
    kept = [path.read_bytes() for path in config.data_dir.glob("ledger-damaged-*.db-wal")]
    assert kept == ([b"frames"] if with_log else [])
    store.database.close()


def lost_log(config: HubConfig) -> None:
    """As after a frame of the log was damaged, in which everything stood: an empty file is left."""
    for path in config.data_dir.glob(f"{FILE_NAME}*"):
        path.unlink()


def test_a_ledger_that_lost_its_log_makes_no_other_hub(config: HubConfig) -> None:
    known = before(config)
    lost_log(config)
    store, _ = open_store(config)
    assert who(store) == known and alarms(store) == [LedgerDamaged.code]
    store.database.close()


@pytest.mark.parametrize("action", ["devices-retire", "keys-import"])
def test_what_people_take_back_stays_taken_back_though_the_copy_said_more(config: HubConfig, action: str) -> None:
    store, _ = open_store(config)
    words: dict[str, str | None] = {"device": Gateway().device}
    if action == "keys-import":
        other = load_hub_config(Path(config.data_dir.parent / "hub.toml"))
        other = replace(other, data_dir=config.data_dir.parent / "other")
        other.data_dir.mkdir()
        strange, _ = open_store(other)
        _, octets = strange.secrets.export(config.school, strange.devices)
        strange.database.close()
        words = {"file": "keys.json", "paper": wrapped(octets)}
    store.carry_out(action, words)
    after = who(store)
    store.database.close()
    # Killed before the copy was written anew.
    store, _ = open_store(config)
    assert who(store) == after and alarms(store) == []
    store.database.close()


def test_without_the_copy_it_begins_as_another_hub_and_asks_for_the_keys(config: HubConfig) -> None:
    known = before(config)
    garbage(config.data_dir / FILE_NAME)
    garbage(config.data_dir / COPY_NAME)
    store, _ = open_store(config)
    assert who(store)[0] != known[0]
    detail = store.database.connection.execute("SELECT detail FROM alarms").fetchone()[0]
    assert "keys import" in detail
    store.database.close()


def test_of_damaged_ledgers_only_some_are_kept(config: HubConfig) -> None:
    for size in (9, 2, 3, 1, 4, 5):
        (config.data_dir / FILE_NAME).write_bytes(b"no database" * 1000 * size)
        store, _ = open_store(config)
        store.database.close()
    sizes = [path.stat().st_size // 11_000 for path in config.data_dir.glob("ledger-damaged-*.db")]
    assert sorted(sizes) == [3, 4, 5, 9] and len(sizes) == ASIDE_MAX, "the largest"


def test_a_newer_schema_is_no_damage(config: HubConfig) -> None:
    with sqlite3.connect(config.data_dir / FILE_NAME) as database:
        database.execute("PRAGMA user_version = 99")
    database.close()
    octets = (config.data_dir / FILE_NAME).read_bytes()
    with pytest.raises(SchemaTooNew, match="schema 99"):
        open_store(config)
    assert (config.data_dir / FILE_NAME).read_bytes() == octets
