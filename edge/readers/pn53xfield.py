"""The field of a PN53x chip: which cards lie in it, and what a new one says of itself, through nfcpy's chip set."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import Any, Final

from edge.ports import CardRead
from edge.readers.ndeffile import read_query
from edge.readers.newcomers import Newcomers
from protocol.cards import CardUid
from protocol.errors import CardNumberError

LIST_TIMEOUT_S: Final = 0.15
"""An answer to InListPassiveTarget takes some 10 ms; nfcpy's own second of patience eats taps when one is lost."""
ASK_S: Final = 0.15
"""For all that new cards are asked in one look: enough for three tries, and a pupil behind doesn't notice it."""
ASK_TRIES: Final = 3
"""A card on its way into the field gives its number before it has the power to compute."""
ISO_14443_4: Final = 0x20
"""In SEL_RES (SAK): the card can be activated for ISO 14443-4 (ISO 14443-3, table 8)."""
AUTOMATIC_RATS: Final = 0x10
"""In SetParameters: list them activated (UM0701-02, 7.2.9). Off while polling, lest a card that fails is not listed."""
SYNTAX_ERROR: Final = 0x7F
FELICA_BAUDS: Final = (0x01, 0x02)
"""BrTy of InListPassiveTarget for 212 and 424 kbit/s (UM0701-02, 7.3.5)."""
FELICA_POLL: Final = bytes.fromhex("00FFFF0003")
"""Any system, nothing asked, four time slots, so that two cards rarely answer at once (JIS X 6319-4)."""
FELICA_TIMEOUT_S: Final = 0.1
NOT_A_CARD: Final = b"\x01\xfe"
"""So begins what a telephone draws anew each time (NFC-DEP, ISO 18092)."""
STATUS_MASK: Final = 0x3F
"""The error in a status byte; above it stand NAD and more (UM0701-02, 7.1)."""
ATS_BYTES_MAX: Final = 20
"""TL, T0, TA, TB, TC and 15 historical bytes (ISO 14443-4, 5.2)."""


@dataclass(frozen=True, slots=True)
class Listed:
    """A card as the chip lists it; its ATS, length byte included, where the chip activated it."""

    card: CardUid
    sak: int
    ats: bytes = b""

    @property
    def kind(self) -> str:
        """What the card says of its type. It travels openly, so an ATS with the card's number in it is kept back."""
        number = bytes.fromhex(self.card.hex)
        open_ats = self.ats and number not in self.ats and number[::-1] not in self.ats
        return f"sak={self.sak:02x}" + (f",ats={self.ats.hex()}" if open_ats else "")


class Pn53xField:
    """See the room. `chip` is a chip set of nfcpy's, prepared."""

    def __init__(self, chip: Any, *, felica: bool = False) -> None:
        """Nothing was seen yet; `felica`: look for these cards, too, at 212 and 424 kbit/s by turns."""
        self._chip = chip
        self._felica: tuple[int, ...] = FELICA_BAUDS if felica else ()
        self._targets = min(2, int(chip.in_list_passive_target_max_target))
        self._newcomers = Newcomers()
        self._activates = False

    def look(self) -> tuple[CardRead, ...]:
        """Every card in the field, those that came with what they say of themselves; raises whatever nfcpy raises."""
        if self._activates:
            self._chip.command(0x12, bytearray(1), LIST_TIMEOUT_S)
            self._activates = False
        listed = parse_listed(self._list(b""))
        now_ns = time.clock_gettime_ns(time.CLOCK_BOOTTIME)
        cards = tuple(one.card for one in listed)
        able = {one.card for one in listed if one.sak & ISO_14443_4}
        asked = [card for card in self._newcomers.came(now_ns, cards) if card in able]
        if not asked:
            return (*(CardRead(one.card, kind=one.kind) for one in listed), *self._look_for_felica(bool(listed)))
        deadline_s = time.monotonic() + ASK_S
        told = {card: self._ask(card, deadline_s) for card in asked}
        self._newcomers.stayed(time.clock_gettime_ns(time.CLOCK_BOOTTIME), cards)
        reads = []
        for one in listed:
            ats, proof = told.get(one.card, (b"", None))
            kind = Listed(one.card, one.sak, ats or one.ats).kind
            reads.append(CardRead(one.card, since_mono_ns=now_ns, kind=kind, proof=proof))
        return tuple(reads)

    def _list(self, uid: bytes, targets: int = 2, timeout_s: float = LIST_TIMEOUT_S) -> bytes:
        # The field goes off between looks, so that a card that was activated answers again.
        self._chip.rf_configuration(0x01, b"\x02")
        wanted = bytearray((min(targets, self._targets), 0x00)) + uid
        try:
            return bytes(self._chip.command(0x4A, wanted, timeout_s) or b"\x00")
        except Exception as problem:
            if self._targets == 2 and targets == 2 and getattr(problem, "errno", None) == SYNTAX_ERROR:
                # A chip (or clone) that refuses to list two targets lists one.
                self._targets = 1
                return b"\x00"
            raise

    def _look_for_felica(self, found: bool) -> tuple[CardRead, ...]:
        """FeliCa cards, where they are looked for; raises only where no other card was `found` that would be lost."""
        if not self._felica:
            return ()
        baud, *rest = self._felica
        self._felica = (*rest, baud)
        try:
            # The field is on since the look before, long enough for these cards.
            wanted = bytearray((self._targets, baud)) + FELICA_POLL
            return parse_felica(bytes(self._chip.command(0x4A, wanted, FELICA_TIMEOUT_S) or b"\x00"))
        except Exception:
            if found:
                return ()
            raise

    def _ask(self, card: CardUid, deadline_s: float) -> tuple[bytes, str | None]:
        """The card's ATS and the query of its address, as far as it gives them in time; never raises."""
        ats = b""
        for _ in range(ASK_TRIES):
            try:
                self._activates = True
                self._chip.command(0x12, bytearray((AUTOMATIC_RATS,)), _left_s(deadline_s))
                answer = self._list(_select(bytes.fromhex(card.hex)), 1, _left_s(deadline_s))
                active = [one for one in parse_listed(answer) if one.card == card]
                if active:
                    ats = active[0].ats or ats
                    return ats, read_query(lambda command: self._exchange(command, deadline_s))
            except Exception:
                # Whatever it was, the number is known and is told; the next look finds out whether the line has ended.
                if time.monotonic() >= deadline_s:
                    break
        return ats, None

    def _exchange(self, command: bytes, deadline_s: float) -> bytes:
        answer = bytes(self._chip.command(0x40, bytearray(b"\x01" + command), _left_s(deadline_s)) or b"\xff")
        if answer[0] & STATUS_MASK:
            raise OSError("the card doesn't answer")
        return answer[1:]


