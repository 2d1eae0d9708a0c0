"""Keys and signatures: Ed25519 for who said it, X25519 sealed boxes for who may read it."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from functools import lru_cache

import nacl.exceptions
from nacl.public import PrivateKey, PublicKey, SealedBox
from nacl.signing import SigningKey, VerifyKey

from protocol.envelope import octets_of, text_of
from protocol.errors import BadMessage

SEED_BYTES = 32
"""Length of an Ed25519 seed and of an X25519 secret (RFC 8032, RFC 7748)."""


class SignatureRefused(BadMessage):
    """The bytes were not signed by the key they must be signed by."""

    code = "signature-refused"
    hint = "Compare the key's fingerprint at both ends; a replaced device must be accepted again."


class SealRefused(BadMessage):
    """The sealed box isn't for this key, or was changed."""

    code = "seal-refused"
    hint = "It was sealed for another key; the sender must seal it again."


@dataclass(frozen=True, slots=True)
class Identity:
    """A gateway's or hub's secret keys: one seed each for signing and for opening sealed boxes, 32 bytes."""

    sign_seed: bytes
    box_seed: bytes

    def __post_init__(self) -> None:
        """Hold both to their length."""
        assert len(self.sign_seed) == SEED_BYTES and len(self.box_seed) == SEED_BYTES

    @property
    def key(self) -> str:
        """The public signing key, base64url."""
        return _public(self.sign_seed)

    @property
    def box(self) -> str:
        """The public key that boxes for us are sealed to, base64url."""
        return _box_of(self.box_seed)

    def sign(self, message: bytes) -> str:
        """Ed25519 signature of the message, base64url."""
        return text_of(_signer(self.sign_seed).sign(message).signature)

    def open(self, sealed: str) -> bytes:
        """Open a box sealed to our `box`; raises SealRefused."""
        try:
            return SealedBox(PrivateKey(self.box_seed)).decrypt(octets_of(sealed))
        except (nacl.exceptions.CryptoError, BadMessage, ValueError, TypeError) as problem:
            raise SealRefused("the box was not sealed for this key") from problem

    def __repr__(self) -> str:
        """Never the secrets."""
        return f"Identity({fingerprint(self.key)})"


@lru_cache(maxsize=8)
def _signer(seed: bytes) -> SigningKey:
    return SigningKey(seed)


@lru_cache(maxsize=8)
def _public(seed: bytes) -> str:
    """Asked for with every message that is signed or looked at."""
    return text_of(bytes(_signer(seed).verify_key))


@lru_cache(maxsize=8)
def _box_of(seed: bytes) -> str:
    return text_of(bytes(PrivateKey(seed).public_key))


@lru_cache(maxsize=4096)
def _verifier(key: str) -> VerifyKey:
    return VerifyKey(octets_of(key, 32))


def verify(key: str, message: bytes, signature: str) -> None:
    """Return if `signature` over `message` is by `key`; raises SignatureRefused for anything else."""
    try:
        _verifier(key).verify(message, octets_of(signature, 64))
    except (nacl.exceptions.CryptoError, BadMessage, ValueError, TypeError) as problem:
        raise SignatureRefused("the signature is not by the expected key") from problem


def seal(box: str, message: bytes) -> str:
    """Seal a message so that only the owner of `box` reads it; raises BadMessage for a malformed key."""
    try:
        return text_of(SealedBox(PublicKey(octets_of(box, 32))).encrypt(message))
    except (nacl.exceptions.CryptoError, ValueError, TypeError) as problem:
        raise BadMessage("the box key is not an X25519 public key") from problem


def is_public_key(text: str) -> bool:
    """Whether the text has a public key's form (32 bytes, base64url)."""
    try:
        octets_of(text, 32)
    except BadMessage:
        return False
    return True


def fingerprint(key: str) -> str:
    """What people compare: the first 80 bits of SHA-256 of the public key's text, as five groups of four hex digits."""
    digits = hashlib.sha256(key.encode("ascii", "replace")).hexdigest()[:20]
    return "-".join(digits[i : i + 4] for i in range(0, 20, 4))


def sign_message(identity: Identity, topic: str, body: bytes) -> bytes:
    """A signed message: a line `{"sig"}`, then the exact bytes signed, which begin with `<topic>` and a line break."""
    signed = topic.encode("ascii") + b"\n" + body
    return b'{"sig":"' + identity.sign(signed).encode("ascii") + b'"}\n' + signed


def split_message(topic: str, payload: bytes) -> tuple[str, bytes, bytes]:
    """Take a signed message apart: signature, the bytes signed, the body. Raises BadMessage; verifies nothing yet."""
    line, newline, signed = payload.partition(b"\n")
    prefix = topic.encode("ascii", "replace") + b"\n"
    if not newline or not line.startswith(b'{"sig":"') or not line.endswith(b'"}') or len(line) > 120:
        raise BadMessage("a signed message begins with its signature line")
    if not signed.startswith(prefix):
        raise BadMessage("the signed bytes name another topic")
    return line[8:-2].decode("ascii", "replace"), signed, signed[len(prefix) :]


def open_message(key: str, topic: str, payload: bytes) -> bytes:
    """The body of a message signed by `key` for `topic`; raises BadMessage, SignatureRefused."""
    signature, signed, body = split_message(topic, payload)
    verify(key, signed, signature)
    return body
