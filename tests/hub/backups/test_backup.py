"""A backup and its restore on real files: whole or none, nobody else's, nothing deleted that was there."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import sqlite3
import stat
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from hub.backups import copying, making, restoring
from hub.backups.copying import schema_known
from hub.backups.making import BackupFull, BackupWaits
from hub.backups.manifest import MANIFEST_NAME, BackupRefused, read_manifest
from hub.backups.restoring import RestoreRefused, choose, restore
from hub.backups.seal import SealBroken
from hub.config import HubConfig
from hub.mending import keep_keys, open_store
from hub.parts import COPY_NAME, FILE_NAME, Store
from hub.store.database import SUSPECT_NAME
from hub.store.notes import BackedUp, CalendarBack, DietsBack, Regain
from hub.tls import CA_KEY_NAME, CA_NAME, FOLDER, Certificates
from tests.hub.backups.copies import PASSPHRASE, Unpaced, backed_up, enter, hub_of, own_records
from tests.hub.handmade import T0_MS, Gateway
from tests.hub.room import config_in


@pytest.fixture
def config(tmp_path: Path) -> HubConfig:
    """A hub that ran, and people entered something."""
    made = config_in(tmp_path / "hub")
    enter(made, range(20))
    return made


def emptied(config: HubConfig) -> None:
    shutil.rmtree(config.data_dir)
    config.data_dir.mkdir()


def brought_back(config: HubConfig, place: Path, passphrase: bytes | None = None, *, over: bool = False) -> list[str]:
    said: list[str] = []
    restore(config, place, passphrase, over=over, now_ms=1, say=said.append)
    return said


@pytest.mark.parametrize("passphrase", [None, PASSPHRASE])
def test_a_backup_holds_all_and_a_hub_made_of_it_is_who_it_was(
    config: HubConfig, tmp_path: Path, passphrase: bytes | None
) -> None:
    before = own_records(config)
    key = Store(config).secrets.identity().key
    made = backed_up(config, tmp_path / "stick", passphrase)
    names = sorted(path.name for path in made.folder.iterdir())
    ending = "" if passphrase is None else ".sealed"
    assert names == ["begun.json", f"keys.json{ending}", f"ledger.db{ending}", "manifest.json"]
    for path in made.folder.iterdir():
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert stat.S_IMODE(made.folder.stat().st_mode) == 0o700
    everything = b"".join(path.read_bytes() for path in made.folder.iterdir())
    assert (b"attendance.correction" in everything) == (passphrase is None), "a seal leaves nothing to read"
    assert not list(config.data_dir.glob("backup-draft*"))
    told = made.manifest
    assert (told.school, told.hub, told.schema) == ("79000701", "tram", schema_known())
    assert told.counts["events"] == len(before) == sum(one.count for one in told.journals.values())
    assert made.note.own == {journal: one.last for journal, one in told.journals.items()}

    emptied(config)
    brought_back(config, tmp_path / "stick", passphrase)
    assert own_records(config) == before
    store, own = open_store(config)
    assert store.secrets.identity().key == key
    note, regain = store.notes.read(BackedUp), store.notes.read(Regain)
    assert note == made.note
    assert regain is not None
    assert store.calendar_in_doubt() == CalendarBack(1, told.made_ms), "no city gives a calendar back"
    assert store.notes.diets_in_doubt() == DietsBack(1, told.made_ms), "nor what children must not eat"
    assert store.diets_in_doubt() is None, "no counter was ever told anything"
    opened = json.loads(store.ledger.raw_at(own.book, 1) or b"")
    assert opened["data"]["previous"]["journal"] in told.journals
    store.database.close()
    assert sorted(path.name for path in config.data_dir.iterdir() if "restor" in path.name) == []


def test_the_wrong_passphrase_or_none_opens_nothing(config: HubConfig, tmp_path: Path) -> None:
    backed_up(config, tmp_path / "stick", PASSPHRASE)
    emptied(config)
    with pytest.raises(RestoreRefused, match="is sealed"):
        brought_back(config, tmp_path / "stick")
    with pytest.raises(SealBroken):
        brought_back(config, tmp_path / "stick", b"other words altogether")
    assert list(config.data_dir.iterdir()) == []


def changed(folder: Path, name: str) -> None:
    octets = bytearray((folder / name).read_bytes())
    octets[len(octets) // 2] ^= 1
    (folder / name).write_bytes(octets)


def cut(folder: Path, name: str) -> None:
    os.truncate(folder / name, (folder / name).stat().st_size - 4096)


DAMAGES: dict[str, Callable[[Path], None]] = {
    "half written": lambda folder: (folder / MANIFEST_NAME).unlink(),
    "ledger changed": lambda folder: changed(folder, "ledger.db"),
    "ledger cut": lambda folder: cut(folder, "ledger.db"),
    "ledger gone": lambda folder: (folder / "ledger.db").unlink(),
    "keys changed": lambda folder: changed(folder, "keys.json"),
    "manifest cut": lambda folder: os.truncate(folder / MANIFEST_NAME, 100),
    "manifest of the future": lambda folder: manifest_with(folder, format="k12edge-backup-9"),
    "manifest pointing out": lambda folder: manifest_with(
        folder, files={"../ledger.db": {"length_bytes": 1, "sha256": ""}}
    ),
    "manifest of nothing": lambda folder: manifest_with(folder, files={}),
    "newer schema": lambda folder: manifest_with(folder, schema=schema_known() + 1),
    "another school's": lambda folder: manifest_with(folder, school="79000702"),
    "another hub's": lambda folder: manifest_with(folder, hub="tram-2"),
}


def manifest_with(folder: Path, **changes: object) -> None:
    document = json.loads((folder / MANIFEST_NAME).read_bytes())
    (folder / MANIFEST_NAME).write_text(json.dumps(document | changes), encoding="utf-8")


@pytest.mark.parametrize("damage", DAMAGES)
def test_a_damaged_or_foreign_backup_is_passed_over_and_an_older_one_taken(
    config: HubConfig, tmp_path: Path, damage: str
) -> None:
    older = backed_up(config, tmp_path / "stick")
    newer = backed_up(config, tmp_path / "stick")
    assert newer.manifest.number == older.manifest.number + 1
    DAMAGES[damage](newer.folder)
    with pytest.raises((BackupRefused, RestoreRefused)):
        choose(newer.folder, "79000701", "tram")
    chosen = choose(tmp_path / "stick", "79000701", "tram")
    assert chosen.folder == older.folder
    assert len(chosen.passed) == 1 and newer.folder.name in chosen.passed[0]
    DAMAGES[damage](older.folder)
    with pytest.raises(RestoreRefused, match="holds no backup"):
        choose(tmp_path / "stick", "79000701", "tram")


def test_a_ledger_that_is_not_what_the_manifest_names_is_refused(config: HubConfig, tmp_path: Path) -> None:
    made = backed_up(config, tmp_path / "stick")
    journals = {name: {"source": j.source, "count": j.count, "last": j.last, "head": "A" * 43} for name, j in
                made.manifest.journals.items()}  # fmt: skip
    manifest_with(made.folder, journals=journals)
    emptied(config)
    with pytest.raises(BackupRefused, match="not the one that the manifest names"):
        brought_back(config, made.folder)
    assert list(config.data_dir.iterdir()) == []


def test_a_hub_with_records_is_not_restored_over_unless_asked_and_then_kept(config: HubConfig, tmp_path: Path) -> None:
    backed_up(config, tmp_path / "stick")
    before = own_records(config)
    enter(config, range(20, 25))
    there = own_records(config)
    octets = (config.data_dir / FILE_NAME).read_bytes()
    with pytest.raises(RestoreRefused, match=f"holds {len(there)} records"):
        brought_back(config, tmp_path / "stick")
    assert (config.data_dir / FILE_NAME).read_bytes() == octets
    (config.data_dir / SUSPECT_NAME).touch()
    said = brought_back(config, tmp_path / "stick", over=True)
    assert own_records(config) == before
    assert not (config.data_dir / SUSPECT_NAME).exists(), "that was said of the ledger before"
    aside = list(config.data_dir.glob("ledger-replaced-*.db"))
    assert len(aside) == 1 and aside[0].read_bytes() == octets
    assert aside[0].name.removeprefix("ledger-").removesuffix(".db") in said[-1]


def test_another_hubs_keys_beside_the_ledger_make_way_and_the_same_hubs_newer_ones_stay(
    config: HubConfig, tmp_path: Path
) -> None:
    backed_up(config, tmp_path / "stick")
    store = Store(config)
    key, gateway = store.secrets.identity().key, Gateway()
    with store.database.transaction():
        store.devices.accept("cong", None, 0)
        store.devices.met("cong", gateway.identity.key, gateway.identity.box, None, None, 0)
    keep_keys(store, config)
    store.database.close()
    brought_back(config, tmp_path / "stick", over=True)
    store, _ = open_store(config)
    assert store.secrets.identity().key == key
    assert [device.device for device in store.devices.all()] == ["cong"], "accepted after the backup was made"
    store.database.close()

    emptied(config)
    other = Store(config)
    keep_keys(other, config)
    assert other.secrets.identity().key != key
    other.database.close()
    brought_back(config, tmp_path / "stick", over=True)
    store, _ = open_store(config)
    assert store.secrets.identity().key == key
    store.database.close()
    assert len(list(config.data_dir.glob("keys-replaced-*.json"))) == 1
    assert (config.data_dir / COPY_NAME).exists()


@pytest.mark.parametrize("passphrase", [None, PASSPHRASE])
def test_phones_trust_the_restored_hub_and_nobody_is_logged_in(
    config: HubConfig, tmp_path: Path, passphrase: bytes | None
) -> None:
    tls = config.data_dir / FOLDER
    Certificates(config.data_dir, "79000701", "192.168.1.9").context(T0_MS)
    authority = (tls / CA_NAME).read_bytes(), (tls / CA_KEY_NAME).read_bytes()
    store = Store(config)
    with store.database.transaction() as run:
        run.execute("INSERT INTO users (user, name, shown, role, made_ms) VALUES (1, 'lan', 'Lan', 'it', 0)")
        run.execute("INSERT INTO sessions VALUES (x'01', 1, 0, 0, 'a browser')")
        run.execute("INSERT INTO login_links VALUES (x'02', 1, 9999999999999)")
    store.database.close()
    made = backed_up(config, tmp_path / "stick", passphrase)
    everything = b"".join(path.read_bytes() for path in made.folder.iterdir())
    assert (b"PRIVATE KEY" in everything) == (passphrase is None)

    def restored() -> None:
        brought_back(config, tmp_path / "stick", passphrase, over=True)
        assert authority == ((tls / CA_NAME).read_bytes(), (tls / CA_KEY_NAME).read_bytes())
        assert {stat.S_IMODE(path.stat().st_mode) for path in tls.iterdir()} <= {0o600, 0o644}
        Certificates(config.data_dir, "79000701", "192.168.1.9").context(T0_MS)
        assert authority[0] == (tls / CA_NAME).read_bytes()
        store = Store(config)
        for table, count in (("users", 1), ("sessions", 0), ("login_links", 0)):
            assert store.database.connection.execute(f"SELECT count(*) FROM {table}").fetchone()[0] == count
        store.database.close()

    restored()
    assert not list(config.data_dir.glob("tls-replaced-*")), "the same one stays where it is"
    emptied(config)
    restored()
    emptied(config)
    Certificates(config.data_dir, "79000701", "192.168.1.9").context(T0_MS)
    other = (tls / CA_KEY_NAME).read_bytes()
    restored()
    assert [(path / CA_KEY_NAME).read_bytes() for path in config.data_dir.glob("tls-replaced-*")] == [other]


def test_an_older_schema_is_restored_and_migrated_at_the_start(config: HubConfig, tmp_path: Path) -> None:
    older = Path(__file__).parents[2] / "fixtures" / "ledger-3.db"
    made = backed_up(config, tmp_path / "stick")
    shutil.copy(older, config.data_dir / FILE_NAME)
    copy = sqlite3.connect(config.data_dir / FILE_NAME)
    counted = copy.execute("SELECT count(*) FROM events").fetchone()[0]
    copy.close()
    shutil.rmtree(made.folder)
    hub = making.Hub(
        "79000701", "tram", "0", config.data_dir, config.data_dir / FILE_NAME, lambda: b"{}", lambda: 1_000
    )
    made = making.make_backup(hub, tmp_path / "stick", None, Unpaced())
    assert made.manifest.schema == 3
    # Its key paper is none; the ledger is what is looked at here.
    paper = tmp_path / "keys"
    emptied(config)
    store = Store(config)
    paper.write_bytes(store.secrets.export("79000701", store.devices)[1])
    store.database.close()
    emptied(config)
    (made.folder / "keys.json").write_bytes(paper.read_bytes())
    files = json.loads((made.folder / MANIFEST_NAME).read_bytes())["files"]
    files["keys.json"] = {
        "length_bytes": paper.stat().st_size,
        "sha256": hashlib.sha256(paper.read_bytes()).hexdigest(),
    }
    manifest_with(made.folder, files=files)
    brought_back(config, made.folder)
    store = Store(config)
    found = store.database.connection.execute("SELECT count(*) FROM events").fetchone()[0]
    version = store.database.connection.execute("PRAGMA user_version").fetchone()[0]
    store.database.close()
    assert (found, version) == (counted, schema_known())


# --- the place where backups go ---------------------------------------------------------------------------------------


def test_only_our_own_older_and_half_written_folders_are_removed(config: HubConfig, tmp_path: Path) -> None:
    stick = tmp_path / "stick"
    first = backed_up(config, stick).folder
    half = stick / first.name.replace("-1", "-7")
    shutil.copytree(first, half)
    (half / MANIFEST_NAME).unlink()
    empty = stick / first.name.replace("-1", "-6")
    empty.mkdir()
    photos = stick / "photos"
    photos.mkdir()
    (photos / "a.jpg").write_bytes(b"x")
    other = config_in(tmp_path / "other", hub={"id": "tram-2"})
    enter(other, range(3))
    others = backed_up(other, stick).folder
    foreign = stick / first.name.replace("-1", "-5")
    foreign.mkdir()
    (foreign / "letter.txt").write_bytes(b"not ours")
    (foreign / "ledger.db").write_bytes(b"of nobody knows which hub")
    for _ in range(4):
        newest = backed_up(config, stick).folder
    left = {path.name for path in stick.iterdir()}
    assert not {half.name, empty.name, first.name} & left
    assert {"photos", others.name, foreign.name, newest.name} <= left
    assert sorted(path.name for path in foreign.iterdir()) == ["ledger.db", "letter.txt"]
    assert read_manifest(newest).number > 7, "no number is given twice"
    mine = [name for name in left if name.startswith("k12edge-79000701-tram-2026") and name != foreign.name]
    assert len(mine) == 2, "on the hub's own disk two are enough"


def test_a_place_that_is_not_there_is_waited_for_and_never_made(config: HubConfig, tmp_path: Path) -> None:
    store = Store(config)
    with pytest.raises(BackupWaits):
        making.make_backup(hub_of(store), tmp_path / "gone", None, Unpaced())
    store.database.close()
    assert not (tmp_path / "gone").exists()


@pytest.fixture
def small(tmp_path: Path) -> Iterator[Path]:
    """A stick with room for two small backups, and not for a third."""
    place = tmp_path / "small"
    place.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=1280k", "k12edge-test", str(place)]
    if os.geteuid() != 0 or subprocess.run(mount, capture_output=True, check=False).returncode != 0:
        pytest.skip("only root mounts a small disk")
    yield place
    subprocess.run(["umount", "-l", str(place)], check=True)


def test_a_full_stick_is_refused_and_nothing_half_is_left(
    config: HubConfig, small: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(BackupFull, match="a backup needs"):
        backed_up(config, small)
    assert list(small.iterdir()) == []
    # And where the file system promised more than it keeps.
    monkeypatch.setattr(making, "_free", lambda _: 1 << 40)
    (small / "ballast").write_bytes(bytes(1_000_000))
    for passphrase in (None, PASSPHRASE):
        with pytest.raises(BackupFull, match="is full"):
            backed_up(config, small, passphrase)
        assert [path.name for path in small.iterdir()] == ["ballast"]
    assert not list(config.data_dir.glob("backup-draft*"))
    # Older ones make room, the newest two never do.
    (small / "ballast").unlink()
    monkeypatch.setattr(making, "LEAVE_BYTES", 0)
    monkeypatch.undo()
    monkeypatch.setattr(making, "LEAVE_BYTES", 4096)
    names = [backed_up(config, small).folder.name for _ in range(2)]
    assert sorted(path.name for path in small.iterdir()) == names


def test_nothing_is_left_ready_by_a_restore_that_was_refused(config: HubConfig, tmp_path: Path) -> None:
    backed_up(config, tmp_path / "stick")
    (config.data_dir / restoring.READY_NAME).write_bytes(b"of an earlier one, killed before it decided")
    with pytest.raises(RestoreRefused):
        brought_back(config, tmp_path / "stick")
    assert not (config.data_dir / restoring.READY_NAME).exists()


def test_a_copy_is_one_moment_though_somebody_writes_between_its_steps(config: HubConfig, tmp_path: Path) -> None:
    store = Store(config)
    with store.database.transaction() as run:
        run.execute("CREATE TABLE ballast (octets BLOB)")
        run.executemany("INSERT INTO ballast VALUES (zeroblob(?))", [(1_000_000,)] * 8)
    steps = []

    class Writing(Unpaced):
        def rest(self) -> None:
            steps.append(1)
            assert len(steps) < 100, "it begins anew after each commit"
            with store.database.transaction() as run:
                run.execute("INSERT INTO ballast VALUES ('later')")

    copying.copy_ledger(store.path, tmp_path / "copy.db", Writing())
    store.database.close()
    assert len(steps) > 10
    assert copying.check_copy(tmp_path / "copy.db") == schema_known()
    copy = copying.open_copy(tmp_path / "copy.db")
    assert copy.execute("SELECT count(*) FROM ballast").fetchone()[0] == 8
    copy.close()
