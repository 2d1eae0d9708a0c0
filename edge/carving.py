"""Carving: the records in a damaged journal's raw pages, found without SQLite's help. Pure: bytes in, records out.

Page and cell layout follow the SQLite file format (sqlite.org/fileformat2.html, sections 1.6, 2.1 and 4.1).
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from edge.journalfile import PAGE_BYTES

LEAF_TABLE: Final = 0x0D
WAL_HEADER_BYTES: Final = 32
FRAME_HEADER_BYTES: Final = 24
LOCAL_MAX: Final = PAGE_BYTES - 35
"""A table leaf's payload up to this many bytes stands in the cell itself."""
LOCAL_MIN: Final = (PAGE_BYTES - 12) * 32 // 255 - 23
BLOB_TYPES_FROM: Final = 12
PAYLOAD_MAX: Final = 64 * 1024


def carve(database: bytes, log: bytes) -> Iterator[tuple[int, bytes]]:
    """Every (position, raw) that leaf pages of the file and its log hold, in the order of writing; may repeat."""
    pages: dict[int, bytes] = {}
    for number, at in enumerate(range(0, len(database) - PAGE_BYTES + 1, PAGE_BYTES), 1):
        pages[number] = database[at : at + PAGE_BYTES]
    frames: list[bytes] = []
    frame_bytes = FRAME_HEADER_BYTES + PAGE_BYTES
    for at in range(WAL_HEADER_BYTES, len(log) - frame_bytes + 1, frame_bytes):
        number = int.from_bytes(log[at : at + 4], "big")
        frames.append(log[at + FRAME_HEADER_BYTES : at + frame_bytes])
        if 0 < number < 1 << 31:
            # An overflow page that stands in the log only is found by its number all the same.
            pages.setdefault(number, frames[-1])
    for page in [*pages.values(), *frames]:
        yield from _leaf(page, pages)


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
            records += _leaf(log[at + FRAME_HEADER_BYTES : at + frame_bytes], {})
    if records is not None:
        yield records


def _leaf(page: bytes, pages: dict[int, bytes]) -> Iterator[tuple[int, bytes]]:
    if len(page) != PAGE_BYTES or page[0] != LEAF_TABLE:
        return
    count = int.from_bytes(page[3:5], "big")
    for place in range(min(count, PAGE_BYTES // 8)):
        pointer = int.from_bytes(page[8 + 2 * place : 10 + 2 * place], "big")
        if 8 <= pointer < PAGE_BYTES - 4:
            found = _cell(page, pointer, pages)
            if found is not None:
                yield found


def _cell(page: bytes, at: int, pages: dict[int, bytes]) -> tuple[int, bytes] | None:
    """A cell of the event table: rowid and the second column's blob."""
    size, at = _varint(page, at)
    position, at = _varint(page, at)
    if not 16 <= size <= PAYLOAD_MAX or position < 1 << 40:
        return None
    payload = _payload(page, at, size, pages)
    if payload is None:
        return None
    header_size, place = _varint(payload, 0)
    first_type, place = _varint(payload, place)
    second_type, place = _varint(payload, place)
    if place != header_size or first_type != 0 or second_type < BLOB_TYPES_FROM or second_type % 2:
        return None
    length = (second_type - BLOB_TYPES_FROM) // 2
    raw = payload[header_size : header_size + length]
    return (position, raw) if len(raw) == length else None


def _payload(page: bytes, at: int, size: int, pages: dict[int, bytes]) -> bytes | None:
    if size <= LOCAL_MAX:
        return page[at : at + size]
    local = LOCAL_MIN + (size - LOCAL_MIN) % (PAGE_BYTES - 4)
    if local > LOCAL_MAX:
        local = LOCAL_MIN
    gathered = bytearray(page[at : at + local])
    following = int.from_bytes(page[at + local : at + local + 4], "big")
    for _ in range(PAYLOAD_MAX // (PAGE_BYTES - 4) + 1):
        more = pages.get(following)
        if len(gathered) >= size or more is None:
            break
        gathered += more[4:]
        following = int.from_bytes(more[:4], "big")
    return bytes(gathered[:size]) if len(gathered) >= size else None


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
