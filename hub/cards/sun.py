"""A card's proof: what an NTAG 424 DNA writes into its address at each read (SUN, NXP AN12196), checked by its keys."""

from __future__ import annotations

import hmac
import re
from dataclasses import dataclass, field
from typing import Final

from cryptography.hazmat.primitives.ciphers import Cipher
from cryptography.hazmat.primitives.ciphers.algorithms import AES
from cryptography.hazmat.primitives.ciphers.modes import CBC, ECB
from cryptography.hazmat.primitives.cmac import CMAC

from protocol.cards import CardUid
from protocol.errors import BadMessage

KEY_BYTES: Final = 16
"""AES-128, the only size that the card knows."""
ADDRESS_CHARACTERS_MAX: Final = 512
"""The card's NDEF file has 256 bytes; a prefix such as `https://www.` is one of them."""
FILE_BYTES_MAX: Final = 96
"""Mirrored file data are two characters a byte, in that file."""
MIRRORED_UID_AND_COUNTER: Final = 0xC7
"""PICCDataTag: UID and counter are mirrored, the UID has 7 bytes (AN12196)."""
UID_BYTES: Final = 7
COUNTER_BYTES: Final = 3
SV1: Final = bytes.fromhex("C33C00010080")
"""Begins the input to the key that encrypts file data (AN12196)."""
SV2: Final = bytes.fromhex("3CC300010080")
"""Begins the input to the key of the MAC."""
DIVERSIFIED_AES128: Final = b"\x01"
"""AN10922's constant for an AES-128 key made from an AES-128 key."""
CONTEXT_BYTES: Final = range(9, 25)
"""With a UID of 7 bytes, and the constant, two blocks: where AN10922's padding is that of CMAC (RFC 4493)."""


class ProofRefused(BadMessage):
    """What a card said of itself is not what its keys say, or is no proof at all."""

    code = "proof-refused"
    hint = "The tap is counted by its number alone; if it comes again, look at this card: it may be a copy."


@dataclass(frozen=True, slots=True)
class SunNames:
    """The parameters of an address, each under any of its names; AN12196 shows both ways to write them."""

    picc: tuple[str, ...] = ("picc_data", "e")
    mac: tuple[str, ...] = ("cmac", "c")
    file: tuple[str, ...] = ("enc",)


@dataclass(frozen=True, slots=True)
class SunAddress:
    """What a card wrote into its address: encrypted PICC data and file data, the MAC, and the text that it covers."""

    picc: bytes
    mac: bytes
    covered: bytes
    file: bytes | None = None


@dataclass(frozen=True, slots=True)
class PiccData:
    """Who the card says it is, and how often its address was read; nothing is proved before the MAC was compared."""

    card: CardUid
    counter: int

    @property
    def octets(self) -> bytes:
        """UID and counter as they stand in every derivation: the counter's lowest byte first."""
        return bytes.fromhex(self.card.hex) + self.counter.to_bytes(COUNTER_BYTES, "little")


@dataclass(frozen=True, slots=True)
class Proved:
    """What the card's key vouches for, once: whether the counter was seen before is still to be asked."""

    card: CardUid
    counter: int
    file: bytes | None


@dataclass(frozen=True, slots=True)
class SunKeys:
    """The keys of a school's cards. With a `context` the file key is a master key, and each card has its own of it."""

    meta: bytes = field(repr=False)
    file: bytes = field(repr=False)
    context: bytes | None = None

    def verified(self, address: str) -> Proved:
        """What an address proves, by these keys. Raises ProofRefused."""
        parsed = parse_sun(address)
        picc = open_picc(parsed, self.meta)
        file_key = self.file if self.context is None else diversified(self.file, picc.card, self.context)
        return prove(parsed, picc, file_key)


def is_sun(address: str, names: SunNames | None = None) -> bool:
    """Whether an address means to prove anything: cards of others hold addresses, too."""
    names = names or SunNames()
    found = {pair.partition("=")[0] for pair in address.rpartition("?")[2].partition("#")[0].split("&")}
    return not found.isdisjoint(names.picc) and not found.isdisjoint(names.mac)


