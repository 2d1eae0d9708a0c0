"""The whole PN532 driver, nfcpy included, on an emulated chip whose next answers are hostile bytes.

A card that computes lies beside a plain one, so that they also strike while it is asked.
"""

from __future__ import annotations

import hashlib
import time
from collections import deque
from dataclasses import dataclass, field
from pathlib import Path
from random import Random
from typing import Final

from edge.readers.keeping import FAULTS_IN_ROW_MAX
from edge.readers.pn532 import Pn532Reader
from protocol.errors import ReaderLost
from sim.emulators.bench import Bench
from sim.emulators.pn532 import ACK, ERROR_FRAME, NACK, FieldCard, Pn532Emulator, framed
from sim.emulators.sun import sun_card
from sim.fuzz.mutator import Mutator, sound_bytes
from sim.fuzz.parser import Parser, must

CARD: Final = FieldCard(bytes.fromhex("04A1B2C3D4E580"))
LOOK_S: Final = 3.0
"""A look that met hostile bytes may take so long; ports.Reader says 300 ms, of which a loaded machine knows nothing."""
ANSWERS_MAX: Final = 6


@dataclass(slots=True)
class _HostileChip(Pn532Emulator):
    """Says what is laid in before anything of its own."""

    laid_in: deque[bytes] = field(default_factory=deque)

    def _put(self, frame: bytes) -> None:
        Pn532Emulator._put(self, self.laid_in.popleft() if self.laid_in else frame)


class DriverLine(Parser):
    """`driver`: looks that meet hostile answers fail in time, as a lost reader; afterwards the card is seen again."""

    name = "driver"
    refusals = (ReaderLost,)
    share = 20_000
    cpu_ms_max = 500.0

    def __init__(self, folder: Path) -> None:
        """See Parser."""
        super().__init__(folder)
        self._bench = Bench()
        made: list[_HostileChip] = []
        self._bench.do(lambda: made.append(_HostileChip(folder / "reader")))
        self._chip = made[0]
        self._bench.do(lambda: self._bench.emulators.append(self._chip))
        self._reader = Pn532Reader(str(folder / "reader"))
        self._open = False
        listed = framed(b"\xd5\x4b\x01" + CARD.listed(1))
        sound = (
            ACK, NACK, ERROR_FRAME, listed, framed(b"\xd5\x33"), ACK + framed(b"\xd5\x33"), ACK * 40, framed(b""),
            framed(b"\xd5\x13"), framed(b"\xd5\x41\x00\x90\x00"), framed(b"\xd5\x41\x00\x00\x50\x90\x00"),
        )  # fmt: skip
        self._mutator = Mutator([sound_bytes(raw) for raw in sound])

    def made(self, rng: Random) -> bytes:
        """See Parser."""
        answers = [self._mutator.mutated(rng)[:2000] for _ in range(1 + int(rng.random() * ANSWERS_MAX))]
        return b"".join(len(answer).to_bytes(2, "big") + answer for answer in answers)

    def take(self, octets: bytes) -> int:
        """See Parser."""
        if not self._open:
            self._reader.open()
            self._open = True
        laid_in = deque[bytes]()
        at = 0
        while at < len(octets):
            size = int.from_bytes(octets[at : at + 2], "big")
            laid_in.append(octets[at + 2 : at + 2 + size])
            at += 2 + size
        # Beside it a card that is new, and so is asked for its proof.
        self._chip.place(CARD, sun_card(b"\x04" + hashlib.sha256(octets).digest()[:6]))
        self._bench.do(lambda: self._chip.laid_in.extend(laid_in))
        failed = self._hostile_looks()
        self._bench.do(self._chip.laid_in.clear)
        for look in range(2 * FAULTS_IN_ROW_MAX):
            try:
                if any(read.card.hex == CARD.uid.hex().upper() for read in self._reader.poll()):
                    return failed
            except ReaderLost:
                if look == FAULTS_IN_ROW_MAX:
                    self._reader.open()
        must(False, "the card is not seen again")
        return failed

    def _hostile_looks(self) -> int:
        """Look until all that was laid in is said; how many looks failed."""
        failed = 0
        for _ in range(ANSWERS_MAX):
            if not self._chip.laid_in:
                break
            begun_s = time.monotonic()
            try:
                self._reader.poll()
            except ReaderLost:
                failed += 1
            must(time.monotonic() - begun_s < LOOK_S, "a look takes too long")
        return failed

    def close(self) -> None:
        """See Parser."""
        self._reader.close()
        self._bench.close()
