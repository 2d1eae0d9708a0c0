"""kill -9 at every step of a backup, or restore, that changes a disk: what is there can be used, or is no backup."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from host.lock import InstanceLock
from hub.backups.copying import check_copy
from hub.backups.manifest import MANIFEST_NAME, read_manifest
from hub.backups.restoring import PLAN_NAME, READY_NAME, choose, restore
from hub.config import HubConfig, load_hub_config
from hub.mending import open_store
from hub.tls import CA_KEY_NAME, CA_NAME, FOLDER
from tests.hub.backups.copies import PASSPHRASE, backed_up, enter, own_records


@pytest.fixture(params=["open", "sealed"])
def config_file(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    path = tmp_path / "hub.toml"
    sealed = "" if request.param == "open" else '[backup]\npassphrase_file = "/unused"\n'
    path.write_text(
        f'[hub]\nid = "tram"\nschool = "79000701"\ndata_dir = "{tmp_path / "hub"}"\n{sealed}', encoding="utf-8"
    )
    return path


def passphrase(config: HubConfig) -> bytes | None:
    return PASSPHRASE if config.backup.passphrase_file else None


def write_authority(config: HubConfig, text: str) -> None:
    (config.data_dir / FOLDER).mkdir(exist_ok=True)
    for name in (CA_NAME, CA_KEY_NAME):
        (config.data_dir / FOLDER / name).write_text(text, encoding="ascii")


def authority(config: HubConfig) -> list[str]:
    return [(config.data_dir / FOLDER / name).read_text(encoding="ascii") for name in (CA_NAME, CA_KEY_NAME)]


def killed_everywhere(action: str, config_file: Path, place: Path) -> list[Path]:
    """Kill it at its first call, its second, and so on, until it comes through; where each of them was left.

    Of a sealed one at every third: most of its steps are those of an open one.
    """
    stride = "3" if "passphrase" in config_file.read_text(encoding="utf-8") else "1"
    done = subprocess.run(
        [sys.executable, "-m", "tests.hub.killed", action, str(config_file), str(place), stride],
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert done.returncode == 0, done.stderr
    ends = [line.split() for line in done.stdout.splitlines()]
    assert [end for _, end in ends] == ["killed"] * (len(ends) - 1) + ["0"]
    assert len(ends) > 6
    return [place.parent / f"{action}-{number}" for number, _ in ends]


def test_a_backup_killed_anywhere_is_none_or_whole_and_the_next_one_clears_it_away(config_file: Path) -> None:
    config = load_hub_config(config_file)
    enter(config, range(10))
    before = backed_up(config, config_file.parent / "stick", passphrase(config))
    enter(config, range(10, 12))
    half = whole = 0
    for left in killed_everywhere("backup", config_file, config_file.parent / "stick"):
        mine = load_hub_config(left / "hub.toml")
        folders = [path for path in (left / "stick").iterdir() if path.name != before.folder.name]
        finished = [path for path in folders if (path / MANIFEST_NAME).exists()]
        half, whole = half + len(folders) - len(finished), whole + len(finished)
        chosen = choose(left / "stick", "79000701", "tram")
        assert chosen.folder.name == (finished[0].name if finished else before.folder.name)
        assert chosen.passed == tuple(one for one in chosen.passed if "half written" in one)
        after = backed_up(mine, left / "stick", passphrase(mine))
        assert not list(mine.data_dir.glob("backup-draft*"))
        named = {path.name for path in (left / "stick").iterdir()}
        assert after.folder.name in named
        assert all((path / MANIFEST_NAME).exists() for path in (left / "stick").iterdir())
        assert read_manifest(after.folder).counts["events"] == len(own_records(mine))
    assert half > 3 and whole > 0


def test_a_restore_killed_anywhere_leaves_the_old_hub_or_the_restored_one(config_file: Path) -> None:
    config = load_hub_config(config_file)
    enter(config, range(10))
    write_authority(config, "then")
    restored = own_records(config)
    backed_up(config, config_file.parent / "stick", passphrase(config))
    enter(config, range(10, 15))
    if passphrase(config) is None:
        write_authority(config, "now")
    old = own_records(config)
    seen = set()
    for left in killed_everywhere("restore", config_file, config_file.parent / "stick"):
        mine = load_hub_config(left / "hub.toml")
        decided = (mine.data_dir / PLAN_NAME).exists()
        with InstanceLock(mine.data_dir):
            store, own = open_store(mine)
            store.database.close()
        found = own_records(mine)
        found = {name: raw for name, raw in found.items() if not name.startswith(own.book.journal)}
        assert found in (old, restored)
        assert found == restored or not decided, "what was decided is carried out by the next start"
        seen.add(found == restored)
        if passphrase(config) is None:
            assert authority(mine) == (["then"] * 2 if found == restored else ["now"] * 2)
        else:
            assert authority(mine) == ["then"] * 2, "it was the same"
        aside = list(mine.data_dir.glob("ledger-replaced-*.db"))
        assert len(aside) == (found == restored), "what was there is kept"
        assert all(check_copy(path) for path in aside)
        with InstanceLock(mine.data_dir):
            restore(mine, left / "stick", passphrase(mine), over=True, now_ms=0, say=lambda _: None)
        assert own_records(mine) == restored
        assert authority(mine) == ["then"] * 2
        assert not list(mine.data_dir.glob("tls-restoring*"))
        assert not (mine.data_dir / READY_NAME).exists()
        assert not (mine.data_dir / PLAN_NAME).exists()
    assert seen == {True, False}
