"""A USB reader's line: nfcpy's own transport, whose every wait ends, and that gives back all that it took."""

from __future__ import annotations

import errno
from contextlib import suppress
from typing import Any, Final

WAIT_MS: Final = 200
"""Where nfcpy would wait for ever (libusb takes a timeout of 0 for that)."""
LATE_MS: Final = 3
"""For an answer that came too late, and now would be taken for that of the next command."""
LATE_MAX: Final = 8
FRAMES_MAX: Final = 64
"""Frames read between two writes: nfcpy reads until silence when it begins, and acknowledgements while they come."""


def bounded(bus: int, address: int) -> Any:
    """The transport of the device there, its interface claimed. Raises OSError, and whatever libusb raises."""
    # nfcpy is loaded only where such a reader is used.
    from nfc.clf.transport import USB

    class Wire(USB):  # type: ignore[misc]  # nfcpy has no types.
        """`ended`: the device is gone. `late`: an answer may still be under way."""

        def __init__(self) -> None:
            self.context = self.usb_dev = None
            self.ended, self.late, self.frames = False, True, 0
            try:
                super().__init__(bus, address)
            except BaseException:
                # Who holds the error holds this object, too; the context must not wait for that.
                self.end()
                raise

        def read(self, timeout: int = 0) -> Any:
            self.frames += 1
            if self.frames > FRAMES_MAX:
                raise OSError(errno.EIO, "the reader doesn't stop")
            try:
                return super().read(max(1, int(timeout)) if timeout else WAIT_MS)
            except OSError as problem:
                self.ended |= problem.errno == errno.ENODEV
                self.late = True
                raise

        def write(self, frame: Any, timeout: int = 0) -> None:
            if self.late:
                self.late = False
                with suppress(OSError):
                    for _ in range(LATE_MAX):
                        super().read(LATE_MS)
            self.frames = 0
            try:
                super().write(frame, timeout or WAIT_MS)
            except OSError as problem:
                self.ended |= problem.errno == errno.ENODEV
                raise

        def end(self) -> None:
            """Give back interface, device and context, whatever of it there is."""
            with suppress(Exception):
                self.close()
            context, self.context = self.context, None
            if context:
                context.exit()

    return Wire()
