"""Roster releases: numbered, signed, whole or nothing, with only the columns that a station kind needs."""

from __future__ import annotations

import gzip
import zlib
from collections.abc import Mapping
from itertools import chain
from typing import Final

import msgspec

from protocol.errors import BadMessage
from protocol.taps import STATION_KINDS

TEXT_CHARACTERS_MAX: Final = 200
"""A release's name, and a column of a card: they go into each tap's record, which has room for some thousand."""
RELEASE_BYTES_MAX: Final = 16 * 1024 * 1024
"""A release unpacked; 20,000 pupils with names take about 2 MB."""
PACKED_BYTES_MAX: Final = 4 * 1024 * 1024
"""A release as it travels, which brokers must take with some room; 20,000 pupils with eight parts each take 2 MB."""
COLUMNS: Final[Mapping[str, tuple[str, ...]]] = {
    "gate": ("student",),
    "canteen": ("student", "display_name", "class"),
    "desk": ("student", "display_name", "class"),
    "care": ("student", "display_name", "class"),
}
"""What a release says of a card, by station kind. Gates hold no names; nobody learns about payment."""


class Release(msgspec.Struct, frozen=True):
    """One release for one station kind.

    `release`: its name `r-<UTC time>-<number>`; `number` grows by one with each; `kind`: of station; `key`: the number
    of the card key that `cards` were keyed with (two keys while one is being changed); `cards`: keyed card id -> the
    columns of COLUMNS[kind] in that order; `blocked`: keyed card id -> why it is not accepted (`lost`, `not-enrolled`,
    `ambiguous`).
    """

    release: str
    number: int
    school: str
    kind: str
    keys: list[int]
    cards: dict[str, list[str]]
    blocked: dict[str, str] = {}


_decoder = msgspec.json.Decoder(Release)


def pack_release(release: Release) -> bytes:
    """The body of the roster message: gzip of the JSON, the same bytes for the same release."""
    return gzip.compress(msgspec.json.encode(release), compresslevel=6, mtime=0)


def unpack_release(body: bytes) -> Release:
    """Read a release and hold it to its bounds; raises BadMessage."""
    try:
        unpacker = zlib.decompressobj(wbits=31)
        text = unpacker.decompress(body, RELEASE_BYTES_MAX + 1)
        if len(text) > RELEASE_BYTES_MAX or not unpacker.eof:
            raise BadMessage(f"the release is cut, or larger than {RELEASE_BYTES_MAX} bytes")
        release = _decoder.decode(text)
    except (zlib.error, msgspec.DecodeError, RecursionError, ValueError) as problem:
        raise BadMessage(f"not a roster release: {problem}") from problem
    if release.kind not in STATION_KINDS or release.number < 1 or not release.keys:
        raise BadMessage("the release names no known station kind, number or card key")
    if not set(release.blocked.values()) <= {"lost", "not-enrolled", "ambiguous"}:
        raise BadMessage("the release blocks a card for an unknown reason")
    width = len(COLUMNS[release.kind])
    if any(len(row) != width for row in release.cards.values()):
        raise BadMessage("a card of the release has other columns than its station kind")
    if max(map(len, chain([release.release], *release.cards.values()))) > TEXT_CHARACTERS_MAX:
        raise BadMessage(f"a name or column of the release is longer than {TEXT_CHARACTERS_MAX} characters")
    return release
