"""A card's NDEF file: read with ISO 7816-4 commands through any reader, and the query of the address in it.

An NTAG 424 DNA writes a fresh proof into that query each time that the file is selected and read (SUN, NXP AN12196).
Pure: whoever reads passes in how a command reaches the card. See docs/decisions/0025-sun-proofs.md.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from protocol.rawread import PROOF_CHARACTERS_MAX

SELECT_APPLICATION: Final = bytes.fromhex("00A4040007D276000085010100")
"""The NDEF application by its name (NFC Forum Type 4 Tag, 5.4.2)."""
SELECT_FILE: Final = bytes.fromhex("00A4000C02E104")
"""The NDEF file under the number that it has on an NTAG 424 DNA; others may have it elsewhere, and prove nothing."""
READ_LENGTH: Final = bytes.fromhex("00B0000002")
READ_MESSAGE: Final = bytes.fromhex("00B00002")
"""READ BINARY behind the two bytes of the length; Le follows."""
MESSAGE_BYTES_MAX: Final = 254
"""The file has 256 bytes, two of them its length; and it fits one answer of a PN532 (265 bytes, UM0701-02, 6.2.1.2)."""
DONE: Final = b"\x90\x00"
WELL_KNOWN: Final = 0x01
SHORT: Final = 0x10
IDENTIFIED: Final = 0x08
CHUNKED: Final = 0x20
"""Bits of an NDEF record's first byte, and its TNF (NFC Forum NDEF, 3.2)."""


def read_query(transmit: Callable[[bytes], bytes]) -> str | None:
    """The query of the address in the card's NDEF file, None where it has none. Raises what `transmit` raises.

    `transmit(command)` gives the card's answer, status included.
    """
    if _read(transmit, SELECT_APPLICATION) is None or _read(transmit, SELECT_FILE) is None:
        return None
    told = _read(transmit, READ_LENGTH)
    length = 0 if told is None else int.from_bytes(told, "big")
    if told is None or len(told) != 2 or not 0 < length <= MESSAGE_BYTES_MAX:
        return None
    message = _read(transmit, READ_MESSAGE + bytes((length,)))
    return None if message is None else query_of(message)


def query_of(message: bytes) -> str | None:
    """The query of the address that an NDEF message begins with, as it stands; None where it doesn't."""
    if len(message) < 3:
        return None
    head, type_length = message[0], message[1]
    size_length = 1 if head & SHORT else 4
    at = 2 + size_length
    size = int.from_bytes(message[2:at], "big")
    name_length = 0
    if head & IDENTIFIED:
        name_length = message[at] if at < len(message) else 0
        at += 1
    kind, at = message[at : at + type_length], at + type_length + name_length
    content = message[at : at + size]
    if head & 0x07 != WELL_KNOWN or head & CHUNKED or kind != b"U" or len(content) != size:
        return None
    # The first byte stands for the address's beginning, such as `https://`; no query begins in it.
    query = content[1:].partition(b"?")[2].partition(b"#")[0]
    if not 0 < len(query) <= PROOF_CHARACTERS_MAX or not all(0x20 < octet < 0x7F for octet in query):
        return None
    return query.decode("ascii")


def _read(transmit: Callable[[bytes], bytes], command: bytes) -> bytes | None:
    answer = transmit(command)
    return answer[:-2] if answer[-2:] == DONE else None
