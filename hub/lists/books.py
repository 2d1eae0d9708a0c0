"""Books: an Excel file or a zip of CSVs opened by a process of its own, so that a hostile one ends nothing else.

A workbook of 5 KB with one cell in its last row and column makes its reader ask for half a TiB, and ends the process
that asks (measured, python-calamine 0.9.1). So `python -m hub.lists.books` reads the file from its standard input with
limits to memory and time, and writes the cells, or why not, to its standard output as JSON.
"""

from __future__ import annotations

import io
import os
import resource
import subprocess
import sys
import zipfile
from datetime import date, datetime, timedelta
from datetime import time as clock_time
from typing import Any, Final

import msgspec

from hub.lists.cells import CELL_CHARACTERS_MAX, COLUMNS_MAX, ROWS_MAX, SHEETS_MAX, Cell, Merge, Sheet
from hub.lists.faults import Fault, ListRefused

UNPACKED_BYTES_MAX: Final = 64 * 1024 * 1024
ENTRIES_MAX: Final = 1_000
MEMORY_BYTES_MAX: Final = 512 * 1024 * 1024
"""Address space: an interpreter with its libraries maps some 100 MiB, a list of 5,000 pupils needs 60 MiB more."""
CPU_S_MAX: Final = 10
PATIENCE_S: Final = 20.0
"""Less than whoever asked at the hub's socket waits (hub.control)."""
ANSWER_BYTES_MAX: Final = 24 * 1024 * 1024
"""What comes back, as JSON: 20,000 rows of 30 columns have 15 MiB. A text that all cells share has grown by now."""
CHUNK_BYTES: Final = 1024 * 1024
MERGES_MAX: Final = 20_000
LOCKED: Final = "EncryptedPackage".encode("utf-16-le")
"""The stream of a locked .xlsx in its compound file (MS-OFFCRYPTO 2.3.4.4)."""
OLE_MACROS: Final = "_VBA_PROJECT".encode("utf-16-le")
"""The storage of an .xls file's macros (MS-OVBA 2.2.1)."""
BOF: Final = bytes.fromhex("0908100000060500")
"""The first record of an .xls, BIFF8, of the workbook's globals (MS-XLS 2.4.21)."""
BOF_BYTES: Final = 20
FILE_PASS: Final = bytes.fromhex("2F00")
"""The record that says how all after it is encrypted (MS-XLS 2.4.117)."""
SECTOR_BYTES: Final = 512
BOOK: Final = "xl/workbook.xml"
MANIFEST: Final = "manifest.csv"


class Opened(msgspec.Struct):
    """What the process answers: sheets, members of a zip, or a refusal as a fault's code and words."""

    sheets: list[tuple[str, bool, list[list[Any]], list[tuple[int, int, int, int]]]] = []
    members: dict[str, str] = {}
    refused: list[str] = []


def open_book(name: str, octets: bytes) -> tuple[tuple[Sheet, ...], tuple[str, ...]]:
    """The sheets of an Excel file that are seen, and the names of those that are hidden. Raises ListRefused."""
    opened = _asked("book", name, octets)
    try:
        sheets = tuple(
            Sheet(title, tuple(tuple(map(_cell, row)) for row in rows), tuple(Merge(*merge) for merge in merges))
            for title, hidden, rows, merges in opened.sheets
            if not hidden
        )
    except (ValueError, TypeError, KeyError) as problem:
        raise ListRefused(Fault("no-book", file=name)) from problem
    return sheets, tuple(title for title, hidden, _, _ in opened.sheets if hidden)


def open_zip(name: str, octets: bytes) -> dict[str, str]:
    """The CSVs of a OneRoster zip by their names, as text. Raises ListRefused."""
    return _asked("zip", name, octets).members


def _asked(kind: str, name: str, octets: bytes) -> Opened:
    command = [sys.executable, "-P", "-m", "hub.lists.books", kind]
    environment = {**os.environ, "RUST_BACKTRACE": "0"}
    try:
        done = subprocess.run(
            command, input=octets, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, env=environment,
            timeout=PATIENCE_S, check=False,
        )  # fmt: skip
    except subprocess.TimeoutExpired as problem:
        raise ListRefused(Fault("too-far", file=name)) from problem
    except OSError as problem:
        raise ListRefused(Fault("unreadable", about=(problem.strerror or "?",), file=name)) from problem
    if done.returncode != 0 or len(done.stdout) > ANSWER_BYTES_MAX:
        # It was ended by one of its limits, or by what it read.
        raise ListRefused(Fault("too-far", file=name))
    try:
        opened = msgspec.json.decode(done.stdout, type=Opened)
    except msgspec.DecodeError as problem:
        raise ListRefused(Fault("no-book", file=name)) from problem
    if opened.refused:
        code, sheet, *about = opened.refused
        raise ListRefused(Fault(code, sheet=sheet, about=tuple(about), file=name))
    return opened


def _cell(told: Any) -> Cell:
    if not isinstance(told, dict):
        return None if told == "" else told
    ((kind, value),) = told.items()
    makers: dict[str, Any] = {
        "day": date.fromisoformat,
        "moment": datetime.fromisoformat,
        "clock": clock_time.fromisoformat,
        "span": lambda seconds: timedelta(seconds=seconds),
    }
    return makers[kind](value)  # type: ignore[no-any-return]


# --- in the process of its own ----------------------------------------------------------------------------------------


class _Refused(Exception):
    """Ends the reading; its words are a fault's code, the sheet's name, and what it is about."""


def _limited() -> None:
    for what, most in (
        (resource.RLIMIT_AS, MEMORY_BYTES_MAX),
        (resource.RLIMIT_CPU, CPU_S_MAX),
        (resource.RLIMIT_FSIZE, 0),
        (resource.RLIMIT_CORE, 0),
    ):
        _, hard = resource.getrlimit(what)
        most = most if hard == resource.RLIM_INFINITY else min(most, hard)
        resource.setrlimit(what, (most, most))


