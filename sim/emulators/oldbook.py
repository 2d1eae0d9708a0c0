"""An .xls as Excel 97 wrote it, built by hand: a compound file (MS-CFB) with one stream of BIFF8 records (MS-XLS)."""

from __future__ import annotations

import struct
from collections.abc import Sequence
from typing import Any

SECTOR = 512
END, FREE, FAT = 0xFFFFFFFE, 0xFFFFFFFF, 0xFFFFFFFD


def record(kind: int, body: bytes) -> bytes:
    """A record of BIFF: its kind, its length, its body."""
    return struct.pack("<HH", kind, len(body)) + body


def _text(text: str) -> bytes:
    return struct.pack("<HB", len(text), 1) + text.encode("utf-16-le")


def workbook(rows: Sequence[Sequence[Any]], first: bytes = b"") -> bytes:
    """The Workbook stream: BOF, one sheet HS, its cells. `first` are records behind the first BOF."""
    name = "HS"
    begin = record(0x0809, struct.pack("<HHHHII", 0x0600, 0x0005, 0x0DBB, 0x07CC, 0, 6)) + first
    bound = struct.pack("<BB", len(name), 0) + name.encode()
    place = len(begin) + 4 + 6 + len(bound) + 4
    globe = begin + record(0x0085, struct.pack("<IBB", place, 0, 0) + bound) + record(0x000A, b"")
    width = max(map(len, rows))
    cells = record(0x0809, struct.pack("<HHHHII", 0x0600, 0x0010, 0x0DBB, 0x07CC, 0, 6))
    cells += record(0x0200, struct.pack("<IIHHH", 0, len(rows), 0, width, 0))
    for number, row in enumerate(rows):
        for column, cell in enumerate(row):
            place_of = struct.pack("<HHH", number, column, 0)
            if isinstance(cell, str):
                cells += record(0x0204, place_of + _text(cell))
            elif cell is not None:
                cells += record(0x0203, place_of + struct.pack("<d", cell))
    return globe + cells + record(0x000A, b"")


def compound(stream: bytes, name: str = "Workbook") -> bytes:
    """A compound file with one stream (large enough not to lie among the small ones) and its directory."""
    stream = stream.ljust(4096, b"\0")
    sectors = -(-len(stream) // SECTOR)
    assert sectors + 2 <= SECTOR // 4, "one sector of the allocation table is enough"
    header = bytes.fromhex("D0CF11E0A1B11AE1") + bytes(16) + struct.pack("<HHHHH", 0x3E, 3, 0xFFFE, 9, 6) + bytes(6)
    header += struct.pack("<IIIIIIIII", 0, 1, 1, 0, 4096, END, 0, END, 0) + struct.pack("<I", 0) + b"\xff" * 4 * 108
    chain = [*range(3, 2 + sectors), END]
    table = struct.pack(f"<{2 + sectors}I", FAT, END, *chain).ljust(SECTOR, b"\xff")
    directory = (
        _entry("Root Entry", 5, 1, END, 0) + _entry(name, 2, FREE, 2, len(stream)) + 2 * _entry("", 0, FREE, 0, 0)
    )
    return header + table + directory + stream.ljust(sectors * SECTOR, b"\0")


def _entry(name: str, kind: int, child: int, begin: int, size: int) -> bytes:
    octets = name.encode("utf-16-le")
    length = len(octets) + 2 if name else 0
    entry = octets.ljust(64, b"\0") + struct.pack("<HBBIII", length, kind, 1, FREE, FREE, child)
    return entry + bytes(16 + 4 + 16) + struct.pack("<IQ", begin, size)


def old_book(rows: Sequence[Sequence[Any]]) -> bytes:
    """An .xls with one sheet of texts and numbers."""
    return compound(workbook(rows))


def locked_old_book(rows: Sequence[Sequence[Any]]) -> bytes:
    """With the record that says how it is encrypted: FILEPASS, RC4."""
    return compound(workbook(rows, record(0x002F, struct.pack("<HHH", 1, 1, 1) + bytes(48))))
