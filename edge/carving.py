"""Carving: the records in a damaged journal's raw pages, found without SQLite's help. Pure: bytes in, records out.

Page, cell and log follow the SQLite file format (sqlite.org/fileformat2.html, sections 1.6, 2.1, 4.1 and 4.2).
"""

from __future__ import annotations

import struct
from collections.abc import Container, Iterator, Mapping
from typing import Final, NamedTuple

from edge.journalfile import PAGE_BYTES

LEAF_TABLE: Final = 0x0D
WAL_HEADER_BYTES: Final = 32
FRAME_HEADER_BYTES: Final = 24
ORDERS: Final = {b"\x37\x7f\x06\x82": "<", b"\x37\x7f\x06\x83": ">"}
"""The log's magic numbers, and the order of octets that its checksums were made in."""
LOCAL_MAX: Final = PAGE_BYTES - 35
"""A table leaf's payload up to this many bytes stands in the cell itself."""
LOCAL_MIN: Final = (PAGE_BYTES - 12) * 32 // 255 - 23
BLOB_TYPES_FROM: Final = 12
PAYLOAD_MAX: Final = 64 * 1024


class Carved(NamedTuple):
    """A record as found: where it belongs, its bytes, and whether they stand where nothing contradicts them.

    Not `sound` is one out of a frame of the log whose checksum is wrong, or whose transaction has no end: it may be
    half one record and half another, and nobody was told of it unless the card broke later.
    """

    position: int
    raw: bytes
    sound: bool


class _Frame(NamedTuple):
    number: int
    page: bytes
    salts: bytes
    commits: bool
    sound: bool


def carve(database: bytes, log: bytes) -> Iterator[Carved]:
    """Every record that leaf pages of the file and its log hold, in the order of writing; may repeat."""
    pages: dict[int, bytes] = {}
    for number, at in enumerate(range(0, len(database) - PAGE_BYTES + 1, PAGE_BYTES), 1):
        pages[number] = database[at : at + PAGE_BYTES]
    frames = list(_frames(log))
    # An overflow page that stands in the log only is found by its number all the same.
    beside = {frame.number: frame.page for frame in reversed(frames)} | pages
    for page in pages.values():
        yield from _leaf(page, beside, set())
    unsound: set[int] = set()
    for group in _groups(frames):
        for frame in group:
            pages[frame.number] = frame.page
            (unsound.discard if frame.sound else unsound.add)(frame.number)
        for frame in group:
            for found in _leaf(frame.page, pages, unsound):
                yield found if frame.sound else found._replace(sound=False)


def _frames(log: bytes) -> Iterator[_Frame]:
    """The log's frames, each held to its checksum, which goes on from the one before (fileformat2, section 4.2)."""
    before = struct.unpack(">II", log[24:WAL_HEADER_BYTES]) if len(log) >= WAL_HEADER_BYTES else (0, 0)
    orders = [ORDERS[log[:4]]] if log[:4] in ORDERS else list(ORDERS.values())
    frame_bytes = FRAME_HEADER_BYTES + PAGE_BYTES
    for at in range(WAL_HEADER_BYTES, len(log) - frame_bytes + 1, frame_bytes):
        head, page = log[at : at + FRAME_HEADER_BYTES], log[at + FRAME_HEADER_BYTES : at + frame_bytes]
        after = struct.unpack(">II", head[16:24])
        sound = any(_checksum(before, head[:8] + page, order) == after for order in orders)
        before = after
        yield _Frame(int.from_bytes(head[:4], "big"), page, head[8:16], head[4:8] != bytes(4), sound)


def _checksum(before: tuple[int, ...], octets: bytes, order: str) -> tuple[int, int]:
    first, second = before
    words = struct.unpack(f"{order}{len(octets) // 4}I", octets)
    for even, odd in zip(words[::2], words[1::2], strict=True):
        first = first + even + second & 0xFFFFFFFF
        second = second + odd + first & 0xFFFFFFFF
    return first, second


def _groups(frames: list[_Frame]) -> Iterator[list[_Frame]]:
    """Frames by transaction; of one without an end, or cut off by an older generation's frames, none is sound."""
    group: list[_Frame] = []
    for frame in frames:
        if group and group[-1].salts != frame.salts:
            yield [one._replace(sound=False) for one in group]
            group = []
        group.append(frame)
        if frame.commits:
            yield group
            group = []
    yield [one._replace(sound=False) for one in group]