def _must_be_harmless(octets: bytes) -> zipfile.ZipFile:
    """Unpack every entry once, counting: what a zip says of its sizes need not be true."""
    packed = zipfile.ZipFile(io.BytesIO(octets))
    entries = packed.infolist()
    if len(entries) > ENTRIES_MAX or len({entry.filename for entry in entries}) != len(entries):
        raise _Refused("bomb", "", str(UNPACKED_BYTES_MAX // 1024 // 1024))
    left = UNPACKED_BYTES_MAX
    for entry in entries:
        if entry.flag_bits & 1:
            raise _Refused("locked", "")
        if entry.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
            raise _Refused("bomb", "", str(UNPACKED_BYTES_MAX // 1024 // 1024))
        with packed.open(entry) as unpacked:
            while piece := unpacked.read(CHUNK_BYTES):
                left -= len(piece)
                if left < 0:
                    raise _Refused("bomb", "", str(UNPACKED_BYTES_MAX // 1024 // 1024))
    return packed


def _opened_zip(octets: bytes) -> Opened:
    packed = _must_be_harmless(octets)
    members: dict[str, str] = {}
    for entry in packed.infolist():
        # Some put the files into a folder of the zip.
        name = entry.filename.rpartition("/")[2].casefold()
        if name.endswith(".csv") and not entry.filename.startswith("__MACOSX/"):
            if name in members:
                raise _Refused("no-zip", "")
            try:
                members[name] = packed.read(entry).decode("utf-8-sig")
            except UnicodeDecodeError as problem:
                raise _Refused("no-text", name, str(problem.start)) from problem
    if MANIFEST not in members:
        raise _Refused("unknown-zip", "")
    return Opened(members=members)


def _opened_book(octets: bytes) -> Opened:
    import python_calamine

    if octets.startswith(b"PK"):
        names = _must_be_harmless(octets).namelist()
        if any(name.casefold().endswith("vbaproject.bin") or "macrosheets/" in name.casefold() for name in names):
            raise _Refused("macros", "")
        if BOOK not in names:
            raise _Refused("unknown-zip", "")
    elif LOCKED in octets or _is_old_and_locked(octets):
        raise _Refused("locked", "")
    elif OLE_MACROS in octets:
        raise _Refused("macros", "")
    try:
        book = python_calamine.CalamineWorkbook.from_filelike(io.BytesIO(octets))
    except python_calamine.PasswordError as problem:
        raise _Refused("locked", "") from problem
    if len(book.sheets_metadata) > SHEETS_MAX:
        raise _Refused("too-many-sheets", "", str(len(book.sheets_metadata)), str(SHEETS_MAX))
    opened = Opened()
    for told in book.sheets_metadata:
        if told.typ != python_calamine.SheetTypeEnum.WorkSheet:
            continue
        if told.visible != python_calamine.SheetVisibleEnum.Visible:
            opened.sheets.append((told.name, True, [], []))
            continue
        sheet = book.get_sheet_by_name(told.name)
        height, width = (sheet.end[0] + 1, sheet.end[1] + 1) if sheet.end else (0, 0)
        if height > ROWS_MAX or width > COLUMNS_MAX:
            raise _Refused("too-many-cells", told.name, str(ROWS_MAX), str(COLUMNS_MAX))
        rows = [[_told(cell, told.name) for cell in row] for row in sheet.to_python(skip_empty_area=False)]
        merges = [(*first, *last) for first, last in (sheet.merged_cell_ranges or [])[:MERGES_MAX]]
        opened.sheets.append((told.name, False, rows, merges))
    return opened


def _is_old_and_locked(octets: bytes) -> bool:
    """Whether a stream of BIFF8 records begins with FILEPASS behind its BOF, of which the library says nothing."""
    for at in range(SECTOR_BYTES, len(octets), SECTOR_BYTES):
        if octets.startswith(BOF, at) and octets.startswith(FILE_PASS, at + BOF_BYTES):
            return True
    return False


def _told(cell: Any, sheet: str) -> Any:
    if isinstance(cell, str):
        if len(cell) > CELL_CHARACTERS_MAX:
            raise _Refused("long-text", sheet, str(CELL_CHARACTERS_MAX))
        return cell
    if isinstance(cell, datetime):
        return {"moment": cell.replace(tzinfo=None).isoformat()}
    if isinstance(cell, date):
        return {"day": cell.isoformat()}
    if isinstance(cell, clock_time):
        return {"clock": cell.isoformat()}
    if isinstance(cell, timedelta):
        return {"span": cell.total_seconds()}
    return cell


def _answer(kind: str, octets: bytes) -> Opened:
    try:
        return _opened_zip(octets) if kind == "zip" else _opened_book(octets)
    except _Refused as refused:
        return Opened(refused=list(refused.args))
    except ImportError:
        return Opened(refused=["no-reader", ""])
    except MemoryError:
        return Opened(refused=["too-far", ""])
    except zipfile.BadZipFile:
        return Opened(refused=["no-zip", ""])
    except BaseException:
        # Also a panic of the Rust code, which is no Exception.
        return Opened(refused=["no-zip" if kind == "zip" else "no-book", ""])


def main() -> None:
    """Read one file from standard input; answer on standard output."""
    _limited()
    octets = sys.stdin.buffer.read()
    answer = msgspec.json.encode(_answer(sys.argv[1], octets))
    if len(answer) > ANSWER_BYTES_MAX:
        answer = msgspec.json.encode(Opened(refused=["too-far", ""]))
    sys.stdout.buffer.write(answer)


if __name__ == "__main__":
    main()
