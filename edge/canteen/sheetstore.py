"""The counters' sheet on the gateway's disk: the last good one, signed and sealed as it came, for ever.

A hub that was restored may lack what it told before. Until a person there has looked, its sheets say so, and the last
one from before stays beside them: no child's alert goes because a disk did.
"""

from __future__ import annotations

import logging
import os
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Final

from msgspec.structs import replace

from host.durable import out_of_the_way, write_durably
from protocol.countersheet import CounterSheet, SealedSheet, unpack_sheet
from protocol.errors import BadMessage
from protocol.signing import open_message
from protocol.status import decode_body
from protocol.topics import device_topic

if TYPE_CHECKING:
    from edge.devicekeys import DeviceKeys

log = logging.getLogger("k12edge.canteen")

FILE_NAME: Final = "countersheet.sealed"
BEFORE_NAME: Final = "countersheet-before.sealed"
"""The last sheet before those of a hub that was restored; gone once a person there has looked at the diets."""
DAMAGED_NAME: Final = "countersheet-damaged.sealed"
FILE_BYTES_MAX: Final = 8 * 1024 * 1024
"""Twice what a broker takes as one message; more is no sheet."""


class SheetStore:
    """Whole or nothing: a sheet is on the disk before a counter sees it. What lies there is only for this gateway."""

    def __init__(self, data_dir: Path, school: str, device: str, keys: DeviceKeys) -> None:
        """Open what is there; a file that isn't what our hub sent us is set aside, and named in `damaged`."""
        self._path, self._before = data_dir / FILE_NAME, data_dir / BEFORE_NAME
        self._topic, self._school, self._keys = device_topic(school, device, "sheet"), school, keys
        self.current: CounterSheet | None = None
        self.damaged: list[str] = []
        if not self._path.exists():
            return
        try:
            if self._path.stat().st_size > FILE_BYTES_MAX:
                raise BadMessage(f"{FILE_NAME} is larger than {FILE_BYTES_MAX} bytes")
            self.current = self._beside_before(self._opened(self._path.read_bytes()))
        except (BadMessage, OSError) as problem:
            self.damaged.append(f"{self._aside()}: {problem}")

    @property
    def version(self) -> int:
        """The version in force, 0 where none ever came."""
        return 0 if self.current is None else self.current.version

    def _aside(self) -> str:
        """Rename what can't be read, over what was set aside before."""
        aside = out_of_the_way(self._path)
        if aside is None:
            out_of_the_way(self._path.with_name(DAMAGED_NAME))
            os.replace(self._path, self._path.with_name(DAMAGED_NAME))
        return aside or DAMAGED_NAME

    def _opened(self, payload: bytes) -> CounterSheet:
        hub = self._keys.hub_key
        if hub is None:
            raise BadMessage("no hub was met yet")
        sealed = decode_body(open_message(hub, self._topic, payload), SealedSheet)
        sheet = unpack_sheet(self._keys.identity.open(sealed.sealed))
        if sheet.school != self._school or sheet.version != sealed.version:
            raise BadMessage(f"a sheet of {sheet.school[:80]}, version {sheet.version}, where another belongs")
        return sheet

    def _beside_before(self, sheet: CounterSheet) -> CounterSheet:
        """What holds: with the alerts of the sheet from before, where this one's hub asks for it."""
        if not sheet.keep_alerts or not self._before.exists():
            return sheet
        try:
            return with_alerts_of(self._opened(self._before.read_bytes()), sheet)
        except (BadMessage, OSError) as problem:
            self.damaged.append(f"{BEFORE_NAME}: {problem}")
            return sheet

    def take(self, payload: bytes) -> bool:
        """Keep a message's sheet if its version is higher; False where it isn't. Raises BadMessage, OSError."""
        sheet = self._opened(payload)
        if self.current is not None and sheet.version <= self.current.version:
            return False
        if sheet.keep_alerts and self.current is not None and not self.current.keep_alerts:
            write_durably(self._before, self._path.read_bytes())
        write_durably(self._path, payload)
        self.current = self._beside_before(sheet)
        if not sheet.keep_alerts:
            # One that stays is passed over, and replaced when it is needed again.
            with suppress(OSError):
                self._before.unlink(missing_ok=True)
        log.info("counters' sheet %d of %s: %d eaters", sheet.version, sheet.day, len(sheet.eaters))
        return True


def with_alerts_of(before: CounterSheet, sheet: CounterSheet) -> CounterSheet:
    """The sheet, in which nobody lacks an alert of the one before; confirmed is what each that says it confirms."""
    known = {eater.student: eater for eater in before.eaters if eater.alerts}
    eaters = []
    for eater in sheet.eaters:
        old = known.get(eater.student)
        more = [] if old is None else [alert for alert in old.alerts if alert not in eater.alerts]
        if old is not None and more:
            confirmed = old.confirmed and (eater.confirmed or not eater.alerts)
            eater = replace(eater, alerts=[*eater.alerts, *more], confirmed=confirmed)
        eaters.append(eater)
    return replace(sheet, eaters=eaters)
