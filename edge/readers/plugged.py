"""What is plugged in: serial ports, keyboards and known USB readers of this machine, and the addresses to try."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from edge.readers.stableport import FOLDERS

USB_READERS: Final = {
    "072f:2200": "ACR122U",
    "072f:90cc": "ACR38U",
    "054c:06c1": "RC-S380",
    "054c:06c3": "RC-S380",
    "04cc:0531": "PN531",
    "04cc:2533": "PN533",
    "04e6:5591": "SCL3711",
    "076b:5422": "Omnikey 5422",
}
"""USB readers by vendor and product id (their descriptors)."""
ADAPTERS: Final = {
    "1a86": "CH340/CH343",
    "10c4": "CP210x",
    "0403": "FTDI",
    "067b": "PL2303",
}
"""Makers of USB serial adapters by vendor id; firmware-config/gateway/readers.rules names their products."""


@dataclass(frozen=True, slots=True)
class Plugged:
    """Something that may be a reader: `kind` (`serial`, `keyboard`, `usb`), what it is, where, and addresses to try."""

    kind: str
    what: str
    path: str
    addresses: tuple[str, ...]


def plugged(dev: Path = Path("/dev"), sys: Path = Path("/sys")) -> tuple[Plugged, ...]:
    """Everything found, serial ports first; never raises: what can't be read isn't there."""
    return (*_serial_ports(dev, sys), *_keyboards(dev), *_usb(sys))


def _serial_ports(dev: Path, sys: Path) -> Iterator[Plugged]:
    stable = _stable_names(dev)
    for device in sorted(_listed(sys / "class" / "tty")):
        node = dev / device.name
        if not device.name.startswith(("ttyUSB", "ttyACM", "ttyAMA", "ttyS")) or not node.exists():
            continue
        if device.name.startswith("ttyS") and not _answers_as_a_port(device):
            continue
        path = stable.get(os.path.realpath(node), str(node))
        vendor = _usb_vendor(device)
        what = ADAPTERS.get(vendor, f"USB {vendor}") if vendor else "UART"
        yield Plugged("serial", what, path, (f"pn532://{path}", f"lines://{path}?format=…"))


def _answers_as_a_port(device: Path) -> bool:
    """A PC lists 32 serial ports; those without hardware have type 0 (PORT_UNKNOWN, linux/serial_core.h)."""
    return _text(device / "type") not in ("", "0")


def _usb_vendor(device: Path) -> str:
    at = Path(os.path.realpath(device / "device"))
    for folder in (at, *at.parents):
        vendor = _text(folder / "idVendor")
        if vendor:
            return vendor
    return ""


def _stable_names(dev: Path) -> dict[str, str]:
    """Where a port lies -> the surest of its names that outlive a replugging."""
    names: dict[str, str] = {}
    for folder in FOLDERS:
        for name in sorted(_listed(dev / Path(folder).relative_to("/dev"))):
            names.setdefault(os.path.realpath(name), str(name))
    return names


def _keyboards(dev: Path) -> Iterator[Plugged]:
    for name in sorted(_listed(dev / "input" / "by-id")):
        if name.name.endswith("-event-kbd"):
            what = name.name.removeprefix("usb-").removesuffix("-event-kbd")
            yield Plugged("keyboard", what, str(name), (f"keyboard://{name}?format=…",))


def _usb(sys: Path) -> Iterator[Plugged]:
    for device in sorted(_listed(sys / "bus" / "usb" / "devices")):
        ids = f"{_text(device / 'idVendor')}:{_text(device / 'idProduct')}"
        what = USB_READERS.get(ids)
        if what is not None:
            yield Plugged("usb", what, ids, ("pcsc:", f"nfcpy:usb:{ids}"))


def _listed(folder: Path) -> list[Path]:
    try:
        return list(folder.iterdir())
    except OSError:
        return []


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="ascii", errors="replace").strip()
    except OSError:
        return ""
