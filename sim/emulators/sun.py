"""An emulated NTAG 424 DNA: a card whose address carries a fresh proof at each read (SUN, NXP AN12196)."""

from __future__ import annotations

from typing import Final

from cryptography.hazmat.primitives.ciphers import Cipher
from cryptography.hazmat.primitives.ciphers.algorithms import AES
from cryptography.hazmat.primitives.ciphers.modes import CBC

from hub.cards.sun import COUNTER_BYTES, MIRRORED_UID_AND_COUNTER, PiccData, mac_of
from protocol.cards import CardUid
from sim.emulators.pcsccard import GET_ATS, GET_UID, OK, SlotCard, made_atr
from sim.emulators.pn532 import FieldCard

SAK: Final = 0x20
SENS_RES: Final = b"\x03\x44"
ATS: Final = bytes.fromhex("067577810280")
"""What these cards say of themselves (NT4H2421Gx, 9.2)."""
HISTORICAL: Final = b"\x80"
"""The historical byte at the end of it."""
FILE_BYTES: Final = 256
APPLICATION: Final = bytes.fromhex("D2760000850101")
NDEF_FILE: Final = bytes.fromhex("E104")
HTTPS: Final = b"\x04"
"""The NDEF URI record's byte for `https://` (NFC Forum URI, 3.2.2)."""
DONE: Final = bytes.fromhex("9000")
NOT_FOUND: Final = bytes.fromhex("6A82")
NOT_ALLOWED: Final = bytes.fromhex("6986")
WRONG_PLACE: Final = bytes.fromhex("6B00")
UNKNOWN: Final = bytes.fromhex("6D00")


class SunApplication:
    """Its NDEF application. `counter` is that of the last read; a copy that knows no key has a wrong `file_key`."""

    def __init__(self, uid: bytes, meta_key: bytes, file_key: bytes, counter: int = 0, where: str = "k12.vn/t") -> None:
        """As it was issued; `where` the address begins."""
        self.counter = counter
        self.card, self._meta_key, self._file_key, self._where = (
            CardUid.from_bytes("a", uid),
            meta_key,
            file_key,
            where,
        )
        self._selected: bytes | None = None
        self._file = b""

    def begin(self) -> None:
        """See Application."""
        self._selected, self._file = None, b""

    def answer(self, command: bytes) -> bytes | None:
        """See Application."""
        head, name = command[:4], command[5 : 5 + command[4]] if len(command) > 4 else b""
        if head == bytes.fromhex("00A40400"):
            self._selected = name if name == APPLICATION else None
            return DONE if self._selected else NOT_FOUND
        if head == bytes.fromhex("00A4000C"):
            if self._selected is None or name != NDEF_FILE:
                return NOT_FOUND
            self._selected, self._file = NDEF_FILE, b""
            return DONE
        if head[:2] == bytes.fromhex("00B0"):
            return self._read(int.from_bytes(head[2:], "big"), command[4] if len(command) > 4 else 0)
        return UNKNOWN

    def _read(self, at: int, length: int) -> bytes:
        if self._selected != NDEF_FILE:
            return NOT_ALLOWED
        if not self._file:
            # The first read of a selected file counts; the proof then stays as it is.
            self.counter += 1
            self._file = ndef_file(f"{self._where}?{self.query()}")
        part = self._file[at : at + (length or FILE_BYTES)]
        return part + DONE if part else WRONG_PLACE

    def query(self) -> str:
        """The proof at the present counter, under the names of AN12196."""
        picc = PiccData(self.card, self.counter)
        plain = bytes((MIRRORED_UID_AND_COUNTER,)) + picc.octets
        encryptor = Cipher(AES(self._meta_key), CBC(bytes(16))).encryptor()
        # The card fills up with random bytes; which ones proves nothing.
        data = encryptor.update(plain + bytes(16 - len(plain))) + encryptor.finalize()
        return f"picc_data={data.hex().upper()}&cmac={mac_of(picc, self._file_key, b'').hex().upper()}"


def ndef_file(address: str) -> bytes:
    """The NDEF file that holds this address, behind `https://`, and nothing else; filled up with zeros."""
    content = HTTPS + address.encode("ascii")
    message = b"\xd1\x01" + bytes((len(content),)) + b"U" + content
    return (len(message).to_bytes(2, "big") + message).ljust(FILE_BYTES, b"\x00")


def sun_card(uid: bytes, meta_key: bytes = bytes(16), file_key: bytes = bytes(16), counter: int = 0) -> FieldCard:
    """Such a card, to be placed before an emulated reader."""
    assert counter < 1 << 8 * COUNTER_BYTES
    return FieldCard(uid, SENS_RES, SAK, ATS, SunApplication(uid, meta_key, file_key, counter))


def sun_slot_card(application: SunApplication, ats: bytes = ATS, slow_ms: int = 0) -> SlotCard:
    """Such a card in a PC/SC reader, which answers the question for its ATS with `ats`."""
    answers = {GET_UID: bytes.fromhex(application.card.hex) + OK, GET_ATS: ats + OK}
    return SlotCard(made_atr(HISTORICAL), answers, application=application, slow_ms=slow_ms)
