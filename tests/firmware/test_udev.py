"""The udev rule, read by a small interpreter of udev(7): which devices it names, and which it leaves alone."""

from __future__ import annotations

import fnmatch
import re
from dataclasses import dataclass, field

import pytest
from nfc.clf.device import usb_device_map

from edge.readers.nfcpy import CHIPS
from tests.firmware.unitfiles import FIRMWARE

RULES = (FIRMWARE / "gateway" / "readers.rules").read_text(encoding="utf-8")
TOKEN = re.compile(r'([A-Z]+)(?:\{([^}]+)\})?(==|!=|\+=|=)"([^"]*)"(?:, |$)')
MATCH_KEYS = {"ACTION", "SUBSYSTEM", "SUBSYSTEMS", "DRIVER", "ATTR", "ATTRS", "ENV", "TEST"}
ASSIGN_KEYS = {"GOTO", "LABEL", "ENV", "ATTR", "GROUP", "MODE", "SYMLINK"}


@dataclass
class Device:
    """A device as sysfs shows it; `parent` is the next one up."""

    subsystem: str
    attributes: dict[str, str] = field(default_factory=dict)
    env: dict[str, str] = field(default_factory=dict)
    driver: str = ""
    parent: Device | None = None

    def upwards(self) -> list[Device]:
        return [self, *(self.parent.upwards() if self.parent else [])]


@dataclass
class Outcome:
    """What the rules made of a device."""

    links: list[str] = field(default_factory=list)
    written: dict[str, str] = field(default_factory=dict)
    group: str = "root"
    mode: str = "0600"
    env: dict[str, str] = field(default_factory=dict)


Token = tuple[str, str | None, str, str]


def tokens(line: str) -> list[Token]:
    found = [match.groups() for match in TOKEN.finditer(line)]
    assert "".join(match[0] for match in TOKEN.finditer(line)) == line, f"not understood: {line}"
    for key, _, operator, _ in found:
        assert key in (MATCH_KEYS if operator in ("==", "!=") else ASSIGN_KEYS), key
    return found


LINES = [tokens(line) for line in RULES.splitlines() if line and not line.startswith("#")]


def like(value: str, pattern: str) -> bool:
    return any(fnmatch.fnmatchcase(value, one) for one in pattern.split("|"))


def holds(device: Device, line: list[Token], action: str, env: dict[str, str]) -> bool:
    own = {"ACTION": action, "SUBSYSTEM": device.subsystem, "DRIVER": device.driver}
    upward: list[Token] = []
    for key, name, operator, value in line:
        if operator not in ("==", "!="):
            continue
        if key in ("SUBSYSTEMS", "ATTRS"):
            upward.append((key, name, operator, value))
            continue
        if key == "TEST":
            truth = value in device.attributes
        elif key in ("ATTR", "ENV"):
            assert name is not None
            truth = like((device.attributes if key == "ATTR" else env).get(name, ""), value)
        else:
            truth = like(own[key], value)
        if truth != (operator == "=="):
            return False

    # All keys that search upwards must hold for one and the same device (udev(7)).
    def whole(place: Device) -> bool:
        return all(
            like(place.subsystem if key == "SUBSYSTEMS" else place.attributes.get(name or "", "\0"), value)
            for key, name, _, value in upward
        )

    return not upward or any(whole(place) for place in device.upwards())


def run(device: Device, action: str = "add") -> Outcome:
    outcome = Outcome(env=dict(device.env))
    skipping: str | None = None
    for line in LINES:
        if skipping is not None:
            if ("LABEL", None, "=", skipping) not in line:
                continue
            skipping = None
        if not holds(device, line, action, outcome.env):
            continue
        for key, name, operator, value in line:
            text = re.sub(r"\$env\{(\w+)\}", lambda found: outcome.env.get(found[1], ""), value)
            if operator not in ("=", "+="):
                continue
            if key == "ENV" and name:
                outcome.env[name] = text
            elif key == "ATTR" and name:
                outcome.written[name] = text
            elif key == "SYMLINK":
                assert operator == "+="
                outcome.links.append(text)
            elif key == "GROUP":
                outcome.group = text
            elif key == "MODE":
                outcome.mode = text
            elif key == "GOTO":
                skipping = text
    assert skipping is None, "a GOTO leads nowhere"
    return outcome


