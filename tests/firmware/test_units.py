"""The systemd units: what systemd itself says of them, and what the promise asks of them."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest

from edge.config import KEYS as GATEWAY_KEYS
from hub.config import KEYS as HUB_KEYS
from k12edge.cli import build_parser
from tests.firmware.unitfiles import FIRMWARE, GATEWAY, HUB, UNITS, directives, one

OURS = (GATEWAY, HUB)
MOSQUITTO_UNIT = Path("/lib/systemd/system/mosquitto.service")
JOURNALD = Path("/lib/systemd/systemd-journald")

needs_systemd = pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="Debian's systemd is not installed")


def program(folder: Path, path: str) -> None:
    target = folder / path.lstrip("/")
    target.parent.mkdir(parents=True, exist_ok=True)
    target.write_text("#!/bin/sh\n")
    target.chmod(0o755)


@needs_systemd
@pytest.mark.parametrize("unit", UNITS, ids=lambda u: u.stem)
def test_systemd_finds_nothing_wrong(unit: Path, tmp_path: Path) -> None:
    # verify wants the program to exist; it lies where a release puts it, so the unit is read with another prefix.
    words = one(unit, "ExecStart").split()
    program(tmp_path, words[0])
    copy = tmp_path / unit.name
    copy.write_text(unit.read_text().replace("/opt/k12edge", f"{tmp_path}/opt/k12edge"))
    found = subprocess.run(
        ["systemd-analyze", "verify", "--man=no", "--generators=no", "--recursive-errors=no", str(copy)],
        capture_output=True,
        text=True,
        env={**os.environ, "SYSTEMD_COLORS": "0"},
    )
    said = [line for line in found.stderr.splitlines() if unit.name in line]
    assert found.returncode == 0, found.stderr
    assert not said


@needs_systemd
def test_the_check_sees_a_wrong_directive(tmp_path: Path) -> None:
    copy = tmp_path / "wrong.service"
    copy.write_text(GATEWAY.read_text().replace("/opt/k12edge/current/bin/k12edge", "/bin/true") + "\nRestrat=always\n")
    found = subprocess.run(
        ["systemd-analyze", "verify", "--man=no", "--recursive-errors=no", str(copy)], capture_output=True, text=True
    )
    assert "Restrat" in found.stderr


@needs_systemd
@pytest.mark.parametrize("unit", UNITS, ids=lambda u: u.stem)
def test_exposure_is_small(unit: Path) -> None:
    # systemd's own scale, in tenths: 0 closed, 100 open; a service without any hardening has 96.
    found = subprocess.run(
        ["systemd-analyze", "security", "--no-pager", "--offline=yes", "--threshold=30", str(unit)],
        capture_output=True,
        text=True,
    )
    assert found.returncode == 0, found.stdout[-300:] + found.stderr


@pytest.mark.parametrize("unit", UNITS, ids=lambda u: u.stem)
def test_never_gives_up(unit: Path) -> None:
    assert one(unit, "Restart") == "always"
    assert one(unit, "StartLimitIntervalSec") == "0"
    assert float(one(unit, "RestartSec")) <= 5
    assert "RestartPreventExitStatus" not in directives(unit)
    assert one(unit, "WantedBy") == "multi-user.target"


@pytest.mark.parametrize("unit", UNITS, ids=lambda u: u.stem)
def test_waits_for_neither_network_nor_clock(unit: Path) -> None:
    ordering = ("After", "Requires", "Wants", "BindsTo", "Requisite", "PartOf", "ConditionPathExists")
    assert not set(ordering) & set(directives(unit))


@pytest.mark.parametrize("unit", OURS, ids=lambda u: u.stem)
def test_a_clean_end_has_time_and_an_unclean_one_an_end(unit: Path) -> None:
    # The command line promises 3 s.
    assert 3 < float(one(unit, "TimeoutStopSec")) <= 15
    # SIGTERM to the main process alone: a hub must say goodbye over its broker before that ends.
    assert one(unit, "KillMode") == "mixed"


@pytest.mark.parametrize(("unit", "keys"), [(GATEWAY, GATEWAY_KEYS), (HUB, HUB_KEYS)], ids=["gateway", "hub"])
def test_data_lies_where_the_unit_may_write(unit: Path, keys: tuple[object, ...]) -> None:
    data_dir = next(key for key in keys if getattr(key, "name", "") == "data_dir")
    assert one(unit, "ProtectSystem") == "strict"
    assert str(getattr(data_dir, "default", "")).startswith(f"/var/lib/{one(unit, 'StateDirectory')}/")
    assert one(unit, "StateDirectoryMode") == "0700"
    assert one(unit, "UMask") == "0077"


@pytest.mark.parametrize("unit", OURS, ids=lambda u: u.stem)
def test_the_command_line_knows_what_is_started(unit: Path) -> None:
    name, *words = one(unit, "ExecStart").split()
    assert name == "/opt/k12edge/current/bin/k12edge"
    arguments = build_parser().parse_args(words)
    assert arguments.config == Path("/etc/k12edge") / f"{words[0]}.toml"


def test_a_gateway_has_the_memory_it_is_promised_to_need() -> None:
    # 50 MiB with a backlog of 100,000 taps, and as much again for the page cache of the files.
    assert int(one(GATEWAY, "MemoryHigh").removesuffix("M")) >= 100
    assert int(one(GATEWAY, "MemoryMax").removesuffix("M")) > int(one(GATEWAY, "MemoryHigh").removesuffix("M"))
    # A Pi Zero 2 W has 512 MiB for everything.
    assert int(one(GATEWAY, "MemoryMax").removesuffix("M")) <= 256


def test_a_gateways_readers_are_within_reach() -> None:
    found = directives(GATEWAY)
    assert found["SupplementaryGroups"] == ["dialout"]
    assert found["DevicePolicy"] == ["closed"]
    classes = {value.split()[0] for value in found["DeviceAllow"]}
    assert classes == {"char-ttyUSB", "char-ttyACM", "char-ttyAMA", "char-ttyS", "char-usb_device"}
    assert "PrivateDevices" not in found
    # A class of a module that isn't loaded when the service starts would be left out for good.
    modules = (FIRMWARE / "gateway" / "modules-load.conf").read_text().split("\n")
    assert {"usbserial", "cdc_acm"} <= set(modules)


@pytest.mark.parametrize("unit", UNITS, ids=lambda u: u.stem)
def test_no_dump_and_no_privilege(unit: Path) -> None:
    assert one(unit, "LimitCORE") == "0"
    assert one(unit, "NoNewPrivileges") == "yes"
    assert one(unit, "CapabilityBoundingSet") == ""


@needs_systemd
@pytest.mark.skipif(not MOSQUITTO_UNIT.exists(), reason="Debian's mosquitto is not installed")
def test_mosquittos_service_takes_our_drop_in(tmp_path: Path) -> None:
    (tmp_path / "mosquitto.service").write_text(MOSQUITTO_UNIT.read_text())
    ours = tmp_path / "mosquitto.service.d" / "k12edge.conf"
    ours.parent.mkdir()

    def said(text: str) -> str:
        ours.write_text(text)
        words = ["systemd-analyze", "verify", "--man=no", "--recursive-errors=no", str(tmp_path / "mosquitto.service")]
        found = subprocess.run(words, capture_output=True, text=True)
        return "".join(line for line in found.stderr.splitlines() if "k12edge.conf" in line)

    text = (FIRMWARE / "hub" / "mosquitto-service.conf").read_text()
    assert said(text) == ""
    assert "Restrat" in said(text.replace("Restart=", "Restrat="))


@needs_systemd
def test_a_gateways_service_takes_the_drop_in_for_pins(tmp_path: Path) -> None:
    program(tmp_path, one(GATEWAY, "ExecStart").split()[0])
    unit = tmp_path / GATEWAY.name
    unit.write_text(GATEWAY.read_text().replace("/opt/k12edge", f"{tmp_path}/opt/k12edge"))
    ours = tmp_path / f"{GATEWAY.name}.d" / "pins.conf"
    ours.parent.mkdir()

    def said(text: str) -> str:
        ours.write_text(text)
        words = ["systemd-analyze", "verify", "--man=no", "--recursive-errors=no", str(unit)]
        found = subprocess.run(words, capture_output=True, text=True)
        return "".join(line for line in found.stderr.splitlines() if "pins.conf" in line)

    text = (FIRMWARE / "gateway" / "pins.conf").read_text()
    assert said(text) == ""
    assert "DeviceAlow" in said(text.replace("DeviceAllow=", "DeviceAlow="))
    # What lgpio can't be loaded without is a place where it may write.
    assert one(ours, "WorkingDirectory") == f"/run/{one(ours, 'RuntimeDirectory')}"


@pytest.mark.skipif(not JOURNALD.exists(), reason="Debian's systemd is not installed")
def test_journald_knows_every_key() -> None:
    # It has no mode that checks a configuration; the names that it knows stand in its program.
    known = JOURNALD.read_bytes()
    keys = re.findall(r"^(\w+)=", (FIRMWARE / "common" / "journald.conf").read_text(), re.M)
    assert len(keys) > 4
    for key in (*keys, "SystemMaxUse"):
        assert b"Journal." + key.encode() + b"\0" in known, key
    assert b"Journal.SystemMaxUsage\0" not in known


def test_journald_is_bounded() -> None:
    text = (FIRMWARE / "common" / "journald.conf").read_text()
    sizes = dict(re.findall(r"^(\w+)=(\d+)M$", text, re.M))
    assert int(sizes["SystemMaxUse"]) <= 128
    assert int(sizes["RuntimeMaxUse"]) <= 32
    assert "Storage=persistent" in text