def parse_sun(address: str, names: SunNames | None = None) -> SunAddress:
    """Read an address, or its query alone. Raises ProofRefused.

    The MAC covers nothing, or where there are file data `FILE&cmac=`: everything from these to the MAC itself, as the
    card wrote it. So the text is taken as it stands, and nothing in it is unquoted.
    """
    names = names or SunNames()
    if len(address) > ADDRESS_CHARACTERS_MAX:
        raise ProofRefused(f"an address has at most {ADDRESS_CHARACTERS_MAX} characters")
    query = address.rpartition("?")[2].partition("#")[0]
    found: dict[str, tuple[int, str]] = {}
    at = 0
    for pair in query.split("&"):
        name, equals, value = pair.partition("=")
        for part, known in (("picc", names.picc), ("mac", names.mac), ("file", names.file)):
            if equals and name in known:
                if part in found:
                    raise ProofRefused(f"the address says {part} twice")
                found[part] = at + len(name) + 1, value
        at += len(pair) + 1
    for part in ("picc", "mac"):
        if part not in found:
            raise ProofRefused(f"the address names no {part}")
    mac_at = found["mac"][0]
    file = None
    if "file" in found:
        file = _octets(found["file"][1], range(KEY_BYTES, FILE_BYTES_MAX + 1, KEY_BYTES), "file data")
        if found["file"][0] > mac_at:
            raise ProofRefused("the file data stand behind the MAC")
    covered = query[found["file"][0] : mac_at].encode("utf-8") if "file" in found else b""
    return SunAddress(
        _octets(found["picc"][1], range(16, 17), "PICC data"),
        _octets(found["mac"][1], range(8, 9), "MAC"),
        covered,
        file,
    )


def open_picc(address: SunAddress, meta_key: bytes) -> PiccData:
    """Who the card says it is: AES-CBC from an IV of zeros. Raises ProofRefused."""
    plain = _decrypted(meta_key, bytes(KEY_BYTES), address.picc)
    if plain[0] != MIRRORED_UID_AND_COUNTER:
        raise ProofRefused("the PICC data open to something else: another key, or another way to mirror")
    counter_at = 1 + UID_BYTES
    return PiccData(
        CardUid.from_bytes("a", plain[1:counter_at]),
        int.from_bytes(plain[counter_at : counter_at + COUNTER_BYTES], "little"),
    )


def prove(address: SunAddress, picc: PiccData, file_key: bytes) -> Proved:
    """Compare the MAC, and only then open the file data. Raises ProofRefused."""
    if not hmac.compare_digest(mac_of(picc, file_key, address.covered), address.mac):
        raise ProofRefused("the MAC is not that of this card's key")
    if address.file is None:
        return Proved(picc.card, picc.counter, None)
    key = _cmac(file_key, SV1 + picc.octets)
    encryptor = Cipher(AES(key), ECB()).encryptor()  # One block, as the card makes its IV.
    vector = encryptor.update(picc.octets[UID_BYTES:].ljust(KEY_BYTES, b"\x00")) + encryptor.finalize()
    return Proved(picc.card, picc.counter, _decrypted(key, vector, address.file))


def mac_of(picc: PiccData, file_key: bytes, covered: bytes) -> bytes:
    """The MAC that a card with this key writes: of CMAC's 16 bytes every second one, from the second on."""
    return _cmac(_cmac(file_key, SV2 + picc.octets), covered)[1::2]


def diversified(master: bytes, card: CardUid, context: bytes) -> bytes:
    """A card's own key from a master key (AN10922, AES-128): CMAC(master, 01 ‖ UID ‖ context).

    `context` (9 to 24 bytes) is the issuer's: for what the key is, such as an application's id and the system's name.
    Whoever copies one card's key out of it then has that one card. Raises ProofRefused.
    """
    uid = bytes.fromhex(card.hex)
    if card.technology != "a" or len(uid) != UID_BYTES or len(context) not in CONTEXT_BYTES:
        raise ProofRefused("a card's own key is made from a UID of 7 bytes and a context of 9 to 24")
    return _cmac(master, DIVERSIFIED_AES128 + uid + context)


def _octets(text: str, lengths: range, what: str) -> bytes:
    if not re.fullmatch("[0-9A-Fa-f]*", text) or len(text) % 2 or len(text) // 2 not in lengths:
        raise ProofRefused(f"the {what} are not hexadecimal of their length")
    return bytes.fromhex(text)


def _cmac(key: bytes, text: bytes) -> bytes:
    mac = CMAC(_aes(key))
    mac.update(text)
    return mac.finalize()


def _decrypted(key: bytes, vector: bytes, octets: bytes) -> bytes:
    decryptor = Cipher(_aes(key), CBC(vector)).decryptor()
    return decryptor.update(octets) + decryptor.finalize()


def _aes(key: bytes) -> AES:
    if len(key) != KEY_BYTES:
        # A longer key would be taken by AES, and never by a card.
        raise ProofRefused(f"a card's key has {KEY_BYTES} bytes")
    return AES(key)
