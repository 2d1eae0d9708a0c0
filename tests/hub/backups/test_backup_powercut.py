"""Power cuts of a backup and a restore: a folder with a manifest is whole, a hub is the old or the restored one."""

from __future__ import annotations

import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from random import Random

import pytest

from host.lock import InstanceLock
from hub.backups.manifest import MANIFEST_NAME, check_files, read_manifest
from hub.config import HubConfig, load_hub_config
from hub.mending import open_store
from sim.powercut.disk import CUTS, Disk, lay_out, mark_of
from sim.powercut.recording import Step, read_recording, recording_words
from tests.hub.backups.copies import backed_up, enter, own_records

ROOT = Path(__file__).resolve().parents[3]
MEMORY = Path("/dev/shm")


@pytest.fixture
def config(tmp_path: Path) -> HubConfig:
    path = tmp_path / "hub.toml"
    path.write_text(f'[hub]\nid = "tram"\nschool = "79000701"\ndata_dir = "{tmp_path / "hub"}"\n', encoding="utf-8")
    made = load_hub_config(path)
    enter(made, range(10))
    return made


def recorded(action: str, folder: Path, below: Path) -> list[Step]:
    """What it does to a disk, step by step."""
    # Whole paths: the recording takes names as they are said.
    words = ", ".join(map(repr, [action, str(folder / "hub.toml"), str(folder / "stick")]))
    program = (
        f"from tests.hub.killed import work; from pathlib import Path; a, c, p = {words}; work(a, Path(c), Path(p))"
    )
    command = [*recording_words(folder / "trace"), sys.executable, "-c", program]
    subprocess.run(command, cwd=ROOT, check=True, timeout=60, stderr=subprocess.DEVNULL)
    with (folder / "trace").open(encoding="ascii", errors="replace") as lines:
        return list(read_recording(lines, below))


def cut_everywhere(disk: Disk, steps: list[Step], root: Path, check: Callable[[Path], None], share: float) -> int:
    """Cut after a share of the steps in every way, and look at each state that wasn't seen before; how many."""
    rng, seen = Random(7), set()
    for number, step in enumerate(steps):
        disk.step(step)
        # The end, where names change, is looked at step by step.
        if number < len(steps) - 60 and rng.random() > share:
            continue
        for way in CUTS:
            state = {path: content for path, content in disk.after(way, rng).items() if not path.endswith("-shm")}
            mark = mark_of(state)
            if mark in seen:
                continue
            seen.add(mark)
            folder = Path(tempfile.mkdtemp(prefix="k12edge-cut-", dir=MEMORY if MEMORY.is_dir() else None))
            try:
                lay_out(state, root, folder)
                check(folder)
            finally:
                shutil.rmtree(folder)
    return len(seen)


def test_whatever_a_cut_leaves_of_a_backup_a_manifest_means_a_whole_one(config: HubConfig, tmp_path: Path) -> None:
    stick = tmp_path / "stick"
    backed_up(config, stick)
    disk = Disk()
    disk.load(stick)
    whole = []

    def check(folder: Path) -> None:
        found = [path for path in folder.iterdir() if (path / MANIFEST_NAME).exists()]
        assert found, "the backup before is still there"
        for path in found:
            check_files(path, read_manifest(path))
        whole.append(len(found))

    steps = recorded("backup", tmp_path, stick)
    assert cut_everywhere(disk, steps, stick, check, 0.2) > 40
    assert set(whole) == {1, 2}


def test_whatever_a_cut_leaves_of_a_restore_is_the_old_hub_or_the_restored_one(
    config: HubConfig, tmp_path: Path
) -> None:
    restored = own_records(config)
    backed_up(config, tmp_path / "stick")
    enter(config, range(10, 15))
    old = own_records(config)
    disk = Disk()
    disk.load(config.data_dir)
    seen = set()

    def check(folder: Path) -> None:
        text = (tmp_path / "hub.toml").read_text(encoding="utf-8").replace(str(config.data_dir), str(folder))
        (folder / "hub.toml").write_text(text, encoding="utf-8")
        mine = load_hub_config(folder / "hub.toml")
        with InstanceLock(mine.data_dir):
            store, own = open_store(mine)
            store.database.close()
        found = {name: raw for name, raw in own_records(mine).items() if not name.startswith(own.book.journal)}
        assert found in (old, restored)
        seen.add(found == restored)

    steps = recorded("restore", tmp_path, config.data_dir)
    assert cut_everywhere(disk, steps, config.data_dir, check, 0.1) > 20
    assert seen == {True, False}