def adapter(ids: str, path: str) -> tuple[Device, Device, Device]:
    """A USB serial adapter behind a hub: the USB device, its port on the usb-serial bus, its tty."""
    vendor, product = ids.split(":")
    hub = Device("usb", {"idVendor": "1a86", "idProduct": "8091"}, {"DEVTYPE": "usb_device"}, "usb")
    usb = Device(
        "usb",
        {"idVendor": vendor, "idProduct": product, "power/control": "auto"},
        {"DEVTYPE": "usb_device"},
        "usb",
        hub,
    )
    interface = Device("usb", {"bInterfaceNumber": "00"}, {"DEVTYPE": "usb_interface"}, "ch341", usb)
    driver = "ftdi_sio" if vendor == "0403" else "ch341-uart"
    port = Device("usb-serial", {"port_number": "0", "latency_timer": "16"}, {}, driver, interface)
    return usb, port, Device("tty", {"dev": "188:0"}, {"ID_PATH": path}, "", port)


BRIDGES = ["1a86:7523", "1a86:55d4", "1a86:55d3", "10c4:ea60", "0403:6001", "0403:6015", "067b:2303", "067b:23a3"]


@pytest.mark.parametrize("ids", BRIDGES)
def test_an_adapter_gets_a_name_by_its_socket_and_is_left_in_peace(ids: str) -> None:
    usb, _, tty = adapter(ids, "platform-3f980000.usb-usb-0:1.2:1.0")
    found = run(tty)
    assert found.links == ["k12edge/platform-3f980000.usb-usb-0:1.2:1.0"]
    assert (found.group, found.mode) == ("dialout", "0660")
    assert found.env["ID_MM_PORT_IGNORE"] == "1"
    whole = run(usb)
    assert whole.env["ID_MM_DEVICE_IGNORE"] == "1"
    assert whole.written == {"power/control": "on"}
    assert not whole.links


def test_every_reader_that_the_nfcpy_driver_takes_is_given_to_the_service_and_kept_awake() -> None:
    ids = [ids for ids, chip in usb_device_map.items() if chip in CHIPS]
    assert len(ids) == 6
    for vendor, product in ids:
        usb, _, _ = adapter(f"{vendor:04x}:{product:04x}", "p")
        found = run(usb)
        assert (found.group, found.mode, found.written) == ("dialout", "0660", {"power/control": "on"})
        assert run(usb, "remove").group == "root"


def test_two_adapters_of_one_kind_get_two_names() -> None:
    names = [run(adapter("1a86:7523", f"platform-xhci-hcd.0-usb-0:{port}:1.0")[2]).links for port in (1, 2)]
    assert names[0] != names[1]


@pytest.mark.parametrize("ids", ["12d1:1506", "2c7c:0125", "1a86:8091", "046d:c31c", "0403:8372"])
def test_modems_hubs_and_keyboards_are_not_touched(ids: str) -> None:
    usb, _, tty = adapter(ids, "platform-x-usb-0:1:1.0")
    for device in (usb, tty):
        found = run(device)
        assert found.env == device.env
        assert not found.links
        assert not found.written
        assert found.group == "root"


def test_only_ftdi_adapters_have_a_latency_to_set() -> None:
    assert run(adapter("0403:6001", "p")[1]).written == {"latency_timer": "1"}
    assert run(adapter("1a86:7523", "p")[1]).written == {}


def test_a_unplugged_adapter_is_left_alone() -> None:
    found = run(adapter("1a86:7523", "p")[2], "remove")
    assert not found.links


def test_a_name_without_a_path_is_not_made() -> None:
    tty = adapter("1a86:7523", "p")[2]
    del tty.env["ID_PATH"]
    assert not run(tty).links
