"""The archive: a pack as a zip file, the same bytes for the same contents; one from a stranger is read within bounds.

Nothing is written to a disk, and no name of an entry is ever a path: a pack has its own few names. The file is its
entries and their list, and not a byte more: what stood beside them nobody signed, and two readers would see two packs.
"""

from __future__ import annotations

import io
import re
import struct
import zipfile
import zlib
from collections.abc import Mapping
from typing import Final

from protocol.errors import BadMessage

ZIP_BYTES_MAX: Final = 128 * 1024 * 1024
UNPACKED_BYTES_MAX: Final = 384 * 1024 * 1024
"""A month of 20,000 pupils takes about a third of it."""
RATIO_MAX: Final = 100
"""How many times its packed size a pack may unpack to, beyond a first MiB; records and counts come to below 20."""
ENTRIES_MAX: Final = 1_000
DIRECTORY_BYTES_MAX: Final = 256 * 1024
"""What lists the entries; 1,000 of them take about 100 KiB."""
NAME: Final = re.compile(r"[a-z0-9]+(/[a-z0-9]+)?\.(json|jsonl|sig|txt)")
NAME_CHARACTERS_MAX: Final = 80
_EPOCH: Final = (1980, 1, 1, 0, 0, 0)
"""The first moment that a zip file can name: when a pack was made isn't what it says."""
_END: Final = b"PK\x05\x06"
_END_BYTES: Final = 22
_COMMENT_BYTES_MAX: Final = 65_535
_HEADER_BYTES: Final = 30
"""Before each entry, with the lengths of its name and of what a zipping program adds as the last of it."""
_SIZES_FOLLOW: Final = 8
_BESIDE: Final = (
    "the zip file has bytes beside its files (before, after or between them, or a comment): nobody signed those"
)


class PackRefused(BadMessage):
    """The file is no audit pack that can be read: not a zip, too large, or with entries that no pack has."""

    code = "pack-refused"
    hint = "Ask whoever made it for the file anew; `k12edge hub audit` makes one."


def zipped(contents: Mapping[str, bytes]) -> bytes:
    """Name -> bytes as a zip file."""
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED, compresslevel=6) as archive:
        for name in sorted(contents):
            entry = zipfile.ZipInfo(name, _EPOCH)
            entry.compress_type, entry.create_system, entry.external_attr = zipfile.ZIP_DEFLATED, 3, 0o644 << 16
            archive.writestr(entry, contents[name])
    return out.getvalue()


def unzipped(octets: bytes) -> dict[str, bytes]:
    """The contents of a pack; raises PackRefused."""
    if len(octets) > ZIP_BYTES_MAX:
        raise PackRefused(f"the file has {len(octets)} bytes, at most {ZIP_BYTES_MAX} are read")
    list_at = _hold_directory(octets)
    try:
        with zipfile.ZipFile(io.BytesIO(octets)) as archive:
            _hold_extent(archive, octets, list_at)
            return _read(archive, min(UNPACKED_BYTES_MAX, 1024 * 1024 + RATIO_MAX * len(octets)))
    except (
        zipfile.BadZipFile, zlib.error, struct.error, EOFError, OSError, ValueError, NotImplementedError, RuntimeError,
    ) as problem:  # fmt: skip
        raise PackRefused(f"the zip file can't be read: {problem}") from problem


def _hold_directory(octets: bytes) -> int:
    """Hold the list of entries to its bounds before anything reads it; where it begins."""
    at = octets.rfind(_END, max(0, len(octets) - _END_BYTES - _COMMENT_BYTES_MAX))
    if at < 0 or len(octets) < at + _END_BYTES:
        raise PackRefused("it is no zip file, or its end is cut off")
    count, size = struct.unpack_from("<HI", octets, at + 10)
    if count > ENTRIES_MAX or size > DIRECTORY_BYTES_MAX:
        raise PackRefused(f"the zip file lists {count} entries in {size} bytes; a pack has at most {ENTRIES_MAX}")
    if octets[max(0, at - 20) : at].startswith(b"PK\x06\x07"):
        raise PackRefused("the zip file is of the kind for huge files, which no pack is")
    (first,) = struct.unpack_from("<I", octets, at + 16)
    if first + size != at or at + _END_BYTES != len(octets) or octets[at + 20 :] != b"\0\0":
        raise PackRefused(_BESIDE)
    return int(first)


def _hold_extent(archive: zipfile.ZipFile, octets: bytes, list_at: int) -> None:
    """Hold the file to its entries, one behind the other from its first byte to the list: nothing stands between."""
    at = 0
    for entry in sorted(archive.infolist(), key=lambda one: one.header_offset):
        if entry.header_offset != at or entry.comment:
            raise PackRefused(_BESIDE)
        at += _HEADER_BYTES + sum(struct.unpack_from("<HH", octets, at + _HEADER_BYTES - 4)) + entry.compress_size
        if entry.flag_bits & _SIZES_FOLLOW:
            at += 16 if octets[at : at + 4] == b"PK\x07\x08" else 12
    if at != list_at:
        raise PackRefused(_BESIDE)


def _read(archive: zipfile.ZipFile, most: int) -> dict[str, bytes]:
    found: dict[str, bytes] = {}
    left = most
    for entry in archive.infolist():
        name = entry.filename
        if len(name) > NAME_CHARACTERS_MAX or NAME.fullmatch(name) is None:
            raise PackRefused(f"{name[:NAME_CHARACTERS_MAX]!r} is no name of a pack's file")
        if name in found:
            raise PackRefused(f"{name} stands in the zip file twice")
        if entry.flag_bits & 1 or entry.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
            raise PackRefused(f"{name} is encrypted, or packed in a way that no pack is")
        with archive.open(entry) as packed:
            found[name] = packed.read(left + 1)
        left -= len(found[name])
        if left < 0:
            raise PackRefused(f"unpacked it has more than {most} bytes")
    return found