def transactions(log: bytes) -> Iterator[list[tuple[int, bytes]]]:
    """The records of each whole transaction of the log's present generation, the newest first."""
    frame_bytes = FRAME_HEADER_BYTES + PAGE_BYTES
    starts = range(WAL_HEADER_BYTES, len(log) - frame_bytes + 1, frame_bytes)
    salts = log[16:24]
    if all(log[at + 8 : at + 16] != salts for at in starts):
        # The log's own header is damaged, or new and still without a frame: its first frame tells what it said.
        salts = log[WAL_HEADER_BYTES + 8 : WAL_HEADER_BYTES + 16]
    mine = [at for at in starts if log[at + 8 : at + 16] == salts]
    records: list[tuple[int, bytes]] | None = None
    for at in reversed(mine):
        if log[at + 4 : at + 8] != bytes(4):
            if records is not None:
                yield records
            records = []
        if records is not None:
            page = log[at + FRAME_HEADER_BYTES : at + frame_bytes]
            records += [(found.position, found.raw) for found in _leaf(page, {}, set())]
    if records is not None:
        yield records


def _leaf(page: bytes, pages: Mapping[int, bytes], unsound: Container[int]) -> Iterator[Carved]:
    if len(page) != PAGE_BYTES or page[0] != LEAF_TABLE:
        return
    count = int.from_bytes(page[3:5], "big")
    for place in range(min(count, PAGE_BYTES // 8)):
        pointer = int.from_bytes(page[8 + 2 * place : 10 + 2 * place], "big")
        if 8 <= pointer < PAGE_BYTES - 4:
            found = _cell(page, pointer, pages, unsound)
            if found is not None:
                yield found


def _cell(page: bytes, at: int, pages: Mapping[int, bytes], unsound: Container[int]) -> Carved | None:
    """A cell of the event table: rowid and the second column's blob."""
    size, at = _varint(page, at)
    position, at = _varint(page, at)
    if not 16 <= size <= PAYLOAD_MAX or position < 1 << 40:
        return None
    found = _payload(page, at, size, pages, unsound)
    if found is None:
        return None
    payload, sound = found
    header_size, place = _varint(payload, 0)
    first_type, place = _varint(payload, place)
    second_type, place = _varint(payload, place)
    if place != header_size or first_type != 0 or second_type < BLOB_TYPES_FROM or second_type % 2:
        return None
    length = (second_type - BLOB_TYPES_FROM) // 2
    raw = payload[header_size : header_size + length]
    return Carved(position, raw, sound) if len(raw) == length else None


def _payload(
    page: bytes, at: int, size: int, pages: Mapping[int, bytes], unsound: Container[int]
) -> tuple[bytes, bool] | None:
    """A cell's payload, gathered over its overflow pages, and whether none of those is unsound."""
    if size <= LOCAL_MAX:
        return page[at : at + size], True
    local = LOCAL_MIN + (size - LOCAL_MIN) % (PAGE_BYTES - 4)
    if local > LOCAL_MAX:
        local = LOCAL_MIN
    gathered, sound = bytearray(page[at : at + local]), True
    following = int.from_bytes(page[at + local : at + local + 4], "big")
    for _ in range(PAYLOAD_MAX // (PAGE_BYTES - 4) + 1):
        more = pages.get(following)
        if len(gathered) >= size or more is None:
            break
        gathered += more[4:]
        sound &= following not in unsound
        following = int.from_bytes(more[:4], "big")
    return (bytes(gathered[:size]), sound) if len(gathered) >= size else None


def _varint(octets: bytes, at: int) -> tuple[int, int]:
    """A variable-length integer and the place after it; a cut one gives 0."""
    value = 0
    for step in range(9):
        if at + step >= len(octets):
            return 0, len(octets)
        octet = octets[at + step]
        if step == 8:
            return value << 8 | octet, at + 9
        value = value << 7 | octet & 0x7F
        if octet < 0x80:
            return value, at + step + 1
    return value, at + 9