def _left_s(deadline_s: float) -> float:
    left_s = deadline_s - time.monotonic()
    if left_s < 0.001:
        # nfcpy takes no time for "don't wait for an answer".
        raise TimeoutError("no time is left to ask a card")
    return left_s


def _select(uid: bytes) -> bytes:
    """A UID as InListPassiveTarget wants it: with a cascade tag before each part but the last (ISO 14443-3, 6.5.4)."""
    if len(uid) == 7:
        return b"\x88" + uid
    return b"\x88" + uid[:3] + b"\x88" + uid[3:] if len(uid) == 10 else uid


def parse_targets(answer: bytes) -> tuple[CardUid, ...]:
    """The cards of `parse_listed`."""
    return tuple(one.card for one in parse_listed(answer))


def parse_listed(answer: bytes) -> tuple[Listed, ...]:
    """The cards in an InListPassiveTarget answer for 106 kbit/s type A (UM0701-02, 7.3.5).

    NbTg, then for each: Tg, SENS_RES (2), SEL_RES, length and bytes of NFCID1, and an ATS (its first byte its length)
    where the chip did RATS by itself. A cut or impossible answer gives what was whole before.
    """
    found: list[Listed] = []
    at = 1
    for number in range(1, min(answer[0] if answer else 0, 2) + 1):
        if len(answer) < at + 5 or answer[at] != number:
            break
        selected, length = answer[at + 3], answer[at + 4]
        uid = answer[at + 5 : at + 5 + length]
        if len(uid) != length:
            break
        at += 5 + length
        ats = b""
        more = number < answer[0]
        if selected & ISO_14443_4 and at < len(answer) and not (more and _begins_target(answer, at, number + 1)):
            ats = answer[at : at + answer[at]]
            ats = ats if len(ats) == answer[at] <= ATS_BYTES_MAX else b""
            at += max(answer[at], 1)
        try:
            found.append(Listed(CardUid.from_bytes("a", uid), selected, ats))
        except CardNumberError:
            continue
    return tuple(found)


def parse_felica(answer: bytes) -> tuple[CardRead, ...]:
    """The cards in an InListPassiveTarget answer for FeliCa (UM0701-02, 7.3.5).

    NbTg, then for each: Tg, the length of what follows and itself, 01, IDm (8), PMm (8), a system code if asked for.
    """
    found: list[CardRead] = []
    at = 1
    for number in range(1, min(answer[0] if answer else 0, 2) + 1):
        entry = answer[at + 1 : at + 1 + answer[at + 1]] if len(answer) > at + 1 else b""
        if len(entry) < 18 or len(entry) != entry[0] or answer[at] != number or entry[1] != 0x01:
            break
        at += 1 + len(entry)
        if not entry.startswith(NOT_A_CARD, 2):
            found.append(CardRead(CardUid.from_bytes("f", entry[2:10]), kind=f"pmm={entry[10:18].hex()}"))
    return tuple(found)


def _begins_target(answer: bytes, at: int, number: int) -> bool:
    """Whether a target's entry, not an ATS, stands at `at` (an ATS of length 2 may begin alike)."""
    return answer[at] == number and len(answer) >= at + 5 and answer[at + 4] in (4, 7, 10)
