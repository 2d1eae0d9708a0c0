"""An OSDP reader (PD) on a pseudo-terminal: libosdp's own, with the cards, keys and faults of readers and cables.

libosdp's PD forgets its last reply; here it is kept and said again to a command that is repeated, as OSDP 2.2 wants.
"""

from __future__ import annotations

import os
import pty
import select
import threading
import time
import tty
from binascii import crc_hqx
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from random import Random
from types import TracebackType
from typing import Any, Final, Literal

from sim.emulators.wires import Wire, clean

Mode = Literal["secure", "install", "plain"]

START, MARK = 0x53, 0xFF
CRC_START: Final = 0x1D0F
CAPABILITIES: Final = 0x46
SECURITY_FUNCTION: Final = 9
START_S: Final = 10.0


@dataclass(slots=True)
class LineFaults:
    """Probabilities per reply (0 to 1): bytes before it, a changed bit, no reply that arrives, only its beginning."""

    noise: float = 0.0
    broken: float = 0.0
    silent: float = 0.0
    short: float = 0.0


class OsdpPd:
    """One reader on its own thread, plugged in under `link`. Its methods may be called from any thread.

    `mode`: `secure` has `key`; `install` has none and takes the default one; `plain` has no Secure Channel at all.
    `commands`: what it was told to do with its lamp and buzzer, as libosdp's dictionaries; `refuses` are answered NAK.
    `break_next`: so many replies come broken. `lie`: what is said instead, made from command and true reply.
    """

    id = 0

    def __init__(self, link: Path, key: bytes, *, address: int = 0, seed: int = 0, plugged: bool = True) -> None:
        """`seed` of its faults."""
        self.link, self.address, self.key = link, address, key
        self.mode: Mode = "secure"
        self.faults = LineFaults()
        self.commands: list[dict[str, Any]] = []
        self.refuses: set[int] = set()
        self.wire: Wire = clean
        self.asked = 0
        self.break_next = 0
        self.lie: Callable[[bytes, bytes], bytes] | None = None
        self.master = -1
        self._slave = -1
        self._rng = Random(seed)
        self._buffer = bytearray()
        self._inbox = bytearray()
        self._last: tuple[bytes, bytes] | None = None
        self._replying = b""
        self._device: Any = None
        # libosdp's command callback gives back one reference too many of what it was answered with (3.2.9): never
        # None, of which a process would run out, but an object that each new pair of answers counts up again.
        self._nothing = object()
        self._jobs: list[tuple[Callable[[], None], threading.Event]] = []
        self._lock = threading.Lock()
        self._stopping = False
        self._wake_out, self._wake_in = os.pipe()
        self._thread = threading.Thread(target=self._run, name="osdp-pd", daemon=True)
        self._thread.start()
        self.do(self._power)
        if plugged:
            self.plug()

    # --- what a test does with it ---------------------------------------------------------------------------------

    def plug(self) -> None:
        """Appear under the link path."""
        self.do(self._plug)

    def unplug(self) -> None:
        """Vanish: the line ends for whoever has it open."""
        self.do(self._unplug)

    def become(self, mode: Mode, key: bytes | None = None) -> None:
        """Start anew with another mode or key; cards that waited to be asked for are forgotten."""

        def change() -> None:
            self.mode, self.key = mode, key or self.key
            self._power()

        self.do(change)

    def show(self, bits: int, data: bytes, *, wiegand: bool = False) -> None:
        """A card before the reader: `bits` bits of `data`, told at the next poll of a control panel."""
        import osdp_sys

        kind = osdp_sys.CARD_FMT_RAW_WIEGAND if wiegand else osdp_sys.CARD_FMT_RAW_UNSPECIFIED
        card = {"reader_no": 0, "format": kind, "direction": 0, "length": bits, "data": data}
        self.do(lambda: self._device.submit_event({"event": osdp_sys.EVENT_CARDREAD, **card}))

    def secured(self) -> bool:
        """Whether a control panel has its Secure Channel open."""
        return self.master >= 0 and self._device is not None and bool(self._device.is_sc_active())

    def say(self, octets: bytes) -> None:
        """Put these bytes on the line, unasked."""
        self.do(lambda: self._put(octets))

    def do(self, job: Callable[[], None]) -> None:
        """Run a job on the reader's thread; returns when it is done."""
        done = threading.Event()
        with self._lock:
            self._jobs.append((job, done))
        os.write(self._wake_in, b".")
        if not done.wait(START_S):
            raise TimeoutError("the emulated OSDP reader does not answer")

    def close(self) -> None:
        """Unplug and end the thread."""
        if self._thread.is_alive():
            self.do(self._stop)
            self._thread.join(START_S)

    def __enter__(self) -> OsdpPd:
        """For a block."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Close it."""
        self.close()

    # --- its thread -----------------------------------------------------------------------------------------------

    def _run(self) -> None:
        while not self._stopping:
            watched = [self._wake_out] if self.master < 0 else [self._wake_out, self.master]
            readable, _, _ = select.select(watched, [], [])
            if self._wake_out in readable:
                os.read(self._wake_out, 4096)
                with self._lock:
                    jobs, self._jobs = self._jobs, []
                for job, done in jobs:
                    job()
                    done.set()
            elif self.master in readable:
                self._readable()
        self._device = None
        os.close(self._wake_out)
        os.close(self._wake_in)

    def _stop(self) -> None:
        self._stopping = True
        self._unplug()

    def _plug(self) -> None:
        if self.master >= 0:
            return
        self.master, self._slave = pty.openpty()
        tty.setraw(self._slave)
        os.set_blocking(self.master, False)
        draft = self.link.with_name(self.link.name + ".new")
        draft.unlink(missing_ok=True)
        draft.symlink_to(os.ttyname(self._slave))
        draft.rename(self.link)
        self._buffer.clear()

    def _unplug(self) -> None:
        self.link.unlink(missing_ok=True)
        for descriptor in (self.master, self._slave):
            if descriptor >= 0:
                os.close(descriptor)
        self.master = self._slave = -1

    def _power(self) -> None:
        import osdp_sys

        osdp_sys.set_loglevel(osdp_sys.LOG_EMERG)
        abilities = [
            {"function_code": osdp_sys.CAP_CARD_DATA_FORMAT, "compliance_level": 1, "num_items": 1},
            {"function_code": osdp_sys.CAP_READER_LED_CONTROL, "compliance_level": 1, "num_items": 1},
            {"function_code": osdp_sys.CAP_READER_AUDIBLE_OUTPUT, "compliance_level": 1, "num_items": 1},
        ]
        scbk = None if self.mode == "install" else self.key
        about = {"version": 1, "model": 1, "vendor_code": 0xCAFE, "serial_number": 1, "firmware_version": 1}
        info = {"name": "pd", "address": self.address, "flags": 0, "scbk": scbk, "channel": self, **about}
        self._last = None
        self._device = osdp_sys.PeripheralDevice(info, capabilities=abilities)
        self._device.set_command_callback(self._told)

    def _told(self, command: dict[str, Any]) -> tuple[int, object]:
        refused = command["command"] in self.refuses
        if not refused:
            self.commands.append(dict(command))
        return -1 if refused else 0, self._nothing

    # --- the line -------------------------------------------------------------------------------------------------

    def _readable(self) -> None:
        try:
            self._buffer += os.read(self.master, 1024)
        except OSError:
            return
        while True:
            at = self._buffer.find(START)
            if at < 0:
                return
            if len(self._buffer) < at + 5:
                return
            length = self._buffer[at + 2] | self._buffer[at + 3] << 8
            if len(self._buffer) < at + length:
                return
            marked = at > 0 and self._buffer[at - 1] == MARK
            command = bytes(self._buffer[at - marked : at + length])
            del self._buffer[: at + length]
            self._command(command)

    def _command(self, command: bytes) -> None:
        self.asked += 1
        if self._last is None or self._last[0] != command:
            self._replying = b""
            self._inbox += command
            self._device.refresh()
            self._last = command, self._replying
        true = self._last[1]
        self._disturbed(true if self.lie is None else self.lie(command, true))

    def read(self, limit: int) -> bytes:
        """For libosdp: the command's next bytes."""
        piece = bytes(self._inbox[:limit])
        del self._inbox[:limit]
        return piece

    def write(self, reply: bytes) -> int:
        """For libosdp: its reply."""
        self._replying += self._plain(reply) if self.mode == "plain" else reply
        return len(reply)

    def flush(self) -> None:
        """For libosdp: nothing waits."""

    def _plain(self, reply: bytes) -> bytes:
        """What a reader without Secure Channel says of itself: libosdp's own always has one."""
        bare = bytearray(reply[reply[0] == MARK :])
        if bare[5] != CAPABILITIES:
            return reply
        for at in range(6, len(bare) - 2, 3):
            if bare[at] == SECURITY_FUNCTION:
                bare[at + 1 : at + 3] = b"\0\0"
        bare[-2:] = crc_hqx(bytes(bare[:-2]), CRC_START).to_bytes(2, "little")
        return bytes(bare)

    def _disturbed(self, reply: bytes) -> None:
        faults, draw = self.faults, self._rng.random
        if not reply or draw() < faults.silent:
            return
        if self.break_next > 0 or draw() < faults.broken:
            self.break_next -= 1
            # Behind the length, so that the frame is whole and only its check is wrong.
            at = self._rng.randrange(6, len(reply))
            reply = reply[:at] + bytes((reply[at] ^ 1 << self._rng.randrange(8),)) + reply[at + 1 :]
        if draw() < faults.short:
            reply = reply[: self._rng.randrange(1, len(reply))]
        if draw() < faults.noise:
            reply = bytes(self._rng.randrange(256) for _ in range(self._rng.randrange(1, 12))) + reply
        self._put(reply)

    def _put(self, octets: bytes) -> None:
        try:
            for wait_s, piece in self.wire(octets, self._rng):
                time.sleep(wait_s)
                os.write(self.master, piece)
        except (BlockingIOError, OSError):
            # Nobody reads; a real reader's bytes would be lost as well.
            return
