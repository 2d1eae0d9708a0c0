"""The gate of these tests: its reader's name, cards to lay on it, and polls until something holds."""

from __future__ import annotations

import time
from collections.abc import Callable

from edge.ports import CardRead
from edge.readers.pcsc import PcscReader
from protocol.cards import CardUid
from sim.emulators.pcsccard import Slot, SlotCard, made_atr, uid_card

NAME = "K12 Gate 00 00"
URL = "pcsc:k12%20gate%2000%2000"
A, B = CardUid("a", "04A1B2C3D4E580"), CardUid("a", "DEADBEEF")
ACS_FELICA = bytes.fromhex("3B8F8001804F0CA00000030611003B0000000042")
"""ACM1252U-Y3 reference manual 1.03, 5.2.6."""
ACS_FELICA_212 = bytes.fromhex("3B8F8001804F0CA00000030603F011000000008A")
"""ACR122T API 2.02, 7.3."""
DESFIRE = made_atr(b"\x80")
"""The historical byte of a MIFARE DESFire's ATS (AN10833)."""


def lay(slot: Slot, card: CardUid | SlotCard) -> None:
    slot.show(card if isinstance(card, SlotCard) else uid_card(bytes.fromhex(card.hex)))


def poll_until(reader: PcscReader, what: Callable[[tuple[CardRead, ...]], bool], within_s: float = 5) -> int:
    """Poll until `what` holds of the reads; how many polls it took."""
    deadline, polls = time.monotonic() + within_s, 0
    while True:
        assert time.monotonic() < deadline, reader.counts
        polls += 1
        if what(tuple(reader.poll())):
            return polls


def sees(card: CardUid) -> Callable[[tuple[CardRead, ...]], bool]:
    return lambda reads: [(read.card, read.proof) for read in reads] == [(card, None)]


HOLDER = """
import sys
from smartcard import scard
code, context = scard.SCardEstablishContext(scard.SCARD_SCOPE_SYSTEM)
code, card, _ = scard.SCardConnect(context, sys.argv[1], int(sys.argv[2]), 3)
if sys.argv[3] == "transaction":
    code = scard.SCardBeginTransaction(card)
print(code, flush=True)
sys.stdin.read(1)
scard.SCardDisconnect(card, scard.SCARD_LEAVE_CARD)
"""
