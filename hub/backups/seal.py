"""The seal of a backup: files closed by a passphrase, so that a lost stick gives nobody names and keys away.

Argon2id makes a key of the passphrase; XChaCha20-Poly1305 (libsodium's secretstream) closes each file piece by piece,
with the file's name bound in: a piece that is changed, left out, moved or taken from another file is found.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO, Final

import msgspec
import nacl.bindings as sodium
from nacl import pwhash
from nacl.exceptions import CryptoError

from host.secretfile import SecretNotRead, read_secret
from protocol.envelope import octets_of, text_of
from protocol.errors import BadMessage, ConfigError, NeedsHands

SALT_BYTES: Final = pwhash.argon2id.SALTBYTES
OPS: Final = pwhash.argon2id.OPSLIMIT_INTERACTIVE
MEMORY_BYTES: Final = pwhash.argon2id.MEMLIMIT_INTERACTIVE
"""libsodium's sizes for a login: 64 MiB for a moment, which a Raspberry Pi has, and a guesser needs each time."""
OPS_MAX: Final = 16
MEMORY_BYTES_MAX: Final = 256 * 1024 * 1024
"""A manifest is read before anything of it can be believed."""
PIECE_BYTES: Final = 256 * 1024
PASSPHRASE_CHARACTERS_MIN: Final = 12
PASSPHRASE_BYTES_MAX: Final = 1_000
SUFFIX: Final = ".sealed"


class SealBroken(NeedsHands):
    """A sealed file doesn't open: another passphrase, or it was changed."""

    code = "seal-broken"
    hint = "Give the passphrase under which this backup was made (--passphrase-file), or take another backup."


class SealPlan(msgspec.Struct, frozen=True):
    """How the key was made of the passphrase; stands in the manifest, and is no secret."""

    salt: str
    ops: int
    memory_bytes: int


def new_plan() -> SealPlan:
    """For one backup."""
    return SealPlan(text_of(os.urandom(SALT_BYTES)), OPS, MEMORY_BYTES)


def key_of(passphrase: bytes, plan: SealPlan) -> bytes:
    """The key of a backup's files; takes a moment and much memory, by design. Raises SealBroken."""
    if not 1 <= plan.ops <= OPS_MAX or not pwhash.argon2id.MEMLIMIT_MIN <= plan.memory_bytes <= MEMORY_BYTES_MAX:
        raise SealBroken("the manifest asks for a key that no backup of ours has")
    try:
        salt = octets_of(plan.salt, SALT_BYTES)
    except BadMessage as problem:
        raise SealBroken(f"the manifest's salt is none: {problem}") from problem
    key: bytes = pwhash.argon2id.kdf(
        sodium.crypto_secretstream_xchacha20poly1305_KEYBYTES, passphrase, salt, plan.ops, plan.memory_bytes
    )
    return key


def sealed_pieces(source: BinaryIO, key: bytes, name: str) -> Iterator[bytes]:
    """A file's content as it is to be written."""
    state = sodium.crypto_secretstream_xchacha20poly1305_state()
    yield sodium.crypto_secretstream_xchacha20poly1305_init_push(state, key)
    bound = name.encode("utf-8")
    piece = source.read(PIECE_BYTES)
    while True:
        following = source.read(PIECE_BYTES)
        tag = (
            sodium.crypto_secretstream_xchacha20poly1305_TAG_MESSAGE
            if following
            else sodium.crypto_secretstream_xchacha20poly1305_TAG_FINAL
        )
        yield sodium.crypto_secretstream_xchacha20poly1305_push(state, piece, bound, tag)
        if not following:
            return
        piece = following


def opened_pieces(source: BinaryIO, key: bytes, name: str) -> Iterator[bytes]:
    """A sealed file's content, to its very end. Raises SealBroken."""
    state = sodium.crypto_secretstream_xchacha20poly1305_state()
    bound = name.encode("utf-8")
    try:
        header = source.read(sodium.crypto_secretstream_xchacha20poly1305_HEADERBYTES)
        sodium.crypto_secretstream_xchacha20poly1305_init_pull(state, header, key)
        while True:
            piece = source.read(PIECE_BYTES + sodium.crypto_secretstream_xchacha20poly1305_ABYTES)
            octets, tag = sodium.crypto_secretstream_xchacha20poly1305_pull(state, piece, bound)
            yield octets
            if tag == sodium.crypto_secretstream_xchacha20poly1305_TAG_FINAL:
                break
    except (CryptoError, ValueError, TypeError) as problem:
        raise SealBroken(f"{name} doesn't open: {type(problem).__name__}") from problem
    if source.read(1):
        raise SealBroken(f"{name} goes on behind its end")


def read_passphrase(path: Path) -> bytes:
    """The passphrase in a file that only its owner reads. Raises ConfigError."""
    try:
        text = read_secret(path, PASSPHRASE_BYTES_MAX)
    except SecretNotRead as problem:
        hint = f"Let the user who runs this own it, and run chmod 0600 {path}." if problem.open_to_others else None
        raise ConfigError(f"passphrase file {path} {problem}", hint=hint) from problem
    passphrase = text.strip()
    if len(text) > PASSPHRASE_BYTES_MAX or len(passphrase.decode("utf-8", "replace")) < PASSPHRASE_CHARACTERS_MIN:
        raise ConfigError(
            f"passphrase file {path} holds less than {PASSPHRASE_CHARACTERS_MIN} characters, or far too many",
            hint="Write six words that don't belong together in one line, and keep them on paper elsewhere too.",
        )
    return passphrase
