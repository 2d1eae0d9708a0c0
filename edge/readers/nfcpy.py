"""USB readers (ACR122U, SCL3711 and other PN533, RC-S380) through nfcpy's chip drivers, without PC/SC."""

from __future__ import annotations

import errno
import importlib
import logging
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any, Final, Protocol

from edge.ports import CardRead, ReaderGone
from edge.readers.pn53xfield import Pn53xField
from edge.readers.presence import FIELD_PAUSE_S
from edge.readers.sensedfield import SensedField
from edge.readers.usbwire import bounded
from protocol.cardforms import PartialPlan
from protocol.errors import ReaderLost, ReaderRefused

CHIPS: Final = ("acr122", "pn533", "rcs380")
"""Of nfcpy's drivers those that were tried here, against emulated readers; the others are older, or stricter."""
OPEN_S: Final = 2.0
"""No further reader is tried after so long, so that `open` ends within its 3 s."""

log = logging.getLogger("k12edge.nfcpy")


class _Field(Protocol):
    def look(self) -> tuple[CardRead, ...]: ...


class NfcUsbReader:
    """See ports.Reader. `usb` takes the first reader that can be had, `usb:VID:PID` the first of that make."""

    pause_s = FIELD_PAUSE_S
    moments = False
    partials: tuple[PartialPlan, ...] = ()
    unread = 0

    def __init__(self, where: str, root: Path = Path("/")) -> None:
        """The reader may be plugged in later. Below `root` lies what tells who holds a reader that is taken."""
        self._where = where
        self._root = root
        self._wire: Any = None
        self._field: _Field | None = None

    def open(self) -> None:
        """See Reader.open."""
        self.close()
        deadline_s = time.monotonic() + OPEN_S
        problems: list[str] = []
        for name, chip, bus, address in self._found():
            try:
                self._wire = bounded(bus, address)
                self._field = self._prepared(chip, self._wire)
            except Exception as problem:
                problems.append(f"{name}: {_told(problem, self._root)}")
                self.close()
                if time.monotonic() > deadline_s:
                    break
            else:
                return
        raise ReaderLost("; ".join(problems) or f"no reader is plugged in as nfcpy:{self._where}")

    def _found(self) -> list[tuple[str, str, int, int]]:
        """Name, nfcpy's driver, bus and address of each reader that could be meant."""
        try:
            from nfc.clf.device import usb_device_map
            from nfc.clf.transport import USB

            found = USB.find(self._where) or []
        except Exception as problem:
            # What loads the C library has its own kinds of errors for that.
            raise ReaderLost(
                "USB can't be asked for readers (its library comes with `apt install libusb-1.0-0`): "
                + _told(problem, self._root)
            ) from problem
        able = {ids: chip for ids, chip in usb_device_map.items() if chip in CHIPS}
        wanted = self._where.split(":")[1:]
        if wanted and tuple(int(digits, 16) for digits in wanted) not in able:
            known = ", ".join(f"usb:{vid:04x}:{pid:04x} ({chip})" for (vid, pid), chip in sorted(able.items()))
            raise ReaderRefused(f"nfcpy:{self._where} is no reader that this driver knows: it knows {known}")
        return [
            (f"usb:{vid:04x}:{pid:04x} at {bus}-{address}", able[vid, pid], bus, address)
            for vid, pid, bus, address in found
            if (vid, pid) in able
        ]

    def _prepared(self, chip: str, wire: Any) -> _Field:
        device = importlib.import_module(f"nfc.clf.{chip}").init(wire)
        return SensedField(device) if chip == "rcs380" else Pn53xField(device.chipset)

    def poll(self) -> Sequence[CardRead]:
        """See Reader.poll."""
        if self._field is None:
            raise ReaderLost("the reader is not open")
        try:
            return self._field.look()
        except Exception as problem:
            if self._wire.ended:
                raise ReaderGone(f"nfcpy:{self._where}: {_told(problem, self._root)}") from problem
            # Its answer may still be on the way.
            self._wire.late = True
            raise ReaderLost(f"nfcpy:{self._where}: {_told(problem, self._root)}") from problem

    def close(self) -> None:
        """See Reader.close."""
        wire, self._wire, self._field = self._wire, None, None
        if wire is not None:
            with suppress(Exception):
                wire.end()


def _told(problem: BaseException, root: Path) -> str:
    """What happened, and where somebody else has the reader, who and what to do."""
    code = getattr(problem, "errno", None) if isinstance(problem, OSError) else None
    if code == errno.EBUSY:
        holders: list[tuple[str, Callable[[], bool], str]] = [
            (
                "the kernel's pn533 module",
                (root / "sys/module/pn533_usb").exists,
                "unload it: modprobe -r pn533_usb, and `blacklist pn533_usb` in /etc/modprobe.d",
            ),
            (
                "pcscd",
                (root / "run/pcscd/pcscd.comm").exists,
                "stop it: systemctl disable --now pcscd.socket pcscd.service, or use the reader by its pcsc: address",
            ),
        ]
        seen = [f"{who} has it ({what})" for who, there, what in holders if there()]
        return "it is taken: " + (" or ".join(seen) or "another program has it; end that, or give it another reader")
    if code == errno.EACCES:
        return "this user may not use it: a udev rule must give it (firmware-config/gateway/readers.rules)"
    text = str(problem)
    return f"{type(problem).__name__}: {text}" if text else type(problem).__name__


for _name in ("acr122", "pn533", "rcs380", "transport"):
    # nfcpy logs every lost answer as an error; whoever keeps the reader tells it once.
    logging.getLogger(f"nfc.clf.{_name}").setLevel(logging.CRITICAL)
